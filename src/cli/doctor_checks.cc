#include "cli/doctor_checks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "base/available_memory.h"
#include "base/cpu_cores.h"
#include "base/lock_holder.h"
#include "base/read_file.h"
#include "block/uring_device.h"
#include "net/unique_fd.h"
#include "store/store_files.h"
#include "store/store_key.h"

namespace scalio::cli {

namespace fs = std::filesystem;

namespace {

// A server with 1,024 clients over tcp: on 8 lanes has about as many open.
constexpr std::uint64_t kManyDescriptors = 10'000;
constexpr std::uint64_t kLittleMemory = 256 << 20;

// The first line of a small file of /proc or /sys; nothing if it is not there.
std::optional<std::string> line_of(const fs::path& file) {
  constexpr std::size_t kMost = 4096;
  const Result<std::string> text = read_file(file.string(), kMost);
  if (!text.ok()) return std::nullopt;
  return text->substr(0, text->find('\n'));
}

Diagnosis about_machine() {
  utsname name{};
  uname(&name);
  return {"machine",
          Health::ok,
          fmt::format("Linux {} on {}, {} cores for this process", name.release, name.machine,
                      usable_cores().size()),
          {}};
}

Diagnosis about_io_uring(const fs::path& root) {
  const Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return {"io_uring", Health::problem, loop.status().message(), {}};
  const std::string& missing = (*loop)->io_uring_missing();
  if (missing.empty()) return {"io_uring", Health::ok, "used for SSDs and sockets", {}};
  const std::optional<std::string> disabled = line_of(root / "proc/sys/kernel/io_uring_disabled");
  return {"io_uring", Health::warning,
          missing.substr(0, missing.find(';')) + "; poll() and threads are used, which is slower",
          disabled && *disabled != "0"
              ? "sysctl kernel.io_uring_disabled=0"
              : "in a container, allow io_uring_setup, io_uring_enter and io_uring_register in its "
                "seccomp profile"};
}

Diagnosis about_memory(const fs::path& root) {
  const AvailableMemory memory = available_memory(root);
  Diagnosis f{
      "memory",
      Health::ok,
      fmt::format("{} has {} MiB available: --cache takes less", memory.of, memory.bytes >> 20),
      {}};
  if (memory.bytes == UINT64_MAX) f.what = "the kernel tells of no limit";
  if (memory.bytes < kLittleMemory) {
    f.health = Health::warning;
    f.advice = memory.of == "this machine" ? "end what else takes memory here"
                                           : "raise memory.max of the control group (MemoryMax=, "
                                             "or --memory of a container)";
  }
  return f;
}

// Of memory that processes share, which a server's region over unix: and tcp: is. The kernel's line
// has the setting that holds in brackets.
Diagnosis about_huge_pages(const fs::path& root) {
  const std::string file = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
  const std::string line = line_of(root / file.substr(1)).value_or("");
  if (line.empty()) return {"huge pages", Health::ok, "this kernel has none for shared memory", {}};
  if (line.find("[never]") == std::string::npos && line.find("[deny]") == std::string::npos)
    return {"huge pages", Health::ok, "used for the cache", {}};
  return {"huge pages", Health::warning, "not used for the cache: a hit takes longer without",
          "echo advise > " + file + " (at each boot), then start the server again"};
}

Diagnosis about_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= kManyDescriptors)
    return {"descriptors", Health::ok, fmt::format("up to {} open", limit.rlim_max), {}};
  return {
      "descriptors", Health::warning,
      fmt::format("at most {} may be open: fewer than 1,024 clients of a store of several lanes",
                  limit.rlim_max),
      "raise the hard limit: LimitNOFILE= of a unit, ulimit -Hn, limits.conf"};
}

// Devices by name.
std::vector<std::string> entries(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code none;
  for (fs::directory_iterator it(folder, none), end; !none && it != end; it.increment(none))
    names.push_back(it->path().filename().string());
  std::ranges::sort(names);
  return names;
}

Diagnosis about_locked_memory(bool rdma) {
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  if (limit.rlim_max == RLIM_INFINITY) return {"locked memory", Health::ok, "without limit", {}};
  const std::string most = fmt::format("at most {} KiB", limit.rlim_max >> 10);
  if (!rdma) return {"locked memory", Health::ok, most + "; only RDMA needs more", {}};
  return {"locked memory", Health::warning, most + ": a NIC cannot be given a cache that is larger",
          "LimitMEMLOCK=infinity of a unit, ulimit -Hl unlimited, limits.conf"};
}

