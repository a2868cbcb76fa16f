#include "nvmf/kernel/config_apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

#include "nvmf/kernel/config_record.h"

namespace scalio::nvmf {

using Kind = ConfigStep::Kind;

namespace {

std::string advice(const ConfigStep& step, int error) {
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

Status failed(const ConfigStep& step, int error, const NvmetDirectory& nvmet) {
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

int perform(const ConfigStep& step, NvmetDirectory& nvmet) {
  switch (step.kind) {
    case Kind::make: return nvmet.make(step.path);
    case Kind::write:
    case Kind::offer: return nvmet.write(step.path, step.value);
    case Kind::link: return nvmet.link(step.path, step.value);
  }
  return EINVAL;
}

// Removes what these steps made, the latest first. Result: what it could not remove, as text.
std::vector<std::string> undo(std::vector<ConfigStep> steps, NvmetDirectory& nvmet) {
  std::vector<std::string> left;
  std::reverse(steps.begin(), steps.end());
  for (const ConfigStep& step : steps) {
    if (step.kind != Kind::make && step.kind != Kind::link) continue;
    const int error = nvmet.remove(step.path);
    if (error != 0 && error != ENOENT)
      left.push_back(fmt::format("{} ({})", step.path, std::strerror(error)));
  }
  return left;
}

// After a failure: undoes the steps before it, and says what it was.
Status take_back(const std::vector<ConfigStep>& done, Status failure, NvmetDirectory& nvmet,
                 ConfigRecord& record) {
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
  const Result<net::UniqueFd> lock = lock_record(record_path);
  if (!lock.ok()) return lock.status();
  auto earlier = read_record(record_path);
  if (!earlier.ok()) return earlier.status();
  if (*earlier && !(*earlier)->empty()) {
    return Status(
        Code::busy,
        fmt::format("this store is configured already, as {} says; `scalio target remove` "
                    "undoes it",
                    record_path));
  }
  const Result<std::vector<ConfigStep>> plan = plan_kernel_target(target, nvmet);
  if (!plan.ok()) return plan.status();
  Result<ConfigRecord> record = ConfigRecord::create(record_path);
  if (!record.ok()) return record.status();

  Configured configured;
  std::vector<ConfigStep> done;
  for (const ConfigStep& step : *plan) {
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
  const Result<net::UniqueFd> lock = lock_record(record);
  if (!lock.ok()) return lock.status();
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
