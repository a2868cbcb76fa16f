#include "layout/message.h"

#include <gtest/gtest.h>

#include <string>

#include "layout/superblock.h"
#include "layout/value_area.h"
#include "testing/test_bytes.h"

namespace scalio::layout {
namespace {

template <class M>
Bytes encoded(const M& m) {
  Bytes out;
  encode(out, m);
  return out;
}

HelloReply hello_reply() {
  SsdGeometry base;
  base.uuid[0] = 1;
  base.hash_seed = 2;
  base.inline_limit = 80;
  base.slices = 2;
  base.shards = 4;
  base.shard = 2;
  HelloReply m;
  m.session = 3;
  m.ssd = slice_of(*plan_ssd(base, 2 << 20, 64 * 1024), 1);
  m.region.blocks = 100;
  m.server_now = 5;
  m.fill_timeout = 6;
  m.device_path = "/dev/nvme0n1";
  m.target = {SsdTarget::Transport::tcp, 4420, "ssds"};
  m.store_time = 7;
  m.region.base = 640;
  return m;
}

// Of hello_reply().
constexpr std::size_t kShardAt = 43, kSuperblockAt = kShardAt + 4, kRegionAt = kSuperblockAt + 4096;

// Decodes every prefix and extension of a message, each in a heap block of its exact size: only the
// message itself is one.
template <class D>
void expect_only_whole(const Bytes& message, D decode) {
  for (std::size_t size = 0; size < message.size(); ++size) {
    const Bytes exact(message.begin(), message.begin() + static_cast<long>(size));
    EXPECT_FALSE(decode(exact)) << size;
  }
  EXPECT_TRUE(decode(message));
  Bytes longer = message;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode(longer));
}

TEST(LaneRequest, HasItsFormat) {
  const Bytes b = encoded(LaneRequest{9});
  EXPECT_EQ(hex(b), "0900000000000000");
  EXPECT_EQ(decode_lane_request(b)->features, 9U);
  expect_only_whole(b, decode_lane_request);
}

TEST(LaneReply, HasItsFormat) {
  const Bytes b = encoded(LaneReply{2, 9, 1, {0, 1, 2, 0}});
  EXPECT_EQ(hex(b),
            "02000000"            // protocol
            "0900000000000000"    // features
            "0100"                // lane
            "0400"                // shards
            "0000010002000000");  // of each, its lane
  const LaneReply found = *decode_lane_reply(b);
  EXPECT_EQ(found.protocol, 2U);
  EXPECT_EQ(found.features, 9U);
  EXPECT_EQ(found.lane, 1U);
  EXPECT_EQ(found.lanes, (std::vector<std::uint16_t>{0, 1, 2, 0}));
  expect_only_whole(b, decode_lane_reply);
}

TEST(LaneReply, LanesThatCannotBeAreRejected) {
  EXPECT_TRUE(decode_lane_reply(encoded(LaneReply{2, 0, 1, {0, 1}})));
  EXPECT_FALSE(decode_lane_reply(encoded(LaneReply{2, 0, 2, {0, 1}}))) << "it serves no shard";
  Bytes none = encoded(LaneReply{2, 0, 0, {0}});
  none.resize(none.size() - 2);
  store(none.data() + 14, std::uint16_t{0});
  EXPECT_FALSE(decode_lane_reply(none));
  const std::vector<std::uint16_t> most(kMaxShards, 0);
  EXPECT_LE(encoded(LaneReply{2, 0, 0, most}).size(), kMaxMessageSize);
  EXPECT_FALSE(decode_lane_reply(encoded(LaneReply{2, 0, 0, most}))) << "more than a lane has";
  std::vector<std::uint16_t> many(kMaxShards);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = i % 8;
  EXPECT_TRUE(decode_lane_reply(encoded(LaneReply{2, 0, 7, many})));
  many[0] = kMaxLanes;
  EXPECT_FALSE(decode_lane_reply(encoded(LaneReply{2, 0, 7, many})));
}

TEST(HelloRequest, HasItsFormat) {
  const Bytes b = encoded(HelloRequest{0x0102030405060708});
  EXPECT_EQ(hex(b), "0807060504030201");
  EXPECT_EQ(decode_hello_request(b)->session, 0x0102030405060708U);
  expect_only_whole(b, decode_hello_request);
}

TEST(HelloReply, HasItsFormat) {
  const HelloReply m = hello_reply();
  const Bytes b = encoded(m);
  Bytes superblock(kSuperblockSize);
  encode_superblock(superblock, m.ssd);
  EXPECT_EQ(hex(ByteView(b).first(kShardAt)),
            "0300000000000000"  // session
            "0500000000000000"  // server_now
            "0700000000000000"  // store_time
            "0600000000000000"  // fill_timeout
            "01"
            "4411"
            "0400000073736473");  // target: transport, port, host
  EXPECT_EQ(hex(ByteView(b).subspan(kShardAt, 4)), "03000000");
  EXPECT_EQ(hex(ByteView(b).subspan(kSuperblockAt, 4096)), hex(superblock));
  EXPECT_EQ(hex(ByteView(b).subspan(kRegionAt)),
            "8002000000000000"                    // offset in the region
            "6400000000000000"                    // blocks
            "080000000200000060000000"            // read slots, write slots, slot size
            "0c0000002f6465762f6e766d65306e31");  // device_path
}

// To a client that does not know of counts a reply is as it was before there were any.
TEST(HelloReply, HasItsFormatWithCountsOfMoves) {
  HelloReply m = hello_reply();
  Bytes b = encoded(m);
  const Bytes without = b;
  EXPECT_EQ(decode_hello_reply(b)->region.move_counts, 0U);
  m.region.move_counts = 3;
  b = encoded(m);
  EXPECT_EQ(hex(b), hex(without) + "03000000");
  EXPECT_EQ(decode_hello_reply(b)->region.move_counts, 3U);
  for (std::size_t size = without.size() + 1; size < b.size(); ++size)
    EXPECT_FALSE(decode_hello_reply(ByteView(b).first(size))) << size;
  b.push_back(std::byte{0});
  EXPECT_FALSE(decode_hello_reply(b));
  b.pop_back();
  for (const auto& [counts, is_one] : std::vector<std::pair<std::uint32_t, bool>>{
           {0, false}, {1, true}, {1 << 16, true}, {(1 << 16) + 1, false}, {~0U, false}}) {
    store(b.data() + without.size(), counts);
    EXPECT_EQ(decode_hello_reply(b).has_value(), is_one) << counts;
  }
}

TEST(HelloReply, RoundTrips) {
  const HelloReply m = hello_reply();
  auto found = decode_hello_reply(encoded(m));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->session, m.session);
  EXPECT_EQ(found->ssd.uuid, m.ssd.uuid);
  EXPECT_EQ(found->ssd.buckets, m.ssd.buckets);
  EXPECT_EQ(found->ssd.shard, 3U);
  EXPECT_EQ(found->ssd.log_offset, m.ssd.log_offset);
  EXPECT_EQ(found->ssd.bucket_offset, m.ssd.bucket_offset);
  EXPECT_EQ(found->store_time, 7U);
  EXPECT_EQ(found->region.base, 640U);
  EXPECT_EQ(found->region.blocks, 100U);
  EXPECT_EQ(found->region.read_slots, 8U);
  EXPECT_EQ(found->region.write_slots, 2U);
  EXPECT_EQ(found->region.slot_size, 96U);
  EXPECT_EQ(found->server_now, 5U);
  EXPECT_EQ(found->fill_timeout, 6U);
  EXPECT_EQ(found->device_path, "/dev/nvme0n1");
  EXPECT_EQ(found->target.transport, SsdTarget::Transport::tcp);
  EXPECT_EQ(found->target.port, 4420);
  EXPECT_EQ(found->target.host, "ssds");
}

