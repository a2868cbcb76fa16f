#include "support/redis_client.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>

#include "net/socket.h"

namespace scalio::testing {

namespace {
constexpr int kBoundMs = 60'000;
}

RedisClient::RedisClient(const std::string& unix_path) {
  const Result<net::Address> address = net::unix_address(unix_path);
  Result<net::UniqueFd> socket = net::start_connecting(*address);
  EXPECT_TRUE(socket.ok()) << socket.status().to_string();
  if (socket.ok()) socket_ = *std::move(socket);
}

std::string RedisClient::request(const std::vector<std::string>& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return bytes;
}

bool RedisClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    pollfd writable{fd(), POLLOUT, 0};
    if (errno != EAGAIN || poll(&writable, 1, kBoundMs) <= 0) return false;
  }
  return true;
}

RespReply RedisClient::receive() {
  for (;;) {
    std::string_view rest = received_;
    bool malformed = false;
    std::optional<RespReply> reply = take_reply(rest, &malformed);
    if (reply) {
      received_.erase(0, received_.size() - rest.size());
      return *std::move(reply);
    }
    EXPECT_FALSE(malformed) << received_;
    pollfd readable{fd(), POLLIN, 0};
    char bytes[64 * 1024];
    if (malformed || poll(&readable, 1, kBoundMs) <= 0) return {};
    const ssize_t n = recv(fd(), bytes, sizeof bytes, 0);
    end_ = n == 0 || (n < 0 && errno == ECONNRESET);
    if (n <= 0) return {};
    received_.append(bytes, static_cast<std::size_t>(n));
  }
}

bool RedisClient::closed() { return receive().type == 0 && end_; }

std::string RedisClient::text(const RespReply& reply) {
  if (reply.type == 0) return "nothing";
  if (reply.null) return std::string(1, reply.type) + "-";
  if (std::string_view("*~%").find(reply.type) == std::string_view::npos) {
    return reply.type + reply.text;
  }
  std::string out(1, reply.type);
  for (const RespReply& element : reply.elements) {
    out += (out.size() == 1 ? "(" : " ") + text(element);
  }
  return out.size() == 1 ? out + "()" : out + ")";
}

RedisGateway::RedisGateway(const Scratch& scratch, const std::string& store_uri,
                           std::vector<std::string> options)
    : scratch_(scratch),
      store_uri_(store_uri),
      options_(std::move(options)),
      path_((scratch.sockets() / "redis").string()) {}

bool RedisGateway::start() {
  std::vector<std::string> argv = {SCALIO_PROGRAM, "redis",           "--server",
                                   store_uri_,     "--listen",        "unix:" + path_,
                                   "--listen",     "tcp:127.0.0.1:0", "--json"};
  argv.insert(argv.end(), options_.begin(), options_.end());
  process_ = std::make_unique<Process>(argv, scratch_ / "redis");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBoundMs);
  while (process_->out().find('\n') == std::string::npos) {
    if (process_->wait(std::chrono::milliseconds(5)) ||
        std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "the gateway did not get ready:\n" << process_->err();
      return false;
    }
  }
  const auto ready = nlohmann::json::parse(process_->out());
  const std::string uri = ready["listen"][1];
  port_ = std::stoi(uri.substr(uri.rfind(':') + 1));
  return true;
}

void RedisGateway::stop() {
  process_->signal(SIGTERM);
  const std::optional<ProcessEnd> exit = process_->wait(std::chrono::milliseconds(kBoundMs));
  ASSERT_TRUE(exit) << "the gateway did not stop:\n" << process_->err();
  EXPECT_FALSE(exit->signaled) << process_->err();
  EXPECT_EQ(exit->code, 0) << process_->err();
}

}  // namespace scalio::testing
