// A program that uses the library in one of the ways that a program may, for library_test:
//
//   scalio-library-user WAY URI
//
// Exit status 0 if all went as include/scalio/client.h and shared_client.h say; else 1, with what
// did not.
#include <scalio/client.h>
#include <scalio/shared_client.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace {

using scalio::Client;
using scalio::Code;
using scalio::Status;
using scalio::Task;
using Connected = scalio::Result<std::unique_ptr<Client>>;

// In a child too: nothing that was left by its parent must be needed for it.
[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  _exit(1);
}
void expect(bool good, const std::string& what) {
  if (!good) fail(what);
}
void expect_ok(const Status& status, const std::string& what) {
  expect(status.ok(), what + ": " + status.to_string());
}

Client& of(Connected& client) {
  expect_ok(client.status(), "connect");
  return **client;
}

void use(Client& client, const std::string& value) {
  expect_ok(client.run(client.put("key", value)).status(), "put");
  auto got = client.run(client.get("key"));
  expect_ok(got.status(), "get");
  expect(got->value == value, "get: another value");
  expect_ok(client.run(client.stat()).status(), "stat");
}

// --- Where a Client may be kept ------------------------------------------------------------------

int keep_static(const char* uri) {
  static Connected client = Client::connect(uri);
  use(of(client), "static");
  return 0;
}

int keep_in_thread(const char* uri) {
  const auto body = [uri] {
    thread_local Connected client = Client::connect(uri);
    use(of(client), "thread");
  };
  std::thread(body).join();
  body();
  return 0;
}

// Used on one thread after another, none of which is there at the end.
int keep_beyond_threads(const char* uri) {
  static std::optional<Connected> client;
  std::thread([uri] { use(of(client.emplace(Client::connect(uri))), "one"); }).join();
  std::thread([] { use(of(*client), "two"); }).join();
  return 0;
}

// The task that calls exit() is one of the client that exit() destroys.
int exit_in_task(const char* uri) {
  static Connected client = Client::connect(uri);
  of(client).run([](Client& c) -> Task<void> {
    expect_ok((co_await c.put("key", "exit")).status(), "put");
    std::exit(0);
  }(of(client)));
  fail("exit() returned");
}

// --- fork ----------------------------------------------------------------------------------------

// Runs `child` in a process forked from this one, which then ends as if it had returned from main.
void in_child(const std::function<void()>& child) {
  constexpr unsigned kBound = 20;  // a child that hangs is ended
  const pid_t pid = fork();
  expect(pid >= 0, "fork");
  if (pid == 0) {
    alarm(kBound);
    child();
    std::exit(0);
  }
  int status = 0;
  expect(waitpid(pid, &status, 0) == pid, "waitpid");
  expect(!WIFSIGNALED(status), "the child was ended by signal " + std::to_string(WTERMSIG(status)));
  expect(WEXITSTATUS(status) == 0, "the child failed");
}

void expect_forked(const Status& status) {
  expect(status.code() == Code::unavailable && status.message().find("fork") != std::string::npos,
         "in the child: " + status.to_string());
}

void expect_useless(Client& client) {
  const std::array<std::string_view, 2> keys{"key", "other"};
  // More than may be done without a turn of the loop.
  for (int i = 0; i < 1000; ++i) expect_forked(client.run(client.get("key")).status());
  for (auto& got : client.run(client.multi_get(keys))) expect_forked(got.status());
  expect_forked(client.run(client.put("key", "child")).status());
  expect_forked(client.run(client.put_if("key", "child", 0)).status());
  expect_forked(client.run(client.remove("key")).status());
  expect_forked(client.run(client.remove_if("key", 1)).status());
  const std::array<scalio::BatchWrite, 2> batch{{{.key = "key"}, {.key = "other"}}};
  for (auto& done : client.run(client.write(batch))) expect_forked(done.status());
  expect_forked(client.run(client.stat()).status());
  client.run(client.yield());
  client.wait_all();
  expect(client.inline_limit() > 0, "inline_limit");
}

int fork_and_end(const char* uri) {
  static Connected client = Client::connect(uri);
  use(of(client), "before");
  for (int i = 0; i < 3; ++i) {
    in_child([] {});
    use(of(client), "after");
  }
  return 0;
}

