#include "archive/archive_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <utility>
#include <vector>

#include "archive/archive_reader.h"

namespace scalio::archive {

namespace {

Status failed(std::string_view what, const std::string& path) {
  return Status(Code::io_error, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

std::string folder_of(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

bool not_allowed(int error) { return error == EACCES || error == EPERM || error == EROFS; }

// Why there is no new file.
Status not_made(const std::string& path) {
  const std::string folder = folder_of(path);
  if (not_allowed(errno)) {
    return Status(Code::io_error, fmt::format("cannot make {}: {}; let this user write in {}, or "
                                              "choose another folder",
                                              path, std::strerror(errno), folder));
  }
  if (errno == ENOENT || errno == ENOTDIR) {
    return Status(Code::io_error, fmt::format("cannot make {}: there is no folder {}; make it, or "
                                              "choose another",
                                              path, folder));
  }
  return failed("make", path);
}

// Makes the name of a new file durable, at once: who cannot do that shall not hear of it when the
// archive is whole.
Status sync_folder_of(const std::string& path) {
  const std::string name = folder_of(path);
  const int fd = open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return Status(Code::io_error,
                  fmt::format("cannot open {}, to make the name of {} in it durable: {}; let this "
                              "user read the folder, or choose another",
                              name, path, std::strerror(errno)));
  }
  Status s;
  if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) s = failed("sync", name);
  close(fd);
  return s;
}

// What was written in one go: since the archive was begun, or gone on with.
class OneGo {
 public:
  void add(const ScanRange& range, std::size_t records) {
    if (!range.empty()) {
      parts_.push_back(range);
    } else if (records > 0) {
      apart_.push_back({range.begin, records});
    }
  }
  // Records that came apart from the chunk of their part, where that did not come: who goes on
  // writes them again.
  std::uint64_t unfinished() {
    std::ranges::sort(parts_, {}, &ScanRange::begin);
    std::uint64_t records = 0;
    for (const Apart& a : apart_) {
      // In one go no part is written twice.
      const auto behind = std::ranges::upper_bound(parts_, a.place, {}, &ScanRange::begin);
      if (behind == parts_.begin() || std::prev(behind)->end <= a.place) records += a.records;
    }
    return records;
  }

 private:
  struct Apart {
    std::uint64_t place;  // where their part begins
    std::size_t records;
  };
  std::vector<ScanRange> parts_;
  std::vector<Apart> apart_;
};

}  // namespace

ArchiveWriter::ArchiveWriter(std::string name, int fd, Header header)
    : name_(std::move(name)), fd_(fd), header_(header) {}

ArchiveWriter::~ArchiveWriter() {
  if (fd_ != STDOUT_FILENO) close(fd_);
}

Result<std::unique_ptr<ArchiveWriter>> ArchiveWriter::create(const std::string& path,
                                                             const Uuid& store) {
  int fd = STDOUT_FILENO;
  if (path != "-") {
    fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST) {
      return Status(Code::invalid,
                    fmt::format("{} is there already: --resume goes on with an export that was "
                                "interrupted, and another name begins a new one",
                                path));
    }
    if (fd < 0) return not_made(path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
      Status s = failed("lock", path);
      close(fd);
      unlink(path.c_str());
      return s;
    }
  }
  const Header header{store, static_cast<std::uint64_t>(std::time(nullptr))};
  std::unique_ptr<ArchiveWriter> writer(
      new ArchiveWriter(path == "-" ? "stdout" : path, fd, header));
  std::array<std::byte, kHeaderSize> bytes;
  encode(bytes, header);
  Status s = writer->write(bytes);
  if (path == "-") {
    if (!s.ok()) return s;
    return writer;
  }
  if (s.ok()) s = sync_folder_of(path);
  if (s.ok()) return writer;
  unlink(path.c_str());
  return s;
}

Result<std::unique_ptr<ArchiveWriter>> ArchiveWriter::resume(const std::string& path,
                                                             const Uuid& store) {
  struct stat found {};
  if (stat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode))
    return Status(Code::invalid, fmt::format("{} is not a regular file", path));
  Result<std::unique_ptr<ArchiveReader>> reader = ArchiveReader::open(path);
  if (!reader.ok()) return reader.status();
  if ((*reader)->header().store != store) {
    return Status(Code::invalid, fmt::format("{} is an archive of another store", path));
  }
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0 && not_allowed(errno)) {
    return Status(Code::io_error, fmt::format("cannot go on with {}: {}; let this user write it",
                                              path, std::strerror(errno)));
  }
  if (fd < 0) return failed("open", path);
  std::unique_ptr<ArchiveWriter> writer(new ArchiveWriter(path, fd, (*reader)->header()));
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK) return failed("lock", path);
    return Status(Code::busy, fmt::format("another process writes {}", path));
  }
  writer->size_ = kHeaderSize;
  OneGo go;
  while (true) {
    // The first chunk that is not whole, or is not there, is the next to be written.
    Result<std::optional<Chunk>> chunk = (*reader)->next();
    if (chunk.code() == Code::io_error) return chunk.status();
    if (!chunk.ok()) break;
    if (!*chunk) return Status(Code::invalid, fmt::format("{} is finished", path));
    const ScanRange range = (*reader)->range();
    const std::size_t records = (*chunk)->records.size();
    if (!range.empty()) writer->had_.push_back(range);
    // Here it was gone on with.
    if (range.empty() && records == 0) writer->again_ += std::exchange(go, {}).unfinished();
    go.add(range, records);
    ++writer->next_;
    writer->size_ = (*reader)->position();
  }
  writer->total_ = (*reader)->total();
  const std::uint64_t unfinished = go.unfinished();
  writer->again_ += unfinished;
  if (ftruncate(fd, static_cast<off_t>(writer->size_)) != 0 ||
      lseek(fd, static_cast<off_t>(writer->size_), SEEK_SET) < 0) {
    return failed("go on with", path);
  }
  // The chunk of their part, when it comes, is not theirs.
  if (unfinished > 0) {
    if (Status s = writer->add({}, {}); !s.ok()) return s;
  }
  if (Status s = sync_folder_of(path); !s.ok()) return s;
  return writer;
}

Status ArchiveWriter::add(ScanRange range, std::span<const ScannedRecord> records) {
  if (Status s = write(encode_chunk(header_, next_, range, records)); !s.ok()) return s;
  ++next_;
  total_.records += records.size();
  for (const ScannedRecord& r : records) total_.bytes += r.key.size() + r.value.size();
  return Status();
}

Status ArchiveWriter::finish() {
  if (Status s = write(encode_end(header_, next_, total_)); !s.ok()) return s;
  ++next_;
  // A pipe has nothing to sync.
  if (fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) return failed("sync", name_);
  return Status();
}

Status ArchiveWriter::write(ByteView bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("write", name_);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return Status();
}

}  // namespace scalio::archive
