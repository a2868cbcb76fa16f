#include "net/uri.h"

#include <gtest/gtest.h>

namespace scalio::net {
namespace {

TEST(Uri, ParsesAndPrintsAllSchemes) {
  const Result<Uri> local = parse_uri("unix:/run/scalio.sock");
  ASSERT_TRUE(local.ok());
  EXPECT_EQ(local->scheme, kUnix);
  EXPECT_TRUE(local->local());
  EXPECT_EQ(local->path, "/run/scalio.sock");
  EXPECT_EQ(local->text(), "unix:/run/scalio.sock");

  const Result<Uri> remote = parse_uri("tcp:host.example:5000");
  ASSERT_TRUE(remote.ok());
  EXPECT_EQ(remote->scheme, kTcp);
  EXPECT_EQ(remote->host, "host.example");
  EXPECT_EQ(remote->port, 5000);
  EXPECT_EQ(remote->text(), "tcp:host.example:5000");

  const Result<Uri> rdma = parse_uri("rdma:10.0.0.7:5000");
  ASSERT_TRUE(rdma.ok());
  EXPECT_EQ(rdma->scheme, kRdma);
  EXPECT_EQ(rdma->host, "10.0.0.7");
  EXPECT_EQ(rdma->port, 5000);
  EXPECT_EQ(rdma->text(), "rdma:10.0.0.7:5000");
}

TEST(Uri, TakesIpv6InBrackets) {
  const Result<Uri> uri = parse_uri("tcp:[::1]:0");
  ASSERT_TRUE(uri.ok());
  EXPECT_EQ(uri->host, "::1");
  EXPECT_EQ(uri->port, 0);
  EXPECT_EQ(uri->text(), "tcp:[::1]:0");
}

TEST(Uri, WhatSchemesThereAreIsTheCallers) {
  constexpr UriScheme kSome[] = {{kTcp}, {"pipe", true}};
  const Result<Uri> pipe = parse_uri("pipe:there", kSome);
  ASSERT_TRUE(pipe.ok());
  EXPECT_EQ(pipe->text(), "pipe:there");
  EXPECT_EQ(parse_uri("unix:/run/x", kSome).status().message(),
            "\"unix:/run/x\" is not a server's address: it begins with neither tcp: nor pipe:; "
            "write tcp:host:port or pipe:/path (an IPv6 address in brackets)");
  EXPECT_EQ(parse_uri("udp:host:5").status().message(),
            "\"udp:host:5\" is not a server's address: it begins with neither unix:, tcp: nor "
            "rdma:; write unix:/path, tcp:host:port or rdma:host:port (an IPv6 address in "
            "brackets)");
}

TEST(Uri, RefusesEverythingElse) {
  using namespace std::string_view_literals;
  for (std::string_view text : {""sv,
                                "unix:"sv,
                                "unix"sv,
                                "/run/x"sv,
                                "tcp:"sv,
                                "tcp:host"sv,
                                "tcp::5"sv,
                                "tcp:*:5"sv,
                                "tcp:host:"sv,
                                "tcp:host:x"sv,
                                "tcp:host:65536"sv,
                                "tcp:host:-1"sv,
                                "tcp:host:5 "sv,
                                "tcp:::1:5"sv,
                                "tcp:[::1]"sv,
                                "tcp:[::1"sv,
                                "tcp:[]:5"sv,
                                "rdma:"sv,
                                "rdma:host"sv,
                                "rdma"sv,
                                "udp:host:5"sv,
                                "unix:/a\0b"sv}) {
    const Result<Uri> uri = parse_uri(text);
    EXPECT_EQ(uri.code(), Code::invalid) << text;
  }
}

}  // namespace
}  // namespace scalio::net
