#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "net/stream_socket.h"
#include "net/tls_session.h"
#include "testing/tls_files.h"

namespace scalio::net {
namespace {

using testing::HasSubstr;
using Role = TlsContext::Role;

// Two ends, and what one says to the other in pieces of so many bytes.
class TlsPair {
 public:
  TlsPair(const TlsFiles& server_files, const TlsFiles& client_files,
          const std::string& host = "localhost", std::size_t piece = SIZE_MAX)
      : piece_(piece),
        client(load_tls(Role::client, client_files), host),
        server(load_tls(Role::server, server_files), {}) {}

  // Until neither has more to say.
  void talk() {
    client.send({});
    while (!client.unsent().empty() || !server.unsent().empty()) {
      carry(client, server, to_server);
      carry(server, client, to_client);
    }
  }
  // The whole of it, which is more than one end takes at once.
  std::string say(TlsSession& from, std::string& heard, std::string_view text) {
    heard.clear();
    for (ByteView rest = as_bytes(text); !rest.empty();) {
      const std::size_t taken = from.send(rest.first(std::min<std::size_t>(rest.size(), 65536)));
      rest = rest.subspan(taken);
      EXPECT_LE(from.unsent().size(), 70'000u);
      talk();
    }
    return heard;
  }

 private:
  void carry(TlsSession& from, TlsSession& to, std::string& heard) {
    const Bytes all(from.unsent().begin(), from.unsent().end());
    from.sent(all.size());
    for (ByteView rest = all; !rest.empty();) {
      ByteView come = rest.first(std::min(piece_, rest.size()));
      rest = rest.subspan(come.size());
      for (Bytes into(999);;) {
        const std::size_t n = to.receive(come, into);
        heard += as_string(ByteView(into).first(n));
        if (n < into.size()) break;
      }
      if (to.failed() || to.ended()) return;
      EXPECT_TRUE(come.empty());
    }
  }

  const std::size_t piece_;

 public:
  TlsSession client, server;
  std::string to_server, to_client;
};

void expect_works(TlsPair& pair) {
  pair.talk();
  EXPECT_TRUE(pair.client.established()) << pair.client.failure();
  EXPECT_TRUE(pair.server.established()) << pair.server.failure();
  EXPECT_EQ(pair.say(pair.client, pair.to_server, "hello"), "hello");
  EXPECT_EQ(pair.say(pair.server, pair.to_client, "hi"), "hi");
  const std::string big(300'000, 'x');
  EXPECT_TRUE(pair.say(pair.client, pair.to_server, big) == big);
  EXPECT_TRUE(pair.say(pair.server, pair.to_client, big) == big);
  EXPECT_TRUE(pair.client.unsent().empty());
}

// Nothing that was said arrives. Why, at the client and at the server.
std::pair<std::string, std::string> expect_fails(TlsPair& pair) {
  pair.talk();
  pair.client.send(as_bytes("secret"));
  pair.talk();
  EXPECT_FALSE(pair.server.established());
  EXPECT_TRUE(pair.client.failed());
  EXPECT_TRUE(pair.server.failed());
  EXPECT_EQ(pair.to_server, "");
  EXPECT_EQ(pair.server.send(as_bytes("secret")), 0u);
  return {pair.client.failure(), pair.server.failure()};
}

TEST(Tls, AServerShowsItsCertificate) {
  for (const char* host : {"localhost", "127.0.0.1", "::1"}) {
    TlsPair pair(tls_files().of("server"), tls_files().trusting("ca"), host);
    expect_works(pair);
  }
}

TEST(Tls, AClientShowsItsCertificateWhereItIsAsked) {
  TlsPair pair(tls_files().of("server", "ca"), tls_files().of("client", "ca"));
  expect_works(pair);
}

TEST(Tls, PreSharedKeysAreEnough) {
  TlsPair pair(tls_files().keyed("psks"), tls_files().keyed("psk"), "any.example");
  expect_works(pair);
}

TEST(Tls, OneByteAtATimeIsTheSame) {
  TlsPair pair(tls_files().of("server", "ca"), tls_files().of("client", "ca"), "localhost", 1);
  expect_works(pair);
}

TEST(Tls, AnotherCasCertificateIsRefused) {
  TlsPair pair(tls_files().of("foreign"), tls_files().trusting("ca"));
  const auto [client, server] = expect_fails(pair);
  EXPECT_THAT(client, HasSubstr("certificate verify failed: unable to get local issuer"));
  EXPECT_THAT(server, HasSubstr("unknown ca"));
}

TEST(Tls, AnExpiredCertificateIsRefused) {
  TlsPair pair(tls_files().of("expired"), tls_files().trusting("ca"));
  const auto [client, server] = expect_fails(pair);
  EXPECT_THAT(client, HasSubstr("certificate has expired"));
  EXPECT_THAT(server, HasSubstr("expired"));
}

TEST(Tls, AnotherHostsCertificateIsRefused) {
  TlsPair named(tls_files().of("elsewhere"), tls_files().trusting("ca"), "localhost");
  EXPECT_THAT(expect_fails(named).first, HasSubstr("hostname mismatch"));
  TlsPair numbered(tls_files().of("elsewhere"), tls_files().trusting("ca"), "127.0.0.1");
  EXPECT_THAT(expect_fails(numbered).first, HasSubstr("IP address mismatch"));
}

TEST(Tls, AClientWithoutTheCertificateThatIsAskedForIsRefused) {
  TlsPair none(tls_files().of("server", "ca"), tls_files().trusting("ca"));
  const auto [client, server] = expect_fails(none);
  EXPECT_THAT(server, HasSubstr("peer did not return a certificate"));
  EXPECT_THAT(client, HasSubstr("certificate required"));
  TlsPair foreign(tls_files().of("server", "ca"), tls_files().of("foreign", "ca"));
  EXPECT_THAT(expect_fails(foreign).second, HasSubstr("certificate verify failed"));
}

TEST(Tls, AWrongKeyIsRefused) {
  TlsPair pair(tls_files().keyed("psks"), tls_files().keyed("wrong-psk"));
  EXPECT_THAT(expect_fails(pair).second, HasSubstr("binder does not verify"));
}

TEST(Tls, AnUnknownIdentityIsRefused) {
  TlsPair pair(tls_files().keyed("psks"), tls_files().keyed("unknown-psk"));
  TlsPair wrong(tls_files().keyed("psks"), tls_files().keyed("wrong-psk"));
  const auto [client, server] = expect_fails(pair);
  EXPECT_THAT(server, HasSubstr("none of the pre-shared keys"));
  EXPECT_EQ(client, expect_fails(wrong).first) << "which identities there are is nobody's business";
}

TEST(Tls, KeysAndCertificatesDoNotMeet) {
  TlsPair keyless(tls_files().keyed("psks"), tls_files().trusting("ca"));
  const auto [client, server] = expect_fails(keyless);
  EXPECT_THAT(client, HasSubstr("the server has pre-shared keys in place of certificates"));
  EXPECT_THAT(server, HasSubstr("none of the pre-shared keys"));
  // A certificate must not stand in for the key that the client wants to see proved.
  TlsPair certified(tls_files().of("server"), tls_files().keyed("psk"));
  EXPECT_THAT(expect_fails(certified).first, HasSubstr("certificate verify failed"));
}

// Speaks no more than 1.2, for all that we know of it.
TEST(Tls, OlderVersionsAreRefused) {
  const auto server = load_tls(Role::server, tls_files().of("server"));
  const auto old = load_tls(Role::client, tls_files().trusting("ca"));
  SSL_CTX_set_min_proto_version(old->get(), TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(old->get(), TLS1_2_VERSION);
  TlsSession client(old, "localhost"), end(server, {});
  client.send({});
  ByteView come = client.unsent();
  Bytes into(100);
  EXPECT_EQ(end.receive(come, into), 0u);
  EXPECT_THAT(end.failure(), HasSubstr("unsupported protocol"));
}

TEST(Tls, WhatIsNoTlsIsRefused) {
  TlsSession end(server_tls()->current(), {});
  const std::string text = "GET / HTTP/1.1\r\nHost: here\r\n\r\n" + std::string(100'000, 'x');
  ByteView come = as_bytes(text);
  Bytes into(100);
  EXPECT_EQ(end.receive(come, into), 0u);
  EXPECT_TRUE(end.failed());
  EXPECT_EQ(end.receive(come, into), 0u);
}

TEST(Tls, AChangedByteIsNoticed) {
  TlsPair pair(tls_files().of("server"), tls_files().trusting("ca"));
  pair.talk();
  EXPECT_EQ(pair.client.send(as_bytes("hello")), 5u);
  Bytes changed(pair.client.unsent().begin(), pair.client.unsent().end());
  changed.back() ^= std::byte{1};
  ByteView come(changed);
  Bytes into(100);
  EXPECT_EQ(pair.server.receive(come, into), 0u);
  EXPECT_THAT(pair.server.failure(), HasSubstr("bad record mac"));
}

TEST(Tls, AnEndIsSaid) {
  TlsPair pair(tls_files().of("server"), tls_files().trusting("ca"));
  pair.talk();
  pair.client.send(as_bytes("last"));
  pair.client.close();
  EXPECT_FALSE(pair.server.ended());
  pair.talk();
  EXPECT_EQ(pair.to_server, "last");
  EXPECT_TRUE(pair.server.ended());
  EXPECT_FALSE(pair.server.failed());
}

// --- Files ---

std::string why_not(Role role, const TlsFiles& files) {
  const auto loaded = TlsContext::load(role, files);
  EXPECT_EQ(loaded.code(), Code::invalid);
  return loaded.status().message();
}

// A client that says what a TlsSession never would.
class RudeClient {
 public:
  explicit RudeClient(TlsSession& server)
      : context_(load_tls(Role::client, tls_files().trusting("ca"))),
        ssl_(SSL_new(context_->get())),
        server_(server) {
    SSL_CTX_set_keylog_callback(context_->get(), [](const SSL* of, const char* line) {
      static_cast<RudeClient*>(SSL_get_app_data(of))->keep_secret(line);
    });
    SSL_set_app_data(ssl_, this);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_);
    SSL_set_ciphersuites(ssl_, "TLS_AES_128_GCM_SHA256");
    while (SSL_do_handshake(ssl_) != 1 || !server.established()) {
      hear(said());
      const ByteView answer = server.unsent();
      BIO_write(SSL_get_rbio(ssl_), answer.data(), static_cast<int>(answer.size()));
      server.sent(answer.size());
    }
  }
  ~RudeClient() { SSL_free(ssl_); }

  Bytes update_of_keys() {
    SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(ssl_);
    return said();
  }
  Bytes data(std::string_view text) {
    SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
    return said();
  }
  // A record of the handshake, by hand: it must be the first that is said after the handshake.
  Bytes handshake_record(std::string_view text) const {
    // RFC 8446, sections 5.2, 5.3 and 7.3: with AES-128-GCM and SHA-256.
    const Bytes key = expand("key", 16), iv = expand("iv", 12);
    const auto size = static_cast<std::uint8_t>(text.size() + 1 + 16);
    const unsigned char header[5] = {23, 3, 3, 0, size};
    std::string plain(text);
    plain += '\x16';
    Bytes record(5 + plain.size() + 16);
    std::copy_n(reinterpret_cast<const std::byte*>(header), 5, record.begin());
    auto* out = reinterpret_cast<unsigned char*>(record.data() + 5);
    EVP_CIPHER_CTX* c = EVP_CIPHER_CTX_new();
    int n = 0;
    EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), nullptr,
                       reinterpret_cast<const unsigned char*>(key.data()),
                       reinterpret_cast<const unsigned char*>(iv.data()));
    EVP_EncryptUpdate(c, nullptr, &n, header, 5);
    EVP_EncryptUpdate(c, out, &n, reinterpret_cast<const unsigned char*>(plain.data()),
                      static_cast<int>(plain.size()));
    EVP_EncryptFinal_ex(c, out + n, &n);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, out + plain.size());
    EVP_CIPHER_CTX_free(c);
    return record;
  }
  // What the server gets of it.
  std::size_t hear(const Bytes& said) {
    Bytes into(70'000);
    ByteView come = said;
    return server_.receive(come, into);
  }

 private:
  Bytes said() {
    Bytes bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_)));
    if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  void keep_secret(std::string_view line) {
    if (!line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) return;
    for (std::size_t at = line.rfind(' ') + 1; at < line.size(); at += 2)
      secret_.push_back(
          static_cast<std::byte>(std::stoi(std::string(line.substr(at, 2)), nullptr, 16)));
  }
  Bytes expand(std::string_view label, std::size_t size) const {
    const std::string named = "tls13 " + std::string(label);
    std::string info{'\0', static_cast<char>(size), static_cast<char>(named.size())};
    info += named + '\0' + '\x01';
    unsigned char out[EVP_MAX_MD_SIZE];
    HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
         reinterpret_cast<const unsigned char*>(info.data()), info.size(), out, nullptr);
    const auto* bytes = reinterpret_cast<const std::byte*>(out);
    return {bytes, bytes + size};
  }

