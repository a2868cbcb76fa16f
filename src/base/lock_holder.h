// Who has locked a file, for messages.
#pragma once

#include <string>

namespace scalio {

// "process N (NAME)", of a process that has the open file `fd` locked by flock(). Empty: there is
// none, or the system does not tell, as of one in another PID namespace, and on filesystems whose
// stat() has another device than /proc/locks. It may have ended since.
std::string lock_holder(int fd);

}  // namespace scalio
