#include "archive/archive_format.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/hash.h"
#include "layout/record.h"

namespace scalio::archive {

namespace {
// Header: magic:64 | version:32 | 0:32 | store:128 | begun_at:64 | 0:128 | checksum:64.
constexpr std::string_view kMagic = "SCALIOAR";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderChecksum = 56;

// Chunk header: checksum:64 | number:64 | kind:32 | records:32 | size:32 | stored:32 | begin:64 |
// end:64 | 0:128. The checksum is of all behind it, the stored bytes too.
constexpr std::uint32_t kRecords = 1, kEnd = 2;

// Record: key length:8 | has an end:8 | value length:32 | version:64 | end:64, if it has | key |
// value.
constexpr std::size_t kRecordHeader = 14;

constexpr int kLevel = 3;  // of compression: zstd's own default

std::uint64_t seed_of(const Header& archive) {
  std::uint64_t a, b;
  std::memcpy(&a, archive.store.data(), 8);
  std::memcpy(&b, archive.store.data() + 8, 8);
  return mix(a ^ mix(b ^ mix(archive.begun_at)));
}

Status corrupt(std::string_view what) { return Status(Code::corrupt, std::string(what)); }

// Nothing if it cannot be one.
std::optional<ScannedRecord> next_record(ByteReader& r) {
  const auto key_size = r.get<std::uint8_t>();
  const auto has_end = r.get<std::uint8_t>();
  const auto value_size = r.get<std::uint32_t>();
  const auto version = r.get<std::uint64_t>();
  const std::uint64_t end = has_end == 1 ? r.get<std::uint64_t>() : 0;
  const std::string_view key = as_string(r.bytes(key_size));
  const std::string_view value = as_string(r.bytes(value_size));
  if (!r.ok() || key.empty() || has_end > 1 || (has_end == 1) != (end != 0) ||
      end > layout::kLatestEnd) {
    return std::nullopt;
  }
  return ScannedRecord{key, value, version,
                       EndTime(EndTime::duration(static_cast<std::int64_t>(end)))};
}

Bytes chunk_of(const Header& archive, const ChunkHeader& header, ByteView content) {
  SCALIO_ASSERT(content.size() <= kMaxChunk);
  Bytes out(kChunkHeaderSize + ZSTD_compressBound(content.size()));
  const std::size_t stored =
      ZSTD_compress(out.data() + kChunkHeaderSize, out.size() - kChunkHeaderSize, content.data(),
                    content.size(), kLevel);
  SCALIO_ASSERT(ZSTD_isError(stored) == 0);  // the only one there is: no room
  out.resize(kChunkHeaderSize + stored);
  std::byte* const p = out.data();
  store(p + 8, header.number);
  store(p + 16, header.end ? kEnd : kRecords);
  store(p + 20, header.records);
  store(p + 24, static_cast<std::uint32_t>(content.size()));
  store(p + 28, static_cast<std::uint32_t>(stored));
  store(p + 32, header.range.begin);
  store(p + 40, header.range.end);
  seal(archive, out);
  return out;
}

}  // namespace

void seal(const Header& archive, ByteSpan chunk) {
  store(chunk.data(), checksum(ByteView(chunk).subspan(8), seed_of(archive)));
}

void encode(std::span<std::byte, kHeaderSize> out, const Header& header) {
  std::ranges::fill(out, std::byte{0});
  copy_bytes(as_bytes(kMagic), out.data());
  store(out.data() + 8, kVersion);
  store(out.data() + 16, header.store);
  store(out.data() + 32, header.begun_at);
  store(out.data() + kHeaderChecksum, checksum(ByteView(out).first(kHeaderChecksum), 0));
}

Result<Header> decode_header(std::span<const std::byte, kHeaderSize> bytes) {
  if (as_string(ByteView(bytes).first(kMagic.size())) != kMagic) {
    return Status(Code::invalid, "it is no archive that `scalio export` has written");
  }
  const auto version = load<std::uint32_t>(bytes.data() + 8);
  if (version != kVersion) {
    return Status(Code::invalid, fmt::format("it is an archive of version {}; this release reads "
                                             "version {}",
                                             version, kVersion));
  }
  if (load<std::uint64_t>(bytes.data() + kHeaderChecksum) !=
      checksum(ByteView(bytes).first(kHeaderChecksum), 0)) {
    return corrupt("its header fails its checksum");
  }
  return Header{load<Uuid>(bytes.data() + 16), load<std::uint64_t>(bytes.data() + 32)};
}

Bytes encode_chunk(const Header& archive, std::uint64_t number, ScanRange range,
                   std::span<const ScannedRecord> records) {
  Bytes content;
  ByteWriter w(content);
  for (const ScannedRecord& r : records) {
    w.put(static_cast<std::uint8_t>(r.key.size()));
    const bool has_end = r.end != EndTime();
    w.put(static_cast<std::uint8_t>(has_end));
    w.put(static_cast<std::uint32_t>(r.value.size()));
    w.put(r.version);
    if (has_end) w.put(static_cast<std::uint64_t>(r.end.time_since_epoch().count()));
    w.bytes(as_bytes(r.key));
    w.bytes(as_bytes(r.value));
  }
  return chunk_of(archive, {number, false, static_cast<std::uint32_t>(records.size()), 0, 0, range},
                  content);
}

Bytes encode_end(const Header& archive, std::uint64_t number, const Total& total) {
  Bytes content;
  ByteWriter w(content);
  w.put(total.records);
  w.put(total.bytes);
  return chunk_of(archive, {number, true, 0, 0, 0, {}}, content);
}

Result<ChunkHeader> decode_chunk_header(std::span<const std::byte, kChunkHeaderSize> bytes,
                                        std::uint64_t number) {
  const std::byte* const p = bytes.data();
  const auto kind = load<std::uint32_t>(p + 16);
  const ChunkHeader header{
      load<std::uint64_t>(p + 8),  kind == kEnd,
      load<std::uint32_t>(p + 20), load<std::uint32_t>(p + 24),
      load<std::uint32_t>(p + 28), {load<std::uint64_t>(p + 32), load<std::uint64_t>(p + 40)}};
  if (header.number != number || (kind != kRecords && kind != kEnd) || header.size > kMaxChunk ||
      header.stored > ZSTD_compressBound(kMaxChunk) ||
      header.records > (header.end ? 0 : header.size / kRecordHeader) ||
      header.range.begin > header.range.end) {
    return corrupt(fmt::format("what should be chunk {} is none", number));
  }
  return header;
}

Result<Chunk> decode_chunk(const Header& archive, const ChunkHeader& header, ByteView bytes) {
  SCALIO_ASSERT(bytes.size() == kChunkHeaderSize + header.stored);
  if (load<std::uint64_t>(bytes.data()) != checksum(bytes.subspan(8), seed_of(archive))) {
    return corrupt(fmt::format("chunk {} fails its checksum", header.number));
  }
  Chunk chunk;
  chunk.memory.resize(header.size);
  const std::size_t size =
      ZSTD_decompress(chunk.memory.data(), chunk.memory.size(), bytes.data() + kChunkHeaderSize,
                      bytes.size() - kChunkHeaderSize);
  if (ZSTD_isError(size) != 0 || size != header.size) {
    return corrupt(fmt::format("chunk {} cannot be decompressed", header.number));
  }
  ByteReader r(chunk.memory);
  if (header.end) {
    chunk.total = Total{r.get<std::uint64_t>(), r.get<std::uint64_t>()};
  }
  for (std::uint32_t i = 0; i < header.records; ++i) {
    if (!next_record(r)) return corrupt("a record cannot be one");
  }
  if (!r.done()) return corrupt(fmt::format("chunk {} has not the size it says", header.number));
  if (!header.end) chunk.records = ChunkRecords(chunk.memory, header.records);
  return chunk;
}

RecordCursor& RecordCursor::operator++() {
  ended_ = rest_.remaining() == 0;
  if (ended_) return *this;
  const std::optional<ScannedRecord> next = next_record(rest_);
  SCALIO_ASSERT(next.has_value());
  record_ = *next;
  return *this;
}

}  // namespace scalio::archive
