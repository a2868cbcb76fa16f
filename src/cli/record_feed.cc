#include "cli/record_feed.h"

#include <utility>

namespace scalio::cli {

Task<Result<std::optional<RecordFeed::Fed>>> RecordFeed::next() {
  for (;;) {
    while (reading_) co_await read_.wait();
    if (held_ && next_ != std::default_sentinel) {
      Fed fed{held_, *next_};
      ++next_;
      co_return std::optional(std::move(fed));
    }
    held_.reset();
    if (ended_) co_return std::optional<Fed>();
    reading_ = true;
    const Status read = co_await read_chunk();
    reading_ = false;
    read_.wake_all();
    if (!read.ok()) co_return read;
  }
}

Task<Status> RecordFeed::read_chunk() {
  Result<std::optional<archive::Chunk>> chunk = co_await next_chunk_();
  ended_ = !chunk.ok() || !*chunk;
  if (ended_) co_return chunk.status();
  ValueMemory::Room room = co_await memory_.room((*chunk)->memory.size());
  held_ = std::make_shared<const HeldChunk>(HeldChunk{**std::move(chunk), std::move(room)});
  next_ = held_->chunk.records.begin();
  co_return Status();
}

}  // namespace scalio::cli
