#include "metrics/metric_rows.h"

#include <prometheus/text_serializer.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

namespace scalio::metrics {

using prometheus::ClientMetric;
using prometheus::MetricType;

namespace {
std::optional<double> value_of(const MetricRow& row, const nlohmann::json& from) {
  const nlohmann::json::json_pointer at(row.path);
  if (!from.contains(at)) return std::nullopt;
  const nlohmann::json& figure = from[at];
  if (row.value == Value::is_set) return !figure.is_null() && figure != false;
  if (!figure.is_number()) return std::nullopt;
  return figure.get<double>() * row.unit;
}
}  // namespace

void MetricFamilies::add(std::string name, MetricType type, std::string help, ClientMetric metric) {
  prometheus::MetricFamily& family = families_[name];
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  family.metric.push_back(std::move(metric));
}

void MetricFamilies::add(std::span<const MetricRow> rows, const nlohmann::json& from,
                         const Labels& labels) {
  for (const MetricRow& row : rows) {
    const std::optional<double> value = value_of(row, from);
    if (!value) continue;
    ClientMetric metric;
    metric.label = labels;
    (row.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = *value;
    add(row.name, row.type, row.help, std::move(metric));
  }
}

std::string MetricFamilies::text() const {
  std::vector<prometheus::MetricFamily> all;
  for (const auto& [name, family] : families_) all.push_back(family);
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, all);
  return std::move(out).str();
}

}  // namespace scalio::metrics
