// The representation of secrets of DH-HMAC-CHAP (Base 8.13.5.8), as `nvme gen-dhchap-key` writes
// it: "DHHC-1:HH:KEY:". Pure.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "nvmf/wire/auth_message.h"

namespace scalio::nvmf {

struct DhchapSecret {
  // By which the key is made one of an NQN alone before it is used. Nothing: it is used as it is.
  std::optional<AuthHash> transform;
  Bytes key;  // 32, 48 or 64 bytes

  bool operator==(const DhchapSecret&) const = default;
};

// Failures: invalid (another form, Base64 that is none, a key of another size or with a wrong
// checksum). No message has a part of the secret.
Result<DhchapSecret> parse_dhchap_secret(std::string_view text);

}  // namespace scalio::nvmf
