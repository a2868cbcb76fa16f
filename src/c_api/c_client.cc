// The operations: arguments are checked and copied, a SharedClient does the rest, and no exception
// leaves. An operation that waits is one that calls a function, with a wait for it; one of a value
// in parts is a job of the SharedClient, which has the waiting caller do what its function does.
#include <scalio/shared_client.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "c_api/c_options.h"
#include "c_api/c_result.h"
#include "c_api/waiting_caller.h"
#include "client/client_loop.h"
#include "layout/record.h"

namespace c = scalio::c;
using scalio::Appended;
using scalio::BatchWrite;
using scalio::Client;
using scalio::Code;
using scalio::CompletionQueue;
using scalio::Done;
using scalio::EventLoop;
using scalio::Expiry;
using scalio::Incremented;
using scalio::PartSink;
using scalio::PartSource;
using scalio::PartView;
using scalio::Record;
using scalio::Result;
using scalio::ScanPage;
using scalio::ScanRange;
using scalio::SharedClient;
using scalio::SharedClientOptions;
using scalio::SharedWrite;
using scalio::Status;
using scalio::Task;
using scalio::c::WaitingCaller;
using scalio::client::ClientLoop;

struct scalio_client {
  std::unique_ptr<SharedClient> shared;
};

struct scalio_queue {
  std::unique_ptr<CompletionQueue> completions;
};

namespace {

// What is to be called, and by whom.
struct Target {
  scalio_done done;
  void* user;
  scalio_queue* queue;
};

scalio_result* failed(Code code, const char* message) {
  return c::new_result(Status(code, message));
}

bool is_put(const scalio_write& write) {
  return write.kind == SCALIO_PUT || write.kind == SCALIO_PUT_IF;
}

// Runs what may throw.
template <class F>
scalio_result* guarded(F body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return c::no_memory();
  } catch (const std::exception& e) {
    return failed(Code::unavailable, e.what());
  }
}

// Nothing in memory has more bytes.
constexpr std::size_t kMostBytes = PTRDIFF_MAX;
// More ranges of a store are of no use to anybody, and each takes memory.
constexpr std::size_t kMostRanges = 65'536;
static_assert(scalio::layout::kMaxKey == 255);

// What is wrong with bytes that are to be copied; NULL if nothing is.
const char* fault_of(const void* data, std::size_t size) {
  if (data == nullptr && size > 0) return "bytes at NULL whose size is not 0";
  return size > kMostBytes ? "bytes of a size that no memory has" : nullptr;
}
const char* fault_of(const scalio_bytes& b) { return fault_of(b.data, b.size); }
// The same of so many `elements`.
template <class T>
const char* fault_of_list(const T* elements, std::size_t count) {
  if (elements == nullptr && count > 0) return "the list is NULL and its size is not 0";
  return count > kMostBytes / sizeof(T) ? "a list of a size that no memory has" : nullptr;
}
std::string_view view(const void* data, std::size_t size) {
  return {static_cast<const char*>(data), size};
}
// A time that is left, and has been computed to be 0, is none: only one since 1970 may be never.
Expiry expiry_of(const scalio_expiry& e) {
  const std::chrono::nanoseconds time(e.nanoseconds);
  return e.from_now != 0 ? Expiry::after(time) : Expiry{time, false};
}
std::string text(const scalio_bytes& b) { return std::string(view(b.data, b.size)); }

// A key and a value as given; a key without a value has none.
struct Given {
  const void* key;
  std::size_t key_size;
  const void* value = nullptr;
  std::size_t value_size = 0;
  std::string_view key_view() const { return view(key, key_size); }
  std::string_view value_view() const { return view(value, value_size); }
  // What is wrong with them; NULL if nothing is that must be said before they are copied.
  const char* fault() const {
    if (key_size > scalio::layout::kMaxKey) return "a key has 1 to 255 bytes";
    const char* const of_key = fault_of(key, key_size);
    return of_key ? of_key : fault_of(value, value_size);
  }
};

