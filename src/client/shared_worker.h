// SharedWorker: a thread with a Client, which does what other threads hand to it.
#pragma once

#include <scalio/client.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "task/channel.h"
#include "task/sync.h"

namespace scalio::client {

class SharedWorker {
 public:
  using Work = std::function<Task<void>(Client&)>;

  // `owner`: whoever it works for, for owner_here().
  explicit SharedWorker(const void* owner) : owner_(owner) {}
  // stop(), and waits until the thread has ended.
  ~SharedWorker();
  SharedWorker(const SharedWorker&) = delete;
  SharedWorker& operator=(const SharedWorker&) = delete;

  // Starts the thread, which connects; connected() waits for that. Failures: as Client::connect.
  Status start(std::string uri, ClientOptions options);
  Status connected();

  // Any thread, once connected. The order of one thread's is kept.
  void submit(Work work);
  // The thread leaves the server and ends. Everything handed to it must have ended.
  void stop();
  // Of the worker whose thread the caller's is; null if it is none's.
  static const void* owner_here();
  std::size_t inline_limit() const { return inline_limit_; }

 private:
  struct Submission {
    Submission* next = nullptr;
    Work work;
  };
  void serve(const std::string& uri, ClientOptions options);
  Task<void> do_work(Work work);
  Task<void> wait_for_stop();

  const void* const owner_;
  std::thread thread_;
  std::promise<Status> started_;
  std::size_t inline_limit_ = 0;
  bool stop_called_ = false;
  // The thread's own; others use the channel and the loop's run_on_loop().
  std::unique_ptr<Client> client_;
  EventLoop* loop_ = nullptr;
  std::shared_ptr<Channel<Submission>> channel_;
  std::optional<WaitList> stop_;
  bool stopping_ = false;
};

}  // namespace scalio::client
