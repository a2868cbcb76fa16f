#include "net/find_host.h"

#include <fmt/format.h>

#include <atomic>
#include <memory>

#include "task/thread.h"

namespace scalio::net {

namespace {
constexpr Nanos kLookAgain = 2 * kMillisecond;
}  // namespace

// Names are looked up on a thread of their own, because the C library's only portable way blocks,
// for longer than any bound of ours; a lookup that takes too long is left to end alone.
Task<Result<std::vector<Address>>> find_host(EventLoop& loop, std::string host, std::uint16_t port,
                                             Nanos deadline) {
  Result<std::vector<Address>> numeric = resolve(host, port, true, false);
  if (numeric.ok()) co_return numeric;

  struct Lookup {
    std::atomic<bool> done{false};
    Result<std::vector<Address>> result = Status(Code::timed_out, "");
  };
  auto lookup = std::make_shared<Lookup>();
  Result<std::thread> thread = start_thread("scalio-lookup", [lookup, host, port] {
    lookup->result = resolve(host, port, false, false);
    lookup->done.store(true, std::memory_order_release);
  });
  if (!thread.ok()) co_return thread.status();
  thread->detach();
  while (!lookup->done.load(std::memory_order_acquire)) {
    if (loop.now() >= deadline) {
      co_return Status(Code::timed_out, fmt::format("looking up host {} takes too long", host));
    }
    co_await loop.sleep(kLookAgain);
  }
  co_return std::move(lookup->result);
}

}  // namespace scalio::net
