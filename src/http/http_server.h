// HttpServer: a few pages by HTTP, for programs that watch this one and for people.
//
// A port for those may be reached by others than those. So everything is bounded: connections, the
// memory and the life of each; a request has no body, and gets one answer. Who has not asked yet
// makes room for who comes: so one that holds connections keeps nobody out who asks at once. By
// libmicrohttpd, with a thread a connection: a page may wait for something, and then nobody else
// waits for it. Nothing runs while nobody asks.
//
// A page of a foreign site can have a browser ask a name of that site's that it has made an address
// of this machine (DNS rebinding), and read the answer. So a server on loopback, without TLS,
// answers no other host than localhost or an address.
#pragma once

#include <scalio/status.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "net/uri.h"

namespace scalio::http {

struct Answer {
  unsigned status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

// By path, "/healthz": what is answered to a GET. Called on any thread, also at one time.
using Pages = std::map<std::string, std::function<Answer()>>;

struct HttpLimits {
  unsigned idle_seconds = 5;      // a connection that says nothing and takes nothing
  unsigned header_seconds = 2;    // until it has asked
  unsigned longest_seconds = 15;  // from its begin to its end
};

// For HTTPS: in PEM, the server's certificate, with those between it and the CA, and its key.
struct HttpsKey {
  std::string certificate;
  std::string key;
};

class HttpServer {
 public:
  // At one time, and of one place (net::place_of()). For one more the oldest of these that has not
  // asked is ended; if all have, it is closed.
  static constexpr std::size_t kMaxConnections = 16;
  static constexpr std::size_t kMaxOfAPlace = 12;
  // What it has open at most: some are ending.
  static constexpr std::size_t kDescriptors = 2 * kMaxConnections + 4;

  // Listens: with `https`, for TLS 1.3 alone, by libmicrohttpd's GnuTLS. Failures: as
  // net::Listener::open; unavailable.
  static Result<std::unique_ptr<HttpServer>> start(const net::Uri& at, Pages pages,
                                                   HttpLimits limits = {},
                                                   std::optional<HttpsKey> https = {});
  // Ends what is under way, and waits for pages that are asked.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Of a server that was started with `https`: from now on this is its certificate and key, at the
  // same port; who connects meanwhile waits. What is under way has a second to end, and is cut
  // then. Not for two threads at once. Failures: unavailable; it goes on with what it had, unless
  // the message says that it has ended.
  Status renew(HttpsKey https);

  // Where it listens, with the port that the kernel picked.
  const net::Uri& address() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scalio::http
