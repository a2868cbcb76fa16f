// DhchapHost: the host's side of one authentication by DH-HMAC-CHAP (Base 8.13.5), without its
// queue. Whatever the controller sends, it ends: with both proofs that were asked for, or not.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "nvmf/auth/host_secrets.h"

namespace scalio::nvmf {

// Used in this order: negotiate(), reply_to(), conclude(). After the first failure last_words(),
// and nothing else.
class DhchapHost {
 public:
  // `transaction`: another one for each authentication of an association.
  DhchapHost(const DhchapSecrets& secrets, std::string host_nqn, std::string subsystem_nqn,
             std::uint16_t transaction);

  // What is to be sent first: AUTH_Negotiate.
  Bytes negotiate() const;
  // What is to be sent next, the host's reply to what the controller has sent. Failures: invalid
  // (the controller says that it has failed, or says something else than a challenge that can be
  // answered), unavailable.
  Result<Bytes> reply_to(ByteView received);
  // The controller's last word: the host is who it says, and so is the controller, if it has a
  // secret. Failures: invalid.
  Status conclude(ByteView received);
  // What is still to be sent then, for the controller to know: that both are, or after a failure
  // that it is one. Empty: nothing.
  const Bytes& last_words() const { return last_words_; }

 private:
  Status expect(ByteView received, AuthMessage message);
  Status check(const AuthChallenge& challenge);
  Status fail(AuthFailure why, std::string_view what);

  const DhchapSecrets& secrets_;
  const std::string host_nqn_;
  const std::string subsystem_nqn_;
  const std::uint16_t transaction_;
  Bytes expected_;  // of the controller, if it is to prove itself
  Bytes last_words_;
};

}  // namespace scalio::nvmf
