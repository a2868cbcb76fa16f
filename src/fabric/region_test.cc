#include "fabric/region.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "fabric/one_sided.h"
#include "fabric/region_access.h"

namespace scalio::fabric {
namespace {

TEST(Region, IsZeroedSharedAndCannotBeResized) {
  const Result<std::unique_ptr<Region>> made = Region::create(8192);
  ASSERT_TRUE(made.ok());
  Region& region = **made;
  ASSERT_EQ(region.span().size(), 8192u);
  for (std::byte b : region.span()) ASSERT_EQ(b, std::byte{0});

  Result<Mapping> other = map_region(region.fd(), 8192);
  ASSERT_TRUE(other.ok());
  store_word_release(other->data() + 16, 42);
  EXPECT_EQ(load_word_acquire(region.span().data() + 16), 42u);

  EXPECT_EQ(ftruncate(region.fd(), 4096), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(ftruncate(region.fd(), 1 << 20), -1);
}

// A store to a page that cannot be had would end the process, at any time after the start.
TEST(Region, HasItsMemoryFromTheStart) {
  constexpr std::size_t kBytes = 1 << 20;
  const Result<std::unique_ptr<Region>> made = Region::create(kBytes);
  ASSERT_TRUE(made.ok());
  struct stat st {};
  ASSERT_EQ(fstat((*made)->fd(), &st), 0);
  EXPECT_GE(static_cast<std::size_t>(st.st_blocks) * 512, kBytes);
}

// A client that keeps it, and never ends, would keep a cache of memory for each restart.
TEST(Region, GivesItsMemoryBackThoughAClientHasItMapped) {
  constexpr std::size_t kBytes = (4 << 20) + 64;  // no page's end
  const Result<std::unique_ptr<Region>> made = Region::create(kBytes);
  ASSERT_TRUE(made.ok());
  Region& region = **made;
  store_word_release(region.span().data(), 42);
  const Result<int> read_only = region.read_only_fd();
  ASSERT_TRUE(read_only.ok());
  const Result<Mapping> client = map_region(*read_only, kBytes, false);
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(load_word_acquire(client->data()), 42u);
  region.give_back();
  struct stat st {};
  ASSERT_EQ(fstat(region.fd(), &st), 0);
  EXPECT_EQ(st.st_blocks, 0);
  EXPECT_EQ(static_cast<std::size_t>(st.st_size), kBytes);
  EXPECT_EQ(load_word_acquire(client->data()), 0u) << "it is not killed";
}

TEST(Region, ForeignMemoryIsNotMapped) {
  const Result<std::unique_ptr<Region>> made = Region::create(8192);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(map_region((*made)->fd(), 4096).code(), Code::invalid);
  EXPECT_EQ(map_region((*made)->fd(), 0).code(), Code::invalid);
  EXPECT_EQ(map_region(-1, 4096).code(), Code::invalid);
  net::UniqueFd unsealed(memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(unsealed.get(), 4096), 0);
  EXPECT_EQ(map_region(unsealed.get(), 4096).code(), Code::invalid);
}

TEST(RegionAccess, CopiesExactlyWhatItIsToldFromAnyOffset) {
  alignas(64) std::byte memory[512];
  for (std::size_t at = 0; at < 20; ++at) {
    for (std::size_t n = 0; n <= 200; ++n) {
      for (std::size_t i = 0; i < sizeof memory; ++i) memory[i] = static_cast<std::byte>(i);
      Bytes out(n + 2, std::byte{0xee});
      copy_from_region(out.data() + 1, memory + at, n);
      ASSERT_EQ(std::memcmp(out.data() + 1, memory + at, n), 0);
      ASSERT_TRUE(out.front() == std::byte{0xee} && out.back() == std::byte{0xee});

      const Bytes in(n, std::byte{0xaa});
      copy_to_region(memory + at, in.data(), n);
      for (std::size_t i = 0; i < sizeof memory; ++i) {
        const bool written = i >= at && i < at + n;
        ASSERT_EQ(memory[i], written ? std::byte{0xaa} : static_cast<std::byte>(i))
            << at << " " << n << " " << i;
      }
    }
  }
}

TEST(RegionAccess, CasSwapsOnlyWhatItExpects) {
  alignas(8) std::byte word[8] = {};
  EXPECT_EQ(cas_word(word, 0, 5), 0u);
  EXPECT_EQ(cas_word(word, 0, 6), 5u);
  EXPECT_EQ(load_word_relaxed(word), 5u);
  EXPECT_EQ(cas_word(word, 5, 6), 5u);
  EXPECT_EQ(load_word_relaxed(word), 6u);
}

// Words below 64 bytes come whole, bytes stored beside each other do not undo each other, and no
// CAS is lost: also what ThreadSanitizer is to look at.
TEST(RegionAccess, HoldsUnderConcurrentUse) {
  alignas(64) std::byte memory[128] = {};
  std::atomic<bool> stop{false};
  constexpr int kIncrements = 20000;
  const auto increment = [&] {
    for (int i = 0; i < kIncrements;) {
      const std::uint64_t old = load_word_relaxed(memory + 32);
      if (cas_word(memory + 32, old, old + 1) == old) ++i;
    }
  };
  std::thread writer([&] {
    for (std::uint64_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
      const std::uint64_t words[2] = {i % 256 * 0x0101010101010101,
                                      ~(i % 256 * 0x0101010101010101)};
      copy_to_region(memory, reinterpret_cast<const std::byte*>(words), 16);
      store_byte(memory + 16, static_cast<std::byte>(i));
    }
  });
  std::thread adder(increment);
  for (int i = 0; i < 1000; ++i) {
    std::uint64_t words[2];
    copy_from_region(reinterpret_cast<std::byte*>(words), memory, 16);
    for (std::uint64_t w : words)
      ASSERT_TRUE(w % 0x0101010101010101 == 0 || ~w % 0x0101010101010101 == 0);
    const std::byte mine{static_cast<unsigned char>(i)};
    store_byte(memory + 17, mine);
    ASSERT_EQ(load_byte(memory + 17), mine);
  }
  increment();
  adder.join();
  stop = true;
  writer.join();
  EXPECT_EQ(load_word_acquire(memory + 32), 2u * kIncrements);
}

// The order that the store's protocol stands on: of two that each store and then load the other's
// word, at least one sees the other's store. (Without the fence a few rounds in a thousand fail, on
// two CPUs that do nothing else.)
TEST(OneSided, AWriteIsDoneBeforeALaterRead) {
  constexpr std::uint64_t kRounds = 5000;
  alignas(64) std::byte memory[256] = {};
  std::uint64_t saw[2] = {};
  std::uint64_t both_missed = 0;
  std::atomic<std::uint64_t> arrived{0};
  // Both leave it as closely together as can be.
  const auto wait_for_all = [&](std::uint64_t count) {
    arrived.fetch_add(1);
    for (int spins = 0; arrived.load() < count; ++spins) {
      if (spins > 2000) std::this_thread::yield();
    }
  };
  const auto party = [&](std::uint64_t me) {
    OneSided ops{ByteSpan(memory)};
    for (std::uint64_t round = 1; round <= kRounds; ++round) {
      wait_for_all(round * 4 - 2);
      ops.write(me * 128, reinterpret_cast<const std::byte*>(&round), 8);
      ops.read((1 - me) * 128, reinterpret_cast<std::byte*>(&saw[me]), 8);
      wait_for_all(round * 4);
      if (me == 0 && saw[0] < round && saw[1] < round) ++both_missed;
    }
  };
  std::thread other(party, 1);
  party(0);
  other.join();
  EXPECT_EQ(both_missed, 0u);
}

}  // namespace
}  // namespace scalio::fabric
