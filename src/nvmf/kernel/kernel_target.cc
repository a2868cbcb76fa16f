#include "nvmf/kernel/kernel_target.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "base/bytes.h"
#include "base/process_identity.h"
#include "layout/superblock.h"
#include "net/unique_fd.h"

namespace scalio::nvmf {

namespace fs = std::filesystem;
using net::Uri;
using Kind = Step::Kind;

// --- configfs
// ----------------------------------------------------------------------------------------

Status NvmetDirectory::available() const {
  std::error_code error;
  if (fs::is_directory(path_, error)) return {};
  return Status(
      Code::unavailable,
      fmt::format(
          "there is no {}: the kernel's NVMe target is not loaded (modprobe nvmet), or configfs "
          "is not mounted (mount -t configfs none {})",
          path_, fs::path(path_).parent_path().string()));
}

std::vector<std::string> NvmetDirectory::list(const std::string& directory) const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(fs::path(path_) / directory, error), end;
       !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  return names;
}

std::string NvmetDirectory::read(const std::string& file) const {
  std::ifstream in(fs::path(path_) / file);
  std::string line;
  std::getline(in, line);
  return line;
}

int NvmetDirectory::make(const std::string& directory) {
  return mkdir((path_ + "/" + directory).c_str(), 0755) == 0 ? 0 : errno;
}

