#include "nvmf/wire/fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"

namespace scalio::nvmf {

void put_text(ByteSpan out, std::size_t at, std::size_t width, std::string_view text,
              char padding) {
  SCALIO_ASSERT(text.size() <= width);
  std::memset(out.data() + at, padding, width);
  std::memcpy(out.data() + at, text.data(), text.size());
}

std::string get_text(ByteView in, std::size_t at, std::size_t width) {
  std::string_view text = as_string(in.subspan(at, width));
  text = text.substr(0, text.find('\0'));
  const std::size_t last = text.find_last_not_of(' ');
  return std::string(text.substr(0, last == text.npos ? 0 : last + 1));
}

void put_nqn(ByteSpan out, std::size_t at, std::string_view nqn) {
  SCALIO_ASSERT(nqn.size() < kNqnField);
  put_text(out, at, kNqnField, nqn, '\0');
}

void clear(ByteSpan out, std::size_t size) {
  SCALIO_ASSERT(out.size() >= size);
  std::memset(out.data(), 0, size);
}

Status too_short(std::string_view what, ByteView in, std::size_t size) {
  return Status(Code::invalid, fmt::format("{} of {} bytes instead of {}", what, in.size(), size));
}

Status check_nqn(std::string_view nqn) {
  const auto bad = [&](std::string_view why) {
    return Status(Code::invalid,
                  fmt::format("\"{}\" is not an NQN: {}", nqn.substr(0, kMaxNqn), why));
  };
  const bool printable = std::ranges::all_of(nqn, [](char c) { return c > ' ' && c <= '~'; });
  if (!printable)
    return Status(Code::invalid, "an NQN has characters that are not printable ASCII");
  if (!nqn.starts_with("nqn.")) return bad("it does not begin with \"nqn.\"");
  if (nqn.size() > kMaxNqn) return bad(fmt::format("it is longer than {} characters", kMaxNqn));
  return Status();
}

}  // namespace scalio::nvmf
