#include <fmt/format.h>
#include <scalio/shared_client.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "client/completion_queue_impl.h"
#include "client/in_flight.h"
#include "client/shared_worker.h"
#include "task/fork_mark.h"

namespace scalio {

using client::InFlight;
using client::SharedWorker;

namespace {
constexpr unsigned kMostThreads = 64;
constexpr std::size_t kMostInFlight = std::size_t{1} << 20;

// Spreads the callers over the workers where these have the same work.
std::size_t number_of_this_thread() {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t number = threads++;
  return number;
}

Status check(const SharedClientOptions& options) {
  if (options.threads < 1 || options.threads > kMostThreads) {
    return Status(Code::invalid, fmt::format("a shared client of {} threads: it has 1 to {}",
                                             options.threads, kMostThreads));
  }
  if (options.in_flight < 1 || options.in_flight > kMostInFlight) {
    return Status(Code::invalid, fmt::format("{} operations in flight: a thread has 1 to {}",
                                             options.in_flight, kMostInFlight));
  }
  if (options.submit_timeout.count() < 0) {
    return Status(Code::invalid, "the time to wait for room is negative");
  }
  return Status();
}
}  // namespace

struct SharedClient::Impl {
  Impl(ForkMark fork_mark, SharedClientOptions o)
      : mark(std::move(fork_mark)),
        options(std::move(o)),
        in_flight(options.threads, options.in_flight) {}

  Status connect(std::string_view uri);
  // The worker that is to have an operation, which is counted as in flight.
  Result<std::size_t> begin();