int NvmetDirectory::write(const std::string& file, const std::string& value) {
  net::UniqueFd fd(open((path_ + "/" + file).c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno;
  // configfs takes a value by one write, and says with it what it thinks of it.
  const ssize_t written = ::write(fd.get(), value.data(), value.size());
  if (written < 0) return errno;
  return static_cast<std::size_t>(written) == value.size() ? 0 : EIO;
}

int NvmetDirectory::link(const std::string& path, const std::string& to) {
  return symlink((path_ + "/" + to).c_str(), (path_ + "/" + path).c_str()) == 0 ? 0 : errno;
}

int NvmetDirectory::remove(const std::string& path) {
  return std::remove((path_ + "/" + path).c_str()) == 0 ? 0 : errno;
}

// --- The plan
// ----------------------------------------------------------------------------------------

namespace {

// NVMe Base 4.5, "NVMe Qualified Names".
constexpr std::size_t kLongestNqn = 223;

const char* transport_of(const Uri& uri) {
  return uri.scheme == Uri::Scheme::rdma ? "rdma" : "tcp";
}

const char* family_of(const Uri& uri) {
  return uri.host.find(':') == uri.host.npos ? "ipv4" : "ipv6";
}

Status check_port(const Uri& uri) {
  if (uri.scheme != Uri::Scheme::tcp && uri.scheme != Uri::Scheme::rdma) {
    return Status(
        Code::invalid,
        fmt::format("the kernel's NVMe target cannot listen on {}: write tcp:address:port "
                    "or rdma:address:port",
                    uri.text()));
  }
  in6_addr address;
  const bool v6 = family_of(uri) == std::string_view("ipv6");
  if (inet_pton(v6 ? AF_INET6 : AF_INET, uri.host.c_str(), &address) != 1) {
    return Status(
        Code::invalid,
        fmt::format("{}: the kernel's NVMe target takes an address of this machine, not a name",
                    uri.text()));
  }
  if (uri.port == 0)
    return Status(Code::invalid, fmt::format("{}: the port must not be 0", uri.text()));
  return {};
}

// The name of a directory, so it must not lead elsewhere.
Status check_host(const std::string& nqn) {
  const bool plain =
      std::none_of(nqn.begin(), nqn.end(), [](unsigned char c) { return c <= ' ' || c == '/'; });
  if (plain && nqn.starts_with("nqn.") && nqn.size() <= kLongestNqn) return {};
  return Status(
      Code::invalid,
      fmt::format(
          "\"{}\" is not the NQN of a host: it begins with nqn. and has at most {} characters, "
          "none of them a blank or a slash; a Linux host's is in its /etc/nvme/hostnqn",
          nqn, kLongestNqn));
}

// As the kernel reads UUID and NGUID.
std::string dashed(const std::array<std::byte, 16>& bytes) {
  return layout::to_string(load<layout::Uuid>(bytes.data()));
}

// The smallest number, from `next` on, that no port has.
std::string take_number(const std::vector<std::string>& ports, unsigned& next) {
  const auto taken = [&](unsigned n) {
    return std::any_of(ports.begin(), ports.end(),
                       [&](const std::string& p) { return p == std::to_string(n); });
  };
  while (taken(next)) ++next;
  return std::to_string(next++);
}

Status check_free(const Uri& uri, const NvmetDirectory& nvmet) {
  for (const std::string& number : nvmet.list("ports")) {
    const std::string port = "ports/" + number;
    if (nvmet.read(port + "/addr_trtype") == transport_of(uri) &&
        nvmet.read(port + "/addr_traddr") == uri.host &&
        nvmet.read(port + "/addr_trsvcid") == std::to_string(uri.port)) {
      return Status(Code::busy,
                    fmt::format("{} is taken: {}/{} listens there and was not made for this store; "
                                "choose another port",
                                uri.text(), nvmet.path(), port));
    }
  }
  return {};
}

Status check(const KernelTarget& target, const NvmetDirectory& nvmet) {
  std::set<std::string> seen;
  for (const Uri& uri : target.ports) {
    if (Status s = check_port(uri); !s.ok()) return s;
    if (Status s = check_free(uri, nvmet); !s.ok()) return s;
    if (!seen.insert(uri.text()).second) {
      return Status(Code::invalid, fmt::format("{} is given more than once", uri.text()));
    }
  }
  for (const std::string& host : target.hosts) {
    if (Status s = check_host(host); !s.ok()) return s;
    if (!seen.insert(host).second) {
      return Status(Code::invalid, fmt::format("{} is given more than once", host));
    }
  }
  const std::vector<std::string> subsystems = nvmet.list("subsystems");
  for (const KernelNamespace& ns : target.namespaces) {
    if (std::find(subsystems.begin(), subsystems.end(), ns.nqn) == subsystems.end()) continue;
    return Status(
        Code::busy,
        fmt::format("{}/subsystems/{} exists, but there is no record of its making here: it "
                    "was configured from another directory, or by hand, and must be "
                    "removed there",
                    nvmet.path(), ns.nqn));
  }
  return {};
}

}  // namespace

Result<std::vector<Step>> plan_kernel_target(const KernelTarget& target,
                                             const NvmetDirectory& nvmet) {
  if (Status s = check(target, nvmet); !s.ok()) return s;
  std::vector<Step> steps;
  const auto add = [&](Kind kind, std::string path, std::string value = {}) {
    steps.push_back({kind, std::move(path), std::move(value)});
  };
  // A subsystem that is offloaded can be reached through ports that can do it only.
  const bool offload =
      target.offload && std::all_of(target.ports.begin(), target.ports.end(),
                                    [](const Uri& uri) { return uri.scheme == Uri::Scheme::rdma; });

  std::vector<std::string> subsystems;
  for (const KernelNamespace& ns : target.namespaces) {
    const std::string subsystem = "subsystems/" + ns.nqn;
    if (subsystems.empty() || subsystems.back() != subsystem) {
      subsystems.push_back(subsystem);
      add(Kind::make, subsystem);
      add(Kind::write, subsystem + "/attr_allow_any_host", target.hosts.empty() ? "1" : "0");
      // Before any namespace is enabled: it decides how that is done.
      if (offload) add(Kind::offer, subsystem + "/attr_offload", "1");
    }
    const std::string space = fmt::format("{}/namespaces/{}", subsystem, ns.nsid);
    add(Kind::make, space);
    add(Kind::write, space + "/device_path", ns.device);
    add(Kind::write, space + "/device_uuid", dashed(ns.id.uuid));
    add(Kind::write, space + "/device_nguid", dashed(ns.id.nguid));
    add(Kind::write, space + "/enable", "1");
  }

  const std::vector<std::string> hosts = nvmet.list("hosts");
  for (const std::string& nqn : target.hosts) {
    const std::string host = fmt::format("hosts/{}", nqn);
    if (std::find(hosts.begin(), hosts.end(), nqn) == hosts.end()) add(Kind::make, host);
    for (const std::string& subsystem : subsystems)
      add(Kind::link, fmt::format("{}/allowed_hosts/{}", subsystem, nqn), host);
  }

  // Last, so that nobody connects to what is not complete.
  const std::vector<std::string> numbers = nvmet.list("ports");
  unsigned next = 1;
  for (const Uri& uri : target.ports) {
    const std::string port = "ports/" + take_number(numbers, next);
    add(Kind::make, port);
    add(Kind::write, port + "/addr_trtype", transport_of(uri));
    add(Kind::write, port + "/addr_adrfam", family_of(uri));
    add(Kind::write, port + "/addr_traddr", uri.host);
    add(Kind::write, port + "/addr_trsvcid", std::to_string(uri.port));
    for (const std::string& subsystem : subsystems) {
      add(Kind::link, fmt::format("{}/{}", port, subsystem), subsystem);
    }
  }
  return steps;
}

std::string to_script(const std::vector<Step>& steps, const NvmetDirectory& nvmet) {
  const auto quoted = [](const std::string& text) {
    std::string out = "'";
    for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
  };
  std::string out;
  for (const Step& step : steps) {
    const std::string path = quoted(nvmet.path() + "/" + step.path);
    switch (step.kind) {
      case Kind::make: out += fmt::format("mkdir {}\n", path); break;
      case Kind::write: out += fmt::format("echo {} > {}\n", quoted(step.value), path); break;
      case Kind::offer:
        out += fmt::format("test ! -e {0} || echo {1} > {0}\n", path, quoted(step.value));
        break;
      case Kind::link:
        out += fmt::format("ln -s {} {}\n", quoted(nvmet.path() + "/" + step.value), path);
        break;
    }
  }
  return out;
}

// --- Doing it
// ----------------------------------------------------------------------------------------

namespace {

std::string advice(const Step& step, int error) {
  if (error == EACCES || error == EPERM) return "; only root may";
  if (step.path.ends_with("/attr_offload")) {
    return "; the NIC or an SSD cannot be offloaded: use --no-offload, or see what the kernel has "
           "logged";
  }
  if (step.kind == Kind::link && step.path.starts_with("ports/")) {
    switch (error) {
      case EADDRINUSE:
        return "; something else listens on this address and port: choose another port";
      case EADDRNOTAVAIL: return "; no interface of this machine has this address";
      case ENODEV: return "; no RDMA device of this machine has this address";
      case EINVAL: return "; is the transport's module there? (modprobe nvmet-rdma or nvmet-tcp)";
      default: break;
    }
  }
  return "; the kernel's log may say more";
}

Status failed(const Step& step, int error, const NvmetDirectory& nvmet) {
  const Code code = error == EACCES || error == EPERM ? Code::unavailable
                    : error == EADDRINUSE             ? Code::busy
                                                      : Code::io_error;
  const std::string what =
      step.kind == Kind::make ? fmt::format("cannot make {}/{}", nvmet.path(), step.path)
      : step.kind == Kind::link
          ? fmt::format("cannot link {0}/{1} to {0}/{2}", nvmet.path(), step.path, step.value)
          : fmt::format("cannot write \"{}\" to {}/{}", step.value, nvmet.path(), step.path);
  return Status(code, fmt::format("{}: {}{}", what, std::strerror(error), advice(step, error)));
}

int perform(const Step& step, NvmetDirectory& nvmet) {
  switch (step.kind) {
    case Kind::make: return nvmet.make(step.path);
    case Kind::write:
    case Kind::offer: return nvmet.write(step.path, step.value);
    case Kind::link: return nvmet.link(step.path, step.value);
  }
  return EINVAL;
}

// Removes what these steps made, the latest first. Result: what it could not remove, as text.
std::vector<std::string> undo(std::vector<Step> steps, NvmetDirectory& nvmet) {
  std::vector<std::string> left;
  std::reverse(steps.begin(), steps.end());
  for (const Step& step : steps) {
    if (step.kind != Kind::make && step.kind != Kind::link) continue;
    const int error = nvmet.remove(step.path);
    if (error != 0 && error != ENOENT)
      left.push_back(fmt::format("{} ({})", step.path, std::strerror(error)));
  }
  return left;
}

// --- The record: a line for the boot that it is of, then one for each thing made.

constexpr const char* kBoot = "boot";
constexpr const char* kMake = "make";
constexpr const char* kLink = "link";

// Nothing, if there is no record; no steps, if it is of an earlier boot: configfs is empty after
// each.
Result<std::optional<std::vector<Step>>> read_record(const std::string& path) {
  std::ifstream in(path);
  if (!in) {
    if (errno == ENOENT) return std::optional<std::vector<Step>>();
    return Status(Code::unavailable, fmt::format("{}: {}", path, std::strerror(errno)));
  }
  std::vector<Step> steps;
  bool begun = false;
  // A last line that is not complete is of a step that was never begun.
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const std::size_t blank = line.find(' ');
    const std::string word = line.substr(0, blank);
    const std::string rest = blank == line.npos ? "" : line.substr(blank + 1);
    if (!begun && word == kBoot) {
      if (rest != boot_id()) break;
      begun = true;
    } else if (begun && (word == kMake || word == kLink) && !rest.empty() &&
               !rest.starts_with('/') && rest.find("..") == rest.npos) {
      steps.push_back({word == kMake ? Kind::make : Kind::link, rest, {}});
    } else {
      return Status(Code::corrupt,
                    fmt::format("{}: \"{}\" does not belong there; remove by hand what is left in "
                                "configfs, and then this file",
                                path, line));
    }
  }
  return std::optional(std::move(steps));
}

// The record while it is written, a line for each thing before that is made.
class Record {
 public:
  // Fails with unavailable. What a kill leaves of it counts as a record without steps.
  static Result<Record> create(const std::string& path) {
    Record record(path, open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!record.fd_) return record.failure();
    if (Status s = record.write(fmt::format("{} {}\n", kBoot, boot_id())); !s.ok()) {
      record.remove();
      return s;
    }
    return record;
  }
  Status add(const Step& step) {
    last_ = lseek(fd_.get(), 0, SEEK_CUR);
    if (step.kind == Kind::make) return write(fmt::format("{} {}\n", kMake, step.path));
    if (step.kind == Kind::link) return write(fmt::format("{} {}\n", kLink, step.path));
    return {};
  }
  // Takes back the last step that was added: if what it was to make is there, it is somebody
  // else's.
  Status drop_last() { return ftruncate(fd_.get(), last_) == 0 ? Status() : failure(); }
  void remove() const { std::remove(path_.c_str()); }

 private:
  Record(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status failure() const {
    return Status(Code::unavailable,
                  fmt::format("cannot write {}: {}", path_, std::strerror(errno)));
  }
  Status write(const std::string& line) {
    const ssize_t written = ::write(fd_.get(), line.data(), line.size());
    if (written == static_cast<ssize_t>(line.size())) return {};
    if (written >= 0) errno = ENOSPC;
    return failure();
  }

  std::string path_;
  net::UniqueFd fd_;
  off_t last_ = 0;
};

// After a failure: undoes the steps before it, and says what it was.
Status take_back(const std::vector<Step>& done, Status failure, NvmetDirectory& nvmet,
                 Record& record) {
  const Status dropped = record.drop_last();
  const std::vector<std::string> left = undo(done, nvmet);
  if (left.empty()) {
    record.remove();
    return failure;
  }
  std::string message = fmt::format("{}; what had been made could not all be removed: {}; ",
                                    failure.message(), fmt::join(left, ", "));
  message += dropped.ok() ? "try `scalio target remove`" : dropped.message();
  return Status(failure.code(), std::move(message));
}

}  // namespace

Result<Configured> configure_kernel_target(const KernelTarget& target, NvmetDirectory& nvmet,
                                           const std::string& record_path) {
  if (Status s = nvmet.available(); !s.ok()) return s;
  auto earlier = read_record(record_path);
  if (!earlier.ok()) return earlier.status();
  if (*earlier && !(*earlier)->empty()) {
    return Status(
        Code::busy,
        fmt::format("this store is configured already, as {} says; `scalio target remove` "
                    "undoes it",
                    record_path));
  }
  const Result<std::vector<Step>> plan = plan_kernel_target(target, nvmet);
  if (!plan.ok()) return plan.status();
  Result<Record> record = Record::create(record_path);
  if (!record.ok()) return record.status();

  Configured configured;
  std::vector<Step> done;
  for (const Step& step : *plan) {
    if (Status s = record->add(step); !s.ok()) return take_back(done, std::move(s), nvmet, *record);
    const int error = perform(step, nvmet);
    if (step.kind == Kind::offer && error == ENOENT) continue;
    if (error != 0) return take_back(done, failed(step, error, nvmet), nvmet, *record);
    if (step.kind == Kind::offer) configured.offered = true;
    done.push_back(step);
  }
  return configured;
}

Result<bool> remove_kernel_target(NvmetDirectory& nvmet, const std::string& record) {
  auto steps = read_record(record);
  if (!steps.ok()) return steps.status();
  if (!*steps) return false;
  const bool any = !(*steps)->empty();
  // Else nothing found would pass for gone.
  if (any) {
    if (Status s = nvmet.available(); !s.ok()) return s;
  }
  const std::vector<std::string> left = undo(**steps, nvmet);
  if (!left.empty()) {
    return Status(
        Code::busy,
        fmt::format("could not be removed from {}: {}; if others use it, it is theirs now, "
                    "else try again; {} still names it",
                    nvmet.path(), fmt::join(left, ", "), record));
  }
  if (std::remove(record.c_str()) != 0) {
    return Status(Code::unavailable,
                  fmt::format("cannot remove {}: {}", record, std::strerror(errno)));
  }
  return any;
}

}  // namespace scalio::nvmf
