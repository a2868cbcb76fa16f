// What a program gets from who starts it: limits, descriptors, signals. Whatever is missing, it
// says so and ends.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <scalio/client.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "net/unique_fd.h"
#include "support/store.h"
#include "testing/sanitizer.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kFailure = 3;      // exit status
constexpr seconds kNoHang{60};   // far more than anything here takes
constexpr int kMostSteps = 400;  // of a sweep, which ends when the limit is large enough

class Environment : public ::testing::Test {
 protected:
  // The server, begun by a shell after `setup`; `redirect` stands behind its command.
  Process serve(const std::string& setup, const std::string& redirect = "") {
    std::vector<std::string> argv = {"/bin/bash", "-c", setup + " exec \"$@\" " + redirect,
                                     "serve"};
    for (std::string& argument : store_.serve_command()) argv.push_back(std::move(argument));
    return Process(argv, scratch_ / ("server-" + std::to_string(++starts_)));
  }
  static bool ready(const Process& server) {
    return server.out().find("ready\n") != std::string::npos;
  }
  // Waits until the server is ready (true) or has ended.
  static bool get_ready(Process& server) {
    const auto bound = std::chrono::steady_clock::now() + kNoHang;
    while (!ready(server) && server.running()) {
      if (std::chrono::steady_clock::now() > bound) {
        ADD_FAILURE() << "it neither gets ready nor ends:\n" << server.err();
        return false;
      }
      std::this_thread::sleep_for(milliseconds(2));
    }
    return ready(server);
  }
  // A client, once the server listens; null if it ends instead.
  std::unique_ptr<Client> connected(Process& server) {
    const auto bound = std::chrono::steady_clock::now() + kNoHang;
    while (server.running() && std::chrono::steady_clock::now() < bound) {
      auto client = Client::connect(store_.unix_uri());
      if (client.ok()) return *std::move(client);
    }
    return nullptr;
  }
  static void expect_clean_end(Process& server, int signal) {
    server.signal(signal);
    const std::optional<ProcessEnd> exit = server.wait(kNoHang);
    ASSERT_TRUE(exit) << "it does not stop:\n" << server.err();
    EXPECT_FALSE(exit->signaled) << "ended by signal " << exit->code;
    EXPECT_EQ(exit->code, 0) << server.err();
  }
  // Whether the loader can start the program at all.
  bool can_begin(const std::string& setup) {
    return run({"/bin/bash", "-c", setup + " exec " SCALIO_PROGRAM " --version"},
               scratch_ / "version")
               .status == 0;
  }
  // Starts the server under one limit after the other, until `enough` starts in a row have
  // succeeded: each start that fails gets further than the one before, and ends with a reason.
  template <class Limit>
  void sweep(int enough, Limit limit_of) {
    int failed = 0;
    for (int step = 0, succeeded = 0; succeeded < enough; ++step) {
      ASSERT_LT(step, kMostSteps) << "no limit sufficed";
      const std::string limit = limit_of(step);
      if (!can_begin(limit)) continue;
      SCOPED_TRACE(limit);
      Process server = serve(limit);
      if (get_ready(server)) {
        expect_clean_end(server, SIGTERM);
        ++succeeded;
        continue;
      }
      ASSERT_FALSE(HasFailure());
      ++failed;
      succeeded = 0;
      const ProcessEnd exit = *server.wait(milliseconds(0));
      ASSERT_FALSE(exit.signaled) << "ended by signal " << exit.code << ":\n" << server.err();
      ASSERT_EQ(exit.code, kFailure) << server.err();
      ASSERT_THAT(server.err(), HasSubstr("scalio: "));
    }
    EXPECT_GT(failed, 0) << "the first limit sufficed";
  }

  Scratch scratch_{"environment"};
  Store store_{scratch_, {.cache = "64M"}};
  int starts_ = 0;
};

TEST_F(Environment, TooFewDescriptorsEndTheStart) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs descriptors of its own";
  sweep(3, [](int step) { return "ulimit -n " + std::to_string(3 + step) + ";"; });
}

