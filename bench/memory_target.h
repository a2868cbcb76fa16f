// The other end of the NVMe/TCP figures: the project's target with a namespace in memory, or a
// plain socket that sends as many bytes for as many: what no protocol could be faster than.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "measured_process.h"

namespace scalio::bench {

// A process of its own, so that its CPU time is apart from the initiator's.
class MemoryTarget {
 public:
  // `scratch` is a directory for what it prints. Its threads spin so long before they sleep.
  MemoryTarget(const std::filesystem::path& scratch, std::chrono::microseconds spin);

  const Process& process() const { return process_; }
  // Where the namespace is, at 127.0.0.1.
  std::uint16_t port() const { return port_; }
  const std::string& nqn() const { return nqn_; }
  std::uint32_t nsid() const { return nsid_; }
  // Where the plain socket is.
  std::uint16_t plain_port() const { return plain_port_; }
  std::chrono::microseconds spin() const { return spin_; }

 private:
  const std::chrono::microseconds spin_;
  const std::filesystem::path said_;
  Process process_;
  std::uint16_t port_ = 0;
  std::uint16_t plain_port_ = 0;
  std::string nqn_;
  std::uint32_t nsid_ = 0;
};

}  // namespace scalio::bench
