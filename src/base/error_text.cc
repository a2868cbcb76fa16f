#include "base/error_text.h"

#include <cerrno>
#include <cstring>

namespace scalio {

std::string error_text(int error) {
  std::string text = std::strerror(error);
  if (error == EMFILE) text += "; raise this process's limit (ulimit -n, LimitNOFILE=)";
  if (error == ENFILE) text += "; raise the system's limit (sysctl fs.file-max)";
  return text;
}

}  // namespace scalio
