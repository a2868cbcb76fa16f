// The files of a store as people treat them: without room, limited, renamed, moved, lost in part,
// read-only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "layout/superblock.h"
#include "support/file_bytes.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

constexpr int kBadUse = 2, kFailure = 3;  // exit statuses
constexpr int kCannot = 77;               // of a script: what it needs is not allowed here

// Only zeros.
fs::path blank_file(const fs::path& path, std::uintmax_t size) {
  std::ofstream(path).close();
  fs::resize_file(path, size);
  return path;
}

// `script` in sh, with the program as $0 and the arguments as $1 ...
Finished shell(const Scratch& scratch, const std::string& script, std::vector<std::string> args) {
  std::vector<std::string> argv = {"/bin/sh", "-c", script, SCALIO_PROGRAM};
  argv.insert(argv.end(), args.begin(), args.end());
  return run(argv, scratch / "shell");
}

// The same in a mount namespace of its own.
Finished shell_that_mounts(const Scratch& scratch, const std::string& script,
                           std::vector<std::string> args) {
  std::vector<std::string> argv = {"/usr/bin/unshare", "--mount"};
  if (geteuid() != 0) argv.insert(argv.end(), {"--user", "--map-root-user"});
  argv.insert(argv.end(), {"/bin/sh", "-c", script, SCALIO_PROGRAM});
  argv.insert(argv.end(), args.begin(), args.end());
  return run(argv, scratch / "shell");
}
#define SKIP_IF_NOT_ALLOWED(finished)                         \
  if ((finished).status == kCannot || (finished).status == 1) \
  GTEST_SKIP() << "cannot mount: " << (finished).err

// --- No room -------------------------------------------------------------------------------------

class Full : public ::testing::Test {
 protected:
  // Runs the program with $1 a full file system, which holds what is in `contents`.
  Finished on_full(const fs::path& contents, std::vector<std::string> args) {
    fs::create_directory(full_);
    args.insert(args.begin(), {full_.string(), contents.string()});
    return shell_that_mounts(scratch_,
                             "full=$1; mount -t tmpfs -o size=64k full \"$full\" || exit 77\n"
                             "cp -a \"$2/.\" \"$full\" || exit 78\n"
                             "cat /dev/zero >\"$full/filler\" 2>/dev/null; shift 2\n"
                             "\"$0\" \"$@\"; status=$?; ls -A \"$full\"; exit $status",
                             std::move(args));
  }

  Scratch scratch_{"full"};
  const fs::path full_ = scratch_ / "mount";
};

TEST_F(Full, ServeSaysSo) {
  const fs::path dir = scratch_ / "store", ssd = blank_file(scratch_ / "ssd", 16 << 20);
  ASSERT_EQ(scalio(scratch_, {"format", "--dir", dir.string(), "--ssd", ssd.string()}).status, 0);
  const Finished serve = on_full(dir, {"serve", "--dir", full_.string(), "--cache", "1M",
                                       "--listen", "unix:" + (scratch_.sockets() / "s").string()});
  SKIP_IF_NOT_ALLOWED(serve);
  EXPECT_EQ(serve.status, kFailure) << serve.err;
  EXPECT_THAT(serve.err, HasSubstr("No space left"));
}

TEST_F(Full, FormatSaysSoAndLeavesNothing) {
  const fs::path empty = scratch_ / "empty", ssd = blank_file(scratch_ / "ssd", 16 << 20);
  fs::create_directory(empty);
  const std::string dir = (full_ / "above/store").string();
  for (const std::vector<std::string>& ssds :
       {std::vector<std::string>{"--ssd", ssd.string()}, {"--ssds", "1", "--ssd-size", "16M"}}) {
    std::vector<std::string> args = {"format", "--dir", dir};
    args.insert(args.end(), ssds.begin(), ssds.end());
    const Finished format = on_full(empty, args);
    SKIP_IF_NOT_ALLOWED(format);
    EXPECT_EQ(format.status, kFailure) << format.err;
    EXPECT_THAT(format.err, ::testing::ContainsRegex("[Nn]o space left"));
    EXPECT_EQ(format.out, "filler\n");
  }
  // The SSD is as it was: no --force is needed.
  const Finished again =
      scalio(scratch_, {"format", "--dir", (scratch_ / "s").string(), "--ssd", ssd.string()});
  EXPECT_EQ(again.status, 0) << again.err;
}

