// ArchiveWriter: an archive while it is written, to a file or a pipe.
#pragma once

#include <memory>
#include <string>

#include "archive/archive_format.h"

namespace scalio::archive {

// Not thread-safe.
class ArchiveWriter {
 public:
  // Begins an archive of this store in a new file, whose name is durable then, or on stdout: "-".
  // Failures: invalid (there is such a file already), io_error.
  static Result<std::unique_ptr<ArchiveWriter>> create(const std::string& path, const Uuid& store);
  // Goes on with one that was not finished, behind its last whole chunk; what follows that is cut
  // off. Failures: invalid (no archive of this store, or finished already), busy (another process
  // writes it), io_error.
  static Result<std::unique_ptr<ArchiveWriter>> resume(const std::string& path, const Uuid& store);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  // All records of this part of the store. Failures: io_error.
  Status add(ScanRange range, std::span<const ScannedRecord> records);
  // Says that it is whole, and makes it durable. Nothing is added after it.
  Status finish();

  // The parts that it had when it was gone on with.
  const std::vector<ScanRange>& had() const { return had_; }
  // Of the records of an archive that was gone on with, once or more often: those of parts that it
  // did not have whole. These parts come again, and these records are in it once more, unless they
  // are gone by then.
  std::uint64_t again() const { return again_; }
  const Total& total() const { return total_; }
  std::uint64_t size() const { return size_; }  // bytes written, and had

 private:
  ArchiveWriter(std::string name, int fd, Header header);
  Status write(ByteView bytes);

  const std::string name_;
  const int fd_;
  const Header header_;
  std::vector<ScanRange> had_;
  std::uint64_t next_ = 0;  // chunk
  Total total_;
  std::uint64_t again_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace scalio::archive
