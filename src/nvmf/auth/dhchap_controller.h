// DhchapController: the controller's side of one authentication by DH-HMAC-CHAP (Base 8.13.5),
// without its queue. Whatever the host sends, it is proven only if the host knows its secret.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "nvmf/auth/dhchap_crypto.h"
#include "nvmf/auth/host_secrets.h"

namespace scalio::nvmf {

class DhchapController {
 public:
  // `secrets` must outlive it.
  DhchapController(const DhchapSecrets& secrets, std::string host_nqn, std::string subsystem_nqn);

  // A message of the host.
  void take(ByteView message);
  // The controller's next message. Where none is due, that this is a failure.
  Bytes next();

  // Nothing is taken or given any more once it is not `open`.
  enum class Outcome : std::uint8_t { open, proven, failed };
  Outcome outcome() const { return outcome_; }
  // What was wrong, for a log, once something was.
  const std::string& why() const { return why_; }

 private:
  enum class Step : std::uint8_t {
    negotiate,  // expected
    challenge,  // due
    reply,      // expected
    success1,   // due
    success2,   // expected
    failure1,   // due
  };

  void on_negotiate(ByteView message);
  void on_reply(ByteView message);
  bool share_key(const AuthReply& reply);
  bool answer_to(const AuthReply& reply);
  void on_failure(ByteView message);
  Bytes challenge();
  Bytes success1();
  Bytes failure1();
  void fail(AuthFailure failure, std::string why);
  ChallengeTerms terms_of(AuthEnd end, ByteView challenge, std::uint32_t sequence) const;

  const DhchapSecrets& secrets_;
  const std::string host_nqn_;
  const std::string subsystem_nqn_;

  Step step_ = Step::negotiate;
  Outcome outcome_ = Outcome::open;
  std::string why_;
  AuthFailure failure_ = AuthFailure::failed;  // of failure1

  std::uint16_t transaction_ = 0;
  AuthHash hash_ = AuthHash::sha256;
  DhGroup group_ = DhGroup::none;
  std::optional<DhKey> key_;
  Bytes shared_;
  Bytes challenge_;
  std::uint32_t sequence_ = 0;
  std::optional<Bytes> response_;  // that the host has asked for
};

}  // namespace scalio::nvmf
