// The SSDs that a server offers over NVMe/TCP, by a process that it starts: clients that know the
// server's address alone, and what happens when either process dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <scalio/client.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/process_identity.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr int kRecords = 40;

std::string key(int i) { return "key-" + std::to_string(i); }

bool soon(const std::function<bool()>& what) {
  for (int i = 0; i < 1000 && !what(); ++i) std::this_thread::sleep_for(milliseconds(20));
  return what();
}

class OfferedSsds : public ::testing::Test {
 protected:
  // Records that are in their buckets and not in the cache.
  void fill(Store& store) {
    ASSERT_TRUE(store.start());
    auto client = Client::connect(store.unix_uri());
    ASSERT_TRUE(client.ok()) << client.status().to_string();
    for (int i = 0; i < kRecords; ++i)
      ASSERT_TRUE((*client)->run((*client)->put(key(i), "value")).ok());
    client->reset();
    store.stop();
    ASSERT_TRUE(store.start());
  }

  // The target's process.
  static pid_t target_of(const Store& store) {
    const std::string tasks = "/proc/" + std::to_string(store.pid()) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      std::ifstream children(task.path() / "children");
      if (pid_t child = 0; children >> child) return child;
    }
    return 0;
  }

  Scratch scratch_{"offered"};
};

TEST_F(OfferedSsds, AreAllThatATcpClientNeeds) {
  Store store(scratch_, {});
  ASSERT_NO_FATAL_FAILURE(fill(store));
  auto client = Client::connect(store.tcp_uri());
  ASSERT_TRUE(client.ok()) << client.status().to_string();
  for (int i = 0; i < kRecords; ++i) {
    auto got = (*client)->run((*client)->get(key(i)));
    ASSERT_TRUE(got.ok()) << got.status().to_string();
    EXPECT_EQ(got->value, "value");
  }
  EXPECT_EQ((*client)->counters().misses, static_cast<unsigned>(kRecords));
  auto stat = (*client)->run((*client)->stat());
  ASSERT_TRUE(stat.ok());
  EXPECT_GT(nlohmann::json::parse(*stat)["target_cpu_us"], 0);
}

// So that it waits as the server's own threads do.
TEST_F(OfferedSsds, AreOfferedByATargetThatSpinsAsTheServer) {
  Store store(scratch_, {.serve = {"--spin", "200"}});
  ASSERT_NO_FATAL_FAILURE(fill(store));
  std::ifstream command("/proc/" + std::to_string(target_of(store)) + "/cmdline");
  std::string argument;
  while (std::getline(command, argument, '\0') && argument != "--spin") {
  }
  std::getline(command, argument, '\0');
  EXPECT_EQ(argument, "200");
  ClientOptions spinning;
  spinning.spin = std::chrono::microseconds(200);
  auto client = Client::connect(store.tcp_uri(), spinning);
  ASSERT_TRUE(client.ok()) << client.status().to_string();
  for (int i = 0; i < kRecords; ++i) {
    auto got = (*client)->run((*client)->get(key(i)));
    ASSERT_TRUE(got.ok()) << got.status().to_string();
    EXPECT_EQ(got->value, "value");
  }
}

TEST_F(OfferedSsds, AreLeftByAnOrderlyShutdown) {
  Store store(scratch_, {.serve = {"--log-level", "debug"}});
  ASSERT_NO_FATAL_FAILURE(fill(store));
  auto client = Client::connect(store.tcp_uri());
  ASSERT_TRUE(client.ok()) << client.status().to_string();
  ASSERT_TRUE((*client)->run((*client)->get(key(0))).ok());
  client->reset();
  EXPECT_THAT(store.log(), HasSubstr("shut down by its host"));
}

// However "every address" is spelled, a client looks for them at the address where it found the
// server.
TEST_F(OfferedSsds, AreWhereTheServerIs) {
  Store store(scratch_, {.serve = {"--nvmf-target", "tcp:0:1"}});
  ASSERT_TRUE(store.start());
  const Finished got =
      scalio(scratch_, {"get", "--server", store.tcp_uri(), "--ssd-access", "nvmf", key(3)});
  EXPECT_NE(got.status, 0);
  EXPECT_THAT(got.err, HasSubstr("tcp:127.0.0.1:1"));
}

