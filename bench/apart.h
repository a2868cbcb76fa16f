// Cores for the two ends of an exchange. What is measured is the exchange, not where the scheduler
// puts two threads that wake each other: on loopback, often on one core.
#pragma once

#include <sched.h>

#include <vector>

#include "base/cpu_cores.h"
#include "check.h"

namespace scalio::bench {

// While it lives, the calling thread is on one core, and what it starts by there() on another.
class Apart {
 public:
  Apart() {
    if (cores_.size() < 2) fail("the two ends of a connection need two cores");
    sched_getaffinity(0, sizeof before_, &before_);
    check(pin_to(cores_[0]));
  }
  ~Apart() { sched_setaffinity(0, sizeof before_, &before_); }
  Apart(const Apart&) = delete;
  Apart& operator=(const Apart&) = delete;

  template <class F>
  auto there(F start) const {
    check(pin_to(cores_[1]));
    auto started = start();
    check(pin_to(cores_[0]));
    return started;
  }

 private:
  const std::vector<unsigned> cores_ = usable_cores();
  cpu_set_t before_;
};

}  // namespace scalio::bench
