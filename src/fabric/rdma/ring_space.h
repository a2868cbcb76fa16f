// RingSpace: hands out pieces of a fixed space and takes them back in the same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/ring.h"

namespace scalio::fabric {

class RingSpace {
 public:
  // Pieces begin at multiples of this.
  static constexpr std::size_t kUnit = 64;

  // `size` is a multiple of kUnit.
  explicit RingSpace(std::size_t size) : size_(size) {}

  // The offset of a piece of `bytes`, 1 to the whole size; nothing until more has been given back.
  // What is as large as the whole is there when nothing else is taken.
  std::optional<std::size_t> take(std::size_t bytes) {
    const std::size_t piece = round_up(bytes, kUnit);
    SCALIO_ASSERT(bytes > 0 && piece <= size_);
    std::size_t at = 0;
    if (taken_.empty()) {
      at = 0;
    } else if (const std::size_t begin = taken_.front(); end_ > begin) {
      if (piece <= size_ - end_) {
        at = end_;
      } else if (piece > begin) {
        return std::nullopt;
      }
    } else {
      if (piece > begin - end_) return std::nullopt;
      at = end_;
    }
    end_ = at + piece;
    taken_.push_back(at);
    return at;
  }
  // Gives back the piece that was taken first.
  void give_back() {
    SCALIO_ASSERT(!taken_.empty());
    taken_.pop_front();
  }

 private:
  const std::size_t size_;
  std::size_t end_ = 0;      // of the piece taken last
  Ring<std::size_t> taken_;  // where pieces begin, in order
};

}  // namespace scalio::fabric