// `begin(shared, done, queue)` begins an operation on the SharedClient, whose outcome is a T.
template <class T, class Begin>
scalio_result* begin_with(scalio_client* client, const Target& to, Begin begin) {
  if (!client) return failed(Code::invalid, "the client is NULL");
  if (!to.done) return failed(Code::invalid, "the function to be called is NULL");
  return guarded([&]() -> scalio_result* {
    Done<T> done = [f = to.done, user = to.user](T outcome) {
      f(c::new_result(std::move(outcome)), user);
    };
    CompletionQueue* const queue = to.queue ? to.queue->completions.get() : nullptr;
    Status begun = begin(*client->shared, std::move(done), queue);
    return begun.ok() ? nullptr : c::new_result(std::move(begun));
  });
}

// `begin(done, caller)` begins an operation that calls a function with it: waits for that.
template <class Begin>
scalio_result* wait_for(scalio_client* client, Begin begin) {
  if (client && client->shared->on_own_thread()) {
    return failed(Code::invalid,
                  "an operation that waits, in a function that this client calls: it would wait "
                  "for itself; begin one that calls a function");
  }
  return guarded([&]() -> scalio_result* {
    WaitingCaller caller;
    scalio_result* const not_begun = begin(WaitingCaller::end, &caller);
    return not_begun ? not_begun : caller.wait();
  });
}

// What the caller's function has said of a part: a failure, if the operation is to end with it.
Status said_of_part(int code, const char* ended) {
  if (code == SCALIO_OK) return Status();
  if (code > SCALIO_OK && code <= SCALIO_DENIED) return Status(static_cast<Code>(code), ended);
  return Status(Code::invalid, std::string(ended) + ": it has returned " + std::to_string(code) +
                                   ", which is no code");
}

// A value that is read for a caller whose function takes its parts.
struct Reading {
  WaitingCaller& caller;
  std::string_view key;
  std::uint64_t from;
  scalio_take_part take;
  void* user;
  scalio_part last;  // that it was given

  Task<Status> run(Client& client) {
    EventLoop& loop = ClientLoop::of(client);
    const PartSink sink = [&](const PartView& part) -> Task<Status> {
      last = {part.bytes.empty() ? "" : part.bytes.data(),
              part.bytes.size(),
              part.offset,
              part.length,
              part.version,
              part.end.time_since_epoch().count()};
      int said = SCALIO_OK;
      co_await caller.let_do(loop, [&] { said = take(&last, user); });
      co_return said_of_part(said, "the function that takes the parts has ended the reading");
    };
    const Result<std::uint64_t> version = co_await client.get_parts(key, sink, from);
    co_return version.status();
  }
};

// A value that is written for a caller whose function gives its parts.
struct Writing {
  WaitingCaller& caller;
  std::string_view key;
  std::uint64_t length;
  std::optional<std::uint64_t> expected;
  Expiry expiry;
  scalio_fill_part fill;
  void* user;
  std::uint64_t filled = 0;
  std::uint64_t version = 0;

  Status ended_with(Code code, const std::string& why) const {
    return Status(code, "the value was not written: " + why + " after " + std::to_string(filled) +
                            " of " + std::to_string(length) + " bytes");
  }

  // On the caller's thread.
  Status fill_all(std::span<char> part) {
    while (!part.empty()) {
      scalio_room room{part.data(), part.size(), 0};
      Status said = said_of_part(fill(&room, user),
                                 "the value was not written: the function that gives its parts has "
                                 "ended that");
      if (!said.ok()) return said;
      if (room.filled == 0)
        return ended_with(Code::invalid, "the function that gives its parts gave none");
      if (room.filled > part.size())
        return ended_with(Code::invalid, "the function says that it filled more than its room");
      filled += room.filled;
      part = part.subspan(room.filled);
    }
    return Status();
  }

