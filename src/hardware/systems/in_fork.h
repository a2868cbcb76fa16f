// Work by a process forked for it: what it changes, it changes there, and here all is as before.
#pragma once

#include <scalio/status.h>

#include <functional>

namespace scalio::hardware {

// Waits until it is done, however long that takes. This process must have one thread. The other
// one is killed if this one ends. Failures: those of `work`; unavailable if there is no process for
// it, or if it ended before `work` did.
Status in_fork(const std::function<Status()>& work);

}  // namespace scalio::hardware
