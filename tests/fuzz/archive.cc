// Archives, as a file or a pipe has them.
#include "archive/archive_format.h"
#include "target.h"

namespace scalio::fuzz {

using namespace archive;

namespace {
constexpr Header kArchive{{1, 2, 3}, 4};

void use(ByteView chunk, std::uint64_t number) {
  const auto header = decode_chunk_header(chunk.first<kChunkHeaderSize>(), number);
  if (!header.ok() || chunk.size() != kChunkHeaderSize + header->stored) return;
  // Whoever lies of its size gets no more than this.
  if (header->size > 1 << 20) return;
  const auto decoded = decode_chunk(kArchive, *header, chunk);
  if (!decoded.ok()) return;
  require(decoded->records.size() == header->records);
  require(decoded->total.has_value() == header->end);
  for (const ScannedRecord& r : decoded->records) {
    require(!r.key.empty());
    require(r.key.data() >= as_string(decoded->memory).data());
    require(r.value.data() + r.value.size() <=
            as_string(decoded->memory).data() + decoded->memory.size());
  }
}
}  // namespace

void run(ByteView input) {
  if (input.size() >= kHeaderSize) (void)decode_header(input.first<kHeaderSize>());
  if (input.size() < kChunkHeaderSize) return;
  use(input, 0);
  // And as a writer's error would leave it: wrong, under a right checksum.
  Bytes bytes(input.begin(), input.end());
  store(bytes.data() + 28, static_cast<std::uint32_t>(bytes.size() - kChunkHeaderSize));
  seal(kArchive, bytes);
  use(bytes, load<std::uint64_t>(bytes.data() + 8));
}

std::vector<Bytes> seeds() {
  Bytes header(kHeaderSize);
  encode(std::span(header).first<kHeaderSize>(), kArchive);
  const std::vector<ScannedRecord> records = {{"key", "value", 1}, {"k", std::string_view(), 2}};
  return {header, encode_chunk(kArchive, 0, {1, 2}, records), encode_chunk(kArchive, 0, {1, 2}, {}),
          encode_end(kArchive, 0, {2, 9})};
}

}  // namespace scalio::fuzz
