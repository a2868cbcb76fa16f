// scalio-bench-memory-target SPIN: see memory_target.h. Its threads spin for SPIN us before they
// sleep. It prints the target's port, NQN and NSID and the plain socket's port, and runs until it
// is killed.
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "net/socket.h"
#include "nvmf/target/embedded_target.h"
#include "plain_sockets.h"
#include "testing/memory_device.h"

namespace scalio::bench {
namespace {

constexpr std::uint64_t kSize = 64 << 20;
constexpr std::size_t kMostAnswers = 64;  // sent at once

const net::Uri kAnyPort{net::kTcp, "", "127.0.0.1", 0};

// Answers one connection: its first 4 bytes say how many bytes of data each request asks for.
void answer_plainly(int socket, std::chrono::microseconds spin) {
  std::uint32_t size = 0;
  if (recv(socket, &size, sizeof size, MSG_WAITALL) != sizeof size) return;
  const std::size_t answer = kPlainHeader + size;
  const std::vector<std::byte> answers(kMostAnswers * answer);
  std::vector<std::byte> requests(kMostAnswers * kPlainRequest);
  for (std::size_t received = 0;;) {
    const ssize_t n = receive_plainly(socket, requests, spin);
    if (n <= 0) return;
    received += static_cast<std::size_t>(n);
    std::size_t left = received / kPlainRequest * answer;
    received %= kPlainRequest;
    while (left > 0) {
      const ssize_t sent =
          send(socket, answers.data(), std::min(left, answers.size()), MSG_NOSIGNAL);
      if (sent <= 0) return;
      left -= static_cast<std::size_t>(sent);
    }
  }
}

void serve_plainly(int listener, std::chrono::microseconds spin) {
  for (;;) {
    const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    answer_plainly(socket, spin);
    close(socket);
  }
}

int listen_plainly(std::uint16_t* port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(socket, generic, size) != 0 || listen(socket, 1) != 0 ||
      getsockname(socket, generic, &size) != 0) {
    fail("cannot listen");
  }
  *port = ntohs(address.sin_port);
  return socket;
}

}  // namespace
}  // namespace scalio::bench

int main(int argc, char** argv) {
  using namespace scalio;
  spdlog::set_level(spdlog::level::off);
  if (argc != 2) bench::fail("usage: scalio-bench-memory-target SPIN");
  const std::chrono::microseconds spin(std::atoi(argv[1]));
  nvmf::TargetOptions options;
  options.listen = {bench::kAnyPort};
  options.spin = static_cast<Nanos>(spin.count()) * kMicrosecond;
  nvmf::TargetNamespace memory;
  memory.path = "memory";
  memory.open = [](EventLoop& loop) -> Result<std::unique_ptr<block::BlockDevice>> {
    return std::unique_ptr<block::BlockDevice>(
        std::make_unique<block::MemoryDevice>(loop, "memory", bench::kSize, 512));
  };
  options.namespaces.push_back(std::move(memory));
  const auto target = bench::expect(nvmf::EmbeddedTarget::start(std::move(options)));
  std::uint16_t plain_port = 0;
  const int plain = bench::listen_plainly(&plain_port);
  fmt::print("{} {} {} {}\n", target->addresses().front().port, target->nqn(),
             target->offers().front().nsid, plain_port);
  std::fflush(stdout);
  bench::serve_plainly(plain, spin);
}
