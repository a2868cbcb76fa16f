#include "nvmf/auth/dhchap_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace scalio::nvmf {

namespace {

// What is taken of what a host offers: the first of these. Hashes cost nothing. A group costs the
// target's thread the more the larger it is, for whoever knows a host's name, so that the largest
// are not there; and the secrets are keys, not passwords that somebody could try out on what was
// recorded.
constexpr std::array kHashesByChoice = {AuthHash::sha512, AuthHash::sha384, AuthHash::sha256};
constexpr std::array kGroupsByChoice = {DhGroup::ffdhe2048, DhGroup::ffdhe3072, DhGroup::ffdhe4096,
                                        DhGroup::none};

template <class Chosen, class Offered>
auto first_of(const Chosen& by_choice, const Offered& offered) {
  const auto found = std::ranges::find_if(
      by_choice, [&](const auto& one) { return std::ranges::find(offered, one) != offered.end(); });
  return found == by_choice.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

DhchapController::DhchapController(const DhchapSecrets& secrets, std::string host_nqn,
                                   std::string subsystem_nqn)
    : secrets_(secrets), host_nqn_(std::move(host_nqn)), subsystem_nqn_(std::move(subsystem_nqn)) {}

// The first thing that is wrong is what it has failed for.
void DhchapController::fail(AuthFailure failure, std::string why) {
  if (step_ == Step::failure1) return;
  step_ = Step::failure1;
  failure_ = failure;
  why_ = std::move(why);
}

// --- What the host sends ---

void DhchapController::take(ByteView message) {
  if (outcome_ != Outcome::open) return;
  const Result<AuthHeader> header = decode_auth_header(message);
  if (!header.ok()) return fail(AuthFailure::incorrect_payload, header.status().message());
  if (header->message == AuthMessage::failure2) return on_failure(message);
  if (header->message == AuthMessage::negotiate && step_ == Step::negotiate)
    return on_negotiate(message);
  const bool reply = header->message == AuthMessage::reply && step_ == Step::reply;
  const bool success2 = header->message == AuthMessage::success2 && step_ == Step::success2;
  if (!reply && !success2)
    return fail(AuthFailure::incorrect_message, "a message whose turn it was not");
  if (header->transaction != transaction_)
    return fail(AuthFailure::incorrect_payload, "a message of another transaction");
  if (reply) return on_reply(message);
  if (message.size() != kAuthSuccess2)
    return fail(AuthFailure::incorrect_payload, "a DH-HMAC-CHAP_Success2 of another length");
  outcome_ = Outcome::proven;
}

void DhchapController::on_failure(ByteView message) {
  const Result<AuthFailure> why = decode_auth_failure(message);
  outcome_ = Outcome::failed;
  why_ = fmt::format("the host says: {}", why.ok() ? name_of(*why) : why.status().message());
}

void DhchapController::on_negotiate(ByteView message) {
  const Result<AuthNegotiate> offered = decode_auth_negotiate(message);
  if (!offered.ok()) return fail(AuthFailure::incorrect_payload, offered.status().message());
  transaction_ = offered->transaction;
  if (offered->whole != message.size())
    return fail(AuthFailure::incorrect_payload, "an AUTH_Negotiate of another length than it says");
  if (offered->secure_channel != 0)
    return fail(AuthFailure::channel_mismatch, "it wants a secure channel, which there is not");
  if (!offered->chap) return fail(AuthFailure::protocol_unusable, "it does not know DH-HMAC-CHAP");
  const std::optional<AuthHash> hash = first_of(kHashesByChoice, offered->hashes);
  if (!hash) return fail(AuthFailure::hash_unusable, "it has none of the hash functions");
  const std::optional<DhGroup> group = first_of(kGroupsByChoice, offered->groups);
  if (!group) return fail(AuthFailure::group_unusable, "it has none of the groups");
  hash_ = *hash;
  group_ = *group;
  step_ = Step::challenge;
}

ChallengeTerms DhchapController::terms_of(AuthEnd end, ByteView challenge,
                                          std::uint32_t sequence) const {
  const bool host = end == AuthEnd::host;
  return {hash_,
          challenge,
          shared_,
          sequence,
          transaction_,
          end,
          host ? host_nqn_ : subsystem_nqn_,
          host ? subsystem_nqn_ : host_nqn_};
}

void DhchapController::on_reply(ByteView message) {
  const Result<AuthReply> reply = decode_auth_reply(message);
  if (!reply.ok()) return fail(AuthFailure::incorrect_payload, reply.status().message());
  if (reply->whole != message.size() || reply->response.size() != size_of(hash_))
    return fail(AuthFailure::incorrect_payload, "a DH-HMAC-CHAP_Reply of another length");
  if (!share_key(*reply)) return;
  const Bytes expected = response_to(terms_of(AuthEnd::host, challenge_, sequence_),
                                     response_key(secrets_.host, host_nqn_));
  if (!same_secretly(reply->response, expected))
    return fail(AuthFailure::failed, "it does not know the secret of this host");
  if (reply->asks && !answer_to(*reply)) return;
  step_ = Step::success1;
}

bool DhchapController::share_key(const AuthReply& reply) {
  if (reply.public_key.empty() != (group_ == DhGroup::none)) {
    fail(AuthFailure::incorrect_payload, "a DH-HMAC-CHAP_Reply whose key is not of the group");
    return false;
  }
  if (group_ == DhGroup::none) return true;
  Result<Bytes> shared = key_->shared_with(reply.public_key);
  if (shared.ok()) {
    shared_ = *std::move(shared);
    return true;
  }
  fail(AuthFailure::incorrect_payload, shared.status().message());
  return false;
}

// To the host's own challenge. 0 as its number would say that it is none.
bool DhchapController::answer_to(const AuthReply& reply) {
  if (reply.sequence == 0) {
    fail(AuthFailure::incorrect_payload, "a challenge without a sequence number");
    return false;
  }
  if (!secrets_.controller) {
    fail(AuthFailure::failed,
         "it asks for a proof of the controller, which has no secret for this host");
    return false;
  }
  response_ = response_to(terms_of(AuthEnd::controller, reply.challenge, reply.sequence),
                          response_key(*secrets_.controller, subsystem_nqn_));
  return true;
}

// --- What the controller sends ---

Bytes DhchapController::next() {
  if (step_ == Step::challenge) {
    Bytes message = challenge();
    if (!message.empty()) return message;
  } else if (step_ == Step::success1) {
    return success1();
  } else {
    fail(AuthFailure::incorrect_message, "it asks for a message whose turn it was not");
  }
  return failure1();
}

Bytes DhchapController::challenge() {
  AuthChallenge m;
  if (group_ != DhGroup::none) {
    Result<DhKey> key = DhKey::make(group_);
    if (!key.ok()) {
      fail(AuthFailure::failed, key.status().message());
      return {};
    }
    key_ = *std::move(key);
    m.public_key = key_->public_key();
  }
  Result<Bytes> challenge = unpredictable_bytes(size_of(hash_));
  if (!challenge.ok()) {
    fail(AuthFailure::failed, challenge.status().message());
    return {};
  }
  challenge_ = *std::move(challenge);
  sequence_ = next_sequence_number();
  m.transaction = transaction_;
  m.hash = hash_;
  m.group = group_;
  m.sequence = sequence_;
  m.challenge = challenge_;
  step_ = Step::reply;
  return encode(m);
}

Bytes DhchapController::success1() {
  AuthSuccess1 m;
  m.transaction = transaction_;
  m.hash_size = static_cast<std::uint8_t>(size_of(hash_));
  m.response = response_;
  if (response_) {
    step_ = Step::success2;
  } else {
    outcome_ = Outcome::proven;
  }
  return encode(m);
}

Bytes DhchapController::failure1() {
  outcome_ = Outcome::failed;
  return encode_auth_failure(AuthMessage::failure1, transaction_, failure_);
}

}  // namespace scalio::nvmf