TEST_F(Full, TargetConfigureSaysSo) {
  const fs::path dir = scratch_ / "store", ssd = blank_file(scratch_ / "ssd", 16 << 20);
  ASSERT_EQ(scalio(scratch_, {"format", "--dir", dir.string(), "--ssd", ssd.string()}).status, 0);
  for (const char* part : {"hosts", "ports", "subsystems"})
    fs::create_directories(scratch_ / "configfs/nvmet" / part);
  const Finished configure =
      on_full(dir, {"target", "configure", "--dir", full_.string(), "--configfs",
                    (scratch_ / "configfs").string(), "--listen", "tcp:127.0.0.1:4420",
                    "--allow-host", "any"});
  SKIP_IF_NOT_ALLOWED(configure);
  EXPECT_EQ(configure.status, kFailure) << configure.err;
  EXPECT_THAT(configure.err, HasSubstr("No space left"));
  EXPECT_THAT(configure.out, Not(HasSubstr("kernel-target"))) << "a part of the note was left";
  EXPECT_TRUE(fs::is_empty(scratch_ / "configfs/nvmet/subsystems"));
}

// A limit on the size of files is an error as any, not the end of the program (SIGXFSZ).
TEST(FileSizeLimit, IsAnErrorAndLeavesNothing) {
  Scratch scratch("limit");
  const Finished format = shell(
      scratch, "ulimit -f 100; exec \"$0\" \"$@\"",
      {"format", "--dir", (scratch / "above/store").string(), "--ssds", "2", "--ssd-size", "16M"});
  EXPECT_EQ(format.status, kFailure) << format.err;
  EXPECT_THAT(format.err, HasSubstr("File too large"));
  EXPECT_FALSE(fs::exists(scratch / "above"));
}

TEST(Format, AFailureLeavesNothing) {
  Scratch scratch("format");
  const std::string name(300, 'n');  // longer than a name may be
  EXPECT_EQ(scalio(scratch, {"format", "--dir", (scratch / "above/it" / name).string(), "--ssds",
                             "1", "--ssd-size", "16M"})
                .status,
            kBadUse);
  EXPECT_FALSE(fs::exists(scratch / "above"));

  // The second superblock of the second SSD cannot be written.
  const fs::path small = blank_file(scratch / "small", 16 << 20),
                 large = blank_file(scratch / "large", 64 << 20);
  const std::vector<std::string> args = {
      "format", "--dir",       (scratch / "above/store").string(), "--ssd", small.string(),
      "--ssd",  large.string()};
  const Finished format = shell(scratch, "ulimit -f 65536; exec \"$0\" \"$@\"", args);
  EXPECT_EQ(format.status, kFailure) << format.err;
  EXPECT_FALSE(fs::exists(scratch / "above"));
  const Finished again = scalio(scratch, args);
  EXPECT_EQ(again.status, 0) << "no SSD may have anything on it: " << again.err;
}

// --- Names ---------------------------------------------------------------------------------------

class Names : public ::testing::Test {
 protected:
  void format(const std::vector<fs::path>& ssds) {
    std::vector<std::string> args = {"format", "--dir", dir()};
    for (const fs::path& ssd : ssds) args.insert(args.end(), {"--ssd", ssd.string()});
    const Finished made = scalio(scratch_, args);
    ASSERT_EQ(made.status, 0) << made.err;
  }
  std::string dir() const { return (scratch_ / "store").string(); }
  fs::path entry(int i) const { return scratch_ / "store" / ("ssd-" + std::to_string(i)); }
  Finished check() { return scalio(scratch_, {"check", dir()}); }
  void swap(const fs::path& a, const fs::path& b) {
    fs::rename(a, scratch_ / "aside");
    fs::rename(b, a);
    fs::rename(scratch_ / "aside", b);
  }

