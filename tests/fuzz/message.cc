// What clients, lanes and shards tell each other: hellos, requests, replies.
#include "layout/message.h"

#include <algorithm>

#include "layout/superblock.h"

#include "target.h"

namespace scalio::fuzz {

using namespace layout;

namespace {
void run_replies(ByteView input) {
  if (auto m = decode_update_reply(input)) {
    Bytes again;
    encode(again, *m);
    require(decode_update_reply(again)->number == m->number && again.size() == input.size());
  }
  if (auto m = decode_store_time(input)) {
    Bytes again;
    encode(again, *m);
    require(decode_store_time(again)->time == m->time && again.size() == input.size());
  }
  if (auto m = decode_reply(input)) {
    Bytes again;
    encode(again, *m);
    auto same = decode_reply(again);
    require(same && same->code == m->code && same->text == m->text);
  }
}
}  // namespace

void run(ByteView input) {
  if (auto m = decode_lane_request(input)) {
    Bytes again;
    encode(again, *m);
    require(decode_lane_request(again)->features == m->features && again.size() == input.size());
  }
  if (auto m = decode_lane_reply(input)) {
    Bytes again;
    encode(again, *m);
    require(decode_lane_reply(again)->lanes == m->lanes && again.size() == input.size());
    // What clients divide by.
    for (const std::uint16_t lane : m->lanes) {
      require(std::ranges::count(m->lanes, lane) <= kMaxShardsOfALane);
    }
  }
  if (auto m = decode_hello_request(input)) {
    Bytes again;
    encode(again, *m);
    require(decode_hello_request(again)->session == m->session && again.size() == input.size());
  }
  if (auto m = decode_hello_reply(input)) {
    Bytes again;
    encode(again, *m);
    require(decode_hello_reply(again).has_value());
    // What clients compute with it.
    require(m->region.block_size() <= kMaxBlockSize && m->region.size() >= m->region.blocks);
    require(m->region.base + m->region.size() >= m->region.base);
    require(m->region.slots() <= RegionGeometry::kMaxSlots);
    require(m->ssd.shard < m->ssd.shards && check(m->ssd).ok());
  }
  if (auto m = decode_request(input)) {
    Bytes again;
    encode(again, *m);
    auto same = decode_request(again);
    require(same && same->key == m->key && same->value == m->value &&
            same->sequence == m->sequence && same->shard == m->shard && same->end == m->end &&
            same->end_is_relative == m->end_is_relative);
    require(m->end == 0 || (is_write(m->kind) && !is_removal(m->kind)));
  }
  if (auto m = decode_value_begin(input)) {
    Bytes again;
    encode(again, *m);
    require(decode_value_begin(again)->length == m->length && again.size() == input.size());
  }
  if (auto m = decode_upload(input)) {
    Bytes again;
    encode(again, *m);
    require(decode_upload(again) == m && again.size() == input.size());
  }
  if (auto m = decode_value_part(input)) {
    require(m->bytes.size() < input.size());
    Bytes again;
    encode(again, *m);
    require(std::ranges::equal(again, input));
  }
  run_replies(input);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out(18);
  encode(out[0], HelloRequest{77});
  HelloReply hello;
  hello.ssd = *plan_ssd(SsdGeometry{}, 1 << 20, 128 * 1024);
  hello.region.blocks = 10;
  hello.region.slot_size = 256;
  hello.device_path = "/dev/nvme0n1";
  encode(out[1], hello);
  encode(out[2], Request{RequestKind::put, 3, 2, 0, "key", "value"});
  encode(out[3], Request{RequestKind::put_if, 9, 9, 8, "another key", std::string_view()});
  encode(out[5], Request{RequestKind::put, 4, 3, 0, "key", "value", 2, 77});
  encode(out[4], Reply{Code::conflict, 17, "the key's version is 17"});
  encode(out[6], LaneRequest{5});
  encode(out[7], LaneReply{2, 0, 1, {0, 1, 0, 1}});
  encode(out[8], Request{RequestKind::remove_if, 5, 4, 9, "key", std::string_view()});
  encode(out[9], ValueBegin{70'000});
  encode(out[10], Upload{5});
  encode(out[11], ValuePartBytes{{5}, 1, as_bytes("bytes")});
  encode(out[12], Request{RequestKind::value_commit_if, 6, 5, 9, "key", as_string(out[10]), 0, 8});
  encode(out[13], Request{.kind = RequestKind::set_end,
                          .key = "key",
                          .value = {},
                          .end = 5,
                          .end_is_relative = true});
  encode(out[14], UpdateReply{9, -1});
  encode(out[15], StoreTime{77});
  encode(out[16], Request{RequestKind::value_put_if, 7, 6, 9, "key", "a large value", 0, 8});
  hello.region.move_counts = 5;
  encode(out[17], hello);
  return out;
}

}  // namespace scalio::fuzz
