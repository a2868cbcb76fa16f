// Scalio's client in one page: connect, write, read, read many, and write only if nobody else has.
// Run it as `hello unix:/path` or `hello tcp:host:port` against a running server.
#include <scalio/client.h>

#include <array>
#include <charconv>
#include <iostream>

namespace {

// The coroutine form: each operation is awaited, and a thread may have many such tasks in flight.
// Adds one to the number at `key`, over again when another client was faster.
scalio::Task<scalio::Status> increment(scalio::Client& client, std::string_view key) {
  for (;;) {
    auto now = co_await client.get(key);
    if (!now.ok() && now.code() != scalio::Code::not_found) co_return now.status();
    std::uint64_t number = 0, version = 0;
    if (now.ok()) {
      const char* end = now->value.data() + now->value.size();
      const auto [rest, error] = std::from_chars(now->value.data(), end, number);
      if (error != std::errc() || rest != end)
        co_return scalio::Status(scalio::Code::invalid, std::string(key) + " is no number");
      version = now->version;
    }
    const std::string next = std::to_string(number + 1);
    auto put = co_await client.put_if(key, next, version);
    if (put.code() != scalio::Code::conflict) co_return put.status();
  }
}

int fail(const scalio::Status& status) {
  std::cerr << "hello: " << status.to_string() << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: hello URI\n";
    return 2;
  }
  auto connected = scalio::Client::connect(argv[1]);
  if (!connected.ok()) return fail(connected.status());
  scalio::Client& client = **connected;

  // The blocking form: run() one operation to its end.
  auto put = client.run(client.put("greeting", "hello, world"));
  if (!put.ok()) return fail(put.status());
  auto got = client.run(client.get("greeting"));
  if (!got.ok()) return fail(got.status());
  std::cout << "greeting = " << got->value << '\n';

  // A conditional put names the version it replaces; version 0 is "no such key", which is no longer
  // true.
  auto conflict = client.run(client.put_if("greeting", "mine", 0));
  std::cout << "put_if over an existing key: " << scalio::to_string(conflict.code()) << '\n';

  if (auto status = client.run(increment(client, "runs")); !status.ok()) return fail(status);
  const std::array<std::string_view, 3> keys = {"greeting", "runs", "nothing"};
  auto records = client.run(client.multi_get(keys));
  for (std::size_t i = 0; i < keys.size(); i++) {
    std::cout << keys[i] << ": "
              << (records[i].ok() ? records[i]->value : records[i].status().to_string()) << '\n';
  }
  return 0;
}
