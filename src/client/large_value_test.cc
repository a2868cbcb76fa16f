// Large values as a client reads and writes them: a region and an SSD in memory, and a server that
// the test plays.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "client/get_trace.h"
#include "client/record_end.h"
#include "client/shard_client.h"
#include "client/timeouts.h"
#include "client/value_limit.h"
#include "client/value_stream.h"
#include "layout/bucket.h"
#include "layout/superblock.h"
#include "testing/held_device.h"
#include "testing/joined_shard.h"
#include "testing/local_connection.h"
#include "testing/memory_device.h"
#include "testing/test_bytes.h"
#include "testing/virtual_time.h"

namespace scalio::client {
namespace {

using layout::kPartSize;
using layout::Pointer;
using layout::RequestKind;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Written = Result<std::uint64_t>;

constexpr std::uint32_t kInlineLimit = 80;
constexpr std::uint64_t kSession = 9;
constexpr std::uint64_t kUpload = 77;
constexpr std::uint64_t kStoreTime = 1000 * kSecond;
constexpr std::string_view kKey = "a key";
const std::uint32_t kCapacity = layout::part_capacity(kKey.size());
const Expiry kAfterAnHour = Expiry::after(std::chrono::hours(1));
// To a change of an end with which the record is over the inline limit.
const Status kEndIsTooMuch(Code::too_large, "key and value have too many bytes");

layout::SsdGeometry geometry_of_ssd() {
  layout::SsdGeometry g;
  g.uuid.fill(7);
  g.inline_limit = kInlineLimit;
  g.value_size = 16 << 20;
  g.segment_size = 4 << 20;
  Result<layout::SsdGeometry> planned = layout::plan_ssd(g, 18 << 20, 64 << 10);
  SCALIO_ASSERT(planned.ok());
  return *planned;
}

std::string value_of(std::size_t size, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  return layout::random_text(random, size);
}

class LargeValueTest : public testing::Test {
 protected:
  LargeValueTest() : region_(blocks_.size()) {
    for (std::uint32_t i = 0; i < blocks_.read_slots; ++i) {
      store(region_.data() + blocks_.read_word(i), layout::ReadWord{}.pack());
    }
    for (const std::uint64_t at : {std::uint64_t{0}, ssd_.device_size - layout::kSuperblockSize}) {
      layout::encode_superblock(ByteSpan(contents_).subspan(at, layout::kSuperblockSize), ssd_);
    }
    link_ = std::make_unique<ShardLink>(
        time_,
        [this](const Bytes&, auto...) -> Task<Result<JoinedShard>> {
          Bytes hello;
          layout::HelloReply reply{session_, ssd_, blocks_, kSecond, kSecond, "", {}, store_time_};
          layout::encode(hello, reply);
          auto made = std::make_unique<fabric::LocalConnection>(time_, region_, std::move(hello));
          connection_ = made.get();
          co_return joined(std::move(made), fabric::kMaxCalls, features_);
        },
        options_);
    client_ = std::make_unique<ShardClient>(
        time_, *link_,
        [this](layout::HelloReply) -> Task<Result<OpenedSsd>> {
          auto device = std::make_unique<block::MemoryDevice>(time_, "ssd", ssd_.device_size, 512);
          device_ = device.get();
          std::ranges::copy(contents_, device->contents().begin());
          co_return OpenedSsd{std::move(device)};
        },
        options_);
  }
  ~LargeValueTest() override {
    link_->close();
    time_.run();
    EXPECT_EQ(time_.spawned(), 0U);
  }

  std::uint64_t point() const { return ssd_.point_of(kKey); }
  ByteSpan ssd() { return device_ != nullptr ? device_->contents() : ByteSpan(contents_); }

  // Writes a value's parts, from the first of a segment on.
  Pointer place(std::string_view value, std::uint64_t version, std::uint32_t segment,
                std::uint64_t sequence) {
    Pointer p{segment * ssd_.segment_size + layout::kSegmentHeader, sequence,
              static_cast<std::uint32_t>(value.size()), 0};
    std::vector<std::uint64_t> sums;
    for (std::uint32_t i = 0; i < layout::parts_of(p.length, kKey.size()); ++i) {
      const ByteView bytes = as_bytes(value.substr(std::size_t{i} * kCapacity, kCapacity));
      const layout::ValuePart part{sequence, version, i, p.length, kKey, bytes};
      const std::uint64_t at = p.offset + std::uint64_t{i} * kPartSize;
      sums.push_back(
          layout::encode(ssd().subspan(ssd_.value_offset() + at, kPartSize), part, at, ssd_));
    }
    p.checksum = layout::checksum_of_parts(sums, version);
    return p;
  }
  static std::string bytes_of(const Pointer& p) {
    std::string out(layout::kPointerSize, '\0');
    layout::encode(std::as_writable_bytes(std::span(out)), p);
    return out;
  }
  void merge(const Pointer& p, std::uint64_t version, std::uint64_t end = 0) {
    const std::string pointer = bytes_of(p);
    merge({kKey, pointer, version, layout::Kind::pointer, end});
  }
  void merge(const layout::RecordView& record) {
    const std::uint64_t number = ssd_.home_bucket(point());
    layout::Bucket bucket(ssd().subspan(ssd_.bucket_at(number), ssd_.bucket_size));
    bucket.clear(ssd_.store_id());
    bucket.append(record);
    bucket.seal(number);
  }
  // Puts it into the write slot, and kills what was cached, as a server does.
  void publish(const Pointer& p, std::uint64_t version) {
    for (std::uint32_t i = 0; i < blocks_.read_slots; ++i) {
      store(region_.data() + blocks_.read_word(i), layout::ReadWord{}.pack());
    }
    const std::string pointer = bytes_of(p);
    const std::uint32_t slot = blocks_.read_slots;
    const layout::WriteWord word{layout::WriteState::dirty, 1, layout::tag_of(point())};
    const std::uint32_t upper = layout::encode_slot(
        ByteSpan(region_).subspan(blocks_.body(slot), blocks_.slot_size),
        {kKey, pointer, version, layout::Kind::pointer}, layout::slot_place(0, slot, 1));
    store(region_.data() + blocks_.upper_checksum(0), upper);
    store(region_.data() + blocks_.write_word(0), word.pack());
  }

