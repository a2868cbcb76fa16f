// ServedRival: a rival that is a server process, of whose clients each has a connection.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "eval/rivals/server_process.h"

namespace scalio::eval {

// A Client is made of an event loop and a connected socket.
template <class Client>
class ServedRival final : public Rival {
 public:
  // `limit`: what the server's own options say of its memory. Failures: those of RivalRow::start.
  static Result<std::unique_ptr<Rival>> start(const ServerProgram& program,
                                              const RivalOptions& options, std::string limit) {
    Result<std::unique_ptr<ServerProcess>> server = ServerProcess::start(program, options);
    if (!server.ok()) return server.status();
    return std::unique_ptr<Rival>(new ServedRival(*std::move(server), std::move(limit)));
  }

  Result<std::unique_ptr<baseline::KvClient>> connect(EventLoop& loop) override {
    Result<net::UniqueFd> socket = server_->connect();
    if (!socket.ok()) return socket.status();
    return std::unique_ptr<baseline::KvClient>(std::make_unique<Client>(loop, *std::move(socket)));
  }
  RivalUse use() const override { return server_->use(); }
  std::string memory_limit() const override {
    return fmt::format("{}; {}", limit_, server_->cgroup_text());
  }

 private:
  ServedRival(std::unique_ptr<ServerProcess> server, std::string limit)
      : server_(std::move(server)), limit_(std::move(limit)) {}

  const std::unique_ptr<ServerProcess> server_;
  const std::string limit_;
};

}  // namespace scalio::eval
