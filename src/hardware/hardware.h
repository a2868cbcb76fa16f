// Hardware: one modelled server with its clients' machines: cores, threads, NIC, SSDs, virtual
// time. Systems are built on it (systems/) as on real hardware, from the same classes.
//
// Costs are charged, and things take time, while charging(): a store is filled without. Everything
// follows from what is asked for and in which order, so equal runs give equal figures.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hardware/core.h"
#include "hardware/costs.h"
#include "hardware/machine.h"
#include "hardware/model_disk.h"
#include "hardware/model_nic.h"
#include "hardware/model_ssd.h"

namespace scalio::hardware {

// Faults of the model itself. Each must make a test of it fail.
enum class Mutant : std::uint8_t { none, free_io, endless_ssd, core_does_two };
std::optional<Mutant> find_mutant(std::string_view name);
std::vector<std::string> mutant_names();

struct HardwareOptions {
  Machine machine;
  std::uint32_t cores = 0;  // of the server; 0: the machine's
  std::uint32_t ssds = 1;
  std::uint64_t ssd_bytes = 0;
  double scale = 0;  // 0: the machine's
  Mutant mutant = Mutant::none;
  // Threads of other programs that always want a core, where threads share the cores.
  std::uint32_t others = 0;
};

class Hardware {
 public:
  static std::unique_ptr<Hardware> make(const HardwareOptions& options);

  EventQueue& queue() { return queue_; }
  const Machine& machine() const { return machine_; }
  ModelNic& nic() { return nic_; }
  bool charging() const { return charging_; }
  void set_charging(bool charging);
  // From now on costs are those that it was made with, but for these changes. Failures: invalid.
  Status change_costs(const std::vector<std::string>& changes);
  // That all SSDs are files of, where they are: on a machine with sockets.
  ModelDisk& disk() { return *disk_; }

  std::uint32_t cores() const { return static_cast<std::uint32_t>(uses_.size()); }
  // What a core of the server is for, for the report.
  void use_core(std::uint32_t core, const std::string& what);
  std::string core_use(std::uint32_t core) const { return uses_[core]; }
  // What is busy: each core, or all together where threads share them.
  const std::vector<std::unique_ptr<Core>>& server_cores() const { return cores_; }
  Core& core(std::uint32_t i) { return *cores_[machine_.sockets ? 0 : i]; }
  ModelThread& server_thread(std::uint32_t core, Role role, bool sleeps);
  // A thread of the standard NVMe-oF target on each core of the server.
  std::vector<ModelThread*> target_threads();
  // On the next core of the clients' machines. They poll, unless the machine has sockets.
  ModelThread& client_thread(Role role);
  const std::vector<std::unique_ptr<Core>>& client_cores() const { return client_cores_; }

  const std::vector<std::unique_ptr<ModelThread>>& threads() const { return threads_; }
  std::vector<std::unique_ptr<ModelSsd>>& ssds() { return ssds_; }

  // Goes on until the task has ended.
  template <class T>
  T run(ModelThread& thread, Task<T> task) {
    std::optional<T> out;
    const auto body = [](Task<T> t, std::optional<T>* to) -> Task<void> {
      to->emplace(co_await std::move(t));
    };
    thread.spawn(body(std::move(task), &out));
    while (!out.has_value()) SCALIO_ASSERT(queue_.step());
    return *std::move(out);
  }
  // Until nothing happens any more.
  void drain() {
    while (queue_.step()) {
    }
  }

 private:
  Hardware(const HardwareOptions& options, Costs costs);

  EventQueue queue_;
  const Machine machine_;
  const Costs made_with_;
  Costs costs_;
  const int lanes_;
  const std::uint32_t others_;
  bool charging_ = false;
  ModelNic nic_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::vector<std::string> uses_;
  std::vector<std::unique_ptr<Core>> client_cores_;
  std::uint32_t next_client_core_ = 0;
  std::vector<std::unique_ptr<ModelThread>> threads_;
  std::vector<std::unique_ptr<ModelSsd>> ssds_;
  std::optional<ModelDisk> disk_;
};

}  // namespace scalio::hardware