  Result<Record> get() { return time_.run(client_->get(kKey, point())); }
  // Another client of the shard, whose SSD reads what the test lets it read.
  std::unique_ptr<ShardClient> held_client(std::shared_ptr<PartTurns> turns,
                                           block::HeldDevice*& held) {
    const auto open = [this, &held](layout::HelloReply) -> Task<Result<OpenedSsd>> {
      auto device = std::make_unique<block::HeldDevice>(time_, ssd_.device_size);
      std::ranges::copy(ssd(), device->contents.begin());
      held = device.get();
      co_return OpenedSsd{std::move(device)};
    };
    return std::make_unique<ShardClient>(time_, *link_, open, options_, std::move(turns));
  }

  // What the played server has of the uploads, and how it answers.
  struct Server {
    std::map<std::uint32_t, std::string> parts;
    std::vector<RequestKind> kinds;
    std::size_t most_waiting = 0;
    std::uint32_t length = 0;
    std::uint64_t expected = 0;
    std::uint64_t end = 0;  // of the commit
    bool end_is_relative = false;
    int busy = 0;                     // so many requests are refused so
    Status time_answer;               // to the next question for the time, if not ok
    int busy_commits = 0;             // and so many commits, or puts
    std::set<std::uint64_t> commits;  // their sequences, and those of puts
    Status commit_answer;             // if not ok
    int conflicts = 0;                // so many commits meet another version
    // To changes of an end, each once; then they are done.
    std::deque<Status> end_answers;
  } server_;

  static Bytes encoded(const layout::Reply& reply) {
    Bytes out;
    layout::encode(out, reply);
    return out;
  }
  Bytes reply_to(const layout::Request& request) {
    server_.kinds.push_back(request.kind);
    if (request.kind == RequestKind::store_time) {
      const Status refused = server_.time_answer;
      server_.time_answer = Status();
      if (!refused.ok()) return encoded({refused.code(), 0, refused.message()});
      Bytes text;
      layout::encode(text, layout::StoreTime{kStoreTime + time_.now()});
      return encoded({Code::ok, 0, as_string(text)});
    }
    EXPECT_EQ(request.key, kKey);
    if (server_.busy > 0) {
      --server_.busy;
      return encoded({Code::busy, 0, "later"});
    }
    if (request.kind == RequestKind::set_end) return reply_to_set_end(request);
    if (request.kind == RequestKind::value_begin) {
      server_.length = layout::decode_value_begin(as_bytes(request.value))->length;
      Bytes upload;
      layout::encode(upload, layout::Upload{kUpload});
      return encoded({Code::ok, 5, as_string(upload)});
    }
    if (request.kind == RequestKind::value_part) {
      const auto part = *layout::decode_value_part(as_bytes(request.value));
      EXPECT_EQ(part.upload.id, kUpload);
      server_.parts[part.index] = as_string(part.bytes);
      return encoded({Code::ok, 0, {}});
    }
    if (layout::is_value_put(request.kind)) {
      server_.length = static_cast<std::uint32_t>(request.value.size());
      server_.parts = {{0, std::string(request.value)}};
    } else {
      EXPECT_EQ(layout::decode_upload(as_bytes(request.value))->id, kUpload);
    }
    if (layout::is_large_put(request.kind)) return reply_to_put(request);
    return encoded({Code::ok, 5, {}});
  }
  Bytes reply_to_put(const layout::Request& request) {
    server_.expected = request.expected;
    server_.commits.insert(request.sequence);
    if (server_.busy_commits > 0) {
      --server_.busy_commits;
      return encoded({Code::busy, 0, "parts of the value are under way"});
    }
    server_.end = request.end;
    server_.end_is_relative = request.end_is_relative;
    if (server_.conflicts > 0) {
      --server_.conflicts;
      return encoded({Code::conflict, 7, "the key's version is 7"});
    }
    if (!server_.commit_answer.ok()) {
      return encoded({server_.commit_answer.code(), 0, server_.commit_answer.message()});
    }
    return encoded({Code::ok, 5, {}});
  }
  Bytes reply_to_set_end(const layout::Request& request) {
    server_.expected = request.expected;
    if (!server_.end_answers.empty()) {
      const Status answer = server_.end_answers.front();
      server_.end_answers.pop_front();
      return encoded({answer.code(), 0, answer.message()});
    }
    Bytes update;
    layout::encode(update, layout::UpdateReply{});
    return encoded({Code::ok, 8, as_string(update)});
  }
  void answer_one() {
    server_.most_waiting = std::max(server_.most_waiting, connection_->waiting.size());
    Bytes reply = reply_to(*layout::decode_request(connection_->waiting.front().request));
    connection_->answer_oldest(std::move(reply));
    time_.run_ready();
  }
  // Answers until this is so; what does not come makes the test fail later.
  template <class F>
  void answer_until(F done) {
    for (int i = 0; i < 10'000 && !done(); ++i) {
      if (connection_->waiting.empty()) {
        time_.run_until(time_.now() + kMillisecond);
      } else {
        answer_one();
      }
    }
  }
  // Answers until nothing more comes, also after a while.
  void serve() {
    for (int idle = 0; idle < 3; ++idle) {
      for (; connection_ != nullptr && !connection_->waiting.empty(); idle = 0) answer_one();
      time_.run_until(time_.now() + kSecond / 5);
    }
  }
  std::string received() const {
    std::string all;
    for (const auto& [index, bytes] : server_.parts) all += bytes;
    return all;
  }
  Written put(std::string_view value, std::optional<std::uint64_t> expected = {},
              Expiry expiry = {}) {
    std::optional<Written> out;
    const auto length = static_cast<std::uint32_t>(value.size());
    time_.start(client_->write_large({kKey, length, expected, expiry}, value), out);
    serve();
    return *std::move(out);
  }
  Written set_end(std::uint64_t expected = 0) {
    std::optional<Written> out;
    time_.start(client_->set_end(kKey, point(), kAfterAnHour, expected), out);
    serve();
    return *std::move(out);
  }
  bool asked(RequestKind kind) const {
    return std::ranges::find(server_.kinds, kind) != server_.kinds.end();
  }

