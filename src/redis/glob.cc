#include "redis/glob.h"

#include <algorithm>

namespace scalio::redis {

namespace {

// Takes a class, behind its bracket, off `pattern`: whether it has `c`. One that does not end ends
// with the pattern.
bool take_class(std::string_view& pattern, char c) {
  const bool negated = pattern.starts_with('^');
  if (negated) pattern.remove_prefix(1);
  bool found = false;
  while (!pattern.empty() && pattern.front() != ']') {
    if (pattern.front() == '\\' && pattern.size() >= 2) {
      found |= pattern[1] == c;
      pattern.remove_prefix(2);
    } else if (pattern.size() >= 3 && pattern[1] == '-') {
      const auto byte = [](char of) { return static_cast<unsigned char>(of); };
      const unsigned char low = byte(pattern[0]), high = byte(pattern[2]);
      found |= std::min(low, high) <= byte(c) && byte(c) <= std::max(low, high);
      pattern.remove_prefix(3);
    } else {
      found |= pattern.front() == c;
      pattern.remove_prefix(1);
    }
  }
  if (!pattern.empty()) pattern.remove_prefix(1);
  return found != negated;
}

// Takes what stands for one character, no star, off `pattern`: whether `c` is one.
bool take_one(std::string_view& pattern, char c) {
  const char first = pattern.front();
  pattern.remove_prefix(1);
  if (first == '?') return true;
  if (first == '[') return take_class(pattern, c);
  if (first == '\\' && !pattern.empty()) {
    const char escaped = pattern.front();
    pattern.remove_prefix(1);
    return escaped == c;
  }
  return first == c;
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view text) {
  // Where to go on if the text does not match: the last star takes one character more. Earlier
  // stars need not: what they could take, the last one can.
  std::string_view after_star, star_text;
  bool star = false;
  while (!text.empty() || !pattern.empty()) {
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      star = true;
      after_star = pattern;
      star_text = text;
      continue;
    }
    if (!pattern.empty() && !text.empty() && take_one(pattern, text.front())) {
      text.remove_prefix(1);
      continue;
    }
    if (!star || star_text.empty()) return false;
    star_text.remove_prefix(1);
    pattern = after_star;
    text = star_text;
  }
  return true;
}

}  // namespace scalio::redis
