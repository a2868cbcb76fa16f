#include "http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include "base/read_file.h"
#include "testing/http_get.h"
#include "testing/tls_files.h"

namespace scalio::http {
namespace {

using scalio::testing::http_connect;
using scalio::testing::http_get;
using scalio::testing::http_receive;
using scalio::testing::http_send;
using scalio::testing::HttpReply;
using ::testing::HasSubstr;

HttpsKey https_key(const std::string& name) {
  return {*read_file(tls_files().path(name), 1 << 20),
          *read_file(tls_files().path(name + "-key"), 1 << 20)};
}

struct FreeTls {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* session) const { SSL_free(session); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};

// The name in the certificate of who answers there; empty if nobody does.
std::string answers_as(std::uint16_t port) {
  const net::UniqueFd fd = http_connect(port);
  const std::unique_ptr<SSL_CTX, FreeTls> context(SSL_CTX_new(TLS_client_method()));
  const std::unique_ptr<SSL, FreeTls> session(SSL_new(context.get()));
  SSL_set_fd(session.get(), fd.get());
  if (SSL_connect(session.get()) != 1) return "";
  const std::string request = "GET /one HTTP/1.1\r\nHost: localhost\r\n\r\n";
  SSL_write(session.get(), request.data(), static_cast<int>(request.size()));
  char answer[12];
  if (SSL_read(session.get(), answer, sizeof answer) != sizeof answer ||
      std::string_view(answer, sizeof answer) != "HTTP/1.1 200") {
    return "";
  }
  const std::unique_ptr<X509, FreeTls> certificate(SSL_get1_peer_certificate(session.get()));
  char name[64] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name,
                            sizeof name);
  return name;
}

class HttpServerTest : public ::testing::Test {
 protected:
  void start(HttpLimits limits = {}, std::optional<HttpsKey> https = {}) {
    Pages pages;
    pages["/one"] = [] { return Answer{.body = "1\n"}; };
    pages["/json"] = [] { return Answer{.status = 503, .type = "application/json", .body = "{}"}; };
    auto started = HttpServer::start(net::Uri{"tcp", "", "127.0.0.1", 0}, std::move(pages), limits,
                                     std::move(https));
    ASSERT_TRUE(started.ok()) << started.status().to_string();
    server_ = *std::move(started);
  }
  std::uint16_t port() const { return server_->address().port; }
  HttpReply say(std::string_view request) const {
    const net::UniqueFd fd = http_connect(port());
    http_send(fd, request);
    return http_receive(fd);
  }
  bool answers() const { return http_get(port(), "/one").status == 200; }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersItsPages) {
  start();
  const HttpReply one = http_get(port(), "/one");
  EXPECT_EQ(one.status, 200);
  EXPECT_EQ(one.body, "1\n");
  EXPECT_THAT(one.head, HasSubstr("Content-Type: text/plain; charset=utf-8"));
  EXPECT_THAT(one.head, HasSubstr("X-Content-Type-Options: nosniff"));
  const HttpReply json = http_get(port(), "/json?x=1");
  EXPECT_EQ(json.status, 503);
  EXPECT_THAT(json.head, HasSubstr("Content-Type: application/json"));
  EXPECT_EQ(http_get(port(), "/none").status, 404);
  EXPECT_THAT(http_get(port(), "/").body, HasSubstr("/json\n/one\n"));
}

TEST_F(HttpServerTest, TakesNothingButQuestions) {
  start();
  const HttpReply head = say("HEAD /one HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(say("POST /one HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody").status,
            405);
  EXPECT_EQ(say("DELETE /one HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 405);
  EXPECT_NE(say("\x16\x03\x01 nothing of HTTP\r\n\r\n").status, 200);
  EXPECT_TRUE(answers());
}

TEST_F(HttpServerTest, AHeaderThatIsTooLongIsRefused) {
  start();
  const std::string fill(1000, 'x');
  const net::UniqueFd fd = http_connect(port());
  std::string request = "GET /one HTTP/1.1\r\nHost: localhost\r\n";
  for (int i = 0; i < 100; ++i) request += "X-" + std::to_string(i) + ": " + fill + "\r\n";
  http_send(fd, request + "\r\n");
  EXPECT_NE(http_receive(fd).status, 200);
  EXPECT_TRUE(answers());
}

TEST_F(HttpServerTest, WhoSaysNothingIsClosed) {
  start({.idle_seconds = 1});
  std::vector<net::UniqueFd> silent;
  for (std::size_t i = 0; i < HttpServer::kMaxConnections; ++i)
    silent.push_back(http_connect(port()));
  // The limit on connections is not for ever: others are answered, if later.
  int tries = 0;
  while (!answers() && ++tries < 600) usleep(10'000);
  EXPECT_LT(tries, 600);
  for (const net::UniqueFd& fd : silent) EXPECT_NE(http_receive(fd).status, 200);
}

TEST_F(HttpServerTest, WhoIsNeverDoneIsClosed) {
  for (const HttpLimits& limits : {HttpLimits{60, 60, 2}, HttpLimits{60, 1, 60}}) {
    start(limits);
    const net::UniqueFd fd = http_connect(port());
    ASSERT_TRUE(http_send(fd, "GET /one HTTP/1.1\r\n"));
    int lines = 0;
    const timeval wait{0, 100'000};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    char c;
    // A line now and then, until the other side has closed; only a server without the bound takes
    // so many.
    while (lines < 300 && recv(fd.get(), &c, 1, 0) < 0 && errno == EAGAIN &&
           http_send(fd, "A: b\r\n"))
      ++lines;
    EXPECT_LT(lines, 300);
    EXPECT_TRUE(answers());
  }
}

// More than there may be, of one place and altogether, none of which asks.
TEST_F(HttpServerTest, WhoHoldsConnectionsKeepsNobodyOut) {
  start({.idle_seconds = 60, .header_seconds = 60, .longest_seconds = 60});
  std::vector<net::UniqueFd> held;
  for (std::size_t i = 0; i < 3 * HttpServer::kMaxConnections; ++i) {
    held.push_back(http_connect(port()));
    http_send(held.back(), "GET /one HTTP/1.1\r\nX: ");
  }
  // Those that were ended for newer ones end in their own threads, soon.
  int tries = 0;
  while (!answers() && ++tries < 600) usleep(10'000);
  EXPECT_LT(tries, 600);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(answers()) << i;
}

TEST_F(HttpServerTest, ABodyIsNotWaitedFor) {
  start({.idle_seconds = 60, .header_seconds = 60, .longest_seconds = 60});
  const std::string body = "Host: localhost\r\nContent-Length: 100000\r\n\r\n";
  EXPECT_EQ(say("POST /one HTTP/1.1\r\n" + body).status, 405);
  EXPECT_EQ(say("GET /one HTTP/1.1\r\n" + body).status, 413);
  EXPECT_EQ(
      say("GET /one HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n").status,
      413);
}

// What a page of another site has a browser ask, by a name of its own for 127.0.0.1.
TEST_F(HttpServerTest, OnLoopbackNoOtherHostIsAnswered) {
  start();
  const auto as = [this](const std::string& host) {
    return say("GET /one HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status;
  };
  for (const char* host :
       {"localhost", "localhost:9109", "127.0.0.1:9109", "[::1]:9109", "10.0.0.7"})
    EXPECT_EQ(as(host), 200) << host;
  for (const char* host : {"evil.example", "evil.example:9109", "localhost.evil.example", "[evil]"})
    EXPECT_EQ(as(host), 421) << host;
}

TEST_F(HttpServerTest, EndsWithConnectionsOpen) {
  start({.idle_seconds = 60, .header_seconds = 60, .longest_seconds = 60});
  const net::UniqueFd silent = http_connect(port()), begun = http_connect(port());
  ASSERT_TRUE(http_send(begun, "GET /one HT"));
  EXPECT_TRUE(answers());
  server_.reset();
  EXPECT_EQ(http_receive(silent).status, 0);
}

TEST_F(HttpServerTest, ACertificateIsRenewedAtTheSamePort) {
  start({}, https_key("server"));
  const std::uint16_t at = port();
  EXPECT_EQ(answers_as(at), "server");
  const net::UniqueFd silent = http_connect(at);
  const Status renewed = server_->renew(https_key("client"));
  ASSERT_TRUE(renewed.ok()) << renewed.to_string();
  EXPECT_EQ(answers_as(at), "client");
  EXPECT_EQ(http_receive(silent).status, 0) << "it is not waited for";
}

TEST_F(HttpServerTest, AKeyThatIsNoneChangesNothing) {
  start({}, https_key("server"));
  for (int times = 0; times < 2; ++times) {
    EXPECT_EQ(server_->renew({"no certificate", "no key"}).code(), Code::unavailable);
    EXPECT_EQ(answers_as(port()), "server");
  }
  EXPECT_TRUE(server_->renew(https_key("client")).ok());
  EXPECT_EQ(answers_as(port()), "client");
}

}  // namespace
}  // namespace scalio::http