  Task<Status> run(Client& client) {
    EventLoop& loop = ClientLoop::of(client);
    const PartSource source = [&](std::span<char> part) -> Task<Status> {
      Status status;
      co_await caller.let_do(loop, [&] { status = fill_all(part); });
      co_return status;
    };
    if (expected) {
      co_return note(co_await client.put_parts_if(key, length, source, *expected, expiry));
    }
    co_return note(co_await client.put_parts(key, length, source, expiry));
  }
  Status note(const Result<std::uint64_t>& put) {
    if (put.ok()) version = *put;
    return put.status();
  }
};

// Waits for a Reading or a Writing, which `with(caller)` makes in `job`.
template <class Job, class With>
scalio_result* wait_for_job(scalio_client* client, std::optional<Job>& job, With with) {
  return wait_for(client, [&](scalio_done done, WaitingCaller* caller) {
    job.emplace(with(*caller));
    return begin_with<Status>(client, {done, caller, nullptr}, [&](SharedClient& s, auto f, auto*) {
      return s.run([&job](Client& c) { return job->run(c); }, std::move(f));
    });
  });
}

scalio_result* put_parts(scalio_client* client, const Given& given, std::uint64_t length,
                         std::optional<std::uint64_t> expected, const scalio_expiry& expiry,
                         scalio_fill_part fill, void* user) {
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  if (!fill) return failed(Code::invalid, "the function that gives the parts is NULL");
  std::optional<Writing> job;
  scalio_result* const put = wait_for_job(client, job, [&](WaitingCaller& caller) {
    return Writing{caller, given.key_view(), length, expected, expiry_of(expiry), fill, user};
  });
  if (scalio_result_code(put) == SCALIO_OK) put->version = job->version;
  return put;
}
}  // namespace

const char* scalio_version() { return SCALIO_VERSION; }

const char* scalio_code_name(int code) {
  if (code < SCALIO_OK || code > SCALIO_DENIED) return "unknown code";
  return scalio::to_string(static_cast<Code>(code)).data();
}

scalio_result* scalio_connect(const char* uri, const scalio_options* options,
                              scalio_client** client) {
  if (!client) return failed(Code::invalid, "the place for the client is NULL");
  *client = nullptr;
  if (!uri) return failed(Code::invalid, "the URI is NULL");
  return guarded([&]() -> scalio_result* {
    auto made = SharedClient::connect(uri, options ? options->value : SharedClientOptions());
    if (!made.ok()) return c::new_result(made.status());
    *client = new scalio_client{*std::move(made)};
    return nullptr;
  });
}

void scalio_client_free(scalio_client* client) { delete client; }

size_t scalio_inline_limit(const scalio_client* client) {
  return client ? client->shared->inline_limit() : 0;
}

// --- Operations that call a function -------------------------------------------------------------

scalio_result* scalio_get_async(scalio_client* client, const void* key, size_t key_size,
                                scalio_done done, void* user, scalio_queue* queue) {
  const Given given{key, key_size};
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  return begin_with<Result<Record>>(
      client, {done, user, queue},
      [&](SharedClient& s, auto f, auto* q) { return s.get(given.key_view(), std::move(f), q); });
}

scalio_result* scalio_multi_get_async(scalio_client* client, const scalio_bytes* keys, size_t count,
                                      scalio_done done, void* user, scalio_queue* queue) {
  if (const char* fault = fault_of_list(keys, count)) return failed(Code::invalid, fault);
  for (size_t i = 0; i < count; ++i) {
    if (const char* fault = fault_of(keys[i])) return failed(Code::invalid, fault);
  }
  return begin_with<Result<SharedClient::Records>>(
      client, {done, user, queue}, [&](SharedClient& s, auto f, auto* q) {
        std::vector<std::string> copies;
        for (size_t i = 0; i < count; ++i) copies.push_back(text(keys[i]));
        return s.multi_get(std::move(copies), std::move(f), q);
      });
}

