#include "cli/slow_writes.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <utility>
#include <vector>

#include "base/text.h"
#include "cli/peer_json.h"

namespace scalio::cli {
namespace {

using Json = nlohmann::ordered_json;

// Of a shard; a server keeps 32.
constexpr std::size_t kMostOperations = 1024;
// The year 9999: what is later is no time that a calendar is printed of.
constexpr std::uint64_t kLastTime = 253'370'764'800;

}  // namespace

Json merged_slow_writes(const Json& logs) {
  std::vector<Json> operations;
  std::uint64_t seen = 0;
  for (std::size_t shard = 0; shard < logs.size(); ++shard) {
    seen += count_at(logs[shard], "/seen");
    const Json& all = list_at(logs[shard], "operations");
    for (std::size_t i = all.size() - std::min(all.size(), kMostOperations); i < all.size(); ++i) {
      if (!all[i].is_object()) continue;
      operations.push_back(all[i]);
      operations.back()["shard"] = shard;
    }
  }
  const auto time = [](const Json& operation) { return count_at(operation, "/ended_unix_ms"); };
  std::ranges::stable_sort(operations, {}, time);
  return {{"threshold_us", count_at(logs, "/0/threshold_us")},
          {"seen", seen},
          {"operations", std::move(operations)}};
}

std::string slow_writes_text(const Json& merged) {
  const Json& operations = list_at(merged, "operations");
  std::string out = fmt::format("{} writes took {} ms or longer since the start{}\n",
                                count_at(merged, "/seen"), count_at(merged, "/threshold_us") / 1000,
                                operations.empty() ? "" : "; the last of each shard:");
  for (const Json& o : operations) {
    const auto ended =
        static_cast<std::time_t>(std::min(count_at(o, "/ended_unix_ms") / 1000, kLastTime));
    const std::string key = text_at(o, "/key");
    const bool cut = count_at(o, "/key_bytes") > key.size();
    out += fmt::format("{:%F %T}  {:9.1f} ms  {:9}  {:8}  shard {}  {}{}, {} bytes\n",
                       fmt::localtime(ended), number_at(o, "/us") / 1000,
                       printable(text_at(o, "/operation")), printable(text_at(o, "/outcome")),
                       count_at(o, "/shard"), printable(key), cut ? "..." : "",
                       count_at(o, "/value_bytes"));
  }
  return out;
}

}  // namespace scalio::cli
