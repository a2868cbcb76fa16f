#include "fabric/epoch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>

#include "base/process_identity.h"
#include "fabric/region_access.h"
#include "testing/loops.h"

namespace scalio::fabric {
namespace {

TEST(EpochFile, GrowsWithEveryIncarnationAndClientsSeeIt) {
  TempDir dir;
  const std::string path = dir.path() + "/epoch";
  std::uint64_t first = 0;
  Mapping client;
  {
    Result<std::unique_ptr<EpochFile>> file = EpochFile::open(path);
    ASSERT_TRUE(file.ok()) << file.status().to_string();
    first = *(*file)->advance();
    EXPECT_NE(first, 0u);
    EXPECT_EQ((*file)->current(), first);
    Result<Mapping> mapped = map_epoch((*file)->read_only_fd());
    ASSERT_TRUE(mapped.ok());
    client = std::move(*mapped);
  }
  EXPECT_EQ(load_word_acquire(client.data()), first);
  Result<std::unique_ptr<EpochFile>> next = EpochFile::open(path);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ((*next)->current(), first);
  EXPECT_EQ(*(*next)->advance(), first + 1);
  EXPECT_EQ(load_word_acquire(client.data()), first + 1);
}

// Its memory may be read, by RDMA, for as long as it has not ended.
TEST(EpochFile, AServerThatHasNotEndedIsWaitedFor) {
  TempDir dir;
  const std::string path = dir.path() + "/epoch";
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t server = fork();
  if (server == 0) {
    const bool ok = (*EpochFile::open(path))->advance().ok();
    if (write(ends[1], &ok, 1) == 1) sleep(60);
    _exit(0);
  }
  close(ends[1]);
  bool advanced = false;
  EXPECT_EQ(read(ends[0], &advanced, 1), 1);
  close(ends[0]);
  EXPECT_TRUE(advanced);
  Result<std::unique_ptr<EpochFile>> file = EpochFile::open(path);
  ASSERT_TRUE(file.ok());
  const std::uint64_t epoch = (*file)->current();
  const Result<std::uint64_t> too_early = (*file)->advance(std::chrono::milliseconds(10));
  EXPECT_EQ(too_early.code(), Code::busy);
  EXPECT_NE(too_early.status().message().find(std::to_string(server)), std::string::npos);
  EXPECT_EQ((*file)->current(), epoch);
  kill(server, SIGKILL);
  EXPECT_EQ(*(*file)->advance(), epoch + 1) << "it has ended, though nobody has waited for it";
  waitpid(server, nullptr, 0);
}

// docs/formats.md, "Epoch file".
TEST(EpochFile, NamesTheServersProcessUntilItRetires) {
  TempDir dir;
  const std::string path = dir.path() + "/epoch";
  const auto bytes = [&] {
    Bytes all(kEpochFileSize);
    std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(all.data()), kEpochFileSize);
    return all;
  };
  Result<std::unique_ptr<EpochFile>> file = EpochFile::open(path);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->advance().ok());
  const ProcessIdentity me = *this_process();
  const Bytes serving = bytes();
  EXPECT_EQ(load<std::uint64_t>(serving.data()), 1U);
  EXPECT_EQ(load<std::uint64_t>(serving.data() + 8), me.pid);
  EXPECT_EQ(load<std::uint64_t>(serving.data() + 16), me.started);
  EXPECT_EQ(load<std::uint64_t>(serving.data() + 24), me.pid_namespace);
  EXPECT_EQ(as_string(ByteView(serving).subspan(32, 36)), boot_id());
  EXPECT_TRUE((*file)->retire());
  Bytes retired(kEpochFileSize);
  retired[0] = std::byte{2};
  EXPECT_EQ(bytes(), retired) << "whoever still has its region does not believe it";
  EXPECT_FALSE((*file)->retire()) << "it is nobody's now";
  EXPECT_EQ(bytes(), retired);
  // Nor is the next one's of this process retired by it.
  Result<std::unique_ptr<EpochFile>> next = EpochFile::open(path);
  ASSERT_TRUE(next.ok());
  EXPECT_FALSE((*next)->retire());
  ASSERT_TRUE((*next)->advance().ok());
  EXPECT_FALSE((*file)->retire());
  EXPECT_EQ((*next)->current(), 3U);
}

