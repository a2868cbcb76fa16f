// What a process is given by who starts it, made fit for use.
#pragma once

namespace scalio::cli {

// To be called first of all in main(), before a file is opened or a thread started:
// - Descriptors 0, 1 and 2 are open: else the first files opened would get these numbers, and be
// printed to.
// - The process may open as many descriptors as its hard limit says.
// - A file over the limit on sizes is an error of the write, no signal.
// - A process out of memory says so and ends with kFailure: what is acknowledged is on the SSDs.
void prepare_process();

}  // namespace scalio::cli
