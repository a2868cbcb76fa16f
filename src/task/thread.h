// Starting threads.
#pragma once

#include <scalio/status.h>

#include <functional>
#include <thread>

#include "task/executor.h"

namespace scalio {

// A thread that gets no signals: those are for the program's own threads. `name`, at most 15
// characters, is what tools show. Fails with unavailable.
Result<std::thread> start_thread(const char* name, std::function<void()> body);

// CPU time that a thread has used so far, which has not been joined.
Nanos cpu_time_of(std::thread& thread);

}  // namespace scalio
