// HostSession: what clients of a SystemHost have in common.
#pragma once

#include "eval/kv_session.h"
#include "eval/server_stat.h"
#include "fabric/fabric.h"
#include "net/uri.h"
#include "task/event_loop.h"

namespace scalio::eval {

class HostSession : public KvSession {
 public:
  void run(std::vector<Task<void>> tasks) override;
  // On a connection of its own, so that no operation waits for it.
  Result<std::string> stat() override;

 protected:
  using ConnectionPtr = std::unique_ptr<fabric::Connection>;

  // What a session begins with.
  struct Start {
    std::unique_ptr<EventLoop> loop;
    net::Uri uri;
  };
  static Result<Start> begin(const std::string& uri);
  explicit HostSession(Start start) : uri_(std::move(start.uri)), loop_(std::move(start.loop)) {}

  EventLoop& loop() { return *loop_; }
  const net::Uri& uri() const { return uri_; }
  // What the server says of itself, if it serves this system. Else: invalid.
  Result<ServerStat> check_system(System system);
  Task<Result<ConnectionPtr>> connect_shard(std::uint32_t shard, Bytes hello);
  // The same failure, naming the server.
  Status at_server(const Status& why) const;

 private:
  const net::Uri uri_;
  const std::unique_ptr<EventLoop> loop_;
};

}  // namespace scalio::eval
