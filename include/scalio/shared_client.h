// SharedClient: a store for programs with many threads, or with an event loop of their own.
//
// Threads of its own, each with a Client, do what any thread asks for: what many ask for at once
// reaches them with one wake, and leaves them in one system call. That costs a handover there and
// one back, which a Client on the caller's own thread does not have.
//
//   auto client = scalio::SharedClient::connect("unix:/run/scalio.sock");
//   scalio::Result<scalio::Record> record = (*client)->get("key").get();          // a future
//   (*client)->get("key", [](scalio::Result<scalio::Record> r) { ... });          // a callback
#pragma once

#include <scalio/client.h>
#include <scalio/completion_queue.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace scalio {

struct SharedClientOptions {
  ClientOptions client = {};
  // Threads of its own, 1 to 64. Each is a client to the server, of all its lanes, and
  // --max-clients counts it.
  unsigned threads = 1;
  // Operations that a thread may have begun and not ended, 1 to 1,048,576. Each keeps a copy of its
  // arguments.
  std::size_t in_flight = 4096;
  // How long a call waits for room when all threads have as many. 0: it is busy at once.
  std::chrono::milliseconds submit_timeout{0};
};

// One write of a batch that is kept until it is done. As BatchWrite.
struct SharedWrite {
  BatchWrite::Kind kind = BatchWrite::Kind::put;
  std::string key = {};
  std::string value = {};
  std::uint64_t expected = 0;
  Expiry expiry = {};
};

// What is called once an operation has ended.
template <class T>
using Done = std::function<void(T)>;

// Any thread may call any member at any time, from connect() until the destructor. Arguments are
// copied; what the operations do and how they fail is said at Client.
//
// Two operations are in no order unless the second was begun after the first had ended.
//
// With a function, an operation returns at once. If it returns ok, the function is called exactly
// once: by a thread of this client, or, with a CompletionQueue, by the queue's poll(). Called by a
// thread of this client, it holds up all others there: it should be short, and must not wait for an
// operation of this client; it may begin operations, which never wait for room then. It must not
// throw. If it returns a failure, nothing was begun and the function is not called: busy (no room,
// here or in the queue), unavailable (stopped, or in a forked child).
// Without a function it returns a future, which has this failure too.
class SharedClient {
 public:
  // `uri` and failures as those of Client::connect. Blocks until every thread is connected.
  static Result<std::unique_ptr<SharedClient>> connect(std::string_view uri,
                                                       SharedClientOptions options = {});
  // stop(). In a forked child it does nothing.
  ~SharedClient();
  SharedClient(const SharedClient&) = delete;
  SharedClient& operator=(const SharedClient&) = delete;

  // Takes no more operations, waits until all in flight have ended (their timeouts bound that) and
  // their functions have been called or are in their queues, and leaves the server. Not by a thread
  // of this client: that ends the process, with a message.
  void stop();

  Status get(std::string_view key, Done<Result<Record>> done, CompletionQueue* to = nullptr);
  Status put(std::string_view key, std::string_view value, Done<Result<std::uint64_t>> done,
             CompletionQueue* to = nullptr, Expiry expiry = {});
  Status put_if(std::string_view key, std::string_view value, std::uint64_t expected,
                Done<Result<std::uint64_t>> done, CompletionQueue* to = nullptr,
                Expiry expiry = {});
  Status set_end(std::string_view key, Expiry expiry, std::uint64_t expected,
                 Done<Result<std::uint64_t>> done, CompletionQueue* to = nullptr);
  Status remove(std::string_view key, Done<Result<std::uint64_t>> done,
                CompletionQueue* to = nullptr);
  Status remove_if(std::string_view key, std::uint64_t expected, Done<Result<std::uint64_t>> done,
                   CompletionQueue* to = nullptr);
  Status append(std::string_view key, std::string_view text, Done<Result<Appended>> done,
                CompletionQueue* to = nullptr);
  Status increment(std::string_view key, std::int64_t by, Done<Result<Incremented>> done,
                   CompletionQueue* to = nullptr);
  // The outer result is ok; each key or write has one of its own, in their order.
  using Records = std::vector<Result<Record>>;
  using Versions = std::vector<Result<std::uint64_t>>;
  Status multi_get(std::vector<std::string> keys, Done<Result<Records>> done,
                   CompletionQueue* to = nullptr);
  Status write(std::vector<SharedWrite> batch, Done<Result<Versions>> done,
               CompletionQueue* to = nullptr);
  Status scan_ranges(std::size_t parts, Done<Result<std::vector<ScanRange>>> done,
                     CompletionQueue* to = nullptr);
  Status scan(ScanRange range, Done<Result<ScanPage>> done, CompletionQueue* to = nullptr);
  Status stat(Done<Result<std::string>> done, CompletionQueue* to = nullptr);

