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
#include <utility>
#include <vector>

#include "archive/archive_reader.h"

namespace scalio::archive {

namespace {

Status failed(std::string_view what, const std::string& path) {
  return Status(Code::io_error, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

// Makes the name of a new file durable, at once: who cannot do that shall not hear of it when the
// archive is whole.
Status sync_folder_of(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const std::string name = folder.empty() ? "." : folder.string();
  const int fd = open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed("open", name);
  Status s;
  if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) s = failed("sync", name);
  close(fd);
  return s;
}

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
    if (fd < 0) return failed("make", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) return failed("lock", path);
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
  if (fd < 0) return failed("open", path);
  std::unique_ptr<ArchiveWriter> writer(new ArchiveWriter(path, fd, (*reader)->header()));
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK) return failed("lock", path);
    return Status(Code::busy, fmt::format("another process writes {}", path));
  }
  writer->size_ = kHeaderSize;
  std::vector<std::pair<std::uint64_t, std::size_t>> apart;  // from which place, how many records
  while (true) {
    // The first chunk that is not whole, or is not there, is the next to be written.
    Result<std::optional<Chunk>> chunk = (*reader)->next();
    if (chunk.code() == Code::io_error) return chunk.status();
    if (!chunk.ok()) break;
    if (!*chunk) return Status(Code::invalid, fmt::format("{} is finished", path));
    writer->had_.push_back((*reader)->range());
    if ((*reader)->range().empty())
      apart.emplace_back((*reader)->range().begin, (*chunk)->records.size());
    ++writer->next_;
    writer->size_ = (*reader)->position();
  }
  writer->total_ = (*reader)->total();
  for (const auto& [place, records] : apart) {
    const auto has = [at = place](const ScanRange& r) { return r.begin <= at && at < r.end; };
    if (std::ranges::none_of(writer->had_, has)) writer->again_ += records;
  }
  if (ftruncate(fd, static_cast<off_t>(writer->size_)) != 0 ||
      lseek(fd, static_cast<off_t>(writer->size_), SEEK_SET) < 0) {
    return failed("go on with", path);
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
