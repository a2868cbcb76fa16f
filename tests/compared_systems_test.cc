// The compared systems as programs: scalio-eval serve and scalio-eval ycsb.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>

#include "eval/kv_session.h"
#include "support/process.h"
#include "support/scratch.h"

namespace scalio::testing {
namespace {

using eval::KvSession;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr seconds kBound{60};

std::string test_name(const std::string& text) {
  std::string name = text;
  std::ranges::replace(name, '-', '_');
  return name;
}

// A system on two files, served on a Unix socket and a TCP port.
class ServedSystem {
 public:
  explicit ServedSystem(std::string system)
      : system_(std::move(system)), scratch_("systems-" + system_) {}
  ~ServedSystem() {
    if (server_) server_->kill();
  }

  // Nothing if it is ready, or else why it is not.
  std::string start(bool format) {
    std::vector<std::string> words = {
        SCALIO_EVAL_PROGRAM, "serve",    "--system",  system_,          "--dir",
        path("store"),       "--cache",  "4M",        "--ssd",          path("ssd-0"),
        path("ssd-1"),       "--listen", uri("unix"), "tcp:127.0.0.1:0"};
    if (format) words.insert(words.end(), {"--format", "--ssd-size", "16M", "--records", "2000"});
    server_ = std::make_unique<Process>(words, scratch_ / ("server-" + std::to_string(++starts_)));
    const auto bound = std::chrono::steady_clock::now() + kBound;
    while (server_->out().find("ready") == std::string::npos) {
      if (!server_->running() || std::chrono::steady_clock::now() > bound) return server_->err();
      std::this_thread::sleep_for(milliseconds(5));
    }
    return "";
  }
  void stop() {
    server_->signal(SIGTERM);
    const std::optional<ProcessEnd> end = server_->wait(kBound);
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(to_string(*end), "exit status 0") << server_->err();
  }
  void kill() { server_->kill(); }

  const std::string& system() const { return system_; }
  std::string uri(const std::string& scheme) const {
    if (scheme == "unix") return "unix:" + (scratch_.sockets() / "s").string();
    // The port that the kernel picked, after what the target of the SSDs listens on.
    const std::string log = server_->err();
    std::size_t at = log.rfind("listening on tcp:127.0.0.1:");
    EXPECT_NE(at, std::string::npos) << log;
    at += std::string_view("listening on ").size();
    return log.substr(at, log.find('\n', at) - at);
  }
  Finished ycsb(const std::string& system, const std::string& scheme,
                const std::vector<std::string>& more) {
    std::vector<std::string> words = {SCALIO_EVAL_PROGRAM, "ycsb",      "--system",  system,
                                      "--server",          uri(scheme), "--records", "300",
                                      "--quiet",           "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words, scratch_ / ("ycsb-" + std::to_string(++runs_)), kBound);
  }

 private:
  std::string path(const std::string& name) const { return (scratch_ / name).string(); }

  const std::string system_;
  Scratch scratch_;
  int starts_ = 0;
  int runs_ = 0;
  std::unique_ptr<Process> server_;
};

class ComparedSystem : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    const std::string why = served_.start(/*format=*/true);
    if (why.find("blocks of 512") != std::string::npos) GTEST_SKIP() << why;
    ASSERT_EQ(why, "");
  }
  std::string scheme() const { return std::get<1>(GetParam()); }
  std::unique_ptr<KvSession> connect() {
    auto session = eval::connect(*eval::find_system(served_.system()), served_.uri(scheme()), {});
    EXPECT_TRUE(session.ok()) << session.status().to_string();
    return session.ok() ? *std::move(session) : nullptr;
  }

