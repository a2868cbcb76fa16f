#include "ycsb/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>

#include "base/read_file.h"
#include "ycsb/key_value.h"
#include "ycsb/properties.h"

namespace scalio::ycsb {
namespace {

constexpr std::size_t kMaxFileSize = 1 << 20;
constexpr std::uint64_t kMostSeconds = 1'000'000'000;
// So that sums of such numbers, and their inverses, are numbers.
constexpr double kMostOfAnything = 1e12;

struct Standard {
  std::string_view letter;
  std::string_view properties;
};

// The standard workloads, without what is YCSB's default.
constexpr std::array<Standard, 6> kStandard{{
    {"a", "readproportion=0.5\nupdateproportion=0.5\nrequestdistribution=zipfian\n"},
    {"b", "readproportion=0.95\nupdateproportion=0.05\nrequestdistribution=zipfian\n"},
    {"c", "readproportion=1\nupdateproportion=0\nrequestdistribution=zipfian\n"},
    {"d",
     "readproportion=0.95\nupdateproportion=0\ninsertproportion=0.05\nrequestdistribution="
     "latest\n"},
    {"e", "readproportion=0\nupdateproportion=0\ninsertproportion=0.05\nscanproportion=0.95\n"},
    {"f",
     "readproportion=0.5\nupdateproportion=0\nreadmodifywriteproportion=0.5\nrequestdistribution="
     "zipfian\n"},
}};

// Properties of YCSB that say nothing about a store of keys and values.
constexpr std::array kNotApplicable{
    std::string_view("readallfields"),
    std::string_view("writeallfields"),
    std::string_view("maxscanlength"),
    std::string_view("minscanlength"),
    std::string_view("scanlengthdistribution"),
    std::string_view("insertorder"),
    std::string_view("table"),
    std::string_view("columnfamily"),
    std::string_view("fieldnameprefix"),
    std::string_view("dataintegrity"),
    std::string_view("measurementtype"),
    std::string_view("zeropadding"),
};

// Reads properties one by one. It keeps the first failure, and what nobody asked for is unknown.
class Reader {
 public:
  explicit Reader(Properties properties) : properties_(std::move(properties)) {}

  bool has(std::string_view name) const { return properties_.contains(name); }

  std::string text(std::string_view name, std::string_view otherwise) {
    auto it = properties_.find(name);
    if (it == properties_.end()) return std::string(otherwise);
    std::string value = std::move(it->second);
    properties_.erase(it);
    return value;
  }

  std::uint64_t count(std::string_view name, std::uint64_t otherwise, std::uint64_t most) {
    if (!has(name)) return otherwise;
    std::string value = text(name, "");
    std::uint64_t n = 0;
    if (!parse(value, n) || n > most) {
      fail(fmt::format("{}={}: must be a whole number from 0 to {}", name, quotable(value), most));
    }
    return n;
  }

  double number(std::string_view name, double otherwise) {
    if (!has(name)) return otherwise;
    std::string value = text(name, "");
    double n = 0;
    if (!parse(value, n) || !(n >= 0 && n <= kMostOfAnything)) {
      fail(fmt::format("{}={}: must be a number from 0 to {:.0e}", name, quotable(value),
                       kMostOfAnything));
    }
    return n;
  }

  void fail(std::string message) {
    if (status_.ok()) status_ = Status(Code::invalid, std::move(message));
  }

  const Status& status() const { return status_; }
  const Properties& rest() const { return properties_; }

 private:
  template <class T>
  static bool parse(const std::string& s, T& out) {
    auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), out);
    return error == std::errc() && end == s.data() + s.size();
  }

  Properties properties_;
  Status status_;
};

Distribution read_distribution(Reader& in) {
  std::string name = in.text("requestdistribution", "uniform");
  for (Distribution d : {Distribution::zipfian, Distribution::uniform, Distribution::latest}) {
    if (name == to_string(d)) return d;
  }
  in.fail(
      fmt::format("requestdistribution={}: must be zipfian, uniform or latest", quotable(name)));
  return Distribution::uniform;
}

// What has no meaning here is noted; what is not known must not change a measurement without a
// word.
void finish(Reader& in, std::vector<std::string>& notes) {
  for (const auto& [name, value] : in.rest()) {
    if (std::ranges::find(kNotApplicable, name) == kNotApplicable.end()) {
      in.fail(
          fmt::format("{}={} is not known here; leave it out, or see `scalio bench ycsb --help`",
                      quotable(name), quotable(value)));
    }
    notes.push_back(
        fmt::format("{} has no effect: a record is one key and one value, placed by hash", name));
  }
}

void read_extent(Reader& in, Workload& w) {
  w.records = in.count("recordcount", 1'000'000, kMaxRecords);
  w.operations = in.count("operationcount", 1'000'000, UINT64_MAX);
  w.insert_start = in.count("insertstart", 0, kMaxRecords);
  if (in.has("insertcount")) w.insert_count = in.count("insertcount", 0, kMaxRecords);
}

