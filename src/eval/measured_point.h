// The point of a figure that a run has measured.
#pragma once

#include <string>

#include "eval/kv_run.h"
#include "eval/point.h"

namespace scalio::eval {

// I/Os as the paper's artifact computes them: so many for each GET that the cache does not answer,
// and for each PUT. What they are for a system, if it has any.
struct IoFormula {
  double missed_get = 0;
  double put = 0;
};
std::optional<IoFormula> io_formula(System system);

// `system`: its name. `options` are those of the run.
Point measured_point(const std::string& system, const std::optional<IoFormula>& formula,
                     const KvRunOptions& options, const KvPhase& phase);

// For people: a table.
std::string to_table(const Point& point);

}  // namespace scalio::eval
