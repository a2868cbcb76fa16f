// Makes the Linux kernel's NVMe-oF target, nvmet, offer a store's SSDs: carries out the plan, and
// undoes exactly that. While it is carried out, what is about to be made goes into a record file
// (config_record.h), one thing after the other. Not thread-safe; of two processes at work on one
// record, the second is refused.
#pragma once

#include <scalio/status.h>

#include <string>

#include "nvmf/kernel/config_plan.h"
#include "nvmf/kernel/nvmet_directory.h"

namespace scalio::nvmf {

struct Configured {
  bool offered = false;  // this kernel has what Kind::offer asks for
};

// Plans, and carries it out. `record_path`: of the record file. If a step fails, those before it
// are undone. Failures: as of the plan; busy (there is a record already, or somebody is at work on
// it), unavailable (nvmet, or the right to change it), io_error.
Result<Configured> configure_kernel_target(const KernelTarget& target, NvmetDirectory& nvmet,
                                           const std::string& record_path);

// Undoes what `record` says, also what was only half done, and removes it; what is gone already is
// passed over. Result: whether there was anything to undo (a reboot leaves nothing). Failures: busy
// (something is in use by somebody else by now, and stays, as does the record; or somebody is at
// work on the record), corrupt (the record), unavailable.
Result<bool> remove_kernel_target(NvmetDirectory& nvmet, const std::string& record);

}  // namespace scalio::nvmf
