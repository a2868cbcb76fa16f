// What a write takes from the heap. In this program alone the C library's allocation functions
// count their calls, by thread; operator new is one of their callers.
#include <gtest/gtest.h>
#include <scalio/client.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/random.h"
#include "server/server.h"
#include "store/format_store.h"
#include "support/scratch.h"
#include "testing/sanitizer.h"

namespace {
std::atomic<std::uint64_t> by_all{0};
thread_local std::uint64_t by_this_thread = 0;
}  // namespace

// A sanitizer has these functions for itself.
#if !defined(SCALIO_SANITIZES_ADDRESSES) && !defined(SCALIO_SANITIZES_THREADS)
namespace {
void count_call() {
  by_all.fetch_add(1, std::memory_order_relaxed);
  ++by_this_thread;
}
}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  count_call();
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) {
  count_call();
  return __libc_calloc(n, size);
}
void* realloc(void* memory, std::size_t size) {
  count_call();
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count_call();
  return __libc_memalign(alignment, size);
}
}
#endif

namespace scalio::testing {
namespace {

constexpr std::uint64_t kRecords = 3000;
constexpr unsigned kDepth = 32;

// A store in this process, with few write slots for its records, so that most PUTs are merged, and
// a log that is gone around several times.
class AllocationsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "sanitizers have an allocator of their own";
    storage::FormatOptions format;
    format.dir = (scratch_ / "store").string();
    format.ssds = 1;
    format.ssd_size = 16 << 20;
    format.log_size = 4 << 20;
    const auto made = storage::format_store(format, [](double) {});
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    server::ServerOptions options;
    options.dir = format.dir;
    options.cache_bytes = 1 << 20;
    options.listen = {"unix:" + (scratch_.sockets() / "s").string()};
    auto server = server::Server::start(options);
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = *std::move(server);
    auto client = Client::connect(server_->addresses().front());
    ASSERT_TRUE(client.ok()) << client.status().to_string();
    client_ = *std::move(client);
    // Until pools and rings have the size that the load needs.
    put(40'000);
  }

  // So many PUTs of any record, kDepth in flight.
  void put(std::uint64_t puts) {
    left_ = puts;
    for (unsigned i = 0; i < kDepth; ++i) client_->spawn(put_on(*this));
    client_->wait_all();
  }
  static Task<void> put_on(AllocationsTest& test) {
    std::array<char, 16> key;
    while (test.left_ > 0) {
      --test.left_;
      std::uint64_t record = test.random_.below(kRecords);
      key.fill('0');
      for (std::size_t i = key.size(); record > 0; record /= 10) {
        key[--i] = static_cast<char>('0' + record % 10);
      }
      const Result<std::uint64_t> put =
          co_await test.client_->put({key.data(), key.size()}, kValue);
      if (!put.ok()) ADD_FAILURE() << put.status().to_string();
    }
  }

  static constexpr std::string_view kValue =
      "sixty-four bytes, as the values of the benchmarks' records have.";
  Scratch scratch_{"allocations"};
  std::unique_ptr<server::Server> server_;
  std::unique_ptr<Client> client_;
  Random random_{1};
  std::uint64_t left_ = 0;
};

TEST_F(AllocationsTest, APutTakesNothingFromTheHeapInASteadyState) {
  constexpr std::uint64_t kPuts = 20'000;
  // Timers take some. And pools grow when more merges are under way than ever before, as the
  // scheduler has it; but they keep what they have, so that a round comes in which they do not.
  constexpr std::uint64_t kFew = kPuts / 100;
  constexpr int kRounds = 10;
  std::uint64_t by_client = 0, by_server = 0;
  int round = 0;
  do {
    const std::uint64_t all = by_all.load(), client = by_this_thread;
    put(kPuts);
    by_client = by_this_thread - client;
    by_server = by_all.load() - all - by_client;
    std::printf("%llu PUTs: the server called for memory %llu times, the client %llu times\n",
                static_cast<unsigned long long>(kPuts), static_cast<unsigned long long>(by_server),
                static_cast<unsigned long long>(by_client));
  } while ((by_server >= kFew || by_client >= kFew) && ++round < kRounds);
  RecordProperty("of_the_server", static_cast<int>(by_server));
  RecordProperty("of_the_client", static_cast<int>(by_client));
  EXPECT_LT(by_server, kFew);
  EXPECT_LT(by_client, kFew);
}

TEST_F(AllocationsTest, TheCounterCounts) {
  const std::uint64_t before = by_this_thread;
  volatile auto* const memory = new int;
  delete memory;
  EXPECT_EQ(by_this_thread, before + 1);
}

}  // namespace
}  // namespace scalio::testing
