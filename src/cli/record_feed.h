// RecordFeed: the records of an archive for many tasks, one each at a time. What of the archive is
// in memory has a bound, however many tasks there are: that of a ValueMemory, and the chunk that is
// read.
#pragma once

#include <memory>
#include <optional>

#include "archive/archive_reader.h"
#include "cli/value_memory.h"
#include "task/sync.h"

namespace scalio::cli {

class RecordFeed {
 public:
  // Reader and memory outlive it, and what it gives.
  RecordFeed(Executor& executor, archive::ArchiveReader& reader, ValueMemory& memory)
      : reader_(reader), memory_(memory), read_(executor) {}

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
  // ArchiveReader::next.
  Task<Result<std::optional<Fed>>> next();

 private:
  Task<Status> read_chunk();

  archive::ArchiveReader& reader_;
  ValueMemory& memory_;
  std::shared_ptr<const HeldChunk> held_;  // null: it is to be read, or there is none any more
  archive::RecordCursor next_;             // in it
  bool reading_ = false;
  bool ended_ = false;
  WaitList read_;
};

}  // namespace scalio::cli
