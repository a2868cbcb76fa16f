// What the command line passes on from outside: names, keys, properties, in whatever bytes.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <scalio/client.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/lock_holder.h"
#include "support/redis_client.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr int kNotFound = 1, kBadUse = 2, kFailure = 3;  // exit statuses

nlohmann::json parsed(const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  EXPECT_TRUE(json.is_object()) << text;
  return json;
}

class Served : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.start()); }

  Finished run(std::vector<std::string> args) {
    args.insert(args.end(), {"--server", store_.unix_uri()});
    return scalio(scratch_, args);
  }
  bool has(int record) { return run({"get", fmt::format("user{:012}", record)}).status == 0; }

  Scratch scratch_{"line"};
  Store store_{scratch_, {.ssds = 1}};
};

TEST(Names, ThatAreNotUtf8EndNothing) {
  Scratch scratch("line");
  const std::string dir = (scratch / "caf\xe9").string();
  const Finished format =
      scalio(scratch, {"format", "--dir", dir, "--ssds", "1", "--ssd-size", "32M", "--json"});
  EXPECT_EQ(format.status, 0) << format.err;
  EXPECT_THAT(parsed(format.out)["ssds"][0].get<std::string>(), HasSubstr("caf\xef\xbf\xbd/"));

  const std::string socket = (scratch.sockets() / "server").string();
  Process server(
      {SCALIO_PROGRAM, "serve", "--dir", dir, "--cache", "4M", "--listen", "unix:" + socket},
      scratch / "serve");
  while (server.running() && !std::filesystem::exists(socket)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const Finished stat = scalio(scratch, {"stat", "--server", "unix:" + socket, "--json"});
  EXPECT_EQ(stat.status, 0) << stat.err;
  EXPECT_THAT(parsed(stat.out)["shards"][0]["device"].get<std::string>(),
              HasSubstr("caf\xef\xbf\xbd/"));
  EXPECT_TRUE(server.running()) << server.err();
  server.signal(SIGTERM);
  ASSERT_TRUE(server.wait(std::chrono::seconds(30)));

  const Finished check = scalio(scratch, {"check", dir, "--json"});
  EXPECT_EQ(check.status, 0) << check.err;
}

TEST(FormatValues, AreAnAreaOfTheSizeThatIsAskedFor) {
  Scratch scratch("line");
  const auto format = [&](const std::string& size, const std::string& values, bool json = true) {
    std::vector<std::string> args = {
        "format", "--force", "--dir",      (scratch / "store").string(),
        "--ssds", "1",       "--ssd-size", size};
    if (!values.empty()) args.insert(args.end(), {"--values", values});
    if (json) args.push_back("--json");
    return scalio(scratch, args);
  };
  EXPECT_THAT(format("32M", "", false).out, HasSubstr("no values over the inline limit"));
  EXPECT_THAT(format("32M", "8M", false).out, HasSubstr("8 MiB of values over the inline limit, "
                                                        "each up to 505 KiB"));
  const Finished none = format("32M", "");
  ASSERT_EQ(none.status, 0) << none.err;
  EXPECT_EQ(parsed(none.out)["value_bytes"], 0) << "a small SSD has none";
  const Finished some = format("32M", "8M");
  ASSERT_EQ(some.status, 0) << some.err;
  EXPECT_EQ(parsed(some.out)["value_bytes"], 8 << 20);
  EXPECT_GT(parsed(some.out)["largest_value"], 500'000) << "segments are of half a MiB";
  EXPECT_LT(parsed(some.out)["largest_value"], 512 << 10);
  EXPECT_EQ(scalio(scratch, {"check", (scratch / "store").string()}).status, 0);
  const Finished few = format("32M", "64K");
  EXPECT_NE(few.status, 0);
  EXPECT_THAT(few.err, HasSubstr("--values 65536"));
  EXPECT_NE(format("32M", "40M").status, 0);
  const Finished usual = format("256M", "");
  ASSERT_EQ(usual.status, 0) << usual.err;
  EXPECT_GT(parsed(usual.out)["value_bytes"], 100 << 20);
}

TEST(Names, OfHostsThatAreNotFoundAreNoBadUse) {
  Scratch scratch("line");
  const Finished get = scalio(
      scratch, {"get", "--server", "tcp:no-such-host.invalid:7000", "--timeout", "5", "key"});
  EXPECT_EQ(get.status, kFailure) << get.err;
  EXPECT_THAT(get.err, HasSubstr("no-such-host.invalid"));
}

TEST_F(Served, ControlCharactersDoNotReachTheTerminal) {
  const Finished get = run({"get", "\x1b]0;title\x07key\n"});
  EXPECT_EQ(get.status, kNotFound);
  EXPECT_THAT(get.err, HasSubstr("no key '\\x1b]0;title\\x07key\\x0a'"));
  EXPECT_THAT(get.err, Not(HasSubstr("\x1b")));
}

// A service manager tries again what ends with 3: memory that others hold may come back.
TEST(Memory, ThatIsNotThereNowIsNoBadUse) {
  Scratch scratch("line");
  Store store(scratch, {.ssds = 1, .cache = "1048576G"});
  const Finished serve = run(store.serve_command(), scratch / "serve");
  EXPECT_EQ(serve.status, kFailure) << serve.err;
  EXPECT_THAT(serve.err, HasSubstr("a cache of 1073741824 MiB is too large: "));
}

// Each step of a GET, of a key that is in a write slot, of one that an SSD has, of one that is not
// there.
TEST_F(Served, AGetIsTraced) {
  EXPECT_EQ(run({"put", "traced", "value"}).status, 0);
  const auto trace = [&](const std::string& key, int status) {
    const Finished got = run({"get", "--trace", "--json", key});
    EXPECT_EQ(got.status, status) << got.err;
    return parsed(got.out);
  };
  nlohmann::json hit = trace("traced", 0);
  EXPECT_EQ(hit["outcome"], "ok");
  EXPECT_EQ(hit["bytes"], 5);
  ASSERT_EQ(hit["steps"].size(), 1u) << hit;
  EXPECT_THAT(hit["steps"][0]["did"].get<std::string>(), HasSubstr("READ of "));
  EXPECT_THAT(hit["steps"][0]["found"].get<std::string>(), HasSubstr("it in slot "));

  const nlohmann::json miss = trace("none", kNotFound);
  std::string did;
  for (const nlohmann::json& step : miss["steps"]) did += step["did"].get<std::string>() + "\n";
  EXPECT_THAT(did, HasSubstr("CAS of slot"));
  EXPECT_THAT(did, HasSubstr("SSD read of 1024 bytes: bucket "));
  // Nothing in a bucket that was never written says whose it is.
  EXPECT_THAT(did, HasSubstr("SSD read of the superblock of "));
  EXPECT_THAT(did, HasSubstr("WRITE of "));
  EXPECT_EQ(miss["outcome"], "not_found");
  // It has left in the cache that there is none.
  EXPECT_THAT(trace("none", kNotFound)["steps"][0]["found"].get<std::string>(),
              HasSubstr("that there is none"));

  const Finished text = run({"get", "--trace", "traced"});
  EXPECT_THAT(text.out, HasSubstr("READ of "));
  EXPECT_THAT(text.out, HasSubstr("found: 5 bytes, version "));
}

TEST(LargeValues, AreTracedToTheirReads) {
  Scratch scratch("line");
  Store store(scratch, {.ssds = 1, .ssd_size = "96M", .format = {"--values", "64M"}});
  ASSERT_TRUE(store.start());
  const std::string value(100'000, 'v');
  ASSERT_EQ(scalio(scratch, {"put", "large", value, "--server", store.unix_uri()}).status, 0);
  const Finished got =
      scalio(scratch, {"get", "--trace", "--json", "large", "--server", store.unix_uri()});
  EXPECT_EQ(got.status, 0) << got.err;
  const nlohmann::json trace = parsed(got.out);
  EXPECT_EQ(trace["bytes"], value.size());
  ASSERT_GE(trace["steps"].size(), 2u) << got.out;
  EXPECT_THAT(trace["steps"][0]["did"].get<std::string>(), HasSubstr("READ of "));
  EXPECT_THAT(trace["steps"][1]["did"].get<std::string>(), MatchesRegex("SSD read of .* values.*"));
}

TEST(SlowWrites, AreKept) {
  Scratch scratch("line");
  Store store(scratch, {.serve = {"--slow", "0"}});
  ASSERT_TRUE(store.start());
  const auto run = [&](std::vector<std::string> args) {
    args.insert(args.end(), {"--server", store.unix_uri()});
    return scalio(scratch, args);
  };
  EXPECT_THAT(run({"stat", "--slow"}).out, HasSubstr("0 writes took 0 ms or longer"));
  EXPECT_EQ(run({"put", "one", "value"}).status, 0);
  EXPECT_EQ(run({"delete", "two"}).status, 0);
  const nlohmann::json slow = parsed(run({"stat", "--slow", "--json"}).out);
  EXPECT_EQ(slow["seen"], 2);
  ASSERT_EQ(slow["operations"].size(), 2u);
  EXPECT_EQ(slow["operations"][0]["key"], "one");
  EXPECT_EQ(slow["operations"][1]["operation"], "delete");
  EXPECT_THAT(run({"stat", "--slow"}).out, HasSubstr("one, 5 bytes"));
}

TEST_F(Served, TheDoctorLooksAtItsStore) {
  const Finished json = scalio(scratch_, {"doctor", "--json", store_.dir()});
  EXPECT_THAT(json.status, ::testing::AnyOf(0, kFailure)) << json.err;
  const nlohmann::json said = parsed(json.out);
  std::string store;
  for (const nlohmann::json& finding : said["findings"])
    if (finding["about"] == store_.dir() && finding["health"] == "ok") store = finding["what"];
  const int ssd = ::open(store_.ssd(0).c_str(), O_RDONLY | O_CLOEXEC);
  const std::string who = lock_holder(ssd);
  ::close(ssd);
  EXPECT_THAT(store, StartsWith("a store of "));
  EXPECT_THAT(store, EndsWith(who.empty() ? "" : ", in use by " + who)) << json.out;
  EXPECT_EQ(scalio(scratch_, {"doctor", "/no/such/ssd"}).status, kFailure);
  EXPECT_TRUE(store_.running());
}

TEST(Doctor, SaysWhyAStoreCannotBeServed) {
  Scratch scratch("line");
  const Store store(scratch, {.ssds = 1});
  const auto finding = [&](const char* health) {
    const nlohmann::json said = parsed(scalio(scratch, {"doctor", "--json", store.dir()}).out);
    for (const nlohmann::json& one : said["findings"]) {
      if (one["about"] != store.dir()) continue;
      EXPECT_EQ(one["health"], health) << said;
      return one["what"].get<std::string>();
    }
    return std::string("nothing");
  };
  using std::filesystem::perms;
  const std::filesystem::path key = store.dir() + "/key";
  EXPECT_EQ(finding("ok"), "a store of 1 SSD");
  permissions(key, perms::others_read, std::filesystem::perm_options::add);
  EXPECT_THAT(finding("problem"), HasSubstr(key.string()));
  permissions(key, perms::owner_read);
  if (::geteuid() != 0) {  // root may write whatever the mode says
    permissions(store.ssd(0), perms::owner_read);
    EXPECT_THAT(finding("problem"), HasSubstr("Permission denied"));
    permissions(store.ssd(0), perms::owner_read | perms::owner_write);
  }
  EXPECT_EQ(finding("ok"), "a store of 1 SSD");
  std::filesystem::remove(key);
  EXPECT_THAT(finding("problem"), HasSubstr("key is missing"));
}

// SIGHUP with a configuration file is no end.
TEST(Configuration, IsReadAgainOnSighup) {
  Scratch scratch("line");
  Store store(scratch, {});
  const std::filesystem::path file = scratch / "serve.toml";
  const auto write = [&](const std::string& more) {
    std::ofstream(file) << fmt::format("dir = '{}'\ncache = '4M'\nlisten = ['{}']\n{}", store.dir(),
                                       store.unix_uri(), more);
  };
  write("");
  Process server({SCALIO_PROGRAM, "serve", "--config", file.string()}, scratch / "serve");
  const auto wait_for = [&](const std::string& text) {
    while (server.running() && (server.out() + server.err()).find(text) == std::string::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return server.running();
  };
  ASSERT_TRUE(wait_for("ready\n")) << server.err();
  write("log-level = 'debug'\nmax-clients = 65536\nslow = 0\nthreads = 1\n");
  server.signal(SIGHUP);
  // In the order of their names: when the last was said the others have been taken.
  ASSERT_TRUE(wait_for("--threads: 1, was its default: at the next start")) << server.err();
  EXPECT_TRUE(wait_for("--log-level: debug, was its default"));
  EXPECT_THAT(server.err(), HasSubstr("--max-clients: 65536 at the next start"));
  const std::vector<std::string> at = {"--server", store.unix_uri()};
  const auto client = [&](std::vector<std::string> args) {
    args.insert(args.end(), at.begin(), at.end());
    return scalio(scratch, args);
  };
  EXPECT_EQ(client({"put", "the-key", "value"}).status, 0);
  EXPECT_THAT(client({"stat", "--slow"}).out, HasSubstr("the-key"));
  {
    write("log-level = 'debug'\nmax-clients = 1\nthreads = 1\n");
    server.signal(SIGHUP);
    ASSERT_TRUE(wait_for("--slow: its default, was 0")) << server.err();
    EXPECT_THAT(server.err(), HasSubstr("--max-clients: 1, was 65536"));
    const Result<std::unique_ptr<Client>> one = Client::connect(store.unix_uri());
    ASSERT_TRUE(one.ok()) << one.status().to_string();
    EXPECT_THAT(client({"stat"}).err, HasSubstr("has 1 connections already"));
  }
  write("log-level = 'loud'\n");
  server.signal(SIGHUP);
  EXPECT_TRUE(wait_for("nothing is changed")) << server.err();
  server.signal(SIGTERM);
  const auto ended = server.wait(std::chrono::seconds(30));
  EXPECT_TRUE(ended && !ended->signaled && ended->code == 0);
}

// Nor is it to a gateway.
TEST_F(Served, AGatewayReadsItsConfigurationAgainOnSighup) {
  const std::filesystem::path file = scratch_ / "redis.toml";
  std::ofstream(file) << fmt::format("server = '{}'\n", store_.unix_uri());
  const Finished nowhere = scalio(scratch_, {"redis", "--config", file.string()});
  EXPECT_EQ(nowhere.status, kBadUse);
  EXPECT_THAT(nowhere.err, HasSubstr("--listen is required, here or in the file of --config"));
  std::ofstream(file, std::ios::app)
      << fmt::format("listen = ['unix:{}']\n", (scratch_.sockets() / "redis").string());

  Process gateway({SCALIO_PROGRAM, "redis", "--config", file.string()}, scratch_ / "redis");
  const auto wait_for = [&](const std::string& text) {
    while (gateway.running() && (gateway.out() + gateway.err()).find(text) == std::string::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return gateway.running();
  };
  ASSERT_TRUE(wait_for("ready\n")) << gateway.err();
  std::ofstream(file, std::ios::app)
      << "log-level = 'debug'\nmax-clients = 1\nslow = 0\nusers = '/no/file'\n";
  gateway.signal(SIGHUP);
  ASSERT_TRUE(wait_for("--users: /no/file, was its default: at the next start")) << gateway.err();
  {
    RedisClient one((scratch_.sockets() / "redis").string());
    EXPECT_EQ(one.say({"CONFIG", "GET", "slowlog-log-slower-than"}),
              "*($slowlog-log-slower-than $0)");
    EXPECT_EQ(one.say({"CONFIG", "GET", "maxclients"}), "*($maxclients $1)");
    EXPECT_EQ(one.say({"SET", "key", "value"}), "+OK");
    EXPECT_EQ(one.say({"SLOWLOG", "LEN"}), ":1");
    RedisClient other((scratch_.sockets() / "redis").string());
    EXPECT_EQ(RedisClient::text(other.receive()), "-ERR max number of clients reached");
  }
  EXPECT_TRUE(wait_for("--log-level: debug, was its default")) << gateway.err();
  gateway.signal(SIGTERM);
  const auto ended = gateway.wait(std::chrono::seconds(30));
  EXPECT_TRUE(ended && !ended->signaled && ended->code == 0) << gateway.err();
}

TEST_F(Served, LoadersShareAStore) {
  const Finished load =
      run({"bench", "ycsb", "--workload", "c", "--load", "--operations", "0", "--json", "-", "-p",
           "recordcount=100", "-p", "insertstart=50", "-p", "insertcount=25"});
  EXPECT_EQ(load.status, 0) << load.err;
  EXPECT_EQ(parsed(load.out)["load"]["operations"], 25);
  EXPECT_TRUE(has(50) && has(74));
  EXPECT_FALSE(has(49) || has(75));

  // And the run is about that part alone.
  const Finished part =
      run({"bench", "ycsb", "--workload", "c", "--operations", "1000", "--json", "-", "-p",
           "recordcount=100", "-p", "insertstart=50", "-p", "insertcount=25"});
  EXPECT_EQ(part.status, 0) << part.err;
  EXPECT_EQ(parsed(part.out)["not_found"], 0);
}

TEST_F(Served, RatesAndTimesAreHeld) {
  const Finished bench = run({"bench", "ycsb", "--workload", "a", "--load", "--records", "100",
                              "--operations", "1000000", "--json", "-", "-p", "target=300", "-p",
                              "maxexecutiontime=1", "-p", "threadcount=3"});
  EXPECT_EQ(bench.status, 0) << bench.err;
  const nlohmann::json report = parsed(bench.out);
  EXPECT_EQ(report["stopped"], nullptr);
  EXPECT_EQ(report["config"]["threads"], 3);
  const auto operations = report["operations"].get<double>();
  EXPECT_GT(operations, 0);
  // Each thread's first one is not held.
  EXPECT_LE(operations, 300 * report["seconds"].get<double>() + 3);
}

TEST_F(Served, PropertiesThatAreNotHonouredAreRefused) {
  const Finished bench = run({"bench", "ycsb", "--workload", "a", "--quiet", "-p",
                              "insertorder=hashed", "-p", "exportfile=x"});
  EXPECT_EQ(bench.status, kBadUse);
  EXPECT_THAT(bench.err, HasSubstr("exportfile"));
  EXPECT_EQ(
      run({"bench", "ycsb", "--workload", "a", "-p", "recordcount=10", "-p", "insertstart=10"})
          .status,
      kBadUse);
}

TEST_F(Served, AReportGoesWhereALinkLeads) {
  const std::filesystem::path link = scratch_ / "link", report = scratch_ / "report.json";
  std::filesystem::create_symlink("report.json", link);
  EXPECT_EQ(run({"bench", "ycsb", "--workload", "a", "--records", "10", "--load", "--operations",
                 "10", "--json", link.string()})
                .status,
            0);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(parsed(read_file(report))["operations"], 10);
}

// A pipe has a name that leads to no file.
TEST_F(Served, AReportGoesIntoAPipe) {
  const Finished bench =
      testing::run({"/bin/sh", "-c", "\"$@\" | cat", "bench", SCALIO_PROGRAM, "bench", "ycsb",
                    "--server", store_.unix_uri(), "--workload", "a", "--records", "10", "--load",
                    "--operations", "10", "--quiet", "--json", "/dev/stdout"},
                   scratch_ / "bench");
  EXPECT_THAT(bench.out, HasSubstr("\"operations\""));
  EXPECT_EQ(bench.err, "");
}

TEST_F(Served, AKeyThatCannotBeOneIsBadUseWhateverItsValue) {
  const Finished put =
      testing::run({"/bin/sh", "-c", "head -c 10000 /dev/zero | exec \"$@\"", "put", SCALIO_PROGRAM,
                    "put", "--server", store_.unix_uri(), std::string(256, 'k'), "-"},
                   scratch_ / "put");
  EXPECT_EQ(put.status, kBadUse) << put.err;
  EXPECT_THAT(put.err, HasSubstr("256 bytes"));
}

TEST_F(Served, WhatFailsIsNamed) {
  for (const char* how : {"--json", "--trace", "--timeout=9"}) {
    const Finished get = run({"get", how, ""});
    EXPECT_EQ(get.status, kBadUse);
    EXPECT_THAT(get.err, HasSubstr("get '': invalid: a key of 0 bytes")) << how;
  }
}

TEST_F(Served, NumbersThatDoNotFitAreRefused) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"put", "k", "v", "--if-version", "18446744073709551616"},
        {"bench", "ycsb", "--workload", "a", "--operations", "99999999999999999999"},
        {"bench", "ycsb", "--workload", "a", "--seed", "-1"},
        {"bench", "ycsb", "--workload", "a", "-p", "readproportion=1e308", "-p",
         "updateproportion=1e308"}}) {
    const Finished refused = run(args);
    EXPECT_EQ(refused.status, kBadUse) << ::testing::PrintToString(args) << refused.err;
  }
}

TEST_F(Served, DeletesOfOneVersionOnly) {
  const nlohmann::json put = parsed(run({"put", "key", "value", "--json"}).out);
  const std::string version = std::to_string(put["version"].get<std::uint64_t>());
  const Finished refused = run({"delete", "key", "--if-version", "1"});
  EXPECT_EQ(refused.status, kFailure);
  EXPECT_THAT(refused.err, HasSubstr("the key's version is " + version));
  EXPECT_EQ(run({"get", "key"}).out, "value");
  EXPECT_EQ(run({"delete", "key", "--if-version", "0"}).status, kBadUse);
  EXPECT_EQ(run({"delete", "key", "--if-version", "-1"}).status, kBadUse);
  EXPECT_EQ(run({"delete", "key", "--if-version", version}).status, 0);
  EXPECT_EQ(run({"get", "key"}).status, 1);
  EXPECT_EQ(run({"delete", "key", "--if-version", version}).status, kFailure);
  EXPECT_EQ(run({"put", "key", "new", "--if-version", "0"}).status, 0);
  EXPECT_EQ(run({"put", "key", "newer", "--if-version", "0"}).status, kFailure);
}

TEST_F(Served, RecordsEndAndAreAddedTo) {
  EXPECT_EQ(run({"put", "key", "value", "--ttl", "1000"}).status, 0);
  const nlohmann::json got = parsed(run({"get", "key", "--json"}).out);
  EXPECT_GT(got["end_ms"].get<std::int64_t>(), 1'700'000'000'000);
  EXPECT_THAT(run({"scan", "--json"}).out, HasSubstr("end_ms"));
  EXPECT_EQ(run({"expire", "key", "--never", "--if-version", "1"}).status, kFailure);
  EXPECT_EQ(run({"expire", "key", "--never"}).status, 0);
  EXPECT_FALSE(parsed(run({"get", "key", "--json"}).out).contains("end_ms"));
  EXPECT_EQ(run({"expire", "key", "--expire-at", "4102444800"}).status, 0);
  EXPECT_EQ(parsed(run({"get", "key", "--json"}).out)["end_ms"], 4102444800000);
  EXPECT_EQ(run({"expire", "key", "--expire-at", "2100-01-01T00:00:01Z"}).status, 0);
  EXPECT_EQ(parsed(run({"get", "key", "--json"}).out)["end_ms"], 4102444801000);
  const Finished no_time = run({"expire", "key", "--expire-at", "tomorrow"});
  EXPECT_EQ(no_time.status, kBadUse);
  EXPECT_THAT(no_time.err, HasSubstr("2027-01-01"));
  EXPECT_EQ(run({"expire", "key", "--expire-at", "1"}).status, 0);
  EXPECT_EQ(run({"get", "key"}).status, 1);
  EXPECT_EQ(run({"expire", "key", "--ttl", "5"}).status, 1);
  EXPECT_EQ(run({"expire", "key"}).status, kBadUse);
  EXPECT_EQ(run({"put", "key", "v", "--ttl", "5", "--expire-at", "5"}).status, kBadUse);
  EXPECT_EQ(run({"put", "key", "v", "--ttl", "-5"}).status, kBadUse);

  EXPECT_EQ(run({"append", "log", "one "}).out, "4\n");
  EXPECT_EQ(run({"append", "log", "two"}).out, "7\n");
  EXPECT_EQ(run({"increment", "count"}).out, "1\n");
  const Finished less =
      scalio(scratch_, {"increment", "--server", store_.unix_uri(), "--", "count", "-3"});
  EXPECT_EQ(less.out, "-2\n") << less.err;
  EXPECT_EQ(run({"increment", "log"}).status, kFailure);
  EXPECT_EQ(run({"put", "most", "9223372036854775807"}).status, 0);
  EXPECT_EQ(run({"increment", "most"}).status, kFailure);
  EXPECT_EQ(run({"increment", std::string(256, 'k')}).status, kBadUse);
  EXPECT_EQ(run({"increment", "count", "x"}).status, kBadUse);
}

TEST_F(Served, ScansPrintEveryRecord) {
  ASSERT_EQ(run({"put", "user-1", "one"}).status, 0);
  ASSERT_EQ(run({"put", "user-2", "tab\tand \xff"}).status, 0);
  ASSERT_EQ(run({"put", "\xfe", "binary"}).status, 0);
  const auto lines = [](const std::string& text) {
    std::multiset<std::string> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) all.insert(line);
    return all;
  };
  EXPECT_THAT(lines(run({"scan"}).out),
              UnorderedElementsAre("user-1\tone", "user-2\ttab\\x09and \\xff", "\\xfe\tbinary"));
  EXPECT_THAT(lines(run({"scan", "--keys-only", "--prefix", "user-"}).out),
              UnorderedElementsAre("user-1", "user-2"));
  // Versions are what the store counts.
  const std::string json =
      std::regex_replace(run({"scan", "--json"}).out, std::regex(R"(,"version":[1-9]\d*\})"), "}");
  EXPECT_THAT(lines(json), UnorderedElementsAre(R"({"key":"user-1","value":"one"})",
                                                R"({"key":"user-2","value_base64":"dGFiCWFuZCD/"})",
                                                R"({"key_base64":"/g==","value":"binary"})"));
  EXPECT_EQ(run({"count"}).out, "3\n");
  EXPECT_EQ(run({"count", "--prefix", "user-", "--json"}).out, "{\"records\":2,\"bytes\":24}\n");
}

