// Patterns of Redis: * ? [abc] [^a-c] and \ before a character that means itself.
#pragma once

#include <bitset>
#include <cstddef>
#include <string_view>
#include <vector>

namespace scalio::redis {

class Glob {
 public:
  // A longer pattern is refused by who takes it.
  static constexpr std::size_t kLongest = 1024;
  static constexpr std::string_view kTooLong = "ERR a pattern of more than 1024 bytes";

  explicit Glob(std::string_view pattern);

  // In time proportional to the square of the text's length at most, whatever the pattern.
  bool matches(std::string_view text) const;

 private:
  struct Piece {
    bool star = false;        // any text; else one character
    std::bitset<256> one_of;  // of these
  };
  std::vector<Piece> pieces_;  // no two stars behind each other
  std::size_t shortest_ = 0;   // text that it can match
};

}  // namespace scalio::redis
