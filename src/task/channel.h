// Channel: hands messages from many threads to one loop's thread, without a lock and in order per
// sender.
//
// An intrusive stack of the messages not yet taken: a sender pushes with one CAS, the receiver
// takes all of them with one exchange and puts them back in order. Only the sender that finds the
// stack empty wakes the receiver, so that a busy receiver is not woken at all. The senders bound
// what is in flight.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "task/event_loop.h"

namespace scalio {

// `Message` has a member `Message* next`, the channel's while it is in flight.
template <class Message>
class Channel : public std::enable_shared_from_this<Channel<Message>> {
 public:
  using Handler = std::function<void(Message&)>;

  // The handler is called on `loop`'s thread.
  static std::shared_ptr<Channel> create(EventLoop& loop, Handler handler) {
    return std::shared_ptr<Channel>(new Channel(loop, std::move(handler)));
  }
  ~Channel() {
    take(head_.load(std::memory_order_acquire), [](Message&) {});
  }

  // Any thread.
  void send(std::unique_ptr<Message> message) {
    Message* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == closed()) return;
      message->next = head;
    } while (!head_.compare_exchange_weak(head, message.get(), std::memory_order_release,
                                          std::memory_order_relaxed));
    message.release();
    // Not the message's `next`: it may be taken already.
    if (head == nullptr) loop_.run_on_loop([self = this->shared_from_this()] { self->drain(); });
  }

  // On the loop's thread: what is in flight, and whatever comes later, is freed at once. It may
  // hold this channel, which would else never be freed.
  void close() {
    handler_ = nullptr;
    take(head_.exchange(closed(), std::memory_order_acquire), [](Message&) {});
  }

 private:
  Channel(EventLoop& loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {}

  // What the head is once the channel is closed: no message's address.
  static Message* closed() { return reinterpret_cast<Message*>(alignof(Message)); }

  void drain() {
    if (!handler_) return;  // closed
    take(head_.exchange(nullptr, std::memory_order_acquire), [this](Message& m) {
      if (handler_) handler_(m);
    });
  }
  template <class F>
  static void take(Message* last, F each) {
    Message* first = nullptr;
    while (last != nullptr && last != closed()) {
      Message* before = last->next;
      last->next = first;
      first = last;
      last = before;
    }
    while (first != nullptr) {
      std::unique_ptr<Message> m(first);
      first = m->next;
      each(*m);
    }
  }

  EventLoop& loop_;
  Handler handler_;
  std::atomic<Message*> head_{nullptr};
};

}  // namespace scalio