int fork_and_use(const char* uri) {
  static Connected client = Client::connect(uri);
  use(of(client), "before");
  // Made here and run there.
  auto get = of(client).get("key");
  auto put = of(client).put("key", "child");
  in_child([&] {
    expect_useless(of(client));
    expect_forked(of(client).run(std::move(get)).status());
    expect_forked(of(client).run(std::move(put)).status());
    client = Status(Code::unavailable, "destroyed");
    Connected own = Client::connect(uri);
    use(of(own), "child");
  });
  auto got = of(client).run(of(client).get("key"));
  expect_ok(got.status(), "get");
  expect(got->value == "child", "the child's own client put nothing");
  use(of(client), "after");
  return 0;
}

Task<void> put_into(Client* client, std::string_view key, Status* status) {
  *status = (co_await client->put(key, "in flight")).status();
}

// With a write and a read in flight.
int fork_in_flight(const char* uri) {
  static Connected client = Client::connect(uri);
  use(of(client), "before");
  Status put(Code::timed_out, "never ended");
  of(client).spawn(put_into(&of(client), "flying", &put));
  in_child([&] {
    expect_useless(of(client));
    of(client).wait_all();
    expect(put.code() == Code::timed_out, "the parent's write went on in the child");
  });
  of(client).wait_all();
  expect_ok(put, "put");
  use(of(client), "after");
  return 0;
}

// From a task, which goes on in both, and beside which others are ready.
int fork_in_task(const char* uri) {
  static Connected client = Client::connect(uri);
  use(of(client), "before");
  const pid_t parent = getpid();
  int turns = 0;
  const auto beside = [](Client* c, int* count) -> Task<void> {
    for (; *count < 100; ++*count) co_await c->yield();
  };
  const auto task = [](Client* c, pid_t* child) -> Task<void> {
    co_await c->yield();
    *child = fork();
    expect(*child >= 0, "fork");
    auto got = co_await c->get("key");
    if (*child == 0) {
      expect_forked(got.status());
    } else {
      expect_ok(got.status(), "get");
    }
  };
  of(client).spawn(beside(&of(client), &turns));
  pid_t child = 0;
  of(client).run(task(&of(client), &child));
  if (getpid() != parent) {
    of(client).wait_all();
    expect(turns < 100, "the parent's task went on in the child");
    return 0;
  }
  of(client).wait_all();
  int status = 0;
  expect(waitpid(child, &status, 0) == child && status == 0, "the child failed");
  use(of(client), "after");
  return 0;
}

// --- Taking turns --------------------------------------------------------------------------------

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kStarved{10};

struct Others {
  bool ended = false;
  Status put;
};

// What everybody else does: a write, and a GET that reads an SSD.
Task<void> write_and_miss(Client* client, Others* others) {
  others->put = (co_await client->put("other", "value")).status();
  (void)co_await client->get("absent");
  others->ended = true;
}

// Has `once` done again and again, all of which complete at once, until the others have ended.
void expect_turns(Client& client, const char* what,
                  const std::function<Task<void>(Client*)>& once) {
  Others others;
  const auto busy = [](Client* c, const std::function<Task<void>(Client*)>* f,
                       Others* o) -> Task<void> {
    const Clock::time_point begin = Clock::now();
    while (!o->ended && Clock::now() - begin < kStarved) co_await (*f)(c);
    expect(o->ended, "starved");
  };
  client.spawn(write_and_miss(&client, &others));
  std::fprintf(stderr, "%s\n", what);
  client.spawn(busy(&client, &once, &others));
  client.wait_all();
  expect_ok(others.put, "put beside others");
}

int take_turns(const char* uri) {
  Connected client = Client::connect(uri);
  use(of(client), "value");
  expect_turns(of(client), "hits", [](Client* c) -> Task<void> { (void)co_await c->get("key"); });
  expect_turns(of(client), "hits of multi_get", [](Client* c) -> Task<void> {
    const std::array<std::string_view, 2> keys{"key", "key"};
    (void)co_await c->multi_get(keys);
  });
  expect_turns(of(client), "keys that are none",
               [](Client* c) -> Task<void> { (void)co_await c->get(""); });
  expect_turns(of(client), "values that are too large", [](Client* c) -> Task<void> {
    const std::string value(c->inline_limit() + 1, 'v');
    (void)co_await c->put("key", value);
  });
  expect_turns(of(client), "batches of writes that cannot be", [](Client* c) -> Task<void> {
    const std::array<scalio::BatchWrite, 1> batch{{{.key = ""}}};
    (void)co_await c->write(batch);
  });
  expect_turns(of(client), "empty batches",
               [](Client* c) -> Task<void> { (void)co_await c->write({}); });
  expect_turns(of(client), "other work", [](Client* c) -> Task<void> { co_await c->yield(); });

  Others others;
  of(client).spawn(write_and_miss(&of(client), &others));
  const Clock::time_point begin = Clock::now();
  while (!others.ended && Clock::now() - begin < kStarved)
    (void)of(client).run(of(client).get("key"));
  expect(others.ended, "starved by run()");
  return 0;
}

