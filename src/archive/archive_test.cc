// Archives: their bytes, and what is left of them after anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "archive/archive_reader.h"
#include "archive/archive_writer.h"

namespace {
// What this process has synced, by path.
std::set<std::filesystem::path> synced;
}  // namespace

// Instead of the C library's.
extern "C" int fsync(int fd) {
  std::error_code ignored;
  synced.insert(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored));
  return static_cast<int>(syscall(SYS_fsync, fd));
}

namespace scalio::archive {
namespace {

using ::testing::HasSubstr;

Uuid uuid(std::uint8_t byte) {
  Uuid u;
  u.fill(byte);
  return u;
}

std::string hex(ByteView bytes) {
  std::string out;
  for (const std::byte b : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned>(b) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned>(b) & 15];
  }
  return out;
}

class ArchiveTest : public ::testing::Test {
 protected:
  ArchiveTest() { std::filesystem::remove(path_); }
  ~ArchiveTest() override { std::filesystem::remove(path_); }

  // An archive of two chunks, finished or not.
  void write(bool finished) {
    auto writer = ArchiveWriter::create(path_, uuid(1));
    ASSERT_TRUE(writer.ok()) << writer.status().to_string();
    const std::vector<ScannedRecord> first = {{"a", "one", 1},
                                              {std::string_view("\0\xff", 2), "", 9}};
    const std::string large(100'000, 'x');
    const std::vector<ScannedRecord> second = {{"b", large, 2}};
    ASSERT_TRUE((*writer)->add({0, 5}, first).ok());
    ASSERT_TRUE((*writer)->add({5, 8}, second).ok());
    EXPECT_EQ((*writer)->total().records, 3U);
    if (finished) {
      ASSERT_TRUE((*writer)->finish().ok());
    }
    EXPECT_EQ((*writer)->size(), std::filesystem::file_size(path_));
  }
  std::string content() const {
    std::stringstream out;
    out << std::ifstream(path_, std::ios::binary).rdbuf();
    return out.str();
  }
  void set_content(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }
  // How reading it ends, and what comes before.
  Status read(std::map<std::string, std::string>* records = nullptr) {
    auto reader = ArchiveReader::open(path_);
    if (!reader.ok()) return reader.status();
    while (true) {
      const Result<std::optional<Chunk>> chunk = (*reader)->next();
      if (!chunk.ok()) return chunk.status();
      if (!*chunk) return Status();
      for (const ScannedRecord& r : (*chunk)->records) {
        if (records) records->emplace(r.key, std::string(r.value.substr(0, 3)));
      }
    }
  }

  const std::string path_ = ::testing::TempDir() + "archive-" + std::to_string(getpid());
};

TEST_F(ArchiveTest, WhatIsWrittenIsRead) {
  write(true);
  std::map<std::string, std::string> records;
  ASSERT_TRUE(read(&records).ok()) << read().to_string();
  EXPECT_EQ(records, (std::map<std::string, std::string>{
                         {"a", "one"}, {"b", "xxx"}, {std::string("\0\xff", 2), ""}}));
  EXPECT_LT(std::filesystem::file_size(path_), 1000U) << "it is compressed";
}

// The bytes of docs/formats.md. Who changes them makes archives that others cannot read.
TEST_F(ArchiveTest, GoldenBytes) {
  const Header header{uuid(0xab), 1'700'000'000};
  std::array<std::byte, kHeaderSize> bytes;
  encode(bytes, header);
  EXPECT_EQ(hex(ByteView(bytes).first(56)),
            "5343414c494f41520100000000000000abababababababababababababababab"
            "00f15365000000000000000000000000"
            "0000000000000000");
  const std::vector<ScannedRecord> records = {{"key", "value", 7}};
  const Bytes chunk = encode_chunk(header, 2, {3, 4}, records);
  EXPECT_EQ(hex(ByteView(chunk).subspan(8, 16)), "02000000000000000100000001000000");
  EXPECT_EQ(hex(ByteView(chunk).subspan(24, 4)), "16000000");  // 14 + 3 + 5
  EXPECT_EQ(hex(ByteView(chunk).subspan(32, 32)),
            "03000000000000000400000000000000"
            "00000000000000000000000000000000");
  const auto head = decode_chunk_header(ByteView(chunk).first<kChunkHeaderSize>(), 2);
  ASSERT_TRUE(head.ok());
  const auto decoded = decode_chunk(header, *head, chunk);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(hex(decoded->memory),
            "0300"
            "05000000"
            "0700000000000000"
            "6b6579"
            "76616c7565");

  const std::vector<ScannedRecord> ends = {{"key", "", 7, EndTime(EndTime::duration(5))}};
  const Bytes other = encode_chunk(header, 2, {3, 4}, ends);
  const auto other_head = decode_chunk_header(ByteView(other).first<kChunkHeaderSize>(), 2);
  ASSERT_TRUE(other_head.ok());
  const auto ending = decode_chunk(header, *other_head, other);
  ASSERT_TRUE(ending.ok());
  EXPECT_EQ(hex(ending->memory),
            "0301"
            "00000000"
            "0700000000000000"
            "0500000000000000"
            "6b6579");
  EXPECT_EQ((*ending->records.begin()).end, ends[0].end);
}

// Whoever makes an archive may have a few bytes of it be millions of small records.
TEST_F(ArchiveTest, SmallRecordsTakeNoMoreMemoryThanTheirChunk) {
  constexpr std::size_t kRecords = 200'000;
  const Header header{uuid(1), 5};
  const Bytes bytes =
      encode_chunk(header, 0, {0, 1}, std::vector<ScannedRecord>(kRecords, {"k", "", 7}));
  EXPECT_LT(bytes.size(), 10'000U);
  const auto head = decode_chunk_header(ByteView(bytes).first<kChunkHeaderSize>(), 0);
  ASSERT_TRUE(head.ok());
  const auto in_use = [] {
    const struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
  };
  const std::size_t before = in_use();
  const auto chunk = decode_chunk(header, *head, bytes);
  ASSERT_TRUE(chunk.ok());
  EXPECT_LT(in_use(), before + 2 * head->size);
  EXPECT_EQ(chunk->records.size(), kRecords);
  std::size_t records = 0;
  for (const ScannedRecord& r : chunk->records) {
    EXPECT_EQ(r.key, "k");
    EXPECT_EQ(r.version, 7U);
    ++records;
  }
  EXPECT_EQ(records, kRecords);
}

TEST_F(ArchiveTest, EveryFlippedBitIsFound) {
  write(true);
  const std::string whole = content();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
    set_content(bytes);
    EXPECT_FALSE(read().ok()) << "byte " << i;
  }
}

TEST_F(ArchiveTest, WhereverItIsCutItIsNotWhole) {
  write(true);
  const std::string whole = content();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    set_content(whole.substr(0, size));
    EXPECT_FALSE(read().ok()) << size << " bytes";
  }
  set_content(whole + "x");
  EXPECT_THAT(read().message(), HasSubstr("bytes follow its end"));
}

TEST_F(ArchiveTest, AChunkOfAnotherArchiveIsNotTaken) {
  write(true);
  const std::string mine = content();
  std::filesystem::remove(path_);
  auto writer = ArchiveWriter::create(path_, uuid(2));
  ASSERT_TRUE(writer.ok());
  writer->reset();
  set_content(content() + mine.substr(kHeaderSize));
  EXPECT_EQ(read().code(), Code::corrupt);
}

// At each byte that a kill may leave, as at the end of every chunk.
TEST_F(ArchiveTest, WhatWasInterruptedIsGoneOnWith) {
  write(false);
  const std::string whole = content();
  for (std::size_t size = kHeaderSize; size <= whole.size(); ++size) {
    set_content(whole.substr(0, size));
    EXPECT_THAT(read().message(), HasSubstr("--resume"));
    auto writer = ArchiveWriter::resume(path_, uuid(1));
    ASSERT_TRUE(writer.ok()) << writer.status().to_string();
    std::uint64_t at = 0;
    for (const ScanRange& range : (*writer)->had()) {
      EXPECT_EQ(range.begin, at);
      at = range.end;
    }
    const std::vector<ScannedRecord> rest = {{"rest", "of it", 3}};
    ASSERT_TRUE((*writer)->add({at, 10}, rest).ok());
    ASSERT_TRUE((*writer)->finish().ok());
    writer->reset();
    std::map<std::string, std::string> records;
    ASSERT_TRUE(read(&records).ok()) << size << " bytes: " << read().to_string();
    EXPECT_EQ(records.size(), at == 0 ? 1U : at == 5 ? 3U : 4U);
  }
}

// Records that came apart from their part's chunk, which the export did not come to.
TEST_F(ArchiveTest, WhatComesTwiceIsCounted) {
  const std::vector<ScannedRecord> two = {{"a", "one", 1}, {"b", "two", 2}}, none;
  for (const bool cut : {true, false}) {
    std::filesystem::remove(path_);
    auto writer = ArchiveWriter::create(path_, uuid(1));
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->add({0, 0}, two).ok());
    ASSERT_TRUE((*writer)->add({0, 5}, none).ok());
    ASSERT_TRUE((*writer)->add({5, 5}, two).ok());
    if (!cut) {
      ASSERT_TRUE((*writer)->add({5, 9}, none).ok());
    }
    EXPECT_EQ((*writer)->again(), 0U);
    writer->reset();
    auto resumed = ArchiveWriter::resume(path_, uuid(1));
    ASSERT_TRUE(resumed.ok()) << resumed.status().to_string();
    EXPECT_EQ((*resumed)->again(), cut ? 2U : 0U);
    EXPECT_EQ((*resumed)->total().records, 4U);
  }
}

// It is not known of a part's chunk by itself to which of the records before it belongs.
TEST_F(ArchiveTest, WhatComesMoreOftenIsCountedEachTime) {
  const std::vector<ScannedRecord> two = {{"a", "one", 1}, {"b", "two", 2}}, none;
  auto writer = ArchiveWriter::create(path_, uuid(1));
  ASSERT_TRUE(writer.ok());
  const auto go_on = [&](std::uint64_t again, std::uint64_t records) {
    writer->reset();
    writer = ArchiveWriter::resume(path_, uuid(1));
    ASSERT_TRUE(writer.ok()) << writer.status().to_string();
    EXPECT_EQ((*writer)->again(), again);
    EXPECT_EQ((*writer)->total().records, records);
  };
  ASSERT_TRUE((*writer)->add({5, 5}, two).ok());
  go_on(2, 2);
  go_on(2, 2);
  ASSERT_TRUE((*writer)->add({5, 5}, two).ok());
  go_on(4, 4);
  ASSERT_TRUE((*writer)->add({5, 5}, two).ok());
  ASSERT_TRUE((*writer)->add({7, 7}, two).ok());
  ASSERT_TRUE((*writer)->add({5, 7}, none).ok());
  go_on(6, 8);
  ASSERT_TRUE((*writer)->add({7, 7}, two).ok());
  ASSERT_TRUE((*writer)->add({7, 9}, none).ok());
  ASSERT_TRUE((*writer)->add({0, 5}, none).ok());
  go_on(6, 10);
  EXPECT_EQ((*writer)->had().size(), 3U);
  ASSERT_TRUE((*writer)->finish().ok());
  EXPECT_TRUE(read().ok()) << read().to_string();
}

TEST_F(ArchiveTest, OnlyWhatWasInterruptedIsGoneOnWith) {
  EXPECT_EQ(ArchiveWriter::resume(path_, uuid(1)).code(), Code::not_found);
  write(true);
  EXPECT_EQ(ArchiveWriter::create(path_, uuid(1)).code(), Code::invalid);
  EXPECT_THAT(ArchiveWriter::resume(path_, uuid(1)).status().message(), HasSubstr("finished"));
  EXPECT_THAT(ArchiveWriter::resume(path_, uuid(2)).status().message(), HasSubstr("another store"));
  set_content(
      "nothing of the kind, and long enough to be looked at: it is a text, not an archive.");
  EXPECT_EQ(ArchiveWriter::resume(path_, uuid(1)).code(), Code::invalid);
}

// A thread's own: what files permit holds for it, also if this is root.
template <class F>
void without_privileges(F body) {
  std::thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    ASSERT_EQ(syscall(SYS_capget, &header, data.data()), 0);
    data[0].effective &= ~((1U << CAP_DAC_OVERRIDE) | (1U << CAP_DAC_READ_SEARCH));
    ASSERT_EQ(syscall(SYS_capset, &header, data.data()), 0);
    body();
  }).join();
}

