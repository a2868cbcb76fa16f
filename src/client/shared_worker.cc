#include "client/shared_worker.h"

#include <utility>

#include "client/client_loop.h"
#include "task/thread.h"

namespace scalio::client {

namespace {
thread_local const void* owner_of_thread = nullptr;
}  // namespace

const void* SharedWorker::owner_here() { return owner_of_thread; }

Status SharedWorker::start(std::string uri, ClientOptions options) {
  Result<std::thread> thread = start_thread(
      "scalio-shared", [this, uri = std::move(uri), o = std::move(options)] { serve(uri, o); });
  if (!thread.ok()) return thread.status();
  thread_ = *std::move(thread);
  return Status();
}

Status SharedWorker::connected() { return started_.get_future().get(); }

void SharedWorker::serve(const std::string& uri, ClientOptions options) {
  owner_of_thread = owner_;
  Result<std::unique_ptr<Client>> client = Client::connect(uri, std::move(options));
  if (!client.ok()) return started_.set_value(client.status());
  client_ = *std::move(client);
  inline_limit_ = client_->inline_limit();
  loop_ = &ClientLoop::of(*client_);
  channel_ = Channel<Submission>::create(
      *loop_, [this](Submission& s) { client_->spawn(do_work(std::move(s.work))); });
  stop_.emplace(*loop_);
  started_.set_value(Status());
  client_->run(wait_for_stop());
  channel_->close();
  stop_.reset();
  client_.reset();
}

// The work is kept here as long as its task needs it.
Task<void> SharedWorker::do_work(Work work) { co_await work(*client_); }

Task<void> SharedWorker::wait_for_stop() {
  while (!stopping_) co_await stop_->wait();
}

void SharedWorker::submit(Work work) {
  auto submission = std::make_unique<Submission>();
  submission->work = std::move(work);
  channel_->send(std::move(submission));
}

void SharedWorker::stop() {
  if (!loop_ || std::exchange(stop_called_, true)) return;
  loop_->run_on_loop([this] {
    stopping_ = true;
    stop_->wake_all();
  });
}

SharedWorker::~SharedWorker() {
  if (!thread_.joinable()) return;
  stop();
  thread_.join();
}

}  // namespace scalio::client
