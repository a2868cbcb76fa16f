#include "net/uri.h"

#include <fmt/format.h>

#include <charconv>

namespace scalio::net {

namespace {

std::vector<std::string> beginnings(std::span<const UriScheme> schemes) {
  std::vector<std::string> all;
  for (const UriScheme& scheme : schemes) all.push_back(fmt::format("{}:", scheme.name));
  return all;
}

Status bad(std::string_view text, std::string_view why, std::span<const UriScheme> schemes) {
  std::vector<std::string> forms;
  for (const UriScheme& scheme : schemes) {
    forms.push_back(fmt::format("{}:{}", scheme.name, scheme.path ? "/path" : "host:port"));
  }
  return Status(Code::invalid,
                fmt::format("\"{}\" is not a server's address: {}; write {} (an IPv6 address in "
                            "brackets)",
                            text, why, listed(forms, "or")));
}

// Takes "host:port" apart. What is wrong with it, or nothing.
std::string_view split(std::string_view text, Uri& uri) {
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find("]:");
    if (end == text.npos) return "\"]:port\" is missing";
    uri.host = text.substr(1, end - 1);
    port = text.substr(end + 2);
  } else {
    const std::size_t colon = text.find(':');
    if (colon == text.npos) return "the port is missing";
    uri.host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (uri.host.empty()) return "the host is missing (every address is 0.0.0.0, or [::] for both)";
  if (uri.host == "*") return "every address is written 0.0.0.0, or [::] for IPv4 and IPv6";
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), uri.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return "the port is not a number from 0 to 65535";
  }
  return {};
}

}  // namespace

std::string listed(const std::vector<std::string>& words, std::string_view conjunction) {
  std::string all;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) all += i + 1 < words.size() ? ", " : fmt::format(" {} ", conjunction);
    all += words[i];
  }
  return all;
}

std::string Uri::text() const {
  if (local()) return fmt::format("{}:{}", scheme, path);
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("{}:[{}]:{}", scheme, host, port)
            : fmt::format("{}:{}:{}", scheme, host, port);
}

Result<Uri> parse_uri(std::string_view text, std::span<const UriScheme> schemes) {
  if (text.find('\0') != text.npos) return bad("...", "it contains a zero byte", schemes);
  for (const UriScheme& scheme : schemes) {
    if (!text.starts_with(scheme.name) || !text.substr(scheme.name.size()).starts_with(':')) {
      continue;
    }
    Uri uri;
    uri.scheme = scheme.name;
    const std::string_view rest = text.substr(scheme.name.size() + 1);
    std::string_view wrong;
    if (scheme.path) {
      uri.path = rest;
      if (rest.empty()) wrong = "the path is missing";
    } else {
      wrong = split(rest, uri);
    }
    if (!wrong.empty()) return bad(text, wrong, schemes);
    return uri;
  }
  return bad(text, fmt::format("it begins with neither {}", listed(beginnings(schemes), "nor")),
             schemes);
}

}  // namespace scalio::net