TEST(HelloReply, OnlyWholeMessagesAreOne) {
  expect_only_whole(encoded(hello_reply()), decode_hello_reply);
}

// A client computes addresses and sizes from these, and reads a block at once.
TEST(HelloReply, ARegionThatCannotBeIsRejected) {
  const Bytes good = encoded(hello_reply());
  auto decodes = [&](auto change) {
    RegionGeometry r = hello_reply().region;
    change(r);
    Bytes b = good;
    store(b.data() + kRegionAt, r.base);
    store(b.data() + kRegionAt + 8, r.blocks);
    store(b.data() + kRegionAt + 16, r.read_slots);
    store(b.data() + kRegionAt + 20, r.write_slots);
    store(b.data() + kRegionAt + 24, r.slot_size);
    return decode_hello_reply(b).has_value();
  };
  using R = RegionGeometry;
  EXPECT_TRUE(decodes([](R& r) { r.read_slots = 16, r.write_slots = 8; }));
  EXPECT_TRUE(decodes([](R& r) { r.blocks = r.read_slots = r.write_slots = 1; }));
  EXPECT_TRUE(decodes([](R& r) { r.slot_size = 104; }));
  EXPECT_TRUE(decodes([](R& r) { r.base = 0; }));
  EXPECT_FALSE(decodes([](R& r) { r.base = 8; }));
  EXPECT_FALSE(decodes([](R& r) { r.base = 1ULL << 61; }));
  EXPECT_FALSE(decodes([](R& r) { r.blocks = 0; }));
  EXPECT_FALSE(decodes([](R& r) { r.blocks = 1ULL << 40; }));
  EXPECT_FALSE(decodes([](R& r) { r.read_slots = 0; }));
  EXPECT_FALSE(decodes([](R& r) { r.read_slots = 17; }));
  EXPECT_FALSE(decodes([](R& r) { r.write_slots = 0; }));
  EXPECT_FALSE(decodes([](R& r) { r.write_slots = 9; }));
  EXPECT_FALSE(decodes([](R& r) { r.slot_size = 0; }));
  EXPECT_FALSE(decodes([](R& r) { r.slot_size = 88; }));  // holds no record of 80 bytes
  EXPECT_FALSE(decodes([](R& r) { r.slot_size = 100; }));
  EXPECT_FALSE(decodes([](R& r) { r.slot_size = ~7U; }));
  EXPECT_TRUE(decodes([](R& r) { r.slot_size = (kMaxBlockSize - 128) / 10 / 8 * 8; }));
  EXPECT_FALSE(decodes([](R& r) { r.slot_size = kMaxBlockSize / 10 / 8 * 8 + 8; }));
}

