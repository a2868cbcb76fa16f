// ArchiveReader: goes through an archive, in a file or a pipe, from its beginning to its end.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "archive/archive_format.h"

namespace scalio::archive {

// Not thread-safe.
class ArchiveReader {
 public:
  // "-" is stdin. Failures: not_found, invalid (no archive), corrupt, io_error; they name the file.
  static Result<std::unique_ptr<ArchiveReader>> open(const std::string& path);

  const Header& header() const { return header_; }
  // The next chunk; nothing at the end of a whole archive, behind which nothing follows. Failures:
  // corrupt (a chunk is damaged or cut short, or the end is missing: the export was interrupted),
  // io_error.
  Result<std::optional<Chunk>> next();
  // Of the chunk that came last: what part of the store it is.
  ScanRange range() const { return range_; }
  // Bytes up to the end of that chunk; and of the whole, or 0 if that is not known.
  std::uint64_t position() const { return position_; }
  std::uint64_t size() const { return size_; }
  const Total& total() const { return total_; }  // of the chunks so far

 private:
  struct Close {
    void operator()(std::FILE* file) const {
      if (file != stdin) std::fclose(file);
    }
  };
  ArchiveReader(std::string name, std::FILE* file) : name_(std::move(name)), file_(file) {}
  Status begin();
  Status read(ByteSpan into);
  Status corrupt(const Status& why) const;

  const std::string name_;
  const std::unique_ptr<std::FILE, Close> file_;
  Header header_;
  ScanRange range_;
  std::uint64_t next_ = 0;  // chunk
  std::uint64_t position_ = 0;
  std::uint64_t size_ = 0;
  Total total_;
  bool ended_ = false;
};

}  // namespace scalio::archive
