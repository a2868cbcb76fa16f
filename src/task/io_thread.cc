#include "task/io_thread.h"

#include <time.h>

#include "task/thread.h"

namespace scalio {

namespace {
Nanos own_cpu_time() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<Nanos>(t.tv_sec) * kSecond + static_cast<Nanos>(t.tv_nsec);
}

Task<void> set_on_next_turn(EventLoop& loop, std::promise<void>& done) {
  co_await loop.yield();
  done.set_value();
}
}  // namespace

void run_and_wait(EventLoop& loop, const std::function<void()>& fn) {
  std::promise<void> done;
  loop.run_on_loop([&] {
    fn();
    loop.spawn(set_on_next_turn(loop, done));
  });
  done.get_future().wait();
}

std::future<Status> begin_on_loop(EventLoop& loop, std::function<Task<Status>()> start) {
  auto done = std::make_shared<std::promise<Status>>();
  const auto body = [](std::function<Task<Status>()> f,
                       std::shared_ptr<std::promise<Status>> result) -> Task<void> {
    Status s = co_await f();
    result->set_value(std::move(s));
  };
  loop.run_on_loop([&loop, body, start, done] { loop.spawn(body(start, done)); });
  return done->get_future();
}

Result<std::unique_ptr<IoThread>> IoThread::start(const char* name, Nanos spin) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create(spin);
  if (!loop.ok()) return loop.status();
  std::unique_ptr<IoThread> io(new IoThread(std::move(*loop)));
  Result<std::thread> thread = start_thread(name, [t = io.get()] {
    t->loop_->run_until([t] { return t->stopping_; });
    t->loop_->last_turns();
    t->cpu_time_ = own_cpu_time();
  });
  if (!thread.ok()) return thread.status();
  io->thread_ = *std::move(thread);
  return io;
}

IoThread::~IoThread() { stop(); }

void IoThread::stop() {
  if (!thread_.joinable()) return;
  loop_->run_on_loop([this] { stopping_ = true; });
  thread_.join();
}

Nanos IoThread::cpu_time() const {
  return thread_.joinable() ? cpu_time_of(const_cast<std::thread&>(thread_)) : cpu_time_;
}

}  // namespace scalio