  VirtualTime time_;
  ClientOptions options_;
  const layout::SsdGeometry ssd_ = geometry_of_ssd();
  const layout::RegionGeometry blocks_{1, 2, 1, layout::slot_size_for(kInlineLimit)};
  Bytes region_;
  Bytes contents_ = Bytes(ssd_.device_size);
  std::uint64_t session_ = kSession;
  std::uint64_t store_time_ = kStoreTime;  // in hellos
  std::uint64_t features_ = layout::kMessageFeatures;
  fabric::LocalConnection* connection_ = nullptr;
  block::MemoryDevice* device_ = nullptr;
  std::unique_ptr<ShardLink> link_;
  std::unique_ptr<ShardClient> client_;
};

// A server of this release, and one that takes a value in parts only.
class LargeValueOfEachReleaseTest : public LargeValueTest,
                                    public testing::WithParamInterface<bool> {
 protected:
  LargeValueOfEachReleaseTest() { features_ = whole() ? layout::kMessageFeatures : 0; }
  bool whole() const { return GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(, LargeValueOfEachReleaseTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "InOneMessage" : "InParts"; });

TEST_F(LargeValueTest, IsReadOnAMissAndThenByTheCachedPointer) {
  // A short last part is read with the one before it.
  const std::uint32_t longest_end = PartTurns::kShortEnd - (kPartSize - kCapacity);
  const std::vector<std::pair<std::uint32_t, std::uint64_t>> lengths_and_reads = {
      {1, 1},
      {kInlineLimit, 1},
      {kCapacity - 1, 1},
      {kCapacity, 1},
      {kCapacity + 1, 1},
      {kCapacity + longest_end, 1},
      {kCapacity + longest_end + 1, 2},
      {ValueStream::kAhead * kCapacity, ValueStream::kAhead},
      {ValueStream::kAhead * kCapacity + 1, ValueStream::kAhead},
      {1 << 20, 16},
      {30 * kCapacity + 5, 30}};
  std::uint64_t version = 1;
  for (const auto& [length, reads] : lengths_and_reads) {
    SCOPED_TRACE(length);
    ++version;
    const std::string value = value_of(length, length);
    merge(place(value, version, 1, version), version);
    store(region_.data() + blocks_.read_word(0), layout::ReadWord{}.pack());
    store(region_.data() + blocks_.read_word(1), layout::ReadWord{}.pack());
    const ClientCounters before = client_->counters();
    const Result<Record> missed = get();
    ASSERT_TRUE(missed.ok()) << missed.status().to_string();
    EXPECT_EQ(missed->version, version);
    EXPECT_TRUE(missed->value == value);
    const ClientCounters miss = client_->counters();
    const std::uint64_t parts = layout::parts_of(length, kKey.size());
    EXPECT_EQ(miss.fills - before.fills, 1U);
    EXPECT_EQ(miss.ssd_reads - before.ssd_reads, reads + 1) << "and the bucket's";
    const Result<Record> found = get();
    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(found->value == value);
    const ClientCounters hit = client_->counters();
    EXPECT_EQ(hit.hits - miss.hits, 1U);
    EXPECT_EQ(hit.ssd_reads - miss.ssd_reads, reads);
    EXPECT_EQ(hit.parts_read - before.parts_read, 2 * parts);
    EXPECT_EQ(hit.large_gets - before.large_gets, 2U);
  }
}

TEST_F(LargeValueTest, HasTheEndOfItsRecordAndIsNotReadBehindThat) {
  const std::string value = value_of(3 * kCapacity);
  const Pointer p = place(value, 6, 1, 3);
  const std::uint64_t end = kStoreTime + 3600 * kSecond;
  merge(p, 6, end);
  for (int i = 0; i < 2; ++i) {
    const Result<Record> record = get();
    ASSERT_TRUE(record.ok()) << record.status().to_string();
    EXPECT_TRUE(record->value == value);
    EXPECT_EQ(end_of(record->end), end) << "missed, or hit: " << i;
  }
  EndTime told;
  const PartSink sink = [&told](const PartView& part) -> Task<Status> {
    told = part.end;
    co_return Status();
  };
  EXPECT_TRUE(time_.run(client_->get_parts(kKey, point(), sink, 0)).ok());
  EXPECT_EQ(end_of(told), end);

  const std::uint64_t parts = client_->counters().parts_read;
  merge(p, 6, 1);
  for (std::uint32_t i = 0; i < blocks_.read_slots; ++i)
    store(region_.data() + blocks_.read_word(i), layout::ReadWord{}.pack());
  for (int i = 0; i < 2; ++i) {
    std::optional<Result<Record>> out;
    time_.start(client_->get(kKey, point()), out);
    serve();
    EXPECT_EQ(out->code(), Code::not_found) << "missed, or hit: " << i;
  }
  EXPECT_EQ(client_->counters().parts_read, parts);
}

// As while a server stops: another one will tell.
TEST_F(LargeValueTest, ThatTheTimeIsNotToldNowIsNotWhatAGetAnswers) {
  merge(place(value_of(1000), 6, 1, 3), 6, 1);
  for (const Code code : {Code::busy, Code::unavailable}) {
    server_.kinds.clear();
    // Nothing is known of the time on a connection that could not tell it at first.
    if (connection_ != nullptr) connection_->lose(Status(code, "gone"));
    store_time_ = 0;
    server_.time_answer = Status(code, "the server is stopping");
    std::optional<Result<Record>> out;
    time_.start(client_->get(kKey, point()), out);
    serve();
    ASSERT_TRUE(out.has_value());
    EXPECT_EQ(out->code(), Code::not_found) << out->status().to_string();
    EXPECT_GT(server_.kinds.size(), 1U);
  }
}

TEST_F(LargeValueTest, EachReadOfItAndTheQuestionForTheTimeAreTraced) {
  const Pointer p = place(value_of(3 * kCapacity), 6, 1, 3);
  merge(p, 6);
  ASSERT_TRUE(get().ok());
  const auto trace_get = [&](Code code) {
    GetTrace trace(time_.now());
    std::optional<Result<Record>> out;
    time_.start(client_->traced_get(kKey, point(), trace), out);
    serve();
    EXPECT_TRUE(out.has_value() && out->code() == code);
    std::vector<std::string> did;
    for (const GetTrace::Step& step : trace.steps()) did.push_back(step.did);
    return did;
  };
  const std::uint64_t before = client_->counters().ssd_reads;
  const std::vector<std::string> hit = trace_get(Code::ok);
  EXPECT_THAT(hit, Contains(HasSubstr(fmt::format("at offset {} of the values", p.offset))));
  EXPECT_THAT(hit, Contains(StartsWith("SSD read of "))
                       .Times(static_cast<int>(client_->counters().ssd_reads - before)));

  merge(p, 6, 1);
  for (std::uint32_t i = 0; i < blocks_.read_slots; ++i)
    store(region_.data() + blocks_.read_word(i), layout::ReadWord{}.pack());
  connection_->lose(Status(Code::busy, "gone"));
  store_time_ = 0;
  server_.time_answer = Status(Code::busy, "the server is stopping");
  EXPECT_THAT(trace_get(Code::not_found), Contains(HasSubstr("request to the server: its time")));
}

TEST_F(LargeValueTest, ItsEndComesWithItsCommit) {
  const std::string value = value_of(1000);
  ASSERT_TRUE(put(value).ok());
  EXPECT_EQ(server_.end, 0U);
  ASSERT_TRUE(put(value, {}, Expiry::at(end_of(12345))).ok());
  EXPECT_EQ(server_.end, 12345U);
  EXPECT_FALSE(server_.end_is_relative);
  ASSERT_TRUE(put(value, 7, Expiry::after(std::chrono::seconds(2))).ok());
  EXPECT_EQ(server_.end, 2 * kSecond);
  EXPECT_TRUE(server_.end_is_relative);
  EXPECT_EQ(server_.expected, 7U);
}

TEST_F(LargeValueTest, ThatIsDamagedIsCorrupt) {
  const std::string value = value_of(3 * kCapacity);
  const Pointer p = place(value, 6, 1, 3);
  merge(p, 6);
  ASSERT_TRUE(get().ok());
  // A part's bytes, and one that is another value's, intact: of another version, key or filling.
  const std::size_t second = ssd_.value_offset() + p.offset + kPartSize;
  ssd()[second + 1000] ^= std::byte{1};
  EXPECT_EQ(get().code(), Code::corrupt);
  ssd()[second + 1000] ^= std::byte{1};
  ASSERT_TRUE(get().ok());
  const layout::ValuePart part{
      p.sequence, 6,    1,
      p.length,   kKey, as_bytes(std::string_view(value)).subspan(kCapacity, kCapacity)};
  const auto forge = [&](layout::ValuePart forged) {
    layout::encode(ssd().subspan(second, kPartSize), forged, p.offset + kPartSize, ssd_);
    const Result<Record> record = get();
    EXPECT_EQ(record.code(), Code::corrupt) << record.status().message();
    layout::encode(ssd().subspan(second, kPartSize), part, p.offset + kPartSize, ssd_);
    EXPECT_TRUE(get().ok());
  };
  layout::ValuePart forged = part;
  forged.version = 5;
  forge(forged);
  forged = part;
  forged.sequence = 2;
  forge(forged);
  forged = part;
  forged.key = "b key";
  forge(forged);
  forged = part;
  forged.index = 0;
  forge(forged);
  forged = part;
  forged.length += kCapacity;
  forge(forged);
  // All parts are intact, and yet together not what the pointer says.
  forged = part;
  const std::string other = value_of(kCapacity, 8);
  forged.bytes = as_bytes(other);
  forge(forged);
}

TEST_F(LargeValueTest, WhosePointerLeadsNowhereIsCorrupt) {
  const std::vector<std::uint64_t> nowhere = {0, 512, ssd_.value_size, ssd_.device_size,
                                              ~0ULL - 511};
  for (const std::uint64_t offset : nowhere) {
    merge({offset, 1, 1000, 0}, 6);
    EXPECT_EQ(get().code(), Code::corrupt) << offset;
    store(region_.data() + blocks_.read_word(0), layout::ReadWord{}.pack());
    store(region_.data() + blocks_.read_word(1), layout::ReadWord{}.pack());
  }
}

// What a sink got, and what it does when it has so many bytes.
struct Sunk {
  std::string bytes;
  std::vector<std::uint64_t> offsets;
  std::uint64_t length = 0;
  std::function<Status()> then = [] { return Status(); };
  std::size_t after = 0;

  PartSink sink() {
    return [this](const PartView& part) -> Task<Status> {
      bytes += part.bytes;
      offsets.push_back(part.offset);
      length = part.length;
      if (bytes.size() < after) co_return Status();
      co_return std::exchange(then, [] { return Status(); })();
    };
  }
};

TEST_F(LargeValueTest, ComesInPartsFromAnyByteOn) {
  const std::string value = value_of(5 * kCapacity + 9);
  merge(place(value, 6, 1, 3), 6);
  for (const std::uint64_t from :
       {std::size_t{0}, std::size_t{1}, std::size_t{kCapacity}, 3 * std::size_t{kCapacity} + 7,
        value.size() - 1, value.size(), value.size() + 1}) {
    SCOPED_TRACE(from);
    Sunk sunk;
    const ClientCounters before = client_->counters();
    const Written version = time_.run(client_->get_parts(kKey, point(), sunk.sink(), from));
    ASSERT_TRUE(version.ok()) << version.status().to_string();
    EXPECT_EQ(*version, 6U);
    EXPECT_EQ(sunk.length, value.size());
    const std::uint64_t begin = std::min<std::uint64_t>(from, value.size());
    EXPECT_TRUE(sunk.bytes == value.substr(begin));
    EXPECT_EQ(sunk.offsets.front(), begin);
    const std::uint64_t parts = begin == value.size() ? 0 : 6 - begin / kCapacity;
    EXPECT_EQ(client_->counters().parts_read - before.parts_read, parts);
  }
}

TEST_F(LargeValueTest, IsNotReadToItsEndForASinkThatFails) {
  const std::string value = value_of(30 * kCapacity);
  merge(place(value, 6, 1, 3), 6);
  Sunk sunk;
  sunk.then = [] { return Status(Code::io_error, "enough"); };
  EXPECT_EQ(time_.run(client_->get_parts(kKey, point(), sunk.sink(), 0)).status().message(),
            "enough");
  EXPECT_EQ(sunk.bytes.size(), kCapacity);
  EXPECT_LE(client_->counters().parts_read, 1 + ValueStream::kAhead);
}

TEST_F(LargeValueTest, ThatIsMovedWhileItIsReadGoesOn) {
  const std::string value = value_of(30 * kCapacity);
  merge(place(value, 6, 1, 3), 6);
  Sunk sunk;
  sunk.after = 5 * kCapacity;
  sunk.then = [&] {
    publish(place(value, 6, 2, 4), 6);
    place(value_of(30 * kCapacity, 2), 7, 1, 5);  // its place is used again
    return Status();
  };
  const Written version = time_.run(client_->get_parts(kKey, point(), sunk.sink(), 0));
  ASSERT_TRUE(version.ok()) << version.status().to_string();
  EXPECT_TRUE(sunk.bytes == value);
}

TEST_F(LargeValueTest, ThatIsOverwrittenWhileItIsReadIsAConflict) {
  const std::string value = value_of(30 * kCapacity), later = value_of(30 * kCapacity, 2);
  merge(place(value, 6, 1, 3), 6);
  Sunk sunk;
  sunk.after = 5 * kCapacity;
  sunk.then = [&] {
    publish(place(later, 7, 1, 4), 7);
    return Status();
  };
  EXPECT_EQ(time_.run(client_->get_parts(kKey, point(), sunk.sink(), 0)).code(), Code::conflict);
  EXPECT_TRUE(value.starts_with(sunk.bytes));
  EXPECT_TRUE(get()->value == later) << "as a whole it is read anew";
}

// The pointer is in a client's hands when its place is used again.
TEST_F(LargeValueTest, ThatIsReadWithAnOldPointerIsLookedForAgain) {
  const std::string value = value_of(3 * kCapacity), later = value_of(4 * kCapacity, 2);
  merge(place(value, 6, 1, 3), 6);
  ASSERT_TRUE(get().ok());
  std::optional<Result<Record>> out;
  // All of the turns are taken, so it waits with its pointer.
  auto turns = std::make_shared<PartTurns>(time_);
  ShardClient client(
      time_, *link_,
      [&](layout::HelloReply) -> Task<Result<OpenedSsd>> {
        auto device = std::make_unique<block::MemoryDevice>(time_, "ssd", ssd_.device_size, 512);
        std::ranges::copy(ssd(), device->contents().begin());
        device_ = device.get();
        co_return OpenedSsd{std::move(device)};
      },
      options_, turns);
  for (std::size_t i = 0; i < PartTurns::kReads; ++i) time_.spawn(turns->reads.take());
  time_.start(client.get(kKey, point()), out);
  time_.run_ready();
  publish(place(later, 7, 1, 4), 7);
  EXPECT_FALSE(out.has_value());
  for (std::size_t i = 0; i < PartTurns::kReads; ++i) turns->reads.give_back();
  time_.run();
  ASSERT_TRUE(out.has_value() && out->ok()) << out->status().to_string();
  EXPECT_EQ((*out)->version, 7U);
  EXPECT_TRUE((*out)->value == later);
}

TEST_F(LargeValueTest, IsSentInOneMessageIfItFits) {
  for (const std::uint32_t length : {kInlineLimit, kCapacity, kCapacity + 1, 2 * kCapacity}) {
    server_ = {};
    const std::uint64_t before = client_->counters().parts_written;
    const std::string value = value_of(length);
    const Written version = put(value);
    ASSERT_TRUE(version.ok()) << version.status().to_string();
    EXPECT_EQ(*version, 5U);
    EXPECT_TRUE(received() == value);
    EXPECT_EQ(server_.kinds, std::vector<RequestKind>{RequestKind::value_put});
    EXPECT_EQ(client_->counters().parts_written - before, layout::parts_of(length, kKey.size()));
  }
}

TEST_F(LargeValueTest, ThatComesInPiecesIsSentInOneMessageIfItFits) {
  const std::string value = value_of(2 * kCapacity);
  std::size_t at = 0, most = 0;
  const PartSource source = [&](std::span<char> part) -> Task<Status> {
    std::copy_n(value.data() + at, part.size(), part.data());
    at += part.size();
    most = std::max(most, part.size());
    co_return Status();
  };
  std::optional<Written> out;
  time_.start(client_->put_parts({kKey, 2 * kCapacity, {}}, source), out);
  serve();
  ASSERT_TRUE(out.has_value() && out->ok());
  EXPECT_TRUE(received() == value);
  EXPECT_EQ(server_.kinds, std::vector<RequestKind>{RequestKind::value_put});
  EXPECT_EQ(most, kCapacity);
}

TEST_F(LargeValueTest, InOneMessageIsSentAgainInItsSession) {
  const std::string value = value_of(kCapacity);
  std::optional<Written> out;
  time_.start(client_->write_large({kKey, kCapacity, {}}, value), out);
  time_.run_ready();
  ASSERT_EQ(connection_->waiting.size(), 1U);
  reply_to(*layout::decode_request(connection_->waiting.front().request));  // and it is lost
  connection_->lose(Status(Code::unavailable, "gone"));
  serve();
  ASSERT_TRUE(out.has_value() && out->ok()) << out->status().to_string();
  EXPECT_EQ(server_.kinds.size(), 2U);
  EXPECT_EQ(server_.commits.size(), 1U) << "as the same write";
}

// Which may be with a server that does not understand it.
TEST_F(LargeValueTest, InOneMessageIsNotSentInAnotherSession) {
  const std::string value = value_of(kCapacity);
  std::optional<Written> out;
  time_.start(client_->write_large({kKey, kCapacity, {}}, value), out);
  time_.run_ready();
  ASSERT_EQ(connection_->waiting.size(), 1U);
  ++session_;
  features_ = 0;
  connection_->lose(Status(Code::unavailable, "gone"));
  serve();
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->code(), Code::unknown);
  EXPECT_TRUE(server_.kinds.empty());
  EXPECT_TRUE(put(value).ok());
  EXPECT_EQ(server_.kinds.front(), RequestKind::value_begin) << "by what that server knows";
}

TEST_F(LargeValueTest, IsSentInPartsAndThenCommitted) {
  features_ = 0;
  for (const std::uint32_t length : {kInlineLimit, kCapacity, kCapacity + 1, 40 * kCapacity + 3}) {
    server_ = {};
    const std::string value = value_of(length);
    const Written version = put(value);
    ASSERT_TRUE(version.ok()) << version.status().to_string();
    EXPECT_EQ(*version, 5U);
    EXPECT_EQ(server_.length, length);
    EXPECT_TRUE(received() == value);
    EXPECT_LE(server_.most_waiting, ValueUpload::kAhead);
    EXPECT_EQ(server_.kinds.front(), RequestKind::value_begin);
    EXPECT_EQ(server_.kinds.back(), RequestKind::value_commit);
    EXPECT_EQ(server_.kinds.size(), layout::parts_of(length, kKey.size()) + 2);
  }
}

TEST_F(LargeValueTest, IsSentAgainWhereTheServerIsBusy) {
  const std::string value = value_of(20 * kCapacity);
  server_.busy = 13;
  ASSERT_TRUE(put(value).ok());
  EXPECT_TRUE(received() == value);
  EXPECT_EQ(server_.kinds.size(), 22 + 13U);
}

TEST_F(LargeValueTest, IsSentInPartsIfItDoesNotFitAMessage) {
  const std::string value = value_of(2 * kCapacity + 1);
  ASSERT_TRUE(put(value).ok());
  EXPECT_TRUE(received() == value);
  EXPECT_EQ(server_.kinds.front(), RequestKind::value_begin);
  EXPECT_EQ(server_.kinds.back(), RequestKind::value_commit);
}

TEST_P(LargeValueOfEachReleaseTest, SaysWhyTheServerWasBusyUntilItsTimeout) {
  server_.busy = 1'000'000;
  const std::string value = value_of(kCapacity);
  std::optional<Written> out;
  time_.start(client_->write_large({kKey, kCapacity, {}}, value), out);
  for (int i = 0; i < 10'000 && !out; ++i) {
    time_.run_until(time_.now() + 5 * kMillisecond);
    while (!connection_->waiting.empty()) answer_one();
  }
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->code(), Code::timed_out);
  EXPECT_NE(out->status().message().find("; the server was busy: later"), std::string::npos)
      << out->status().message();
}

// Each time as another write: what was answered once is answered so again.
TEST_P(LargeValueOfEachReleaseTest, ItsWriteIsSentAgainWhereTheServerIsBusy) {
  const std::string value = value_of(2 * kCapacity);
  server_.busy_commits = 3;
  ASSERT_TRUE(put(value).ok());
  EXPECT_TRUE(received() == value);
  EXPECT_EQ(server_.kinds.size(), whole() ? 4U : 1 + 2 + 4U) << "the parts are not";
  EXPECT_EQ(server_.commits.size(), 4U);
}

TEST_P(LargeValueOfEachReleaseTest, MayBeConditional) {
  const std::string value = value_of(kCapacity);
  ASSERT_TRUE(put(value, 4).ok());
  EXPECT_EQ(server_.kinds.back(),
            whole() ? RequestKind::value_put_if : RequestKind::value_commit_if);
  EXPECT_EQ(server_.expected, 4U);
  server_.commit_answer = Status(Code::conflict, "the version is 5");
  EXPECT_EQ(put(value, 4).code(), Code::conflict);
}

// What a small value becomes by an end that its record has no room for.
TEST_P(LargeValueOfEachReleaseTest, MayBeASmallOneThatGetsAnEnd) {
  const std::string value = value_of(kInlineLimit - kKey.size());
  for (const std::uint64_t expected : {0, 6}) {
    server_ = {};
    merge({kKey, value, 6});
    server_.end_answers = {kEndIsTooMuch};
    const Written done = set_end(expected);
    ASSERT_TRUE(done.ok()) << done.status().to_string();
    EXPECT_EQ(*done, 5U) << "the version of the commit";
    std::vector<RequestKind> kinds = {RequestKind::set_end, RequestKind::value_put_if};
    if (!whole()) {
      kinds = {RequestKind::set_end, RequestKind::value_begin, RequestKind::value_part,
               RequestKind::value_commit_if};
    }
    EXPECT_EQ(server_.kinds, kinds);
    EXPECT_EQ(received(), value);
    EXPECT_EQ(server_.expected, 6U) << "the version that was read";
    EXPECT_EQ(server_.end, 3600 * kSecond);
    EXPECT_TRUE(server_.end_is_relative);
  }
}

TEST_P(LargeValueOfEachReleaseTest, IsNotMadeOfASmallOneThatWasWrittenMeanwhile) {
  merge({kKey, value_of(kInlineLimit - kKey.size()), 6});
  server_.end_answers = {kEndIsTooMuch};
  server_.conflicts = 1;
  const Written done = set_end();
  ASSERT_TRUE(done.ok()) << done.status().to_string();
  EXPECT_EQ(*done, 8U) << "the server's own, when it was asked again";
  EXPECT_EQ(server_.kinds.back(), RequestKind::set_end);
  // Another version than is expected, or a large value: the server says it, without an upload.
  for (const std::uint64_t version : {4, 0}) {
    server_ = {};
    server_.end_answers = {kEndIsTooMuch, Status(Code::conflict, "the version is 6")};
    if (version == 0) merge(place(value_of(kCapacity), 6, 1, 3), 6);
    store(region_.data() + blocks_.read_word(0), layout::ReadWord{}.pack());
    store(region_.data() + blocks_.read_word(1), layout::ReadWord{}.pack());
    EXPECT_EQ(set_end(version).code(), Code::conflict);
    EXPECT_EQ(server_.kinds, std::vector<RequestKind>(2, RequestKind::set_end));
  }
}

TEST_F(LargeValueTest, IsNotMadeOfWhatIsGone) {
  merge({"b key", "value", 6});
  server_.end_answers = {kEndIsTooMuch};
  EXPECT_EQ(set_end().code(), Code::not_found);
  EXPECT_EQ(server_.kinds, std::vector<RequestKind>{RequestKind::set_end});
}

TEST_P(LargeValueOfEachReleaseTest, OfASmallOneIsNotTriedAgainIfItsOutcomeIsUnknown) {
  merge({kKey, value_of(kInlineLimit - kKey.size()), 6});
  server_.end_answers = {kEndIsTooMuch};
  std::optional<Written> out;
  time_.start(client_->set_end(kKey, point(), kAfterAnHour, 0), out);
  time_.run_ready();
  const RequestKind before = whole() ? RequestKind::set_end : RequestKind::value_part;
  answer_until([&] { return asked(before) && !connection_->waiting.empty(); });
  ++session_;
  connection_->lose(Status(Code::unavailable, "gone"));  // the put is under way, or the commit
  serve();
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->code(), Code::unknown);
  EXPECT_EQ(server_.kinds.back(), before) << "nothing was sent after it";
}