  std::shared_ptr<const TlsContext> context_;
  SSL* ssl_;
  TlsSession& server_;
  Bytes secret_;
};

TEST(Tls, RecordsWithoutDataHaveAnEnd) {
  TlsSession server(load_tls(Role::server, tls_files().of("server")), {});
  RudeClient client(server);
  std::size_t said = 0;
  while (!server.failed() && said < 10 * TlsSession::kMostOverhead) {
    const Bytes update = client.update_of_keys();
    said += update.size();
    EXPECT_EQ(client.hear(update), 0u);
  }
  EXPECT_THAT(server.failure(), HasSubstr("records without data"));
  EXPECT_LT(said, TlsSession::kMostOverhead + 100);
}

TEST(Tls, RecordsBesideDataHaveNone) {
  TlsSession server(load_tls(Role::server, tls_files().of("server")), {});
  RudeClient client(server);
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(client.hear(client.data("x")), 1u) << server.failure();
    if (i % 100 != 0) continue;
    ASSERT_EQ(client.hear(client.update_of_keys()), 0u);
  }
  EXPECT_FALSE(server.failed());
}

// OpenSSL would write nothing until the rest has come.
TEST(Tls, APartOfAnUpdateOfKeysDoesNotHoldUpAnswers) {
  TlsSession server(load_tls(Role::server, tls_files().of("server")), {});
  RudeClient client(server);
  EXPECT_EQ(server.send(as_bytes("answer")), 6u);
  EXPECT_EQ(client.hear(client.handshake_record(std::string("\x18\0\0\x01", 4))), 0u);
  EXPECT_FALSE(server.failed()) << server.failure();
  EXPECT_EQ(server.send(as_bytes("answer")), 0u);
  EXPECT_THAT(server.failure(), HasSubstr("split"));
}