// Before the store is touched; a port that was asked for is the one that is named.
TEST_F(OfferedSsds, AndTheServerNeedAddressesOfThisMachine) {
  Store store(scratch_, {});
  const auto expect_refused = [&](const std::string& listen, std::vector<std::string> more,
                                  const std::string& why) {
    std::vector<std::string> args = {"serve", "--dir",    store.dir(), "--cache",
                                     "4M",    "--listen", listen};
    args.insert(args.end(), more.begin(), more.end());
    const Finished served = scalio(scratch_, args);
    EXPECT_NE(served.status, 0);
    EXPECT_THAT(served.err, HasSubstr(why));
    EXPECT_FALSE(std::filesystem::exists(store.dir() + "/epoch")) << "it was opened";
  };
  expect_refused("tcp:192.0.2.1:7000", {"--insecure"}, "cannot listen at tcp:192.0.2.1:7000");
  expect_refused("unix:/missing/directory/socket", {},
                 "cannot listen at /missing/directory/socket");
  expect_refused(store.tcp_uri(), {"--insecure", "--nvmf", "192.0.2.1:4420"},
                 "cannot listen at tcp:192.0.2.1:4420");
}

// Before anything is touched, too.
TEST_F(OfferedSsds, AndTheServerAreOpenToANetworkOnlyIfToldTo) {
  Store store(scratch_, {});
  for (const char* address : {"tcp:0.0.0.0:0", "tcp:[::]:0", "tcp:0:0", "tcp:192.0.2.1:7000",
                              "rdma:192.0.2.1:7000", "tls:0.0.0.0:0"}) {
    const Finished served = scalio(scratch_, {"serve", "--dir", store.dir(), "--cache", "4M",
                                              "--listen", store.unix_uri(), "--listen", address});
    EXPECT_NE(served.status, 0);
    EXPECT_THAT(served.err, HasSubstr("or say --insecure")) << address;
    EXPECT_FALSE(std::filesystem::exists(store.dir() + "/epoch")) << "it was opened";
  }
  // Whoever asks who may use the server: SSDs and metrics have no users.
  for (const char* option : {"--nvmf", "--metrics"}) {
    for (const char* address : {"0.0.0.0:0", "[::]:0", "192.0.2.1:4420"}) {
      const Finished served = scalio(scratch_, {"serve", "--dir", store.dir(), "--cache", "4M",
                                                "--listen", store.unix_uri(), option, address});
      EXPECT_EQ(served.status, 2) << option << ' ' << address;
      EXPECT_THAT(served.err, HasSubstr("or say --insecure")) << option << ' ' << address;
      EXPECT_FALSE(std::filesystem::exists(store.dir() + "/epoch")) << "it was opened";
    }
  }
  const Scratch scratch("open");
  Store open(scratch, {.serve = {"--insecure", "--listen", "tcp:0.0.0.0:0", "--nvmf", "0.0.0.0:0",
                                 "--metrics", "0.0.0.0:0"}});
  EXPECT_TRUE(open.start());
}

TEST_F(OfferedSsds, CanBeChosenOnTheServersMachine) {
  Store store(scratch_, {});
  ASSERT_NO_FATAL_FAILURE(fill(store));
  for (const char* access : {"direct", "nvmf"}) {
    const Finished got =
        scalio(scratch_, {"get", "--server", store.unix_uri(), "--ssd-access", access, key(3)});
    EXPECT_EQ(got.status, 0) << got.err;
    EXPECT_EQ(got.out, "value");
  }
}

