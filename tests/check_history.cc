// scalio-check-history FILE...: are these histories, merged, linearizable? (history/reader.h has
// the format.) Exit status 0 if they are, 1 with every violation on standard output, 2 for bad use
// or bad files.
#include <cstdio>
#include <string>
#include <vector>

#include "linearizability/linearizability.h"

int main(int argc, char** argv) {
  constexpr int kViolated = 1, kBadUse = 2;
  const std::vector<std::string> paths(argv + 1, argv + argc);
  if (paths.empty() || paths.front().starts_with("-")) {
    std::fprintf(
        stderr,
        "usage: scalio-check-history FILE...\n"
        "Checks that histories, as 'scalio bench ycsb --history' writes them, are linearizable.\n");
    return kBadUse;
  }
  auto history = scalio::history::read_history(paths);
  if (!history.ok()) {
    std::fprintf(stderr, "scalio-check-history: %s\n", history.status().to_string().c_str());
    return kBadUse;
  }
  auto violations = scalio::linearizability::check(*history);
  if (!violations.ok()) {
    std::fprintf(stderr, "scalio-check-history: %s\n", violations.status().to_string().c_str());
    return kBadUse;
  }
  for (const scalio::linearizability::Violation& v : *violations)
    std::printf("%s\n", to_string(v).c_str());
  std::printf("%zu operations, %zu keys in violation\n", history->size(), violations->size());
  return violations->empty() ? 0 : kViolated;
}
