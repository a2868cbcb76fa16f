#include "fio.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "check.h"
#include "measured_process.h"

namespace scalio::bench {

namespace {
constexpr std::chrono::seconds kGrace{60};
}

double fio(const FioJob& job) {
  const std::filesystem::path out = job.file.string() + ".fio";
  const auto ms = static_cast<std::uint64_t>(job.seconds * 1000);
  std::vector<std::string> argv = {"fio",
                                   "--name=yardstick",
                                   "--output-format=json",
                                   "--ioengine=io_uring",
                                   "--direct=1",
                                   "--allow_file_create=0",
                                   fmt::format("--filename={}", job.file.string()),
                                   fmt::format("--offset={}", job.offset),
                                   fmt::format("--size={}", job.size),
                                   fmt::format("--bs={}", job.block),
                                   fmt::format("--iodepth={}", job.depth)};
  if (!job.once) argv.insert(argv.end(), {"--time_based", fmt::format("--runtime={}ms", ms)});
  if (job.write) {
    argv.insert(argv.end(), {"--rw=write", "--sync=dsync"});
  } else if (job.once) {
    argv.insert(argv.end(), {"--rw=read", "--readonly"});
  } else {
    argv.insert(argv.end(), {"--rw=randread", "--norandommap", "--readonly"});
  }
  Process process(argv, out);
  const std::optional<int> status = process.wait(std::chrono::milliseconds(ms) + kGrace);
  const auto json = nlohmann::json::parse(read_file(out), nullptr, false);
  std::filesystem::remove(out);
  if (status != 0 || !json.is_object()) {
    fail("fio did not run; is it installed (apt-get install fio)? " +
         fmt::format("{}", fmt::join(argv, " ")));
  }
  return json["jobs"][0][job.write ? "write" : "read"]["iops"].get<double>();
}

}  // namespace scalio::bench