TEST(TlsContext, SaysWhichFileIsWrongAndHow) {
  const TlsTestFiles& f = tls_files();
  EXPECT_THAT(why_not(Role::server, {}), HasSubstr("needs a certificate and its key"));
  EXPECT_THAT(why_not(Role::client, {}), HasSubstr("needs the CA"));
  EXPECT_THAT(why_not(Role::server, {f.path("server"), "", "", ""}), HasSubstr("together"));
  EXPECT_THAT(why_not(Role::client, f.of("client")), HasSubstr("needs the CA"));
  EXPECT_THAT(why_not(Role::server, {f.path("server"), f.path("server-key"), "", f.path("psk")}),
              HasSubstr("in place of certificates"));
  EXPECT_THAT(why_not(Role::client, f.trusting("nowhere")), HasSubstr("nowhere.pem"));
  EXPECT_THAT(why_not(Role::client, f.trusting("psk")), HasSubstr("psk.pem: no certificates"));
  const std::string other = why_not(Role::server, {f.path("server"), f.path("client-key"), "", ""});
  EXPECT_THAT(other, HasSubstr("client-key.pem"));
  EXPECT_THAT(other, HasSubstr("key values mismatch"));
  EXPECT_THAT(why_not(Role::server, {f.path("psk"), f.path("server-key"), "", ""}),
              HasSubstr("psk.pem: no certificate"));
}

