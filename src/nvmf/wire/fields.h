// Fields of NVMe data structures: text, NQNs and identifiers at fixed places.
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace scalio::nvmf {

// --- NVMe qualified names (Base 4.5) ---

// How long an NQN may be, and its field with the zero that ends it.
constexpr std::size_t kMaxNqn = 223;
constexpr std::size_t kNqnField = 256;
constexpr std::string_view kDiscoveryNqn = "nqn.2014-08.org.nvmexpress.discovery";

// What is wrong with an NQN as a name, or ok: "nqn." before it, printable ASCII, at most kMaxNqn
// bytes. Failures: invalid.
Status check_nqn(std::string_view nqn);

// --- Fields ---

// Text in a field, with `padding` behind it: of identify structures blanks, of Fabrics zeroes.
void put_text(ByteSpan out, std::size_t at, std::size_t width, std::string_view text, char padding);
// Up to the first zero, without blanks at the end.
std::string get_text(ByteView in, std::size_t at, std::size_t width);
void put_nqn(ByteSpan out, std::size_t at, std::string_view nqn);

template <std::size_t N>
void put_array(ByteSpan out, std::size_t at, const std::array<std::byte, N>& a) {
  std::memcpy(out.data() + at, a.data(), N);
}

template <std::size_t N>
void get_array(ByteView in, std::size_t at, std::array<std::byte, N>& a) {
  std::memcpy(a.data(), in.data() + at, N);
}

void clear(ByteSpan out, std::size_t size);
// `what` has fewer than `size` bytes: invalid.
Status too_short(std::string_view what, ByteView in, std::size_t size);

}  // namespace scalio::nvmf
