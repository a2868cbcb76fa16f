#include "ycsb/key_value.h"

#include <algorithm>

#include "base/assert.h"

namespace scalio::ycsb {
namespace {

// The lowest `digits` hexadecimal digits of `n`; returns where the text goes on.
char* put_hex(char* out, std::uint64_t n, unsigned digits) {
  for (unsigned i = digits; i-- > 0; n >>= 4) out[i] = "0123456789abcdef"[n & 15];
  return out + digits;
}

}  // namespace

Digits::Digits(std::uint64_t number) {
  SCALIO_ASSERT(number < kMaxRecords);
  // Two halves, so that the divisions are of 32 bits.
  auto high = static_cast<std::uint32_t>(number / 1'000'000);
  auto low = static_cast<std::uint32_t>(number % 1'000'000);
  for (std::size_t i = kDigits / 2; i-- > 0; high /= 10, low /= 10) {
    text_[i] = static_cast<char>('0' + high % 10);
    text_[i + kDigits / 2] = static_cast<char>('0' + low % 10);
  }
}

KeyBuffer::KeyBuffer(std::size_t size) : size_(size) {
  SCALIO_ASSERT(size > kKeyPrefix.size() && size <= kMaxKeySize);
  text_.fill('0');
  std::copy(kKeyPrefix.begin(), kKeyPrefix.end(), text_.begin());
}

void KeyBuffer::set(const Digits& digits) {
  std::size_t n = std::min(kDigits, size_ - kKeyPrefix.size());
  std::memcpy(text_.data() + size_ - n, digits.text().data() + kDigits - n, n);
}

std::uint64_t key_capacity(std::size_t key_size) {
  std::uint64_t capacity = 1;
  for (std::size_t i = 0; i < std::min(kDigits, key_size - kKeyPrefix.size()); ++i) capacity *= 10;
  return capacity;
}

void make_value(std::span<char> out, const Digits& digits, Writer writer, std::uint64_t sequence) {
  SCALIO_ASSERT(out.size() >= kValuePrefix && writer.thread < kMaxWriters);
  const auto& number = digits.text();
  char* p = std::copy(number.begin(), number.end(), out.data());
  *p++ = '-';
  p = put_hex(p, writer.process, 8);
  p = put_hex(p, writer.thread, 3);
  *p++ = '-';
  p = put_hex(p, sequence, 9);
  std::memset(p, static_cast<char>('a' + sequence % 26), out.size() - kValuePrefix);
}

}  // namespace scalio::ycsb
