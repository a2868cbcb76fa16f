// When uploads end by themselves, on a clock that the test moves on.
#include "server/uploads.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "testing/shard_fixture.h"
#include "testing/virtual_time.h"

namespace scalio::server {
namespace {

using layout::RequestKind;

class UploadsTest : public ::testing::Test {
 protected:
  UploadsTest() : region_(blocks_.size()) {
    ShardOptions options;
    options.log.key = test_log_key();
    options.recoveries = std::make_shared<Recoveries>(1, Recoveries::kMemory);
    shard_.emplace(time_, device_, geometry_, blocks_, region_.span(), std::move(options));
    std::optional<Status> started;
    time_.start(shard_->start(), started);
    pass(kSecond);
    EXPECT_TRUE(started && started->ok());
  }
  ~UploadsTest() override {
    std::optional<Status> stopped;
    time_.start(shard_->stop(), stopped);
    time_.run_until(time_.now() + kSecond);
    EXPECT_TRUE(stopped && stopped->ok());
    EXPECT_EQ(time_.spawned(), 0U);
  }

  // As a server that serves: it looks each second.
  void pass(Nanos time) {
    for (const Nanos end = time_.now() + time; time_.now() < end;) {
      time_.run_until(std::min(end, time_.now() + kSecond));
      shard_->scrub();
    }
  }
  WriteAnswer ask(TestClient& client, RequestKind kind, ByteView value) {
    const std::uint64_t call = next_call_++;
    client.send_as(call, 0, 0, kind, "key", as_string(value));
    // Less than an upload is kept for, and enough for its I/O.
    time_.run_until(time_.now() + 10 * kMillisecond);
    EXPECT_TRUE(client.answers.contains(call));
    return client.answers[call].empty() ? WriteAnswer{Code::timed_out, 0, {}}
                                        : client.answers[call].front();
  }
  void begin(TestClient& client) {
    Bytes length;
    layout::encode(length, layout::ValueBegin{kLength});
    const WriteAnswer a = ask(client, RequestKind::value_begin, length);
    ASSERT_EQ(a.code, Code::ok) << a.text;
    upload_ = *layout::decode_upload(as_bytes(a.text));
  }
  WriteAnswer part(TestClient& client) {
    const std::string bytes(kLength, 'v');
    Bytes value;
    layout::encode(value, layout::ValuePartBytes{upload_, 0, as_bytes(bytes)});
    return ask(client, RequestKind::value_part, value);
  }
  WriteAnswer commit(TestClient& client) {
    Bytes which;
    layout::encode(which, upload_);
    const std::uint64_t call = client.send(RequestKind::value_commit, "key", as_string(which));
    pass(kSecond);
    EXPECT_TRUE(client.answers.contains(call));
    return client.answers[call].empty() ? WriteAnswer{Code::timed_out, 0, {}}
                                        : client.answers[call].front();
  }
  nlohmann::json stat() { return nlohmann::json::parse(shard_->stat()); }
  std::uint64_t uploads() { return stat()["values"]["uploads"].get<std::uint64_t>(); }

  static constexpr std::uint32_t kLength = 1000;
  VirtualTime time_;
  const layout::SsdGeometry geometry_ = with_value_log(test_geometry(64), 8);
  const layout::RegionGeometry blocks_{4, 4, 2, layout::slot_size_for(geometry_.inline_limit)};
  block::PowerCutSsd ssd_{time_, formatted(geometry_), 1};
  block::FaultyDevice device_{time_, ssd_};
  block::Buffer region_;
  std::optional<Shard> shard_;
  layout::Upload upload_;
  std::uint64_t next_call_ = 1ULL << 40;  // not those of writes
};

TEST_F(UploadsTest, OfAClientThatStandsStillEndAfterAWhile) {
  TestClient client(*shard_);
  begin(client);
  pass(Uploads::kKeep - 2 * kSecond);
  EXPECT_EQ(part(client).code, Code::ok);
  pass(Uploads::kKeep - 2 * kSecond);
  EXPECT_EQ(uploads(), 1U) << "its part came in between";
  pass(4 * kSecond);
  EXPECT_EQ(uploads(), 0U);
  EXPECT_EQ(part(client).code, Code::invalid);
}

TEST_F(UploadsTest, OfAClientThatHasGoneEndSoon) {
  TestClient client(*shard_), other(*shard_);
  begin(client);
  begin(other);
  client.disconnect();
  pass(Uploads::kKeepLost - 2 * kSecond);
  EXPECT_EQ(uploads(), 2U) << "it may come back";
  pass(4 * kSecond);
  EXPECT_EQ(uploads(), 1U) << "the other's";
  EXPECT_EQ(part(other).code, Code::ok);
}

TEST_F(UploadsTest, OfAClientThatComesBackGoOn) {
  TestClient client(*shard_);
  begin(client);
  client.disconnect();
  pass(2 * kSecond);
  TestClient again(*shard_, client.hello.session);
  ASSERT_EQ(again.hello.session, client.hello.session);
  pass(2 * Uploads::kKeepLost);
  EXPECT_EQ(part(again).code, Code::ok);
  EXPECT_EQ(commit(again).code, Code::ok);
}

// Not what the client takes in between.
TEST_F(UploadsTest, ACommitTakesAsLongAsItsBeginDid) {
  TestClient client(*shard_);
  device_.delay(block::Io::Kind::write, 3 * kSecond, 1, {geometry_.value_offset()});
  Bytes length;
  layout::encode(length, layout::ValueBegin{kLength});
  const std::uint64_t begin = next_call_++;
  client.send_as(begin, 0, 0, RequestKind::value_begin, "key", as_string(length));
  pass(kSecond);
  EXPECT_EQ(stat()["writes"]["in_flight"], 1);
  pass(3 * kSecond);
  ASSERT_TRUE(client.answers.contains(begin));
  EXPECT_EQ(stat()["writes"]["in_flight"], 0);
  upload_ = *layout::decode_upload(as_bytes(client.answers[begin].front().text));
  EXPECT_EQ(part(client).code, Code::ok);
  pass(5 * kSecond);
  EXPECT_EQ(commit(client).code, Code::ok);
  EXPECT_GE(stat()["recent"]["write_p99_us"], 3e6);
  EXPECT_LT(stat()["recent"]["write_p99_us"], 4e6);
}

}  // namespace
}  // namespace scalio::server