// The shard is of the SSD that the superblock is of.
TEST(HelloReply, ShardsThatCannotBeAreRejected) {
  const auto decodes = [](std::size_t offset, auto value) {
    Bytes b = encoded(hello_reply());
    store(b.data() + offset, value);
    return decode_hello_reply(b);
  };
  ASSERT_TRUE(decodes(kShardAt, std::uint32_t{2}));
  EXPECT_EQ(decodes(kShardAt, std::uint32_t{2})->ssd.log_offset, kSuperblockSize);
  for (const std::uint32_t shard : {0U, 1U, 4U, ~0U}) EXPECT_FALSE(decodes(kShardAt, shard));
}

// Whatever a server has to tell, each message is one.
TEST(Messages, HaveABound) {
  HelloReply hello = hello_reply();
  hello.device_path = std::string(kMaxPath, 'p');
  hello.target.host = std::string(kMaxHost, 'h');
  const Bytes b = encoded(hello);
  EXPECT_LE(b.size(), kMaxMessageSize);
  EXPECT_TRUE(decode_hello_reply(b));
  hello.device_path += 'p';
  EXPECT_DEATH(encoded(hello), "kMaxPath");
  hello = hello_reply();
  hello.target.host = std::string(kMaxHost + 1, 'h');
  EXPECT_DEATH(encoded(hello), "kMaxHost");

  const Bytes failure = encoded(Reply{Code::io_error, 0, std::string(1 << 20, 't')});
  EXPECT_LE(failure.size(), kMaxMessageSize);
  EXPECT_EQ(decode_reply(failure)->text.size(), kMaxFailureText);
}