TEST_F(OfferedSsds, AreNotIfTheServerIsToldNotTo) {
  Store store(scratch_, {.serve = {"--nvmf", "none"}});
  ASSERT_NO_FATAL_FAILURE(fill(store));
  EXPECT_EQ(target_of(store), 0);
  const Finished got =
      scalio(scratch_, {"get", "--server", store.tcp_uri(), "--ssd-access", "nvmf", key(3)});
  EXPECT_EQ(got.status, 2);
  EXPECT_THAT(got.err, HasSubstr("offers its SSDs over no NVMe-oF target"));
}

// To hosts that prove who they are. The commands read the record from the SSDs.
class OfferedSsdsWithSecrets : public OfferedSsds {
 protected:
  static constexpr const char* kHost = "nqn.2014-08.org.example:host ";
  static constexpr const char* kSecret =
      "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:";
  static constexpr const char* kOtherSecret =
      "DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";

  std::string file(const std::string& name, const std::string& line, mode_t mode = S_IRUSR) {
    std::string path = (scratch_ / name).string();
    std::ofstream(path) << line << "\n";
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  Finished get(const Store& store, const std::vector<std::string>& options = {}) {
    std::vector<std::string> args = {"get",          "--server", store.tcp_uri(),
                                     "--ssd-access", "nvmf",     key(3)};
    args.insert(args.end(), options.begin(), options.end());
    return scalio(scratch_, args);
  }
};

TEST_F(OfferedSsdsWithSecrets, AreForWhoKnowsOne) {
  const std::string hosts =
      file("hosts", std::string(kHost) + kSecret + " " + kOtherSecret + "\n# and no other");
  Store store(scratch_, {.serve = {"--nvmf-dhchap", hosts}});
  ASSERT_NO_FATAL_FAILURE(fill(store));
  const Finished none = get(store);
  EXPECT_NE(none.status, 0);
  EXPECT_THAT(none.err, HasSubstr("refuses host"));
  const std::string wrong = file("wrong", std::string(kHost) + kOtherSecret);
  const Finished other = get(store, {"--nvmf-dhchap", wrong});
  EXPECT_NE(other.status, 0);
  EXPECT_THAT(other.err, HasSubstr("authentication failed"));
  for (const std::string& line :
       {std::string(kHost) + kSecret, std::string(kHost) + kSecret + " " + kOtherSecret}) {
    const Finished got = get(store, {"--nvmf-dhchap", file("own", line, S_IRUSR | S_IWUSR)});
    EXPECT_EQ(got.status, 0) << got.err;
    EXPECT_EQ(got.out, "value");
  }
  const std::string mistaken = file("mistaken", std::string(kHost) + kSecret + " " + kSecret);
  const Finished doubted = get(store, {"--nvmf-dhchap", mistaken});
  EXPECT_NE(doubted.status, 0);
  EXPECT_THAT(doubted.err, HasSubstr("its secret is another"));
}

TEST_F(OfferedSsdsWithSecrets, AreNotWithoutATargetOrARightFile) {
  Store store(scratch_, {});
  const auto refused = [&](std::vector<std::string> more) {
    std::vector<std::string> args = {"serve", "--dir",    store.dir(),     "--cache",
                                     "4M",    "--listen", store.tcp_uri(), "--nvmf-dhchap"};
    args.insert(args.end(), more.begin(), more.end());
    const Finished served = scalio(scratch_, args);
    EXPECT_NE(served.status, 0);
    EXPECT_FALSE(std::filesystem::exists(store.dir() + "/epoch")) << "it was opened";
    return served.err;
  };
  const std::string good = file("good", std::string(kHost) + kSecret);
  EXPECT_THAT(refused({good, "--nvmf", "none"}), HasSubstr("no NVMe/TCP target is started"));
  EXPECT_THAT(refused({good, "--nvmf-target", "tcp:127.0.0.1:4420"}),
              HasSubstr("no NVMe/TCP target is started"));
  EXPECT_THAT(refused({file("open", std::string(kHost) + kSecret, S_IRUSR | S_IROTH)}),
              HasSubstr("chmod o="));
  EXPECT_THAT(refused({file("bad", std::string(kHost) + "secret")}), HasSubstr("line 1: "));
  EXPECT_THAT(refused({(scratch_ / "missing").string()}), HasSubstr("cannot read"));
}

// A client that has read from the target, before something happens.
class OfferedSsdsInUse : public OfferedSsds {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(fill(store_));
    auto client = Client::connect(store_.tcp_uri());
    ASSERT_TRUE(client.ok()) << client.status().to_string();
    client_ = *std::move(client);
    ASSERT_TRUE(get(0));
    target_ = target_of(store_);
    ASSERT_GT(target_, 0);
  }
  bool get(int i) { return client_->run(client_->get(key(i))).ok(); }

