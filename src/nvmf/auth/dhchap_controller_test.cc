// Both sides of an authentication, one against the other; and the controller's against hosts that
// say what none would.
#include "nvmf/auth/dhchap_controller.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nvmf/auth/dhchap_host.h"
#include "testing/dhchap_secrets.h"

namespace scalio::nvmf {
namespace {

using Outcome = DhchapController::Outcome;

const std::string kHost = "nqn.2014-08.org.example:host";
const std::string kSubsystem = "nqn.2014-08.org.example:subsystem";
constexpr std::uint16_t kTransaction = 7;

// A controller that knows `secrets` of kHost.
class DhchapControllerTest : public testing::Test {
 protected:
  explicit DhchapControllerTest(DhchapSecrets known = secrets()) : known_(std::move(known)) {}

  // What the host offers, one of each unless said otherwise.
  static Bytes negotiate(std::vector<AuthHash> hashes = {AuthHash::sha256},
                         std::vector<DhGroup> groups = {DhGroup::none}) {
    AuthNegotiate m;
    m.transaction = kTransaction;
    m.hashes = std::move(hashes);
    m.groups = std::move(groups);
    return encode(m);
  }
  AuthChallenge challenged(const Bytes& offer = negotiate()) {
    controller_.take(offer);
    Result<AuthChallenge> m = decode_auth_challenge(controller_.next());
    EXPECT_TRUE(m.ok());
    return *std::move(m);
  }
  // The right one.
  static AuthReply reply_to(const AuthChallenge& m, std::string_view secret = kHostSecret) {
    AuthReply reply;
    reply.transaction = kTransaction;
    reply.response = response_to(
        {m.hash, m.challenge, {}, m.sequence, kTransaction, AuthEnd::host, kHost, kSubsystem},
        response_key(*parse_dhchap_secret(secret), kHost));
    reply.challenge.resize(reply.response.size());
    return reply;
  }
  // The controller says that it has failed, and why.
  void expect_failure(AuthFailure why) {
    const Bytes said = controller_.next();
    const Result<AuthHeader> header = decode_auth_header(said);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->message, AuthMessage::failure1);
    EXPECT_EQ(name_of(*decode_auth_failure(said)), name_of(why));
    EXPECT_EQ(controller_.outcome(), Outcome::failed);
    EXPECT_FALSE(controller_.why().empty());
  }

