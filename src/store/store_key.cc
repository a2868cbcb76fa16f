#include "store/store_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/read_file.h"
#include "base/shortage.h"
#include "layout/superblock.h"

namespace scalio::storage {

using layout::StoreKey;

namespace {
// 64 hexadecimal digits and a newline.
constexpr std::size_t kKeyText = 2 * sizeof(StoreKey) + 1;

Status file_error(const std::string& path) {
  return Status(Code::io_error, fmt::format("{}: {}", path, std::strerror(errno)));
}

std::optional<StoreKey> parse(const std::string& text) {
  StoreKey key{};
  bool ok = text.size() == kKeyText && text.back() == '\n';
  for (std::size_t i = 0; ok && i < key.size(); ++i) {
    const char* two = text.data() + 2 * i;
    ok = std::from_chars(two, two + 2, key[i], 16).ptr == two + 2;
  }
  return ok ? std::optional(key) : std::nullopt;
}

std::string how_to_get_it(const std::string& dir, const layout::SsdGeometry& ssd) {
  return fmt::format(
      "without the key of store {} nothing in its log can be told from what clients have made up; "
      "put the file `key` there that was in its directory when it was formatted: a store is moved "
      "with its directory ({})",
      layout::to_string(ssd.uuid), dir);
}
}  // namespace

std::string key_path(const std::string& dir) { return dir + "/key"; }

Result<StoreKey> make_store_key() {
  StoreKey key{};
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    return file_error("getrandom");
  }
  return key;
}

Status write_store_key(const std::string& dir, const StoreKey& key) {
  const std::string path = key_path(dir);
  std::string text;
  for (const std::uint8_t byte : key) text += fmt::format("{:02x}", byte);
  text += '\n';
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return file_error(path);
  Status s;
  errno = ENOSPC;  // of a write that is short
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(fd) != 0) {
    s = file_error(path);
  }
  if (::close(fd) != 0 && s.ok()) s = file_error(path);
  return s;
}

Result<StoreKey> read_store_key(const std::string& dir, const layout::SsdGeometry& ssd) {
  const std::string path = key_path(dir);
  const Result<std::string> text = read_private_file(path, kKeyText);
  if (text.code() == Code::not_found) {
    return Status(Code::invalid, fmt::format("{} is missing; {}", path, how_to_get_it(dir, ssd)));
  }
  if (text.code() == Code::io_error) {
    return Status(is_shortage(errno) ? Code::unavailable : Code::invalid, text.status().message());
  }
  // What others could have read is no secret. What has not the size of a key is none, whoever may.
  if (text.code() == Code::invalid && read_regular_file(path, kKeyText).ok()) return text.status();
  const std::optional<StoreKey> key = text.ok() ? parse(*text) : std::nullopt;
  if (!key) {
    return Status(Code::corrupt,
                  fmt::format("{} does not hold a key; {}", path, how_to_get_it(dir, ssd)));
  }
  if (layout::proof_of(*key) != ssd.key_proof) {
    return Status(Code::invalid,
                  fmt::format("{} is the key of another store; {}", path, how_to_get_it(dir, ssd)));
  }
  return *key;
}

}  // namespace scalio::storage
