#include "redis/glob.h"

#include <algorithm>

namespace scalio::redis {

namespace {

std::size_t byte(char c) { return static_cast<unsigned char>(c); }

// Takes a class, behind its bracket, off `pattern`: what it has. One that does not end ends with
// the pattern.
std::bitset<256> take_class(std::string_view& pattern) {
  const bool negated = pattern.starts_with('^');
  if (negated) pattern.remove_prefix(1);
  std::bitset<256> found;
  while (!pattern.empty() && pattern.front() != ']') {
    if (pattern.front() == '\\' && pattern.size() >= 2) {
      found.set(byte(pattern[1]));
      pattern.remove_prefix(2);
    } else if (pattern.size() >= 3 && pattern[1] == '-') {
      const auto [low, high] = std::minmax({byte(pattern[0]), byte(pattern[2])});
      for (std::size_t c = low; c <= high; ++c) found.set(c);
      pattern.remove_prefix(3);
    } else {
      found.set(byte(pattern.front()));
      pattern.remove_prefix(1);
    }
  }
  if (!pattern.empty()) pattern.remove_prefix(1);
  return negated ? ~found : found;
}

// Takes what stands for one character, no star, off `pattern`.
std::bitset<256> take_one(std::string_view& pattern) {
  char first = pattern.front();
  pattern.remove_prefix(1);
  if (first == '?') return ~std::bitset<256>();
  if (first == '[') return take_class(pattern);
  if (first == '\\' && !pattern.empty()) {
    first = pattern.front();
    pattern.remove_prefix(1);
  }
  return std::bitset<256>().set(byte(first));
}

}  // namespace

Glob::Glob(std::string_view pattern) {
  while (!pattern.empty()) {
    if (pattern.front() != '*') {
      pieces_.push_back({false, take_one(pattern)});
      ++shortest_;
      continue;
    }
    pattern.remove_prefix(1);
    if (pieces_.empty() || !pieces_.back().star) pieces_.push_back({true, {}});
  }
}

bool Glob::matches(std::string_view text) const {
  if (text.size() < shortest_) return false;
  // Where to go on if the text does not match: the last star takes one character more. Earlier
  // stars need not: what they could take, the last one can.
  std::size_t piece = 0, at = 0;
  std::size_t after_star = 0, star_at = 0;
  bool star = false;
  while (at < text.size() || piece < pieces_.size()) {
    if (piece < pieces_.size() && pieces_[piece].star) {
      ++piece;
      star = true;
      after_star = piece;
      star_at = at;
      continue;
    }
    if (piece < pieces_.size() && at < text.size() && pieces_[piece].one_of[byte(text[at])]) {
      ++piece;
      ++at;
      continue;
    }
    if (!star || star_at == text.size()) return false;
    ++star_at;
    piece = after_star;
    at = star_at;
  }
  return true;
}

}  // namespace scalio::redis
