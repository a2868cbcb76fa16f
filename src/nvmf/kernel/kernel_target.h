// The Linux kernel's NVMe-oF target, nvmet, made to offer a store's SSDs: what is to be made and
// written in configfs, doing it, and undoing exactly that.
//
// The plan is a list of steps and touches nothing, so that it can be shown. While it is carried
// out, what is about to be made goes into a record file, one thing after the other. Thus it can be
// taken away again whoever was killed in between, and nothing else is, but for one case: somebody
// else makes the very thing that was next when this was killed. Not thread-safe.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "net/uri.h"
#include "nvmf/wire/nvme.h"

namespace scalio::nvmf {

struct KernelNamespace {
  std::string nqn;         // of its subsystem; namespaces of one subsystem stand together
  std::uint32_t nsid = 1;  // in the subsystem
  NamespaceId
      id;  // initiators know it by this, also after the target was taken away and made again
  std::string device;  // absolute path of a block device or a file
};

struct KernelTarget {
  std::vector<KernelNamespace> namespaces;
  std::vector<net::Uri> ports;     // tcp: and rdma:, with addresses, not names
  std::vector<std::string> hosts;  // NQNs of those that may connect, and write; none: any host
  bool offload = true;  // let the NIC do the I/O if this kernel offers it; for rdma: ports only
};

// One thing to do. Paths are relative to nvmet's directory.
struct Step {
  enum class Kind : std::uint8_t {
    make,   // the directory `path`
    write,  // `value` into the file `path`
    offer,  // the same if the kernel has that file
    link,   // `path`, a link to the directory `value`
  };
  Kind kind;
  std::string path;
  std::string value;
  bool operator==(const Step&) const = default;
};

// nvmet's directory in configfs, and the seam for tests. make() to remove() return 0 or an errno.
class NvmetDirectory {
 public:
  // `configfs` is where configfs is mounted: /sys/kernel/config.
  explicit NvmetDirectory(const std::string& configfs) : path_(configfs + "/nvmet") {}
  virtual ~NvmetDirectory() = default;
  NvmetDirectory(const NvmetDirectory&) = delete;
  NvmetDirectory& operator=(const NvmetDirectory&) = delete;

  const std::string& path() const { return path_; }
  // Failures: unavailable (no configfs, or nvmet is not loaded), saying what to do.
  virtual Status available() const;
  virtual std::vector<std::string> list(
      const std::string& directory) const;  // empty if there is none
  virtual std::string read(
      const std::string& file) const;  // without the newline; empty if there is none

  virtual int make(const std::string& directory);
  virtual int write(const std::string& file, const std::string& value);
  virtual int link(const std::string& path, const std::string& to);
  virtual int remove(const std::string& path);  // a link, or a directory that is no longer in use

 private:
  std::string path_;
};

// What has to be done for `target`, given what there is already. Failures: invalid (the target
// itself), busy (a subsystem or an address is taken).
Result<std::vector<Step>> plan_kernel_target(const KernelTarget& target,
                                             const NvmetDirectory& nvmet);

// The steps as a shell script.
std::string to_script(const std::vector<Step>& steps, const NvmetDirectory& nvmet);

struct Configured {
  bool offered = false;  // this kernel has what Kind::offer asks for
};

// Plans, and carries it out. `record_path`: of the record file. If a step fails, those before it
// are undone. Failures: as of the plan; busy (there is a record already), unavailable (nvmet, or
// the right to change it), io_error.
Result<Configured> configure_kernel_target(const KernelTarget& target, NvmetDirectory& nvmet,
                                           const std::string& record_path);

// Undoes what `record` says, also what was only half done, and removes it; what is gone already is
// passed over. Result: whether there was anything to undo (a reboot leaves nothing). Failures: busy
// (something is in use by somebody else by now; it stays, as does the record), corrupt (the
// record), unavailable.
Result<bool> remove_kernel_target(NvmetDirectory& nvmet, const std::string& record);

}  // namespace scalio::nvmf
