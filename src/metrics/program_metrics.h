// The metrics of each program that serves, of its figures as JSON (docs/metrics.md).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "metrics/metric_rows.h"

namespace scalio::metrics {

// Of `scalio serve`: what Server::figures() gives.
std::string server_metrics(const nlohmann::json& figures);
// Of `scalio redis` and `scalio nvmf-target`.
std::string gateway_metrics(const nlohmann::json& figures);
std::string target_metrics(const nlohmann::json& figures);

// Of any of them: whether it is ready, and what part of its recovery is done, 0 to 1.
std::string readiness_metrics(bool ready, double recovered);

// The tables, for who asks whether a figure is exported: those of the whole server, of a lane, of a
// shard.
std::span<const MetricRow> store_rows();
std::span<const MetricRow> lane_rows();
std::span<const MetricRow> shard_rows();

}  // namespace scalio::metrics
