// The record of what was made in configfs, a file: a line for the boot that it is of, then one for
// each thing, written before it is made. Thus all can be taken away again whoever was killed in
// between, and nothing else is, but for one case: somebody else makes the very thing that was next
// when this was killed.
#pragma once

#include <scalio/status.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "net/unique_fd.h"
#include "nvmf/kernel/config_plan.h"

namespace scalio::nvmf {

// Held while a store's target is made or taken away: who reads a record that another still writes
// would take away what is half made, and leave the rest. Given back when the descriptor is closed,
// also by a kill. Failures: busy (another has it), unavailable.
Result<net::UniqueFd> lock_record(const std::string& path);

// Nothing, if there is no record; no steps, if it is of an earlier boot: configfs is empty after
// each.
Result<std::optional<std::vector<ConfigStep>>> read_record(const std::string& path);

// The record while it is written.
class ConfigRecord {
 public:
  // Fails with unavailable. What a kill leaves of it counts as a record without steps.
  static Result<ConfigRecord> create(const std::string& path);
  // Before the step is done. Fails with unavailable.
  Status add(const ConfigStep& step);
  // Takes back the last step that was added: if what it was to make is there, it is somebody
  // else's.
  Status drop_last();
  void remove() const;

 private:
  ConfigRecord(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status failure() const;
  Status write(const std::string& line);

  std::string path_;
  net::UniqueFd fd_;
  off_t last_ = 0;
};

}  // namespace scalio::nvmf
