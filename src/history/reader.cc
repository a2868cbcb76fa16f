#include "history/reader.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "base/json.h"
#include "base/text.h"

namespace scalio::history {
namespace {

using Json = nlohmann::json;

// The longest value, and what else is in a line.
constexpr std::size_t kLongestLine = 128 << 20;

template <class T, std::size_t N>
std::optional<T> named(const std::pair<std::string_view, T> (&table)[N], std::string_view name) {
  for (const auto& [text, value] : table) {
    if (text == name) return value;
  }
  return std::nullopt;
}

// A field of a line. Absent and null are the same; `wrong` names the first field of a wrong type.
struct Fields {
  const Json& line;
  std::string wrong = {};

  const Json* find(const char* name) const {
    auto it = line.find(name);
    return it == line.end() || it->is_null() ? nullptr : &*it;
  }
  std::optional<std::string> text(const char* name) {
    const Json* field = find(name);
    if (field == nullptr) return std::nullopt;
    if (field->is_string()) return field->get<std::string>();
    if (wrong.empty()) wrong = name;
    return std::nullopt;
  }
  template <class T>
  std::optional<T> number(const char* name) {
    const Json* field = find(name);
    if (field == nullptr) return std::nullopt;
    if (field->is_number_integer()) return field->get<T>();
    if (wrong.empty()) wrong = name;
    return std::nullopt;
  }
};

// Whether it is done only if the key has a version.
bool expects(const Operation& op) {
  return is_conditional(op.kind) || (op.kind == Kind::set_end && op.expected != 0);
}

// What is wrong with the outcome for an operation of this kind; empty if nothing is.
std::string contradiction(const Operation& op) {
  const bool ok = op.outcome == Outcome::ok;
  if (op.outcome == Outcome::not_found && op.kind != Kind::get && op.kind != Kind::remove &&
      op.kind != Kind::set_end) {
    return "only get, delete and set_end can end as not_found";
  }
  if (op.outcome == Outcome::conflict && !expects(op)) {
    return "only cput, cdelete and a set_end of a version can end as conflict";
  }
  if (op.kind == Kind::remove_if && op.expected == 0) return "a cdelete of version 0";
  if ((is_put(op.kind) || is_addition(op.kind)) && !op.value) return "a write needs its value";
  if (op.kind == Kind::get && ok && !op.value) return "a get that is ok needs its value";
  if (ok && op.version == 0) return "an operation that is ok needs a version above 0";
  if (op.returned < op.called) return "return is before call";
  if (op.gone != kNever && op.ends == kNever) return "what is gone needs 'ends'";
  if (op.gone < op.ends && op.ends != kNever) return "gone is before ends";
  return {};
}

// The operation of one line; an error says what is wrong with it.
Result<Operation> parse(const Json& line) {
  if (!line.is_object()) return Status(Code::invalid, "not a JSON object");
  Fields fields{line};
  Operation op;
  if (const Json* client = fields.find(field::kClient);
      client != nullptr && client->is_number_integer()) {
    op.client = json_text(*client);
  } else {
    op.client = fields.text(field::kClient).value_or("");
  }
  const auto kind = named(kKinds, fields.text(field::kOp).value_or(""));
  const auto key = fields.text(field::kKey);
  op.value = fields.text(field::kValue);
  op.version = fields.number<std::uint64_t>(field::kVersion).value_or(0);
  const auto expected = fields.number<std::uint64_t>(field::kExpected);
  const auto told = fields.number<std::int64_t>(field::kNumber);
  const auto ends = fields.number<Time>(field::kEnds);
  const auto gone = fields.number<Time>(field::kGone);
  const auto result = fields.text(field::kResult);
  const auto outcome = named(kOutcomes, result.value_or("unknown"));
  const auto called = fields.number<Time>(field::kCall);
  const auto returned = fields.number<Time>(field::kReturn);

  if (!fields.wrong.empty())
    return Status(Code::invalid, "field '" + fields.wrong + "' has a wrong type");
  if (!kind) {
    return Status(Code::invalid,
                  "op must be get, put, delete, cput, cdelete, append, increment or set_end");
  }
  if (!key) return Status(Code::invalid, "no key");
  if (!called) return Status(Code::invalid, "no call time");
  if (result.has_value() != returned.has_value()) {
    return Status(Code::invalid, "result and return must be given together");
  }
  if (!outcome)
    return Status(Code::invalid, "result must be ok, not_found, conflict, unknown or error");
  if (is_conditional(*kind) && !expected) {
    return Status(Code::invalid, fmt::format("a {} needs 'expected'", name_of(kKinds, *kind)));
  }
  op.kind = *kind;
  op.key = *key;
  op.expected = expected.value_or(0);
  op.number = told.value_or(0);
  op.ends = ends.value_or(kNever);
  op.gone = gone.value_or(kNever);
  op.outcome = *outcome;
  op.called = *called;
  op.returned = returned.value_or(kNever);
  if (is_addition(op.kind) && op.outcome == Outcome::ok && !told) {
    return Status(Code::invalid, "an addition that is ok needs 'number'");
  }
  if (std::string what = contradiction(op); !what.empty()) return Status(Code::invalid, what);
  return op;
}

// Calls without a result yet. Concurrent calls of one client may agree in everything but the
// result.
using Open = std::map<std::tuple<std::string, Kind, std::string, Time>, std::vector<Operation>>;

// A line without its end, and whether there was one. Of a line that is longer than any may be, more
// than kLongestLine.
bool read_line(std::istream& in, std::string& line) {
  line.clear();
  std::array<char, 4096> part;
  while (line.size() <= kLongestLine) {
    in.clear();  // of having filled the part
    in.getline(part.data(), part.size());
    const auto read = static_cast<std::size_t>(in.gcount());
    const bool ended = in.good();
    line.append(part.data(), ended ? read - 1 : read);
    if (ended) return true;
    if (in.bad() || in.eof()) return !in.bad() && !line.empty();
  }
  return true;
}

Status read_file(const std::string& path, std::vector<Operation>& out) {
  std::ifstream in(path);
  if (!in) return Status(Code::io_error, fmt::format("{}: {}", path, std::strerror(errno)));
  Open open;
  std::string text;
  for (int number = 1; read_line(in, text); ++number) {
    if (text.size() > kLongestLine) {
      return Status(Code::invalid, fmt::format("{}:{}: a line has more than {} MiB", path, number,
                                               kLongestLine >> 20));
    }
    const bool torn = in.eof();  // no newline at its end
    if (text.empty()) continue;
    const Json line = parse_json<Json>(text);
    if (line.is_discarded() && torn) break;
    Result<Operation> op = line.is_discarded() ? Status(Code::invalid, "not JSON") : parse(line);
    if (!op.ok()) {
      return Status(Code::invalid, fmt::format("{}:{}: {}", path, number, op.status().message()));
    }
    std::tuple id(op->client, op->kind, op->key, op->called);
    if (op->returned == kNever) {
      open[id].push_back(*std::move(op));
      continue;
    }
    if (auto it = open.find(id); it != open.end()) {
      it->second.pop_back();
      if (it->second.empty()) open.erase(it);
    }
    out.push_back(*std::move(op));
  }
  if (in.bad()) return Status(Code::io_error, fmt::format("{}: {}", path, std::strerror(errno)));
  for (auto& [id, calls] : open) {
    for (Operation& call : calls) out.push_back(std::move(call));
  }
  return Status();
}

}  // namespace

Result<std::vector<Operation>> read_history(std::span<const std::string> paths) {
  std::vector<Operation> history;
  for (const std::string& path : paths) {
    if (Status status = read_file(path, history); !status.ok()) return status;
  }
  return history;
}

std::string to_string(const Operation& op, Time origin) {
  constexpr double kNsPerUs = 1000.0;
  const double called = static_cast<double>(op.called - origin) / kNsPerUs;
  std::string text = fmt::format("{:12.3f} .. ", called);
  text += op.returned == kNever
              ? fmt::format("{:>12}", "(none)")
              : fmt::format("{:12.3f}", static_cast<double>(op.returned - origin) / kNsPerUs);
  text += fmt::format("  {:<10} {} {}", printable(op.client), name_of(kKinds, op.kind),
                      printable(op.key));
  if (op.is_write() && op.value) text += " = " + printable(*op.value);
  if (expects(op)) text += fmt::format(" if version {}", op.expected);
  if (op.ends != kNever) text += " for a time";
  text += fmt::format(" -> {}", name_of(kOutcomes, op.outcome));
  if (!op.is_write() && op.value) text += " " + printable(*op.value);
  if (is_addition(op.kind) && op.outcome == Outcome::ok) text += fmt::format(" {}", op.number);
  if (op.version != 0) text += fmt::format(", version {}", op.version);
  return text;
}

}  // namespace scalio::history
