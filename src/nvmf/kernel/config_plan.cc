#include "nvmf/kernel/config_plan.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "base/bytes.h"
#include "layout/superblock.h"
#include "nvmf/wire/fields.h"

namespace scalio::nvmf {

using net::Uri;
using Kind = ConfigStep::Kind;

namespace {

const char* transport_of(const Uri& uri) { return uri.scheme == net::kRdma ? "rdma" : "tcp"; }

const char* family_of(const Uri& uri) {
  return uri.host.find(':') == uri.host.npos ? "ipv4" : "ipv6";
}

Status check_port(const Uri& uri) {
  if (uri.scheme != net::kTcp && uri.scheme != net::kRdma) {
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
  if (plain && nqn.starts_with("nqn.") && nqn.size() <= kMaxNqn) return {};
  return Status(
      Code::invalid,
      fmt::format(
          "\"{}\" is not the NQN of a host: it begins with nqn. and has at most {} characters, "
          "none of them a blank or a slash; a Linux host's is in its /etc/nvme/hostnqn",
          nqn, kMaxNqn));
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

Result<std::vector<ConfigStep>> plan_kernel_target(const KernelTarget& target,
                                                   const NvmetDirectory& nvmet) {
  if (Status s = check(target, nvmet); !s.ok()) return s;
  std::vector<ConfigStep> steps;
  const auto add = [&](Kind kind, std::string path, std::string value = {}) {
    steps.push_back({kind, std::move(path), std::move(value)});
  };
  // A subsystem that is offloaded can be reached through ports that can do it only.
  const bool offload =
      target.offload && std::all_of(target.ports.begin(), target.ports.end(),
                                    [](const Uri& uri) { return uri.scheme == net::kRdma; });

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

std::string to_script(const std::vector<ConfigStep>& steps, const NvmetDirectory& nvmet) {
  const auto quoted = [](const std::string& text) {
    std::string out = "'";
    for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
  };
  std::string out;
  for (const ConfigStep& step : steps) {
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

}  // namespace scalio::nvmf