// Mounts a full file system at `directory`, for this process alone. False where that is not
// allowed.
bool mount_full(const std::string& directory) {
  if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("full", directory.c_str(), "tmpfs", 0, "size=64k") != 0) {
    return false;
  }
  std::ofstream filler(directory + "/filler");
  while (filler << std::string(4096, 'x') << std::flush) {
  }
  return true;
}

// How it ends in a process with a full file system at `directory`; nothing where there cannot be
// one.
std::optional<int> ends_on_full(const std::string& directory, const std::function<bool()>& test) {
  constexpr int kNoMount = 77;
  const pid_t child = fork();
  if (child == 0) _exit(!mount_full(directory) ? kNoMount : test() ? 0 : 1);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoMount) return std::nullopt;
  return status;
}

// A store to a page for which there is no room would end the process (SIGBUS).
TEST(EpochFile, AFullFileSystemIsAnError) {
  TempDir dir;
  const std::string path = dir.path() + "/epoch";
  const auto refused = [&] {
    Result<std::unique_ptr<EpochFile>> file = EpochFile::open(path);
    const Status status = file.ok() ? (*file)->advance().status() : file.status();
    return status.code() == Code::io_error &&
           status.message().find("No space left on device") != std::string::npos;
  };
  const auto new_file = ends_on_full(dir.path(), refused);
  if (!new_file) GTEST_SKIP() << "needs the right to mount a tmpfs in a namespace of its own";
  EXPECT_EQ(*new_file, 0) << "wait status";
  // What a server that was killed while it made the file has left.
  EXPECT_EQ(*ends_on_full(dir.path(),
                          [&] {
                            const net::UniqueFd sparse(
                                ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
                            return sparse && ftruncate(sparse.get(), kEpochFileSize) == 0 &&
                                   refused();
                          }),
            0)
      << "wait status";
  // One that is there needs no room, and one that was refused leaves nothing in the way of the
  // next.
  EXPECT_EQ(*ends_on_full(dir.path(),
                          [&] {
                            if (!refused()) return false;
                            std::filesystem::remove(dir.path() + "/filler");
                            Result<std::unique_ptr<EpochFile>> file = EpochFile::open(path);
                            if (!file.ok() || !(*file)->advance().ok()) return false;
                            std::ofstream filler(dir.path() + "/filler");
                            while (filler << std::string(4096, 'x') << std::flush) {
                            }
                            return (*file)->advance().ok();
                          }),
            0)
      << "wait status";
}

TEST(EpochFile, ClientsCannotWrite) {
  TempDir dir;
  Result<std::unique_ptr<EpochFile>> file = EpochFile::open(dir.path() + "/epoch");
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE(
      Mapping::create((*file)->read_only_fd(), kEpochFileSize, PROT_READ | PROT_WRITE, "it").ok());
}

// Another's file, which a server that may write it would write.
TEST(EpochFile, WhatNoServerHasMadeIsRefused) {
  TempDir dir;
  const std::string path = dir.path() + "/epoch", other = dir.path() + "/other";
  const std::string text(kEpochFileSize, 'x');
  std::ofstream(path) << text;
  EXPECT_EQ(EpochFile::open(path).code(), Code::corrupt);
  std::string read(kEpochFileSize, '\0');
  std::ifstream(path).read(read.data(), kEpochFileSize);
  EXPECT_EQ(read, text);
  std::filesystem::remove(path);

  std::filesystem::create_symlink(other, path);
  EXPECT_EQ(EpochFile::open(path).code(), Code::corrupt);
  EXPECT_FALSE(std::filesystem::exists(other));
  ASSERT_TRUE(EpochFile::open(other).ok());
  EXPECT_EQ(EpochFile::open(path).code(), Code::corrupt) << "a link to one that is right";
  std::filesystem::remove(path);

  std::filesystem::create_hard_link(other, path);
  EXPECT_EQ(EpochFile::open(path).code(), Code::corrupt);
  std::filesystem::remove(other);
  EXPECT_TRUE(EpochFile::open(path).ok()) << "it has one name now";
}

TEST(EpochFile, OtherFilesAreRefused) {
  TempDir dir;
  const std::string path = dir.path() + "/epoch";
  std::ofstream(path) << "something else";
  EXPECT_EQ(EpochFile::open(path).code(), Code::corrupt);
  EXPECT_EQ(std::filesystem::file_size(path), 14u);
  EXPECT_EQ(EpochFile::open(dir.path() + "/no/such").code(), Code::io_error);
  EXPECT_EQ(map_epoch(-1).code(), Code::invalid);
}

}  // namespace
}  // namespace scalio::fabric
