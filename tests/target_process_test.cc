// `scalio nvmf-target` as a program: what it says, when it ends, what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support/store.h"
#include "testing/lasting_port.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr milliseconds kBound{30'000};
constexpr int kSuccess = 0, kBadUse = 2, kFailure = 3;  // exit statuses

std::string make_file(const std::filesystem::path& path, std::uint64_t size) {
  std::ofstream(path).close();
  std::filesystem::resize_file(path, size);
  return path.string();
}

// Starts it by a shell, which gives it `input` as stdin. Its first line must come in time.
class Running {
 public:
  // `output`: its output's name in `scratch`, each used once.
  Running(const Scratch& scratch, const std::string& options,
          const std::string& input = "/dev/null", const std::string& output = "target",
          const std::string& listen = "127.0.0.1:0")
      : process_({"/bin/sh", "-c",
                  "exec " SCALIO_PROGRAM " nvmf-target --listen " + listen + " " + options + " <" +
                      input},
                 scratch / output) {}
  std::string first_line() {
    const auto until = std::chrono::steady_clock::now() + kBound;
    while (process_.out().find('\n') == std::string::npos &&
           std::chrono::steady_clock::now() < until && process_.running()) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    const std::string out = process_.out();
    return out.substr(0, out.find('\n'));
  }
  void expect_success() {
    const std::optional<ProcessEnd> exit = process_.wait(kBound);
    ASSERT_TRUE(exit) << "it does not end";
    EXPECT_FALSE(exit->signaled);
    EXPECT_EQ(exit->code, kSuccess) << process_.err();
  }
  Process& process() { return process_; }

 private:
  Process process_;
};

// A TCP connection to "tcp:127.0.0.1:PORT".
class Connected {
 public:
  explicit Connected(const std::string& uri) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(uri.substr(uri.rfind(':') + 1))));
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  ~Connected() { close(fd_); }
  Connected(const Connected&) = delete;
  Connected& operator=(const Connected&) = delete;

 private:
  const int fd_;
};

TEST(NvmfTarget, SaysWhereItListensAndStopsCleanly) {
  const Scratch scratch("nvmf-target-stops");
  const std::string file = make_file(scratch / "file", 1 << 20);
  Running plain(scratch, "--ns " + file);
  EXPECT_EQ(plain.first_line(), "ready");
  plain.process().signal(SIGTERM);
  plain.expect_success();

  const std::string nqn = "nqn.2014-08.org.example:files";
  Running target(scratch, "--json --nqn " + nqn + " --ns " + file, "/dev/null", "target-json");
  const nlohmann::json ready = nlohmann::json::parse(target.first_line(), nullptr, false);
  ASSERT_FALSE(ready.is_discarded());
  EXPECT_EQ(ready["ready"], true);
  EXPECT_EQ(ready["nqn"], nqn);
  EXPECT_EQ(ready["listen"].size(), 1U);
  EXPECT_THAT(ready["listen"][0].get<std::string>(), HasSubstr("tcp:127.0.0.1:"));
  EXPECT_EQ(ready["namespaces"][0]["nsid"], 1);
  EXPECT_EQ(ready["namespaces"][0]["path"], file);
  EXPECT_EQ(ready["namespaces"][0]["size_bytes"], 1 << 20);

  // The address is taken now.
  const std::string taken = ready["listen"][0];
  const Finished second = scalio(scratch, {"nvmf-target", "--listen", taken, "--ns", file});
  EXPECT_EQ(second.status, kFailure);
  EXPECT_THAT(second.err, HasSubstr("cannot listen at " + taken));
  target.process().signal(SIGINT);
  target.expect_success();
}

// The kernel frees a killed process's port a little later than the process.
TEST(NvmfTarget, StartsAtOnceAfterItWasKilled) {
  const Scratch scratch("nvmf-target-killed");
  const std::string file = make_file(scratch / "file", 1 << 20);
  const std::string listen = "127.0.0.1:" + std::to_string(lasting_port());
  for (int i = 0; i < 20; ++i) {
    Running target(scratch, "--json --ns " + file, "/dev/null", "target-" + std::to_string(i),
                   listen);
    const nlohmann::json ready = nlohmann::json::parse(target.first_line(), nullptr, false);
    ASSERT_FALSE(ready.is_discarded()) << i << ": " << target.process().err();
    const Connected host(listen);  // with nobody there the kernel is quicker
    target.process().kill();
  }
}

