#include "baseline/paper/paper_log.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/assert.h"

namespace scalio::paper {

Task<Result<std::vector<Bytes>>> PaperLog::recover() {
  constexpr std::uint64_t kPiece = 1024;  // blocks
  block::Buffer log(std::size_t{geometry_.log_blocks} * kBlock);
  for (std::uint64_t block = 0; block < geometry_.log_blocks; block += kPiece) {
    const std::uint64_t blocks = std::min(kPiece, geometry_.log_blocks - block);
    Status s = co_await device_.read(geometry_.log_at(block),
                                     log.span().subspan(block * kBlock, blocks * kBlock));
    if (!s.ok()) co_return s;
  }
  std::map<std::uint64_t, ByteView> found;
  std::uint64_t oldest = 0;
  for (std::uint64_t block = 0; block < geometry_.log_blocks; ++block) {
    const auto batch = decode_batch(log.span().subspan(block * kBlock), block, geometry_);
    if (!batch) continue;
    found[batch->sequence] = batch->records;
    oldest = std::max(oldest, batch->oldest);
    next_ = std::max(next_, batch->sequence + 1);
  }
  std::vector<Bytes> records;
  for (auto it = found.find(oldest); it != found.end() && it->first == oldest; ++it, ++oldest) {
    records.emplace_back(it->second.begin(), it->second.end());
  }
  co_return records;
}

std::uint64_t PaperLog::next_position(std::uint32_t blocks) const {
  const std::uint64_t at = head_ % geometry_.log_blocks;
  return at + blocks <= geometry_.log_blocks ? head_ : head_ - at + geometry_.log_blocks;
}

bool PaperLog::has_room(std::uint32_t blocks) const {
  const std::uint64_t tail = live_.empty() ? head_ : live_.front().position;
  return next_position(blocks) + blocks <= tail + geometry_.log_blocks;
}

PaperLog::Entry PaperLog::reserve(std::uint32_t blocks) {
  SCALIO_ASSERT(has_room(blocks));
  const std::uint64_t position = next_position(blocks);
  live_.push_back({next_, position});
  head_ = position + blocks;
  return {next_++, position % geometry_.log_blocks, blocks};
}

Task<Status> PaperLog::write(Entry entry, ByteView records) {
  leed::IoBuffer buffer = pool_.take(entry.blocks);
  const ByteSpan bytes = buffer.first(entry.blocks);
  encode_batch(bytes, entry.block, {entry.sequence, oldest(), records}, geometry_);
  co_return co_await device_.write(geometry_.log_at(entry.block), bytes, block::Durability::stable);
}

void PaperLog::release(std::uint64_t before) {
  SCALIO_ASSERT(before <= next_);
  while (!live_.empty() && live_.front().sequence < before) live_.pop_front();
}

}  // namespace scalio::paper