TEST_F(ArchiveTest, WhereOneMayNotWriteThatIsSaidAndNothingIsLeft) {
  using std::filesystem::perms;
  const std::string folder = path_ + "-folder", path = folder + "/archive";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  const auto create = [&](perms allowed) {
    std::filesystem::permissions(folder, allowed);
    Status s;
    without_privileges([&] { s = ArchiveWriter::create(path, uuid(1)).status(); });
    std::filesystem::permissions(folder, perms::owner_all);
    EXPECT_TRUE(std::filesystem::is_empty(folder)) << s.message();
    EXPECT_EQ(s.code(), Code::io_error);
    return s.message();
  };
  EXPECT_EQ(create(perms::owner_read | perms::owner_exec),
            "cannot make " + path + ": Permission denied; let this user write in " + folder +
                ", or choose another folder");
  // The name is to be durable.
  EXPECT_EQ(create(perms::owner_write | perms::owner_exec),
            "cannot open " + folder + ", to make the name of " + path +
                " in it durable: Permission denied; let this user read the folder, or choose "
                "another");
  std::filesystem::remove_all(folder);
  const Status nowhere = ArchiveWriter::create(path, uuid(1)).status();
  EXPECT_EQ(nowhere.code(), Code::io_error);
  EXPECT_THAT(nowhere.message(), HasSubstr("there is no folder " + folder));
}

