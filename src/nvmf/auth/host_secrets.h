// HostSecrets: the file in which hosts have their secrets: a line for each, "NQN SECRET" or
// "NQN SECRET CONTROLLER-SECRET", with blanks between them. Empty lines and what is behind a '#' at
// the beginning of a line are passed over. A host's file has its own line alone.
#pragma once

#include <scalio/status.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "nvmf/wire/dhchap_secret.h"

namespace scalio::nvmf {

// By what a host and a controller prove to each other who they are.
struct DhchapSecrets {
  DhchapSecret host;
  // Of the controller, to this host. Nothing: the controller proves nothing.
  std::optional<DhchapSecret> controller = std::nullopt;
};

// By the host's NQN.
using HostSecrets = std::map<std::string, DhchapSecrets>;

// Failures: invalid, with the line: not of this form, no NQN, no secret, a second line of a host;
// or there is no line at all. No message has a secret.
Result<HostSecrets> parse_host_secrets(std::string_view text);

// Of a file; all failures name it. Failures: as parse_host_secrets, and as read_private_file, but
// invalid if there is no such file.
Result<HostSecrets> read_host_secrets(const std::string& path);
// Of a file that has one line. Failures: likewise.
Result<std::pair<std::string, DhchapSecrets>> read_own_secrets(const std::string& path);

}  // namespace scalio::nvmf
