// TLS as people use it: the server, its clients, the gateway for Redis, metrics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/redis_client.h"
#include "support/store.h"
#include "testing/tls_files.h"

namespace scalio::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kBadUse = 2;

std::string file(const std::string& name) { return tls_files().path(name); }

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Of one that listens.
std::vector<std::string> certified() {
  return {"--tls-cert", file("server"), "--tls-key", file("server-key")};
}

bool there(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null").c_str()) == 0;
}

// What a log says behind `before`, as far as the line goes.
std::string said(const std::string& log, const std::string& before) {
  const std::size_t at = log.find(before);
  EXPECT_NE(at, std::string::npos) << before << "\n" << log;
  if (at == std::string::npos) return {};
  const std::size_t begin = at + before.size();
  return log.substr(begin, log.find('\n', begin) - begin);
}

class Encrypted : public ::testing::Test {
 protected:
  // Serves at tls: as well, and offers the SSDs beside it, as it is told to.
  std::string serve(const std::vector<std::string>& options) {
    StoreOptions its;
    its.format = {"--values", "12M"};
    its.serve =
        std::vector<std::string>{"--listen", "tls:127.0.0.1:0", "--nvmf", "127.0.0.1:0"} + options;
    store_.emplace(scratch_, its);
    EXPECT_TRUE(store_->start());
    uri_ = "tls:127.0.0.1:" + said(store_->log(), "listening on tls:127.0.0.1:");
    return uri_;
  }
  Finished client(const std::string& command, const std::vector<std::string>& rest) {
    return scalio(scratch_, std::vector<std::string>{command, "--server", uri_} + rest);
  }