scalio_result* scalio_put_async(scalio_client* client, const void* key, size_t key_size,
                                const void* value, size_t value_size, scalio_done done, void* user,
                                scalio_queue* queue) {
  return scalio_put_until_async(client, key, key_size, value, value_size, {0, 0}, done, user,
                                queue);
}

scalio_result* scalio_put_until_async(scalio_client* client, const void* key, size_t key_size,
                                      const void* value, size_t value_size, scalio_expiry expiry,
                                      scalio_done done, void* user, scalio_queue* queue) {
  const Given given{key, key_size, value, value_size};
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  return begin_with<Result<std::uint64_t>>(
      client, {done, user, queue}, [&](SharedClient& s, auto f, auto* q) {
        return s.put(given.key_view(), given.value_view(), std::move(f), q, expiry_of(expiry));
      });
}

scalio_result* scalio_put_if_async(scalio_client* client, const void* key, size_t key_size,
                                   const void* value, size_t value_size, uint64_t expected,
                                   scalio_done done, void* user, scalio_queue* queue) {
  return scalio_put_if_until_async(client, key, key_size, value, value_size, expected, {0, 0}, done,
                                   user, queue);
}

scalio_result* scalio_put_if_until_async(scalio_client* client, const void* key, size_t key_size,
                                         const void* value, size_t value_size, uint64_t expected,
                                         scalio_expiry expiry, scalio_done done, void* user,
                                         scalio_queue* queue) {
  const Given given{key, key_size, value, value_size};
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  return begin_with<Result<std::uint64_t>>(
      client, {done, user, queue}, [&](SharedClient& s, auto f, auto* q) {
        return s.put_if(given.key_view(), given.value_view(), expected, std::move(f), q,
                        expiry_of(expiry));
      });
}

scalio_result* scalio_set_end_async(scalio_client* client, const void* key, size_t key_size,
                                    scalio_expiry expiry, uint64_t expected, scalio_done done,
                                    void* user, scalio_queue* queue) {
  const Given given{key, key_size};
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  return begin_with<Result<std::uint64_t>>(
      client, {done, user, queue}, [&](SharedClient& s, auto f, auto* q) {
        return s.set_end(given.key_view(), expiry_of(expiry), expected, std::move(f), q);
      });
}

scalio_result* scalio_remove_async(scalio_client* client, const void* key, size_t key_size,
                                   scalio_done done, void* user, scalio_queue* queue) {
  const Given given{key, key_size};
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  return begin_with<Result<std::uint64_t>>(client, {done, user, queue},
                                           [&](SharedClient& s, auto f, auto* q) {
                                             return s.remove(given.key_view(), std::move(f), q);
                                           });
}

scalio_result* scalio_remove_if_async(scalio_client* client, const void* key, size_t key_size,
                                      uint64_t expected, scalio_done done, void* user,
                                      scalio_queue* queue) {
  const Given given{key, key_size};
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  return begin_with<Result<std::uint64_t>>(
      client, {done, user, queue}, [&](SharedClient& s, auto f, auto* q) {
        return s.remove_if(given.key_view(), expected, std::move(f), q);
      });
}

scalio_result* scalio_append_async(scalio_client* client, const void* key, size_t key_size,
                                   const void* text, size_t text_size, scalio_done done, void* user,
                                   scalio_queue* queue) {
  const Given given{key, key_size, text, text_size};
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  return begin_with<Result<Appended>>(
      client, {done, user, queue}, [&](SharedClient& s, auto f, auto* q) {
        return s.append(given.key_view(), given.value_view(), std::move(f), q);
      });
}

scalio_result* scalio_increment_async(scalio_client* client, const void* key, size_t key_size,
                                      int64_t by, scalio_done done, void* user,
                                      scalio_queue* queue) {
  const Given given{key, key_size};
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  return begin_with<Result<Incremented>>(
      client, {done, user, queue}, [&](SharedClient& s, auto f, auto* q) {
        return s.increment(given.key_view(), by, std::move(f), q);
      });
}

