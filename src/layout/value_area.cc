#include "layout/value_area.h"

#include "base/hash.h"

namespace scalio::layout {

namespace {
// Seeds of checksums: what the bytes are, of which shard, and where.
std::uint64_t segment_place(const SsdGeometry& ssd, std::uint32_t number) {
  return mix(ssd.store_id() ^ mix(number + 0x5347ULL));
}
std::uint64_t part_place(const SsdGeometry& ssd, std::uint64_t offset) {
  return mix(ssd.store_id() ^ mix(offset + 0x50415254ULL));
}
std::uint64_t table_place(const SsdGeometry& ssd) {
  return mix(ssd.store_id() ^ mix(0x5441424cULL));
}

// Segments behind that of the table.
std::uint64_t segments_of(const SsdGeometry& ssd) {
  return ssd.value_size == 0 ? 0 : ssd.value_size / ssd.segment_size - 1;
}
std::uint32_t segment_at(const SsdGeometry& ssd, std::uint64_t offset) {
  return static_cast<std::uint32_t>(offset / ssd.segment_size);
}
// Whether so many bytes from `offset` on are behind the header of one segment.
bool in_a_segment(const SsdGeometry& ssd, std::uint64_t offset, std::uint64_t size) {
  if (offset >= ssd.value_size || offset % ssd.block_size != 0) return false;
  const std::uint64_t at = offset % ssd.segment_size;
  return segment_at(ssd, offset) > 0 && at >= kSegmentHeader && size <= ssd.segment_size - at;
}
// Live bytes that a segment may be said to have.
bool may_be_live(const SsdGeometry& ssd, std::uint64_t live) {
  return live <= ssd.segment_size - kSegmentHeader || live == kFreeSegment;
}
// Bytes of the value in the part with this index.
std::uint32_t bytes_in_part(std::uint32_t index, std::uint32_t length, std::size_t key_size) {
  const std::uint64_t begin = std::uint64_t{index} * part_capacity(key_size);
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(part_capacity(key_size), length - begin));
}
}  // namespace

void encode(ByteSpan out, const Pointer& p) {
  SCALIO_ASSERT(out.size() == kPointerSize);
  store(out.data(), p.offset);
  store(out.data() + 8, p.sequence);
  store(out.data() + 16, p.checksum);
  store(out.data() + 24, p.length);
}

std::optional<Pointer> decode_pointer(ByteView in, std::size_t key_size, const SsdGeometry& ssd) {
  if (in.size() != kPointerSize) return std::nullopt;
  const Pointer p{load<std::uint64_t>(in.data()), load<std::uint64_t>(in.data() + 8),
                  load<std::uint32_t>(in.data() + 24), load<std::uint64_t>(in.data() + 16)};
  if (p.length == 0 || p.length > kMaxValue || p.sequence == 0 ||
      !in_a_segment(ssd, p.offset, stored_size(p.length, key_size, ssd.block_size))) {
    return std::nullopt;
  }
  return p;
}

std::uint64_t checksum_of_parts(const std::vector<std::uint64_t>& parts, std::uint64_t version) {
  return checksum(std::as_bytes(std::span(parts)), mix(version));
}

std::uint32_t part_capacity(std::size_t key_size) {
  SCALIO_ASSERT(key_size <= kMaxKey);
  return static_cast<std::uint32_t>(kPartSize - kPartHeader - key_size);
}

std::uint32_t parts_of(std::uint32_t length, std::size_t key_size) {
  return static_cast<std::uint32_t>((std::uint64_t{length} + part_capacity(key_size) - 1) /
                                    part_capacity(key_size));
}

std::uint64_t stored_size(std::uint32_t length, std::size_t key_size, std::uint32_t block_size) {
  SCALIO_ASSERT(length > 0);
  const std::uint32_t last = parts_of(length, key_size) - 1;
  return std::uint64_t{last} * kPartSize +
         round_up(kPartHeader + key_size + bytes_in_part(last, length, key_size), block_size);
}