TEST_P(LargeValueOfEachReleaseTest, OfASmallOneIsTriedForABoundedTime) {
  merge({kKey, value_of(kInlineLimit - kKey.size()), 6});
  std::optional<Written> out;
  time_.start(client_->set_end(kKey, point(), kAfterAnHour, 0), out);
  time_.run_ready();
  for (int seconds = 0; !out && seconds < 60; ++seconds) {
    server_.end_answers = {kEndIsTooMuch};
    server_.conflicts = 1;
    answer_until([&] { return server_.conflicts == 0; });
    time_.run_until(time_.now() + kSecond);
  }
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->code(), Code::unknown) << "a change of the end is under way";
}

TEST_F(LargeValueTest, GoesOnAfterALostConnectionInTheSameSession) {
  const std::string value = value_of(20 * kCapacity);
  std::optional<Written> out;
  time_.start(client_->write_large({kKey, 20 * kCapacity, {}}, value), out);
  time_.run_ready();
  for (int i = 0; i < 5; ++i) answer_one();
  connection_->lose(Status(Code::unavailable, "gone"));
  serve();
  ASSERT_TRUE(out.has_value() && out->ok()) << out->status().to_string();
  EXPECT_TRUE(received() == value);
}

// The upload's number means something else in another session.
TEST_F(LargeValueTest, IsNotGoneOnWithInAnotherSession) {
  for (const int answered : {5, 21}) {
    const std::string value = value_of(20 * kCapacity);
    server_ = {};
    std::optional<Written> out;
    time_.start(client_->write_large({kKey, 20 * kCapacity, {}}, value), out);
    time_.run_ready();
    for (int i = 0; i < answered; ++i) answer_one();
    const std::size_t before = server_.kinds.size();
    ++session_;
    connection_->lose(Status(Code::unavailable, "gone"));
    serve();
    ASSERT_TRUE(out.has_value());
    // After all parts the commit was under way.
    EXPECT_EQ(out->code(), answered == 5 ? Code::unavailable : Code::unknown);
    EXPECT_EQ(server_.kinds.size(), before) << "nothing was sent on the other session";
  }
}

