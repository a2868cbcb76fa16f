// ForkMark: tells the process that made it from those forked from it later, at the price of a load.
#pragma once

#include <scalio/status.h>

#include <utility>

namespace scalio {

class ForkMark {
 public:
  // Fails with unavailable.
  static Result<ForkMark> create();
  ForkMark(ForkMark&& o) noexcept : page_(std::exchange(o.page_, nullptr)) {}
  ForkMark& operator=(ForkMark&&) = delete;
  ~ForkMark();

  // Whether this is a fork of the process that made the mark.
  bool forked() const { return *page_ == 0; }

 private:
  explicit ForkMark(volatile char* page) : page_(page) {}
  volatile char* page_;  // the kernel gives a child a page of zeros in its place
};

}  // namespace scalio
