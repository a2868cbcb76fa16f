#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/network_address.h"
#include "layout/store_names.h"
#include "nvmf/kernel/config_apply.h"
#include "store/store_files.h"

namespace scalio::cli {
namespace {

constexpr const char* kAnyHost = "any";

struct KernelTargetFlags {
  std::string dir;
  std::vector<std::string> listen;
  std::vector<std::string> allow_hosts;
  bool no_offload = false;
  bool dry_run = false;
  std::string configfs = "/sys/kernel/config";
};

std::string record_path(const std::string& dir) { return dir + "/kernel-target"; }

// The SSDs of a store, which may be served meanwhile.
Result<std::vector<nvmf::KernelNamespace>> namespaces_of(const std::string& dir) {
  Result<std::vector<storage::SsdPlace>> ssds = storage::find_ssds(dir);
  if (!ssds.ok()) return ssds.status();
  std::vector<nvmf::KernelNamespace> namespaces;
  for (const auto& [path, ssd, moved] : *ssds) {
    namespaces.push_back({layout::store_nqn(ssd.uuid), ssd.ssd() + 1,
                          nvmf::NamespaceId::of(layout::ssd_uuid(ssd.uuid, ssd.ssd())), path});
  }
  return namespaces;
}

std::string offload_line(const nvmf::KernelTarget& target, const nvmf::Configured& configured) {
  if (!target.offload) return "off, as --no-offload says";
  if (configured.offered) return "on: the NIC reads the SSDs, this machine's CPU does nothing";
  if (std::any_of(target.ports.begin(), target.ports.end(),
                  [](const net::Uri& uri) { return uri.scheme != net::kRdma; })) {
    return "off: it needs that every --listen is rdma:";
  }
  return "off: this kernel does not offer it (nvmet has no attr_offload); its CPU reads the SSDs";
}

int configure(const KernelTargetFlags& flags) {
  nvmf::KernelTarget target;
  target.offload = !flags.no_offload;
  for (const std::string& text : flags.listen) {
    Result<net::Uri> uri = parse_network_uri("--listen", text);
    if (!uri.ok()) return fail(uri.status());
    target.ports.push_back(*uri);
  }
  const bool any_host = flags.allow_hosts == std::vector<std::string>{kAnyHost};
  if (!any_host) target.hosts = flags.allow_hosts;
  Result<std::vector<nvmf::KernelNamespace>> namespaces = namespaces_of(flags.dir);
  if (!namespaces.ok()) return fail(namespaces.status());
  target.namespaces = *std::move(namespaces);

  nvmf::NvmetDirectory nvmet(flags.configfs);
  if (flags.dry_run) {
    Result<std::vector<nvmf::ConfigStep>> steps = nvmf::plan_kernel_target(target, nvmet);
    return steps.ok() ? print(nvmf::to_script(*steps, nvmet)) : fail(steps.status());
  }
  Result<nvmf::Configured> configured =
      nvmf::configure_kernel_target(target, nvmet, record_path(flags.dir));
  if (!configured.ok()) return fail(configured.status());

  std::string out = fmt::format("subsystem {}\n", target.namespaces[0].nqn);
  for (const nvmf::KernelNamespace& ns : target.namespaces) {
    out += fmt::format("namespace {}: {}\n", ns.nsid, ns.device);
  }
  for (const net::Uri& uri : target.ports) out += fmt::format("port {}\n", uri.text());
  out += any_host
             ? "hosts: ANY, and each can write the SSDs\n"
             : fmt::format("hosts, which can write the SSDs: {}\n", fmt::join(target.hosts, ", "));
  return print(out + fmt::format("target offload: {}\n", offload_line(target, *configured)));
}

int remove(const KernelTargetFlags& flags) {
  // Else a mistyped name would look like success.
  if (Result<std::vector<unsigned>> ssds = storage::list_ssds(flags.dir);
      !ssds.ok() || (ssds->empty() && !std::filesystem::exists(record_path(flags.dir)))) {
    return fail(ssds.ok() ? Status(Code::invalid, flags.dir + " has no store") : ssds.status());
  }
  nvmf::NvmetDirectory nvmet(flags.configfs);
  Result<bool> removed = nvmf::remove_kernel_target(nvmet, record_path(flags.dir));
  if (!removed.ok()) return fail(removed.status());
  return print(*removed ? "removed\n" : "nothing is configured\n");
}

void add_common(CLI::App& app, KernelTargetFlags& flags) {
  app.add_option("--dir", flags.dir, "The store's directory")->type_name("DIR")->required();
  app.add_option("--configfs", flags.configfs, "Where configfs is mounted")
      ->type_name("DIR")
      ->capture_default_str();
}

}  // namespace

Subcommand add_target_configure(CLI::App& parent) {
  CLI::App* app =
      parent.add_subcommand("configure", "Let the kernel offer a store's SSDs over NVMe-oF");
  auto flags = std::make_shared<KernelTargetFlags>();
  add_common(*app, *flags);
  app->add_option("--listen", flags->listen,
                  "Where: rdma:ADDRESS:PORT or tcp:ADDRESS:PORT, an address of this machine; may "
                  "be repeated")
      ->type_name("URI")
      ->allow_extra_args(false)
      ->required();
  app->add_option("--allow-host", flags->allow_hosts,
                  "NQN of a host that may connect, which can then WRITE the SSDs; may be repeated; "
                  "\"any\": every "
                  "host")
      ->type_name("NQN")
      ->allow_extra_args(false)
      ->required();
  app->add_flag("--no-offload", flags->no_offload, "Do not ask the NIC to read the SSDs by itself");
  app->add_flag("--dry-run", flags->dry_run,
                "Print what would be done, as a script, and do nothing");
  app->footer(
      "For clients that read through the NIC's target offload, or through the kernel. Needs root, "
      "and the "
      "kernel's "
      "modules nvmet and nvmet-rdma or nvmet-tcp. What it makes in configfs is noted in "
      "DIR/kernel-target "
      "and gone "
      "after a reboot.\n\n"
      "Examples:\n"
      "  scalio target configure --dir /var/lib/scalio --listen rdma:10.0.0.7:4420 --allow-host "
      "nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0038-4d10-8050-b1c04f4e3432\n"
      "  scalio target configure --dir /var/lib/scalio --listen tcp:10.0.0.7:4420 --allow-host any "
      "--dry-run");
  return {app, [flags] { return configure(*flags); }};
}

Subcommand add_target_remove(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("remove", "Undo what `target configure` did");
  auto flags = std::make_shared<KernelTargetFlags>();
  add_common(*app, *flags);
  app->footer(
      "Removes exactly what is noted in DIR/kernel-target, also after a half failed "
      "`configure`.\n\n"
      "Example:\n"
      "  scalio target remove --dir /var/lib/scalio");
  return {app, [flags] { return remove(*flags); }};
}

}  // namespace scalio::cli
