#include "eval/host_stat.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace scalio::eval {
namespace {

std::uint64_t process_cpu_us() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

// When it was asked for the first time: with the pid, it tells this process from any other.
std::uint64_t started_unix_ms() {
  static const auto started = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  return static_cast<std::uint64_t>(started.count());
}

}  // namespace

nlohmann::ordered_json to_json(const HostStat& stat) {
  nlohmann::ordered_json paths = nlohmann::ordered_json::array();
  std::error_code ignored;
  for (const std::string& ssd : stat.ssds) {
    paths.push_back(std::filesystem::absolute(ssd, ignored).string());
  }
  return {{"system", name_of(stat.system)},
          {"pid", ::getpid()},
          {"started_unix_ms", started_unix_ms()},
          {"process_cpu_us", process_cpu_us()},
          {"nic_cpu_us", stat.nic_cpu_time / kMicrosecond},
          {"ssds", stat.ssds.size()},
          {"ssd_paths", paths},
          {"threads", stat.threads},
          {"ssd_reads", stat.devices.reads},
          {"ssd_writes", stat.devices.writes},
          {"ssd_flushes", stat.devices.flushes},
          {"ssd_bytes_read", stat.devices.bytes_read},
          {"ssd_bytes_written", stat.devices.bytes_written}};
}

}  // namespace scalio::eval