TEST_F(Served, WhatIsExportedIsImported) {
  ASSERT_EQ(run({"put", "kept", "old"}).status, 0);
  ASSERT_EQ(run({"put", "\xfe", "binary \xff"}).status, 0);
  const std::string archive = (scratch_ / "archive").string();
  const Finished exported = run({"export", archive, "--json"});
  EXPECT_EQ(exported.status, 0) << exported.err;
  EXPECT_EQ(parsed(exported.out)["records"], 2);
  const Finished again = run({"export", archive});
  EXPECT_EQ(again.status, kBadUse);
  EXPECT_THAT(again.err, HasSubstr("--resume"));
  EXPECT_EQ(run({"export", archive, "--resume"}).status, kBadUse) << "it is whole";
  // As a kill leaves it.
  std::filesystem::resize_file(archive, std::filesystem::file_size(archive) - 5);
  const Finished cut = run({"import", archive});
  EXPECT_EQ(cut.status, kFailure);
  EXPECT_THAT(cut.err, HasSubstr("interrupted"));
  EXPECT_EQ(run({"export", archive, "--resume"}).status, 0);

  ASSERT_EQ(run({"put", "kept", "new"}).status, 0);
  ASSERT_EQ(run({"delete", "\xfe"}).status, 0);
  EXPECT_EQ(run({"import", archive, "--if-absent"}).out, "1 records put, 1 skipped\n");
  EXPECT_EQ(run({"get", "kept"}).out, "new");
  EXPECT_EQ(run({"get", "\xfe"}).out, "binary \xff");
  EXPECT_EQ(run({"import", archive}).out, "2 records put, 0 skipped\n");
  EXPECT_EQ(run({"get", "kept"}).out, "old");

  const Finished piped = testing::run(
      {"/bin/sh", "-c", "\"$0\" export --server \"$1\" - | \"$0\" import --server \"$1\" -",
       SCALIO_PROGRAM, store_.unix_uri()},
      scratch_ / "piped");
  EXPECT_EQ(piped.out, "2 records put, 0 skipped\n") << piped.err;
  EXPECT_EQ(run({"import", (scratch_ / "none").string()}).status, kBadUse);
}

