// memcached over its meta commands (doc/protocol.txt of memcached), pipelined.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "eval/rivals/pipelined_connection.h"
#include "eval/rivals/rival_starts.h"
#include "eval/rivals/served_rival.h"

namespace scalio::eval {
namespace {

constexpr std::size_t kMostKey = 250;
constexpr std::uint64_t kLeastMemory = std::uint64_t{8} << 20;  // for its slabs

// "VA 3", then 3 bytes and an end of line; anything else is a line: "HD", "EN", "SERVER_ERROR ...".
Result<std::size_t> measure_reply(std::string_view received) {
  constexpr std::string_view kValue = "VA ";
  const std::size_t end = received.find(kLineEnd);
  if (end == std::string_view::npos) return std::size_t{0};
  const std::size_t line = end + kLineEnd.size();
  if (!received.starts_with(kValue)) return line;
  const std::optional<std::int64_t> size =
      whole_number(received.substr(kValue.size(), end - kValue.size()));
  if (!size || *size < 0) return Status(Code::corrupt, "its reply has no length");
  return line + static_cast<std::size_t>(*size) + kLineEnd.size();
}

Status failure(std::string_view reply) {
  const std::string_view text = reply.substr(0, reply.find(kLineEnd));
  const Code code =
      text.find("out of memory") != std::string_view::npos ? Code::full : Code::io_error;
  return Status(code, fmt::format("memcached says {}", text));
}

// A key ends at a blank.
Status check_key(std::string_view key) {
  const bool good = !key.empty() && key.size() <= kMostKey &&
                    std::ranges::all_of(key, [](char c) { return c > ' ' && c < '\x7f'; });
  if (good) return Status();
  return Status(Code::invalid,
                fmt::format("memcached takes keys of 1 to {} visible characters", kMostKey));
}

class MemcachedClient final : public baseline::KvClient {
 public:
  MemcachedClient(EventLoop& loop, net::UniqueFd socket)
      : connection_(loop, std::move(socket), measure_reply) {}

  Task<Result<std::string>> get(std::string_view key) override {
    if (Status s = check_key(key); !s.ok()) co_return s;
    ++gets_;
    Result<std::string> reply = co_await connection_.ask("mg ", key, " v\r\n");
    if (!reply.ok()) co_return reply.status();
    if (reply->starts_with("EN\r")) co_return Status(Code::not_found, "memcached has it not");
    if (!reply->starts_with("VA ")) co_return failure(*reply);
    ++hits_;
    co_return value_of(*std::move(reply));
  }

  Task<Status> put(std::string_view key, std::string_view value) override {
    if (Status s = check_key(key); !s.ok()) co_return s;
    const std::string size = std::to_string(value.size());
    const Result<std::string> reply =
        co_await connection_.ask("ms ", key, " ", size, kLineEnd, value, kLineEnd);
    if (!reply.ok()) co_return reply.status();
    co_return reply->starts_with("HD\r") ? Status() : failure(*reply);
  }

  Task<Status> remove(std::string_view key) override {
    if (Status s = check_key(key); !s.ok()) co_return s;
    const Result<std::string> reply = co_await connection_.ask("md ", key, kLineEnd);
    if (!reply.ok()) co_return reply.status();
    const bool gone = reply->starts_with("HD\r") || reply->starts_with("NF\r");
    co_return gone ? Status() : failure(*reply);
  }

  baseline::KvCounters counters() const override {
    baseline::KvCounters c;
    c.gets = gets_;
    c.hits = hits_;
    c.messages = connection_.asked();
    return c;
  }

 private:
  PipelinedConnection connection_;
  std::uint64_t gets_ = 0;
  std::uint64_t hits_ = 0;
};

std::vector<std::string> arguments(const RivalOptions& options, const std::string&,
                                   const std::string& socket) {
  std::vector<std::string> argv = {"-s", socket, "-a", "0700", "-m",
                                   std::to_string(options.memory >> 20),
                                   // Requests of a connection that it takes before another's turn.
                                   "-R", "1000"};
  // It refuses to be root unless it is told so.
  if (::geteuid() == 0) argv.insert(argv.end(), {"-u", "root"});
  return argv;
}

}  // namespace

Result<std::unique_ptr<Rival>> start_memcached(const RivalOptions& options) {
  if (options.memory < kLeastMemory) {
    return Status(Code::invalid, fmt::format("memcached with {} bytes of memory: give it {} MiB "
                                             "or more",
                                             options.memory, kLeastMemory >> 20));
  }
  return ServedRival<MemcachedClient>::start({"memcached", "memcached", arguments}, options,
                                             fmt::format("-m {} (MiB)", options.memory >> 20));
}

}  // namespace scalio::eval