TEST(HelloReply, ADamagedGeometryIsRejected) {
  const Bytes good = encoded(hello_reply());
  for (std::size_t bit = kSuperblockAt * 8; bit < (kSuperblockAt + 136) * 8; ++bit) {
    Bytes bad = good;
    flip(bad, bit);
    EXPECT_FALSE(decode_hello_reply(bad)) << "bit " << bit;
  }
}

TEST(Request, HasItsFormat) {
  const Bytes b =
      encoded(Request{RequestKind::put_if, 0x0102, 0x0304, 0x0506, "key", "value", 0x0708});
  EXPECT_EQ(hex(b),
            "03"
            "08070000"
            "0201000000000000"
            "0403000000000000"
            "0605000000000000"
            "030000006b6579"
            "0500000076616c7565");
  EXPECT_EQ(b.size(), kRequestHeader + 3 + 5);
  EXPECT_EQ(hex(encoded(Request{})).substr(0, 2), "04");
  EXPECT_EQ(static_cast<int>(RequestKind::put), 1);
  EXPECT_EQ(static_cast<int>(RequestKind::remove), 2);
  EXPECT_EQ(static_cast<int>(RequestKind::report), 5);
  EXPECT_EQ(static_cast<int>(RequestKind::hello), 6);
  expect_only_whole(b, decode_request);
}

TEST(Request, HasItsFormatWithoutAValue) {
  const Bytes b = encoded(Request{RequestKind::remove_if, 1, 2, 0x0102, "key", {}, 3});
  EXPECT_EQ(hex(b),
            "07"
            "03000000"
            "0100000000000000"
            "0200000000000000"
            "0201000000000000"
            "030000006b6579"
            "00000000");
  expect_only_whole(b, decode_request);
}

TEST(Request, ItsKindSaysWhatItIs) {
  for (const RequestKind kind : {RequestKind::stat, RequestKind::report, RequestKind::hello}) {
    EXPECT_FALSE(is_write(kind) || is_removal(kind) || is_conditional(kind));
  }
  for (const RequestKind kind :
       {RequestKind::put, RequestKind::remove, RequestKind::put_if, RequestKind::remove_if}) {
    EXPECT_TRUE(is_write(kind) && !is_update(kind));
  }
  for (const RequestKind kind :
       {RequestKind::value_begin, RequestKind::value_part, RequestKind::value_abandon}) {
    EXPECT_FALSE(is_write(kind) || is_removal(kind) || is_conditional(kind));
    EXPECT_FALSE(is_value_commit(kind));
  }
  for (const RequestKind kind : {RequestKind::value_commit, RequestKind::value_commit_if}) {
    EXPECT_TRUE(is_write(kind) && is_value_commit(kind) && !is_removal(kind));
    EXPECT_TRUE(is_large_put(kind) && !is_value_put(kind));
  }
  for (const RequestKind kind : {RequestKind::value_put, RequestKind::value_put_if}) {
    EXPECT_TRUE(is_write(kind) && is_value_put(kind) && !is_removal(kind) && !is_update(kind));
    EXPECT_TRUE(is_large_put(kind) && !is_value_commit(kind));
  }
  EXPECT_TRUE(is_conditional(RequestKind::value_put_if));
  EXPECT_FALSE(is_conditional(RequestKind::value_put) || is_large_put(RequestKind::put));
  EXPECT_TRUE(is_conditional(RequestKind::value_commit_if));
  EXPECT_FALSE(is_conditional(RequestKind::value_commit));
  EXPECT_FALSE(is_value_commit(RequestKind::put));
  for (const RequestKind kind :
       {RequestKind::set_end, RequestKind::append, RequestKind::increment}) {
    EXPECT_TRUE(is_write(kind) && is_update(kind));
    EXPECT_FALSE(is_removal(kind) || is_conditional(kind));
  }
  EXPECT_FALSE(is_write(RequestKind::store_time));
  EXPECT_TRUE(is_removal(RequestKind::remove_if) && is_conditional(RequestKind::remove_if));
  EXPECT_FALSE(is_removal(RequestKind::put_if) || is_conditional(RequestKind::remove));
}