TEST_F(ArchiveTest, AnArchiveThatOneMayNotWriteOrReadStaysAsItIs) {
  using std::filesystem::perms;
  write(false);
  const std::string before = content();
  Status resumed, opened;
  std::filesystem::permissions(path_, perms::owner_read);
  without_privileges([&] { resumed = ArchiveWriter::resume(path_, uuid(1)).status(); });
  std::filesystem::permissions(path_, perms::none);
  without_privileges([&] { opened = ArchiveReader::open(path_).status(); });
  std::filesystem::permissions(path_, perms::owner_all);
  EXPECT_EQ(resumed.code(), Code::io_error);
  EXPECT_THAT(resumed.message(), HasSubstr("cannot go on with " + path_));
  EXPECT_THAT(resumed.message(), HasSubstr("let this user write it"));
  EXPECT_EQ(opened.code(), Code::io_error);
  EXPECT_THAT(opened.message(), HasSubstr(path_ + ": Permission denied; let this user read it"));
  EXPECT_EQ(content(), before);
}

TEST_F(ArchiveTest, APipeIsNotGoneOnWith) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  const Status resumed = ArchiveWriter::resume(path_, uuid(1)).status();
  EXPECT_EQ(resumed.code(), Code::invalid) << "or it waits for a writer";
  EXPECT_THAT(resumed.message(), HasSubstr(path_));
}

