// EpochFile: how a region dies with its server (rule 9).
//
// Over shared memory, clients' operations on a dead server's region would succeed for ever. So
// every server of a store maps one small file, the same for all of the server's incarnations, and
// each of them raises the number in it before it accepts anything, and when it stops. Clients get a
// read-only descriptor of the file with their hello and look at it after every operation on the
// region.
//
// Over RDMA they succeed until the kernel has destroyed the dead process's queue pairs, which takes
// a while for thousands of them, and may be after it has let go of the lock on the SSDs. It is done
// when the process has ended, as its parent and a pidfd see it. So the file also says which process
// the server is, and the next one waits for its end.
//
// Format: docs/formats.md, "Epoch file".
#pragma once

#include <scalio/status.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "fabric/mapping.h"
#include "net/unique_fd.h"

namespace scalio::fabric {

constexpr std::size_t kEpochFileSize = 4096;

class EpochFile {
 public:
  // Opens the file, creating it if there is none. One server at a time: the caller holds the
  // store's lock. It is allocated, so that a full disk is an error here. Fails with io_error, or
  // corrupt if it is something else than an epoch file.
  static Result<std::unique_ptr<EpochFile>> open(const std::string& path);

  // Waits until the process that did this before has ended, if it was another one; then invalidates
  // every older epoch and returns the new one, which is never 0. For a starting server, before it
  // accepts anything. A process of another PID namespace cannot be seen, and is not waited for.
  // Fails with busy, unavailable.
  Result<std::uint64_t> advance(std::chrono::milliseconds patience = std::chrono::seconds(60));
  // For a server that has ended all its connections: no client believes its region any more, and
  // the next one need not wait for its process. False if it has not raised the epoch, or another
  // has since, or the file cannot be written: then clients may.
  bool retire();
  std::uint64_t current() const;
  // What clients are given: they can map it, and not change it.
  int read_only_fd() const { return read_only_fd_.get(); }

 private:
  EpochFile(Mapping mapping, net::UniqueFd read_only_fd, std::string path)
      : mapping_(std::move(mapping)),
        read_only_fd_(std::move(read_only_fd)),
        path_(std::move(path)) {}
  Mapping mapping_;
  net::UniqueFd read_only_fd_;
  const std::string path_;
  std::uint64_t raised_ = 0;  // by advance()
};

// Maps an epoch file received from a server, read-only. Fails with invalid.
Result<Mapping> map_epoch(int fd);

}  // namespace scalio::fabric
