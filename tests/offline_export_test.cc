// `scalio export --offline`: what a server that died would serve, and what is left of a store that
// is damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <scalio/client.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "archive/archive_reader.h"
#include "layout/superblock.h"
#include "support/file_bytes.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int kBadUse = 2, kFailure = 3, kDamaged = 4;  // exit statuses

std::string key_of(int i) { return "key-" + std::to_string(i); }
std::string value_of(int i) { return "value-of-" + std::to_string(i) + "-" + std::string(40, 'v'); }

struct Found {
  std::string value;
  std::uint64_t version = 0;
  EndTime end = {};
  friend bool operator==(const Found&, const Found&) = default;
};
using Records = std::map<std::string, Found>;

// What a whole archive has, each key once; and the places that the parts in it take of the store.
Records records_of(const fs::path& path, std::uint64_t* places = nullptr) {
  Records all;
  auto reader = archive::ArchiveReader::open(path);
  EXPECT_TRUE(reader.ok()) << reader.status().to_string();
  while (reader.ok()) {
    const auto chunk = (*reader)->next();
    EXPECT_TRUE(chunk.ok()) << chunk.status().to_string();
    if (!chunk.ok() || !*chunk) break;
    if (places != nullptr) *places += (*reader)->range().end - (*reader)->range().begin;
    for (const ScannedRecord& r : (*chunk)->records) {
      EXPECT_TRUE(all.emplace(r.key, Found{std::string(r.value), r.version, r.end}).second)
          << r.key;
    }
  }
  return all;
}

class Offline : public ::testing::Test {
 protected:
  // What was acknowledged is in model_.
  void put(int from, int to) {
    auto client = Client::connect(store_.unix_uri());
    ASSERT_TRUE(client.ok()) << client.status().to_string();
    for (int i = from; i < to; ++i) {
      auto version = (*client)->run((*client)->put(key_of(i), value_of(i)));
      ASSERT_TRUE(version.ok()) << version.status().to_string();
      model_[key_of(i)] = {value_of(i), *version, {}};
    }
  }
  void remove(int from, int to, int step) {
    auto client = Client::connect(store_.unix_uri());
    ASSERT_TRUE(client.ok()) << client.status().to_string();
    for (int i = from; i < to; i += step) {
      ASSERT_TRUE((*client)->run((*client)->remove(key_of(i))).ok());
      model_.erase(key_of(i));
    }
  }
  // A store with records 0 to before `n`, in its buckets alone: its log begins behind them.
  void fill(int n) {
    ASSERT_TRUE(store_.start());
    put(0, n);
    store_.stop();
    ASSERT_TRUE(store_.start());
    put(n, n + 50);
    store_.stop();
  }
  std::vector<std::string> bytes() const {
    return {read_file(store_.ssd(0)), read_file(store_.ssd(1))};
  }
  layout::SsdGeometry geometry(int ssd) const {
    const std::string bytes = read_at(store_.ssd(ssd), 0, layout::kSuperblockSize);
    return *layout::decode_superblock(as_bytes(bytes), fs::file_size(store_.ssd(ssd)));
  }
  // Exports to a new file, and leaves the store as it is.
  Finished offline() {
    archive_ = scratch_ / ("archive-" + std::to_string(++exports_));
    const std::vector<std::string> before = bytes();
    const Finished done =
        scalio(scratch_, {"export", "--offline", store_.dir(), archive_.string(), "--json"});
    EXPECT_TRUE(bytes() == before) << "the store was written to";
    return done;
  }

  Scratch scratch_{"offline"};
  Store store_{scratch_, {.format = {"--slices", "2", "--values", "8M"}, .cache = "16M"}};
  Records model_;
  fs::path archive_;
  int exports_ = 0;
};

