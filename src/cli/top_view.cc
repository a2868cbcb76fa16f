#include "cli/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/text.h"
#include "cli/peer_json.h"

namespace scalio::cli {
namespace {

using Json = nlohmann::json;
constexpr std::size_t kWidth = 80;
constexpr std::size_t kBar = 20;

// Four digits at most, and a unit of 1000: "12.3K".
std::string in_short(double n) {
  constexpr std::string_view kUnits = " KMGTP";
  n = std::min(n, 999e15);
  std::size_t unit = 0;
  while (n >= 999.5 && unit + 1 < kUnits.size()) {
    n /= 1000;
    ++unit;
  }
  const std::string digits =
      unit == 0 || n >= 99.95 ? fmt::format("{:.0f}", n) : fmt::format("{:.1f}", n);
  return unit == 0 ? digits : digits + kUnits[unit];
}

std::string bar(double fraction) {
  fraction = fraction > 0 ? std::min(fraction, 1.0) : 0;  // 0 also of what is no number
  const auto filled = static_cast<std::size_t>(fraction * kBar + 0.5);
  return fmt::format("[{:#<{}}{:.<{}}] {:3.0f} %", "", filled, "", kBar - filled, fraction * 100);
}

std::string time_of(double seconds) {
  const auto s = static_cast<std::uint64_t>(seconds);
  const std::string clock = fmt::format("{:02}:{:02}:{:02}", s / 3600 % 24, s / 60 % 60, s % 60);
  return s < 86'400 ? clock : fmt::format("{} d {}", s / 86'400, clock);
}

class TopView {
 public:
  TopView(const Json& before, const Json& after, double seconds)
      : same_(count_at(before, "/pid") == count_at(after, "/pid") &&
              number_at(before, "/started_unix_ms") == number_at(after, "/started_unix_ms")),
        before_(before),
        after_(after),
        seconds_(std::max(seconds, 0.001)) {}

  std::string draw(std::string_view server) {
    title(server);
    totals();
    lanes();
    ssds();
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_ += text.substr(0, kWidth) + "\n"; }

  // A second, of the same field of two objects.
  double rate(const Json& before, const Json& after, const char* path) const {
    const double begin = same_ ? number_at(before, path) : 0;
    return std::max(0.0, number_at(after, path) - begin) / seconds_;
  }
  // The same, of the sum over all shards.
  double rate_of_shards(const char* path) const {
    double sum = 0;
    const Json& shards = list_at(after_, "shards");
    for (std::size_t i = 0; i < shards.size(); ++i) {
      sum += rate(earlier("shards", i), shards[i], path);
    }
    return sum;
  }
  const Json& earlier(const char* name, std::size_t i) const {
    static const Json kNone = Json::object();
    const Json& all = list_at(before_, name);
    return i < all.size() ? all[i] : kNone;
  }

  void title(std::string_view server) {
    std::uint64_t clients = 0;
    for (const Json& lane : list_at(after_, "lanes"))
      clients = std::max(clients, count_at(lane, "/clients"));
    line(fmt::format("scalio  {:<28.28}  up {}  clients {}  rss {}B{}", printable(server),
                     time_of(number_at(after_, "/uptime_seconds")), clients,
                     in_short(number_at(after_, "/rss_bytes")),
                     same_ ? "" : "  (another process than before)"));
  }

  void totals() {
    const double hits = rate(before_, after_, "/hits"), misses = rate(before_, after_, "/misses");
    const double gets = hits + misses;
    line(fmt::format("GETs {:>8}/s   hits {}   misses {:>6}/s", in_short(gets),
                     gets > 0 ? fmt::format("{:5.1f} %", hits / gets * 100) : "    - %",
                     in_short(misses)));
    const double writes = rate_of_shards("/writes/puts") + rate_of_shards("/writes/deletes") +
                          rate_of_shards("/writes/conditional_puts") +
                          rate_of_shards("/writes/conditional_deletes") +
                          rate_of_shards("/writes/appends") + rate_of_shards("/writes/increments") +
                          rate_of_shards("/writes/end_changes");
    const double batches = rate_of_shards("/log/batches");
    double in_flight = 0;
    for (const Json& shard : list_at(after_, "shards"))
      in_flight += number_at(shard, "/writes/in_flight");
    line(fmt::format("PUTs {:>8}/s   {} a log batch   {:.0f} in flight", in_short(writes),
                     batches > 0 ? fmt::format("{:.1f}", writes / batches) : "-", in_flight));
    line(fmt::format(
        "CPU  {:>8.2f} cores of the server, {:.2f} of it the NIC stand-in; "
        "NVMe target {:.2f}",
        rate(before_, after_, "/process_cpu_us") / 1e6, rate(before_, after_, "/nic_cpu_us") / 1e6,
        rate(before_, after_, "/target_cpu_us") / 1e6));
  }

  void lanes() {
    line("");
    line("lane  busy                          clients  shards");
    const Json& lanes = list_at(after_, "lanes");
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const double wall = rate(earlier("lanes", i), lanes[i], "/wall_us");
      const double cpu = rate(earlier("lanes", i), lanes[i], "/cpu_us");
      line(fmt::format("{:>4}  {}  {:>7}  {}", count_at(lanes[i], "/lane"),
                       bar(wall > 0 ? cpu / wall : 0), count_at(lanes[i], "/clients"),
                       shards_of(lanes[i])));
    }
  }
  static std::string shards_of(const Json& lane) {
    std::string all;
    for (const Json& shard : list_at(lane, "shards")) {
      if (shard.is_number_integer()) all += fmt::format("{} ", shard.get<std::int64_t>());
    }
    return all;
  }

