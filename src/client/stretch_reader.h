// StretchReader: all records of adjacent home buckets as an SSD has them, in large reads
// (docs/architecture.md, the life of a scan).
#pragma once

#include <memory>
#include <vector>

#include "block/buffer.h"
#include "client/bucket_reader.h"

namespace scalio::client {

// Records, as views into the memory beside them.
struct Stretch {
  std::vector<layout::RecordView> records;
  std::vector<std::unique_ptr<block::Buffer>> memory;
};

class StretchReader {
 public:
  // `buckets` outlives it, and says which SSD.
  StretchReader(Executor& executor, BucketReader& buckets);

  // Every record whose home is in [first, end), once. The server may be writing meanwhile: what is
  // there throughout is found. Failures: as of BucketReader::find.
  Task<Result<Stretch>> read(std::uint64_t first, std::uint64_t end);

 private:
  struct Spilled;
  bool is_home(const layout::RecordView& record, std::uint64_t number) const;
  Task<Result<layout::BucketState>> settle(std::uint64_t number, ByteSpan page, bool& blank);
  Task<Status> read_spilled(std::uint64_t number, ByteSpan home, Stretch& out, bool& blank);
  Task<Status> read_reach(Spilled& found, bool& blank);

  Executor& executor_;
  BucketReader& buckets_;
  const layout::SsdGeometry& geometry_;
  const layout::Placement placement_;
};

}  // namespace scalio::client