TEST(Request, ThoseAboutUploadsHaveTheirFormat) {
  const Bytes begin = encoded(ValueBegin{0x01020304});
  EXPECT_EQ(hex(begin), "04030201");
  EXPECT_EQ(decode_value_begin(begin)->length, 0x01020304U);
  expect_only_whole(begin, decode_value_begin);

  const Bytes upload = encoded(Upload{0x0102030405060708});
  EXPECT_EQ(hex(upload), "0807060504030201");
  EXPECT_EQ(decode_upload(upload)->id, 0x0102030405060708U);
  expect_only_whole(upload, decode_upload);

  const Bytes part = encoded(ValuePartBytes{{0x0102}, 3, as_bytes("bytes")});
  EXPECT_EQ(hex(part),
            "0201000000000000"
            "03000000"
            "6279746573");
  const ValuePartBytes found = *decode_value_part(part);
  EXPECT_EQ(found.upload.id, 0x0102U);
  EXPECT_EQ(found.index, 3U);
  EXPECT_EQ(as_string(found.bytes), "bytes");
  EXPECT_FALSE(decode_value_part(ByteView(part).first(11)));
  Bytes at_once;
  encode(at_once, Request{.kind = RequestKind::value_part, .key = "key", .value = {}},
         ValuePartBytes{{0x0102}, 3, as_bytes("bytes")});
  EXPECT_EQ(at_once, encoded(Request{
                         .kind = RequestKind::value_part, .key = "key", .value = as_string(part)}));
  EXPECT_TRUE(decode_value_part(ByteView(part).first(12))->bytes.empty());

  const Bytes commit = encoded(
      Request{RequestKind::value_commit_if, 1, 2, 0x0102, "key", as_string(upload), 3, 0x0708});
  EXPECT_EQ(hex(commit),
            "8b"
            "03000000"
            "0100000000000000"
            "0200000000000000"
            "0201000000000000"
            "0807000000000000"
            "030000006b6579"
            "080000000807060504030201");
  expect_only_whole(commit, decode_request);
  EXPECT_EQ(static_cast<int>(RequestKind::value_begin), 8);
  EXPECT_EQ(static_cast<int>(RequestKind::value_part), 9);
  EXPECT_EQ(static_cast<int>(RequestKind::value_commit), 10);
  EXPECT_EQ(static_cast<int>(RequestKind::value_abandon), 12);
}

TEST(Request, ThatPutsALargeValueHasItsFormat) {
  const Bytes b =
      encoded(Request{RequestKind::value_put_if, 1, 2, 0x0102, "key", "value", 3, 0x0708});
  EXPECT_EQ(hex(b),
            "92"
            "03000000"
            "0100000000000000"
            "0200000000000000"
            "0201000000000000"
            "0807000000000000"
            "030000006b6579"
            "0500000076616c7565");
  expect_only_whole(b, decode_request);
  EXPECT_EQ(static_cast<int>(RequestKind::value_put), 17);
  EXPECT_EQ(kValuePuts, 1U);
  Bytes next = b;
  store(next.data(), std::uint8_t{0x93});
  EXPECT_FALSE(decode_request(next)) << "no kind is behind it";
}

TEST(Request, ThatPutsALargeValueFitsAMessage) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{kMaxKey}}) {
    const std::string key(size, 'k'), value(std::size_t{kPartsOfAPut} * part_capacity(size), 'v');
    Request request{RequestKind::value_put, 1, 1, 0, key, value};
    request.end = 1;
    EXPECT_LE(encoded(request).size(), kMaxMessageSize);
  }
}

