#include "nvmf/host/host_identity.h"

#include <unistd.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "base/hash.h"
#include "base/read_file.h"
#include "layout/store_names.h"
#include "nvmf/wire/fields.h"

namespace scalio::nvmf {

namespace {

using Uuid = std::array<std::byte, 16>;

// A UUID that the name alone decides, marked as one of version 8 (RFC 9562: what a vendor made up).
Uuid uuid_from(std::string_view name) {
  constexpr std::uint64_t kFirst = 0x4e564d65, kSecond = 0x4e564d66;
  Uuid uuid;
  store(uuid.data(), checksum(as_bytes(name), kFirst));
  store(uuid.data() + 8, checksum(as_bytes(name), kSecond));
  uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x80};
  uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
  return uuid;
}

std::string first_line(const char* path) {
  constexpr std::size_t kMost = 4096;
  const Result<std::string> text = read_regular_file(path, kMost);
  return text.ok() ? text->substr(0, text->find('\n')) : std::string();
}

std::optional<Uuid> parse_uuid(std::string text) {
  std::erase(text, '-');
  Uuid uuid;
  if (text.size() != 2 * uuid.size()) return std::nullopt;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    unsigned value = 0;
    const char* const begin = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(begin, begin + 2, value, 16);
    if (error != std::errc() || end != begin + 2) return std::nullopt;
    uuid[i] = static_cast<std::byte>(value);
  }
  return uuid;
}

}  // namespace

HostIdentity default_identity() {
  const std::string nqn = first_line("/etc/nvme/hostnqn");
  const std::optional<Uuid> id = parse_uuid(first_line("/etc/nvme/hostid"));
  if (id && check_nqn(nqn).ok()) return {nqn, *id};

  std::string machine = first_line("/etc/machine-id");
  if (machine.empty()) {
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    machine = name;
  }
  const Uuid uuid = uuid_from("scalio host " + machine);
  return {layout::uuid_nqn(load<layout::Uuid>(uuid.data())), uuid};
}

HostIdentity identity_for(std::string nqn) {
  const Uuid id = uuid_from(nqn);
  return {std::move(nqn), id};
}

}  // namespace scalio::nvmf
