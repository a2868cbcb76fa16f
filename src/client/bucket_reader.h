// BucketReader: finds a record on an SSD by itself, with one read nearly always
// (docs/architecture.md, the life of a GET).
#pragma once

#include <scalio/client.h>

#include <memory>
#include <optional>
#include <vector>

#include "block/block_device.h"
#include "block/buffer.h"
#include "block/identity.h"
#include "client/get_trace.h"
#include "client/stored_record.h"
#include "layout/bucket.h"

namespace scalio::client {

class BucketReader {
 public:
  BucketReader(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& geometry);

  // The key's record as the SSD has it; nothing if it has none. The server may be writing
  // meanwhile. Failures: corrupt (a bucket stays damaged: names it and its place), io_error,
  // invalid (the device is not this SSD any more), and what its reads fail with.
  //
  // A bucket that was never written has nothing that says whose it is, and every other device looks
  // like that, too. So "nothing" from one is answered only after the superblock was read again
  // (rule 12).
  Task<Result<std::optional<StoredRecord>>> find(std::string_view key, std::uint64_t hash);

  // One bucket as it was at one moment, never corrupt, into a part of a block::Buffer that has its
  // size. Sets `blank` if it does not say that it is this SSD's. Failures: as of find(), but
  // invalid.
  Task<Result<layout::BucketState>> read(std::uint64_t number, ByteSpan into, bool& blank);
  // Ok if what was `blank` before this call is empty indeed: the device is this SSD (rule 12).
  Task<Status> confirm(bool blank);

  // Who sets `trace`, which outlives this, to a trace is told of each read.
  void trace_by(GetTrace* const* trace) { trace_ = trace; }

  block::BlockDevice& device() const { return device_; }
  const layout::SsdGeometry& geometry() const { return geometry_; }

 private:
  class Lease;
  Task<Result<std::optional<StoredRecord>>> absent(bool blank);
  void tell(Nanos began, std::uint64_t number, ByteView bucket, const Status& read) const;

  Executor& executor_;
  block::BlockDevice& device_;
  const layout::SsdGeometry geometry_;
  const std::uint64_t store_id_;
  block::IdentityCheck identity_;
  GetTrace* const* trace_ = &GetTrace::kNone;
  std::vector<std::unique_ptr<block::Buffer>>
      idle_;  // one per read that was ever in flight at once
};

}  // namespace scalio::client
