#include "fabric/epoch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/allocate_file.h"
#include "base/process_identity.h"
#include "fabric/region_access.h"

namespace scalio::fabric {

namespace {
constexpr std::size_t kProcessOffset = 8;
// Nothing to tell anybody.
constexpr std::chrono::milliseconds kUsual{200};

// Whether a server may have written this file, of kEpochFileSize bytes.
bool is_epoch(int fd) {
  std::array<std::byte, kEpochFileSize> bytes{};
  if (::pread(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return false;
  const auto process = load<ProcessIdentity>(bytes.data() + kProcessOffset);
  const auto of_boot = [](char c) {
    return c == '\0' || c == '-' || std::isxdigit(static_cast<unsigned char>(c)) != 0;
  };
  return std::ranges::all_of(process.boot, of_boot) &&
         std::all_of(bytes.begin() + kProcessOffset + sizeof process, bytes.end(),
                     [](std::byte b) { return b == std::byte{0}; });
}
}  // namespace

Result<std::unique_ptr<EpochFile>> EpochFile::open(const std::string& path) {
  const auto failed = [&](std::string_view what) {
    return Status(Code::io_error,
                  fmt::format("epoch file {}: {}: {}", path, what, std::strerror(errno)));
  };
  const auto no_epoch = [&] {
    return Status(
        Code::corrupt,
        fmt::format("{} is not an epoch file: it must be a file of {} bytes that a server "
                    "has written, of one name, and no link; remove it, if no server uses "
                    "it, to have a new one made",
                    path, kEpochFileSize));
  };
  // Not what it may be a link to: this is written.
  net::UniqueFd fd(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
  if (!fd && errno == ELOOP) return no_epoch();
  if (!fd) return failed("open");
  struct stat st {};
  if (fstat(fd.get(), &st) != 0) return failed("fstat");
  if (!S_ISREG(st.st_mode) || st.st_nlink != 1) return no_epoch();
  const bool empty = st.st_size == 0;
  if (!empty && (st.st_size != kEpochFileSize || !is_epoch(fd.get()))) return no_epoch();
  // Also if it has its size, which alone gives it no room.
  if (const int error = allocate_file(fd.get(), kEpochFileSize); error != 0) {
    if (empty) (void)!ftruncate(fd.get(), 0);
    errno = error;
    return failed("cannot be allocated");
  }
  Result<Mapping> mapping = Mapping::create(fd.get(), kEpochFileSize, PROT_READ | PROT_WRITE, path);
  if (!mapping.ok()) return mapping.status();
  // Not by `path`: somebody may have put another file there meanwhile.
  net::UniqueFd read_only(
      ::open(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!read_only) return failed("open read-only");
  return std::unique_ptr<EpochFile>(new EpochFile(std::move(*mapping), std::move(read_only), path));
}

Result<std::uint64_t> EpochFile::advance(std::chrono::milliseconds patience) {
  if (Status s = mapping_.populate(path_); !s.ok()) return s;
  const auto before = load<ProcessIdentity>(mapping_.data() + kProcessOffset);
  const Result<ProcessIdentity> self = this_process();
  if (!self.ok()) return self.status();
  if (before != *self) {
    Status ended = wait_for_end(before, std::min(kUsual, patience));
    if (ended.code() == Code::busy && patience > kUsual) {
      spdlog::warn("the server before this one, process {}, is still ending; waiting for it",
                   before.pid);
      ended = wait_for_end(before, patience - kUsual);
    }
    if (!ended.ok()) {
      return Status(ended.code(),
                    fmt::format("the server before this one must be gone before clients may "
                                "trust this one: {}",
                                ended.message()));
    }
    store(mapping_.data() + kProcessOffset, *self);
  }
  raised_ = current() + 1;
  store_word_release(mapping_.data(), raised_);
  // Whatever this server changes from now on is changed after every client could see the new epoch.
  full_fence();
  return raised_;
}

bool EpochFile::retire() {
  if (raised_ == 0 || current() != raised_) return false;
  // A file system that copies on write may need room for every store. The next server then waits
  // for the end of this process as for one that was killed.
  if (!mapping_.populate(path_).ok()) return false;
  store_word_release(mapping_.data(), raised_ + 1);
  store(mapping_.data() + kProcessOffset, ProcessIdentity());
  full_fence();
  return true;
}

std::uint64_t EpochFile::current() const { return load_word_acquire(mapping_.data()); }

Result<Mapping> map_epoch(int fd) {
  struct stat st {};
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != kEpochFileSize) {
    return Status(Code::invalid, "the server sent something that is not an epoch file");
  }
  return Mapping::create(fd, kEpochFileSize, PROT_READ, "the server's epoch file");
}

}  // namespace scalio::fabric
