// YCSB workload A (half reads, half updates, zipfian 0.99), as `scalio bench ycsb` runs it.
#pragma once

#include <cstdint>
#include <string>

#include "ycsb/report.h"

namespace scalio::bench {

ycsb::Phase run_ycsb_a(const std::string& server, std::uint64_t records, std::uint64_t operations,
                       std::uint64_t seed);

}  // namespace scalio::bench
