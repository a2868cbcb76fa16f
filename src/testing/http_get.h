// Asking a server of HTTP on loopback, byte by byte: what a test needs to say, and no more.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "net/unique_fd.h"

namespace scalio::testing {

// A connection; a read of it that only a hang would make so long ends after a minute.
inline net::UniqueFd http_connect(std::uint16_t port) {
  net::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval bound{60, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  return fd;
}

inline bool http_send(const net::UniqueFd& fd, std::string_view text) {
  return send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

struct HttpReply {
  int status = 0;  // 0: none
  std::string head;
  std::string body;
};

// What comes until the server closes.
inline HttpReply http_receive(const net::UniqueFd& fd) {
  std::string all;
  char part[4096];
  for (ssize_t n; (n = recv(fd.get(), part, sizeof part, 0)) > 0;)
    all.append(part, static_cast<std::size_t>(n));
  HttpReply reply;
  const std::size_t end = all.find("\r\n\r\n");
  if (!all.starts_with("HTTP/1.1 ") || end == std::string::npos) return reply;
  reply.status = std::stoi(all.substr(9));
  reply.head = all.substr(0, end);
  reply.body = all.substr(end + 4);
  return reply;
}

inline HttpReply http_get(std::uint16_t port, std::string_view path) {
  const net::UniqueFd fd = http_connect(port);
  http_send(fd, "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  return http_receive(fd);
}

}  // namespace scalio::testing