TEST(Request, HasItsFormatWithAnEnd) {
  const Bytes b = encoded(Request{RequestKind::put, 1, 2, 0, "k", "v", 3, 0x0102030405060708});
  EXPECT_EQ(hex(b),
            "81"
            "03000000"
            "0100000000000000"
            "0200000000000000"
            "0000000000000000"
            "0807060504030201"
            "010000006b"
            "0100000076");
  auto found = decode_request(b);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, RequestKind::put);
  EXPECT_EQ(found->end, 0x0102030405060708U);
  EXPECT_EQ(found->key, "k");
  expect_only_whole(b, decode_request);
  // Only what is put can have one, and none is none.
  for (int kind :
       {0x82, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8c, 0x8e, 0x8f, 0x90, 0xc2, 0x80, 0xff}) {
    Bytes bad = b;
    store(bad.data(), static_cast<std::uint8_t>(kind));
    EXPECT_FALSE(decode_request(bad)) << kind;
  }
  for (int kind : {0x81, 0x83, 0x8a, 0x8b, 0x91, 0x92}) {
    Bytes good = b;
    store(good.data(), static_cast<std::uint8_t>(kind));
    EXPECT_TRUE(decode_request(good)) << kind;
  }
  Bytes bad = b;
  store(bad.data() + 29, std::uint64_t{0});
  EXPECT_FALSE(decode_request(bad));
}

TEST(Request, HasItsFormatWithATimeToLive) {
  Bytes b = encoded(Request{.kind = RequestKind::set_end,
                            .sequence = 1,
                            .acknowledged = 2,
                            .expected = 9,
                            .key = "k",
                            .value = {},
                            .shard = 3,
                            .end = 7,
                            .end_is_relative = true});
  EXPECT_EQ(hex(b),
            "cd"
            "03000000"
            "0100000000000000"
            "0200000000000000"
            "0900000000000000"
            "0700000000000000"
            "010000006b"
            "00000000");
  auto found = decode_request(b);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, RequestKind::set_end);
  EXPECT_EQ(found->end, 7U);
  EXPECT_TRUE(found->end_is_relative);
  // Without an end nothing is relative to now.
  b = encoded(Request{.kind = RequestKind::append, .key = "k", .value = "v"});
  EXPECT_EQ(hex(b).substr(0, 2), "0e");
  store(b.data(), std::uint8_t{0x4e});
  EXPECT_FALSE(decode_request(b));
  EXPECT_EQ(static_cast<int>(RequestKind::increment), 15);
  EXPECT_EQ(static_cast<int>(RequestKind::store_time), 16);
}

TEST(UpdateReply, HasItsFormat) {
  const Bytes b = encoded(UpdateReply{7, -2});
  EXPECT_EQ(hex(b), "0700000000000000feffffffffffffff");
  EXPECT_EQ(decode_update_reply(b)->number, -2);
  expect_only_whole(b, decode_update_reply);
}

TEST(StoreTime, HasItsFormat) {
  const Bytes b = encoded(StoreTime{0x0102});
  EXPECT_EQ(hex(b), "0201000000000000");
  EXPECT_EQ(decode_store_time(b)->time, 0x0102U);
  expect_only_whole(b, decode_store_time);
}

TEST(Request, RoundTripsAtEverySize) {
  std::mt19937_64 random(12);
  for (std::size_t key :
       {0, 1, 255, 256}) {  // lengths are for the server to judge, so that it can say why
    for (std::size_t value : {0, 1, 64, 65536, 100'000}) {
      const std::string k = random_text(random, key), v = random_text(random, value);
      const Request m{RequestKind::put,       ~0ULL, random(), random(), k, v, 77,
                      random() % 2 * random()};
      const Bytes b = encoded(m);
      auto found = decode_request(b);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->kind, m.kind);
      EXPECT_EQ(found->sequence, m.sequence);
      EXPECT_EQ(found->acknowledged, m.acknowledged);
      EXPECT_EQ(found->expected, m.expected);
      EXPECT_EQ(found->key, k);
      EXPECT_EQ(found->value, v);
      EXPECT_EQ(found->shard, 77U);
      EXPECT_EQ(found->end, m.end);
    }
  }
}

TEST(Request, ItsNumbersCanBeSetAfterwards) {
  Bytes late, whole;
  encode(late, Request{RequestKind::put_if, 0, 0, 9, "key", "value"});
  encode(whole, Request{RequestKind::put_if, 7, 0x0102030405060708, 9, "key", "value", 5});
  set_shard(late, 5);
  set_sequence(late, 7, 0x0102030405060708);
  EXPECT_EQ(late, whole);
}

