// Errors of system calls that say nothing about what was asked for: the process or the system has
// no more.
#pragma once

#include <cerrno>

namespace scalio {

inline bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
         error == EAGAIN;
}

}  // namespace scalio