std::uint64_t largest_value(const SsdGeometry& ssd) {
  const std::uint64_t room = ssd.segment_size - kSegmentHeader, whole = room / kPartSize,
                      rest = room % kPartSize, header = kPartHeader + kMaxKey;
  const std::uint64_t fits = whole * part_capacity(kMaxKey) + (rest > header ? rest - header : 0);
  return std::min<std::uint64_t>(kMaxValue, fits);
}

// checksum:64 | store_id:64 | sequence:64 | number:32 | 0 to kSegmentHeader. The checksum is of all
// behind it.
void encode(ByteSpan out, const SegmentHeader& h, const SsdGeometry& ssd) {
  SCALIO_ASSERT(out.size() == kSegmentHeader && h.sequence > 0);
  std::memset(out.data(), 0, out.size());
  store(out.data() + 8, ssd.store_id());
  store(out.data() + 16, h.sequence);
  store(out.data() + 24, h.number);
  store(out.data(), checksum(out.subspan(8), segment_place(ssd, h.number)));
}

std::optional<SegmentHeader> decode_segment_header(ByteView in, std::uint32_t number,
                                                   const SsdGeometry& ssd) {
  if (in.size() < kSegmentHeader) return std::nullopt;
  in = in.first(kSegmentHeader);
  const SegmentHeader h{load<std::uint32_t>(in.data() + 24), load<std::uint64_t>(in.data() + 16)};
  if (load<std::uint64_t>(in.data()) != checksum(in.subspan(8), segment_place(ssd, number)) ||
      load<std::uint64_t>(in.data() + 8) != ssd.store_id() || h.number != number ||
      h.sequence == 0) {
    return std::nullopt;
  }
  return h;
}

std::uint32_t part_bytes(const ValuePart& part, std::uint32_t block_size) {
  return static_cast<std::uint32_t>(
      round_up(kPartHeader + part.key.size() + part.bytes.size(), block_size));
}

// checksum:64 | sequence:64 | version:48 key_length:8 0:8 | index:32 | length:32 | bytes:32 | 0:32
// | key | bytes | 0 to whole blocks.
std::uint64_t encode(ByteSpan out, const ValuePart& part, std::uint64_t offset,
                     const SsdGeometry& ssd) {
  const std::uint32_t size = part_bytes(part, ssd.block_size);
  SCALIO_ASSERT(out.size() >= size && in_a_segment(ssd, offset, size));
  SCALIO_ASSERT(part.index < parts_of(part.length, part.key.size()) &&
                part.bytes.size() == bytes_in_part(part.index, part.length, part.key.size()));
  const std::size_t used = kPartHeader + part.key.size() + part.bytes.size();
  std::byte* p = out.data();
  std::memset(p + used, 0, size - used);
  store(p + 8, part.sequence);
  store(p + 16,
        RecordMeta{part.version, static_cast<std::uint8_t>(part.key.size()), 0, false}.pack());
  store(p + 24, part.index);
  store(p + 28, part.length);
  store(p + 32, static_cast<std::uint32_t>(part.bytes.size()));
  store(p + 36, std::uint32_t{0});
  copy_bytes(part.bytes, copy_bytes(as_bytes(part.key), p + kPartHeader));
  const std::uint64_t sum = checksum(out.subspan(8, used - 8), part_place(ssd, offset));
  store(p, sum);
  return sum;
}

std::optional<ValuePart> decode_part_head(ByteView in) {
  if (in.size() < kPartHeader) return std::nullopt;
  const std::byte* p = in.data();
  const RecordMeta meta = RecordMeta::unpack(load<std::uint64_t>(p + 16));
  ValuePart part;
  part.sequence = load<std::uint64_t>(p + 8);
  part.version = meta.version;
  part.index = load<std::uint32_t>(p + 24);
  part.length = load<std::uint32_t>(p + 28);
  if (meta.key_length == 0 || part.sequence == 0 || part.length == 0 || part.length > kMaxValue ||
      part.index >= parts_of(part.length, meta.key_length) ||
      load<std::uint32_t>(p + 32) != bytes_in_part(part.index, part.length, meta.key_length) ||
      in.size() < kPartHeader + meta.key_length) {
    return std::nullopt;
  }
  part.key = as_string(in.subspan(kPartHeader, meta.key_length));
  return part;
}

