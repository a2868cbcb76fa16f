// EpochFile: how clients over shared memory learn that their server was restarted.
//
// After a server's death its clients' operations on the orphaned region would succeed for ever. So every
// server of a store maps one small file, the same for all of the server's incarnations, and each of them
// raises the number in it before it accepts anything. Clients get a read-only descriptor of the file with
// their hello and look at it after every operation on the region.
//
// Format: 4 KiB; bytes 0-7 the epoch, little-endian; the rest zero.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <string>

#include "fabric/mapping.h"
#include "fabric/unique_fd.h"

namespace scalio::fabric {

constexpr std::size_t kEpochFileSize = 4096;

class EpochFile {
 public:
  // Opens the file, creating it if there is none. One server at a time: the caller holds the store's
  // lock. Fails with io_error, or corrupt if it is something else than an epoch file.
  static Result<std::unique_ptr<EpochFile>> open(const std::string& path);

  // Invalidates every older epoch and returns the new one, which is never 0. For a starting server, before
  // it accepts anything.
  std::uint64_t advance();
  std::uint64_t current() const;
  // What clients are given: they can map it, and not change it.
  int read_only_fd() const { return read_only_fd_.get(); }

 private:
  EpochFile(Mapping mapping, UniqueFd read_only_fd)
      : mapping_(std::move(mapping)), read_only_fd_(std::move(read_only_fd)) {}
  Mapping mapping_;
  UniqueFd read_only_fd_;
};

// Maps an epoch file received from a server, read-only. Fails with invalid.
Result<Mapping> map_epoch(int fd);

}  // namespace scalio::fabric
