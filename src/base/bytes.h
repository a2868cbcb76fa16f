// Little-endian encoding of integers, and bounds-checked reading and writing of byte sequences.
// All of Scalio's formats are little-endian; so are all machines it runs on (checked here).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/byte_vector.h"

namespace scalio {

static_assert(std::endian::native == std::endian::little);

using ByteView = std::span<const std::byte>;
using ByteSpan = std::span<std::byte>;

template <class T>
T load(const std::byte* p) {
  static_assert(std::is_trivially_copyable_v<T>);
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
void store(std::byte* p, T v) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(p, &v, sizeof v);
}

inline ByteView as_bytes(std::string_view s) {
  return {reinterpret_cast<const std::byte*>(s.data()), s.size()};
}
inline std::string_view as_string(ByteView b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

// Returns the end of the copy. Not std::ranges::copy: g++ 12 copies const bytes with it one by one.
inline std::byte* copy_bytes(ByteView from, std::byte* to) {
  return std::copy(from.begin(), from.end(), to);
}

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// Appends to a byte vector.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}
  template <class T>
    requires std::is_integral_v<T>
  void put(T v) {
    const auto* p = reinterpret_cast<const std::byte*>(&v);
    out_.insert(out_.end(), p, p + sizeof v);
  }
  void bytes(ByteView b) { out_.insert(out_.end(), b.begin(), b.end()); }
  // A string with its u32 length before it.
  void string(std::string_view s) {
    put(static_cast<std::uint32_t>(s.size()));
    bytes(as_bytes(s));
  }

 private:
  Bytes& out_;
};

// Reads from bytes it does not trust: after a read past the end, ok() is false and every value is
// zero.
class ByteReader {
 public:
  explicit ByteReader(ByteView in) : in_(in) {}
  template <class T>
    requires std::is_integral_v<T>
  T get() {
    ByteView b = bytes(sizeof(T));
    return b.size() == sizeof(T) ? load<T>(b.data()) : T{};
  }
  ByteView bytes(std::size_t n) {
    if (n > in_.size()) {
      ok_ = false;
      in_ = {};
      return {};
    }
    ByteView b = in_.first(n);
    in_ = in_.subspan(n);
    return b;
  }
  std::string_view string() { return as_string(bytes(get<std::uint32_t>())); }
  bool ok() const { return ok_; }
  // Everything was read, and nothing past the end.
  bool done() const { return ok_ && in_.empty(); }
  std::size_t remaining() const { return in_.size(); }

 private:
  ByteView in_;
  bool ok_ = true;
};

}  // namespace scalio
