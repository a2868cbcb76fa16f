// scalio-eval: serves, drives and measures Scalio and what it is compared with.
#include "cli/process_start.h"
#include "eval/commands/commands.h"

namespace scalio::eval {
namespace {

constexpr EvalCommand kCommands[] = {
    {"serve", "Serve one of the systems", add_eval_serve},
    {"ycsb", "Run a YCSB workload against a server, and measure", add_eval_ycsb},
    {"counterexample", "Search for operations that no order explains, and draw them",
     add_counterexample},
    {"calibrate", "Count what the model charges for, and fit its scale", add_calibrate},
    {"model", "Run a system on a model of the hardware, in virtual time", add_model},
    {"systems", "List the systems that are compared", add_systems},
};

constexpr ProgramText kProgram = {
    .name = "scalio-eval",
    .version = SCALIO_VERSION,
    .summary = "Compare Scalio with other key-value stores for SSDs, and measure all of them.",
    .footer =
        "Exit status: 0 done, 2 bad use, 3 failure. `scalio-eval COMMAND --help` says more; "
        "docs/evaluation.md\nsays what is compared, and how.",
};

}  // namespace
}  // namespace scalio::eval

int main(int argc, char** argv) {
  using namespace scalio;
  cli::prepare_process();
  return eval::run_command_line(eval::kProgram, eval::kCommands, argc, argv);
}
