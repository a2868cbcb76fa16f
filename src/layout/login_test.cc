#include "layout/login.h"

#include <gtest/gtest.h>

namespace scalio::layout {
namespace {

constexpr char kSecret[] = "a secret of some length";

std::shared_ptr<Credentials> alice(const std::string& secret = kSecret) {
  return *Credentials::create("alice", secret);
}

TEST(Login, BothSidesLearnThatTheOtherKnowsTheSecret) {
  const UserKeys keys = *UserKeys::of(kSecret);
  ClientLogin client(alice());
  EXPECT_EQ(ServerLogin::user_of(client.login()), "alice");
  const ServerLogin server(client.login(), keys);
  const Result<Bytes> proof = client.answer(server.challenge());
  ASSERT_TRUE(proof.ok());
  EXPECT_TRUE(server.proves(*proof));
  EXPECT_EQ(*client.finish(server.proven(kMayRead)), kMayRead);
  // A server that knows the user's name only.
  const ServerLogin false_server(client.login(), UserKeys{.salt = keys.salt});
  EXPECT_FALSE(client.finish(false_server.proven(kMayRead)).ok());
}

TEST(Login, AnotherSecretOrAnotherConnectionsProofProvesNothing) {
  const UserKeys keys = *UserKeys::of(kSecret);
  ClientLogin client(alice()), wrong(alice("another secret"));
  const ServerLogin server(client.login(), keys), later(client.login(), keys),
      of_wrong(wrong.login(), keys);
  const Bytes proof = *client.answer(server.challenge());
  EXPECT_TRUE(server.proves(proof));
  EXPECT_FALSE(later.proves(proof));
  EXPECT_FALSE(of_wrong.proves(*wrong.answer(of_wrong.challenge())));
  EXPECT_FALSE(server.proves({}));
  Bytes longer = proof;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(server.proves(longer));
}

// A thief of the file has the stored key, and not what it was made of.
TEST(Login, WhatAServerKeepsDoesNotLogIn) {
  const UserKeys keys = *UserKeys::of(kSecret);
  ClientLogin client(alice());
  const ServerLogin server(client.login(), keys);
  for (const LoginKey& known : {keys.stored, keys.server}) {
    EXPECT_FALSE(server.proves(std::as_bytes(std::span(known))));
  }
}

TEST(Login, KeysAsTextComeBackAndGarbageDoesNot) {
  const UserKeys keys = *UserKeys::of(kSecret);
  const std::string text = keys.text();
  EXPECT_TRUE(text.starts_with("argon2id-1$")) << text;
  const std::optional<UserKeys> back = UserKeys::parse(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->text(), text);
  EXPECT_EQ(text.find(kSecret), std::string::npos);
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    EXPECT_FALSE(UserKeys::parse(text.substr(0, cut))) << cut;
  }
  EXPECT_FALSE(UserKeys::parse(text + "$"));
  EXPECT_FALSE(UserKeys::parse("argon2id-2" + text.substr(10)));
}

TEST(Login, AChallengeThatIsNoneIsAFailure) {
  ClientLogin client(alice());
  EXPECT_FALSE(client.answer(Bytes(48)).ok());
  Bytes other_kind(kChallengeSize);
  other_kind[0] = std::byte{2};
  EXPECT_EQ(client.answer(other_kind).code(), Code::unavailable);
  EXPECT_FALSE(client.finish(Bytes(kProvenSize)).ok()) << "before its proof";
}

TEST(Login, NobodysSaltStaysTheSameAndItsSecretIsNobodys) {
  const LoginKey mask = random_login_key();
  const UserKeys once = keys_of_nobody(mask, "bob"), twice = keys_of_nobody(mask, "bob");
  EXPECT_EQ(once.salt, twice.salt);
  EXPECT_NE(once.stored, twice.stored);
  EXPECT_NE(once.salt, keys_of_nobody(mask, "eve").salt);
  EXPECT_NE(once.salt, keys_of_nobody(random_login_key(), "bob").salt);
}

TEST(Login, NamesAndSecretsHaveLimits) {
  EXPECT_TRUE(is_user_name("a-Z_09"));
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a\n"),
                                  std::string("a.b"), std::string(kMaxUserName + 1, 'a')}) {
    EXPECT_FALSE(is_user_name(name)) << name;
  }
  EXPECT_FALSE(Credentials::create("alice", "short").ok());
  EXPECT_FALSE(Credentials::create("", kSecret).ok());
  EXPECT_FALSE(ServerLogin::user_of(Bytes(32)));
}

}  // namespace
}  // namespace scalio::layout
