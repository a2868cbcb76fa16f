// ReplyQueue: the replies that are on their way to a client, in order. Small ones share memory;
// large ones stay as they were made, so that they are not in the memory twice.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace scalio::redis {

class ReplyQueue {
 public:
  // From this size on a reply is large.
  static constexpr std::size_t kLarge = 64 << 10;

  bool empty() const { return size_ == 0; }
  // Bytes that have not been sent.
  std::size_t size() const { return size_; }
  // Bytes that are in the memory: those, and what was sent of a piece that is not sent whole.
  std::size_t held() const { return size_ + sent_; }

  void add(std::string_view reply) {
    if (reply.empty()) return;
    if (parts_.empty() || parts_.back().size() >= kLarge) parts_.emplace_back();
    parts_.back() += reply;
    size_ += reply.size();
  }
  void add_large(std::string reply) {
    size_ += reply.size();
    parts_.push_back(std::move(reply));
  }

  // The next bytes to send; there are some unless it is empty.
  std::string_view next() const {
    return parts_.empty() ? std::string_view() : std::string_view(parts_.front()).substr(sent_);
  }
  // So many of these have been sent: how many bytes are in the memory no more. Of what shared
  // memory one piece is kept for the next.
  std::size_t sent(std::size_t bytes) {
    sent_ += bytes;
    size_ -= bytes;
    if (sent_ < parts_.front().size()) return 0;
    const std::size_t freed = std::exchange(sent_, 0);
    if (parts_.size() == 1 && parts_.front().capacity() <= kLarge) {
      parts_.front().clear();
    } else {
      parts_.pop_front();
    }
    return freed;
  }
  void clear() {
    parts_.clear();
    sent_ = size_ = 0;
  }

 private:
  std::deque<std::string> parts_;
  std::size_t sent_ = 0;  // of the first
  std::size_t size_ = 0;
};

}  // namespace scalio::redis
