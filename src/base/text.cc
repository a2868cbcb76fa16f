#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace scalio {
namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// A character, and how many bytes it has; 0 if they are not UTF-8.
struct TextCharacter {
  char32_t code = 0;
  std::size_t size = 0;
};

TextCharacter first_of(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1};
  const std::size_t size = first < 0xc2   ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  if (size == 0 || text.size() < size) return {};
  char32_t code = first & (0xffU >> (size + 1));
  for (const char c : text.substr(1, size - 1)) {
    if (!continues(c)) return {};
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3fU);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool no_character = (code >= 0xd800 && code < 0xe000) || code > 0x10ffff;
  if (overlong || no_character) return {};
  return {code, size};
}

// Those behind ASCII that are obeyed instead of shown: from the first of a row to its last.
struct HiddenCharacters {
  char32_t first, last;
};
constexpr HiddenCharacters kHidden[] = {
    {0x7f, 0x9f},        // DEL; and C1: some terminals take U+009B for ESC [
    {0xad, 0xad},        // a hyphen that mostly is not there
    {0x34f, 0x34f},      // joins, and is not seen
    {0x61c, 0x61c},      // the direction of writing
    {0x115f, 0x1160},    // fillers
    {0x17b4, 0x17b5},    // vowels that are not written
    {0x180b, 0x180f},    // choose a form, or are not seen
    {0x200b, 0x200f},    // of no width, and the direction
    {0x2028, 0x202e},    // ends of lines and paragraphs, and the direction
    {0x2060, 0x206f},    // not seen, and the direction
    {0x3164, 0x3164},    // a filler
    {0xfeff, 0xfeff},    // of no width
    {0xffa0, 0xffa0},    // a filler
    {0xfff9, 0xfffb},    // around annotations
    {0xe0000, 0xe0fff},  // tags
};

bool hidden(char32_t code) {
  if (code < 0x7f) return code < 0x20;  // most are
  return std::ranges::any_of(
      kHidden, [&](const HiddenCharacters& h) { return h.first <= code && code <= h.last; });
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const TextCharacter next = first_of(text);
    const std::size_t size = std::max<std::size_t>(next.size, 1);
    if (next.size > 0 && !hidden(next.code)) {
      out += text.substr(0, size);
    } else {
      for (const char c : text.substr(0, size))
        fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    }
    text.remove_prefix(size);
  }
  return out;
}

std::string escaped_json(std::string json) {
  const auto plain = [](char c) { return static_cast<unsigned char>(c) < 0x7f; };
  if (std::ranges::all_of(json, plain)) return json;
  std::string out;
  out.reserve(json.size());
  for (std::string_view rest = json; !rest.empty();) {
    const TextCharacter next = first_of(rest);
    const std::size_t size = std::max<std::size_t>(next.size, 1);
    if (next.code < 0x7f || !hidden(next.code)) {
      out += rest.substr(0, size);
    } else if (next.code < 0x10000) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(next.code));
    } else {
      const auto above = static_cast<unsigned>(next.code - 0x10000);
      fmt::format_to(std::back_inserter(out), "\\u{:04x}\\u{:04x}", 0xd800 + (above >> 10),
                     0xdc00 + (above & 0x3ff));
    }
    rest.remove_prefix(size);
  }
  return out;
}

}  // namespace scalio
