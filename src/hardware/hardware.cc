#include "hardware/hardware.h"

#include <fmt/format.h>

#include <array>

namespace scalio::hardware {

namespace {
constexpr std::array<std::string_view, 4> kMutants{"none", "free-io", "endless-ssd",
                                                   "core-does-two"};
}

std::optional<Mutant> find_mutant(std::string_view name) {
  for (std::size_t i = 0; i < kMutants.size(); ++i) {
    if (kMutants[i] == name) return static_cast<Mutant>(i);
  }
  return std::nullopt;
}

std::vector<std::string> mutant_names() { return {kMutants.begin(), kMutants.end()}; }

std::unique_ptr<Hardware> Hardware::make(const HardwareOptions& o) {
  const double fitted = o.machine.fitted ? fitted_scale() : 1;
  Costs costs(o.scale > 0 ? o.scale : fitted, o.machine.slower,
              o.machine.sockets ? Prices::sockets : Prices::rdma);
  if (o.mutant == Mutant::free_io) {
    for (const Cost cost :
         {Cost::kernel_submit, Cost::kernel_complete, Cost::driver_submit, Cost::driver_complete,
          Cost::target_io, Cost::submission, Cost::disk_start, Cost::durable_write}) {
      costs.clear(cost);
    }
  }
  return std::unique_ptr<Hardware>(new Hardware(o, costs));
}

Hardware::Hardware(const HardwareOptions& o, Costs costs)
    : machine_(o.machine),
      made_with_(costs),
      costs_(costs),
      lanes_(o.mutant == Mutant::core_does_two ? 2 : 1),
      others_(o.machine.sockets ? o.others : 0),
      nic_(o.machine.nic) {
  const std::uint32_t cores = o.cores > 0 ? o.cores : machine_.cores;
  uses_.resize(cores);
  if (machine_.sockets) {
    cores_.push_back(
        std::make_unique<Core>(queue_, "cores", static_cast<int>(cores) * lanes_, Running::turns));
  }
  for (std::uint32_t i = 0; i < cores && !machine_.sockets; ++i) {
    cores_.push_back(std::make_unique<Core>(queue_, fmt::format("core {}", i), lanes_));
  }
  for (std::uint32_t i = 0; i < machine_.client_cores; ++i) {
    client_cores_.push_back(std::make_unique<Core>(queue_, fmt::format("client {}", i), lanes_));
  }
  for (std::uint32_t i = 0; i < o.ssds; ++i) {
    ssds_.push_back(std::make_unique<ModelSsd>(fmt::format("ssd {}", i), o.ssd_bytes, machine_.ssd,
                                               o.mutant == Mutant::endless_ssd));
  }
  if (machine_.sockets) {
    disk_.emplace(queue_, o.mutant == Mutant::endless_ssd ? DiskShape{} : machine_.disk);
  }
}

Status Hardware::change_costs(const std::vector<std::string>& changes) {
  Costs changed = made_with_;
  for (const std::string& change : changes) {
    if (Status s = changed.adjust(change); !s.ok()) return s;
  }
  costs_ = changed;
  return Status();
}

void Hardware::set_charging(bool charging) {
  charging_ = charging;
  if (others_ > 0) cores_[0]->share_with(charging ? static_cast<int>(others_) : 0);
}

void Hardware::use_core(std::uint32_t core, const std::string& what) {
  std::string& use = uses_[core];
  if (use.find(what) != std::string::npos) return;
  use += (use.empty() ? "" : ", ") + what;
}

ModelThread& Hardware::server_thread(std::uint32_t core, Role role, bool sleeps) {
  threads_.push_back(
      std::make_unique<ModelThread>(queue_, this->core(core), costs_, charging_, role, sleeps));
  return *threads_.back();
}

std::vector<ModelThread*> Hardware::target_threads() {
  std::vector<ModelThread*> threads;
  for (std::uint32_t i = 0; i < cores(); ++i) {
    use_core(i, "target");
    // Its waking is in the price of its I/O.
    threads.push_back(&server_thread(i, Role::target, false));
  }
  return threads;
}

ModelThread& Hardware::client_thread(Role role) {
  Core& core =
      machine_.sockets ? *cores_[0] : *client_cores_[next_client_core_++ % client_cores_.size()];
  threads_.push_back(std::make_unique<ModelThread>(queue_, core, costs_, charging_, role, false));
  return *threads_.back();
}

}  // namespace scalio::hardware
