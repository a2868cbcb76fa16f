#include "bare_reads.h"

#include "block/buffer.h"
#include "check.h"
#include "measured_process.h"
#include "task/run_to_end.h"
#include "task/wait_group.h"

namespace scalio::bench {

BareReads::BareReads(const std::filesystem::path& file, const layout::SsdGeometry& ssd)
    : ssd_(ssd),
      loop_(expect(EventLoop::create())),
      device_(expect(block::UringDevice::open(*loop_, file.string(), block::Access::read_only))) {}

Task<void> BareReads::read(std::uint64_t& done) {
  block::Buffer buffer(ssd_.bucket_size);
  while (loop_->now() < until_) {
    const std::uint64_t bucket = random_.below(ssd_.buckets);
    check(co_await device_->read(ssd_.bucket_at(bucket), buffer.span()));
    ++done;
  }
}

double BareReads::cpu_us(unsigned depth, double seconds) {
  const std::uint64_t before = own_cpu_ns();
  until_ = loop_->now() + static_cast<Nanos>(seconds * 1e9);
  std::uint64_t done = 0;
  WaitGroup reads(*loop_);
  for (unsigned i = 0; i < depth; ++i) reads.spawn(read(done));
  const auto wait = [](WaitGroup& all) -> Task<void> { co_await all.wait(); };
  run_to_end(*loop_, wait(reads));
  return static_cast<double>(own_cpu_ns() - before) / 1e3 / static_cast<double>(done);
}

}  // namespace scalio::bench
