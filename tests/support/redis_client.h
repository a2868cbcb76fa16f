// A client of Redis over a socket, and the gateway as a process: for tests.
#pragma once

#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/unique_fd.h"
#include "support/process.h"
#include "support/store.h"
#include "testing/resp_reply.h"

namespace scalio::testing {

// Blocking, with a bound on each wait, after which the test has failed.
class RedisClient {
 public:
  explicit RedisClient(const std::string& unix_path);

  // A request as an array of bulk strings.
  static std::string request(const std::vector<std::string>& words);
  bool send(std::string_view bytes);
  // The next reply; of type 0 if none came: the gateway closed the connection, or said nothing.
  RespReply receive();
  RespReply ask(const std::vector<std::string>& words) {
    send(request(words));
    return receive();
  }
  // A reply as one text, with what it is before it: "+OK", ":1", "$value", "$-", "*(:1 $a)".
  std::string say(const std::vector<std::string>& words) { return text(ask(words)); }
  static std::string text(const RespReply& reply);
  // Whether the gateway ends the connection, and sends nothing before.
  bool closed();
  int fd() const { return socket_.get(); }

 private:
  net::UniqueFd socket_;
  std::string received_;
  bool end_ = false;
};

// `scalio redis` over a store, on a Unix socket and a port of loopback.
class RedisGateway {
 public:
  RedisGateway(const Scratch& scratch, const std::string& store_uri,
               std::vector<std::string> options = {});
  // Waits until it is ready; false, with the test failed, if it is not in time.
  bool start();
  // SIGTERM; it must end well.
  void stop();
  std::string path() const { return path_; }
  int port() const { return port_; }
  Process& process() { return *process_; }

 private:
  const Scratch& scratch_;
  const std::string store_uri_;
  const std::vector<std::string> options_;
  const std::string path_;
  int port_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace scalio::testing
