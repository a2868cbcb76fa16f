// The keys and values that the benchmark writes: made from a record's number, and recognised again.
//
// A key is "user" and the number, padded with zeros to the key's size. (YCSB writes a hash of the
// number by default, so that stores that keep keys in order do not see it; here placement is by
// hash anyway.)
//
// A value starts with kValuePrefix bytes of ASCII: 12 digits of the record's number, who wrote it
// and which of his writes it was, e.g. "000000000042-1a2b3c4d003-000000007". So no two writes of
// any process have the same value, and a value under the wrong key is seen. The rest is filled with
// a letter that changes from write to write.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace scalio::ycsb {

constexpr std::size_t kDigits = 12;
constexpr std::uint64_t kMaxRecords = 1'000'000'000'000;
constexpr std::size_t kValuePrefix = kDigits + 1 + 11 + 1 + 9;
constexpr std::string_view kKeyPrefix = "user";
constexpr std::size_t kMaxKeySize = 255;

// A record's number as text: computed once an operation, used for the key, the value and the check.
class Digits {
 public:
  // number < kMaxRecords
  explicit Digits(std::uint64_t number);
  const std::array<char, kDigits>& text() const { return text_; }

 private:
  std::array<char, kDigits> text_;
};

// Who writes: unique among all threads of all processes that run a benchmark against one store.
struct Writer {
  std::uint32_t process;  // drawn at random by the process
  std::uint32_t thread;   // below kMaxWriters
};
constexpr std::uint32_t kMaxWriters = 4096;

// Holds a key; the buffer that an operation's string_view points to.
class KeyBuffer {
 public:
  // kKeyPrefix.size() < size <= kMaxKeySize
  explicit KeyBuffer(std::size_t size);
  void set(const Digits& digits);
  std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, kMaxKeySize> text_;
  std::size_t size_;
};

// The numbers that keys of this size can tell apart: 0 .. result-1.
std::uint64_t key_capacity(std::size_t key_size);

// Writes a value over all of `out`, which has at least kValuePrefix bytes.
void make_value(std::span<char> out, const Digits& digits, Writer writer, std::uint64_t sequence);

// Whether the value was written for that record.
inline bool belongs(std::string_view value, const Digits& digits) {
  return value.size() >= kDigits && std::memcmp(value.data(), digits.text().data(), kDigits) == 0;
}

}  // namespace scalio::ycsb
