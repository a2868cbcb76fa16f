#include "memory_target.h"

#include <chrono>
#include <sstream>
#include <thread>

#include "check.h"

namespace scalio::bench {

MemoryTarget::MemoryTarget(const std::filesystem::path& scratch, std::chrono::microseconds spin)
    : spin_(spin),
      said_(scratch / "memory-target.out"),
      process_({SCALIO_MEMORY_TARGET, fmt::format("{}", spin.count())}, said_) {
  constexpr std::chrono::seconds kBound{20};
  constexpr std::chrono::milliseconds kPoll{10};
  const auto deadline = std::chrono::steady_clock::now() + kBound;
  std::string said;
  while (!said.ends_with('\n')) {
    if (std::chrono::steady_clock::now() > deadline || process_.wait(kPoll))
      fail("the memory target does not start");
    said = read_file(said_);
  }
  std::istringstream(said) >> port_ >> nqn_ >> nsid_ >> plain_port_;
}

}  // namespace scalio::bench