void add_rdma(const fs::path& root, std::vector<Diagnosis>& out) {
  const std::vector<std::string> devices = entries(root / "sys/class/infiniband");
  if (devices.empty()) {
    out.push_back({"RDMA", Health::ok, "no device: clients use tcp: and unix:", {}});
    return;
  }
  for (const std::string& device : devices) {
    bool active = false;
    const fs::path ports = root / "sys/class/infiniband" / device / "ports";
    for (const std::string& port : entries(ports))
      active |= line_of(ports / port / "state").value_or("").ends_with("ACTIVE");
    out.push_back({"RDMA device " + device, active ? Health::ok : Health::warning,
                   active ? "a port is active" : "no port is active",
                   active ? "" : "look at the cable and at `rdma link`"});
  }
  const fs::path cm = root / "dev/infiniband/rdma_cm";
  if (access(cm.c_str(), R_OK | W_OK) != 0) {
    out.push_back(
        {"RDMA", Health::problem, cm.string() + " may not be used by this process",
         "modprobe rdma_ucm, and let this user read and write it (group rdma, or --device "
         "of a container)"});
  }
}

Diagnosis about_nvmet(const fs::path& root) {
  const bool loaded = fs::exists(root / "sys/module/nvmet");
  if (!loaded) {
    return {"NVMe-oF", Health::ok,
            "the kernel's target is not loaded: `scalio serve` offers the SSDs by a process of its "
            "own",
            "for the kernel's target and offload: modprobe nvmet nvmet-tcp, or nvmet-rdma"};
  }
  std::string what = "the kernel's target is loaded";
  for (const char* name : {"nvmet_tcp", "nvmet_rdma"})
    if (fs::exists(root / "sys/module" / name)) what += fmt::format(", with {}", name);
  if (!fs::exists(root / "sys/kernel/config/nvmet"))
    return {"NVMe-oF", Health::warning, what + ", but configfs does not have it",
            "mount -t configfs none /sys/kernel/config"};
  for (const std::string& nqn : entries(root / "sys/kernel/config/nvmet/subsystems")) {
    if (fs::exists(root / "sys/kernel/config/nvmet/subsystems" / nqn / "attr_offload"))
      return {"NVMe-oF", Health::ok, what + "; it can have a NIC serve the SSDs", {}};
  }
  return {"NVMe-oF",
          Health::ok,
          what +
              "; whether it can offload is seen when it has a subsystem (`scalio target "
              "configure`)",
          {}};
}

// --- SSDs ---

// What the kernel says of a block device's queue, "" where it does not. A partition's is its
// disk's.
std::string queue_of(const fs::path& root, dev_t device, const char* name) {
  const fs::path at = root / "sys/dev/block" / fmt::format("{}:{}", major(device), minor(device));
  for (const char* queue : {"queue", "../queue"}) {
    if (const auto line = line_of(at / queue / name)) return *line;
  }
  return {};
}

Diagnosis about_device(const std::string& path, const block::UringDevice& ssd, dev_t device,
                       const fs::path& root) {
  const std::string cache = queue_of(root, device, "write_cache"),
                    fua = queue_of(root, device, "fua");
  std::string what =
      fmt::format("{} MiB, direct I/O in blocks of {}", ssd.size() >> 20, ssd.block_size());
  if (!cache.empty()) what += ", " + cache;
  if (cache == "write back") what += fua == "1" ? " with FUA" : " without FUA";
  if (queue_of(root, device, "rotational") == "1")
    return {path, Health::warning, what + "; the kernel takes it for a disk that rotates",
            "if it is an SSD, nothing is wrong; a disk is too slow for a store"};
  if (cache == "write back" && fua != "1")
    return {path, Health::warning, what + ": each write of the log needs a flush",
            "an SSD with power-loss protection, or a controller that has FUA, is faster"};
  return {path, Health::ok, what, {}};
}