TEST_F(ArchiveTest, TwoDoNotWriteOne) {
  auto first = ArchiveWriter::create(path_, uuid(1));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(ArchiveWriter::resume(path_, uuid(1)).code(), Code::busy);
}

// The file when it is whole, and its name, which whoever goes on with it may have found just made.
TEST_F(ArchiveTest, IsDurableWithItsName) {
  const std::filesystem::path folder =
      std::filesystem::canonical(std::filesystem::path(path_).parent_path());
  const std::filesystem::path file = folder / std::filesystem::path(path_).filename();
  synced.clear();
  write(false);
  EXPECT_TRUE(synced.contains(folder));
  EXPECT_FALSE(synced.contains(file));
  synced.clear();
  auto writer = ArchiveWriter::resume(path_, uuid(1));
  ASSERT_TRUE(writer.ok());
  EXPECT_TRUE(synced.contains(folder));
  ASSERT_TRUE((*writer)->finish().ok());
  EXPECT_TRUE(synced.contains(file));
}

// As on a full disk: what has been written can be gone on with.
TEST_F(ArchiveTest, NoRoomIsSaid) {
  auto writer = ArchiveWriter::create(path_, uuid(1));
  ASSERT_TRUE(writer.ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::vector<ScannedRecord> records = {{"key", "value", 7}};
  const Status added = (*writer)->add({0, 1}, records);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(added.code(), Code::io_error);
  EXPECT_THAT(added.message(), HasSubstr(path_));
  writer->reset();
  auto again = ArchiveWriter::resume(path_, uuid(1));
  ASSERT_TRUE(again.ok()) << again.status().to_string();
  EXPECT_TRUE((*again)->had().empty());
}

}  // namespace
}  // namespace scalio::archive
