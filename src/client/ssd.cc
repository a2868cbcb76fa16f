#include "client/ssd.h"

namespace scalio::client {

namespace {
constexpr Nanos kRetry = kSecond;
}

Ssd::Way::Way(Ssd& of, std::unique_ptr<block::BlockDevice> opened, const layout::HelloReply& hello)
    : ssd(of),
      device(std::move(opened)),
      target(hello.target),
      session(hello.session),
      reader(of.executor_, *device, hello.ssd) {}

Task<Status> Ssd::open(const layout::HelloReply& hello) {
  while (opening_) co_await changed_.wait();
  if (is_open(hello)) co_return Status();
  const bool tried = !failure_.ok() && failed_session_ == hello.session;
  if (tried && executor_.now() < failed_at_ + kRetry) co_return failure_;
  opening_ = true;
  Result<std::unique_ptr<block::BlockDevice>> device = co_await opener_(hello);
  opening_ = false;
  changed_.wake_all();
  failure_ = device.status();
  if (!device.ok()) {
    failed_session_ = hello.session;
    failed_at_ = executor_.now();
    co_return failure_;
  }
  way_ = std::make_shared<Way>(*this, std::move(*device), hello);
  co_return Status();
}

Task<Result<std::optional<Record>>> Ssd::find(const layout::HelloReply& hello, std::string_view key,
                                              uint64_t hash) {
  if (!is_open(hello)) {
    Status s = co_await open(hello);
    if (!s.ok()) co_return s;
  }
  const std::shared_ptr<Way> way = way_;
  co_return co_await way->reader.find(key, hash);
}

void Ssd::count(ClientCounters& counters) const {
  Reads all = closed_;
  if (way_) add(*way_->device, all);
  counters.ssd_reads = all.reads;
  counters.ssd_bytes_read = all.bytes;
}

}  // namespace scalio::client
