#include "linearizability/write_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string_view>

namespace scalio::linearizability {

using history::kNever;
using history::Operation;
using history::Time;

namespace {
constexpr Time kAlways = std::numeric_limits<Time>::min();

// A value of a key, with all that wrote and saw it.
struct ValueSeen {
  std::vector<Operation*> operations;
  bool written = false;  // and not to no effect
  bool seen = false;
  bool certain = false;  // the write has ended
  Time first_return = kNever;
  Time last_call = kAlways;

  void add(Operation& o) {
    operations.push_back(&o);
    if (o.outcome == Operation::Outcome::ok) first_return = std::min(first_return, o.returned);
    last_call = std::max(last_call, o.called);
  }
  // The key had this value all the time from the first return to the last call.
  bool held() const { return first_return < last_call; }
};

struct KeySeen {
  std::map<std::string_view, ValueSeen> values;
  Time absent_until = kAlways;  // the last call of a get that found nothing
};

bool is_seen_get(const Operation& o) {
  return o.kind == Operation::Kind::get && o.outcome == Operation::Outcome::ok;
}

void add(Operation& o, KeySeen& key) {
  if (o.kind == Operation::Kind::get && o.outcome == Operation::Outcome::not_found) {
    key.absent_until = std::max(key.absent_until, o.called);
  }
  const bool write = o.is_write() && o.outcome != Operation::Outcome::error;
  if (!write && !is_seen_get(o)) return;
  ValueSeen& value = key.values[*o.value];
  value.add(o);
  value.written |= write;
  value.seen |= !write;
  value.certain |= write && o.outcome == Operation::Outcome::ok;
}

// A write and its place: a value that was held comes when that begins; another one as soon as it
// may, which is when all who wrote and saw it had called, or when the value that was held then
// goes.
struct PlacedValue {
  Time at;
  bool held;  // comes after the others that have the same time
  ValueSeen* value;
};

std::vector<PlacedValue> place(KeySeen& key) {
  std::vector<std::pair<Time, Time>> held = {{kAlways, key.absent_until}};
  for (const auto& [text, value] : key.values) {
    if (value.held()) held.emplace_back(value.first_return, value.last_call);
  }
  std::sort(held.begin(), held.end());
  std::vector<PlacedValue> placed;
  for (auto& [text, value] : key.values) {
    if (!value.written || (!value.certain && !value.seen)) continue;
    Time at = value.held() ? value.first_return : value.last_call;
    if (!value.held()) {
      auto after = std::lower_bound(held.begin(), held.end(), std::pair(at, kAlways));
      if (after != held.begin()) at = std::max(at, std::prev(after)->second);
    }
    placed.push_back({at, value.held(), &value});
  }
  std::stable_sort(placed.begin(), placed.end(), [](const PlacedValue& a, const PlacedValue& b) {
    return std::pair(a.at, a.held) < std::pair(b.at, b.held);
  });
  return placed;
}
}  // namespace

Result<std::vector<Operation>> with_versions(std::span<const Operation> history) {
  std::vector<Operation> out(history.begin(), history.end());
  std::map<std::string_view, KeySeen> keys;
  for (Operation& o : out) {
    if (o.kind != Operation::Kind::put && o.kind != Operation::Kind::get) {
      return Status(Code::invalid,
                    fmt::format("a {} of key '{}': only of puts and gets can the order be told",
                                name_of(history::kKinds, o.kind), o.key));
    }
    o.version = 0;
    add(o, keys[o.key]);
  }
  for (auto& [name, key] : keys) {
    std::uint64_t version = 0;
    for (const PlacedValue& placed : place(key)) {
      ++version;
      for (Operation* o : placed.value->operations) {
        if (o->outcome == Operation::Outcome::ok) o->version = version;
      }
    }
  }
  return out;
}

}  // namespace scalio::linearizability
