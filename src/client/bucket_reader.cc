#include "client/bucket_reader.h"

#include <fmt/format.h>

#include "client/record_end.h"
#include "layout/rules.h"

namespace scalio::client {

using layout::Bucket;
using layout::BucketState;

namespace {
// A bucket that fails its checksum is being written, or damaged. It is damaged if it still fails
// after so many reads, which together take over a second.
constexpr int kMaxTornReads = 24;
constexpr Nanos kFirstTornWait = 20 * kMicrosecond;
constexpr Nanos kMaxTornWait = 100 * kMillisecond;
// Times that a home bucket may change under a reader before it gives up; each takes a merge of the
// server.
constexpr int kMaxRestarts = 100;
}  // namespace

class BucketReader::Lease {
 public:
  explicit Lease(BucketReader& reader) : reader_(reader) {
    if (reader_.idle_.empty()) {
      buffer_ = std::make_unique<block::Buffer>(reader_.geometry_.bucket_size);
    } else {
      buffer_ = std::move(reader_.idle_.back());
      reader_.idle_.pop_back();
    }
  }
  ~Lease() { reader_.idle_.push_back(std::move(buffer_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  block::Buffer& operator*() { return *buffer_; }

 private:
  BucketReader& reader_;
  std::unique_ptr<block::Buffer> buffer_;
};

BucketReader::BucketReader(Executor& executor, block::BlockDevice& device,
                           const layout::SsdGeometry& geometry)
    : executor_(executor),
      device_(device),
      geometry_(geometry),
      store_id_(geometry.store_id()),
      identity_(executor, device, geometry) {}

Task<Result<BucketState>> BucketReader::read(std::uint64_t number, ByteSpan into, bool& blank) {
  Nanos wait = kFirstTornWait;
  for (int i = 0; i < kMaxTornReads; ++i) {
    const Nanos began = *trace_ != nullptr ? executor_.now() : 0;
    Status s = co_await device_.read(geometry_.bucket_at(number), into);
    if (*trace_ != nullptr) [[unlikely]]
      tell(began, number, into, s);
    if (!s.ok()) co_return s;
    const BucketState state = Bucket(into).verify(store_id_, number);
    blank |= state == BucketState::unwritten;
    if (state != BucketState::corrupt) co_return state;
    co_await executor_.sleep(wait);
    wait = std::min(2 * wait, kMaxTornWait);
  }
  co_return Status(
      Code::corrupt,
      fmt::format("bucket {} at offset {} of {} fails its checksum; run `scalio check` on the "
                  "server",
                  number, geometry_.bucket_at(number), device_.name()));
}

void BucketReader::tell(Nanos began, std::uint64_t number, ByteView bytes,
                        const Status& read) const {
  std::string found;
  if (!read.ok()) {
    found = read.to_string();
  } else {
    Bytes copy(bytes.begin(), bytes.end());
    const Bucket bucket{ByteSpan(copy)};
    switch (bucket.verify(store_id_, number)) {
      case BucketState::ok:
        found = fmt::format("{} records, {} buckets behind it may have more",
                            bucket.totals().records, bucket.reach());
        break;
      case BucketState::unwritten: found = "never written"; break;
      case BucketState::corrupt:
        found = "its checksum fails: it is being written, or damaged";
        break;
    }
  }
  (*trace_)->add(
      {began, executor_.now(),
       fmt::format("SSD read of {} bytes: bucket {} of {}", bytes.size(), number, device_.name()),
       std::move(found)});
}

Task<Status> BucketReader::confirm(bool blank) {
  if (!blank || !kept(Rule::identity)) co_return Status();
  const Nanos began = *trace_ != nullptr ? executor_.now() : 0;
  Status same = co_await identity_.confirm();
  if (*trace_ != nullptr) [[unlikely]] {
    (*trace_)->add({began, executor_.now(),
                    fmt::format("SSD read of the superblock of {}", device_.name()),
                    same.ok() ? "it is this store's" : same.to_string()});
  }
  co_return same;
}

Task<Result<std::optional<StoredRecord>>> BucketReader::absent(bool blank) {
  Status s = co_await confirm(blank);
  if (!s.ok()) co_return s;
  co_return std::optional<StoredRecord>();
}

Task<Result<std::optional<StoredRecord>>> BucketReader::find(std::string_view key,
                                                             std::uint64_t hash) {
  const std::uint64_t home = geometry_.home_bucket(hash);
  bool blank = false;
  Lease lease(*this);
  Bucket bucket((*lease).span());
  const auto record_of = [](const layout::RecordView& r) {
    return std::optional(StoredRecord{{std::string(r.value), r.version, end_of(r.end)}, r.kind});
  };
  for (int restart = 0; restart < kMaxRestarts; ++restart) {
    Result<BucketState> state = co_await read(home, (*lease).span(), blank);
    if (!state.ok()) co_return state.status();
    if (*state == BucketState::unwritten) co_return co_await absent(blank);
    if (auto r = bucket.find(key)) co_return record_of(*r);
    const std::uint32_t reach = bucket.reach(), moves = bucket.moves();
    if (reach == 0) co_return co_await absent(blank);
    for (std::uint32_t i = 1; i <= reach; ++i) {
      state = co_await read(home + i, (*lease).span(), blank);
      if (!state.ok()) co_return state.status();
      if (*state == BucketState::unwritten) continue;
      if (auto r = bucket.find(key)) co_return record_of(*r);
    }
    // Did the record move from where we had yet to look to where we had looked? Then the home says
    // so.
    state = co_await read(home, (*lease).span(), blank);
    if (!state.ok()) co_return state.status();
    // It was written before: the device is another one, or a read went astray.
    if (*state == BucketState::unwritten) continue;
    if (auto r = bucket.find(key)) co_return record_of(*r);
    if (bucket.reach() == reach && bucket.moves() == moves) co_return co_await absent(blank);
  }
  co_return Status(Code::timed_out, fmt::format("bucket {} of {} changed under {} reads", home,
                                                device_.name(), kMaxRestarts));
}

}  // namespace scalio::client
