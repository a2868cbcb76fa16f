// Region: the memory of one lane that clients reach with one-sided operations.
#pragma once

#include <scalio/status.h>
#include <sys/types.h>

#include <memory>

#include "base/assert.h"
#include "base/bytes.h"
#include "fabric/mapping.h"
#include "net/unique_fd.h"

namespace scalio::fabric {

// Zeroed memory in a memfd, so that it can be mapped by clients on this machine. The memfd is
// sealed against resizing: nobody who has it can make the others' accesses fault.
//
// Several processes, and a NIC, use the memory at once: access it with region_access.h only.
class Region {
 public:
  // `bytes` > 0. Fails with unavailable (no memory, no memfd).
  static Result<std::unique_ptr<Region>> create(std::size_t bytes);

  ByteSpan span() { return mapping_.span(); }
  int fd() const { return fd_.get(); }
  // A descriptor by which nobody can write. Whoever may open the memfd again could (see
  // may_reopen()). Fails with unavailable.
  Result<int> read_only_fd();
  // Gives the memory back to the system, also where others have it mapped: they find zeros. So
  // nobody may believe any more what is there, and this process accesses it no more.
  void give_back();
  // Whether a process of this user of the system could open it for writing, whatever descriptor it
  // was given: through /proc, because the memfd is this process's user's, and root's.
  static bool may_reopen(uid_t user);

 private:
  Region(net::UniqueFd fd, Mapping mapping) : fd_(std::move(fd)), mapping_(std::move(mapping)) {}
  net::UniqueFd fd_;
  net::UniqueFd read_only_;  // once it was asked for
  Mapping mapping_;
};

// Maps a region received from another process, after checking that it has exactly `bytes` bytes and
// can never have fewer. Fails with invalid.
Result<Mapping> map_region(int fd, std::size_t bytes, bool writable = true);

}  // namespace scalio::fabric
