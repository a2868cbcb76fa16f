#include "cli/service_manager.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace scalio::cli {

namespace {

// systemd's own patience with a start. So long the next percent of a recovery may take.
constexpr unsigned long long kPatienceUs = 90'000'000;

// What fails is for the manager to notice: a server serves without one as well.
void tell(const std::string& state) { (void)::sd_notify(0, state.c_str()); }

}  // namespace

void notify_ready(const std::string& status) { tell(fmt::format("READY=1\nSTATUS={}", status)); }

void notify_starting(const std::string& status) {
  tell(fmt::format("EXTEND_TIMEOUT_USEC={}\nSTATUS={}", kPatienceUs, status));
}

void notify_stopping() { tell("STOPPING=1\nSTATUS=merging what is in the log"); }

}  // namespace scalio::cli
