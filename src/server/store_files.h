// The files of a store: a directory with one entry per SSD, ssd-0 and so on, each a file or a symbolic link
// to a device; and the epoch file that servers share with their clients.
#pragma once

#include <scalio/status.h>

#include <memory>
#include <string>
#include <vector>

#include "block/uring_device.h"
#include "layout/geometry.h"

namespace scalio::server {

std::string ssd_path(const std::string& dir, unsigned index);
std::string epoch_path(const std::string& dir);

struct OpenSsd {
  std::unique_ptr<block::UringDevice> device;
  layout::SsdGeometry geometry;
  std::string path;  // absolute, links resolved
};

// Opens all SSDs of a store, exclusively, each on the loop of the same index (the last loop for all that are
// left). Checks that they are of one store, complete and in order.
Result<std::vector<OpenSsd>> open_ssds(const std::string& dir, const std::vector<EventLoop*>& loops);

// The numbers of the SSDs that stand in a directory, in order; there may be gaps. Failures: invalid (no such
// directory).
Result<std::vector<unsigned>> list_ssds(const std::string& dir);

// How many SSDs the store in a directory has; all are there. Failures: invalid (no such directory, no store
// in it, or an SSD is missing).
Result<unsigned> count_ssds(const std::string& dir);

// Runs a task to its end on a loop that nothing else runs.
template <class T>
T run_to_end(EventLoop& loop, Task<T> task) {
  std::optional<T> out;
  auto body = [](Task<T> t, std::optional<T>* result) -> Task<void> {
    result->emplace(co_await std::move(t));
  };
  loop.spawn(body(std::move(task), &out));
  loop.run_until([&] { return out.has_value(); });
  return std::move(*out);
}

}  // namespace scalio::server