scalio_result* scalio_batch_async(scalio_client* client, const scalio_write* writes, size_t count,
                                  scalio_done done, void* user, scalio_queue* queue) {
  if (const char* fault = fault_of_list(writes, count)) return failed(Code::invalid, fault);
  for (size_t i = 0; i < count; ++i) {
    if (writes[i].kind < SCALIO_PUT || writes[i].kind > SCALIO_REMOVE_IF) {
      return failed(Code::invalid, "a write of a batch is of no kind that there is");
    }
    const char* fault = fault_of(writes[i].key);
    if (!fault && is_put(writes[i])) fault = fault_of(writes[i].value);
    if (fault) return failed(Code::invalid, fault);
  }
  return begin_with<Result<SharedClient::Versions>>(
      client, {done, user, queue}, [&](SharedClient& s, auto f, auto* q) {
        std::vector<SharedWrite> copies;
        for (size_t i = 0; i < count; ++i) {
          const scalio_write& w = writes[i];
          copies.push_back({.kind = static_cast<BatchWrite::Kind>(w.kind),
                            .key = text(w.key),
                            .value = is_put(w) ? text(w.value) : std::string(),
                            .expected = w.expected,
                            .expiry = expiry_of(w.expiry)});
        }
        return s.write(std::move(copies), std::move(f), q);
      });
}

scalio_result* scalio_scan_ranges_async(scalio_client* client, size_t parts, scalio_done done,
                                        void* user, scalio_queue* queue) {
  return begin_with<Result<std::vector<ScanRange>>>(
      client, {done, user, queue}, [&](SharedClient& s, auto f, auto* q) {
        return s.scan_ranges(std::min(parts, kMostRanges), std::move(f), q);
      });
}

scalio_result* scalio_scan_async(scalio_client* client, scalio_range range, scalio_done done,
                                 void* user, scalio_queue* queue) {
  return begin_with<Result<ScanPage>>(client, {done, user, queue},
                                      [&](SharedClient& s, auto f, auto* q) {
                                        return s.scan({range.begin, range.end}, std::move(f), q);
                                      });
}

scalio_result* scalio_stat_async(scalio_client* client, scalio_done done, void* user,
                                 scalio_queue* queue) {
  return begin_with<Result<std::string>>(
      client, {done, user, queue},
      [&](SharedClient& s, auto f, auto* q) { return s.stat(std::move(f), q); });
}

// --- Operations that wait ------------------------------------------------------------------------

scalio_result* scalio_get(scalio_client* client, const void* key, size_t key_size) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_get_async(client, key, key_size, done, user, nullptr);
  });
}

scalio_result* scalio_multi_get(scalio_client* client, const scalio_bytes* keys, size_t count) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_multi_get_async(client, keys, count, done, user, nullptr);
  });
}

scalio_result* scalio_put(scalio_client* client, const void* key, size_t key_size,
                          const void* value, size_t value_size) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_put_async(client, key, key_size, value, value_size, done, user, nullptr);
  });
}

scalio_result* scalio_put_if(scalio_client* client, const void* key, size_t key_size,
                             const void* value, size_t value_size, uint64_t expected) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_put_if_async(client, key, key_size, value, value_size, expected, done, user,
                               nullptr);
  });
}

scalio_result* scalio_put_until(scalio_client* client, const void* key, size_t key_size,
                                const void* value, size_t value_size, scalio_expiry expiry) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_put_until_async(client, key, key_size, value, value_size, expiry, done, user,
                                  nullptr);
  });
}

scalio_result* scalio_put_if_until(scalio_client* client, const void* key, size_t key_size,
                                   const void* value, size_t value_size, uint64_t expected,
                                   scalio_expiry expiry) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_put_if_until_async(client, key, key_size, value, value_size, expected, expiry,
                                     done, user, nullptr);
  });
}

