#include "base/cpu_cores.h"

#include <fmt/format.h>
#include <sched.h>

#include <cerrno>

#include "base/error_text.h"

namespace scalio {

namespace {
// What a set of the C library's holds is 1,024 cores; a machine may have more.
class CoreSet {
 public:
  explicit CoreSet(unsigned cores) : cores_(cores), set_(CPU_ALLOC(cores)) {
    CPU_ZERO_S(size(), set_);
  }
  ~CoreSet() { CPU_FREE(set_); }
  CoreSet(const CoreSet&) = delete;
  CoreSet& operator=(const CoreSet&) = delete;

  unsigned cores() const { return cores_; }
  std::size_t size() const { return CPU_ALLOC_SIZE(cores_); }
  cpu_set_t* get() { return set_; }

 private:
  const unsigned cores_;
  cpu_set_t* const set_;
};
constexpr unsigned kMostCores = 1 << 16;
}  // namespace

std::vector<unsigned> usable_cores() {
  std::vector<unsigned> cores;
  for (unsigned most = CPU_SETSIZE; cores.empty() && most <= kMostCores; most *= 2) {
    CoreSet set(most);
    if (sched_getaffinity(0, set.size(), set.get()) != 0) {
      if (errno == EINVAL) continue;  // there are more
      break;
    }
    for (unsigned i = 0; i < most; ++i) {
      if (CPU_ISSET_S(i, set.size(), set.get())) cores.push_back(i);
    }
  }
  if (cores.empty()) cores.push_back(0);
  return cores;
}

Status pin_to(unsigned core) {
  CoreSet set(core + 1);
  CPU_SET_S(core, set.size(), set.get());
  if (sched_setaffinity(0, set.size(), set.get()) == 0) return Status();
  return Status(Code::unavailable,
                fmt::format("cannot keep a thread on core {}: {}", core, error_text(errno)));
}

}  // namespace scalio