// The program does other work for longer than an operation may take: the reply is there when it
// comes back.
int come_late(const char* uri) {
  scalio::ClientOptions options;
  options.operation_timeout = std::chrono::milliseconds(1500);
  Connected client = Client::connect(uri, options);
  use(of(client), "value");
  Others others;
  of(client).spawn(write_and_miss(&of(client), &others));
  for (int i = 0; i < 3; ++i) of(client).run(of(client).yield());
  std::this_thread::sleep_for(3 * options.operation_timeout);
  of(client).wait_all();
  expect_ok(others.put, "put");
  return 0;
}

// --- Threads -------------------------------------------------------------------------------------

// The second thread's operation must end the process.
int use_on_two_threads(const char* uri) {
  Connected client = Client::connect(uri);
  const auto sleep = [](Client* c, std::promise<void>* running) -> Task<void> {
    running->set_value();
    co_await c->sleep(2 * kStarved);
  };
  std::promise<void> running;
  std::thread other([&] { of(client).run(sleep(&of(client), &running)); });
  running.get_future().wait();
  (void)of(client).run(of(client).get("key"));
  fail("two threads used the client");
}

using Shared = scalio::Result<std::unique_ptr<scalio::SharedClient>>;

scalio::SharedClient& of(Shared& client) {
  expect_ok(client.status(), "connect");
  return **client;
}

int stop_in_function(const char* uri) {
  Shared client = scalio::SharedClient::connect(uri);
  std::promise<void> never;
  expect_ok(of(client).get("key", [&](auto) { of(client).stop(); }), "get");
  never.get_future().wait_for(2 * kStarved);
  fail("it was stopped by itself");
}

int fork_shared(const char* uri) {
  static Shared client = scalio::SharedClient::connect(uri);
  const auto use_shared = [] {
    expect_ok(of(client).put("key", "shared").get().status(), "put");
    expect_ok(of(client).get("key").get().status(), "get");
  };
  use_shared();
  in_child([] {
    expect_forked(of(client).get("key").get().status());
    expect_forked(of(client).put("key", "child", [](auto) { fail("it was put"); }));
    of(client).stop();
    client = Status(Code::unavailable, "destroyed");
  });
  use_shared();
  return 0;
}

// --- Hits alone, to count their instructions -----------------------------------------------------

int hits(const char* uri, long count) {
  Connected client = Client::connect(uri);
  use(of(client), "value");
  const auto task = [](Client* c, long n) -> Task<void> {
    for (; n > 0; --n) expect((co_await c->get("key")).ok(), "get");
  };
  of(client).run(task(&of(client), count));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) fail("scalio-library-user WAY URI");
  const std::string_view way = argv[1];
  if (way == "static") return keep_static(argv[2]);
  if (way == "thread") return keep_in_thread(argv[2]);
  if (way == "beyond-threads") return keep_beyond_threads(argv[2]);
  if (way == "exit-in-task") return exit_in_task(argv[2]);
  if (way == "fork-and-end") return fork_and_end(argv[2]);
  if (way == "fork-and-use") return fork_and_use(argv[2]);
  if (way == "fork-in-flight") return fork_in_flight(argv[2]);
  if (way == "fork-in-task") return fork_in_task(argv[2]);
  if (way == "take-turns") return take_turns(argv[2]);
  if (way == "come-late") return come_late(argv[2]);
  if (way == "two-threads") return use_on_two_threads(argv[2]);
  if (way == "stop-in-function") return stop_in_function(argv[2]);
  if (way == "fork-shared") return fork_shared(argv[2]);
  if (way == "hits" && argc == 4) return hits(argv[2], std::atol(argv[3]));
  fail("no such way");
}
