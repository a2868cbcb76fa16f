// RecordFeed: the records of an archive for many tasks, one each at a time. What of the archive is
// in memory has a bound, however many tasks there are: that of a ValueMemory, and the chunk that is
// read.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "archive/archive_format.h"
#include "cli/value_memory.h"
#include "task/sync.h"

namespace scalio::cli {

class RecordFeed {
 public:
  // As ArchiveReader::next, which may take its time. Asked again only when it has answered.
  using NextChunk = std::function<Task<Result<std::optional<archive::Chunk>>>()>;

  // The memory outlives it, and what it gives.
  RecordFeed(Executor& executor, NextChunk next_chunk, ValueMemory& memory)
      : next_chunk_(std::move(next_chunk)), memory_(memory), read_(executor) {}

  // The chunk that a record is in stays in memory as long as anybody has a record of it.
  struct HeldChunk {
    archive::Chunk chunk;
    ValueMemory::Room room;
  };
  struct Fed {
    std::shared_ptr<const HeldChunk> held;
    ScannedRecord record;
  };
  // The next record. Nothing at the end of the archive, and after a failure, which is given once.
  // Waits for room for the next chunk, so whoever calls it has no record any more. Failures: as of
  // NextChunk.
  Task<Result<std::optional<Fed>>> next();

 private:
  Task<Status> read_chunk();

  const NextChunk next_chunk_;
  ValueMemory& memory_;
  std::shared_ptr<const HeldChunk> held_;  // null: it is to be read, or there is none any more
  archive::RecordCursor next_;             // in it
  bool reading_ = false;
  bool ended_ = false;
  WaitList read_;
};

}  // namespace scalio::cli
