// The value log: values that are too large for slots and buckets, in segments of an area of their
// own (docs/formats.md, "Value log"). Pure.
//
// A value is in parts, one behind the other in one segment, each with a checksum of its own, so
// that a reader can use a part before it has the next. Its record has a pointer to the first.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "layout/geometry.h"
#include "layout/record.h"

namespace scalio::layout {

constexpr std::uint64_t kMinSegment = 128 << 10;
constexpr std::uint64_t kMaxSegment = 1 << 30;
constexpr std::uint32_t kMaxValue = 64 << 20;
constexpr std::uint32_t kPartSize = 64 << 10;   // of all parts of a value but the last
constexpr std::uint32_t kSegmentHeader = 4096;  // where the first part of a segment begins
constexpr std::uint32_t kPartHeader = 40;
constexpr std::uint32_t kTableHeader = 64;
constexpr std::uint32_t kTableEntry = 16;

// Where a value is. It stands in a record in the value's place, in kPointerSize bytes.
struct Pointer {
  std::uint64_t offset = 0;    // of its first part, in the value area; a multiple of the block size
  std::uint64_t sequence = 0;  // of the segment's filling
  std::uint32_t length = 0;    // bytes of the value
  std::uint64_t checksum = 0;  // checksum_of_parts()
  bool operator==(const Pointer&) const = default;
};
void encode(ByteSpan out, const Pointer& pointer);
// Nothing if the value cannot be there: outside the area, in the segment's header, over its end.
std::optional<Pointer> decode_pointer(ByteView in, std::size_t key_size, const SsdGeometry& ssd);

// Of the checksums of a value's parts, in their order, and the record's version: what a reader has
// at the last part, whatever the value's size.
std::uint64_t checksum_of_parts(const std::vector<std::uint64_t>& parts, std::uint64_t version);

// Bytes of the value in each part but the last, and parts of the value.
std::uint32_t part_capacity(std::size_t key_size);
std::uint32_t parts_of(std::uint32_t length, std::size_t key_size);
// What a value takes of its segment, whole blocks.
std::uint64_t stored_size(std::uint32_t length, std::size_t key_size, std::uint32_t block_size);

// The largest value that the store takes, whatever its key's length.
std::uint64_t largest_value(const SsdGeometry& ssd);

// What a segment begins with: which filling of it this is.
struct SegmentHeader {
  std::uint32_t number = 0;    // of the segment in the area, from 1
  std::uint64_t sequence = 0;  // counted up by the shard with every segment that it begins
};
// Encodes into kSegmentHeader bytes.
void encode(ByteSpan out, const SegmentHeader& header, const SsdGeometry& ssd);
std::optional<SegmentHeader> decode_segment_header(ByteView in, std::uint32_t number,
                                                   const SsdGeometry& ssd);

// A part of a value. Views into somebody else's bytes.
struct ValuePart {
  std::uint64_t sequence = 0;  // of the segment's filling
  std::uint64_t version = 0;
  std::uint32_t index = 0;   // of the part in its value
  std::uint32_t length = 0;  // of the whole value
  std::string_view key;
  ByteView bytes;
};
// Bytes that encode() writes, whole blocks.
std::uint32_t part_bytes(const ValuePart& part, std::uint32_t block_size);
// Returns the part's checksum. `offset` is where it goes in the value area.
std::uint64_t encode(ByteSpan out, const ValuePart& part, std::uint64_t offset,
                     const SsdGeometry& ssd);
// What `in` begins with, up to the key: the part is not whole there, so nothing says that it is
// intact, and `bytes` is empty. Nothing if it cannot be a part.
constexpr std::uint32_t kPartHead = kPartHeader + kMaxKey;  // bytes that suffice for any
std::optional<ValuePart> decode_part_head(ByteView in);
struct FoundPart {
  ValuePart part;
  std::uint64_t checksum;
};
// The part at `offset` of the value area, which `in` begins with. Nothing if none is intact there.
std::optional<FoundPart> decode_part(ByteView in, std::uint64_t offset, const SsdGeometry& ssd);

// Live bytes of a segment that was filled and is free again: nothing points there, for sure (rule
// 15 of docs/protocol.md). Its sequence is still that of its last filling.
constexpr std::uint64_t kFreeSegment = ~std::uint64_t{0};

// How many bytes of each segment are live, so that a server knows it without reading all buckets.
// It is twice in segment 0; the later one that is intact counts, and what the log has of it since
// (SegmentCount).
struct SegmentTable {
  struct Entry {
    std::uint64_t sequence = 0;  // of its filling; 0: never used
    std::uint64_t live = 0;      // bytes that records point to, whole blocks; or kFreeSegment
    bool operator==(const Entry&) const = default;
  };
  std::uint64_t written = 0;   // counts the tables that were written
  std::uint64_t lsn = 0;       // the counts of all log records before it are in
  std::vector<Entry> entries;  // of segments 1 and on
};
// Segments that an area may have, so that its table fits half a segment.
std::uint64_t max_segments(const SsdGeometry& ssd);
// That of an area which was just formatted. It is written to the begin of segment 0.
SegmentTable first_segment_table(const SsdGeometry& ssd);
void encode(Bytes& out, const SegmentTable& table, const SsdGeometry& ssd);
std::optional<SegmentTable> decode_segment_table(ByteView in, const SsdGeometry& ssd);

// In the log, in the batch of what changed it: a segment's live bytes from there on.
struct SegmentCount {
  std::uint32_t number = 0;
  std::uint64_t sequence = 0;
  std::uint64_t live = 0;
  bool operator==(const SegmentCount&) const = default;
};
constexpr std::uint32_t kSegmentCountSize = 20;
void encode(Bytes& out, const std::vector<SegmentCount>& counts);
// Nothing if malformed, or of segments that are not there.
std::optional<std::vector<SegmentCount>> decode_segment_counts(ByteView in, const SsdGeometry& ssd);

}  // namespace scalio::layout