TEST(TlsContext, AKeyIsNobodyElses) {
  const std::string key = tls_files().path("client-key");
  chmod(key.c_str(), 0604);
  EXPECT_THAT(why_not(Role::client, tls_files().of("client", "ca")), HasSubstr("chmod o="));
  chmod(key.c_str(), 0640);
  EXPECT_TRUE(TlsContext::load(Role::client, tls_files().of("client", "ca")).ok());
}

TEST(TlsContext, PreSharedKeysAreChecked) {
  const TlsTestFiles& f = tls_files();
  const auto wrong = [&](const std::string& text) {
    f.write("bad", text);
    return why_not(Role::server, f.keyed("bad"));
  };
  EXPECT_THAT(wrong(""), HasSubstr("no line"));
  EXPECT_THAT(wrong("# a\nalice"), HasSubstr("line 2: no colon"));
  EXPECT_THAT(wrong("a:" + std::string(30, '1')), HasSubstr("line 1: a key is 16 to 64 bytes"));
  EXPECT_THAT(wrong("a:" + std::string(33, '1')), HasSubstr("a key is"));
  EXPECT_THAT(wrong("a:" + std::string(130, '1')), HasSubstr("a key is"));
  EXPECT_THAT(wrong("a:" + std::string(32, 'g')), HasSubstr("a key is"));
  EXPECT_THAT(wrong(":" + std::string(32, '1')), HasSubstr("an identity"));
  const std::string line = "a:" + std::string(32, '1') + "\n";
  EXPECT_THAT(wrong(line + line), HasSubstr("line 2: the identity is there twice"));
  EXPECT_THAT(why_not(Role::client, f.keyed("psks")), HasSubstr("2 keys"));
}

