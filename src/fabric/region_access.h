// Access to memory that several processes, and a NIC, read and write at once.
//
// Such memory is never touched by plain loads and stores: the compiler may assume that nobody else
// writes what it reads. What is atomic and what is ordered is said at each function. Addresses of
// words must be multiples of 8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace scalio::fabric {

// A word; later accesses may be done before it.
inline std::uint64_t load_word_relaxed(const std::byte* p) {
  return __atomic_load_n(reinterpret_cast<const std::uint64_t*>(p), __ATOMIC_RELAXED);
}
// A word; this CPU's later accesses are done after it.
inline std::uint64_t load_word_acquire(const std::byte* p) {
  return __atomic_load_n(reinterpret_cast<const std::uint64_t*>(p), __ATOMIC_ACQUIRE);
}
// A word; other CPUs and the NIC may see it before or after this CPU's other stores.
inline void store_word_relaxed(std::byte* p, std::uint64_t v) {
  __atomic_store_n(reinterpret_cast<std::uint64_t*>(p), v, __ATOMIC_RELAXED);
}
// A word; another CPU that sees it sees this CPU's earlier stores. (A NIC reads the words of a
// block in any order, so that no order of stores helps it: it is the body's checksum that tells.)
inline void store_word_release(std::byte* p, std::uint64_t v) {
  __atomic_store_n(reinterpret_cast<std::uint64_t*>(p), v, __ATOMIC_RELEASE);
}
// One byte, which changes no byte beside it; another CPU that sees it sees this CPU's earlier
// stores.
inline void store_byte(std::byte* p, std::byte v) {
  __atomic_store_n(reinterpret_cast<unsigned char*>(p), static_cast<unsigned char>(v),
                   __ATOMIC_RELEASE);
}
inline std::byte load_byte(const std::byte* p) {
  return std::byte{__atomic_load_n(reinterpret_cast<const unsigned char*>(p), __ATOMIC_RELAXED)};
}

// Everything this CPU did before is done, as seen by every CPU and by the NIC, before anything it
// does after: the only order that holds a store before a later load. On Arm the barrier must be of
// the full system, because a NIC is not in the CPUs' inner-shareable domain.
inline void full_fence() {
#if defined(__x86_64__)
  asm volatile("lock orl $0, (%%rsp)" ::: "memory", "cc");
#elif defined(__aarch64__)
  asm volatile("dmb sy" ::: "memory");
#else
#error "fences for this CPU are missing"
#endif
}
// Loads before it are done before loads and stores after it. (x86 keeps this order by itself.)
inline void acquire_fence() {
#if defined(__aarch64__)
  asm volatile("dmb oshld" ::: "memory");
#else
  asm volatile("" ::: "memory");
#endif
}
// Loads and stores before it are done before stores after it. (x86 keeps this order by itself.)
inline void release_fence() {
#if defined(__aarch64__)
  asm volatile("dmb osh" ::: "memory");
#else
  asm volatile("" ::: "memory");
#endif
}

// Stores `desired` if the word is `expected`; returns what it was. Atomic with other CPUs (not with
// a NIC's CAS, nor a NIC's with a CPU's). Everything before it is done before it, everything after
// it after it, also if it stores nothing.
inline std::uint64_t cas_word(std::byte* p, std::uint64_t expected, std::uint64_t desired) {
#if defined(__x86_64__)  // where a locked instruction is a full fence itself
  __atomic_compare_exchange_n(reinterpret_cast<std::uint64_t*>(p), &expected, desired, false,
                              __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
#else  // where it orders for other CPUs at most, and an exchange that fails hardly at all
  full_fence();
  __atomic_compare_exchange_n(reinterpret_cast<std::uint64_t*>(p), &expected, desired, false,
                              __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  full_fence();
#endif
  return expected;
}

// Brings bytes near that will be read soon; what they are is looked at then.
inline void prefetch_region(const std::byte* p, std::size_t n) {
  constexpr std::size_t kLine = 64;
  const std::byte* const end = p + n;
  for (p -= reinterpret_cast<std::uintptr_t>(p) % kLine; p < end; p += kLine) {
    __builtin_prefetch(p);
  }
  // Or g++ takes a function that does no more than this for one without effect, and leaves it out.
  asm volatile("");
}

// Where copy_from_region() keeps words whole.
constexpr std::size_t kWholeWords = 192;

namespace detail {
// For blocks and bodies memcpy is three times as fast as a loop over words: more cache misses in
// flight. ThreadSanitizer takes it for a plain access, so that its builds have the loop alone.
inline bool use_memcpy([[maybe_unused]] std::size_t n) {
#if defined(SCALIO_SANITIZES_THREADS)
  return false;
#else
  return n > 128;
#endif
}
inline void compiler_fence() { asm volatile("" ::: "memory"); }
inline bool aligned(const std::byte* p) { return reinterpret_cast<std::uintptr_t>(p) % 8 == 0; }
inline void put_byte(std::byte* p, std::byte v) {
  __atomic_store_n(reinterpret_cast<unsigned char*>(p), static_cast<unsigned char>(v),
                   __ATOMIC_RELAXED);
}
}  // namespace detail

// Copies `n` bytes out of shared memory. Every byte is one that was there during the call, but they
// may be of different moments, in any order, as with a NIC's READ. Aligned words are whole in the
// first kWholeWords bytes, which is where a hash block has its slot words: half of one word and
// half of another would be a slot that never was (docs/protocol.md, rule 4). Not ordered with
// anything: see acquire_fence().
//
// memcpy is right here, though the memory changes under it: the fences keep the compiler from
// seeing a race that it could build on (it can neither repeat nor drop nor move the call), the
// CPU's loads are atomic by byte, and no more is needed, because a checksum tells readers whether a
// body is whole.
inline void copy_from_region(std::byte* dst, const std::byte* src, std::size_t n) {
  if (detail::use_memcpy(n) && detail::aligned(src)) {
    const std::size_t words = n < kWholeWords ? n / 8 * 8 : kWholeWords;
    for (std::size_t i = 0; i < words; i += 8) store(dst + i, load_word_relaxed(src + i));
    detail::compiler_fence();
    std::memcpy(dst + words, src + words, n - words);
    detail::compiler_fence();
    return;
  }
  for (; n > 0 && !detail::aligned(src); --n) *dst++ = load_byte(src++);
  for (; n >= 8; n -= 8, src += 8, dst += 8) store(dst, load_word_relaxed(src));
  for (; n > 0; --n) *dst++ = load_byte(src++);
}

// Copies `n` bytes into shared memory, changing no byte beside them; others may see them in any
// order. Up to 128 bytes every aligned word, and every byte that is not in one, is stored exactly
// once: a second store could undo somebody's CAS. Not ordered with anything: see release_fence().
inline void copy_to_region(std::byte* dst, const std::byte* src, std::size_t n) {
  if (detail::use_memcpy(n)) {
    detail::compiler_fence();
    std::memcpy(dst, src, n);
    detail::compiler_fence();
    return;
  }
  for (; n > 0 && !detail::aligned(dst); --n) detail::put_byte(dst++, *src++);
  for (; n >= 8; n -= 8, src += 8, dst += 8) store_word_relaxed(dst, load<std::uint64_t>(src));
  for (; n > 0; --n) detail::put_byte(dst++, *src++);
}

}  // namespace scalio::fabric
