#include "support/prometheus_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

namespace scalio::testing {
namespace {

bool is_name(std::string_view s, bool may_have_colon) {
  if (s.empty() || (s[0] >= '0' && s[0] <= '9')) return false;
  for (const char c : s) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && c != '_' && !(may_have_colon && c == ':')) return false;
  }
  return true;
}

std::optional<double> number(std::string_view s) {
  if (s == "+Inf") return std::numeric_limits<double>::infinity();
  double value = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return value;
}

// NAME{LABEL="VALUE",...} NUMBER, where the part in braces may be left out.
std::optional<PrometheusSample> read_sample(std::string_view line) {
  PrometheusSample sample;
  std::size_t at = line.find_first_of("{ ");
  if (at == std::string_view::npos) return std::nullopt;
  sample.name = line.substr(0, at);
  if (!is_name(sample.name, true)) return std::nullopt;
  if (line[at] == '{') {
    do {
      const std::size_t equals = line.find("=\"", ++at);
      if (equals == std::string_view::npos) return std::nullopt;
      const std::string name(line.substr(at, equals - at));
      if (!is_name(name, false)) return std::nullopt;
      std::string value;
      for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
        if (line[at] == '\\') {
          if (++at == line.size()) return std::nullopt;
          const char c = line[at];
          if (c != '\\' && c != '"' && c != 'n') return std::nullopt;
          value += c == 'n' ? '\n' : c;
        } else {
          value += line[at];
        }
      }
      if (++at >= line.size() || !sample.labels.emplace(name, value).second) return std::nullopt;
    } while (line[at] == ',');
    if (line[at++] != '}') return std::nullopt;
  }
  if (at >= line.size() || line[at] != ' ') return std::nullopt;
  const std::optional<double> value = number(line.substr(at + 1));
  if (!value) return std::nullopt;
  sample.value = *value;
  return sample;
}

// What of a sample's name is its family's.
std::string family_of(const std::string& name, const std::string& type) {
  if (type != "histogram") return name;
  for (const std::string_view part : {"_bucket", "_sum", "_count"}) {
    if (name.ends_with(part)) return name.substr(0, name.size() - part.size());
  }
  return name;
}

class Reader {
 public:
  explicit Reader(PrometheusText& out) : out_(out) {}

  void line(std::string_view text) {
    ++line_;
    if (text.starts_with("# HELP ")) {
      const std::string_view rest = text.substr(7);
      current_ = rest.substr(0, rest.find(' '));
      if (!is_name(current_, true) || rest.find(' ') == std::string_view::npos)
        return fault("a HELP without a name and a text");
      const auto [family, fresh] = out_.families.try_emplace(current_);
      if (!fresh) return fault("a family in two places");
      family->second.help = rest.substr(current_.size() + 1);
    } else if (text.starts_with("# TYPE ")) {
      const std::string_view rest = text.substr(7);
      PrometheusFamily& family = out_.families[current_];
      if (!rest.starts_with(current_ + " ") || !family.type.empty() || !family.samples.empty())
        return fault("a TYPE that does not follow its HELP");
      family.type = rest.substr(current_.size() + 1);
      check_name(family.type);
    } else {
      sample(text);
    }
  }
  void fault(const std::string& what) { out_.faults.push_back(fmt::format("{}: {}", line_, what)); }

 private:
  void check_name(const std::string& type) {
    if (type != "counter" && type != "gauge" && type != "histogram") fault("type " + type);
    if ((type == "counter") != current_.ends_with("_total")) fault("counters end in _total");
    for (const char* unit : {"_us", "_ms", "_ns", "_percent", "_mib", "_us_total", "_ms_total"}) {
      if (current_.ends_with(unit)) fault("no base unit: " + current_);
    }
  }
  void sample(std::string_view text) {
    std::optional<PrometheusSample> s = read_sample(text);
    if (!s) return fault("no sample: " + std::string(text));
    PrometheusFamily& family = out_.families[current_];
    if (family_of(s->name, family.type) != current_) return fault("outside its family: " + s->name);
    if (!seen_.emplace(s->name, s->labels).second) return fault("twice: " + std::string(text));
    if (family.type == "counter" && !(s->value >= 0)) fault("a counter below 0");
    family.samples.push_back(*std::move(s));
  }

  PrometheusText& out_;
  int line_ = 0;
  std::string current_;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen_;
};

// The buckets of each histogram grow, and the last, +Inf, is its count.
void check_histogram(const std::string& name, const PrometheusFamily& family, Reader& reader) {
  struct Series {
    double bound = -1, count = 0, inf = -1, total = -2, sums = 0;
  };
  std::map<std::map<std::string, std::string>, Series> all;
  for (PrometheusSample s : family.samples) {
    const std::string le = s.labels["le"];
    s.labels.erase("le");
    Series& series = all[s.labels];
    if (s.name == name + "_count") series.total = s.value;
    if (s.name == name + "_sum") ++series.sums;
    if (s.name != name + "_bucket") continue;
    const std::optional<double> bound = number(le);
    if (!bound || *bound <= series.bound || s.value < series.count)
      reader.fault(name + ": buckets do not grow");
    series.bound = bound.value_or(0);
    series.count = s.value;
    if (std::isinf(series.bound)) series.inf = s.value;
  }
  for (const auto& [labels, series] : all) {
    if (series.inf != series.total || series.sums != 1) reader.fault(name + ": +Inf is not _count");
  }
}

}  // namespace

PrometheusText read_prometheus(std::string_view text) {
  PrometheusText out;
  Reader reader(out);
  if (!text.ends_with('\n')) reader.fault("the last line does not end");
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    reader.line(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  for (const auto& [name, family] : out.families) {
    if (family.type.empty() || family.samples.empty())
      reader.fault(name + ": no TYPE or no sample");
    if (family.type == "histogram") check_histogram(name, family, reader);
  }
  return out;
}

}  // namespace scalio::testing
