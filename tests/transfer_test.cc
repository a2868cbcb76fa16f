// `scalio export` and `import` of a store that is being served: killed anywhere, without room,
// beside writes.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <scalio/client.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "archive/archive_reader.h"
#include "base/child_process.h"
#include "client/value_within.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int kFailure = 3;  // exit status

using Values = std::map<std::string, std::string>;

// What an archive has, whole or not: of a key that is there twice, what comes first.
Values values_of(const fs::path& path, Status* end = nullptr) {
  Values all;
  auto reader = archive::ArchiveReader::open(path);
  Status ended = reader.status();
  while (ended.ok()) {
    const auto chunk = (*reader)->next();
    ended = chunk.status();
    if (!chunk.ok() || !*chunk) break;
    for (const ScannedRecord& r : (*chunk)->records)
      all.emplace(std::string(r.key), std::string(r.value));
  }
  if (end != nullptr) {
    *end = ended;
  } else {
    EXPECT_TRUE(ended.ok()) << ended.to_string();
  }
  return all;
}

// Bytes that nothing compresses.
std::string noise(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

std::unique_ptr<Client> client_of(const Store& store) {
  auto client = Client::connect(store.unix_uri());
  EXPECT_TRUE(client.ok()) << client.status().to_string();
  return client.ok() ? *std::move(client) : nullptr;
}

class Transfer : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.start()); }

  void put(Client& client, const Values& values) {
    std::vector<BatchWrite> batch;
    for (const auto& [key, value] : values) batch.push_back({BatchWrite::Kind::put, key, value});
    for (const auto& put : client.run(client.write(batch)))
      ASSERT_TRUE(put.ok()) << put.status().to_string();
  }
  // Some thousand records in the store, and in model_.
  void fill() {
    for (int i = 0; i < 6000; ++i)
      model_.emplace(fmt::format("key-{}", i), noise(200, static_cast<std::uint64_t>(i)));
    const auto client = client_of(store_);
    ASSERT_TRUE(client);
    put(*client, model_);
  }
  std::vector<std::string> exporting(bool resume) const {
    std::vector<std::string> args = {"export", "--server", store_.unix_uri(), archive_.string(),
                                     "--quiet"};
    if (resume) args.emplace_back("--resume");
    return args;
  }
  // That the store has these, and these alone.
  void expect_stored(const Store& store, const Values& values) {
    const fs::path archive = scratch_ / fmt::format("all-{}", ++archives_);
    const Finished done =
        scalio(scratch_, {"export", "--server", store.unix_uri(), archive.string(), "--quiet"});
    ASSERT_EQ(done.status, 0) << done.err;
    EXPECT_TRUE(values_of(archive) == values);
  }

  Scratch scratch_{"transfer"};
  Store store_{scratch_, {.ssds = 1, .ssd_size = "64M", .format = {"--values", "16M"}}};
  const fs::path archive_ = scratch_ / "archive";
  Values model_;
  int archives_ = 0;
};