scalio_result* scalio_put_parts(scalio_client* client, const void* key, size_t key_size,
                                uint64_t length, scalio_expiry expiry, scalio_fill_part fill,
                                void* user) {
  return put_parts(client, {key, key_size}, length, std::nullopt, expiry, fill, user);
}

scalio_result* scalio_put_parts_if(scalio_client* client, const void* key, size_t key_size,
                                   uint64_t length, uint64_t expected, scalio_expiry expiry,
                                   scalio_fill_part fill, void* user) {
  return put_parts(client, {key, key_size}, length, expected, expiry, fill, user);
}

scalio_result* scalio_get_parts(scalio_client* client, const void* key, size_t key_size,
                                uint64_t from, scalio_take_part take, void* user) {
  const Given given{key, key_size};
  if (const char* fault = given.fault()) return failed(Code::invalid, fault);
  if (!take) return failed(Code::invalid, "the function that takes the parts is NULL");
  std::optional<Reading> job;
  scalio_result* const got = wait_for_job(client, job, [&](WaitingCaller& caller) {
    return Reading{caller, given.key_view(), from, take, user, {}};
  });
  if (scalio_result_code(got) == SCALIO_OK) {
    got->unread = job->last.length;
    got->version = job->last.version;
    got->end = job->last.end;
  }
  return got;
}

scalio_result* scalio_set_end(scalio_client* client, const void* key, size_t key_size,
                              scalio_expiry expiry, uint64_t expected) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_set_end_async(client, key, key_size, expiry, expected, done, user, nullptr);
  });
}

scalio_result* scalio_remove(scalio_client* client, const void* key, size_t key_size) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_remove_async(client, key, key_size, done, user, nullptr);
  });
}

scalio_result* scalio_remove_if(scalio_client* client, const void* key, size_t key_size,
                                uint64_t expected) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_remove_if_async(client, key, key_size, expected, done, user, nullptr);
  });
}

scalio_result* scalio_append(scalio_client* client, const void* key, size_t key_size,
                             const void* text, size_t text_size) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_append_async(client, key, key_size, text, text_size, done, user, nullptr);
  });
}

scalio_result* scalio_increment(scalio_client* client, const void* key, size_t key_size,
                                int64_t by) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_increment_async(client, key, key_size, by, done, user, nullptr);
  });
}

scalio_result* scalio_batch(scalio_client* client, const scalio_write* writes, size_t count) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_batch_async(client, writes, count, done, user, nullptr);
  });
}

scalio_result* scalio_scan_ranges(scalio_client* client, size_t parts) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_scan_ranges_async(client, parts, done, user, nullptr);
  });
}

scalio_result* scalio_scan(scalio_client* client, scalio_range range) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_scan_async(client, range, done, user, nullptr);
  });
}

scalio_result* scalio_stat(scalio_client* client) {
  return wait_for(client, [&](scalio_done done, void* user) {
    return scalio_stat_async(client, done, user, nullptr);
  });
}

// --- Queues --------------------------------------------------------------------------------------

scalio_result* scalio_queue_new(size_t limit, scalio_queue** queue) {
  if (!queue) return failed(Code::invalid, "the place for the queue is NULL");
  *queue = nullptr;
  return guarded([&]() -> scalio_result* {
    auto made = CompletionQueue::create(limit);
    if (!made.ok()) return c::new_result(made.status());
    *queue = new scalio_queue{*std::move(made)};
    return nullptr;
  });
}

void scalio_queue_free(scalio_queue* queue) { delete queue; }

int scalio_queue_fd(const scalio_queue* queue) { return queue ? queue->completions->fd() : -1; }

size_t scalio_queue_poll(scalio_queue* queue) { return queue ? queue->completions->poll() : 0; }
