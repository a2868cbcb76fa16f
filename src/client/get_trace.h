// GetTrace: what one GET did, step by step: for people who ask why it was slow, or what it found.
//
// Who may be traced has a pointer that is null, and looks at it where a step has ended: that is all
// it costs while nobody traces.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "task/executor.h"

namespace scalio::client {

class GetTrace {
 public:
  struct Step {
    Nanos began;
    Nanos ended;
    std::string did;
    std::string found;
  };
  // More are not kept: a key that is written all the time is read again and again.
  static constexpr std::size_t kMost = 1000;

  explicit GetTrace(Nanos began) : began_(began) {}

  void add(Step step) {
    if (steps_.size() < kMost) {
      steps_.push_back(std::move(step));
    } else {
      ++left_out_;
    }
  }
  Nanos began() const { return began_; }
  const std::vector<Step>& steps() const { return steps_; }
  std::size_t left_out() const { return left_out_; }

  // Of who is never traced.
  static constexpr GetTrace* kNone = nullptr;

 private:
  const Nanos began_;
  std::vector<Step> steps_;
  std::size_t left_out_ = 0;
};

}  // namespace scalio::client
