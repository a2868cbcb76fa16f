// Hosts that have to prove who they are: right ones, and what others try, byte for byte.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "nvmf/auth/dhchap_crypto.h"
#include "nvmf/auth/dhchap_host.h"
#include "nvmf/target/controller.h"
#include "testing/dhchap_secrets.h"
#include "testing/raw_host.h"

namespace scalio::nvmf {
namespace {

using namespace raw_host;

constexpr std::uint16_t kTransaction = 3;

TargetOptions options_with(DhchapSecrets known) {
  TargetOptions o = options();
  o.secrets.emplace(std::string(kHostNqn), std::move(known));
  return o;
}

RawHost::CommandOutcome tell(RawHost& host, ByteView message) {
  return host.run(make_authentication_send(static_cast<std::uint32_t>(message.size())), message);
}
RawHost::CommandOutcome hear(RawHost& host, std::uint32_t room = kAuthRoom) {
  NvmeCommand c = make_authentication_receive(room);
  c.sgl = Sgl::transport(room);
  return host.run(c);
}
AuthMessage heard(const RawHost::CommandOutcome& outcome) {
  EXPECT_EQ(outcome.status(), StatusCode::success);
  const Result<AuthHeader> header = decode_auth_header(outcome.data);
  EXPECT_TRUE(header.ok());
  return header.ok() ? header->message : AuthMessage::negotiate;
}
// The controller says that it has failed, and closes the connection.
void expect_failure(RawHost& host, AuthFailure why) {
  const RawHost::CommandOutcome last = hear(host);
  ASSERT_EQ(heard(last), AuthMessage::failure1);
  EXPECT_EQ(name_of(*decode_auth_failure(last.data)), name_of(why));
  EXPECT_EQ(host.closed_with(), std::nullopt);
}

class Authentication : public testing::Test {
 protected:
  explicit Authentication(DhchapSecrets known = secrets()) : own_(known) {
    TargetOptions o = options_with(std::move(known));
    target_ = start(std::move(o));
  }

  // A host whose queue is connected, and has to prove who it is. Returns the controller's number.
  std::uint16_t connected(RawHost& host, std::uint16_t queue = 0,
                          std::uint16_t controller = kAnyController) {
    host.greet();
    const RawHost::CommandOutcome o = host.connect(queue, controller);
    EXPECT_EQ(o.status(), StatusCode::success);
    EXPECT_EQ(o.completion.dw0 & kAuthenticationBits, kMustAuthenticate);
    return static_cast<std::uint16_t>(o.completion.dw0);
  }
  // Whether the host, with this secret, is content.
  bool proves(RawHost& host, const DhchapSecrets& secrets) {
    DhchapHost side(secrets, std::string(kHostNqn), target_->nqn(), kTransaction);
    EXPECT_EQ(tell(host, side.negotiate()).status(), StatusCode::success);
    const Result<Bytes> reply = side.reply_to(hear(host).data);
    if (!reply.ok()) return false;
    EXPECT_EQ(tell(host, *reply).status(), StatusCode::success);
    const bool right = side.conclude(hear(host).data).ok();
    if (!side.last_words().empty()) {
      EXPECT_EQ(tell(host, side.last_words()).status(), StatusCode::success);
    }
    return right;
  }
  void expect_served(RawHost& admin, RawHost& io, const DhchapSecrets& secrets) {
    const std::uint16_t id = connected(admin);
    ASSERT_TRUE(proves(admin, secrets));
    admin.enable();
    connected(io, 1, id);
    ASSERT_TRUE(proves(io, secrets));
    const RawHost::CommandOutcome read = io.run(read_command(2, 16, 8));
    EXPECT_EQ(read.status(), StatusCode::success);
    expect_content(read.data, 2, 16 * kBlock);
  }
  AuthChallenge challenged(RawHost& host) {
    AuthNegotiate m;
    m.transaction = kTransaction;
    m.hashes = {AuthHash::sha256};
    m.groups = {DhGroup::none};
    EXPECT_EQ(tell(host, encode(m)).status(), StatusCode::success);
    Result<AuthChallenge> challenge = decode_auth_challenge(hear(host).data);
    EXPECT_TRUE(challenge.ok());
    return *std::move(challenge);
  }
  AuthReply reply_to(const AuthChallenge& m) const {
    AuthReply reply;
    reply.transaction = kTransaction;
    const std::string subsystem = target_->nqn();
    reply.response = response_to(
        {m.hash, m.challenge, {}, m.sequence, kTransaction, AuthEnd::host, kHostNqn, subsystem},
        response_key(own_.host, kHostNqn));
    reply.challenge.resize(reply.response.size());
    return reply;
  }

