#include "nvmf/auth/host_secrets.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/read_file.h"
#include "nvmf/wire/fields.h"

namespace scalio::nvmf {

namespace {

constexpr std::size_t kMostOfAFile = 1024 * 1024;
constexpr std::string_view kBlanks = " \t\r";

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t begin = line.find_first_not_of(kBlanks);
    if (begin == line.npos) return words;
    line.remove_prefix(begin);
    const std::size_t size = std::min(line.find_first_of(kBlanks), line.size());
    words.push_back(line.substr(0, size));
    line.remove_prefix(size);
  }
}

Status parse_secrets(const std::vector<std::string_view>& words, DhchapSecrets& secrets) {
  if (words.size() != 2 && words.size() != 3) {
    return Status(Code::invalid, "it is neither NQN SECRET nor NQN SECRET CONTROLLER-SECRET");
  }
  // What stands there may be a secret.
  if (!check_nqn(words[0]).ok()) return Status(Code::invalid, "it does not begin with an NQN");
  Result<DhchapSecret> host = parse_dhchap_secret(words[1]);
  if (!host.ok()) return host.status();
  secrets.host = *std::move(host);
  if (words.size() == 2) return Status();
  Result<DhchapSecret> controller = parse_dhchap_secret(words[2]);
  if (!controller.ok())
    return Status(Code::invalid, "of the controller, " + controller.status().message());
  secrets.controller.emplace(*std::move(controller));
  return Status();
}

}  // namespace

Result<HostSecrets> parse_host_secrets(std::string_view text) {
  HostSecrets all;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::vector<std::string_view> words = words_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty() || words[0].starts_with('#')) continue;
    const auto wrong = [&](std::string_view what) {
      return Status(Code::invalid, fmt::format("line {}: {}", number, what));
    };
    const auto [mine, is_new] = all.try_emplace(std::string(words[0]));
    if (!is_new) return wrong(fmt::format("there is a line of {} already", words[0]));
    if (Status s = parse_secrets(words, mine->second); !s.ok()) return wrong(s.message());
  }
  if (all.empty()) return Status(Code::invalid, "it has no line NQN SECRET: no host could connect");
  return all;
}

Result<HostSecrets> read_host_secrets(const std::string& path) {
  const Result<std::string> text = read_private_file(path, kMostOfAFile);
  // No key of a store is what is not found.
  if (text.code() == Code::not_found) return Status(Code::invalid, text.status().message());
  if (!text.ok()) return text.status();
  Result<HostSecrets> all = parse_host_secrets(*text);
  if (!all.ok()) return Status(all.code(), fmt::format("{}: {}", path, all.status().message()));
  return all;
}

Result<std::pair<std::string, DhchapSecrets>> read_own_secrets(const std::string& path) {
  Result<HostSecrets> all = read_host_secrets(path);
  if (!all.ok()) return all.status();
  if (all->size() != 1) {
    return Status(Code::invalid,
                  fmt::format("{}: it has lines of {} hosts, and is to have the line of this one "
                              "alone",
                              path, all->size()));
  }
  return std::pair<std::string, DhchapSecrets>(*all->begin());
}

}  // namespace scalio::nvmf
