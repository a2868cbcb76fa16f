// The archive of a store, what `scalio export` writes (docs/formats.md, "Archive"). Pure: bytes and
// structs.
//
// A header, then chunks, each the records of a part of the store and sealed by itself, then one
// that says that it is whole. So what was written before a kill can be used, and gone on with.
#pragma once

#include <scalio/client.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>

#include "base/bytes.h"

namespace scalio::archive {

using Uuid = std::array<std::uint8_t, 16>;

constexpr std::size_t kHeaderSize = 64;
constexpr std::size_t kChunkHeaderSize = 64;
// Bytes of a chunk's records, compressed or not: more than any page of a scan has.
constexpr std::uint32_t kMaxChunk = 128 << 20;

struct Header {
  Uuid store{};                // whose records these are
  std::uint64_t begun_at = 0;  // Unix time, seconds
};
void encode(std::span<std::byte, kHeaderSize> out, const Header& header);
// Failures: invalid (no archive, or of another version), corrupt.
Result<Header> decode_header(std::span<const std::byte, kHeaderSize> bytes);

struct ChunkHeader {
  std::uint64_t number = 0;  // the first is 0
  bool end = false;          // of the archive: it has a Total in place of records
  std::uint32_t records = 0;
  std::uint32_t size = 0;    // of the records, encoded
  std::uint32_t stored = 0;  // of these, compressed, behind the header
  ScanRange range;           // of the store: these are all the records in it
};

struct Total {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  // of keys and values
};

// One chunk, header and what follows it. `archive` is whose: a chunk of another is not taken.
Bytes encode_chunk(const Header& archive, std::uint64_t number, ScanRange range,
                   std::span<const ScannedRecord> records);
Bytes encode_end(const Header& archive, std::uint64_t number, const Total& total);

// Sets the checksum of a chunk of this archive; after the last edit.
void seal(const Header& archive, ByteSpan chunk);

// What a chunk's header says; `bytes` may be anything. Its checksum is looked at by the next.
// Failures: corrupt (it cannot be one of this number).
Result<ChunkHeader> decode_chunk_header(std::span<const std::byte, kChunkHeaderSize> bytes,
                                        std::uint64_t number);

// Goes through the records of a chunk, to std::default_sentinel.
class RecordCursor {
 public:
  RecordCursor() = default;
  // `records` are what decode_chunk() has checked.
  explicit RecordCursor(ByteView records) : rest_(records) { ++*this; }

  const ScannedRecord& operator*() const { return record_; }
  RecordCursor& operator++();
  friend bool operator==(const RecordCursor& c, std::default_sentinel_t) { return c.ended_; }

 private:
  ByteReader rest_{ByteView()};  // behind the record
  ScannedRecord record_;
  bool ended_ = true;
};

// Those of a chunk. Each is made when it is gone through: a chunk of a hundred megabytes, which
// compressed are a few thousand bytes, may have nine million of them.
class ChunkRecords {
 public:
  ChunkRecords() = default;
  ChunkRecords(ByteView records, std::size_t count) : records_(records), count_(count) {}

  RecordCursor begin() const { return RecordCursor(records_); }
  std::default_sentinel_t end() const { return {}; }
  std::size_t size() const { return count_; }

 private:
  ByteView records_;
  std::size_t count_ = 0;
};

// The records are views into `memory`.
struct Chunk {
  ChunkRecords records;
  std::optional<Total> total;  // if it is the end
  Bytes memory;
};
// `bytes` is the whole chunk. Failures: corrupt.
Result<Chunk> decode_chunk(const Header& archive, const ChunkHeader& header, ByteView bytes);

}  // namespace scalio::archive
