// The faults that a simulation can inject, by name.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>

namespace scalio::sim {

enum class Fault : std::uint8_t {
  slow,             // an operation takes a thousand times as long as others
  torn_read,        // the parts of a READ are of different moments, in any order
  torn_write,       // the parts of a WRITE become visible at different moments, in any order
  misplaced_write,  // the body of a read slot is written over another one's
  split_cas,    // the NIC's CAS reads the word, the CPU or others store into it, the CAS writes it
  clock_drift,  // the clock of a client or server is too fast or too slow
  freeze_client,  // a client stands still for a while, at any await
  kill_client,    // a client dies, at any await
  lose_connection,
  freeze_server,
  preempt_server,  // between two stores to its region
  kill_server,     // and starts again, with clients holding the old epoch
  power_cut,       // the same, and writes that were not flushed are lost or torn
  read_error,      // of an SSD
  write_error,
  misdirected_read,  // one sector is another one's
  stale_read,        // one sector of several, not the first, is what it was before
  // A stray WRITE of a client hits the word or the body of a write slot; or a body is forged beside
  // a word that is hit.
  damage_write_slot,
  forged_log,    // the log's ring has a batch that a client has made, where no live one is
  misrouted,     // a client that connects again reaches another shard
  replaced_ssd,  // what a client has open is, from now on, a blank device or another store's SSD
};
constexpr std::size_t kFaults = 21;

constexpr std::array<std::string_view, kFaults> kFaultNames{"slow",
                                                            "torn-read",
                                                            "torn-write",
                                                            "misplaced-write",
                                                            "split-cas",
                                                            "clock-drift",
                                                            "freeze-client",
                                                            "kill-client",
                                                            "lose-connection",
                                                            "freeze-server",
                                                            "preempt-server",
                                                            "kill-server",
                                                            "power-cut",
                                                            "read-error",
                                                            "write-error",
                                                            "misdirected-read",
                                                            "stale-read",
                                                            "damage-write-slot",
                                                            "forged-log",
                                                            "misrouted",
                                                            "replaced-ssd"};

using FaultSet = std::bitset<kFaults>;
using FaultCounts = std::array<std::uint64_t, kFaults>;

}  // namespace scalio::sim