TEST(NvmfTarget, EndsWithWhoStartedIt) {
  const Scratch scratch("nvmf-target-orphan");
  const std::string file = make_file(scratch / "file", 1 << 20);
  const std::string pipe = scratch / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  Process parent({"/bin/sh", "-c", "exec sleep 1000 >" + pipe}, scratch / "parent");
  Running target(scratch, "--end-with-stdin --ns " + file, pipe);
  EXPECT_EQ(target.first_line(), "ready");
  parent.kill();
  target.expect_success();
}

// Without an exclusive lock, so that the store's server keeps its own.
TEST(NvmfTarget, RunsBesideTheServer) {
  const Scratch scratch("nvmf-target-beside");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  Running target(scratch, "--ns " + store.ssd(0).string() + " " + store.ssd(1).string());
  EXPECT_EQ(target.first_line(), "ready");
  EXPECT_TRUE(store.running());
  target.process().signal(SIGTERM);
  target.expect_success();
  store.stop();
}

TEST(NvmfTarget, IsOpenToANetworkIfToldToOrIfHostsProveWhoTheyAre) {
  const Scratch scratch("nvmf-target-open");
  const std::string file = make_file(scratch / "file", 1 << 20);
  const std::filesystem::path hosts = scratch / "hosts";
  std::ofstream(hosts) << "nqn.2014-08.org.example:a "
                          "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:\n";
  std::filesystem::permissions(hosts, std::filesystem::perms::owner_read);
  int number = 0;
  for (const std::string& option : {std::string("--insecure"), "--dhchap " + hosts.string()}) {
    Running target(scratch, "--ns " + file + " " + option, "/dev/null",
                   "open-" + std::to_string(++number), "0.0.0.0:0");
    EXPECT_EQ(target.first_line(), "ready") << option;
    target.process().signal(SIGTERM);
    target.expect_success();
  }
}

TEST(NvmfTarget, BadUse) {
  const Scratch scratch("nvmf-target-bad");
  const std::string file = make_file(scratch / "file", 1 << 20);
  const auto expect_refused = [&](std::vector<std::string> args, const std::string& why) {
    args.insert(args.begin(), "nvmf-target");
    const Finished f = scalio(scratch, args);
    EXPECT_EQ(f.status, kBadUse) << why;
    EXPECT_THAT(f.err, HasSubstr(why));
    EXPECT_EQ(f.out, "");
  };
  const std::string any = "127.0.0.1:0";
  expect_refused({"--listen", any}, "--ns is required");
  expect_refused({"--ns", file}, "--listen is required");
  expect_refused({"--listen", "127.0.0.1", "--ns", file}, "--listen takes HOST:PORT");
  expect_refused({"--listen", any, "--ns", scratch / "missing"}, "No such file");
  expect_refused({"--listen", any, "--ns", scratch.path().string()},
                 "neither a regular file nor a block device");
  expect_refused({"--listen", any, "--ns", make_file(scratch / "small", 100)},
                 "less than one block");
  expect_refused({"--listen", any, "--ns", make_file(scratch / "odd", 1'000'001)},
                 "no whole blocks");
  expect_refused({"--listen", any, "--ns", file, file}, "give each once");
  expect_refused({"--listen", any, "--ns", file, "--nqn", "files"}, "is not an NQN");
  expect_refused({"--listen", any, "--ns", file, "--allow-host", "me"}, "is not an NQN");
  for (const char* open : {"0.0.0.0:0", "[::]:0", "192.0.2.1:4420"}) {
    expect_refused({"--listen", open, "--ns", file}, "or say --insecure");
    expect_refused({"--listen", any, "--ns", file, "--metrics", open}, "or say --insecure");
  }
  // The name of a host is no proof.
  expect_refused({"--listen", "0.0.0.0:0", "--ns", file, "--allow-host",
                  "nqn.2014-08.org.nvmexpress:uuid:5b1a2e1c-44dc-4fd3-a351-7c9e1f2ad3a1"},
                 "or say --insecure");
  expect_refused(
      {"--listen", any, "--ns", file, "--metrics", "0", "--tls-cert", file, "--tls-key", file},
      "write tls: there");
  expect_refused({"--listen", any, "--ns", file, "--metrics", "tls:127.0.0.1:0"},
                 "--metrics tls: needs a certificate");
}

}  // namespace
}  // namespace scalio::testing
