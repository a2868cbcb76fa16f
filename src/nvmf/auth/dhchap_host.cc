#include "nvmf/auth/dhchap_host.h"

#include <fmt/format.h>

#include <utility>

#include "nvmf/auth/dhchap_crypto.h"

namespace scalio::nvmf {

DhchapHost::DhchapHost(const DhchapSecrets& secrets, std::string host_nqn,
                       std::string subsystem_nqn, std::uint16_t transaction)
    : secrets_(secrets),
      host_nqn_(std::move(host_nqn)),
      subsystem_nqn_(std::move(subsystem_nqn)),
      transaction_(transaction) {}

Bytes DhchapHost::negotiate() const {
  AuthNegotiate m;
  m.transaction = transaction_;
  m.hashes.assign(kAuthHashes.begin(), kAuthHashes.end());
  m.groups.assign(kDhGroups.begin(), kDhGroups.end());
  return encode(m);
}

Status DhchapHost::fail(AuthFailure why, std::string_view what) {
  last_words_ = encode_auth_failure(AuthMessage::failure2, transaction_, why);
  return {Code::invalid, fmt::format("the controller sent {}", what)};
}

// What the controller says has failed needs no answer.
Status DhchapHost::expect(ByteView received, AuthMessage message) {
  const Result<AuthHeader> header = decode_auth_header(received);
  if (!header.ok()) return fail(AuthFailure::incorrect_payload, header.status().message());
  if (header->message == AuthMessage::failure1) {
    const Result<AuthFailure> why = decode_auth_failure(received);
    return {Code::invalid, fmt::format("the controller says: {}",
                                       why.ok() ? name_of(*why) : why.status().message())};
  }
  if (header->message != message)
    return fail(AuthFailure::incorrect_message, "another message than was its turn");
  if (header->transaction != transaction_)
    return fail(AuthFailure::incorrect_payload, "a message of another transaction");
  return Status();
}

Status DhchapHost::check(const AuthChallenge& challenge) {
  if (size_of(challenge.hash) == 0 || challenge.challenge.size() != size_of(challenge.hash))
    return fail(AuthFailure::hash_unusable, "a challenge of a hash function that is none");
  if (!is_group(challenge.group))
    return fail(AuthFailure::group_unusable, "a challenge of a group that is none");
  if (challenge.public_key.empty() != (challenge.group == DhGroup::none))
    return fail(AuthFailure::incorrect_payload, "a challenge whose key is not of its group");
  if (challenge.sequence == 0)
    return fail(AuthFailure::incorrect_payload, "a challenge without a sequence number");
  return Status();
}

Result<Bytes> DhchapHost::reply_to(ByteView received) {
  if (Status s = expect(received, AuthMessage::challenge); !s.ok()) return s;
  const Result<AuthChallenge> asked = decode_auth_challenge(received);
  if (!asked.ok()) return fail(AuthFailure::incorrect_payload, asked.status().message());
  if (Status s = check(*asked); !s.ok()) return s;

  AuthReply reply;
  reply.transaction = transaction_;
  Bytes shared;
  if (asked->group != DhGroup::none) {
    const Result<DhKey> key = DhKey::make(asked->group);
    if (!key.ok()) return key.status();
    Result<Bytes> both = key->shared_with(asked->public_key);
    if (!both.ok()) return fail(AuthFailure::incorrect_payload, both.status().message());
    shared = *std::move(both);
    reply.public_key = key->public_key();
  }
  ChallengeTerms terms{asked->hash,  asked->challenge, shared,    asked->sequence,
                       transaction_, AuthEnd::host,    host_nqn_, subsystem_nqn_};
  reply.response = response_to(terms, response_key(secrets_.host, host_nqn_));
  reply.challenge.resize(reply.response.size());
  if (secrets_.controller) {
    Result<Bytes> challenge = unpredictable_bytes(reply.response.size());
    if (!challenge.ok()) return challenge.status();
    reply.asks = true;
    reply.sequence = next_sequence_number();
    reply.challenge = *std::move(challenge);
    terms.challenge = reply.challenge;
    terms.sequence = reply.sequence;
    terms.end = AuthEnd::controller;
    std::swap(terms.own_nqn, terms.other_nqn);
    expected_ = response_to(terms, response_key(*secrets_.controller, subsystem_nqn_));
  }
  return encode(reply);
}

Status DhchapHost::conclude(ByteView received) {
  if (Status s = expect(received, AuthMessage::success1); !s.ok()) return s;
  const Result<AuthSuccess1> success = decode_auth_success1(received);
  if (!success.ok()) return fail(AuthFailure::incorrect_payload, success.status().message());
  if (!secrets_.controller) return Status();
  if (!success->response)
    return fail(AuthFailure::incorrect_payload, "no proof that it is who it says");
  if (!same_secretly(*success->response, expected_))
    return fail(AuthFailure::failed, "a wrong proof that it is who it says: its secret is another");
  last_words_ = encode_auth_success2(transaction_);
  return Status();
}

}  // namespace scalio::nvmf