void read_pace(Reader& in, Workload& w) {
  if (in.has("threadcount"))
    w.threads = static_cast<unsigned>(in.count("threadcount", 1, UINT32_MAX));
  w.target = in.number("target", 0);
  // YCSB takes 0 for no limit.
  if (const std::uint64_t seconds = in.count("maxexecutiontime", 0, kMostSeconds))
    w.max_seconds = seconds;
}

}  // namespace

std::string_view to_string(Distribution distribution) {
  switch (distribution) {
    case Distribution::zipfian: return "zipfian";
    case Distribution::uniform: return "uniform";
    case Distribution::latest: return "latest";
  }
  return "?";
}

Result<Workload> parse_workload(std::string name, std::string_view properties) {
  Result<Properties> parsed = parse_properties(properties);
  if (!parsed.ok())
    return {Code::invalid, fmt::format("workload {}: {}", name, parsed.status().message())};
  return make_workload(std::move(name), *std::move(parsed));
}

Result<Workload> make_workload(std::string name, Properties properties) {
  Reader in(std::move(properties));

  Workload w;
  w.name = std::move(name);
  read_extent(in, w);
  read_pace(in, w);
  w.reads = in.number("readproportion", 0.95);
  w.updates = in.number("updateproportion", 0.05);
  w.inserts = in.number("insertproportion", 0);
  w.read_modify_writes = in.number("readmodifywriteproportion", 0);
  w.deletes = in.number("deleteproportion", 0);
  w.conditional_puts = in.number("conditionalputproportion", 0);
  if (in.number("scanproportion", 0) > 0) {
    in.fail(
        "scans are not possible: Scalio places records by hash, so keys have no order to scan in");
  }
  if (w.reads + w.updates + w.inserts + w.read_modify_writes + w.deletes + w.conditional_puts <=
      0) {
    in.fail("every proportion is 0: there is nothing to do");
  }
  w.distribution = read_distribution(in);
  w.zipfian_constant = in.number("zipfianconstant", 0.99);
  if (w.zipfian_constant <= 0 || w.zipfian_constant >= 1) {
    in.fail(fmt::format("zipfianconstant={}: must be above 0 and below 1", w.zipfian_constant));
  }
  if (in.has("fieldcount") || in.has("fieldlength")) {
    std::uint64_t fields = in.count("fieldcount", 10, 1'000'000);
    w.value_size = fields * in.count("fieldlength", 100, 1'000'000);
  }
  if (std::string length = in.text("fieldlengthdistribution", "constant"); length != "constant") {
    in.fail(fmt::format("fieldlengthdistribution={}: must be constant, all values have one size",
                        quotable(length)));
  }
  if (std::string c = in.text("workload", "CoreWorkload"); !c.ends_with("CoreWorkload")) {
    in.fail(fmt::format("workload={}: only the core workload can be run", quotable(c)));
  }
  finish(in, w.notes);
  if (!in.status().ok())
    return {Code::invalid, fmt::format("workload {}: {}", w.name, in.status().message())};
  return w;
}

namespace {

struct Source {
  std::string name;  // of the workload
  std::string text;
};

Result<Source> read_source(const std::string& which) {
  for (const Standard& standard : kStandard) {
    if (which.size() == 1 &&
        std::tolower(static_cast<unsigned char>(which[0])) == standard.letter[0]) {
      return Source{std::string(standard.letter), std::string(standard.properties)};
    }
  }
  Result<std::string> text = read_file(which, kMaxFileSize);
  if (text.code() == Code::not_found || text.code() == Code::io_error) {
    return {Code::not_found,
            fmt::format("workload {}: neither one of a, b, c, d, f nor a file that can be "
                        "read ({})",
                        which, text.status().message())};
  }
  if (!text.ok()) return {Code::invalid, fmt::format("workload: {}", text.status().message())};
  return Source{which, *std::move(text)};
}

}  // namespace

Result<Workload> load_workload(const std::string& which, const std::vector<std::string>& changes) {
  Result<Source> source = read_source(which);
  if (!source.ok()) return source.status();
  Result<Properties> properties = parse_properties(source->text);
  if (!properties.ok()) {
    return {Code::invalid,
            fmt::format("workload {}: {}", source->name, properties.status().message())};
  }
  for (const std::string& change : changes) {
    Result<Properties> changed = parse_properties(change);
    if (!changed.ok()) return {Code::invalid, "property: " + changed.status().message()};
    for (auto& [name, value] : *changed) properties->insert_or_assign(name, std::move(value));
  }
  Result<Workload> workload = make_workload(source->name, *std::move(properties));
  if (workload.ok()) workload->name = std::filesystem::path(workload->name).filename();
  return workload;
}

}  // namespace scalio::ycsb
