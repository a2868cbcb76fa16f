// What the server's CPU does for a PUT of YCSB's zipfian keys, in user space: the kernel's part is
// its way to the disk, and in the note.
#include "check.h"
#include "figure.h"
#include "numbers.h"
#include "put_run.h"

namespace scalio::bench {

Rows put_cpu(const Bench& bench) {
  constexpr double kReach = 3;  // us
  const PutStore store(bench.stores.dir() / "put-cpu", 1024 * kMiB);
  const auto server = store.serve();
  const std::uint64_t records = bench.size(30'000, 300'000);
  put_new(*server, records);
  const double seconds = bench.scale == Scale::quick ? 1 : 10;
  put_popular(*server, records, seconds, 1);  // until write slots are full
  std::vector<PutRun> runs;
  std::vector<double> user;
  for (unsigned round = 0; round < bench.rounds(); ++round) {
    runs.push_back(put_popular(*server, records, seconds, round + 2));
    user.push_back(runs.back().user_cpu_us());
  }
  const double us = median(user);
  // The run in the middle, to have all its figures from one.
  const PutRun& run = *std::ranges::find(runs, us, &PutRun::user_cpu_us);
  return {{.figure = "Server CPU per PUT in user space, zipfian, depth 64 x 2",
           .reach = fmt::format("{} us", kReach),
           .yardstick = fmt::format("in the kernel: {:.2f} us", run.kernel_cpu_us),
           .measured = fmt::format("{:.2f} us", us),
           .ratio = us / run.kernel_cpu_us,
           .met = us <= kReach,
           .note = fmt::format("median of {} rounds; {}; {} records; {}; {}", bench.rounds(),
                               per_second(run.rate), records, run.text(), store.shape())}};
}

}  // namespace scalio::bench