  const DhchapSecrets own_;
  std::unique_ptr<EmbeddedTarget> target_;
};

class MutualAuthentication : public Authentication {
 protected:
  MutualAuthentication() : Authentication(secrets(kHostSecret, kControllerSecret)) {}
};

TEST_F(Authentication, ServesWhoKnowsTheSecret) {
  RawHost admin(*target_), io(*target_);
  expect_served(admin, io, own_);
}

TEST_F(MutualAuthentication, ProvesTheControllerToo) {
  RawHost admin(*target_), io(*target_);
  expect_served(admin, io, own_);
  // Who asks for no proof gets none.
  RawHost content(*target_), its_io(*target_);
  expect_served(content, its_io, secrets());
}

TEST_F(MutualAuthentication, AHostThatRefusesTheControllerIsNotServed) {
  RawHost admin(*target_);
  connected(admin);
  EXPECT_FALSE(proves(admin, secrets(kHostSecret, kOtherSecret)));
  EXPECT_EQ(admin.closed_with(), std::nullopt);
}

TEST_F(Authentication, RefusesWhoDoesNotKnowIt) {
  RawHost admin(*target_);
  connected(admin);
  EXPECT_FALSE(proves(admin, secrets(kOtherSecret)));
  EXPECT_EQ(admin.closed_with(), std::nullopt);
  // Nor does the admin queue's proof stand for an I/O queue.
  RawHost right(*target_), io(*target_);
  const std::uint16_t id = connected(right);
  ASSERT_TRUE(proves(right, own_));
  right.enable();
  connected(io, 1, id);
  EXPECT_EQ(io.run(read_command(1, 0, 1)).status(), StatusCode::authentication_required);
  EXPECT_FALSE(proves(io, secrets(kOtherSecret)));
  EXPECT_EQ(io.closed_with(), std::nullopt);
  EXPECT_EQ(right.run(make_identify(Cns::controller)).status(), StatusCode::success);
}

TEST_F(Authentication, DoesNothingElseBefore) {
  RawHost admin(*target_);
  connected(admin);
  for (const NvmeCommand& c :
       {make_property_get(Property::capabilities), make_property_get(Property::status),
        make_property_set(Property::configuration, kIoEntrySizes | kEnable),
        make_identify(Cns::controller), make_get_log_page(kSmartLogPage, 512, 0),
        make_set_features(Feature::number_of_queues, 0), make_disconnect()}) {
    const RawHost::CommandOutcome o = admin.run(c);
    EXPECT_EQ(o.status(), StatusCode::authentication_required);
    EXPECT_FALSE(o.may_retry());
  }
  // Amid it, neither.
  const AuthChallenge m = challenged(admin);
  EXPECT_EQ(admin.run(make_identify(Cns::controller)).status(),
            StatusCode::authentication_required);
  EXPECT_EQ(tell(admin, encode(reply_to(m))).status(), StatusCode::success);
  EXPECT_EQ(admin.run(make_identify(Cns::controller)).status(),
            StatusCode::authentication_required);
  EXPECT_EQ(heard(hear(admin)), AuthMessage::success1);
  admin.enable();
}

TEST_F(Authentication, AReplayedReplyIsNoProof) {
  RawHost first(*target_), second(*target_);
  connected(first);
  const Bytes reply = encode(reply_to(challenged(first)));
  EXPECT_EQ(tell(first, reply).status(), StatusCode::success);
  EXPECT_EQ(heard(hear(first)), AuthMessage::success1);
  connected(second);
  challenged(second);
  EXPECT_EQ(tell(second, reply).status(), StatusCode::success);
  expect_failure(second, AuthFailure::failed);
}

TEST_F(Authentication, MessagesOutOfTurnEndIt) {
  using Said = std::function<void(RawHost&)>;
  for (const Said& say : {
           Said([](RawHost& h) { tell(h, encode(AuthReply{})); }),
           Said([](RawHost& h) { tell(h, encode_auth_success2(0)); }), Said([this](RawHost& h) {
             challenged(h);
             tell(h, encode_auth_success2(kTransaction));
           }),
           Said([](RawHost&) {}),  // nothing is due
       }) {
    RawHost host(*target_);
    connected(host);
    say(host);
    expect_failure(host, AuthFailure::incorrect_message);
  }
}

TEST_F(Authentication, MessagesOfAnotherLengthEndIt) {
  for (const int change : {-1, 1}) {
    RawHost host(*target_);
    connected(host);
    Bytes reply = encode(reply_to(challenged(host)));
    reply.resize(reply.size() + static_cast<std::size_t>(change));
    tell(host, reply);
    expect_failure(host, AuthFailure::incorrect_payload);
  }
  RawHost host(*target_);
  connected(host);
  tell(host, Bytes(1));
  expect_failure(host, AuthFailure::incorrect_payload);
}

TEST_F(Authentication, CommandsThatAreWrongAreRefusedAndChangeNothing) {
  RawHost host(*target_);
  connected(host);
  const Bytes message(8);
  const auto refused = [&](NvmeCommand c, ByteView data) { return host.run(c, data).status(); };
  NvmeCommand send = make_authentication_send(8);
  send.cdw10 ^= 1U << 24;  // another protocol
  EXPECT_EQ(refused(send, message), StatusCode::invalid_field);
  EXPECT_EQ(refused(make_authentication_send(9), message), StatusCode::data_sgl_length_invalid);
  EXPECT_EQ(refused(make_authentication_send(8193), message), StatusCode::invalid_field);
  send = make_authentication_send(8);
  send.sgl = Sgl::transport(8);
  EXPECT_EQ(refused(send, {}), StatusCode::sgl_type_invalid);
  send.sgl = Sgl::in_capsule(1, 8);
  EXPECT_EQ(refused(send, message), StatusCode::sgl_type_invalid);
  NvmeCommand receive = make_authentication_receive(4096);
  receive.sgl = Sgl::transport(4095);
  EXPECT_EQ(refused(receive, {}), StatusCode::data_sgl_length_invalid);
  receive.sgl = Sgl::keyed(4096, 4096, 1);
  EXPECT_EQ(refused(receive, {}), StatusCode::sgl_type_invalid);
  EXPECT_TRUE(proves(host, own_));
}

TEST_F(Authentication, AMessageNeedsRoom) {
  RawHost host(*target_);
  connected(host);
  AuthNegotiate m;
  m.hashes = {AuthHash::sha256};
  m.groups = {DhGroup::none};
  tell(host, encode(m));
  EXPECT_EQ(hear(host, 47).status(), StatusCode::data_sgl_length_invalid);
  EXPECT_EQ(host.closed_with(), std::nullopt);
}

TEST_F(Authentication, OnceIsEnough) {
  RawHost host(*target_);
  connected(host);
  ASSERT_TRUE(proves(host, own_));
  const DhchapHost again(own_, std::string(kHostNqn), target_->nqn(), kTransaction + 1);
  EXPECT_EQ(tell(host, again.negotiate()).status(), StatusCode::command_sequence_error);
  EXPECT_EQ(hear(host).status(), StatusCode::command_sequence_error);
  host.enable();
}

// A host that only connects, or stops in the middle, holds nothing for long.
TEST_F(Authentication, HasATimeLimit) {
  TargetOptions o = options_with(own_);
  o.limits.connect_timeout = 2 * kSecond;
  const auto target = start(std::move(o));
  RawHost silent(*target), halfway(*target);
  connected(silent);
  connected(halfway);
  AuthNegotiate m;
  m.hashes = {AuthHash::sha256};
  m.groups = {DhGroup::none};
  EXPECT_TRUE(halfway.send_command(
      [] {
        NvmeCommand c = make_authentication_send(72);
        c.sgl = Sgl::in_capsule(0, 72);
        return c;
      }(),
      encode(m)));
  EXPECT_EQ(silent.closed_with(), std::nullopt);
  EXPECT_EQ(halfway.closed_with(), std::nullopt);
}

TEST_F(Authentication, HostsWithoutASecretAreStrangers) {
  RawHost stranger(*target_);
  stranger.greet();
  ConnectData d = stranger.who();
  d.host_nqn = "nqn.2014-08.org.example:stranger";
  EXPECT_EQ(stranger.connect(0, kAnyController, {}, d).status(), StatusCode::connect_invalid_host);
  // What there is it is not told either. Discovery asks for no proof.
  RawHost discovery(*target_), its(*target_);
  EXPECT_EQ(discovery.discovered().size(), 1U);
  its.greet();
  d.subsystem_nqn = kDiscoveryNqn;
  const RawHost::CommandOutcome o = its.connect(0, kAnyController, {}, d);
  EXPECT_EQ(o.status(), StatusCode::success);
  EXPECT_EQ(o.completion.dw0 & kAuthenticationBits, 0U);
  its.run(make_property_set(Property::configuration, kEnable));
  const RawHost::CommandOutcome log = its.run(make_get_log_page(kDiscoveryLogPage, 4096, 0));
  EXPECT_EQ(decode_discovery_header(log.data)->records, 0U);
}

// With no secrets there is nothing of it.
TEST(NoAuthentication, IsAskedForAndTaken) {
  const auto target = start();
  RawHost host(*target);
  host.greet();
  EXPECT_EQ(host.connect(0).completion.dw0 & kAuthenticationBits, 0U);
  EXPECT_EQ(tell(host, Bytes(8)).status(), StatusCode::invalid_opcode);
  EXPECT_EQ(hear(host).status(), StatusCode::invalid_opcode);
}

TEST(NoAuthentication, NamesAndSecretsDoNotGoTogether) {
  TargetOptions o = options_with(secrets());
  o.allowed_hosts = {std::string(kHostNqn)};
  EXPECT_EQ(EmbeddedTarget::start(std::move(o)).code(), Code::invalid);
}

}  // namespace
}  // namespace scalio::nvmf