TEST_F(Offline, HasWhatTheServerHadAcknowledgedWhenItDied) {
  ASSERT_TRUE(store_.start());
  for (int life = 0; life < 3; ++life) {
    put(life * 400, 1000 + life * 400);
    remove(life * 50, 1000, 7);
    store_.kill();
    const Finished done = offline();
    ASSERT_EQ(done.status, 0) << done.out << done.err;
    EXPECT_TRUE(records_of(archive_) == model_);
    const auto json = nlohmann::json::parse(done.out);
    EXPECT_EQ(json["records"], model_.size());
    EXPECT_EQ(json["damage"], nlohmann::json::array());

    ASSERT_TRUE(store_.start());
    const std::string online = (scratch_ / ("online-" + std::to_string(life))).string();
    ASSERT_EQ(scalio(scratch_, {"export", "--server", store_.unix_uri(), online}).status, 0);
    EXPECT_TRUE(records_of(archive_) == records_of(online));
  }
  store_.stop();
}

TEST_F(Offline, HasLargeValuesAndSaysWhichAreDamaged) {
  ASSERT_TRUE(store_.start());
  put(0, 20);
  auto client = Client::connect(store_.unix_uri());
  ASSERT_TRUE(client.ok()) << client.status().to_string();
  // Of one part and of several.
  for (int i = 20; i < 30; ++i) {
    const std::string value(static_cast<std::size_t>(i) * 5000, static_cast<char>('a' + i % 20));
    auto version = (*client)->run((*client)->put(key_of(i), value));
    ASSERT_TRUE(version.ok()) << version.status().to_string();
    model_[key_of(i)] = {value, *version, {}};
  }
  store_.kill();
  Finished done = offline();
  ASSERT_EQ(done.status, 0) << done.out << done.err;
  EXPECT_TRUE(records_of(archive_) == model_);

  // A byte of a value, which is on one of the SSDs once.
  const std::string part(1000, static_cast<char>('a' + 25 % 20));
  for (int ssd = 0; ssd < 2; ++ssd) {
    const std::string all = read_file(store_.ssd(ssd));
    if (const std::size_t at = all.find(part); at != std::string::npos)
      write_at(store_.ssd(ssd), at + 500, "!");
  }
  done = offline();
  EXPECT_EQ(done.status, kDamaged) << done.out << done.err;
  EXPECT_THAT(done.err, HasSubstr("damage: "));
  EXPECT_THAT(done.err, HasSubstr("of version " + std::to_string(model_[key_of(25)].version)));
  model_.erase(key_of(25));
  EXPECT_TRUE(records_of(archive_) == model_);
}

TEST_F(Offline, KeepsEndsAndLeavesOutWhatHasEnded) {
  ASSERT_TRUE(store_.start());
  put(0, 2);
  {
    auto client = Client::connect(store_.unix_uri());
    ASSERT_TRUE(client.ok()) << client.status().to_string();
    ASSERT_TRUE(
        (*client)->run((*client)->put("hour", "value", Expiry::after(std::chrono::hours(1)))).ok());
    ASSERT_TRUE((*client)->run((*client)->put("gone", "value", Expiry::at(EndTime()))).ok());
    const std::string large(100'000, 'l');
    ASSERT_TRUE(
        (*client)->run((*client)->put("large", large, Expiry::after(std::chrono::hours(2)))).ok());
    ASSERT_TRUE((*client)->run((*client)->put("lost", large, Expiry::at(EndTime()))).ok());
    for (const char* key : {"hour", "large"}) {
      const Result<Record> found = (*client)->run((*client)->get(key));
      ASSERT_TRUE(found.ok()) << found.status().to_string();
      EXPECT_NE(found->end, EndTime());
      model_[key] = {found->value, found->version, found->end};
    }
  }
  store_.kill();
  ASSERT_EQ(offline().status, 0);
  EXPECT_TRUE(records_of(archive_) == model_);
  // And into another store, with their ends.
  Scratch other_scratch("offline");
  Store other(other_scratch, {.format = {"--values", "8M"}});
  ASSERT_TRUE(other.start());
  const std::string online = (other_scratch / "online").string();
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"import", archive_.string()}, {"export", online}}) {
    std::vector<std::string> args = command;
    args.insert(args.end(), {"--server", other.unix_uri()});
    EXPECT_EQ(scalio(other_scratch, args).status, 0);
  }
  const Records there = records_of(online);
  EXPECT_EQ(there.size(), model_.size());
  for (const char* key : {"hour", "large"}) EXPECT_EQ(there.at(key).end, model_[key].end);
  other.stop();
}

