// Redis over its protocol (RESP, redis.io/docs/reference/protocol-spec), pipelined.
#include <fmt/format.h>

#include "eval/rivals/pipelined_connection.h"
#include "eval/rivals/rival_starts.h"
#include "eval/rivals/served_rival.h"

namespace scalio::eval {
namespace {

// "+OK", "-ERR ...", ":1"; "$3", then 3 bytes and an end of line; "$-1": nothing.
Result<std::size_t> measure_reply(std::string_view received) {
  const std::size_t end = received.find(kLineEnd);
  if (end == std::string_view::npos) return std::size_t{0};
  const std::size_t line = end + kLineEnd.size();
  switch (received.front()) {
    case '+':
    case '-':
    case ':': return line;
    case '$': break;
    default: return Status(Code::corrupt, "its reply is not of Redis's protocol");
  }
  const std::optional<std::int64_t> size = whole_number(received.substr(1, end - 1));
  if (!size || *size < -1) return Status(Code::corrupt, "its reply has no length");
  if (*size == -1) return line;
  return line + static_cast<std::size_t>(*size) + kLineEnd.size();
}

// Of a reply that is an error, or not what the request asks for.
Status failure(std::string_view reply) {
  const std::string_view text = reply.substr(0, reply.find(kLineEnd));
  const Code code = text.starts_with("-OOM") ? Code::full : Code::io_error;
  return Status(code, fmt::format("Redis says {}", text));
}

class RedisClient final : public baseline::KvClient {
 public:
  RedisClient(EventLoop& loop, net::UniqueFd socket)
      : connection_(loop, std::move(socket), measure_reply) {}

  Task<Result<std::string>> get(std::string_view key) override {
    ++gets_;
    const std::string size = length(key);
    Result<std::string> reply = co_await connection_.ask("*2\r\n$3\r\nGET", size, key, kLineEnd);
    if (!reply.ok()) co_return reply.status();
    if (reply->starts_with("$-1")) co_return Status(Code::not_found, "Redis does not have it");
    if (!reply->starts_with('$')) co_return failure(*reply);
    ++hits_;
    co_return value_of(*std::move(reply));
  }

  Task<Status> put(std::string_view key, std::string_view value) override {
    const std::string key_size = length(key);
    const std::string value_size = length(value);
    const Result<std::string> reply =
        co_await connection_.ask("*3\r\n$3\r\nSET", key_size, key, value_size, value, kLineEnd);
    if (!reply.ok()) co_return reply.status();
    co_return reply->starts_with("+OK") ? Status() : failure(*reply);
  }

  Task<Status> remove(std::string_view key) override {
    const std::string size = length(key);
    const Result<std::string> reply =
        co_await connection_.ask("*2\r\n$3\r\nDEL", size, key, kLineEnd);
    if (!reply.ok()) co_return reply.status();
    co_return reply->starts_with(':') ? Status() : failure(*reply);
  }

  baseline::KvCounters counters() const override {
    baseline::KvCounters c;
    c.gets = gets_;
    c.hits = hits_;
    c.messages = connection_.asked();
    return c;
  }

 private:
  // The end of the argument before, and the head of this one.
  static std::string length(std::string_view argument) {
    return fmt::format("\r\n${}\r\n", argument.size());
  }

  PipelinedConnection connection_;
  std::uint64_t gets_ = 0;
  std::uint64_t hits_ = 0;
};

std::vector<std::string> arguments(const RivalOptions& options, const std::string& directory,
                                   const std::string& socket) {
  return {"--port", "0", "--unixsocket", socket, "--dir",       directory,
          "--save", "",  "--daemonize",  "no",   "--maxmemory", std::to_string(options.memory)};
}

std::vector<std::string> durable_arguments(const RivalOptions& options,
                                           const std::string& directory,
                                           const std::string& socket) {
  std::vector<std::string> argv = arguments(options, directory, socket);
  argv.insert(argv.end(), {"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy",
                           "noeviction"});
  return argv;
}

std::vector<std::string> cache_arguments(const RivalOptions& options, const std::string& directory,
                                         const std::string& socket) {
  std::vector<std::string> argv = arguments(options, directory, socket);
  argv.insert(argv.end(), {"--appendonly", "no", "--maxmemory-policy", "allkeys-lru"});
  return argv;
}

Result<std::unique_ptr<Rival>> start(const RivalOptions& options,
                                     decltype(ServerProgram::arguments) arguments_of) {
  return ServedRival<RedisClient>::start({"redis-server", "redis-server", arguments_of}, options,
                                         fmt::format("maxmemory {} MiB", options.memory >> 20));
}

}  // namespace

Result<std::unique_ptr<Rival>> start_redis(const RivalOptions& options) {
  return start(options, durable_arguments);
}

Result<std::unique_ptr<Rival>> start_redis_memory(const RivalOptions& options) {
  return start(options, cache_arguments);
}

}  // namespace scalio::eval
