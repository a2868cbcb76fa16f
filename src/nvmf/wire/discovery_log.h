// The discovery log page: which subsystems there are, and where (Fabrics 5).
#pragma once

#include <scalio/status.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "nvmf/wire/fabrics.h"

namespace scalio::nvmf {

constexpr std::size_t kDiscoveryHeader = 1024;
constexpr std::size_t kDiscoveryEntry = 1024;

enum class TransportType : std::uint8_t { rdma = 1, fibre_channel = 2, tcp = 3 };
enum class AddressFamily : std::uint8_t { ipv4 = 1, ipv6 = 2 };
enum class SubsystemType : std::uint8_t { referral = 1, nvm = 2, this_discovery = 3 };

struct DiscoveryHeader {
  std::uint64_t generation = 0;  // another one: the log has changed
  std::uint64_t records = 0;
  std::uint16_t format = 0;
};
void encode(const DiscoveryHeader& h, ByteSpan out);  // kDiscoveryHeader bytes
// Failures: invalid (too short, a record format that is not 0).
Result<DiscoveryHeader> decode_discovery_header(ByteView in);

struct DiscoveryEntry {
  TransportType transport = TransportType::tcp;
  AddressFamily family = AddressFamily::ipv4;
  SubsystemType subsystem_type = SubsystemType::nvm;
  std::uint16_t port_id = 0;
  std::uint16_t controller_id = kAnyController;
  std::uint16_t admin_queue_size = 32;
  std::string service;  // of an IP transport: the port as a decimal number
  std::string subsystem_nqn;
  std::string address;  // numeric
};
void encode(const DiscoveryEntry& e, ByteSpan out);  // kDiscoveryEntry bytes
// Failures: invalid (too short).
Result<DiscoveryEntry> decode_discovery_entry(ByteView in);

}  // namespace scalio::nvmf
