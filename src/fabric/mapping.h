// Mapping: owns one shared memory mapping of a file.
#pragma once

#include <scalio/status.h>
#include <sys/mman.h>

#include <utility>

#include "base/bytes.h"

namespace scalio::fabric {

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& o) noexcept : span_(std::exchange(o.span_, {})) {}
  Mapping& operator=(Mapping&& o) noexcept {
    if (this != &o) {
      unmap();
      span_ = std::exchange(o.span_, {});
    }
    return *this;
  }
  ~Mapping() { unmap(); }

  // Maps the first `bytes` bytes of `fd` shared; `protection` as for mmap. `what` names it in the
  // error.
  static Result<Mapping> create(int fd, std::size_t bytes, int protection, std::string_view what);

  // Makes every page of a writable mapping there now. Else a store to one for which there is no
  // room, in memory or on the file's disk, would end the process (SIGBUS). Before Linux 5.14 it
  // cannot be asked for, and does nothing. Fails with io_error: `what` has no room.
  Status populate(std::string_view what) const;

  ByteSpan span() const { return span_; }
  std::byte* data() const { return span_.data(); }
  std::size_t size() const { return span_.size(); }

 private:
  void unmap() {
    if (!span_.empty()) munmap(span_.data(), span_.size());
  }
  ByteSpan span_;
};

}  // namespace scalio::fabric