std::optional<FoundPart> decode_part(ByteView in, std::uint64_t offset, const SsdGeometry& ssd) {
  std::optional<ValuePart> part = decode_part_head(in);
  if (!part) return std::nullopt;
  const std::uint64_t begin = kPartHeader + part->key.size(),
                      used = begin + bytes_in_part(part->index, part->length, part->key.size());
  if (used > in.size() || !in_a_segment(ssd, offset, round_up(used, ssd.block_size)))
    return std::nullopt;
  const std::uint64_t sum = checksum(in.subspan(8, used - 8), part_place(ssd, offset));
  if (load<std::uint64_t>(in.data()) != sum) return std::nullopt;
  part->bytes = in.subspan(begin, used - begin);
  return FoundPart{*part, sum};
}

std::uint64_t max_segments(const SsdGeometry& ssd) {
  return (ssd.segment_size / 2 - kTableHeader) / kTableEntry;
}

SegmentTable first_segment_table(const SsdGeometry& ssd) {
  return {0, 0, std::vector<SegmentTable::Entry>(segments_of(ssd))};
}

// checksum:64 | store_id:64 | written:64 | lsn:64 | entries:32 | 0:224 | entries, each sequence:64
// | live:64. The checksum is of all behind it.
void encode(Bytes& out, const SegmentTable& table, const SsdGeometry& ssd) {
  SCALIO_ASSERT(table.entries.size() == segments_of(ssd));
  out.assign(kTableHeader + table.entries.size() * kTableEntry, std::byte{0});
  std::byte* p = out.data();
  store(p + 8, ssd.store_id());
  store(p + 16, table.written);
  store(p + 24, table.lsn);
  store(p + 32, static_cast<std::uint32_t>(table.entries.size()));
  p += kTableHeader;
  for (const SegmentTable::Entry& e : table.entries) {
    store(p, e.sequence);
    store(p + 8, e.live);
    p += kTableEntry;
  }
  store(out.data(), checksum(ByteView(out).subspan(8), table_place(ssd)));
}

std::optional<SegmentTable> decode_segment_table(ByteView in, const SsdGeometry& ssd) {
  const std::uint64_t n = segments_of(ssd), size = kTableHeader + n * kTableEntry;
  if (n == 0 || in.size() < size) return std::nullopt;
  in = in.first(size);
  const std::byte* p = in.data();
  if (load<std::uint64_t>(p) != checksum(in.subspan(8), table_place(ssd)) ||
      load<std::uint64_t>(p + 8) != ssd.store_id() || load<std::uint32_t>(p + 32) != n) {
    return std::nullopt;
  }
  SegmentTable table{load<std::uint64_t>(p + 16), load<std::uint64_t>(p + 24), {}};
  table.entries.reserve(n);
  for (p += kTableHeader; table.entries.size() < n; p += kTableEntry) {
    const SegmentTable::Entry e{load<std::uint64_t>(p), load<std::uint64_t>(p + 8)};
    if (!may_be_live(ssd, e.live) || (e.live == kFreeSegment && e.sequence == 0))
      return std::nullopt;
    table.entries.push_back(e);
  }
  return table;
}

void encode(Bytes& out, const std::vector<SegmentCount>& counts) {
  ByteWriter w(out);
  for (const SegmentCount& c : counts) {
    w.put(c.number);
    w.put(c.sequence);
    w.put(c.live);
  }
}

std::optional<std::vector<SegmentCount>> decode_segment_counts(ByteView in,
                                                               const SsdGeometry& ssd) {
  if (in.empty() || in.size() % kSegmentCountSize != 0) return std::nullopt;
  std::vector<SegmentCount> counts;
  for (ByteReader r(in); r.remaining() > 0;) {
    const SegmentCount c{r.get<std::uint32_t>(), r.get<std::uint64_t>(), r.get<std::uint64_t>()};
    if (c.number == 0 || c.number > segments_of(ssd) || c.sequence == 0 ||
        !may_be_live(ssd, c.live)) {
      return std::nullopt;
    }
    counts.push_back(c);
  }
  return counts;
}

}  // namespace scalio::layout
