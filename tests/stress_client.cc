// One client process of the stress tests: every operation, on few hot keys, many in flight; what it
// saw goes to a history file (history/reader.h) in such a way that a kill -9 loses nothing that
// matters: a write's call is in the file before the write begins, and so is everything that was
// seen before it.
//
// Keys with an even number are never deleted. Beside them there are lists, to which all clients
// append for a moment, and sums of each client's own (linearizability/additions.h). A value is
// NAME-NUMBER and filler that follows from that; the history has NAME-NUMBER, or the whole value if
// the filler is not as it should be.
//
//   scalio-stress-client URI HISTORY NAME SEED SECONDS DEPTH KEYS RATE LARGEST
//
// NAME is unique among the clients of a test. RATE: operations a second, at most. LARGEST: half of
// the values have up to so many bytes of filler, as many of them 1 to 10 as 10 to 100 and so on; 0:
// none has more than kMaxFiller. When the server is gone it connects again, for at most kReconnect.
// Ends after SECONDS or on SIGTERM, when what is in flight has ended. Exit status 0, or 1 with a
// message.
#include <fcntl.h>
#include <fmt/format.h>
#include <scalio/client.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/json.h"

namespace {

using scalio::Client;
using scalio::Code;
using scalio::Record;
using scalio::Result;
using scalio::Task;
using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kReconnect{60};
constexpr std::size_t kMaxFiller = 150;

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "scalio-stress-client: %s\n", message.c_str());
  std::exit(1);
}

volatile sig_atomic_t stop = 0;

std::int64_t now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

// --- Values --------------------------------------------------------------------------------------

class Values {
 public:
  explicit Values(std::size_t largest) : largest_(largest) {}

  std::string full(std::string_view id) const {
    const std::size_t hash = std::hash<std::string_view>()(id);
    const std::size_t filler = filler_of(hash);
    std::string value = fmt::format("{}|", id);
    value.reserve(value.size() + filler);
    // Not all of one letter: what is in the wrong place is noticed.
    for (std::size_t at = 0; at < filler; at += kRun)
      value.append(std::min(kRun, filler - at), static_cast<char>('a' + (hash + at / kRun) % 26));
    return value;
  }
  // The inverse; what is not such a value is returned as it is.
  std::string id_of(const std::string& value) const {
    const std::string id = value.substr(0, value.find('|'));
    return full(id) == value ? id : value;
  }

 private:
  static constexpr std::size_t kRun = 512;

  std::size_t filler_of(std::size_t hash) const {
    if (largest_ == 0 || hash % 2 == 0) return hash / 2 % kMaxFiller;
    const double part = static_cast<double>(hash >> 11) * 0x1p-53;
    return static_cast<std::size_t>(std::pow(static_cast<double>(largest_), part));
  }

  const std::size_t largest_;
};

// --- The history file ----------------------------------------------------------------------------

class HistoryFile {
 public:
  HistoryFile(const char* path, std::string client)
      : fd_(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)),
        client_(std::move(client)) {
    if (fd_ < 0) fail(fmt::format("{}: {}", path, std::strerror(errno)));
  }
  ~HistoryFile() {
    write_out();
    close(fd_);
  }
  HistoryFile(const HistoryFile&) = delete;
  HistoryFile& operator=(const HistoryFile&) = delete;

  Json line(const char* op, const std::string& key, std::int64_t called) const {
    return {{"client", client_}, {"op", op}, {"key", key}, {"call", called}};
  }
  // Gets may wait here; they matter to others only through the writes that follow.
  void add(const Json& line) {
    constexpr std::size_t kBuffer = 1 << 16;
    buffer_ += scalio::json_text(line);
    buffer_ += '\n';
    if (buffer_.size() > kBuffer) write_out();
  }
  void write_out() {
    const ssize_t n = ::write(fd_, buffer_.data(), buffer_.size());
    if (n != static_cast<ssize_t>(buffer_.size())) fail("cannot write the history");
    buffer_.clear();
  }

 private:
  const int fd_;
  const std::string client_;
  std::string buffer_;
};

// --- The load ------------------------------------------------------------------------------------

struct Plan {
  bool over() const { return stop != 0 || Clock::now() >= end; }

  std::string name;
  Clock::time_point end;
  int depth;
  std::size_t keys;
  double rate;
  Values values;
};

const char* outcome(bool is_write, Code code) {
  switch (code) {
    case Code::ok: return "ok";
    case Code::not_found: return "not_found";
    case Code::conflict: return "conflict";
    case Code::unknown:
    case Code::io_error:
    case Code::corrupt: return is_write ? "unknown" : "error";
    default: return "error";
  }
}

class Load {
 public:
  Load(const Plan& plan, HistoryFile& history, std::uint64_t seed)
      : plan_(plan), history_(history), random_(seed), versions_(plan.keys) {}

