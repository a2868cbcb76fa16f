// StretchReader: all records of adjacent home buckets as an SSD has them, in large reads
// (docs/architecture.md, the life of a scan).
#pragma once

#include <memory>
#include <vector>

#include "block/buffer.h"
#include "client/bucket_reader.h"
#include "client/move_watch.h"

namespace scalio::client {

// Records, as views into the memory beside them.
struct Stretch {
  std::vector<layout::RecordView> records;
  std::vector<std::unique_ptr<block::Buffer>> memory;
  // Of the homes with records in other buckets: taken from what was read at once; read once more.
  std::uint64_t taken_at_once = 0, read_again = 0;
};

class StretchReader {
 public:
  // `buckets` outlives it, and says which SSD.
  StretchReader(Executor& executor, BucketReader& buckets);

  // Every record whose home is in [first, end), once. The server may be writing meanwhile: what is
  // there throughout is found. `moves` is of these homes and has begun; null: nobody tells of
  // moves. Failures: as of BucketReader::find.
  Task<Result<Stretch>> read(std::uint64_t first, std::uint64_t end, MoveWatch* moves);

 private:
  using Memory = std::vector<std::unique_ptr<block::Buffer>>;
  struct Pages;
  struct Spilled;
  bool is_home(const layout::RecordView& record, std::uint64_t number) const;
  std::uint64_t small_read() const;
  Task<Status> settle(std::uint64_t number, ByteSpan page, bool& blank);
  Task<Status> read_pages(Pages& pages, std::uint64_t end, std::uint64_t at_once, bool& blank);
  Task<Status> take_still(std::vector<std::uint64_t>& spilled, Pages& pages, MoveWatch& moves,
                          Stretch& out, bool& blank);
  Task<Status> read_spilled(std::uint64_t number, ByteSpan home, Stretch& out, bool& blank);
  Task<Status> read_reach(Spilled& found, bool& blank);
  void add(Spilled& found, ByteSpan page) const;

  Executor& executor_;
  BucketReader& buckets_;
  const layout::SsdGeometry& geometry_;
  const layout::Placement placement_;
};

}  // namespace scalio::client