TEST(Request, UnknownKindsAreRejected) {
  Bytes b = encoded(Request{RequestKind::put, 1, 1, 0, "k", "v"});
  for (int kind = 0; kind < 256; ++kind) {
    store(b.data(), static_cast<std::uint8_t>(kind));
    EXPECT_EQ(decode_request(b).has_value(), kind >= 1 && kind <= 18) << kind;
  }
}

TEST(Reply, HasItsFormat) {
  const Bytes b = encoded(Reply{Code::conflict, 0x0102, "why"});
  EXPECT_EQ(hex(b),
            "02"
            "0201000000000000"
            "03000000776879");
  auto found = decode_reply(b);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->code, Code::conflict);
  EXPECT_EQ(found->version, 0x0102U);
  EXPECT_EQ(found->text, "why");
  expect_only_whole(b, decode_reply);
}

// Codes go over the wire by number.
TEST(Reply, CodesAreWhatTheyWere) {
  Bytes b = encoded(Reply{});
  for (int code = 0; code < 256; ++code) {
    store(b.data(), static_cast<std::uint8_t>(code));
    EXPECT_EQ(decode_reply(b).has_value(), code <= 13) << code;
  }
  EXPECT_EQ(static_cast<int>(Code::unknown), 3);
  EXPECT_EQ(static_cast<int>(Code::too_large), 5);
  EXPECT_EQ(static_cast<int>(Code::busy), 12);
  EXPECT_EQ(static_cast<int>(Code::denied), 13);
}

TEST(Messages, HugeLengthsAreRejected) {
  for (std::uint32_t length : {2U, 100U, 0x7fffffffU, 0x80000000U, 0xfffffffeU, 0xffffffffU}) {
    Bytes request = encoded(Request{RequestKind::put, 1, 1, 0, "k", "v"});
    store(request.data() + 29, length);  // of the key
    EXPECT_FALSE(decode_request(request)) << length;
    request = encoded(Request{RequestKind::put, 1, 1, 0, "k", "v"});
    store(request.data() + 34, length);  // of the value
    EXPECT_FALSE(decode_request(request)) << length;
    Bytes reply = encoded(Reply{Code::ok, 1, "t"});
    store(reply.data() + 9, length);
    EXPECT_FALSE(decode_reply(reply)) << length;
    Bytes hello = encoded(hello_reply());
    store(hello.data() + kRegionAt + 8 + 8 + 12, length);
    EXPECT_FALSE(decode_hello_reply(hello)) << length;
  }
}

// Random bytes and mutated messages: whatever decodes, encodes to the same bytes again, and (under
// AddressSanitizer) nothing outside is read.
TEST(Messages, RandomBytesAreDecodedExactlyOrNotAtAll) {
  std::mt19937_64 random(13);
  const Bytes seeds[] = {encoded(Request{RequestKind::put, 1, 1, 0, "key", "value"}),
                         encoded(Request{RequestKind::put, 1, 1, 0, "key", "value", 2, 9}),
                         encoded(Reply{Code::full, 7, "text"}), encoded(HelloRequest{9})};
  int decoded = 0;
  auto check = [&](const Bytes& in, const auto& message) {
    if (!message) return;
    ++decoded;
    EXPECT_EQ(encoded(*message), in);
  };
  for (int i = 0; i < 60'000; ++i) {
    Bytes in;
    if (i % 3 == 0) {
      in = random_bytes(random, random() % 80);
    } else {
      in = seeds[random() % 4];
      for (std::uint64_t n = random() % 4; n > 0; --n)
        in[random() % in.size()] = static_cast<std::byte>(random());
      if (random() % 4 == 0) in.resize(random() % (in.size() + 4));
    }
    in.shrink_to_fit();
    check(in, decode_request(in));
    check(in, decode_reply(in));
    check(in, decode_hello_request(in));
    EXPECT_FALSE(decode_hello_reply(in));
  }
  EXPECT_GT(decoded, 1000);
}

}  // namespace
}  // namespace scalio::layout