TEST_F(LargeValueTest, TheServerGivesUpIsUnavailable) {
  server_.commit_answer = Status(Code::invalid, "no such upload");
  EXPECT_EQ(put(value_of(3 * kCapacity)).code(), Code::unavailable);
}

TEST_F(LargeValueTest, ThatIsNotSentInTimeIsGivenBack) {
  const std::string value = value_of(20 * kCapacity);
  std::optional<Written> out;
  time_.start(client_->write_large({kKey, 20 * kCapacity, {}}, value), out);
  time_.run_ready();
  for (int i = 0; i < 5; ++i) answer_one();
  time_.run_until(time_.now() + 11 * kSecond);
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->code(), Code::timed_out);
  serve();
  EXPECT_TRUE(asked(RequestKind::value_abandon));
  EXPECT_FALSE(asked(RequestKind::value_commit));
  // And its turns are there again.
  server_ = {};
  EXPECT_TRUE(put(value).ok());
}

TEST_F(LargeValueTest, IsMadeByASourcePartByPart) {
  const std::string value = value_of(20 * kCapacity + 1);
  std::size_t at = 0, most = 0;
  const PartSource source = [&](std::span<char> part) -> Task<Status> {
    std::copy_n(value.data() + at, part.size(), part.data());
    at += part.size();
    most = std::max(most, at - received().size());
    co_return Status();
  };
  std::optional<Written> out;
  time_.start(client_->put_parts({kKey, static_cast<std::uint32_t>(value.size()), {}}, source),
              out);
  serve();
  ASSERT_TRUE(out.has_value() && out->ok());
  EXPECT_TRUE(received() == value);
  EXPECT_LE(most, (ValueUpload::kAhead + 1) * kCapacity);
}