TEST_F(Environment, TooLittleMemoryEndsTheStart) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer cannot start under a limit on addresses";
  constexpr int kStepKib = 4 << 10;
  // Heaps of threads, which are large and may be refused, make it no question of more or less.
  sweep(20, [](int step) { return "ulimit -v " + std::to_string((step + 1) * kStepKib) + ";"; });
}

// A stack takes 1 GiB of addresses, so that it is threads that fail.
TEST_F(Environment, TooFewThreadsEndTheStart) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer cannot start under a limit on addresses";
  constexpr int kGib = 1 << 20;
  sweep(2, [](int step) {
    return "ulimit -s " + std::to_string(kGib) + "; ulimit -v " +
           std::to_string(step * kGib + kGib / 2) + ";";
  });
}

TEST_F(Environment, TheSoftLimitOnDescriptorsIsRaised) {
  Process server = serve("ulimit -Sn 64; ulimit -Hn 600;");
  ASSERT_TRUE(get_ready(server));
  EXPECT_THAT(read_file("/proc/" + std::to_string(server.pid()) + "/limits"),
              ContainsRegex("Max open files +600 +600 "));
  expect_clean_end(server, SIGTERM);
}

TEST_F(Environment, MoreClientsThanThereAreDescriptorsForAreRefused) {
  const std::string clients = "exec \"$0\" serve --max-clients 2000 --dir " + store_.dir() +
                              " --cache 64M --listen " + store_.unix_uri();
  const Finished server =
      run({"/bin/bash", "-c", "ulimit -n 600;" + clients, SCALIO_PROGRAM}, scratch_ / "refused");
  EXPECT_EQ(server.status, 2) << server.err;
  EXPECT_THAT(server.err, HasSubstr("2000 clients (--max-clients) need"));
  EXPECT_THAT(server.err, HasSubstr("may have 600 open"));
}

// Also where it is the target that the server starts which needs too many: the user has named no
// other number.
TEST_F(Environment, TheNumberOfClientsIsWhatIsSaidToBeTooHighOverTcpToo) {
  const auto refused = [&](int limit, int clients) {
    const std::string serve = "ulimit -n " + std::to_string(limit) +
                              "; exec \"$0\" serve --threads 1 --max-clients " +
                              std::to_string(clients) + " --dir " + store_.dir() +
                              " --cache 64M --listen tcp:127.0.0.1:0";
    const Finished server = run({"/bin/bash", "-c", serve, SCALIO_PROGRAM},
                                scratch_ / ("refused-" + std::to_string(limit)));
    EXPECT_NE(server.status, 0) << server.err;
    return server.err;
  };
  const std::string by_server = refused(300, 600);
  EXPECT_THAT(by_server, HasSubstr("600 clients (--max-clients) need"));
  EXPECT_THAT(by_server, Not(HasSubstr("--max-connections")));
  EXPECT_THAT(refused(1000, 600), HasSubstr("follow from --max-clients 600"));
}

// Else the first files that a program opens get their numbers: an SSD would be what it prints to.
TEST_F(Environment, ClosedStandardDescriptorsDoNoHarm) {
  for (const std::string closed : {"<&-", "2>&-", "1>&-", "<&- 1>&- 2>&-"}) {
    SCOPED_TRACE(closed);
    Process server = serve("", closed);
    std::unique_ptr<Client> client = connected(server);
    ASSERT_TRUE(client) << server.err();
    EXPECT_TRUE(client->run(client->put("key", closed)).ok());
    EXPECT_EQ(client->run(client->get("key"))->value, closed);
    client.reset();
    if (closed.find("1>") == std::string::npos) {
      ASSERT_TRUE(get_ready(server));
      expect_clean_end(server, SIGTERM);
    } else {
      server.kill();  // nobody can see when it is ready to be stopped
    }
    const std::vector<std::string> argv = {
        "/bin/bash", "-c", "exec \"$@\" " + closed, "get", SCALIO_PROGRAM, "check", store_.dir()};
    EXPECT_EQ(run(argv, scratch_ / "check").status, 0);
  }
}

