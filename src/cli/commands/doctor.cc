#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/doctor_checks.h"

namespace scalio::cli {
namespace {

struct DoctorFlags {
  std::vector<std::string> paths;
  bool json = false;
};

const char* name_of(Health health) {
  switch (health) {
    case Health::ok: return "ok";
    case Health::warning: return "warning";
    case Health::problem: return "problem";
  }
  return "";
}

std::string text_of(const std::vector<Diagnosis>& findings) {
  std::size_t width = 0;
  for (const Diagnosis& f : findings) width = std::max(width, printable(f.about).size());
  std::string out;
  for (const Diagnosis& f : findings) {
    out += fmt::format("{:<8} {:<{}}  {}\n", name_of(f.health), printable(f.about), width,
                       printable(f.what));
    if (!f.advice.empty()) out += fmt::format("{:<8} {:<{}}  -> {}\n", "", "", width, f.advice);
  }
  return out;
}

std::string json_of(const std::vector<Diagnosis>& findings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Diagnosis& f : findings) {
    list.push_back({{"about", f.about},
                    {"health", name_of(f.health)},
                    {"what", f.what},
                    {"advice", f.advice.empty() ? nlohmann::ordered_json()
                                                : nlohmann::ordered_json(f.advice)}});
  }
  return json_text(nlohmann::ordered_json{{"findings", std::move(list)}}, 2) + "\n";
}

int doctor(const DoctorFlags& flags) {
  std::vector<Diagnosis> findings = check_machine();
  std::ranges::move(check_ssds(flags.paths), std::back_inserter(findings));
  const int status = print(flags.json ? json_of(findings) : text_of(findings));
  if (status != kSuccess) return status;
  const bool problem =
      std::ranges::any_of(findings, [](const Diagnosis& f) { return f.health == Health::problem; });
  return problem ? kFailure : kSuccess;
}

}  // namespace

Subcommand add_doctor(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("doctor", "Check a machine, its limits and its SSDs");
  auto flags = std::make_shared<DoctorFlags>();
  app->add_option("PATH", flags->paths,
                  "SSDs to look at too: block devices, files, or the directory of a store")
      ->type_name("");
  app->add_flag("--json", flags->json,
                "Print {\"findings\": [{about, health, what, advice}]}; health is ok, warning or "
                "problem");
  app->footer(
      "Looks at io_uring, memory and the limits of control groups, huge pages, limits on "
      "descriptors and locked memory, RDMA devices, the kernel's NVMe-oF target, and at each SSD: "
      "direct I/O, block size, "
      "write cache. It says of each whether it serves a store, and what to do. It writes nothing, "
      "and may run beside a server; run it as the user that serves.\n"
      "Exit status: 0 if there is no problem, 3 if there is one; warnings are none.\n\n"
      "Examples:\n"
      "  scalio doctor\n"
      "  scalio doctor /dev/nvme0n1 /dev/nvme1n1     before they are formatted\n"
      "  scalio doctor /var/lib/scalio               the SSDs of a store");
  return {app, [flags] { return doctor(*flags); }};
}

}  // namespace scalio::cli
