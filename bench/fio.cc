#include "fio.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "check.h"
#include "measured_process.h"
#include "net/unique_fd.h"

namespace scalio::bench {

namespace {
constexpr std::chrono::seconds kGrace{60};

std::vector<std::string> arguments_of(FioJob::Pattern pattern) {
  switch (pattern) {
    case FioJob::Pattern::random_reads: return {"--rw=randread", "--norandommap", "--readonly"};
    case FioJob::Pattern::flushed_writes: return {"--rw=write", "--sync=dsync"};
    case FioJob::Pattern::random_pairs: return {"--rw=randrw", "--rwmixread=50", "--norandommap"};
    case FioJob::Pattern::one_pass:
    case FioJob::Pattern::reads_in_order: return {"--rw=read", "--readonly"};
  }
  return {};
}
}  // namespace

void make_scratch_file(const std::filesystem::path& path, std::uint64_t bytes) {
  const std::vector<char> chunk(1 << 20);
  std::ofstream file(path, std::ios::binary);
  for (std::uint64_t done = 0; done < bytes; done += chunk.size()) {
    file.write(chunk.data(), static_cast<std::streamsize>(chunk.size()));
  }
  file.close();
  // Or it would be written back while others measure.
  const net::UniqueFd synced(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || fsync(synced.get()) != 0) fail(fmt::format("cannot write {}", path.string()));
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
  if (job.pattern != FioJob::Pattern::one_pass) {
    argv.insert(argv.end(), {"--time_based", fmt::format("--runtime={}ms", ms)});
  }
  const std::vector<std::string> pattern = arguments_of(job.pattern);
  argv.insert(argv.end(), pattern.begin(), pattern.end());
  Process process(argv, out);
  const std::optional<int> status = process.wait(std::chrono::milliseconds(ms) + kGrace);
  const auto json = nlohmann::json::parse(read_file(out), nullptr, false);
  std::filesystem::remove(out);
  if (status != 0 || !json.is_object()) {
    fail("fio did not run; is it installed (apt-get install fio)? " +
         fmt::format("{}", fmt::join(argv, " ")));
  }
  const auto iops = [&](const char* of) { return json["jobs"][0][of]["iops"].get<double>(); };
  switch (job.pattern) {
    case FioJob::Pattern::random_reads:
    case FioJob::Pattern::one_pass:
    case FioJob::Pattern::reads_in_order: return iops("read");
    case FioJob::Pattern::flushed_writes: return iops("write");
    case FioJob::Pattern::random_pairs: return std::min(iops("read"), iops("write"));
  }
  return 0;
}

}  // namespace scalio::bench
