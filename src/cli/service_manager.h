// What the service manager that has started this process is told of it (sd_notify(3)): systemd,
// for a unit of Type=notify. Without one, or if it does not listen, nothing is done. Thread-safe.
#pragma once

#include <string>

namespace scalio::cli {

// Clients can connect. `status` is a line for people.
void notify_ready(const std::string& status);
// It is not ready yet, but goes on: the manager's patience begins anew.
void notify_starting(const std::string& status);
// It has begun to stop.
void notify_stopping();

}  // namespace scalio::cli
