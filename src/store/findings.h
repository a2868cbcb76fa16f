// Findings: what somebody who looked has to say, so that it can be told in a message whatever was
// found. So many are kept in words, each so long; the rest is counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace scalio::storage {

class Findings {
 public:
  static constexpr std::size_t kMaxNamed = 16;
  static constexpr std::size_t kMaxText = 400;

  void add(std::string text) {
    if (named_.size() == kMaxNamed) {
      ++more_;
      return;
    }
    // What was found stands at the end, and where, with a path of any length, at the beginning.
    if (text.size() > kMaxText) text.replace(kMaxText / 4, text.size() - kMaxText + 3, "...");
    named_.push_back(std::move(text));
  }
  void add(const Findings& others) {
    for (const std::string& text : others.named_) add(text);
    more_ += others.more_;
  }

  const std::vector<std::string>& named() const { return named_; }
  std::uint64_t more() const { return more_; }
  bool empty() const { return named_.empty(); }

 private:
  std::vector<std::string> named_;
  std::uint64_t more_ = 0;
};

}  // namespace scalio::storage
