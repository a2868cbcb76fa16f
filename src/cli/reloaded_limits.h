// ReloadedLimits: --slow and --max-clients of a server or a gateway that runs, as SIGHUP takes them
// on. Its thread may come before what runs is there, and when that is gone.
#pragma once

#include <spdlog/spdlog.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/parse_integer.h"
#include "cli/config_reload.h"
#include "task/executor.h"

namespace scalio::cli {

// A `Served` has, for any thread, set_slow(Nanos), and set_max_clients(), which takes no more than
// descriptors were set aside for, and says how many it has taken.
template <class Served>
class ReloadedLimits {
 public:
  // `usual_slow`: where the file says nothing.
  static ConfigReload::Takers takers(const std::shared_ptr<ReloadedLimits>& limits,
                                     Nanos usual_slow) {
    // The values have been checked as on a command line, which takes other than decimal numbers.
    return {{"--slow",
             [limits, usual_slow](const std::string& ms) {
               const std::optional<std::int64_t> value = parse_integer(ms);
               if (!value && !ms.empty()) return no_number("--slow", ms);
               limits->set_slow(value ? static_cast<Nanos>(*value) * kMillisecond : usual_slow);
             }},
            {"--max-clients", [limits](const std::string& clients) {
               const std::optional<std::int64_t> value = parse_integer(clients);
               if (!value && !clients.empty()) return no_number("--max-clients", clients);
               limits->set_max_clients(value ? static_cast<std::uint64_t>(*value) : kUsualClients,
                                       value.has_value());
             }}};
  }

  // While it lives, `served` is there.
  class Running {
   public:
    Running(ReloadedLimits& limits, Served& served) : limits_(limits) {
      const std::lock_guard lock(limits_.mutex_);
      limits_.served_ = &served;
      limits_.apply();
    }
    ~Running() {
      const std::lock_guard lock(limits_.mutex_);
      limits_.served_ = nullptr;
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    ReloadedLimits& limits_;
  };

 private:
  static constexpr std::uint64_t kUsualClients = 1024;

  static void no_number(const char* option, const std::string& value) {
    spdlog::error("{}: {} is no decimal number; it stays as it was", option, value);
  }
  void set_slow(Nanos slow) {
    const std::lock_guard lock(mutex_);
    slow_ = slow;
    apply();
  }
  void set_max_clients(std::uint64_t clients, bool asked) {
    const std::lock_guard lock(mutex_);
    max_clients_ = clients;
    asked_ = asked;
    apply();
  }
  // What is not taken yet.
  void apply() {
    if (served_ == nullptr) return;
    if (slow_) served_->set_slow(*slow_);
    if (max_clients_) {
      const std::uint64_t most = served_->set_max_clients(*max_clients_);
      if (asked_ && most < *max_clients_) {
        spdlog::warn(
            "--max-clients: {} at the next start: at this one descriptors were set aside "
            "for {}, which may connect until then",
            *max_clients_, most);
      }
    }
    slow_.reset();
    max_clients_.reset();
  }

  std::mutex mutex_;
  Served* served_ = nullptr;
  std::optional<Nanos> slow_;
  std::optional<std::uint64_t> max_clients_;
  bool asked_ = false;  // for so many, by the file
};

}  // namespace scalio::cli