  ServedSystem served_{std::get<0>(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(, ComparedSystem,
                         ::testing::Combine(::testing::ValuesIn(eval::system_names()),
                                            ::testing::Values("unix", "tcp")),
                         [](const auto& p) {
                           return test_name(std::get<0>(p.param)) + "_" + std::get<1>(p.param);
                         });

TEST_P(ComparedSystem, RunsEveryWorkloadWithoutAnError) {
  const Finished loaded =
      served_.ycsb(served_.system(), scheme(), {"--workload", "c", "--load", "--operations", "0"});
  ASSERT_EQ(loaded.status, 0) << loaded.err;
  for (const char* workload : {"a", "b", "c", "d", "f"}) {
    const Finished done =
        served_.ycsb(served_.system(), scheme(),
                     {"--workload", workload, "--operations", "300", "--threads", "2"});
    ASSERT_EQ(done.status, 0) << workload << ": " << done.err;
    const nlohmann::json point = nlohmann::json::parse(done.out);
    EXPECT_EQ(point["system"], served_.system());
    EXPECT_EQ(point["workload"], workload);
    EXPECT_EQ(point["operations"], 300);
    EXPECT_EQ(point["errors"], 0);
    EXPECT_EQ(point["ssds"], 2);
    EXPECT_EQ(point["simulated"], false);
    for (const char* known : {"throughput", "p99_us", "server_cpu_us_per_op", "ssd_reads_per_s"}) {
      EXPECT_TRUE(point[known].is_number()) << known;
    }
    if (served_.system() == "leed") {
      EXPECT_GT(point["ssd_reads_per_s"], 0);
    }
  }
}

std::string key_of(int i) { return "key-" + std::to_string(i); }
std::string value_of(int i) { return "value " + std::to_string(i); }

Task<void> put_one(baseline::KvClient& client, int i) {
  const std::string key = key_of(i);
  const std::string old = "an older value";
  const std::string value = value_of(i);
  Status put = co_await client.put(key, old);
  EXPECT_TRUE(put.ok()) << put.to_string();
  put = co_await client.put(key, value);
  EXPECT_TRUE(put.ok()) << put.to_string();
  if (i % 5 != 0) co_return;
  put = co_await client.remove(key);
  EXPECT_TRUE(put.ok()) << put.to_string();
}
Task<void> get_one(baseline::KvClient& client, int i) {
  const std::string key = key_of(i);
  const Result<std::string> got = co_await client.get(key);
  if (i % 5 == 0) {
    EXPECT_EQ(got.code(), Code::not_found) << key;
    co_return;
  }
  EXPECT_TRUE(got.ok()) << key << ": " << got.status().to_string();
  if (got.ok()) {
    EXPECT_EQ(*got, value_of(i));
  }
}

template <class One>
void for_all(KvSession& session, One one) {
  std::vector<Task<void>> tasks;
  for (int i = 0; i < 200; ++i) tasks.push_back(one(session.client(), i));
  session.run(std::move(tasks));
}

TEST_P(ComparedSystem, WhatWasAcknowledgedIsReadBackAlsoAfterARestart) {
  std::unique_ptr<KvSession> writer = connect();
  ASSERT_NE(writer, nullptr);
  for_all(*writer, put_one);
  for_all(*writer, get_one);
  std::unique_ptr<KvSession> reader = connect();
  ASSERT_NE(reader, nullptr);
  for_all(*reader, get_one);
  writer.reset();
  reader.reset();
  served_.stop();
  ASSERT_EQ(served_.start(/*format=*/false), "");
  reader = connect();
  ASSERT_NE(reader, nullptr);
  for_all(*reader, get_one);
}

// Of each system one test more, over unix: alone.
class OneOfTheSystems : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string why = served_.start(/*format=*/true);
    if (why.find("blocks of 512") != std::string::npos) GTEST_SKIP() << why;
    ASSERT_EQ(why, "");
  }
  ServedSystem served_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(, OneOfTheSystems, ::testing::ValuesIn(eval::system_names()),
                         [](const auto& p) { return test_name(p.param); });

TEST_P(OneOfTheSystems, RefusesClientsOfTheOthersAndEndsRunsWhenItIsGone) {
  for (const std::string& other : eval::system_names()) {
    if (other == GetParam()) continue;
    const Finished refused = served_.ycsb(other, "unix", {"--workload", "c"});
    EXPECT_THAT(refused.status, ::testing::AnyOf(2, 3)) << other << ": " << refused.out;
    EXPECT_THAT(refused.err, HasSubstr(served_.uri("unix"))) << other;
  }
  std::thread killer([this] {
    std::this_thread::sleep_for(seconds(1));
    served_.kill();
  });
  const Finished lost =
      served_.ycsb(GetParam(), "unix", {"--workload", "a", "--load", "--operations", "100000000"});
  killer.join();
  EXPECT_EQ(lost.status, 3) << lost.err;
  EXPECT_THAT(lost.err, HasSubstr("stopped early")) << lost.out;
  const Finished nobody = served_.ycsb(GetParam(), "unix", {"--workload", "a"});
  EXPECT_EQ(nobody.status, 3);
  EXPECT_THAT(nobody.err, HasSubstr("cannot connect"));
}

}  // namespace
}  // namespace scalio::testing