TEST_F(Transfer, AnExportThatIsKilledIsGoneOnWith) {
  fill();
  int killed = 0;
  for (int i = 0; i < 5; ++i) {
    std::vector<std::string> argv = exporting(fs::exists(archive_));
    argv.insert(argv.begin(), SCALIO_PROGRAM);
    std::error_code none;
    const std::uintmax_t had = fs::exists(archive_) ? fs::file_size(archive_) : 0;
    Process process(argv, scratch_ / fmt::format("export-{}", i));
    while (process.running() &&
           (!fs::exists(archive_) || fs::file_size(archive_, none) < had + 50'000)) {
      std::this_thread::yield();
    }
    if (process.running()) {
      process.kill();
      ++killed;
    }
    // A machine that is slow to look may find one that has ended well.
    Status end;
    for (const auto& [key, value] : values_of(archive_, &end)) EXPECT_EQ(value, model_.at(key));
    if (end.ok()) fs::remove(archive_);
  }
  EXPECT_GT(killed, 0);
  const Finished done = scalio(scratch_, exporting(fs::exists(archive_)));
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_TRUE(values_of(archive_) == model_);
  expect_stored(store_, model_);
  store_.stop();
  EXPECT_EQ(scalio(scratch_, {"check", store_.dir()}).status, 0);
}

TEST_F(Transfer, AnExportThatHasNoRoomSaysSoAndIsGoneOnWith) {
  fill();
  // Half a megabyte: dash counts in blocks of 512 bytes, bash in those of 1024.
  const Finished full =
      run({"/bin/sh", "-c", "ulimit -f 1000; exec \"$@\"", "export", SCALIO_PROGRAM, "export",
           "--server", store_.unix_uri(), archive_.string(), "--quiet"},
          scratch_ / "limited");
  EXPECT_EQ(full.status, kFailure) << full.err;
  EXPECT_THAT(full.err, HasSubstr("File too large"));
  EXPECT_THAT(full.err, HasSubstr(archive_.string()));
  const Finished piped = run({"/bin/sh", "-c", "\"$@\" >/dev/full", "export", SCALIO_PROGRAM,
                              "export", "--server", store_.unix_uri(), "-", "--quiet"},
                             scratch_ / "piped");
  EXPECT_EQ(piped.status, kFailure);
  EXPECT_THAT(piped.err, HasSubstr("No space left"));
  const Finished done = scalio(scratch_, exporting(true));
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_TRUE(values_of(archive_) == model_);
  expect_stored(store_, model_);
}

// The first half of the archive comes, and then nothing more.
TEST_F(Transfer, AnImportThatIsKilledLeavesWhatWasThereAndIsDoneAgain) {
  fill();
  ASSERT_EQ(scalio(scratch_, exporting(false)).status, 0);
  Scratch other_scratch("transfer");
  Store other(other_scratch, {.ssds = 1, .ssd_size = "64M", .format = {"--values", "16M"}});
  ASSERT_TRUE(other.start());
  const auto client = client_of(other);
  ASSERT_TRUE(client);
  const Values before = {{"old-1", "one"}, {"old-2", noise(100'000, 1)}};
  put(*client, before);

  const std::string pipe = (scratch_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  Process import({SCALIO_PROGRAM, "import", "--server", other.unix_uri(), pipe},
                 scratch_ / "import");
  const std::string bytes = read_file(archive_);
  const int fd = open(pipe.c_str(), O_RDWR | O_CLOEXEC);  // waits for no reader
  ASSERT_GE(fd, 0);
  for (std::size_t at = 0; at < bytes.size() / 2;) {
    const ssize_t n = write(fd, bytes.data() + at, bytes.size() / 2 - at);
    ASSERT_GT(n, 0);
    at += static_cast<std::size_t>(n);
  }
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : model_) keys.push_back(key);
  const auto there = [&] {
    std::size_t count = 0;
    for (const Result<Record>& found : client->run(client->multi_get(keys))) count += found.ok();
    return count;
  };
  while (import.running() && there() == 0) std::this_thread::yield();
  ASSERT_TRUE(import.running()) << import.err();
  import.kill();
  close(fd);
  EXPECT_LT(there(), keys.size());
  const std::vector<Result<Record>> found = client->run(client->multi_get(keys));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i].ok()) {
      EXPECT_EQ(found[i]->value, model_.at(std::string(keys[i])));
    }
  }
  for (const auto& [key, value] : before) EXPECT_EQ(client->run(client->get(key))->value, value);

  const Finished again =
      scalio(scratch_, {"import", "--server", other.unix_uri(), archive_.string()});
  EXPECT_EQ(again.out, fmt::format("{} records put, 0 skipped\n", model_.size())) << again.err;
  Values all = before;
  all.insert(model_.begin(), model_.end());
  expect_stored(other, all);
  expect_stored(store_, model_);
  other.stop();
  EXPECT_EQ(scalio(scratch_, {"check", other.dir()}).status, 0);
}

TEST_F(Transfer, AnImportIntoAStoreThatGetsFullSaysHowManyAreIn) {
  for (int i = 0; i < 30; ++i)
    model_.emplace(fmt::format("key-{}", i), noise(100'000, static_cast<std::uint64_t>(i)));
  put(*client_of(store_), model_);
  ASSERT_EQ(scalio(scratch_, exporting(false)).status, 0);
  Scratch other_scratch("transfer");
  Store other(other_scratch, {.ssds = 1, .format = {"--values", "2M"}});
  ASSERT_TRUE(other.start());
  const auto client = client_of(other);
  ASSERT_TRUE(client);
  const Values before = {{"old-1", "one"}, {"old-2", noise(50'000, 1)}};
  put(*client, before);
  const Finished full =
      scalio(scratch_, {"import", "--server", other.unix_uri(), archive_.string()});
  EXPECT_EQ(full.status, kFailure) << full.out;
  EXPECT_THAT(full.err, HasSubstr("full"));
  std::smatch in;
  ASSERT_TRUE(std::regex_search(full.err, in, std::regex("([0-9]+) records are in"))) << full.err;
  int there = 0;
  for (const auto& [key, value] : model_) {
    const Result<Record> found = client->run(client->get(key));
    if (!found.ok()) continue;
    EXPECT_EQ(found->value, value);
    ++there;
  }
  EXPECT_GT(there, 0);
  // More may have come in after the failure that is told: what was under way.
  EXPECT_LE(std::stoi(in[1]), there);
  EXPECT_LT(there, 30);
  for (const auto& [key, value] : before) EXPECT_EQ(client->run(client->get(key))->value, value);
}

// On a terminal. The archive comes in pieces, over longer than a bar takes to be drawn again.
TEST_F(Transfer, AnImportFromAPipeShowsHowFarItIs) {
  fill();
  ASSERT_EQ(scalio(scratch_, exporting(false)).status, 0);
  const std::string bytes = read_file(archive_), pipe = (scratch_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  int terminal = -1, side = -1;
  ASSERT_EQ(openpty(&terminal, &side, nullptr, nullptr, nullptr), 0);
  const int fd = open(pipe.c_str(), O_RDWR | O_CLOEXEC);  // waits for no reader
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  ASSERT_TRUE(fd >= 0 && null >= 0);
  Result<ChildProcess> import =
      ChildProcess::start({.argv = {SCALIO_PROGRAM, "import", "--server", store_.unix_uri(), pipe},
                           .in = null,
                           .out = null,
                           .err = side,
                           .dies_with_thread = true});
  ASSERT_TRUE(import.ok()) << import.status().to_string();
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n =
        write(fd, bytes.data() + at, std::min<std::size_t>(bytes.size() - at, 20'000));
    ASSERT_GT(n, 0);
    at += static_cast<std::size_t>(n);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  close(fd);  // the end of the archive is its own: and nothing follows
  const auto ended = import->wait(std::chrono::seconds(60));
  ASSERT_TRUE(ended.has_value());
  EXPECT_FALSE(ended->signaled);
  EXPECT_EQ(ended->code, 0);
  const std::string mark = "~";
  ASSERT_EQ(write(side, mark.data(), 1), 1);
  std::string shown;
  std::array<char, 4096> some;
  while (!shown.ends_with(mark)) {
    const ssize_t n = read(terminal, some.data(), some.size());
    ASSERT_GT(n, 0);
    shown.append(some.data(), static_cast<std::size_t>(n));
  }
  for (const int open_end : {terminal, side, null}) close(open_end);
  EXPECT_THAT(shown, ::testing::ContainsRegex("import [0-9.]+ MiB, [0-9]+ records"));
}

// The other end of the pipe stands still for longer than an operation has time.
const std::string kTimeout = "4", kPause = "sleep 8";

TEST_F(Transfer, WhoReadsFromThePipeMayPause) {
  for (int i = 0; i < 4; ++i)
    model_.emplace(fmt::format("large-{}", i), noise(500'000, static_cast<std::uint64_t>(i)));
  fill();
  for (const std::string& uri : {store_.unix_uri(), store_.tcp_uri()}) {
    for (const std::string command : {"scan --json", "export -"}) {
      const Finished done = run({"/bin/sh", "-c",
                                 fmt::format("{{ {} {} --quiet --timeout {} --server {} || echo "
                                             "failed >&2; }} | {{ {}; wc -c; }}",
                                             SCALIO_PROGRAM, command, kTimeout, uri, kPause)},
                                scratch_ / "pausing");
      EXPECT_EQ(done.err, "") << command << " at " << uri;
      EXPECT_GT(std::stoi(done.out), 3'000'000) << command << " at " << uri;
    }
  }
}

// As of any program: not a word, and SIGPIPE's status.
TEST_F(Transfer, WhoReadsFromThePipeMayLeave) {
  fill();
  const Finished done = run({"/bin/sh", "-c",
                             fmt::format("{{ {} scan --quiet --server {}; echo $? >&2; }} | head "
                                         "-1",
                                         SCALIO_PROGRAM, store_.unix_uri())},
                            scratch_ / "leaving");
  EXPECT_EQ(done.err, "141\n");
}

TEST_F(Transfer, WhoWritesIntoThePipeMayPause) {
  fill();
  ASSERT_EQ(scalio(scratch_, exporting(false)).status, 0);
  const std::uintmax_t half = fs::file_size(archive_) / 2;
  for (const std::string& uri : {store_.unix_uri(), store_.tcp_uri()}) {
    const Finished done = run(
        {"/bin/sh", "-c",
         fmt::format("{{ head -c {} {}; {}; tail -c +{} {}; }} | {} import --quiet --timeout {} "
                     "--server {} -",
                     half, archive_.string(), kPause, half + 1, archive_.string(), SCALIO_PROGRAM,
                     kTimeout, uri)},
        scratch_ / "pausing");
    EXPECT_EQ(done.out, fmt::format("{} records put, 0 skipped\n", model_.size())) << done.err;
  }
}

// Of which write a value is, as often as it has room; of some bytes to some parts.
std::string value_of(std::uint64_t write) {
  constexpr std::array<std::size_t, 6> kSizes = {8, 100, 300, 5000, 70'000, 300'000};
  std::string value(kSizes[write % kSizes.size()], '\0');
  for (std::size_t i = 0; i + 8 <= value.size(); i += 8) {
    const std::uint64_t word = write ^ (i << 32);
    std::memcpy(value.data() + i, &word, 8);
  }
  return value;
}

TEST_F(Transfer, AnExportBesideWritesHasEachKeyWithOneOfItsValues) {
  constexpr std::uint64_t kBusy = 20;
  for (std::uint64_t i = 0; i < 12; ++i) model_.emplace(fmt::format("still-{}", i), value_of(i));
  for (int i = 0; i < 500; ++i)
    model_.emplace(fmt::format("small-{}", i), noise(100, static_cast<std::uint64_t>(i)));
  put(*client_of(store_), model_);
  std::array<std::atomic<std::uint64_t>, kBusy> begun{};
  std::atomic<bool> first{false}, stop{false};
  std::thread writer([&] {
    const auto client = client_of(store_);
    for (std::uint64_t write = 0; client && !stop; ++write) {
      const std::uint64_t key = write % kBusy;
      begun[key] = write;
      const auto put = client->run(client->put(fmt::format("busy-{}", key), value_of(write)));
      EXPECT_TRUE(put.ok()) << put.status().to_string();
      if (!put.ok()) break;
      if (write == kBusy) first = true;
    }
    first = true;
  });
  while (!first) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) {
    const fs::path archive = scratch_ / fmt::format("beside-{}", i);
    const Finished done =
        scalio(scratch_, {"export", "--server", store_.unix_uri(), archive.string(), "--quiet"});
    EXPECT_EQ(done.status, 0) << done.err;
    Values found = values_of(archive);
    for (const auto& [key, value] : model_) EXPECT_TRUE(found[key] == value) << key;
    for (std::uint64_t key = 0; key < kBusy; ++key) {
      const std::string value = found[fmt::format("busy-{}", key)];
      EXPECT_GE(value.size(), 8U) << key;
      if (value.size() < 8) continue;
      std::uint64_t write = 0;
      std::memcpy(&write, value.data(), 8);
      EXPECT_EQ(write % kBusy, key);
      EXPECT_LE(write, begun[key].load());
      EXPECT_TRUE(value == value_of(write)) << key;
    }
    EXPECT_EQ(found.size(), model_.size() + kBusy);
  }
  stop = true;
  writer.join();
}

// More than are asked for together, and than a page has small records.
TEST_F(Transfer, ManyValuesJustOverTheInlineLimitAreExported) {
  for (int i = 0; i < 2000; ++i)
    model_.emplace(fmt::format("key-{}", i), noise(300, static_cast<std::uint64_t>(i)));
  put(*client_of(store_), model_);
  expect_stored(store_, model_);
}

TEST_F(Transfer, AValueThatIsLongerByNowIsToldSoAndNotRead) {
  const auto client = client_of(store_);
  ASSERT_TRUE(client);
  const std::string small = noise(100, 1), large = noise(200'000, 2);
  put(*client, {{"small", small}, {"large", large}});
  for (const std::string& value : {small, large}) {
    const std::string key = value == small ? "small" : "large";
    std::uint64_t most = value.size();
    const Result<Record> found =
        client->run(client::get_within(*client, key, client::at_most(most)));
    ASSERT_TRUE(found.ok()) << found.status().to_string();
    EXPECT_TRUE(found->value == value);
    EXPECT_EQ(found->version, client->run(client->get(key))->version);
    most = value.size() - 1;
    EXPECT_EQ(client->run(client::get_within(*client, key, client::at_most(most))).code(),
              Code::too_large);
    EXPECT_EQ(most, value.size());
  }
  std::uint64_t most = 1;
  EXPECT_EQ(client->run(client::get_within(*client, "none", client::at_most(most))).code(),
            Code::not_found);
}

// It is more than is read ahead, and its place is used again before the rest is read.
TEST_F(Transfer, AValueThatIsOverwrittenWhileItIsReadIsReadAgainAsAWhole) {
  const auto reader = client_of(store_), writer = client_of(store_);
  ASSERT_TRUE(reader && writer);
  constexpr std::size_t kSize = 900'000;
  const auto value = [](std::uint64_t write) { return noise(kSize + write, write); };
  put(*writer, {{"key", value(0)}});
  std::uint64_t last = 0;
  std::vector<std::uint64_t> asked;
  const client::RoomFor room = [&](std::uint64_t bytes) {
    asked.push_back(bytes);
    while (asked.size() == 1 && last < 40) put(*writer, {{"key", value(++last)}});
    return true;
  };
  const Result<Record> found = reader->run(client::get_within(*reader, "key", room));
  ASSERT_TRUE(found.ok()) << found.status().to_string();
  EXPECT_EQ(asked, (std::vector<std::uint64_t>{kSize, kSize + 40}));
  EXPECT_TRUE(found->value == value(40));
}

}  // namespace
}  // namespace scalio::testing
