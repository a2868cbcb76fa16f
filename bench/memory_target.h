// The other end of the NVMe/TCP figures: the project's target with a namespace in memory, or a
// plain socket that sends as many bytes for as many: what no protocol could be faster than.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "measured_process.h"

namespace scalio::bench {

// A process of its own, so that its CPU time is apart from the initiator's.
class MemoryTarget {
 public:
  // `scratch` is a directory for what it prints.
  explicit MemoryTarget(const std::filesystem::path& scratch);

  const Process& process() const { return process_; }
  // Where the namespace is, at 127.0.0.1.
  std::uint16_t port() const { return port_; }
  const std::string& nqn() const { return nqn_; }
  std::uint32_t nsid() const { return nsid_; }
  // Where the plain socket is.
  std::uint16_t plain_port() const { return plain_port_; }

 private:
  const std::filesystem::path said_;
  Process process_;
  std::uint16_t port_ = 0;
  std::uint16_t plain_port_ = 0;
  std::string nqn_;
  std::uint32_t nsid_ = 0;
};

// What goes over the plain socket in place of a read command and of what answers it beside the
// data: as many bytes as a command capsule and a C2HData's header.
constexpr std::size_t kPlainRequest = 72;
constexpr std::size_t kPlainHeader = 24;

}  // namespace scalio::bench