TEST_F(Offline, IsRefusedWhileAServerRuns) {
  ASSERT_TRUE(store_.start());
  archive_ = scratch_ / "archive";
  const Finished busy = scalio(scratch_, {"export", "--offline", store_.dir(), archive_.string()});
  EXPECT_EQ(busy.status, kFailure);
  EXPECT_THAT(busy.err, HasSubstr("in use"));
  EXPECT_FALSE(fs::exists(archive_));
  store_.stop();
  EXPECT_EQ(offline().status, 0);
}

TEST_F(Offline, OfADamagedBucketOnlyItsRecordsAreMissing) {
  fill(500);
  const layout::SsdGeometry g = geometry(0);
  // The bucket of a record of the first shard: its identity with another checksum. The log has none
  // of its records, or their merge's image would put it right.
  const auto home_of = [&](int i) { return g.home_bucket(g.point_of(key_of(i))); };
  const auto in_first_shard = [&](int i) {
    return g.placement().shard_of(hash_key(key_of(i), g.hash_seed)) == 0;
  };
  std::set<std::uint64_t> logged;
  for (int i = 500; i < 550; ++i) {
    if (in_first_shard(i)) logged.insert(home_of(i));
  }
  int i = 0;
  while (!in_first_shard(i) || logged.contains(home_of(i))) ++i;
  const std::uint64_t at = g.bucket_at(home_of(i));
  write_at(store_.ssd(0), at, std::string(8, 'x'));
  const Finished done = offline();
  EXPECT_EQ(done.status, kDamaged) << done.out << done.err;
  EXPECT_THAT(done.err, HasSubstr("damage: "));
  EXPECT_THAT(done.err, HasSubstr("offset " + std::to_string(at)));
  EXPECT_EQ(nlohmann::json::parse(done.out)["damage"].size(), 1u);
  const Records left = records_of(archive_);
  EXPECT_FALSE(left.contains(key_of(i)));
  EXPECT_LT(left.size(), model_.size());
  EXPECT_GT(left.size(), model_.size() - 20);
  for (const auto& [key, found] : left) EXPECT_EQ(found, model_[key]) << key;
  // And what is left goes into another store.
  Scratch other_scratch("offline");
  Store other(other_scratch, {.format = {"--values", "8M"}});
  ASSERT_TRUE(other.start());
  EXPECT_EQ(
      scalio(other_scratch, {"import", "--server", other.unix_uri(), archive_.string()}).status, 0);
  other.stop();
}

TEST_F(Offline, OneDamagedSuperblockLosesNothing) {
  fill(100);
  for (const std::uint64_t at :
       {std::uint64_t{0}, fs::file_size(store_.ssd(1)) - layout::kSuperblockSize}) {
    const std::string intact = read_at(store_.ssd(1), at, layout::kSuperblockSize);
    write_at(store_.ssd(1), at + 100, "damage");
    const Finished done = offline();
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_THAT(done.err, HasSubstr("note: "));
    EXPECT_THAT(done.err, HasSubstr("superblock at offset " + std::to_string(at)));
    EXPECT_TRUE(records_of(archive_) == model_);
    write_at(store_.ssd(1), at, intact);
  }
}

TEST_F(Offline, WithoutTheKeyItHasTheBucketsAndSaysSo) {
  fill(100);
  fs::rename(fs::path(store_.dir()) / "key", scratch_ / "key");
  const Finished done = offline();
  EXPECT_EQ(done.status, kDamaged);
  EXPECT_THAT(done.err, HasSubstr("/key is missing"));
  EXPECT_THAT(done.err, HasSubstr("the log of shard 3 was not read"));
  EXPECT_TRUE(records_of(archive_) == model_) << "a server that stops leaves all in the buckets";
}

