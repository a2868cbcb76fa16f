// The value log: pointers, headers of segments, parts of values, the table of segments.
#include "layout/value_area.h"

#include <algorithm>
#include <string>

#include "base/hash.h"
#include "target.h"

namespace scalio::fuzz {

using namespace layout;

namespace {
SsdGeometry geometry() {
  SsdGeometry base;
  base.value_size = 512 << 10;
  base.segment_size = 128 << 10;
  return *plan_ssd(base, 4 << 20, 1 << 20);
}
const SsdGeometry kSsd = geometry();
const std::uint64_t kOffset = kSsd.segment_size + kSegmentHeader;

void use(ByteView in) {
  if (auto p = decode_pointer(in.first(std::min<std::size_t>(in.size(), kPointerSize)), 3, kSsd)) {
    // A reader reads from there to the value's end.
    require(p->offset + stored_size(p->length, 3, kSsd.block_size) <= kSsd.value_size);
    require(p->offset % kSsd.block_size == 0 && p->length <= kMaxValue);
    Bytes again(kPointerSize);
    encode(again, *p);
    require(std::equal(again.begin(), again.end(), in.begin()));
  }
  if (auto h = decode_segment_header(in, 1, kSsd)) require(h->number == 1 && h->sequence > 0);
  if (auto found = decode_part(in, kOffset, kSsd)) {
    const ValuePart& part = found->part;
    require(!part.key.empty() && part.bytes.size() <= part_capacity(part.key.size()));
    require(part.index < parts_of(part.length, part.key.size()));
    require(kPartHeader + part.key.size() + part.bytes.size() <= in.size());
  }
  if (auto head = decode_part_head(in)) {
    require(!head->key.empty() && kPartHeader + head->key.size() <= in.size());
    require(head->sequence > 0 && head->index < parts_of(head->length, head->key.size()));
  }
  if (auto table = decode_segment_table(in, kSsd)) {
    Bytes again;
    encode(again, *table, kSsd);
    require(decode_segment_table(again, kSsd)->entries == table->entries);
  }
  if (auto counts = decode_segment_counts(in, kSsd)) {
    for (const SegmentCount& c : *counts) require(c.number >= 1 && c.number <= 3);
  }
}

// With a right checksum (docs/formats.md).
void use_sealed(Bytes in, std::size_t size, std::uint64_t place) {
  if (size < 8 || in.size() < size) return;
  store(in.data(), checksum(ByteView(in).subspan(8, size - 8), place));
  use(in);
}
}  // namespace

void run(ByteView input) {
  use(input);
  const Bytes bytes(input.begin(), input.end());
  const std::uint64_t store_id = kSsd.store_id();
  Bytes segment = bytes;
  segment.resize(kSegmentHeader);
  use_sealed(segment, kSegmentHeader, mix(store_id ^ mix(1 + 0x5347)));
  use_sealed(bytes, kTableHeader + 3 * kTableEntry, mix(store_id ^ mix(0x5441424c)));
  if (bytes.size() < kPartHeader) return;
  const std::uint64_t used = std::uint64_t{kPartHeader} + load<std::uint8_t>(bytes.data() + 22) +
                             load<std::uint32_t>(bytes.data() + 32);
  use_sealed(bytes, used, mix(store_id ^ mix(kOffset + 0x50415254)));
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out(5);
  out[0].resize(kPointerSize);
  encode(out[0], Pointer{kOffset, 1, 1000, 2});
  out[1].resize(kSegmentHeader);
  encode(out[1], SegmentHeader{1, 2}, kSsd);
  out[1].resize(64);
  const ValuePart part{1, 2, 0, 5, "key", as_bytes("value")};
  out[2].resize(part_bytes(part, kSsd.block_size));
  encode(out[2], part, kOffset, kSsd);
  encode(out[3], SegmentTable{1, 2, {{1, 2}, {3, 4}, {5, 6}}}, kSsd);
  encode(out[4], std::vector<SegmentCount>{{1, 2, 3}, {3, 4, 5}});
  return out;
}

}  // namespace scalio::fuzz