TEST_F(LargeValueTest, WhoseSourceFailsIsGivenBack) {
  int left = 12;
  const PartSource source = [&](std::span<char>) -> Task<Status> {
    if (--left > 0) co_return Status();
    // What the server would mean by it is another thing.
    co_return Status(Code::invalid, "no more");
  };
  std::optional<Written> out;
  time_.start(client_->put_parts({kKey, 20 * kCapacity, {}}, source), out);
  serve();
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->code(), Code::invalid);
  EXPECT_EQ(out->status().message(), "no more");
  EXPECT_TRUE(asked(RequestKind::value_abandon));
  EXPECT_FALSE(asked(RequestKind::value_commit));
}

// However many there are: what is under way has its bound, and each gets on.
TEST_F(LargeValueTest, ManyTakeTurns) {
  constexpr std::size_t kMany = 40;
  const std::string value = value_of(6 * kCapacity);
  merge(place(value, 6, 1, 3), 6);
  std::vector<std::optional<Result<Record>>> got(kMany);
  std::vector<std::optional<Written>> put(kMany);
  for (auto& out : got) time_.start(client_->get(kKey, point()), out);
  for (auto& out : put) time_.start(client_->write_large({kKey, 6 * kCapacity, {}}, value), out);
  serve();
  EXPECT_LE(server_.most_waiting, PartTurns::kSends + PartTurns::kUploads);
  for (const auto& out : got) EXPECT_TRUE(out.has_value() && out->ok() && (*out)->value == value);
  for (const auto& out : put) EXPECT_TRUE(out.has_value() && out->ok());
}

