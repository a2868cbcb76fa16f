#include <scalio/completion_queue.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/error_text.h"
#include "client/completion_queue_impl.h"

namespace scalio {

Result<std::unique_ptr<CompletionQueue>> CompletionQueue::create(std::size_t limit) {
  if (limit == 0) return Status(Code::invalid, "a queue of completions has a limit of at least 1");
  net::UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (event.get() < 0) return Status(Code::unavailable, "eventfd: " + error_text(errno));
  return std::unique_ptr<CompletionQueue>(
      new CompletionQueue(std::make_shared<Impl>(std::move(event), limit)));
}

CompletionQueue::CompletionQueue(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
CompletionQueue::~CompletionQueue() { impl_->close(); }
int CompletionQueue::fd() const { return impl_->fd(); }
std::size_t CompletionQueue::poll() { return impl_->poll(); }

bool CompletionQueue::Impl::begin() {
  std::size_t outstanding = outstanding_.load();
  while (outstanding < limit_) {
    if (outstanding_.compare_exchange_weak(outstanding, outstanding + 1)) return true;
  }
  return false;
}

void CompletionQueue::Impl::push(std::function<void()> function) {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  functions_.push_back(std::move(function));
  if (functions_.size() > 1) return;
  const std::uint64_t one = 1;
  // It cannot fail: the counter was 0.
  [[maybe_unused]] const ssize_t n = write(event_.get(), &one, sizeof one);
}

std::size_t CompletionQueue::Impl::poll() {
  std::vector<std::function<void()>> batch = std::move(polled_);
  {
    std::lock_guard lock(mutex_);
    batch.swap(functions_);
    std::uint64_t count;
    [[maybe_unused]] const ssize_t n = read(event_.get(), &count, sizeof count);
  }
  const std::size_t called = batch.size();
  for (std::function<void()>& function : batch) {
    --outstanding_;
    function();
  }
  batch.clear();
  polled_ = std::move(batch);
  return called;
}

void CompletionQueue::Impl::close() {
  std::vector<std::function<void()>> dropped;
  std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(functions_);
}

}  // namespace scalio