  // The slices of a device are one SSD.
  struct TopSsd {
    std::string device, state;
    double reads = 0, writes = 0, read = 0, written = 0, merged = 0, log_used = 0, log_size = 0,
           dirty = 0, records = 0, used = 0, free = 0, refused = 0;
    double p50 = 0, p99 = 0;  // of writes, us: of the slowest slice
    double live = 0, dead = 0, free_values = 0, usable = 0, came = 0, moved = 0;  // large values

    double full() const { return used + free > 0 ? used / (used + free) : 0; }
  };
  void ssds() {
    std::vector<TopSsd> ssds;
    const Json& shards = list_at(after_, "shards");
    for (std::size_t i = 0; i < shards.size(); ++i) {
      const Json& now = shards[i];
      const std::string device = now.contains("device") && now["device"].is_string()
                                     ? printable(now["device"].get<std::string>())
                                     : "?";
      if (ssds.empty() || ssds.back().device != device) ssds.push_back({device, {}});
      add(ssds.back(), earlier("shards", i), now);
    }
    line("");
    line("SSD   reads/s writes/s    read  written  merged/s   dirty  log");
    for (std::size_t i = 0; i < ssds.size(); ++i) {
      const TopSsd& s = ssds[i];
      line(fmt::format("{:>3}  {:>8} {:>8} {:>6}B/s {:>6}B/s {:>7} {:>7}  {:3.0f} %  {}", i,
                       in_short(s.reads), in_short(s.writes), in_short(s.read), in_short(s.written),
                       in_short(s.merged), in_short(s.dirty),
                       s.log_size > 0 ? s.log_used / s.log_size * 100 : 0, s.state));
    }
    line("");
    line("SSD   records    used  full                          PUT p50       p99 refused/s");
    for (std::size_t i = 0; i < ssds.size(); ++i) {
      const TopSsd& s = ssds[i];
      line(fmt::format("{:>3}  {:>8} {:>6}B  {} {:>7} {:>9} {:>9}", i, in_short(s.records),
                       in_short(s.used), bar(s.full()), latency(s.p50), latency(s.p99),
                       in_short(s.refused)));
    }
    if (std::ranges::any_of(ssds, [](const TopSsd& s) { return s.usable > 0; })) values(ssds);
  }
  void values(const std::vector<TopSsd>& ssds) {
    line("");
    line("SSD     live    dead    free  full of large values           written     moved");
    for (std::size_t i = 0; i < ssds.size(); ++i) {
      const TopSsd& s = ssds[i];
      line(fmt::format("{:>3}  {:>6}B {:>6}B {:>6}B  {} {:>6}B/s {:>6}B/s", i, in_short(s.live),
                       in_short(s.dead), in_short(s.free_values),
                       bar(s.usable > 0 ? s.live / s.usable : 0), in_short(s.came),
                       in_short(s.moved)));
    }
  }
  static std::string latency(double us) {
    constexpr std::array<std::string_view, 3> kUnits = {"us", "ms", "s"};
    if (us <= 0) return "-";
    std::size_t unit = 0;
    while (us >= 999.5 && unit + 1 < kUnits.size()) {
      us /= 1000;
      ++unit;
    }
    return fmt::format("{:.{}f}{}", us, unit == 0 || us >= 99.95 ? 0 : 1, kUnits[unit]);
  }
  void add(TopSsd& ssd, const Json& before, const Json& now) const {
    ssd.reads += rate(before, now, "/ssd/reads");
    ssd.writes += rate(before, now, "/ssd/writes");
    ssd.read += rate(before, now, "/ssd/bytes_read");
    ssd.written += rate(before, now, "/ssd/bytes_written");
    ssd.merged += rate(before, now, "/merge/records");
    ssd.log_used += number_at(now, "/log/used");
    ssd.log_size += number_at(now, "/log/size");
    ssd.dirty += number_at(now, "/cache/dirty");
    ssd.records += number_at(now, "/records/count");
    ssd.used += number_at(now, "/records/bytes");
    ssd.free += number_at(now, "/records/free_bytes");
    ssd.refused += rate(before, now, "/writes/refused_full");
    ssd.live += number_at(now, "/values/live_bytes");
    ssd.dead += number_at(now, "/values/dead_bytes");
    ssd.free_values += number_at(now, "/values/free_bytes");
    ssd.usable += number_at(now, "/values/usable_bytes");
    ssd.came += rate(before, now, "/values/bytes_written");
    ssd.moved += rate(before, now, "/values/bytes_moved");
    ssd.p50 = std::max(ssd.p50, number_at(now, "/recent/write_p50_us"));
    ssd.p99 = std::max(ssd.p99, number_at(now, "/recent/write_p99_us"));
    const Json::json_pointer values_full("/values/full");
    if (now.contains(values_full) && now[values_full] == true) ssd.state = "VALUES FULL";
    if (now.contains("full") && now["full"] == true) ssd.state = "FULL";
    if (now.contains("read_only") && now["read_only"].is_string()) ssd.state = "READ-ONLY";
  }

  const bool same_;
  const Json& before_;
  const Json& after_;
  const double seconds_;
  std::string out_;
};

}  // namespace

std::string fit_rows(std::string_view view, std::size_t rows) {
  const auto lines = static_cast<std::size_t>(std::ranges::count(view, '\n'));
  // The cursor stands in the row below.
  if (rows < 2 || lines < rows) return std::string(view);
  std::size_t end = 0;
  for (std::size_t kept = 0; kept + 2 < rows; ++kept) end = view.find('\n', end) + 1;
  return fmt::format("{}... {} more lines: a higher window has them\n", view.substr(0, end),
                     lines + 2 - rows);
}

std::string top_view(std::string_view server, const Json& before, const Json& after,
                     double seconds) {
  return TopView(before, after, seconds).draw(server);
}

}  // namespace scalio::cli
