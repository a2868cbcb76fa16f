#include "archive/archive_reader.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace scalio::archive {

Result<std::unique_ptr<ArchiveReader>> ArchiveReader::open(const std::string& path) {
  std::FILE* const file = path == "-" ? stdin : std::fopen(path.c_str(), "rbe");
  if (file == nullptr) {
    const Code code = errno == ENOENT ? Code::not_found : Code::io_error;
    return Status(code, fmt::format("cannot open {}: {}{}", path, std::strerror(errno),
                                    errno == EACCES ? "; let this user read it" : ""));
  }
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader(path == "-" ? "stdin" : path, file));
  if (Status s = reader->begin(); !s.ok()) return s;
  return reader;
}

Status ArchiveReader::begin() {
  struct stat stat {};
  if (fstat(fileno(file_.get()), &stat) == 0 && S_ISREG(stat.st_mode))
    size_ = static_cast<std::uint64_t>(stat.st_size);
  std::array<std::byte, kHeaderSize> bytes;
  if (Status s = read(bytes); !s.ok()) return s;
  Result<Header> header = decode_header(bytes);
  if (!header.ok()) return corrupt(header.status());
  header_ = *header;
  position_ = kHeaderSize;
  return Status();
}

Result<std::optional<Chunk>> ArchiveReader::next() {
  if (ended_) return std::optional<Chunk>();
  Bytes bytes(kChunkHeaderSize);
  if (Status s = read(bytes); !s.ok()) return s;
  const Result<ChunkHeader> header =
      decode_chunk_header(ByteView(bytes).first<kChunkHeaderSize>(), next_);
  if (!header.ok()) return corrupt(header.status());
  bytes.resize(kChunkHeaderSize + header->stored);
  if (Status s = read(ByteSpan(bytes).subspan(kChunkHeaderSize)); !s.ok()) return s;
  Result<Chunk> chunk = decode_chunk(header_, *header, bytes);
  if (!chunk.ok()) return corrupt(chunk.status());
  ++next_;
  range_ = header->range;
  position_ += bytes.size();
  if (chunk->total) {
    ended_ = true;
    if (chunk->total->records != total_.records || chunk->total->bytes != total_.bytes)
      return corrupt({Code::corrupt, "its end tells of other records"});
    if (std::fgetc(file_.get()) != EOF) return corrupt({Code::corrupt, "bytes follow its end"});
    return std::optional<Chunk>();
  }
  total_.records += chunk->records.size();
  for (const ScannedRecord& r : chunk->records) total_.bytes += r.key.size() + r.value.size();
  return std::optional<Chunk>(*std::move(chunk));
}

Status ArchiveReader::read(ByteSpan into) {
  if (std::fread(into.data(), 1, into.size(), file_.get()) == into.size()) return Status();
  if (std::ferror(file_.get()) != 0) {
    return Status(Code::io_error, fmt::format("cannot read {}: {}", name_, std::strerror(errno)));
  }
  if (position_ == 0) return corrupt({Code::invalid, "it is too short for an archive"});
  return corrupt(
      {Code::corrupt, fmt::format("it ends after {} chunks and before its end: the export was "
                                  "interrupted, and `scalio export --resume` goes on with it",
                                  next_)});
}

Status ArchiveReader::corrupt(const Status& why) const {
  return Status(why.code(), fmt::format("{}: {}", name_, why.message()));
}

}  // namespace scalio::archive
