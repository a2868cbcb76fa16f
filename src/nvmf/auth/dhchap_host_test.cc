// The host's side against controllers that say what none would. Against the right one:
// dhchap_controller_test.cc.
#include "nvmf/auth/dhchap_host.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "testing/dhchap_secrets.h"

namespace scalio::nvmf {
namespace {

const std::string kHost = "nqn.2014-08.org.example:host";
const std::string kSubsystem = "nqn.2014-08.org.example:subsystem";
constexpr std::uint16_t kTransaction = 7;

AuthChallenge challenge() {
  AuthChallenge m;
  m.transaction = kTransaction;
  m.sequence = 1;
  m.challenge.resize(32);
  return m;
}

// What the host says of a failure at its end.
std::string said(const DhchapHost& host) {
  if (host.last_words().empty()) return "nothing";
  EXPECT_EQ(decode_auth_header(host.last_words())->message, AuthMessage::failure2);
  EXPECT_EQ(decode_auth_header(host.last_words())->transaction, kTransaction);
  return name_of(*decode_auth_failure(host.last_words()));
}

TEST(DhchapHostTest, OffersWhatItKnows) {
  const DhchapSecrets own = secrets();
  const Result<AuthNegotiate> m =
      decode_auth_negotiate(DhchapHost(own, kHost, kSubsystem, kTransaction).negotiate());
  ASSERT_TRUE(m.ok());
  EXPECT_EQ(m->transaction, kTransaction);
  EXPECT_TRUE(m->chap);
  EXPECT_EQ(m->hashes.size(), 3U);
  EXPECT_EQ(m->groups.size(), 6U);
}

TEST(DhchapHostTest, ChallengesThatCannotBeAnsweredAreRefused) {
  struct Case {
    std::function<void(AuthChallenge&)> change;
    AuthFailure why;
  };
  for (const Case& c : {
           Case{[](AuthChallenge& m) { m.transaction = 8; }, AuthFailure::incorrect_payload},
           Case{[](AuthChallenge& m) { m.hash = AuthHash{0}; }, AuthFailure::hash_unusable},
           Case{[](AuthChallenge& m) { m.hash = AuthHash::sha512; }, AuthFailure::hash_unusable},
           Case{[](AuthChallenge& m) { m.challenge = {}; }, AuthFailure::hash_unusable},
           Case{[](AuthChallenge& m) { m.group = DhGroup{6}; }, AuthFailure::group_unusable},
           Case{[](AuthChallenge& m) { m.public_key.resize(256); }, AuthFailure::incorrect_payload},
           Case{[](AuthChallenge& m) { m.group = DhGroup::ffdhe2048; },
                AuthFailure::incorrect_payload},
           // No element of the group.
           Case{[](AuthChallenge& m) {
                  m.group = DhGroup::ffdhe2048;
                  m.public_key.resize(256);
                },
                AuthFailure::incorrect_payload},
           Case{[](AuthChallenge& m) { m.sequence = 0; }, AuthFailure::incorrect_payload},
       }) {
    const DhchapSecrets own = secrets();
    DhchapHost host(own, kHost, kSubsystem, kTransaction);
    AuthChallenge m = challenge();
    c.change(m);
    EXPECT_EQ(host.reply_to(encode(m)).code(), Code::invalid);
    EXPECT_EQ(said(host), name_of(c.why));
  }
  const DhchapSecrets own = secrets();
  DhchapHost host(own, kHost, kSubsystem, kTransaction);
  EXPECT_TRUE(host.reply_to(encode(challenge())).ok());
}

TEST(DhchapHostTest, OtherMessagesAreRefused) {
  const DhchapSecrets own = secrets();
  for (const Bytes& message : {Bytes(), Bytes(4), encode(challenge())}) {
    DhchapHost host(own, kHost, kSubsystem, kTransaction);
    EXPECT_EQ(host.conclude(message).code(), Code::invalid);
    EXPECT_NE(said(host), "nothing");
  }
  Bytes cut = encode(challenge());
  cut.pop_back();
  DhchapHost host(own, kHost, kSubsystem, kTransaction);
  EXPECT_EQ(host.reply_to(cut).code(), Code::invalid);
  EXPECT_EQ(said(host), name_of(AuthFailure::incorrect_payload));
}

// The controller has failed, and knows it.
TEST(DhchapHostTest, AFailureIsNotAnswered) {
  const DhchapSecrets own = secrets();
  DhchapHost host(own, kHost, kSubsystem, kTransaction);
  const Status status =
      host.reply_to(encode_auth_failure(AuthMessage::failure1, kTransaction, AuthFailure::failed))
          .status();
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("authentication failed"), std::string::npos);
  EXPECT_EQ(said(host), "nothing");
}

TEST(DhchapHostTest, AControllerThatIsToProveItselfMust) {
  const DhchapSecrets own = secrets(kHostSecret, kControllerSecret);
  AuthSuccess1 success;
  success.transaction = kTransaction;
  success.hash_size = 32;
  struct Case {
    std::optional<Bytes> response;
    AuthFailure why;
  };
  for (const Case& c :
       {Case{std::nullopt, AuthFailure::incorrect_payload}, Case{Bytes(32), AuthFailure::failed}}) {
    DhchapHost host(own, kHost, kSubsystem, kTransaction);
    ASSERT_TRUE(host.reply_to(encode(challenge())).ok());
    success.response = c.response;
    EXPECT_EQ(host.conclude(encode(success)).code(), Code::invalid);
    EXPECT_EQ(said(host), name_of(c.why));
  }
  // Of another size: the beginning of it would be no proof.
  DhchapHost host(own, kHost, kSubsystem, kTransaction);
  ASSERT_TRUE(host.reply_to(encode(challenge())).ok());
  success.hash_size = 0;
  success.response = Bytes();
  EXPECT_EQ(host.conclude(encode(success)).code(), Code::invalid);
  EXPECT_EQ(said(host), name_of(AuthFailure::failed));
}

}  // namespace
}  // namespace scalio::nvmf