  const DhchapSecrets known_;
  DhchapController controller_{known_, kHost, kSubsystem};
};

class MutualDhchapTest : public DhchapControllerTest {
 protected:
  MutualDhchapTest() : DhchapControllerTest(secrets(kHostSecret, kControllerSecret)) {}
};

// The host's words to the controller, and back. Whether the host is content.
bool converse(DhchapHost& host, DhchapController& controller) {
  controller.take(host.negotiate());
  const Result<Bytes> reply = host.reply_to(controller.next());
  Status status = reply.status();
  if (reply.ok()) {
    controller.take(*reply);
    status = host.conclude(controller.next());
  }
  if (!host.last_words().empty()) controller.take(host.last_words());
  return status.ok();
}

TEST_F(DhchapControllerTest, AHostThatKnowsTheSecretIsProven) {
  DhchapHost host(known_, kHost, kSubsystem, kTransaction);
  EXPECT_TRUE(converse(host, controller_));
  EXPECT_EQ(controller_.outcome(), Outcome::proven);
}

TEST_F(MutualDhchapTest, BothAreProven) {
  DhchapHost host(known_, kHost, kSubsystem, kTransaction);
  EXPECT_TRUE(converse(host, controller_));
  EXPECT_EQ(controller_.outcome(), Outcome::proven);
  // A host that asks for no proof needs none.
  const DhchapSecrets alone = secrets();
  DhchapController again(known_, kHost, kSubsystem);
  DhchapHost content(alone, kHost, kSubsystem, kTransaction);
  EXPECT_TRUE(converse(content, again));
  EXPECT_EQ(again.outcome(), Outcome::proven);
}

// With secrets that are made ones of a name, too.
TEST_F(DhchapControllerTest, WhoDoesNotKnowItIsNot) {
  for (const auto& [own, name] :
       {std::pair{secrets(kOtherSecret), kHost}, {secrets(kControllerSecret), kHost}}) {
    DhchapController controller(known_, kHost, kSubsystem);
    DhchapHost host(own, name, kSubsystem, kTransaction);
    EXPECT_FALSE(converse(host, controller));
    EXPECT_EQ(controller.outcome(), Outcome::failed);
  }
  const DhchapSecrets made = secrets(kControllerSecret);
  DhchapController controller(made, kHost, kSubsystem);
  DhchapHost stranger(made, kHost + "2", kSubsystem, kTransaction);
  EXPECT_FALSE(converse(stranger, controller));
  EXPECT_EQ(controller.outcome(), Outcome::failed);
}

TEST_F(MutualDhchapTest, AControllerWithAnotherSecretIsFoundOut) {
  const DhchapSecrets expected = secrets(kHostSecret, kOtherSecret);
  DhchapHost host(expected, kHost, kSubsystem, kTransaction);
  EXPECT_FALSE(converse(host, controller_));
  EXPECT_EQ(controller_.outcome(), Outcome::failed);
}

TEST_F(DhchapControllerTest, AControllerWithoutASecretCannotProveItself) {
  const DhchapSecrets expected = secrets(kHostSecret, kControllerSecret);
  DhchapHost host(expected, kHost, kSubsystem, kTransaction);
  EXPECT_FALSE(converse(host, controller_));
  EXPECT_EQ(controller_.outcome(), Outcome::failed);
}

TEST_F(DhchapControllerTest, WhatIsBestForBothIsChosen) {
  const AuthChallenge m =
      challenged(negotiate({AuthHash::sha256, AuthHash::sha512, AuthHash{9}},
                           {DhGroup::none, DhGroup::ffdhe8192, DhGroup::ffdhe2048, DhGroup{77}}));
  EXPECT_EQ(m.transaction, kTransaction);
  EXPECT_EQ(m.hash, AuthHash::sha512);
  EXPECT_EQ(m.challenge.size(), 64U);
  EXPECT_EQ(m.group, DhGroup::ffdhe2048);
  EXPECT_EQ(m.public_key.size(), 256U);
  EXPECT_NE(m.sequence, 0U);
}

TEST_F(DhchapControllerTest, EachHashAndGroupWorks) {
  for (const AuthHash hash : kAuthHashes) {
    for (const DhGroup group : {DhGroup::none, DhGroup::ffdhe2048, DhGroup::ffdhe3072}) {
      DhchapController controller(known_, kHost, kSubsystem);
      controller.take(negotiate({hash}, {group}));
      DhchapHost host(known_, kHost, kSubsystem, kTransaction);
      const Result<Bytes> reply = host.reply_to(controller.next());
      ASSERT_TRUE(reply.ok()) << reply.status().to_string();
      controller.take(*reply);
      EXPECT_TRUE(host.conclude(controller.next()).ok());
      EXPECT_EQ(controller.outcome(), Outcome::proven);
    }
  }
}

TEST_F(DhchapControllerTest, WhatCannotBeAgreedOnIsSaid) {
  struct Case {
    Bytes offer;
    AuthFailure why;
  };
  AuthNegotiate channel;
  channel.secure_channel = 1;
  AuthNegotiate other;
  other.chap = false;
  Bytes longer = negotiate();
  longer.push_back(std::byte{0});
  Bytes shorter = negotiate();
  shorter.pop_back();
  for (const Case& c :
       {Case{negotiate({}), AuthFailure::hash_unusable},
        Case{negotiate({AuthHash{4}}), AuthFailure::hash_unusable},
        Case{negotiate({AuthHash::sha256}, {}), AuthFailure::group_unusable},
        Case{encode(channel), AuthFailure::channel_mismatch},
        Case{encode(other), AuthFailure::protocol_unusable},
        Case{longer, AuthFailure::incorrect_payload}, Case{shorter, AuthFailure::incorrect_payload},
        Case{Bytes(3), AuthFailure::incorrect_payload}}) {
    DhchapController controller(known_, kHost, kSubsystem);
    controller.take(c.offer);
    const Bytes said = controller.next();
    EXPECT_EQ(decode_auth_header(said)->message, AuthMessage::failure1);
    EXPECT_EQ(name_of(*decode_auth_failure(said)), name_of(c.why));
    EXPECT_EQ(controller.outcome(), Outcome::failed);
  }
}

TEST_F(DhchapControllerTest, MessagesOutOfTurnAreFailures) {
  const AuthReply early;
  controller_.take(encode(early));
  expect_failure(AuthFailure::incorrect_message);
}

TEST_F(DhchapControllerTest, AMessageThatIsNotDueIsAFailure) {
  expect_failure(AuthFailure::incorrect_message);
}

TEST_F(DhchapControllerTest, NegotiatingTwiceIsAFailure) {
  challenged();
  controller_.take(negotiate());
  expect_failure(AuthFailure::incorrect_message);
}

TEST_F(DhchapControllerTest, Success2BeforeTheReplyIsAFailure) {
  challenged();
  controller_.take(encode_auth_success2(kTransaction));
  expect_failure(AuthFailure::incorrect_message);
}

// What was wrong first is what is said, and no right message mends it.
TEST_F(DhchapControllerTest, NothingMendsAFailure) {
  AuthReply reply = reply_to(challenged());
  reply.response[0] ^= std::byte{1};
  controller_.take(encode(reply));
  reply.response[0] ^= std::byte{1};
  controller_.take(encode(reply));
  controller_.take(negotiate());
  expect_failure(AuthFailure::failed);
  controller_.take(encode(reply));
  EXPECT_EQ(controller_.outcome(), Outcome::failed);
}

TEST_F(DhchapControllerTest, AReplyIsGoodForItsChallengeAlone) {
  const AuthReply reply = reply_to(challenged());
  controller_.take(encode(reply));
  EXPECT_EQ(decode_auth_header(controller_.next())->message, AuthMessage::success1);
  EXPECT_EQ(controller_.outcome(), Outcome::proven);
  // Recorded, and said again to another challenge.
  DhchapController again(known_, kHost, kSubsystem);
  again.take(negotiate());
  again.next();
  again.take(encode(reply));
  EXPECT_EQ(name_of(*decode_auth_failure(again.next())), name_of(AuthFailure::failed));
  EXPECT_EQ(again.outcome(), Outcome::failed);
}

TEST_F(DhchapControllerTest, WrongRepliesAreToldApart) {
  struct Case {
    std::function<void(AuthReply&)> change;
    AuthFailure why;
  };
  for (const Case& c : {
           Case{[](AuthReply& r) { r.transaction ^= 1; }, AuthFailure::incorrect_payload},
           Case{[](AuthReply& r) { r.response.pop_back(), r.challenge.pop_back(); },
                AuthFailure::incorrect_payload},
           Case{[](AuthReply& r) { r.public_key.resize(256); }, AuthFailure::incorrect_payload},
           Case{[](AuthReply& r) { r.asks = true; }, AuthFailure::incorrect_payload},
           Case{[](AuthReply& r) { r.asks = true, r.sequence = 1; }, AuthFailure::failed},
           Case{[](AuthReply& r) { r.response.back() ^= std::byte{0x80}; }, AuthFailure::failed},
       }) {
    DhchapController controller(known_, kHost, kSubsystem);
    controller.take(negotiate());
    AuthReply reply = reply_to(*decode_auth_challenge(controller.next()));
    c.change(reply);
    controller.take(encode(reply));
    EXPECT_EQ(name_of(*decode_auth_failure(controller.next())), name_of(c.why));
    EXPECT_EQ(controller.outcome(), Outcome::failed);
  }
}

TEST_F(DhchapControllerTest, RepliesOfAnotherLengthAreRefused) {
  for (const int change : {-1, 1}) {
    DhchapController controller(known_, kHost, kSubsystem);
    controller.take(negotiate());
    Bytes reply = encode(reply_to(*decode_auth_challenge(controller.next())));
    reply.resize(reply.size() + static_cast<std::size_t>(change));
    controller.take(reply);
    EXPECT_EQ(name_of(*decode_auth_failure(controller.next())),
              name_of(AuthFailure::incorrect_payload));
  }
}

// With a group the reply needs a key of it.
TEST_F(DhchapControllerTest, AKeyThatIsNoneIsRefused) {
  for (const std::size_t size : {0U, 256U, 300U}) {
    DhchapController controller(known_, kHost, kSubsystem);
    controller.take(negotiate({AuthHash::sha256}, {DhGroup::ffdhe2048}));
    AuthReply reply = reply_to(*decode_auth_challenge(controller.next()));
    reply.public_key.resize(size);  // zeroes
    controller.take(encode(reply));
    EXPECT_EQ(name_of(*decode_auth_failure(controller.next())),
              name_of(AuthFailure::incorrect_payload));
  }
}

TEST_F(DhchapControllerTest, TheHostMaySayThatItHasFailed) {
  challenged();
  controller_.take(
      encode_auth_failure(AuthMessage::failure2, kTransaction, AuthFailure::hash_unusable));
  EXPECT_EQ(controller_.outcome(), Outcome::failed);
  EXPECT_NE(controller_.why().find("hash function not usable"), std::string::npos);
}

TEST_F(MutualDhchapTest, TheHostIsNotProvenBeforeItSaysSo) {
  AuthReply reply = reply_to(challenged());
  reply.asks = true;
  reply.sequence = 1;
  controller_.take(encode(reply));
  EXPECT_TRUE(decode_auth_success1(controller_.next())->response.has_value());
  EXPECT_EQ(controller_.outcome(), Outcome::open);
  Bytes longer = encode_auth_success2(kTransaction);
  longer.push_back(std::byte{0});
  controller_.take(longer);
  expect_failure(AuthFailure::incorrect_payload);
}

TEST_F(MutualDhchapTest, Success2IsOfItsTransaction) {
  AuthReply reply = reply_to(challenged());
  reply.asks = true;
  reply.sequence = 1;
  controller_.take(encode(reply));
  controller_.next();
  controller_.take(encode_auth_success2(kTransaction + 1));
  expect_failure(AuthFailure::incorrect_payload);
}

}  // namespace
}  // namespace scalio::nvmf