template <class T>
bool all_ended(const std::vector<std::optional<T>>& outcomes) {
  return std::ranges::all_of(outcomes, [](const auto& out) { return out.has_value(); });
}

// Each has its time from its turn on: all together may take longer.
TEST_P(LargeValueOfEachReleaseTest, ManyAreSentForLongerThanOneMayTake) {
  const std::string value = value_of(2 * kCapacity);
  std::vector<std::optional<Written>> put(100);
  for (auto& out : put) time_.start(client_->write_large({kKey, 2 * kCapacity, {}}, value), out);
  const Nanos began = time_.now();
  time_.run_ready();
  for (int i = 0; i < 10'000 && !all_ended(put); ++i) {
    if (!connection_->waiting.empty()) answer_one();
    time_.run_until(time_.now() + 200 * kMillisecond);
  }
  EXPECT_GT(time_.now() - began, to_nanos(options_.operation_timeout)) << "or it tests nothing";
  for (const auto& out : put) {
    ASSERT_TRUE(out.has_value());
    EXPECT_TRUE(out->ok()) << out->status().to_string();
  }
}

TEST_P(LargeValueOfEachReleaseTest, ManyThatASilentServerIsSentEndInTime) {
  const std::string value = value_of(2 * kCapacity);
  std::vector<std::optional<Written>> put(40);
  for (auto& out : put) time_.start(client_->write_large({kKey, 2 * kCapacity, {}}, value), out);
  time_.run_until(time_.now() + 2 * to_nanos(options_.operation_timeout) + kSecond);
  EXPECT_LE(connection_->waiting.size(), PartTurns::kSends);
  for (const auto& out : put) {
    ASSERT_TRUE(out.has_value());
    // Of a put that was sent nobody knows whether it is done.
    const bool sent = whole() && &out < &put[PartTurns::kSends];
    EXPECT_EQ(out->code(), sent ? Code::unknown : Code::timed_out);
  }
  serve();
  server_ = {};
  EXPECT_TRUE(this->put(value).ok()) << "their turns are there again";
}