  // Until the plan's end, or the connection is lost. In bursts, with pauses to keep to the plan's
  // rate: while operations are in flight nothing delays them.
  void run(Client& client) {
    constexpr int kBurst = 20;  // operations of each worker
    client_ = &client;
    lost_ = false;
    const auto pause = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(plan_.depth * kBurst / plan_.rate));
    while (!lost_ && !plan_.over()) {
      const auto next = Clock::now() + pause;
      for (int i = 0; i < plan_.depth; ++i) client.spawn(worker(kBurst));
      client.wait_all();
      std::this_thread::sleep_until(next);
    }
  }

 private:
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  // A few keys get most of the load.
  std::size_t pick_key() { return std::min(below(plan_.keys), below(plan_.keys)); }
  static std::string key_name(std::size_t key) { return fmt::format("hot-{}", key); }
  std::string next_id() { return fmt::format("{}-{}", plan_.name, ++values_); }

  Task<void> worker(int operations) {
    for (int i = 0; i < operations && !lost_; ++i) {
      const std::size_t key = pick_key();
      const std::size_t dice = below(100);
      if (dice < 46) {
        co_await get(key);
      } else if (dice < 48) {
        co_await append();
      } else if (dice < 50) {
        co_await increment();
      } else if (dice < 55) {
        co_await get_three();
      } else if (dice < 60) {
        co_await write_three();
      } else if (dice < 75) {
        co_await write("put", key, 0);
      } else if (dice < 90) {
        co_await write("cput", key, pick_expected(key));
      } else if (key % 2 == 1) {
        const bool known = versions_[key] != 0 && below(2) == 0;
        co_await write(known ? "cdelete" : "delete", key, known ? versions_[key] : 0);
      }
    }
  }

  // Mostly what is current, as far as this client knows.
  std::uint64_t pick_expected(std::size_t key) { return below(10) < 3 ? 0 : versions_[key]; }

  void see(Json line, std::size_t key, const scalio::Status& status, std::uint64_t version) {
    if (status.ok()) versions_[key] = version;
    tell(std::move(line), status, version);
  }
  void tell(Json line, const scalio::Status& status, std::uint64_t version) {
    line["return"] = now();
    const Code code = status.code();
    line["result"] = outcome(line["op"] != "get", code);
    if (code == Code::ok) line["version"] = version;
    if (code != Code::ok && code != Code::not_found && code != Code::conflict) {
      line["why"] = status.to_string();  // for people
    }
    if (code == Code::unavailable || code == Code::unknown || code == Code::timed_out) lost_ = true;
    history_.add(line);
  }
  void see_get(Json line, std::size_t key, const Result<Record>& record) {
    if (record.ok()) line["value"] = plan_.values.id_of(record->value);
    see(std::move(line), key, record.status(), record.ok() ? record->version : 0);
  }

  Task<void> get(std::size_t key) {
    const std::string name = key_name(key);
    Json line = history_.line("get", name, now());
    const Result<Record> record = co_await client_->get(name);
    see_get(std::move(line), key, record);
  }

  Task<void> get_three() {
    std::vector<std::size_t> keys;
    std::vector<std::string> names;
    std::vector<Json> lines;
    const std::int64_t called = now();
    for (int i = 0; i < 3; ++i) {
      keys.push_back(pick_key());
      names.push_back(key_name(keys.back()));
      lines.push_back(history_.line("get", names.back(), called));
    }
    const std::vector<std::string_view> views(names.begin(), names.end());
    const std::vector<Result<Record>> records = co_await client_->multi_get(views);
    for (std::size_t i = 0; i < keys.size(); ++i) see_get(std::move(lines[i]), keys[i], records[i]);
  }

  Task<void> write(const char* op, std::size_t key, std::uint64_t expected) {
    const std::string name = key_name(key);
    const std::string_view kind = op;
    const std::string id = next_id();
    const std::string value = plan_.values.full(id);
    Json line = history_.line(op, name, now());
    if (kind == "put" || kind == "cput") line["value"] = id;
    if (kind == "cput" || kind == "cdelete") line["expected"] = expected;
    history_.add(line);
    history_.write_out();
    Result<std::uint64_t> version(0);
    if (kind == "put") version = co_await client_->put(name, value);
    if (kind == "cput") version = co_await client_->put_if(name, value, expected);
    if (kind == "delete") version = co_await client_->remove(name);
    if (kind == "cdelete") version = co_await client_->remove_if(name, expected);
    see(std::move(line), key, version.status(), version.ok() ? *version : 0);
  }

  // To the list of this moment, if this client may: all together never append more than an inline
  // value has room for. Else reads it.
  Task<void> append() {
    constexpr std::int64_t kMoment = 50'000'000;  // ns
    constexpr int kMost = 2;
    const std::int64_t called = now(), moment = called / kMoment;
    const std::string name = fmt::format("list-{}", moment);
    if (moment != moment_) appended_ = 0;
    moment_ = moment;
    if (appended_++ >= kMost) {
      co_await look(name);
      co_return;
    }
    const std::string text = next_id() + ";";
    Json line = intend("append", name, text, called);
    const Result<scalio::Appended> done = co_await client_->append(name, text);
    if (done.ok()) line["number"] = done->size;
    tell(std::move(line), done.status(), done.ok() ? done->version : 0);
  }

  // Of each sum as many times as there are powers of 4 to add.
  Task<void> increment() {
    constexpr int kPowers = 31;
    const int n = increments_++;
    const std::string name = fmt::format("sum-{}-{}", plan_.name, n / kPowers);
    const std::int64_t by = std::int64_t{1} << (2 * (n % kPowers));
    Json line = intend("increment", name, std::to_string(by), now());
    const Result<scalio::Incremented> done = co_await client_->increment(name, by);
    if (done.ok()) line["number"] = done->value;
    tell(std::move(line), done.status(), done.ok() ? done->version : 0);
    if (below(4) == 0) co_await look(name);
  }
  Json intend(const char* op, const std::string& name, const std::string& value,
              std::int64_t called) {
    Json line = history_.line(op, name, called);
    line["value"] = value;
    history_.add(line);
    history_.write_out();
    return line;
  }
  Task<void> look(const std::string& name) {
    Json line = history_.line("get", name, now());
    const Result<Record> record = co_await client_->get(name);
    if (record.ok()) line["value"] = record->value;
    tell(std::move(line), record.status(), record.ok() ? record->version : 0);
  }

  // A put, a conditional one and, of a key that may be deleted, a removal, as one batch.
  Task<void> write_three() {
    using Kind = scalio::BatchWrite::Kind;
    std::array<std::size_t, 3> keys{pick_key(), pick_key(), pick_key() | 1};
    if (keys[2] >= plan_.keys) keys[2] = plan_.keys > 1 ? 1 : 0;
    constexpr std::array<const char*, 3> kOps{"put", "cput", "delete"};
    const std::array<std::string, 3> names{key_name(keys[0]), key_name(keys[1]), key_name(keys[2])};
    const std::array<std::string, 2> ids{next_id(), next_id()};
    const std::array<std::string, 2> values{plan_.values.full(ids[0]), plan_.values.full(ids[1])};
    const std::uint64_t expected = pick_expected(keys[1]);
    std::vector<scalio::BatchWrite> batch{{Kind::put, names[0], values[0]},
                                          {Kind::put_if, names[1], values[1], expected}};
    if (keys[2] % 2 == 1) batch.push_back({Kind::remove, names[2]});
    std::vector<Json> lines;
    const std::int64_t called = now();
    for (std::size_t i = 0; i < batch.size(); ++i) {
      lines.push_back(history_.line(kOps[i], names[i], called));
      if (i < ids.size()) lines[i]["value"] = ids[i];
      if (i == 1) lines[i]["expected"] = expected;
      history_.add(lines[i]);
    }
    history_.write_out();
    const std::vector<Result<std::uint64_t>> versions = co_await client_->write(batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const Result<std::uint64_t>& v = versions[i];
      see(std::move(lines[i]), keys[i], v.status(), v.ok() ? *v : 0);
    }
  }

  const Plan& plan_;
  HistoryFile& history_;
  std::mt19937_64 random_;
  Client* client_ = nullptr;
  bool lost_ = false;
  std::vector<std::uint64_t> versions_;  // by key, the last one seen
  std::uint64_t values_ = 0;
  std::int64_t moment_ = 0;  // of the list that was appended to last
  int appended_ = 0;         // to it
  int increments_ = 0;
};