  Scratch scratch_{"names"};
};

TEST_F(Names, TheNameThatWasGivenIsKept) {
  const fs::path a = blank_file(scratch_ / "disk0", 16 << 20),
                 b = blank_file(scratch_ / "disk1", 16 << 20);
  const fs::path by_id = scratch_ / "by-id";
  fs::create_directory(by_id);
  fs::create_symlink(a, by_id / "first");
  fs::create_symlink(b, by_id / "second");
  format({by_id / "first", by_id / "second"});
  EXPECT_EQ(fs::read_symlink(entry(0)), by_id / "first");
  // Both have got another number, and the links follow.
  swap(a, b);
  for (const char* name : {"first", "second"}) fs::remove(by_id / name);
  fs::create_symlink(b, by_id / "first");
  fs::create_symlink(a, by_id / "second");
  const Finished moved = check();
  EXPECT_EQ(moved.status, 0) << moved.err;
  EXPECT_THAT(moved.out, Not(HasSubstr("note:")));
  // The store's own entry, given again, means what it leads to by name.
  const Finished again =
      scalio(scratch_, {"format", "--force", "--dir", dir(), "--ssd", entry(0).string()});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(fs::read_symlink(entry(0)), by_id / "first");
}

TEST_F(Names, ADescriptorsNameIsNotKept) {
  const fs::path a = blank_file(scratch_ / "disk0", 16 << 20);
  const Finished made =
      shell(scratch_, "exec 3<\"$1\"; exec \"$0\" format --dir \"$2\" --ssd /dev/fd/3",
            {a.string(), dir()});
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(fs::read_symlink(entry(0)), fs::canonical(a));
}

TEST_F(Names, ANoteThatIsNoneIsRefused) {
  format({blank_file(scratch_ / "disk0", 16 << 20)});
  const fs::path note = scratch_ / "store/uuid";
  std::ofstream(note) << "0123";
  EXPECT_THAT(check().err, HasSubstr("does not hold a UUID"));
  fs::remove(note);
  ASSERT_EQ(mkfifo(note.c_str(), 0600), 0);
  EXPECT_THAT(check().err, HasSubstr("does not hold a UUID")) << "or it waits for ever";
}

TEST_F(Names, SwappedSsdsAreToldApart) {
  const fs::path a = blank_file(scratch_ / "disk0", 16 << 20),
                 b = blank_file(scratch_ / "disk1", 16 << 20);
  format({a, b});
  swap(a, b);
  const Finished found = check();
  EXPECT_EQ(found.status, 0) << found.err;
  EXPECT_THAT(found.out, HasSubstr("SSD 0 of the store is " + fs::canonical(b).string()));
}

TEST_F(Names, WhatIsNotFoundIsNamed) {
  const fs::path a = blank_file(scratch_ / "disk0", 16 << 20);
  format({a});
  const std::string uuid = read_file(scratch_ / "store/uuid").substr(0, 36);
  fs::rename(a, scratch_ / "away");
  Finished lost = check();
  EXPECT_EQ(lost.status, kBadUse);
  EXPECT_THAT(lost.err, HasSubstr("SSD 0 of store " + uuid + " is at no other ssd-N"));
  EXPECT_THAT(lost.err, HasSubstr("on no block device in /dev"));
  // Another store's in its place, as after a renumbering.
  const fs::path other = scratch_ / "other";
  ASSERT_EQ(scalio(scratch_,
                   {"format", "--dir", other.string(), "--ssd", blank_file(a, 16 << 20).string()})
                .status,
            0);
  lost = check();
  EXPECT_EQ(lost.status, kBadUse);
  EXPECT_THAT(lost.err, HasSubstr("SSD 0 of store " + uuid + " is at no other ssd-N"));
  EXPECT_THAT(lost.err,
              HasSubstr("which is SSD 0 of store " + read_file(other / "uuid").substr(0, 36)));
}

