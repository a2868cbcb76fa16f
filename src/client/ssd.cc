#include "client/ssd.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

namespace scalio::client {

namespace {
constexpr Nanos kRetry = kSecond;
constexpr Nanos kAtOnce = kSecond;
}  // namespace

Ssd::Way::Way(Ssd& of, OpenedSsd ssd_opened, const layout::HelloReply& hello)
    : ssd(of),
      opened(std::move(ssd_opened)),
      target(hello.target),
      session(hello.session),
      reader(of.executor_, device(), hello.ssd),
      stretches(of.executor_, reader) {
  reader.trace_by(of.trace_);
}

Task<Status> Ssd::open(const layout::HelloReply& hello) {
  while (opening_) co_await changed_.wait();
  if (closed_) co_return Status(Code::unavailable, "the client is being destroyed");
  if (is_open(hello)) co_return Status();
  const bool tried = !failure_.ok() && failed_session_ == hello.session;
  if (tried && executor_.now() < failed_at_ + kRetry) co_return failure_;
  opening_ = true;
  Result<OpenedSsd> opened = co_await opener_(hello);
  opening_ = false;
  changed_.wake_all();
  failure_ = opened.status();
  if (!opened.ok()) {
    failed_session_ = hello.session;
    failed_at_ = executor_.now();
    co_return failure_;
  }
  way_ = std::make_shared<Way>(*this, std::move(*opened), hello);
  co_return Status();
}

Task<Result<std::optional<StoredRecord>>> Ssd::find(const layout::HelloReply& hello,
                                                    std::string_view key, std::uint64_t hash) {
  return on_way<std::optional<StoredRecord>>(hello,
                                             [=](Way& way) { return way.reader.find(key, hash); });
}

namespace {
using Done = std::monostate;

Task<Result<Done>> read(block::BlockDevice& device, std::uint64_t offset, ByteSpan into) {
  Status s = co_await device.read(offset, into);
  if (!s.ok()) co_return s;
  co_return Done();
}

Task<Result<Done>> confirm_device(BucketReader& reader) {
  Status s = co_await reader.confirm(true);
  if (!s.ok()) co_return s;
  co_return Done();
}
}  // namespace

Task<Status> Ssd::read_value(const layout::HelloReply& hello, std::uint64_t offset, ByteSpan into) {
  const std::uint64_t at = hello.ssd.value_offset() + offset;
  const Nanos began = *trace_ != nullptr ? executor_.now() : 0;
  const Result<Done> done =
      co_await on_way<Done>(hello, [=](Way& way) { return read(way.device(), at, into); });
  if (*trace_ != nullptr) [[unlikely]] {
    (*trace_)->add({began, executor_.now(),
                    fmt::format("SSD read of {} bytes: at offset {} of the values of SSD {}",
                                into.size(), offset, hello.ssd.ssd()),
                    done.ok() ? "done" : done.status().to_string()});
  }
  co_return done.status();
}

Task<Status> Ssd::confirm(const layout::HelloReply& hello) {
  const Result<Done> done =
      co_await on_way<Done>(hello, [](Way& way) { return confirm_device(way.reader); });
  co_return done.status();
}

Task<Result<Stretch>> Ssd::read_stretch(const layout::HelloReply& hello, std::uint64_t first,
                                        std::uint64_t end, MoveWatch* moves) {
  return on_way<Stretch>(hello, [=](Way& way) { return way.stretches.read(first, end, moves); });
}

template <class T, class F>
Task<Result<T>> Ssd::on_way(const layout::HelloReply& hello, F read) {
  for (bool again = false;; again = true) {
    Status opened;
    if (!is_open(hello)) opened = co_await open(hello);
    if (opened.code() == Code::invalid) opened = Status(Code::unavailable, opened.message());
    if (!opened.ok()) co_return opened;
    const std::shared_ptr<Way> way = way_;
    const Nanos began = executor_.now();
    Result<T> found = co_await read(*way);
    // Nobody goes this way any more. What it leads to by now is told by opening it.
    const bool replaced = found.code() == Code::invalid;
    if (replaced && way_ == way) way_.reset();
    // A device that is somewhere else waits for a lost connection to come back, but fails the reads
    // that were under way when it was lost: at once, and these may be done again. Then they wait,
    // too.
    const bool cut_off = found.code() == Code::unavailable && executor_.now() - began < kAtOnce;
    if ((replaced || cut_off) && !again) continue;
    if (replaced) co_return Status(Code::unavailable, found.status().message());
    co_return found;
  }
}

Task<void> Ssd::close() {
  closed_ = true;
  while (opening_) co_await changed_.wait();
  const std::shared_ptr<Way> way = std::exchange(way_, nullptr);
  if (way && way->opened.close) co_await way->opened.close();
}

void Ssd::count(ClientCounters& counters) const {
  Reads all = earlier_;
  if (way_) add(way_->device(), all);
  counters.ssd_reads = all.reads;
  counters.ssd_bytes_read = all.bytes;
}

}  // namespace scalio::client
