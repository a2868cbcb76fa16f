// FakeKvSession: a client of a store in memory, for tests of what drives the compared systems.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "eval/kv_session.h"
#include "task/run_to_end.h"
#include "task/wait_group.h"
#include "testing/loops.h"

namespace scalio::eval {

// What clients on several threads share.
struct FakeKvStore {
  std::mutex mutex;
  std::map<std::string, std::string, std::less<>> records;
  std::map<std::uint32_t, std::vector<std::string>> gets;  // keys, by thread
  std::string loses;                   // a put of this key is acknowledged, and nothing is kept
  std::string stale;                   // what every get gives, if it is set
  std::uint64_t answers = UINT64_MAX;  // so many operations, then it is gone
};

class FakeKvClient final : public baseline::KvClient {
 public:
  FakeKvClient(FakeKvStore& store, std::uint32_t thread, Executor& executor)
      : store_(store), thread_(thread), executor_(executor) {}

  Task<Result<std::string>> get(std::string_view key) override {
    co_await executor_.yield();
    if (!answers()) co_return gone();
    ++counters_.gets;
    std::lock_guard lock(store_.mutex);
    store_.gets[thread_].emplace_back(key);
    const auto found = store_.records.find(key);
    if (found == store_.records.end()) co_return Status(Code::not_found, "");
    co_return store_.stale.empty() ? found->second : store_.stale;
  }
  Task<Status> put(std::string_view key, std::string_view value) override {
    co_await executor_.yield();
    if (!answers()) co_return gone();
    std::lock_guard lock(store_.mutex);
    if (key != store_.loses) store_.records[std::string(key)] = value;
    co_return Status();
  }
  Task<Status> remove(std::string_view) override { co_return Status(Code::invalid, "no workload"); }
  baseline::KvCounters counters() const override { return counters_; }

 private:
  bool answers() {
    std::lock_guard lock(store_.mutex);
    if (store_.answers == 0) return false;
    --store_.answers;
    return true;
  }
  static Status gone() { return Status(Code::unavailable, "the server is gone"); }

  FakeKvStore& store_;
  const std::uint32_t thread_;
  Executor& executor_;
  baseline::KvCounters counters_;
};

class FakeKvSession final : public KvSession {
 public:
  FakeKvSession(FakeKvStore& store, std::uint32_t thread) : client_(store, thread, *loop_) {}

  baseline::KvClient& client() override { return client_; }
  void run(std::vector<Task<void>> tasks) override {
    const HangGuard guard(*loop_);
    run_to_end(*loop_, all_of(*loop_, std::move(tasks)));
  }
  Result<std::string> stat() override { return std::string("{}"); }

 private:
  static Task<void> all_of(EventLoop& loop, std::vector<Task<void>> tasks) {
    WaitGroup group(loop);
    for (Task<void>& task : tasks) group.spawn(std::move(task));
    co_await group.wait();
  }
  LoopPtr loop_ = make_loop();
  FakeKvClient client_;
};

}  // namespace scalio::eval
