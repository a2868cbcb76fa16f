// Secrets of hosts, for tests.
#pragma once

#include <string>
#include <string_view>

#include "nvmf/auth/host_secrets.h"

namespace scalio::nvmf {

// The specification's example (Base 8.13.5.8), and two that Python's base64 and zlib have made.
constexpr std::string_view kHostSecret =
    "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:";
constexpr std::string_view kControllerSecret =
    "DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
constexpr std::string_view kOtherSecret =
    "DHHC-1:00:ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoOeXryU:";

inline DhchapSecrets secrets(std::string_view host = kHostSecret,
                             std::string_view controller = {}) {
  DhchapSecrets made{*parse_dhchap_secret(host)};
  if (!controller.empty()) made.controller = *parse_dhchap_secret(controller);
  return made;
}

}  // namespace scalio::nvmf
