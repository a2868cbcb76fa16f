// What the command line passes on from outside: names, keys, properties, in whatever bytes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support/store.h"

namespace scalio::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

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

}  // namespace
}  // namespace scalio::testing