  // That the server logs this.
  bool wait_for(const std::string& text) {
    while (store_->running() && store_->log().find(text) == std::string::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return store_->running();
  }

  Scratch scratch_{"encrypted"};
  std::optional<Store> store_;
  std::string uri_;
};

TEST_F(Encrypted, ClientsThatKnowTheCaWriteAndRead) {
  serve(certified());
  const std::vector<std::string> trusting = {"--tls-ca", file("ca")};
  EXPECT_EQ(client("put", trusting + std::vector<std::string>{"hello", "world"}).status, 0);
  EXPECT_EQ(client("get", trusting + std::vector<std::string>{"hello"}).out, "world");
  // Nothing is cached then: it is read from an SSD.
  store_->stop();
  ASSERT_TRUE(store_->start());
  uri_ = "tls:127.0.0.1:" + said(store_->log(), "listening on tls:127.0.0.1:");
  EXPECT_EQ(client("get", trusting + std::vector<std::string>{"hello"}).out, "world");

  const std::string large(100'000, 'x');
  EXPECT_EQ(client("put", trusting + std::vector<std::string>{"large", large}).status, 0);
  EXPECT_EQ(client("get", trusting + std::vector<std::string>{"large"}).out, large);
}

TEST_F(Encrypted, WhoErrsIsToldHow) {
  serve(certified());
  const std::vector<std::string> trusting = {"--tls-ca", file("ca")};
  const auto refused = [&](const std::string& uri, const std::vector<std::string>& options) {
    const Finished said = scalio(scratch_, std::vector<std::string>{"get", "--server", uri} +
                                               options + std::vector<std::string>{"hello"});
    EXPECT_NE(said.status, 0) << said.out;
    EXPECT_THAT(said.err, HasSubstr(uri));
    return said;
  };
  EXPECT_THAT(refused(uri_, {"--tls-ca", file("stranger")}).err,
              HasSubstr("the CA that is given here (tls-ca) has not signed it"));
  const Finished none = refused(uri_, {});
  EXPECT_EQ(none.status, kBadUse);
  EXPECT_THAT(none.err, HasSubstr("a client needs the CA"));
  const Finished bare = refused(store_->tcp_uri(), trusting);
  EXPECT_EQ(bare.status, kBadUse);
  EXPECT_THAT(bare.err, HasSubstr("is not encrypted"));
  // A client of one kind at the other's port.
  const std::string port = uri_.substr(uri_.rfind(':'));
  EXPECT_THAT(refused("tcp:127.0.0.1" + port, {}).err, HasSubstr("write tls:"));
  EXPECT_THAT(store_->log(), HasSubstr("the client does not speak TLS"));
  EXPECT_THAT(refused("tls:127.0.0.1:" + std::to_string(store_->port()), trusting).err,
              HasSubstr("the server does not speak TLS"));
}

TEST_F(Encrypted, AnExpiredCertificateIsRefused) {
  serve({"--tls-cert", file("expired"), "--tls-key", file("expired-key")});
  const Finished refused = client("get", {"--tls-ca", file("ca"), "hello"});
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.err, HasSubstr("certificate has expired"));
  EXPECT_THAT(store_->log(), HasSubstr("does not believe this end's certificate"));
}

TEST_F(Encrypted, WhoHasNoCertificateOfTheClientsCaIsRefused) {
  serve(certified() + std::vector<std::string>{"--tls-ca", file("ca")});
  const std::vector<std::string> trusting = {"--tls-ca", file("ca")};
  const std::vector<std::string> proved = {"--tls-cert", file("client"), "--tls-key",
                                           file("client-key")};
  EXPECT_EQ(client("put", trusting + proved + std::vector<std::string>{"a", "b"}).status, 0);
  const Finished unproved = client("put", trusting + std::vector<std::string>{"a", "c"});
  EXPECT_NE(unproved.status, 0);
  EXPECT_THAT(unproved.err, HasSubstr("the server serves who has a certificate alone"));
  EXPECT_EQ(client("get", trusting + proved + std::vector<std::string>{"a"}).out, "b");
}

TEST_F(Encrypted, APreSharedKeyIsEnough) {
  serve({"--tls-psk", file("psks")});
  EXPECT_EQ(client("put", {"--tls-psk", file("psk"), "a", "b"}).status, 0);
  EXPECT_EQ(client("get", {"--tls-psk", file("psk"), "a"}).out, "b");
  for (const char* wrong : {"wrong-psk", "unknown-psk"}) {
    const Finished refused = client("get", {"--tls-psk", file(wrong), "a"});
    EXPECT_NE(refused.status, 0);
    EXPECT_THAT(refused.err, HasSubstr("does not have this pre-shared key"));
  }
  const Finished keyless = client("get", {"--tls-ca", file("ca"), "a"});
  EXPECT_NE(keyless.status, 0);
  EXPECT_THAT(keyless.err, HasSubstr("the server has pre-shared keys in place of certificates"));
}

TEST_F(Encrypted, HalfOfItIsNotGivenUnasked) {
  Store store(scratch_, {});
  const auto serve = [&](const std::vector<std::string>& options) {
    const Finished refused =
        scalio(scratch_,
               std::vector<std::string>{"serve", "--dir", store.dir(), "--cache", "4M"} + options);
    EXPECT_EQ(refused.status, kBadUse) << refused.err;
    return refused.err;
  };
  const std::vector<std::string> at = {"--listen", "tls:127.0.0.1:0"};
  EXPECT_THAT(serve(at + certified()), HasSubstr("NVMe/TCP, which is not encrypted"));
  const std::vector<std::string> without = {"--nvmf", "none"};
  EXPECT_THAT(serve(at + without), HasSubstr("a server needs a certificate and its key"));
  EXPECT_THAT(serve(std::vector<std::string>{"--listen", "tcp:127.0.0.1:0"} + certified()),
              HasSubstr("nothing listens at tls:"));
  EXPECT_THAT(
      serve(at + without +
            std::vector<std::string>{"--tls-psk", file("psk"), "--metrics", "tls:127.0.0.1:0"}),
      HasSubstr("--metrics tls: needs a certificate"));
}

TEST_F(Encrypted, ACertificateIsRenewedBySighup) {
  std::filesystem::copy(file("expired"), scratch_ / "cert");
  std::filesystem::copy(file("expired-key"), scratch_ / "key");
  const std::vector<std::string> files = {"--tls-cert", scratch_ / "cert", "--tls-key",
                                          scratch_ / "key"};
  serve(files);
  const auto renew = [&](const std::string& name) {
    const auto over = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy(file(name), scratch_ / "cert", over);
    std::filesystem::copy(file(name + "-key"), scratch_ / "key", over);
  };
  const std::vector<std::string> trusting = {"--tls-ca", file("ca")};
  EXPECT_THAT(client("count", trusting).err, HasSubstr("certificate has expired"));
  renew("server");
  EXPECT_NE(client("count", trusting).status, 0);
  ::kill(store_->pid(), SIGHUP);
  EXPECT_TRUE(wait_for("files of TLS were read again"));
  EXPECT_EQ(client("count", trusting).status, 0);
  // What is wrong changes nothing.
  std::filesystem::remove(scratch_ / "cert");
  ::kill(store_->pid(), SIGHUP);
  EXPECT_TRUE(wait_for("TLS goes on as it was"));
  EXPECT_EQ(client("count", trusting).status, 0);
}

TEST_F(Encrypted, TheCertificateOfMetricsIsRenewedBySighup) {
  std::filesystem::copy(file("expired"), scratch_ / "cert");
  std::filesystem::copy(file("expired-key"), scratch_ / "key");
  StoreOptions its;
  // Metrics alone are encrypted: SIGHUP is no end of these either.
  its.serve = {"--tls-cert",     scratch_ / "cert", "--tls-key",
               scratch_ / "key", "--metrics",       "tls:127.0.0.1:0"};
  store_.emplace(scratch_, its);
  ASSERT_TRUE(store_->start());
  const std::string url =
      "https://127.0.0.1:" + said(store_->log(), "metrics and health on https://127.0.0.1:");
  if (!there("curl")) GTEST_SKIP() << "this machine has no curl";
  const auto ready = [&] {
    return run({"curl", "-sS", "--cacert", file("ca"), url + "readyz"}, scratch_ / "curl").out;
  };
  EXPECT_EQ(ready(), "");
  const auto over = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy(file("server"), scratch_ / "cert", over);
  std::filesystem::copy(file("server-key"), scratch_ / "key", over);
  EXPECT_EQ(ready(), "");
  ::kill(store_->pid(), SIGHUP);
  EXPECT_TRUE(wait_for("the certificate of metrics was read again"));
  EXPECT_EQ(ready(), "ready\n");
  // What is wrong changes nothing.
  std::filesystem::remove(scratch_ / "cert");
  ::kill(store_->pid(), SIGHUP);
  EXPECT_TRUE(wait_for("the certificate of metrics was not renewed"));
  EXPECT_EQ(ready(), "ready\n");
}

// Of a target as of a server, SIGHUP included.
TEST_F(Encrypted, MetricsOfATargetAreByHttps) {
  const Store store(scratch_, {});
  const std::vector<std::string> words = {
      SCALIO_PROGRAM, "nvmf-target",  "--listen",  "127.0.0.1:0",
      "--ns",         store.ssd(0),   "--metrics", "tls:127.0.0.1:0",
      "--tls-cert",   file("server"), "--tls-key", file("server-key")};
  Process target(words, scratch_ / "target");
  const auto wait_until_said = [&](const std::string& text) {
    while (target.running() && (target.out() + target.err()).find(text) == std::string::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return target.running();
  };
  ASSERT_TRUE(wait_until_said("ready\n")) << target.err();
  const std::string url =
      "https://127.0.0.1:" + said(target.err(), "metrics and health on https://127.0.0.1:");
  target.signal(SIGHUP);
  EXPECT_TRUE(wait_until_said("the certificate of metrics was read again")) << target.err();
  if (!there("curl")) GTEST_SKIP() << "this machine has no curl";
  const Finished ready =
      run({"curl", "-sS", "--cacert", file("ca"), url + "readyz"}, scratch_ / "curl");
  EXPECT_EQ(ready.out, "ready\n") << ready.err;
}

TEST_F(Encrypted, RedisClientsAreServed) {
  serve(certified());
  RedisGateway gateway(scratch_, uri_,
                       certified() + std::vector<std::string>{"--server-tls-ca", file("ca"),
                                                              "--listen", "tls:127.0.0.1:0"});
  ASSERT_TRUE(gateway.start());
  const std::string port = said(gateway.process().err(), "listening on tls:127.0.0.1:");
  if (!there("redis-cli")) GTEST_SKIP() << "this machine has no redis-cli (package redis-tools)";
  const auto cli = [&](const std::string& ca, const std::vector<std::string>& words) {
    return run(
        std::vector<std::string>{"redis-cli", "-p", port, "--tls", "--cacert", file(ca)} + words,
        scratch_ / "cli");
  };
  EXPECT_EQ(cli("ca", {"set", "hello", "world"}).out, "OK\n");
  EXPECT_EQ(cli("ca", {"get", "hello"}).out, "world\n");
  std::FILE* f = std::fopen((scratch_ / "big").c_str(), "w");
  std::fputs(RedisClient::request({"SET", "big", std::string(100'000, 'y')}).c_str(), f);
  for (int i = 0; i < 200; ++i) std::fputs(RedisClient::request({"GET", "big"}).c_str(), f);
  std::fclose(f);
  const std::string piped = "redis-cli -p " + port + " --tls --cacert " + file("ca") + " --pipe <" +
                            (scratch_ / "big").string();
  EXPECT_THAT(run({"/bin/sh", "-c", piped}, scratch_ / "pipe").out,
              HasSubstr("errors: 0, replies: 201"));
  gateway.process().signal(SIGHUP);  // no end
  while (gateway.process().running() &&
         gateway.process().err().find("files of TLS were read again") == std::string::npos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(cli("ca", {"get", "hello"}).out, "world\n");
  const Finished stranger = cli("stranger", {"get", "hello"});
  EXPECT_THAT(stranger.out + stranger.err, HasSubstr("certificate verify failed"));
  gateway.stop();
}

TEST_F(Encrypted, MetricsAreByHttps) {
  serve(certified() + std::vector<std::string>{"--metrics", "tls:127.0.0.1:0"});
  const std::string url =
      "https://127.0.0.1:" + said(store_->log(), "metrics and health on https://127.0.0.1:");
  if (!there("curl")) GTEST_SKIP() << "this machine has no curl";
  const auto curl = [&](const std::vector<std::string>& options) {
    return run(std::vector<std::string>{"curl", "-sS", "--cacert", file("ca")} + options,
               scratch_ / "curl");
  };
  EXPECT_EQ(curl({url + "readyz"}).out, "ready\n");
  EXPECT_THAT(curl({url + "metrics"}).out, HasSubstr("scalio_build_info"));
  EXPECT_NE(curl({"--tls-max", "1.2", url + "readyz"}).status, 0);
  EXPECT_NE(curl({"--cacert", file("stranger"), url + "readyz"}).status, 0);
}

}  // namespace
}  // namespace scalio::testing