Diagnosis about_file(const std::string& path, const block::UringDevice& ssd) {
  struct statfs at {};
  std::string what = fmt::format("a file of {} MiB, direct I/O in blocks of {}", ssd.size() >> 20,
                                 ssd.block_size());
  if (statfs(path.c_str(), &at) != 0) return {path, Health::ok, what, {}};
  if (at.f_type == TMPFS_MAGIC)
    return {path, Health::warning, what + ", in memory: nothing of it survives a reboot",
            "a file on a disk's filesystem, or a device"};
  if (at.f_type == NFS_SUPER_MAGIC || at.f_type == SMB_SUPER_MAGIC || at.f_type == FUSE_SUPER_MAGIC)
    return {path, Health::warning, what + ", on a filesystem of another machine or program",
            "a file on a filesystem of this machine, or a device"};
  return {path, Health::ok, what, {}};
}

Diagnosis about_ssd(EventLoop& loop, const std::string& path, const fs::path& root) {
  const Result<std::unique_ptr<block::UringDevice>> ssd =
      block::UringDevice::open(loop, path, block::Access::read_only);
  struct stat file {};
  if (!ssd.ok() || stat(path.c_str(), &file) != 0)
    return {path, Health::problem, ssd.status().message(),
            "name a block device or a file that this user may open, where direct I/O works"};
  Diagnosis f = S_ISBLK(file.st_mode) ? about_device(path, **ssd, file.st_rdev, root)
                                      : about_file(path, **ssd);
  // What a store is formatted with unless it is told otherwise.
  constexpr std::uint32_t kUsualBucket = 1024;
  if ((*ssd)->block_size() > kUsualBucket && f.health == Health::ok) {
    f.health = Health::warning;
    f.advice = fmt::format("for a new store: `scalio format --bucket-size {}` or a multiple",
                           (*ssd)->block_size());
  }
  return f;
}

// What a server would refuse to start with, by what it would look with. Without its lock: it may be
// there.
Status refusal_of(EventLoop& loop, const std::string& dir, const layout::SsdGeometry& any) {
  const auto opened = storage::open_ssds(dir, {&loop}, block::Access::read_write);
  if (!opened.ok()) return opened.status();
  return storage::read_store_key(dir, any).status();
}

// As lock_holder.
std::string user_of(const std::string& ssd) {
  const net::UniqueFd fd(open(ssd.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  return lock_holder(fd.get());
}

void add_store(EventLoop& loop, const std::string& dir, const fs::path& root,
               std::vector<Diagnosis>& out) {
  const Result<std::vector<storage::SsdPlace>> places = storage::find_ssds(dir);
  if (!places.ok()) {
    out.push_back({dir, Health::problem, places.status().message(), {}});
    return;
  }
  const Status refusal = refusal_of(loop, dir, (*places)[0].geometry);
  std::string what = refusal.message();
  if (refusal.ok()) {
    what = fmt::format("a store of {} SSD{}", places->size(), places->size() == 1 ? "" : "s");
    const std::string who = user_of((*places)[0].path);
    if (!who.empty()) what += ", in use by " + who;
  }
  out.push_back({dir, refusal.ok() ? Health::ok : Health::problem, what, {}});
  for (const storage::SsdPlace& place : *places) {
    Diagnosis f = about_ssd(loop, place.path, root);
    // It has its bucket size.
    if (f.advice.starts_with("for a new store")) f = {f.about, Health::ok, f.what, {}};
    out.push_back(std::move(f));
    if (!place.moved.empty()) {
      out.push_back({place.path, Health::warning, place.moved,
                     "let ssd-N in the store's directory lead there"});
    }
  }
}

}  // namespace

std::vector<Diagnosis> check_machine(const fs::path& root) {
  const bool rdma = !entries(root / "sys/class/infiniband").empty();
  std::vector<Diagnosis> out = {about_machine(),     about_io_uring(root),
                                about_memory(root),  about_huge_pages(root),
                                about_descriptors(), about_locked_memory(rdma)};
  add_rdma(root, out);
  out.push_back(about_nvmet(root));
  return out;
}

std::vector<Diagnosis> check_ssds(const std::vector<std::string>& paths, const fs::path& root) {
  std::vector<Diagnosis> out;
  const Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok())
    return {{"SSDs", Health::problem, "not looked at: " + loop.status().message(), {}}};
  for (const std::string& path : paths) {
    std::error_code none;
    if (fs::is_directory(path, none)) {
      add_store(**loop, path, root, out);
    } else {
      out.push_back(about_ssd(**loop, path, root));
    }
  }
  return out;
}

}  // namespace scalio::cli
