// The files of a store: a directory with one entry per SSD, ssd-0 and so on, each a file or a
// symbolic link to a device; a note of the store's UUID; and the epoch file that servers share with
// their clients.
#pragma once

#include <scalio/status.h>

#include <memory>
#include <string>
#include <vector>

#include "block/uring_device.h"
#include "layout/geometry.h"

namespace scalio::storage {

std::string ssd_path(const std::string& dir, unsigned index);
std::string epoch_path(const std::string& dir);
std::string uuid_path(const std::string& dir);

// Notes the store's UUID in a directory that has no such note, durably but for its name. Failures:
// io_error.
Status note_uuid(const std::string& dir, const layout::Uuid& uuid);

// Where an SSD of a store is.
struct SsdPlace {
  std::string path;  // absolute, links resolved
  layout::SsdGeometry geometry;
  std::string moved;  // if its entry does not lead there: what is there, and where the SSD is
};

// Finds all SSDs of the store in a directory, in order, by their superblocks: each where its entry
// leads, or, if that is another SSD or none, where another entry leads, or, if the entry is a link
// and the directory has the store's UUID, at whatever block device of this machine it is: devices
// get other numbers when others come or go. Failures: invalid (no such directory, no store in it,
// an SSD that is missing or found twice, one too many), corrupt, io_error.
Result<std::vector<SsdPlace>> find_ssds(const std::string& dir);

struct OpenSsd {
  std::unique_ptr<block::UringDevice> device;
  layout::SsdGeometry geometry;
  std::string path;   // absolute, links resolved
  std::string moved;  // as in SsdPlace
};

// Finds and opens all SSDs of a store, each on the loop of the same index (the last loop for all
// that are left). `access` is shared or exclusive, or read_write for who only looks whether a
// server could. Failures: those of find_ssds(), and busy.
Result<std::vector<OpenSsd>> open_ssds(const std::string& dir, const std::vector<EventLoop*>& loops,
                                       block::Access access = block::Access::exclusive);

// The numbers of the SSDs that stand in a directory, in order; there may be gaps. Failures: invalid
// (no such directory).
Result<std::vector<unsigned>> list_ssds(const std::string& dir);

}  // namespace scalio::storage
