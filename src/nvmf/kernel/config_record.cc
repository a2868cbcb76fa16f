#include "nvmf/kernel/config_record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/process_identity.h"
#include "base/read_file.h"

namespace scalio::nvmf {

using Kind = ConfigStep::Kind;

namespace {

constexpr std::size_t kMostOfARecord = 1 << 20;  // bytes
constexpr const char* kBoot = "boot";
constexpr const char* kMake = "make";
constexpr const char* kLink = "link";

}  // namespace

// The lock is the folder's: the record itself comes and goes.
Result<net::UniqueFd> lock_record(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  net::UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd && flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (fd && errno == EWOULDBLOCK) {
    return Status(
        Code::busy,
        fmt::format("another `scalio target` is at work on {}: wait until it has ended", folder));
  }
  return Status(Code::unavailable, fmt::format("cannot {} {}: {}", fd ? "lock" : "open", folder,
                                               std::strerror(errno)));
}

Result<std::optional<std::vector<ConfigStep>>> read_record(const std::string& path) {
  const Result<std::string> text = read_regular_file(path, kMostOfARecord);
  if (text.code() == Code::not_found) return std::optional<std::vector<ConfigStep>>();
  if (!text.ok()) return Status(Code::unavailable, text.status().message());
  std::istringstream in(*text);
  std::vector<ConfigStep> steps;
  bool begun = false;
  // A last line that is not complete is of a step that was never begun.
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const std::size_t blank = line.find(' ');
    const std::string word = line.substr(0, blank);
    const std::string rest = blank == line.npos ? "" : line.substr(blank + 1);
    if (!begun && word == kBoot) {
      if (rest != boot_id()) break;
      begun = true;
    } else if (begun && (word == kMake || word == kLink) && !rest.empty() &&
               !rest.starts_with('/') && rest.find("..") == rest.npos) {
      steps.push_back({word == kMake ? Kind::make : Kind::link, rest, {}});
    } else {
      return Status(Code::corrupt,
                    fmt::format("{}: \"{}\" does not belong there; remove by hand what is left in "
                                "configfs, and then this file",
                                path, line));
    }
  }
  return std::optional(std::move(steps));
}

Result<ConfigRecord> ConfigRecord::create(const std::string& path) {
  ConfigRecord record(path, open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!record.fd_) return record.failure();
  if (Status s = record.write(fmt::format("{} {}\n", kBoot, boot_id())); !s.ok()) {
    record.remove();
    return s;
  }
  return record;
}

Status ConfigRecord::add(const ConfigStep& step) {
  last_ = lseek(fd_.get(), 0, SEEK_CUR);
  if (step.kind == Kind::make) return write(fmt::format("{} {}\n", kMake, step.path));
  if (step.kind == Kind::link) return write(fmt::format("{} {}\n", kLink, step.path));
  return {};
}

Status ConfigRecord::drop_last() { return ftruncate(fd_.get(), last_) == 0 ? Status() : failure(); }

void ConfigRecord::remove() const { std::remove(path_.c_str()); }

Status ConfigRecord::failure() const {
  return Status(Code::unavailable, fmt::format("cannot write {}: {}", path_, std::strerror(errno)));
}

Status ConfigRecord::write(const std::string& line) {
  const ssize_t written = ::write(fd_.get(), line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) return {};
  if (written >= 0) errno = ENOSPC;
  return failure();
}

}  // namespace scalio::nvmf