std::unique_ptr<Client> connect(const std::string& uri) {
  const auto give_up = Clock::now() + kReconnect;
  for (;;) {
    Result<std::unique_ptr<Client>> client = Client::connect(uri);
    if (client.ok()) return *std::move(client);
    if (Clock::now() > give_up) fail("cannot connect: " + client.status().to_string());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

template <class T>
T number(const char* text) {
  T value{};
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
  if (error != std::errc() || *end != '\0') fail(fmt::format("'{}' is not a number", text));
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 10) {
    fail("usage: scalio-stress-client URI HISTORY NAME SEED SECONDS DEPTH KEYS RATE LARGEST");
  }
  const std::string uri = argv[1];
  signal(SIGTERM, [](int) { stop = 1; });
  // From here on it may be told to end: the test waits for the file.
  HistoryFile history(argv[2], argv[3]);
  const Plan plan{.name = argv[3],
                  .end = Clock::now() + std::chrono::seconds(number<int>(argv[5])),
                  .depth = number<int>(argv[6]),
                  .keys = number<std::size_t>(argv[7]),
                  .rate = number<double>(argv[8]),
                  .values = Values(number<std::size_t>(argv[9]))};
  Load load(plan, history, number<std::uint64_t>(argv[4]));
  while (!plan.over()) {
    std::unique_ptr<Client> client = connect(uri);
    load.run(*client);
  }
  return 0;
}