  Store store_{scratch_, {}};
  std::unique_ptr<Client> client_;
  pid_t target_ = 0;
};

TEST_F(OfferedSsdsInUse, AreOfferedAgainWhenTheTargetDies) {
  ASSERT_EQ(kill(target_, SIGKILL), 0);
  EXPECT_TRUE(get(0)) << "a hit needs no SSD";
  EXPECT_TRUE(soon([&] { return get(1); }));
  EXPECT_NE(target_of(store_), target_);
  EXPECT_THAT(store_.log(), HasSubstr("target has ended with signal 9"));
}

// It has taken their commands when it dies: the device fails these, and they are done again.
TEST_F(OfferedSsdsInUse, GetsUnderWayWhenTheTargetDiesWaitForTheNext) {
  ASSERT_EQ(kill(target_, SIGSTOP), 0);
  std::thread killer([this] {
    std::this_thread::sleep_for(milliseconds(300));
    kill(target_, SIGKILL);
  });
  std::vector<std::string> names;
  for (int i = 1; i <= 20; ++i) names.push_back(key(i));
  const std::vector<std::string_view> keys(names.begin(), names.end());
  const auto found = client_->run(client_->multi_get(keys));
  killer.join();
  ASSERT_EQ(found.size(), keys.size());
  for (const Result<Record>& r : found) EXPECT_TRUE(r.ok()) << r.status().to_string();
}

// The next server's target has another port, which clients learn when they connect again.
TEST_F(OfferedSsdsInUse, AreFoundAgainWhenTheServerIsRestarted) {
  const ProcessIdentity old_target = identity_of(static_cast<std::uint64_t>(target_));
  store_.kill();
  // It sees its standard input end.
  EXPECT_TRUE(wait_for_end(old_target, std::chrono::seconds(20)).ok());
  ASSERT_TRUE(store_.start());
  EXPECT_TRUE(soon([&] { return get(1); }));
  client_.reset();
  store_.stop();
}

// A client on the server's machine has the files open. A store that was put back from a copy is
// other files of the same names, and what the old ones hold must not get into the new server's
// cache.
TEST_F(OfferedSsds, AreReadWhereTheRestartedServerHasThem) {
  Store store(scratch_, {});
  ASSERT_NO_FATAL_FAILURE(fill(store));
  auto client = Client::connect(store.unix_uri());
  ASSERT_TRUE(client.ok());
  // On both SSDs.
  for (int i = 0; i < kRecords / 2; ++i) ASSERT_TRUE((*client)->run((*client)->get(key(i))).ok());
  store.stop();
  for (int i = 0; i < 2; ++i) {
    const std::filesystem::path copy = store.ssd(i).string() + ".copy";
    std::filesystem::copy_file(store.ssd(i), copy);
    std::filesystem::rename(copy, store.ssd(i));
  }
  ASSERT_TRUE(store.start());
  for (int i = 0; i < kRecords; ++i) {
    const Finished put = scalio(scratch_, {"put", "--server", store.unix_uri(), key(i), "newer"});
    ASSERT_EQ(put.status, 0) << put.err;
  }
  // Now it is in the buckets, and no longer in the cache.
  store.stop();
  ASSERT_TRUE(store.start());
  for (int i = 0; i < kRecords; ++i) {
    auto got = (*client)->run((*client)->get(key(i)));
    ASSERT_TRUE(got.ok()) << got.status().to_string();
    EXPECT_EQ(got->value, "newer");
  }
}

}  // namespace
}  // namespace scalio::testing