  // Runs a task of yours with a Client, on a thread of this client: several operations without a
  // handover in between, or any that is not above. It counts as one operation; what it waits for
  // must be bounded.
  using Job = std::function<Task<Status>(Client&)>;
  Status run(Job job, Done<Status> done, CompletionQueue* to = nullptr);

  std::future<Result<Record>> get(std::string_view key) {
    return promised<Result<Record>>(
        [&](Done<Result<Record>> done) { return get(key, std::move(done)); });
  }
  std::future<Result<std::uint64_t>> put(std::string_view key, std::string_view value,
                                         Expiry expiry = {}) {
    return promised<Result<std::uint64_t>>([&](Done<Result<std::uint64_t>> done) {
      return put(key, value, std::move(done), nullptr, expiry);
    });
  }
  std::future<Result<std::uint64_t>> put_if(std::string_view key, std::string_view value,
                                            std::uint64_t expected, Expiry expiry = {}) {
    return promised<Result<std::uint64_t>>([&](Done<Result<std::uint64_t>> done) {
      return put_if(key, value, expected, std::move(done), nullptr, expiry);
    });
  }
  std::future<Result<std::uint64_t>> set_end(std::string_view key, Expiry expiry,
                                             std::uint64_t expected = 0) {
    return promised<Result<std::uint64_t>>([&](Done<Result<std::uint64_t>> done) {
      return set_end(key, expiry, expected, std::move(done));
    });
  }
  std::future<Result<std::uint64_t>> remove(std::string_view key) {
    return promised<Result<std::uint64_t>>(
        [&](Done<Result<std::uint64_t>> done) { return remove(key, std::move(done)); });
  }
  std::future<Result<std::uint64_t>> remove_if(std::string_view key, std::uint64_t expected) {
    return promised<Result<std::uint64_t>>([&](Done<Result<std::uint64_t>> done) {
      return remove_if(key, expected, std::move(done));
    });
  }
  std::future<Result<Appended>> append(std::string_view key, std::string_view text) {
    return promised<Result<Appended>>(
        [&](Done<Result<Appended>> done) { return append(key, text, std::move(done)); });
  }
  std::future<Result<Incremented>> increment(std::string_view key, std::int64_t by = 1) {
    return promised<Result<Incremented>>(
        [&](Done<Result<Incremented>> done) { return increment(key, by, std::move(done)); });
  }
  std::future<Result<Records>> multi_get(std::vector<std::string> keys) {
    return promised<Result<Records>>(
        [&](Done<Result<Records>> done) { return multi_get(std::move(keys), std::move(done)); });
  }
  std::future<Result<Versions>> write(std::vector<SharedWrite> batch) {
    return promised<Result<Versions>>(
        [&](Done<Result<Versions>> done) { return write(std::move(batch), std::move(done)); });
  }
  std::future<Result<std::vector<ScanRange>>> scan_ranges(std::size_t parts) {
    return promised<Result<std::vector<ScanRange>>>([&](Done<Result<std::vector<ScanRange>>> done) {
      return scan_ranges(parts, std::move(done));
    });
  }
  std::future<Result<ScanPage>> scan(ScanRange range) {
    return promised<Result<ScanPage>>(
        [&](Done<Result<ScanPage>> done) { return scan(range, std::move(done)); });
  }
  std::future<Result<std::string>> stat() {
    return promised<Result<std::string>>(
        [&](Done<Result<std::string>> done) { return stat(std::move(done)); });
  }
  std::future<Status> run(Job job) {
    return promised<Status>(
        [&](Done<Status> done) { return run(std::move(job), std::move(done)); });
  }

  // As Client::inline_limit.
  std::size_t inline_limit() const;
  // Whether the caller is one of this client's own threads, in a function or a job.
  bool on_own_thread() const;

 private:
  struct Impl;
  explicit SharedClient(std::unique_ptr<Impl> impl);

  template <class T, class Begin>
  static std::future<T> promised(Begin begin) {
    auto promise = std::make_shared<std::promise<T>>();
    std::future<T> future = promise->get_future();
    Status begun = begin([promise](T outcome) { promise->set_value(std::move(outcome)); });
    if (!begun.ok()) promise->set_value(std::move(begun));
    return future;
  }
  template <class T, class Operation>
  Status submit(Operation operation, Done<T> done, CompletionQueue* to);

  std::unique_ptr<Impl> impl_;
};

}  // namespace scalio
