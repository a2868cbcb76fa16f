// Scalio in a program with an event loop of its own, here Asio's: operations are begun and awaited
// on the loop's thread, which goes on meanwhile. Run it as `asio unix:/path` or `asio
// tcp:host:port`.
//
// A CompletionQueue has a descriptor, which any loop can wait for: poll(), epoll, libuv, Asio.
#include <scalio/shared_client.h>
#include <unistd.h>

#include <asio.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

namespace {

// Has the loop poll a queue as long as this is there.
class Polling {
 public:
  Polling(asio::io_context& loop, scalio::CompletionQueue& queue)
      : queue_(queue), readable_(loop, dup(queue.fd())) {
    wait();
  }

 private:
  void wait() {
    readable_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
      if (error) return;
      queue_.poll();
      wait();
    });
  }
  scalio::CompletionQueue& queue_;
  asio::posix::stream_descriptor readable_;
};

// An operation as Asio's: `begin(done)` begins it, and T is what it gives.
template <class T, class Begin>
asio::awaitable<T> await(Begin begin) {
  co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(T)>(
      [begin = std::move(begin)](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        scalio::Status begun =
            begin([shared](T outcome) { std::move (*shared)(std::move(outcome)); });
        if (begun.ok()) return;
        asio::post(asio::get_associated_executor(*shared),
                   [shared, begun]() mutable { std::move (*shared)(T(std::move(begun))); });
      },
      asio::use_awaitable);
}

asio::awaitable<void> greet(scalio::SharedClient& client, scalio::CompletionQueue& queue) {
  using Version = scalio::Result<std::uint64_t>;
  using Record = scalio::Result<scalio::Record>;
  const Version put = co_await await<Version>([&](scalio::Done<Version> done) {
    return client.put("greeting", "hello, loop", std::move(done), &queue);
  });
  if (!put.ok()) {
    std::cerr << "asio: " << put.status().to_string() << '\n';
    co_return;
  }
  const Record got = co_await await<Record>(
      [&](scalio::Done<Record> done) { return client.get("greeting", std::move(done), &queue); });
  std::cout << "greeting = " << (got.ok() ? got->value : got.status().to_string()) << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: asio URI\n";
    return 2;
  }
  auto client = scalio::SharedClient::connect(argv[1]);
  auto queue = scalio::CompletionQueue::create();
  if (!client.ok() || !queue.ok()) {
    std::cerr << "asio: " << (client.ok() ? queue.status() : client.status()).to_string() << '\n';
    return 1;
  }
  asio::io_context loop;
  Polling polling(loop, **queue);
  asio::co_spawn(loop, greet(**client, **queue), [&](std::exception_ptr) { loop.stop(); });
  loop.run();
  return 0;
}