  const ForkMark mark;
  const SharedClientOptions options;
  std::size_t inline_limit = 0;
  InFlight in_flight;
  std::mutex stop_mutex;
  std::vector<std::unique_ptr<SharedWorker>> workers;
};

// All at once: each waits for the server.
Status SharedClient::Impl::connect(std::string_view uri) {
  Status status;
  while (status.ok() && workers.size() < options.threads) {
    auto worker = std::make_unique<SharedWorker>(this);
    status = worker->start(std::string(uri), options.client);
    if (status.ok()) workers.push_back(std::move(worker));
  }
  for (const auto& worker : workers) {
    Status connected = worker->connected();
    if (status.ok()) status = std::move(connected);
  }
  if (status.ok()) inline_limit = workers.front()->inline_limit();
  return status;
}

Result<std::size_t> SharedClient::Impl::begin() {
  const std::size_t first = number_of_this_thread();
  const bool waits = options.submit_timeout.count() > 0 && SharedWorker::owner_here() != this;
  const std::optional<std::size_t> worker =
      waits ? in_flight.add(first, std::chrono::steady_clock::now() + options.submit_timeout)
            : in_flight.try_add(first);
  if (in_flight.closed()) {
    if (worker) {
      in_flight.done(*worker);
      in_flight.handed(*worker);
    }
    return Status(Code::unavailable, "the shared client was stopped");
  }
  if (worker) return *worker;
  return Status(Code::busy,
                fmt::format("{} operations are in flight on each of {} threads: wait for some, or "
                            "raise in_flight or submit_timeout",
                            options.in_flight, options.threads));
}

Result<std::unique_ptr<SharedClient>> SharedClient::connect(std::string_view uri,
                                                            SharedClientOptions options) {
  if (Status s = check(options); !s.ok()) return s;
  Result<ForkMark> mark = ForkMark::create();
  if (!mark.ok()) return mark.status();
  auto impl = std::make_unique<Impl>(*std::move(mark), std::move(options));
  if (Status s = impl->connect(uri); !s.ok()) return s;
  return std::unique_ptr<SharedClient>(new SharedClient(std::move(impl)));
}

SharedClient::SharedClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

SharedClient::~SharedClient() {
  if (impl_->mark.forked()) {
    // The threads are the parent's, and so are the connections.
    [[maybe_unused]] Impl* left = impl_.release();
    return;
  }
  stop();
}

void SharedClient::stop() {
  if (impl_->mark.forked()) return;
  if (on_own_thread()) {
    std::fputs(
        "scalio: a SharedClient is stopped or destroyed on one of its own threads, in a function "
        "or a job: this thread would wait for itself. Let another thread do it\n",
        stderr);
    std::abort();
  }
  std::lock_guard lock(impl_->stop_mutex);
  impl_->in_flight.close();
  impl_->in_flight.wait_for_none();
  for (const auto& worker : impl_->workers) worker->stop();
  impl_->workers.clear();
}

std::size_t SharedClient::inline_limit() const { return impl_->inline_limit; }
bool SharedClient::on_own_thread() const { return SharedWorker::owner_here() == impl_.get(); }

template <class T, class Operation>
Status SharedClient::submit(Operation operation, Done<T> done, CompletionQueue* to) {
  if (impl_->mark.forked()) {
    return Status(Code::unavailable,
                  "this process was forked from the one that connected: connect anew");
  }
  const std::shared_ptr<CompletionQueue::Impl> queue = to ? to->impl_ : nullptr;
  if (queue && !queue->begin()) {
    return Status(Code::busy, "the queue of completions is full: poll() it first");
  }
  const Result<std::size_t> chosen = impl_->begin();
  if (!chosen.ok()) {
    if (queue) queue->cancel();
    return chosen.status();
  }
  const std::size_t worker = *chosen;
  InFlight& in_flight = impl_->in_flight;
  impl_->workers[worker]->submit([&in_flight, worker, queue, operation = std::move(operation),
                                  done = std::move(done)](Client& client) mutable -> Task<void> {
    T outcome = co_await operation(client);
    // First, so that what the function begins has room.
    in_flight.done(worker);
    if (queue) {
      queue->push([done = std::move(done), outcome = std::move(outcome)]() mutable {
        done(std::move(outcome));
      });
    } else {
      done(std::move(outcome));
    }
  });
  in_flight.handed(worker);
  return Status();
}

Status SharedClient::get(std::string_view key, Done<Result<Record>> done, CompletionQueue* to) {
  return submit<Result<Record>>([key = std::string(key)](Client& c) { return c.get(key); },
                                std::move(done), to);
}

Status SharedClient::put(std::string_view key, std::string_view value,
                         Done<Result<std::uint64_t>> done, CompletionQueue* to, Expiry expiry) {
  return submit<Result<std::uint64_t>>([key = std::string(key), value = std::string(value),
                                        expiry](Client& c) { return c.put(key, value, expiry); },
                                       std::move(done), to);
}

Status SharedClient::put_if(std::string_view key, std::string_view value, std::uint64_t expected,
                            Done<Result<std::uint64_t>> done, CompletionQueue* to, Expiry expiry) {
  return submit<Result<std::uint64_t>>(
      [key = std::string(key), value = std::string(value), expected, expiry](Client& c) {
        return c.put_if(key, value, expected, expiry);
      },
      std::move(done), to);
}

Status SharedClient::set_end(std::string_view key, Expiry expiry, std::uint64_t expected,
                             Done<Result<std::uint64_t>> done, CompletionQueue* to) {
  return submit<Result<std::uint64_t>>([key = std::string(key), expiry, expected](
                                           Client& c) { return c.set_end(key, expiry, expected); },
                                       std::move(done), to);
}

Status SharedClient::remove(std::string_view key, Done<Result<std::uint64_t>> done,
                            CompletionQueue* to) {
  return submit<Result<std::uint64_t>>(
      [key = std::string(key)](Client& c) { return c.remove(key); }, std::move(done), to);
}

Status SharedClient::remove_if(std::string_view key, std::uint64_t expected,
                               Done<Result<std::uint64_t>> done, CompletionQueue* to) {
  return submit<Result<std::uint64_t>>(
      [key = std::string(key), expected](Client& c) { return c.remove_if(key, expected); },
      std::move(done), to);
}

Status SharedClient::append(std::string_view key, std::string_view text,
                            Done<Result<Appended>> done, CompletionQueue* to) {
  return submit<Result<Appended>>(
      [key = std::string(key), text = std::string(text)](Client& c) { return c.append(key, text); },
      std::move(done), to);
}

Status SharedClient::increment(std::string_view key, std::int64_t by,
                               Done<Result<Incremented>> done, CompletionQueue* to) {
  return submit<Result<Incremented>>(
      [key = std::string(key), by](Client& c) { return c.increment(key, by); }, std::move(done),
      to);
}

Status SharedClient::multi_get(std::vector<std::string> keys, Done<Result<Records>> done,
                               CompletionQueue* to) {
  auto all = [keys = std::move(keys)](Client& c) -> Task<Result<Records>> {
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    co_return co_await c.multi_get(views);
  };
  return submit<Result<Records>>(std::move(all), std::move(done), to);
}

Status SharedClient::write(std::vector<SharedWrite> batch, Done<Result<Versions>> done,
                           CompletionQueue* to) {
  auto all = [batch = std::move(batch)](Client& c) -> Task<Result<Versions>> {
    std::vector<BatchWrite> views;
    views.reserve(batch.size());
    for (const SharedWrite& w : batch) {
      views.push_back({.kind = w.kind,
                       .key = w.key,
                       .value = w.value,
                       .expected = w.expected,
                       .expiry = w.expiry});
    }
    co_return co_await c.write(views);
  };
  return submit<Result<Versions>>(std::move(all), std::move(done), to);
}

Status SharedClient::scan_ranges(std::size_t parts, Done<Result<std::vector<ScanRange>>> done,
                                 CompletionQueue* to) {
  auto divide = [parts](Client& c) -> Task<Result<std::vector<ScanRange>>> {
    co_return c.scan_ranges(parts);
  };
  return submit<Result<std::vector<ScanRange>>>(std::move(divide), std::move(done), to);
}

Status SharedClient::scan(ScanRange range, Done<Result<ScanPage>> done, CompletionQueue* to) {
  return submit<Result<ScanPage>>([range](Client& c) { return c.scan(range); }, std::move(done),
                                  to);
}

Status SharedClient::stat(Done<Result<std::string>> done, CompletionQueue* to) {
  return submit<Result<std::string>>([](Client& c) { return c.stat(); }, std::move(done), to);
}

Status SharedClient::run(Job job, Done<Status> done, CompletionQueue* to) {
  return submit<Status>([job = std::move(job)](Client& c) { return job(c); }, std::move(done), to);
}

}  // namespace scalio