// A block device over a file, while this lives.
class Loop {
 public:
  Loop(const Scratch& scratch, const fs::path& file) : scratch_(scratch) {
    const Finished made =
        run({"/sbin/losetup", "--find", "--show", file.string()}, scratch / "losetup");
    if (made.status == 0) device_ = made.out.substr(0, made.out.find('\n'));
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() { detach(); }
  void detach() {
    if (!device_.empty()) run({"/sbin/losetup", "--detach", device_}, scratch_ / "losetup");
    device_.clear();
  }
  const std::string& device() const { return device_; }

 private:
  const Scratch& scratch_;
  std::string device_;
};

TEST_F(Names, ADeviceWithAnotherNumberIsFound) {
  const fs::path file = blank_file(scratch_ / "disk", 16 << 20);
  Loop first(scratch_, file);
  if (first.device().empty()) GTEST_SKIP() << "needs the right to make loop devices";
  format({first.device()});
  const std::string before = first.device();
  Loop other(scratch_, blank_file(scratch_ / "other", 16 << 20));
  first.detach();
  Loop moved(scratch_, file);
  if (moved.device() == before) {
    // It has got the same number again: take it away, so that another is next.
    moved.detach();
    Loop takes_the_number(scratch_, scratch_ / "other");
    Loop next(scratch_, file);
    const Finished found = check();
    EXPECT_EQ(found.status, 0) << found.err;
    EXPECT_THAT(found.out, HasSubstr("SSD 0 of the store is " + next.device()));

    const fs::path copy = scratch_ / "copy";
    fs::copy_file(file, copy);
    Loop twice(scratch_, copy);
    const Finished ambiguous = check();
    EXPECT_EQ(ambiguous.status, kBadUse) << ambiguous.out;
    EXPECT_THAT(ambiguous.err, HasSubstr("one is a copy"));
  } else {
    const Finished found = check();
    EXPECT_EQ(found.status, 0) << found.err;
    EXPECT_THAT(found.out, HasSubstr("SSD 0 of the store is " + moved.device()));
  }
}

// --- check ---------------------------------------------------------------------------------------

class Check : public ::testing::Test {
 protected:
  Finished check(bool repair = false) {
    std::vector<std::string> args = {"check", store_.dir()};
    if (repair) args.push_back("--repair");
    return scalio(scratch_, args);
  }
  std::vector<std::uint64_t> superblocks() const {
    return {0, fs::file_size(store_.ssd(0)) - layout::kSuperblockSize};
  }

  Scratch scratch_{"check"};
  Store store_{scratch_, {}};
};

TEST_F(Check, NeedsNoWriteAccess) {
  const Finished on_read_only = shell_that_mounts(
      scratch_,
      "{ mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"; } || exit 77\n"
      "touch \"$1/x\" 2>/dev/null && exit 78; exec \"$0\" check \"$1\"",
      {store_.dir()});
  SKIP_IF_NOT_ALLOWED(on_read_only);
  EXPECT_EQ(on_read_only.status, 0) << on_read_only.err;
}

TEST_F(Check, NorDoesAnExportOfTheStore) {
  const Finished on_read_only = shell_that_mounts(
      scratch_,
      "{ mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"; } || exit 77\n"
      "touch \"$1/x\" 2>/dev/null && exit 78; exec \"$0\" export --offline \"$1\" \"$2\"",
      {store_.dir(), (scratch_ / "archive").string()});
  SKIP_IF_NOT_ALLOWED(on_read_only);
  EXPECT_EQ(on_read_only.status, 0) << on_read_only.err;
  EXPECT_EQ(on_read_only.out.substr(0, 10), "0 records,");
}