TEST_F(LargeValueTest, ManyAreReadForLongerThanOneMayTake) {
  const std::string value = value_of(kCapacity);
  publish(place(value, 6, 1, 3), 6);
  block::HeldDevice* held = nullptr;
  const auto client = held_client(nullptr, held);
  std::vector<std::optional<Result<Record>>> got(60);
  const Nanos began = time_.now();
  for (auto& out : got) time_.start(client->get(kKey, point()), out);
  time_.run_ready();
  for (int i = 0; i < 1000 && !all_ended(got); ++i) {
    EXPECT_LE(held->held.size(), PartTurns::kReads);
    if (!held->held.empty()) held->end_oldest();
    time_.run_until(time_.now() + 200 * kMillisecond);
  }
  EXPECT_GT(time_.now() - began, to_nanos(options_.operation_timeout)) << "or it tests nothing";
  for (const auto& out : got) {
    ASSERT_TRUE(out.has_value());
    EXPECT_TRUE(out->ok()) << out->status().to_string();
  }
}

TEST_F(LargeValueTest, OfAnSsdThatHangsHoldUpThoseOfNoOther) {
  const std::string value = value_of(8 * kCapacity);
  publish(place(value, 6, 1, 3), 6);
  SsdTurns turns(time_);
  EXPECT_EQ(turns.of(0), turns.of(0));
  block::HeldDevice *hung = nullptr, *other = nullptr;
  const auto of_hung = held_client(turns.of(0), hung), of_other = held_client(turns.of(1), other);
  std::vector<std::optional<Result<Record>>> stuck(5);
  for (auto& out : stuck) time_.start(of_hung->get(kKey, point()), out);
  time_.run_ready();
  ASSERT_EQ(hung->held.size(), PartTurns::kReads) << "all its turns are taken";
  std::optional<Result<Record>> got;
  time_.start(of_other->get(kKey, point()), got);
  time_.run_ready();
  ASSERT_EQ(other == nullptr ? 0 : other->held.size(), 8U);
  while (!other->held.empty()) other->end_oldest();
  time_.run_ready();
  ASSERT_TRUE(got.has_value() && got->ok());
  EXPECT_TRUE((*got)->value == value);
  // And these end in time, also the one that has no turn.
  time_.run_until(time_.now() + to_nanos(options_.operation_timeout) + kSecond);
  for (const auto& out : stuck) {
    ASSERT_TRUE(out.has_value());
    EXPECT_EQ(out->code(), Code::timed_out);
  }
  while (!hung->held.empty()) {
    hung->end_oldest();
    time_.run_ready();
  }
}

// Whoever writes it again and again keeps nobody from his answer for ever.
TEST_F(LargeValueTest, ThatIsOverwrittenAgainAndAgainIsReadForABoundedTime) {
  const std::string value = value_of(kCapacity);
  publish(place(value, 6, 1, 3), 6);
  block::HeldDevice* held = nullptr;
  const auto client = held_client(nullptr, held);
  std::optional<Result<Record>> got;
  time_.start(client->get(kKey, point()), got);
  time_.run_ready();
  // What its reads find is not any of the values.
  std::ranges::fill(
      std::span(held->contents).subspan(ssd_.value_offset() + ssd_.segment_size, kPartSize),
      std::byte{1});
  for (std::uint64_t version = 7; version < 100 && !got; ++version) {
    publish(place(value, version, 1, version), version);
    if (!held->held.empty()) held->end_oldest();
    time_.run_until(time_.now() + kSecond);
  }
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->code(), Code::timed_out) << got->status().to_string();
}

TEST(LongestLargeValue, FitsASegmentAndItsPointerTheInlineLimit) {
  layout::SsdGeometry ssd = geometry_of_ssd();
  const std::uint64_t room = ssd.segment_size - layout::kSegmentHeader;
  for (const std::size_t key : {std::size_t{1}, std::size_t{kInlineLimit - 28}}) {
    const std::uint32_t most = longest_large_value(key, ssd);
    EXPECT_LE(layout::stored_size(most, key, ssd.block_size), room);
    EXPECT_GT(layout::stored_size(most + 1, key, ssd.block_size), room);
  }
  EXPECT_EQ(longest_large_value(kInlineLimit - 27, ssd), 0U);
  ssd.segment_size = 128 << 20;
  EXPECT_EQ(longest_large_value(1, ssd), layout::kMaxValue);
  ssd.value_size = 0;
  EXPECT_EQ(longest_large_value(1, ssd), 0U);
}

TEST(FairTurns, AreGivenInTheOrderInWhichTheyWereAskedFor) {
  VirtualTime time;
  FairTurns turns(time, 2);
  std::string order;
  const auto work = [&](char name) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      co_await turns.take();
      const FairTurns::Turn turn(turns);
      order += name;
      co_await time.yield();
    }
  };
  for (const char name : {'a', 'b', 'c', 'd'}) time.spawn(work(name));
  time.run();
  EXPECT_EQ(order, "abcdabcdabcd");
}

}  // namespace
}  // namespace scalio::client