// --- Sockets ---

class TlsSockets : public testing::Test {
 protected:
  TlsSockets() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    client_ = StreamSocket(UniqueFd(fds[0]), client_tls(), "localhost");
    server_ = StreamSocket(UniqueFd(fds[1]), server_tls()->current(), {});
  }
  // Both ends until the handshake is over.
  void shake_hands() {
    Bytes into(100);
    while (client_.send(as_bytes("x")) != 1) {
      EXPECT_EQ(server_.receive(into).bytes, -1);
      EXPECT_EQ(errno, EAGAIN);
      server_.send({});
      EXPECT_EQ(client_.receive(into).bytes, -1);
      EXPECT_EQ(errno, EAGAIN);
    }
    EXPECT_EQ(server_.receive(into).bytes, 1);
  }

  StreamSocket client_, server_;
};

TEST_F(TlsSockets, AFullSocketTakesNoMore) {
  shake_hands();
  const Bytes piece(60'000, std::byte{7});
  std::size_t sent = 0;
  ssize_t n = 0;
  while ((n = client_.send(piece)) > 0) sent += static_cast<std::size_t>(n);
  EXPECT_EQ(n, -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_TRUE(client_.unsent());
  // What is there is read to its end, whatever the reader's room; then the rest goes.
  std::size_t heard = 0;
  Bytes into(777);
  bool emptied = false;
  while (heard < sent) {
    const auto got = server_.receive(into);
    if (got.bytes < 0) {
      EXPECT_EQ(errno, EAGAIN);
      EXPECT_EQ(client_.send({}), 0);
      continue;
    }
    heard += static_cast<std::size_t>(got.bytes);
    emptied = got.emptied;
  }
  EXPECT_EQ(heard, sent);
  EXPECT_TRUE(emptied || server_.receive(into).bytes < 0);
  EXPECT_FALSE(client_.unsent());
}

TEST_F(TlsSockets, AnEndIsTheOthersToo) {
  shake_hands();
  EXPECT_EQ(client_.send(as_bytes("bye")), 3);
  client_.close();
  Bytes into(100);
  const auto last = server_.receive(into);
  EXPECT_EQ(last.bytes, 3);
  EXPECT_FALSE(last.emptied);  // there is an end behind it
  EXPECT_EQ(server_.receive(into).bytes, 0);
}

TEST_F(TlsSockets, ACutIsNotAnEnd) {
  shake_hands();
  shutdown(client_.fd(), SHUT_RDWR);
  Bytes into(100);
  EXPECT_EQ(server_.receive(into).bytes, -1);
  EXPECT_THAT(server_.reason(errno), HasSubstr("close_notify"));
}

TEST_F(TlsSockets, ACutInTheHandshakeIsSaid) {
  Bytes into(100);
  EXPECT_EQ(client_.send({}), 0);
  shutdown(client_.fd(), SHUT_RDWR);
  EXPECT_EQ(server_.receive(into).bytes, -1);
  EXPECT_THAT(server_.reason(errno), HasSubstr("before TLS's handshake was over"));
}

TEST_F(TlsSockets, NonsenseIsTold) {
  EXPECT_EQ(::send(client_.fd(), "nonsense", 8, MSG_NOSIGNAL), 8);
  Bytes into(100);
  EXPECT_EQ(server_.receive(into).bytes, -1);
  EXPECT_EQ(errno, EPROTO);
  EXPECT_THAT(server_.reason(EPROTO), HasSubstr("TLS: "));
}

}  // namespace
}  // namespace scalio::net
