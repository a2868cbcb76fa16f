// Metrics as tables: a row says which figure of a JSON is which metric, so that what is exported
// can be read, checked against the documents, and asked whether it is all there is.
#pragma once

#include <prometheus/metric_family.h>

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace scalio::metrics {

// What of a figure is the metric's value.
enum class Value : unsigned char {
  number,  // itself; null: no value
  is_set,  // 1 if it is true, or neither null nor false; else 0
};

struct MetricRow {
  const char* path;  // of the figure: a JSON pointer, "/cache/hits"
  const char* name;
  prometheus::MetricType type;
  double unit;  // what one of the figure is in the metric's unit
  const char* help;
  Value value = Value::number;
};

using Labels = std::vector<prometheus::ClientMetric::Label>;

// Families by name, in the order of their names: each has all its metrics together, as the format
// wants it.
class MetricFamilies {
 public:
  // The metrics of the rows whose figures `from` has.
  void add(std::span<const MetricRow> rows, const nlohmann::json& from, const Labels& labels);
  void add(std::string name, prometheus::MetricType type, std::string help,
           prometheus::ClientMetric metric);
  // In Prometheus' text format, version 0.0.4.
  std::string text() const;

 private:
  std::map<std::string, prometheus::MetricFamily> families_;
};

inline constexpr double kMicroseconds = 1e-6;
// The media type of text().
inline constexpr char kTextType[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace scalio::metrics