TEST_F(Check, OneLostSuperblockIsRepaired) {
  const fs::path ssd = store_.ssd(0);
  const std::string intact = read_at(ssd, 0, layout::kSuperblockSize);
  for (std::uint64_t at : superblocks()) {
    write_at(ssd, at, std::string(512, '\0'));
    const std::string lost = read_at(ssd, at, layout::kSuperblockSize);
    const Finished found = check();
    EXPECT_EQ(found.status, kFailure);
    EXPECT_THAT(found.out, HasSubstr("superblock at offset " + std::to_string(at)));
    EXPECT_THAT(found.out, HasSubstr("check --repair"));
    EXPECT_TRUE(read_at(ssd, at, layout::kSuperblockSize) == lost) << "it was not asked to repair";

    const Finished repaired = check(true);
    EXPECT_EQ(repaired.status, 0) << repaired.out << repaired.err;
    EXPECT_THAT(repaired.out, HasSubstr("repaired: "));
    EXPECT_TRUE(read_at(ssd, at, layout::kSuperblockSize) == intact);
    EXPECT_EQ(check().status, 0);
  }
}

TEST_F(Check, AGrownSsdIsNoDamage) {
  const fs::path ssd = store_.ssd(0);
  const std::uint64_t second = superblocks()[1];
  fs::resize_file(ssd, fs::file_size(ssd) + (1 << 20) + 512);
  Finished grown = check();
  EXPECT_EQ(grown.status, 0) << grown.out;
  EXPECT_THAT(grown.out, HasSubstr("note: "));
  EXPECT_THAT(grown.out, HasSubstr("1048576 bytes more"));
  ASSERT_TRUE(store_.start());
  EXPECT_THAT(store_.log(), Not(HasSubstr("superblock")));
  store_.stop();
  // The second copy is where it was.
  write_at(ssd, second, "lost");
  EXPECT_THAT(check().out, HasSubstr("superblock at offset " + std::to_string(second)));
  EXPECT_EQ(check(true).status, 0);
  EXPECT_EQ(check().status, 0);
}

TEST_F(Check, RepairsNothingElse) {
  const fs::path ssd = store_.ssd(0);
  const std::string superblock = read_at(ssd, 0, layout::kSuperblockSize);
  auto geometry = layout::decode_superblock(as_bytes(superblock), fs::file_size(ssd));
  ASSERT_TRUE(geometry.ok());
  // The store's identity with another checksum: a damaged bucket.
  const std::uint64_t bucket = geometry->bucket_at(5);
  std::string bytes(16, 'x');
  const std::uint64_t id = geometry->store_id();
  bytes.replace(8, 8, reinterpret_cast<const char*>(&id), 8);
  write_at(ssd, bucket, bytes);
  write_at(ssd, 0, "lost");
  std::string before = read_file(ssd);
  const Finished repaired = check(true);
  EXPECT_EQ(repaired.status, kFailure) << repaired.out;
  EXPECT_THAT(repaired.out, HasSubstr("problem: "));
  EXPECT_THAT(repaired.out, HasSubstr("bucket 5"));
  before.replace(0, superblock.size(), superblock);
  EXPECT_TRUE(read_file(ssd) == before) << "something else than the superblock was changed";

  // A log that was overwritten proves nothing about whose SSD it is.
  write_at(ssd, layout::kSuperblockSize, std::string(geometry->log_size, '\0'));
  write_at(ssd, 0, "lost");
  EXPECT_EQ(check(true).status, kFailure);
  EXPECT_EQ(read_at(ssd, 0, 4), "lost");
}

TEST_F(Check, AServedStoreIsBusy) {
  ASSERT_TRUE(store_.start());
  for (bool repair : {false, true}) {
    const Finished busy = check(repair);
    EXPECT_EQ(busy.status, kFailure);
    EXPECT_THAT(busy.err, HasSubstr("in use"));
  }
  store_.stop();
}

}  // namespace
}  // namespace scalio::testing