TEST_F(Offline, OfADamagedLogTheRestIsThere) {
  ASSERT_TRUE(store_.start());
  put(0, 50);
  store_.kill();
  // Wherever the value of one record stands; what was merged by now is put right from its image.
  const std::string value = value_of(7);
  int damaged = 0;
  for (int ssd = 0; ssd < 2; ++ssd) {
    const std::string all = read_file(store_.ssd(ssd));
    for (std::size_t at = all.find(value); at != std::string::npos; at = all.find(value, at + 1)) {
      write_at(store_.ssd(ssd), at, "w");  // was 'v'
      ++damaged;
    }
  }
  ASSERT_GT(damaged, 0);
  const Finished done = offline();
  EXPECT_EQ(done.status, kDamaged) << done.out << done.err;
  EXPECT_THAT(done.err, HasSubstr("damage: "));
  EXPECT_THAT(done.err, HasSubstr("acknowledged writes may be missing"));
  Records left = records_of(archive_);
  EXPECT_FALSE(left.contains(key_of(7)));
  EXPECT_GE(left.size(), model_.size() - 10);
  for (const auto& [key, found] : left) EXPECT_EQ(found, model_[key]) << key;
}

// What was done of one that was interrupted is gone on with by the store's server.
TEST_F(Offline, ItsPartsAreThoseOfTheStore) {
  fill(200);
  ASSERT_EQ(offline().status, 0);
  std::uint64_t places = 0;
  EXPECT_TRUE(records_of(archive_, &places) == model_);
  EXPECT_EQ(places, std::uint64_t{4} << 48) << "all of four shards";
  fs::resize_file(archive_, fs::file_size(archive_) / 2);
  ASSERT_TRUE(store_.start());
  const Finished resumed =
      scalio(scratch_, {"export", "--server", store_.unix_uri(), "--resume", archive_.string()});
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_TRUE(records_of(archive_) == model_);
  store_.stop();
}

TEST_F(Offline, AnArchiveWithoutRoomIsAnErrorAndLeavesTheStoreAsItIs) {
  fill(2000);
  const std::vector<std::string> before = bytes();
  const Finished full = run({"/bin/sh", "-c", "\"$0\" export --offline \"$1\" - >/dev/full",
                             SCALIO_PROGRAM, store_.dir()},
                            scratch_ / "full");
  EXPECT_EQ(full.status, kFailure);
  EXPECT_THAT(full.err, HasSubstr("No space left"));
  // In the middle of it.
  archive_ = scratch_ / "cut";
  const Finished limited =
      run({"/bin/sh", "-c", "ulimit -f 4; exec \"$0\" export --offline \"$1\" \"$2\"",
           SCALIO_PROGRAM, store_.dir(), archive_.string()},
          scratch_ / "limited");
  EXPECT_EQ(limited.status, kFailure);
  EXPECT_THAT(limited.err, HasSubstr("File too large"));
  EXPECT_TRUE(bytes() == before);
  EXPECT_EQ(scalio(scratch_, {"check", store_.dir()}).status, 0);
}

TEST_F(Offline, OptionsOfServersAreRefused) {
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--resume"}, {"--timeout", "3"}, {"--ssd-access", "direct"}}) {
    std::vector<std::string> args = {"export", "--offline", store_.dir(),
                                     (scratch_ / "archive").string()};
    args.insert(args.end(), more.begin(), more.end());
    EXPECT_EQ(scalio(scratch_, args).status, kBadUse) << more[0];
  }
  const Finished none = scalio(scratch_, {"export", "--offline", scratch_.path().string(), "-"});
  EXPECT_EQ(none.status, kBadUse);
  EXPECT_THAT(none.err, HasSubstr("has no store"));
}

}  // namespace
}  // namespace scalio::testing