// What systemd listens to, of a unit of Type=notify.
class ServiceManager {
 public:
  explicit ServiceManager(const std::filesystem::path& path) : path_(path) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    path.string().copy(at.sun_path, sizeof at.sun_path - 1);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    const timeval bound{kNoHang.count(), 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
  }
  std::string setup() const { return "export NOTIFY_SOCKET=" + path_.string() + ";"; }
  std::string told() const {
    std::array<char, 4096> text;
    ssize_t n;
    // A client's ring interrupts its thread.
    do n = ::recv(socket_.get(), text.data(), text.size(), 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? "nothing" : std::string(text.data(), static_cast<std::size_t>(n));
  }
  // Beyond how far the recovery is: an empty log is looked through as well.
  std::string told_in_the_end() const {
    std::string last;
    do last = told();
    while (last.starts_with("EXTEND_TIMEOUT_USEC="));
    return last;
  }

 private:
  const std::filesystem::path path_;
  const net::UniqueFd socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST_F(Environment, TheServiceManagerIsToldOfStartAndStop) {
  const ServiceManager manager(scratch_.sockets() / "notify");
  Process server = serve(manager.setup());
  EXPECT_THAT(manager.told_in_the_end(), ContainsRegex("^READY=1\nSTATUS=.*2 SSDs"));
  expect_clean_end(server, SIGTERM);
  EXPECT_THAT(manager.told(), HasSubstr("STOPPING=1\n"));
}

TEST_F(Environment, TheServiceManagerIsToldHowFarARecoveryIs) {
  Process before = serve("");
  ASSERT_TRUE(get_ready(before));
  {
    const auto client = connected(before);
    ASSERT_NE(client, nullptr);
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(client->run(client->put("key " + std::to_string(i), "value")).ok());
    }
  }
  before.kill();
  const ServiceManager manager(scratch_.sockets() / "notify");
  Process server = serve(manager.setup());
  EXPECT_THAT(manager.told(),
              ContainsRegex("^EXTEND_TIMEOUT_USEC=[0-9]+\nSTATUS=recovering the log, [0-9]+ %$"));
  EXPECT_THAT(manager.told_in_the_end(), HasSubstr("READY=1\n"));
  expect_clean_end(server, SIGTERM);
}

TEST_F(Environment, TheServiceManagerIsToldWhereAGatewayListens) {
  Process server = serve("");
  ASSERT_TRUE(get_ready(server));
  const ServiceManager manager(scratch_.sockets() / "notify");
  const std::string at = "unix:" + (scratch_.sockets() / "redis").string();
  Process gateway({"/bin/bash", "-c", manager.setup() + " exec \"$@\"", "redis", SCALIO_PROGRAM,
                   "redis", "--server", store_.unix_uri(), "--listen", at},
                  scratch_ / "gateway");
  EXPECT_EQ(manager.told(), "READY=1\nSTATUS=listening on " + at);
  expect_clean_end(gateway, SIGTERM);
  expect_clean_end(server, SIGTERM);
}

TEST_F(Environment, AHangupIsACleanStop) {
  Process server = serve("");
  ASSERT_TRUE(get_ready(server));
  expect_clean_end(server, SIGHUP);
  EXPECT_THAT(server.err(), HasSubstr("SIGHUP"));

  Process detached = serve("trap '' HUP;");  // as nohup does
  ASSERT_TRUE(get_ready(detached));
  detached.signal(SIGHUP);
  ASSERT_TRUE(connected(detached));
  expect_clean_end(detached, SIGTERM);
  EXPECT_THAT(detached.err(), Not(HasSubstr("SIGHUP")));
}

// Nobody reads what the server logs, and there is no more room for it.
TEST_F(Environment, AnErrorOutputThatNobodyReadsStopsNothing) {
  const std::string pipe = (scratch_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int filler = open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  ASSERT_GE(filler, 0);
  while (write(filler, "x", 1) == 1) {
  }
  Process server = serve("", "2>" + pipe);
  ASSERT_TRUE(get_ready(server));
  EXPECT_TRUE(connected(server));
  server.signal(SIGTERM);
  const auto exit = server.wait(kNoHang);
  ASSERT_TRUE(exit) << "it waits for room to log that it stops";
  EXPECT_EQ(exit->code, 0);
  close(filler);
  close(reader);
}

}  // namespace
}  // namespace scalio::testing
