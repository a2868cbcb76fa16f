// Programs where io_uring is forbidden or missing, by a filter like those of containers: they work,
// and say once that they do without it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/store.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr seconds kNoHang{60};

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// By the way in which it is kept from them (without_io_uring.cc).
class NoIoUring : public ::testing::TestWithParam<const char*> {
 protected:
  std::vector<std::string> without(std::vector<std::string> command) const {
    std::vector<std::string> argv = {SCALIO_WITHOUT_IO_URING, GetParam()};
    argv.insert(argv.end(), command.begin(), command.end());
    return argv;
  }
  // `scalio ARGS...`, kept from io_uring.
  Finished scalio_without(std::vector<std::string> args) {
    args.insert(args.begin(), SCALIO_PROGRAM);
    return run(without(args), scratch_ / ("without-" + std::to_string(++runs_)));
  }
  static void expect_told_once(const std::string& text) {
    EXPECT_EQ(count_of(text, "poll() and threads"), 1u) << text;
    EXPECT_THAT(text, HasSubstr("seccomp"));
  }

  Scratch scratch_{"no-io-uring"};
  Store store_{scratch_, {}};
  int runs_ = 0;
};

TEST_P(NoIoUring, ClientsWorkAndSayItOnce) {
  ASSERT_TRUE(store_.start());
  for (const std::string& uri : {store_.unix_uri(), store_.tcp_uri()}) {
    const Finished put = scalio_without({"put", "--server", uri, "key", "value of " + uri});
    EXPECT_EQ(put.status, 0) << put.err;
    expect_told_once(put.err);
    const Finished got = scalio_without({"get", "--server", uri, "key"});
    EXPECT_EQ(got.status, 0) << got.err;
    EXPECT_EQ(got.out, "value of " + uri);
    // Four threads, each with a client, and reads of the SSDs, which a cache of this size is not
    // enough for. A thousand PUTs are under way in the load: on a slow disk that takes its time.
    const Finished bench = scalio_without(
        {"bench", "ycsb", "--server", uri, "--timeout", "60", "--workload", "a", "--load",
         "--records", "20000", "--operations", "4000", "--threads", "4", "--depth", "16"});
    EXPECT_EQ(bench.status, 0) << bench.err;
    EXPECT_THAT(bench.out, ContainsRegex("SSD reads / GET miss +[0-9]"));
    expect_told_once(bench.err);
    const Finished count = scalio_without({"count", "--server", uri});
    EXPECT_EQ(count.status, 0) << count.err;
    EXPECT_THAT(count.out, HasSubstr("20001"));
  }
}

TEST_P(NoIoUring, AServerServesAndRecoversWithoutIt) {
  for (int start = 1; start <= 2; ++start) {
    Process server(without(store_.serve_command()),
                   scratch_ / ("server-without-" + std::to_string(start)));
    const auto bound = std::chrono::steady_clock::now() + kNoHang;
    while (server.out().find("ready\n") == std::string::npos) {
      ASSERT_TRUE(server.running()) << server.err();
      ASSERT_LT(std::chrono::steady_clock::now(), bound) << server.err();
      std::this_thread::sleep_for(milliseconds(2));
    }
    expect_told_once(server.err());
    if (start == 2) {
      const Finished got = scalio(scratch_, {"get", "--server", store_.tcp_uri(), "key"});
      EXPECT_EQ(got.out, "value") << got.err;
      EXPECT_THAT(got.err, Not(HasSubstr("io_uring")));
    }
    EXPECT_EQ(scalio(scratch_, {"put", "--server", store_.unix_uri(), "key", "value"}).status, 0);
    server.kill();
  }
  const Finished check = scalio_without({"check", store_.dir()});
  EXPECT_EQ(check.status, 0) << check.out << check.err;
}

TEST_P(NoIoUring, TheDoctorSaysWhatIsUsed) {
  const Finished with = scalio(scratch_, {"doctor"});
  EXPECT_THAT(with.out, HasSubstr("used for SSDs and sockets"));
  const Finished without = scalio_without({"doctor", store_.dir()});
  EXPECT_EQ(without.status, 0) << without.out;
  EXPECT_THAT(without.out, HasSubstr("poll() and threads are used"));
  EXPECT_THAT(without.out, HasSubstr("seccomp profile"));
}

INSTANTIATE_TEST_SUITE_P(All, NoIoUring, ::testing::Values("setup", "missing", "enter"),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace scalio::testing
