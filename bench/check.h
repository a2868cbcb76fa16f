// A benchmark that cannot go on has nothing to report: it says why and ends the process. Child
// processes end with it; bench/run removes the files.
#pragma once

#include <fmt/format.h>
#include <scalio/status.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace scalio::bench {

[[noreturn]] inline void fail(std::string_view why) {
  fmt::print(stderr, "scalio-bench-figures: {}\n", why);
  std::exit(3);
}

inline void check(const Status& status) {
  if (!status.ok()) fail(status.to_string());
}

template <class T>
T expect(Result<T> result) {
  check(result.status());
  return *std::move(result);
}

}  // namespace scalio::bench