TEST_F(Served, AGetInJsonHasAnyBytes) {
  ASSERT_EQ(run({"put", "text", "one"}).status, 0);
  ASSERT_EQ(run({"put", "\xfe", "tab\tand \xff"}).status, 0);
  const nlohmann::json text = parsed(run({"get", "text", "--json"}).out);
  EXPECT_EQ(text["key"], "text");
  EXPECT_EQ(text["value"], "one");
  EXPECT_FALSE(text.contains("value_base64"));
  const nlohmann::json binary = parsed(run({"get", "\xfe", "--json"}).out);
  EXPECT_EQ(binary["key_base64"], "/g==");
  EXPECT_EQ(binary["value_base64"], "dGFiCWFuZCD/");
  EXPECT_EQ(binary["bytes"], 9);
  EXPECT_FALSE(binary.contains("key") || binary.contains("value"));
  EXPECT_EQ(parsed(run({"get", "\xfe", "--trace", "--json"}).out)["key_base64"], "/g==");
}

// Such as a script's variable that is not set.
TEST_F(Served, EmptyValuesAreNotTakenForNone) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"get", "k", "--ssd", ""},
        {"bench", "ycsb", "--workload", "a", "--operations", "0", "--json", ""},
        {"bench", "ycsb", "--workload", "a", "--operations", "0", "--history="},
        {"get", "k", "--ssd-access", ""}}) {
    const Finished refused = run(args);
    EXPECT_EQ(refused.status, kBadUse) << ::testing::PrintToString(args) << refused.err;
  }
  const Finished serve = scalio(scratch_, {"serve", "--dir", store_.dir(), "--cache", "4M",
                                           "--listen", "unix:/x", "--nvmf", ""});
  EXPECT_EQ(serve.status, kBadUse);
  EXPECT_THAT(serve.err, HasSubstr("--nvmf: the value is empty"));
  EXPECT_EQ(run({"put", "k", ""}).status, 0) << "a value may be empty";
}

TEST(Formatting, SaysHowSmallALogMayBe) {
  Scratch scratch("line");
  const Finished format = scalio(scratch, {"format", "--dir", (scratch / "store").string(),
                                           "--ssds", "1", "--ssd-size", "32M", "--log-size", "1"});
  EXPECT_EQ(format.status, kBadUse);
  EXPECT_THAT(format.err, HasSubstr("--log-size 1: a log has"));
}

TEST(Formatting, InterruptedLeavesNothing) {
  Scratch scratch("line");
  const std::filesystem::path dir = scratch / "above/store";
  Process format(
      {SCALIO_PROGRAM, "format", "--dir", dir.string(), "--ssds", "2", "--ssd-size", "512M"},
      scratch / "format");
  while (format.running() && !std::filesystem::exists(dir / "ssd-0")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  format.signal(SIGTERM);
  const auto exit = format.wait(std::chrono::seconds(60));
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 128 + SIGTERM) << format.err();
  EXPECT_FALSE(std::filesystem::exists(scratch / "above"));
}

}  // namespace
}  // namespace scalio::testing
