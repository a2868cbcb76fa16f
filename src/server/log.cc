#include "server/log.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "layout/rules.h"

namespace scalio::server {

using layout::BatchBuilder;

namespace {
// How far a batch's time is ahead of when it is closed: while somebody asks, so often it takes an
// empty batch to tell the time.
constexpr Nanos kTimeAhead = kSecond;
// So far ahead of the wall clock the time is not because a restart took less than that.
constexpr std::int64_t kFarAhead = 60 * static_cast<std::int64_t>(kSecond);
}  // namespace

Log::Log(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& geometry,
         LogOptions options)
    : executor_(executor),
      device_(device),
      geometry_(geometry),
      options_(std::move(options)),
      buffers_{block::Buffer(layout::max_batch(geometry)),
               block::Buffer(layout::max_batch(geometry))},
      builder_(options_.key, geometry.store_id()),
      clock_(executor, options_.wall_clock),
      work_(executor),
      line_(executor),
      durable_{WaitList(executor), WaitList(executor)} {
  SCALIO_ASSERT(options_.batch_max >= 1);
}

void Log::resume(storage::LogPosition p) {
  version_ = p.version;
  time_mark_ = p.time;
  clock_.begin(kept(Rule::time_mark) ? time_mark_ : 0);
  if (const std::int64_t ahead = time_ahead(); ahead > kFarAhead) {
    spdlog::warn(
        "{}: the store's time goes on {} s ahead of this machine's clock, which was set back, or "
        "wrong when the store was served last; records end by the store's time (see \"Clocks\" in "
        "docs/operations.md)",
        device_.name(), ahead / static_cast<std::int64_t>(kSecond));
  }
  buckets_ = p.buckets;
  tail_ = durable_tail_ = p.tail;
  starts_ = std::move(p.starts);
  skips_ = std::move(p.skips);
  open_batch(p.head);
}

void Log::open_batch(std::uint64_t after) {
  SCALIO_ASSERT(after % geometry_.block_size == 0);
  // A batch does not cross the ring's end.
  if (geometry_.log_size - after % geometry_.log_size < buffers_[0].size()) {
    after = round_up(after, geometry_.log_size);
  }
  builder_.begin(buffers_[current_].span(), after, buckets_);
  starts_.add(after);
}

std::uint64_t Log::free() const {
  return geometry_.log_size - std::min(geometry_.log_size, used());
}

Task<void> Log::room(std::uint32_t key, std::uint32_t body) {
  const std::uint32_t size = BatchBuilder::record_size(key, body);
  // Who comes later may not take the room of those that were called.
  if (!in_line_.empty() || called_ > 0 || (failure_.ok() && !fits(size))) {
    do {
      in_line_.push_back(size);
      co_await line_.wait();
      --called_;
      called_bytes_ -= size;
    } while (failure_.ok() && !fits(size));
    // Should those that were called add nothing after all, the next ones are called.
    if (called_ == 0 && !in_line_.empty()) work_.wake_one();
  }
  if (version_ < layout::kMaxVersion || !failure_.ok()) co_return;
  failure_ = Status(Code::read_only,
                    fmt::format("the log of {} has given its last version, {}; copy the store "
                                "to a new one",
                                device_.name(), version_));
  work_.wake_all();
}

// Calls the first in line for whom there is room; all of them after a failure.
void Log::call_in_line() {
  while (!in_line_.empty() && (!failure_.ok() || fits(in_line_.front()))) {
    ++called_;
    called_bytes_ += in_line_.front();
    in_line_.pop_front();
    line_.wake_one();
  }
}

Log::Ticket Log::add(layout::LogKind kind, std::uint64_t version, std::string_view key,
                     ByteView body, std::uint64_t end) {
  SCALIO_ASSERT(!stopping_);
  if (version == 0 && layout::is_write(kind)) version = ++version_;
  SCALIO_ASSERT(version <= layout::kMaxVersion);
  Ticket t{builder_.add(kind, version, key, body, end), version, open_number_};
  // Admission keeps the log from overwriting its tail.
  SCALIO_ASSERT(used() <= geometry_.log_size || !kept(Rule::log_space));
  ++counters_.records;
  if (kind == layout::LogKind::image) counters_.image_bytes += body.size();
  work_.wake_one();
  return t;
}

Task<Status> Log::advance_tail(std::uint64_t lsn) {
  SCALIO_ASSERT(lsn <= head());
  // The open batch may not be among the starts.
  const std::uint64_t start = lsn >= builder_.lsn() ? builder_.lsn() : starts_.last_before(lsn);
  if (start > tail_) {
    tail_ = start;
    starts_.drop_before(start);
  }
  if (tail_ <= durable_tail_) co_return Status();
  batch_wanted_ = true;
  work_.wake_one();
  const std::uint64_t batch = open_number_;
  co_return co_await durable(batch);
}

Task<Status> Log::say_time() {
  if (stopping_) co_return Status(Code::unavailable, "the server is stopping");
  batch_wanted_ = true;
  work_.wake_one();
  const std::uint64_t batch = open_number_;
  co_return co_await durable(batch);
}

void Log::stop() {
  stopping_ = true;
  work_.wake_all();
}

Task<void> Log::run() {
  while (failure_.ok()) {
    if (builder_.records() == 0 && !batch_wanted_) {
      if (stopping_) break;
      call_in_line();
      co_await work_.wait();
      continue;
    }
    // What else is ready in this turn joins the batch for free.
    if (builder_.records() < options_.batch_max) {
      if (options_.batch_linger > 0) {
        co_await executor_.sleep(options_.batch_linger);
      } else {
        co_await executor_.yield();
      }
    }
    batch_wanted_ = false;
    const std::uint64_t declared_tail = tail_, number = open_number_, lsn = builder_.lsn();
    const std::uint64_t offset = geometry_.log_offset + lsn % geometry_.log_size;
    const std::uint64_t mark = std::max(time_mark_, clock_.now() + kTimeAhead);
    ByteView batch = builder_.finish(declared_tail, version_, mark, geometry_.block_size);
    ++open_number_;
    current_ ^= 1;
    open_batch(lsn + batch.size());
    call_in_line();

    const auto durability =
        kept(Rule::log_before_reply) ? block::Durability::stable : block::Durability::cached;
    Status s = co_await device_.write(offset, batch, durability);
    if (!s.ok()) {
      failure_ = std::move(s);
    } else {
      ++counters_.batches;
      counters_.bytes += batch.size();
      durable_number_ = number;
      durable_tail_ = declared_tail;
      time_mark_ = mark;
      while (!skips_.empty() && skips_.front() <= durable_tail_) skips_.pop_front();
    }
    durable_[number & 1].wake_all();
  }
  call_in_line();
  durable_[0].wake_all();
  durable_[1].wake_all();
}

Task<Result<layout::LogRecordView>> Log::read_record(std::uint64_t lsn, block::Buffer& storage) {
  return storage::read_record(device_, geometry_, options_.key, lsn, largest_record(geometry_),
                              storage);
}

}  // namespace scalio::server
