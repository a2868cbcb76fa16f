#include "nvmf/wire/dhchap_secret.h"

#include <fmt/format.h>
#include <isa-l/crc.h>

#include <string>

namespace scalio::nvmf {

namespace {

constexpr std::string_view kPrefix = "DHHC-1:";
constexpr std::size_t kChecksum = 4;
// Of the longest key: 64 bytes and the checksum.
constexpr std::size_t kMostBase64 = 92;

Status wrong(std::string_view what) {
  return {Code::invalid,
          fmt::format("the secret is none that `nvme gen-dhchap-key` writes: {}", what)};
}

// The value of a digit of Base64 (RFC 4648, 4), or -1.
int digit_of(char c) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t at = kDigits.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// Nothing: it is no Base64, or has bits where there are to be none.
std::optional<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > kMostBase64) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  Bytes out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const int digit = digit_of(c);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<std::byte>(bits >> count));
  }
  if ((bits & ((1U << count) - 1)) != 0) return std::nullopt;
  return out;
}

// The CRC-32 of RFC 1952.
std::uint32_t crc32(ByteView bytes) {
  return crc32_gzip_refl(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

}  // namespace

Result<DhchapSecret> parse_dhchap_secret(std::string_view text) {
  constexpr std::size_t kKeyAt = kPrefix.size() + 3;  // behind the digits of the hash function
  if (!text.starts_with(kPrefix) || text.size() < kKeyAt + 1 || text[kKeyAt - 1] != ':' ||
      !text.ends_with(':')) {
    return wrong("it has another form than DHHC-1:HH:KEY:");
  }
  DhchapSecret secret;
  const std::string_view hash = text.substr(kPrefix.size(), 2);
  if (hash[0] != '0' || hash[1] < '0' || hash[1] > '3')
    return wrong("there is no hash function of this number: 00 to 03");
  if (hash[1] != '0') secret.transform = static_cast<AuthHash>(hash[1] - '0');
  const std::optional<Bytes> key = from_base64(text.substr(kKeyAt, text.size() - kKeyAt - 1));
  if (!key) return wrong("its key is not in Base64");
  if (key->size() != 32 + kChecksum && key->size() != 48 + kChecksum &&
      key->size() != 64 + kChecksum) {
    return wrong("its key has neither 32 nor 48 nor 64 bytes");
  }
  const ByteView bytes = ByteView(*key).first(key->size() - kChecksum);
  if (crc32(bytes) != load<std::uint32_t>(bytes.data() + bytes.size()))
    return wrong("its checksum is wrong: a character was lost or changed");
  secret.key.assign(bytes.begin(), bytes.end());
  return secret;
}

}  // namespace scalio::nvmf
