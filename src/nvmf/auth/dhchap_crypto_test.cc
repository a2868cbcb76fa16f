#include "nvmf/auth/dhchap_crypto.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "testing/test_bytes.h"

namespace scalio::nvmf {
namespace {

using layout::hex;

// The specification's example of a secret (Base 8.13.5.8). What is expected of it was computed by
// Python's hashlib and hmac, from the formulas of Base 8.13.5.5 to 8.13.5.8.
constexpr std::string_view kSecret = "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:";
constexpr std::string_view kHost =
    "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";
constexpr std::string_view kSubsystem = "nqn.2014-08.org.example:subsystem";

TEST(DhchapCrypto, KeysAreMadeOfANameAlone) {
  DhchapSecret secret = *parse_dhchap_secret(kSecret);
  EXPECT_EQ(response_key(secret, kHost), secret.key);
  struct Case {
    AuthHash hash;
    std::string_view expected;
  };
  for (const Case& c :
       {Case{AuthHash::sha256, "5e000dd7e3deef7acbde5ab1044a8727b551dd4c6a1e9d238c4629f3722d2637"},
        Case{AuthHash::sha384,
             "5683e34b83fdb6d3359a4aa8c4cf5b596684e83f326c3452c13ddc90078b5936"
             "03d601878710f86e1d2ef5936eeb0b38"},
        Case{AuthHash::sha512,
             "d4946dbad8ab491d5ba89c7ecc7247d5d312d861d39abbee725cc666420fcff8"
             "c75d6748aecf27e957bd25927318aca160f34cad2031cb5203b4d47dcb6bda69"}}) {
    secret.transform = c.hash;
    EXPECT_EQ(hex(response_key(secret, kHost)), c.expected);
  }
}

struct ResponseCase {
  AuthHash hash;
  bool exchanged;  // keys
  AuthEnd end;
  std::string_view expected;
};
const ResponseCase kResponses[] = {
    {AuthHash::sha256, false, AuthEnd::host,
     "2b9e0a6a7dbf99e2f4391aa0bac37a49da97db0d6c8a613446b1c5255a9d28cb"},
    {AuthHash::sha256, false, AuthEnd::controller,
     "854d01829e2a54f0b331378bf3b7ac14f0c4ddaefc5e6b05cd6b5cd35da79900"},
    {AuthHash::sha256, true, AuthEnd::host,
     "7765b1687d80cb611942320b612cf7ef5f80e828d5fd6fb4650d8aaefa1d36d2"},
    {AuthHash::sha256, true, AuthEnd::controller,
     "0dc06e71cc9f912adf4306027d048dcf3f8e93b661aa97f4018d55e362c8f5cb"},
    {AuthHash::sha384, false, AuthEnd::host,
     "a0556ff206c30047c2907408962a5a122802bf6d8db3970b7da7ec7c5a8dcee2"
     "45a6eaae8e5ec4551bf5214e38e0718f"},
    {AuthHash::sha384, true, AuthEnd::host,
     "cd9f414bd2a854e9d85ee68bc1a01082f48c2eda2dcd5be53c1e4383978a5010"
     "42ac301ecab73f9cce7863a7a1241cb7"},
    {AuthHash::sha512, false, AuthEnd::host,
     "f97bde11540f816b31cbe6012a2be9ad9e3bc4621abd45888fedff003979e137"
     "e4e12cc81f8f21007853452107983c18cf302a520bb6583875d56cad89a9e68e"},
    {AuthHash::sha512, true, AuthEnd::controller,
     "0f827f1599f6b9574c1b7df602bc922e80f9938c3a95616432ebf0feecdc49cd"
     "c26b8769120b2c97471e13e7f2017ac925986af43fb21f480f13c3c835c9bebd"},
};

TEST(DhchapCrypto, ResponsesAreThoseOfTheFormulas) {
  const Bytes key = parse_dhchap_secret(kSecret)->key;
  for (const ResponseCase& c : kResponses) {
    Bytes challenge(size_of(c.hash));
    for (std::size_t i = 0; i < challenge.size(); ++i) challenge[i] = static_cast<std::byte>(i);
    Bytes shared(c.exchanged ? 256 : 0);
    for (std::size_t i = 0; i < shared.size(); ++i) shared[i] = static_cast<std::byte>(i * 7 + 3);
    const bool host = c.end == AuthEnd::host;
    const ChallengeTerms terms{c.hash,
                               challenge,
                               shared,
                               0x01020304,
                               0x0506,
                               c.end,
                               host ? kHost : kSubsystem,
                               host ? kSubsystem : kHost};
    EXPECT_EQ(hex(response_to(terms, key)), c.expected);
  }
}

TEST(DhchapCrypto, BothEndsOfAKeyExchangeHaveTheSame) {
  for (const DhGroup group : kDhGroups) {
    if (group == DhGroup::none) continue;
    const Result<DhKey> a = DhKey::make(group), b = DhKey::make(group);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(a->public_key().size(), size_of(group));
    EXPECT_NE(a->public_key(), b->public_key());
    const Result<Bytes> one = a->shared_with(b->public_key());
    ASSERT_TRUE(one.ok()) << one.status().to_string();
    EXPECT_EQ(one->size(), size_of(group));
    EXPECT_EQ(*one, *b->shared_with(a->public_key()));
  }
}

// 0, 1 and -1 would make the secret known to all; others are no elements.
TEST(DhchapCrypto, KeysThatGiveEverythingAwayAreRefused) {
  const Result<DhKey> key = DhKey::make(DhGroup::ffdhe2048);
  ASSERT_TRUE(key.ok());
  Bytes peer(256);
  EXPECT_EQ(key->shared_with(peer).code(), Code::invalid);
  peer.back() = std::byte{1};
  EXPECT_EQ(key->shared_with(peer).code(), Code::invalid);
  peer.back() = std::byte{2};
  EXPECT_TRUE(key->shared_with(peer).ok());
  EXPECT_TRUE(key->shared_with(ByteView(peer).last(1)).ok());  // without leading zeroes
  peer.assign(256, std::byte{0xff});
  EXPECT_EQ(key->shared_with(peer).code(), Code::invalid);
  peer.assign(257, std::byte{0});
  peer.back() = std::byte{2};
  EXPECT_EQ(key->shared_with(peer).code(), Code::invalid);
  EXPECT_EQ(key->shared_with({}).code(), Code::invalid);
}

TEST(DhchapCrypto, NumbersAreNotTheSameAgain) {
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::uint32_t number = next_sequence_number();
    EXPECT_NE(number, 0U);
    EXPECT_TRUE(seen.insert(number).second);
  }
  EXPECT_NE(*unpredictable_bytes(32), *unpredictable_bytes(32));
}

TEST(DhchapCrypto, SameIsSame) {
  const Bytes a = *unpredictable_bytes(32);
  Bytes b = a;
  EXPECT_TRUE(same_secretly(a, b));
  b[31] ^= std::byte{1};
  EXPECT_FALSE(same_secretly(a, b));
  EXPECT_FALSE(same_secretly(a, ByteView(a).first(31)));
}

}  // namespace
}  // namespace scalio::nvmf
