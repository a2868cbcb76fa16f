// Numbers for the results.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace scalio::bench {

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// "1.23 M/s", "45.6 K/s", "789 /s"
std::string per_second(double rate);

}  // namespace scalio::bench
