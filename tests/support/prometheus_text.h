// Reads Prometheus' text format, version 0.0.4, strictly: what is not just as the format and the
// conventions of names have it is a fault.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace scalio::testing {

struct PrometheusSample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct PrometheusFamily {
  std::string help;
  std::string type;
  std::vector<PrometheusSample> samples;
};

struct PrometheusText {
  std::map<std::string, PrometheusFamily> families;
  std::vector<std::string> faults;  // each with its line
};

PrometheusText read_prometheus(std::string_view text);

}  // namespace scalio::testing
