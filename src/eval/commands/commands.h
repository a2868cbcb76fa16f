// The subcommands of `scalio-eval`. Each has a file of its own, and a row in main.cc.
#pragma once

#include <functional>

#include "eval/options.h"

namespace scalio::eval {

std::function<int()> add_eval_serve(Options& options);
std::function<int()> add_eval_ycsb(Options& options);
std::function<int()> add_counterexample(Options& options);
std::function<int()> add_calibrate(Options& options);
std::function<int()> add_model(Options& options);
std::function<int()> add_systems(Options& options);

}  // namespace scalio::eval
