#include "baseline/paper/paper_block.h"

#include <limits>

#include "base/assert.h"
#include "baseline/leed/leed_message.h"

namespace scalio::paper {

namespace {
constexpr std::uint32_t kMagic = 0x50415053;
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHelloSize = 20 + kGeometrySize;
constexpr std::uint32_t kMostBody = 8191;  // what 13 bits tell

// Of bytes that are key and value, with their lengths.
std::uint64_t check_of(ByteView body, std::uint32_t key_length, std::uint64_t place) {
  return checksum(body, mix(place + key_length)) >> 28;
}
}  // namespace

Status CacheShape::check() const {
  if (blocks == 0 || slots == 0 || slots > kMostSlots || body == 0 || body > kMostBody ||
      body % 8 != 0) {
    return Status(Code::invalid,
                  "a cache has blocks of 1 to 16 slots, each of 8 to 8184 bytes, a multiple of 8");
  }
  return Status();
}

BlockWord word_of(BlockWord::State state, std::uint8_t tag, std::string_view key,
                  std::string_view value, std::uint64_t place) {
  Bytes body(key.size() + value.size());
  copy_bytes(as_bytes(value), copy_bytes(as_bytes(key), body.data()));
  const auto key_length = static_cast<std::uint32_t>(key.size());
  return {state, tag, key_length, static_cast<std::uint32_t>(value.size()),
          check_of(body, key_length, place)};
}

std::uint64_t used_now(std::uint64_t order, std::uint32_t slot) {
  constexpr std::uint64_t kFirst = 0xfedcba9876543210;
  order ^= kFirst;
  std::uint32_t rank = 0;
  while (rank < kMostSlots && (order >> (4 * rank) & 15) != slot) ++rank;
  if (rank == kMostSlots) return used_now(0, slot);  // it was no order
  const std::uint64_t newer = (std::uint64_t{1} << (4 * rank)) - 1;
  const std::uint64_t older = ~(newer << 4 | 15);
  return ((order & older) | (order & newer) << 4 | slot) ^ kFirst;
}

bool BlockCopy::has_dirty(std::uint8_t tag) const {
  for (std::uint32_t i = 0; i < shape.slots; ++i) {
    const BlockWord w = BlockWord::unpack(word(i));
    if (w.state == BlockWord::State::dirty && w.tag == tag) return true;
  }
  return false;
}

std::optional<std::uint32_t> BlockCopy::victim() const {
  std::optional<std::uint32_t> oldest;
  for (std::uint32_t rank = 0; rank < kMostSlots; ++rank) {
    const std::uint32_t slot = ranked(order(), rank);
    if (slot >= shape.slots) continue;  // an order has all 16
    const BlockWord w = BlockWord::unpack(word(slot));
    if (w.state == BlockWord::State::empty) return slot;
    if (w.state != BlockWord::State::dirty) oldest = slot;
  }
  return oldest;
}

CacheLookup look_up(const BlockCopy& copy, std::string_view key, std::uint64_t hash,
                    std::uint32_t block, std::uint64_t seed) {
  using Is = CacheLookup::Is;
  const std::uint8_t tag = tag_of(hash);
  CacheLookup found;
  bool unclear = false;
  for (std::uint32_t i = 0; i < copy.shape.slots; ++i) {
    const BlockWord w = BlockWord::unpack(copy.word(i));
    if (!w.has(tag) || w.state == BlockWord::State::filling) continue;
    const bool dirty = w.state == BlockWord::State::dirty;
    const bool possible = w.key_length > 0 && w.key_length + w.value_length <= copy.shape.body;
    const ByteView body =
        copy.bytes.subspan(copy.shape.body_at(i), possible ? w.key_length + w.value_length : 0);
    const bool whole =
        possible && w.check == check_of(body, w.key_length, slot_place(seed, block, i));
    if (!whole) {
      unclear = unclear || dirty;
    } else if (as_string(body.first(w.key_length)) == key) {
      if (dirty) return {Is::hit, i, as_string(body.subspan(w.key_length))};
      found = {Is::hit, i, as_string(body.subspan(w.key_length))};
    }
  }
  if (unclear) return {Is::unclear, 0, {}};
  return found;
}

Bytes encode_paper_hello_request() {
  Bytes out(8);
  store(out.data(), kMagic);
  store(out.data() + 4, kVersion);
  return out;
}

bool decode_paper_hello_request(ByteView in) {
  return in.size() == 8 && load<std::uint32_t>(in.data()) == kMagic &&
         load<std::uint32_t>(in.data() + 4) == kVersion;
}

Bytes encode(const PaperHello& hello) {
  Bytes out(kHelloSize);
  store(out.data(), hello.ssds);
  store(out.data() + 4, hello.ssd);
  store(out.data() + 8, hello.shape.blocks);
  store(out.data() + 12, hello.shape.slots);
  store(out.data() + 16, hello.shape.body);
  encode_geometry(out.data() + kHelloSize - kGeometrySize, hello.geometry);
  return out;
}

std::optional<PaperHello> decode_paper_hello(ByteView in) {
  if (in.size() != kHelloSize) return std::nullopt;
  PaperHello hello;
  hello.ssds = load<std::uint32_t>(in.data());
  hello.ssd = load<std::uint32_t>(in.data() + 4);
  hello.shape.blocks = load<std::uint32_t>(in.data() + 8);
  hello.shape.slots = load<std::uint32_t>(in.data() + 12);
  hello.shape.body = load<std::uint32_t>(in.data() + 16);
  hello.geometry = decode_geometry(in.data() + kHelloSize - kGeometrySize);
  const bool sane = hello.ssd < hello.ssds && hello.ssds <= leed::kMaxSsds &&
                    hello.shape.check().ok() &&
                    hello.geometry.check(std::numeric_limits<std::uint64_t>::max()).ok();
  if (!sane) return std::nullopt;
  return hello;
}

}  // namespace scalio::paper
