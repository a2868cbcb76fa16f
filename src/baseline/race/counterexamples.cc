#include "baseline/race/counterexamples.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "linearizability/linearizability.h"
#include "linearizability/shrink.h"
#include "linearizability/write_order.h"

namespace scalio::race {

using history::Operation;
using linearizability::TimelinePart;
using Place = TimelinePart::Place;
using Operations = std::vector<const RacedOperation*>;

namespace {
// A stale read in a cache that is written through.
struct StaleRead {
  const RacedOperation* older;   // the write of what was read
  const RacedOperation* newer;   // the write after it
  const RacedOperation* read;    // the last that found the older value in the cache
  const RacedOperation* cached;  // who had put it there: the older write, or a reader
  bool in_turn;                  // and begun when the newer write was through with the cache
};

// Null if it was not there.
const TimelinePart* part_in(Place place, const RacedOperation& o) {
  const auto part = std::find_if(o.parts.begin(), o.parts.end(),
                                 [&](const TimelinePart& p) { return p.place == place; });
  return part == o.parts.end() ? nullptr : &*part;
}
bool found(const RacedOperation& o) {
  return !o.seen.is_write() && o.seen.outcome == Operation::Outcome::ok;
}
bool is_hit(const RacedOperation& o) {
  return found(o) && part_in(Place::cache, o) != nullptr && part_in(Place::store, o) == nullptr;
}
// When it cached the value that it had written to the store or read there; null: it did not.
const TimelinePart* caching(const RacedOperation& o) {
  const bool did = o.seen.outcome == Operation::Outcome::ok &&
                   part_in(Place::store, o) != nullptr && o.parts.back().place == Place::cache;
  return did ? &o.parts.back() : nullptr;
}

// Whether the store certainly had `older` before `newer`: they did not overlap there, or somebody
// who read it tells.
bool is_older(const RacedOperation& older, const RacedOperation& newer,
              const std::vector<RacedOperation>& race) {
  const TimelinePart *first = part_in(Place::store, older), *second = part_in(Place::store, newer);
  if (first == nullptr || second == nullptr) return false;
  if (first->to <= second->from) return true;
  return std::any_of(race.begin(), race.end(), [&](const RacedOperation& o) {
    const TimelinePart* part = part_in(Place::store, o);
    if (part == nullptr || !found(o) || o.seen.key != older.seen.key) return false;
    return (o.seen.value == older.seen.value && part->to <= second->from) ||
           (o.seen.value == newer.seen.value && part->from >= first->to);
  });
}

// Of all who cached `value` before `read` had returned, the last.
const RacedOperation* last_to_cache(const std::vector<RacedOperation>& race,
                                    const Operation& read) {
  const RacedOperation* last = nullptr;
  for (const RacedOperation& o : race) {
    if (o.seen.key != read.key || o.seen.value != read.value) continue;
    const TimelinePart* part = caching(o);
    if (part == nullptr || part->from >= read.returned) continue;
    if (last == nullptr || part->to > caching(*last)->to) last = &o;
  }
  return last;
}

std::optional<StaleRead> find_stale_read(const std::vector<RacedOperation>& race,
                                         const Operations& few) {
  Operations writes;
  for (const RacedOperation* o : few) {
    if (o->seen.is_write()) writes.push_back(o);
  }
  if (writes.size() != 2) return std::nullopt;
  if (is_older(*writes[1], *writes[0], race)) std::swap(writes[0], writes[1]);
  if (!is_older(*writes[0], *writes[1], race)) return std::nullopt;
  StaleRead stale{writes[0], writes[1], nullptr, nullptr, false};
  for (const RacedOperation* o : few) {
    if (is_hit(*o) && o->seen.value == stale.older->seen.value) stale.read = o;
  }
  if (stale.read == nullptr) return std::nullopt;
  stale.cached = last_to_cache(race, stale.read->seen);
  const TimelinePart* newer = caching(*stale.newer);
  if (stale.cached == nullptr || newer == nullptr) return std::nullopt;
  if (caching(*stale.cached)->to <= newer->from) return std::nullopt;
  stale.in_turn = caching(*stale.cached)->from >= newer->to;
  return stale;
}

std::vector<std::string> explain(const StaleRead& stale, const Operations& few) {
  const std::string& reader = stale.read->seen.client;
  const std::string& by = stale.cached->seen.client;
  const std::string& writer = stale.newer->seen.client;
  std::vector<std::string> reasons;
  if (stale.cached == stale.older) {
    reasons.push_back(fmt::format(
        "{} and {} write at once. The store takes old first and then new, but the cache {}.", by,
        writer, stale.in_turn ? "takes new first and then old" : "keeps old of the two"));
  } else {
    reasons.push_back(
        fmt::format("{} misses and reads old from the store. Before it has put that into the "
                    "cache, {} writes new to the store.",
                    by, writer));
    reasons.push_back(
        stale.in_turn ? fmt::format("When {} has written the cache too, {} puts old back into it.",
                                    writer, by)
                      : "Then both write the cache at once, and old is what it keeps.");
  }
  reasons.push_back(fmt::format("{} reads old there.", reader));
  // What makes that a contradiction.
  bool read_new = false;
  for (const RacedOperation* o : few) {
    if (!found(*o) || o->seen.value != stale.newer->seen.value) continue;
    read_new = true;
    if (o->seen.returned < stale.read->seen.called) {
      reasons.push_back(fmt::format("But {} had read new before.", o->seen.client));
    } else {
      reasons.push_back(fmt::format(
          "Later {} reads new{}. No order of the writes explains both.", o->seen.client,
          part_in(Place::store, *o) != nullptr ? " from the store: old was evicted meanwhile"
                                               : " in the cache"));
    }
  }
  if (!read_new) reasons.emplace_back("But new had been acknowledged before.");
  return reasons;
}

// Of a part of what could be checked as a whole.
bool not_linearizable(std::span<const Operation> history) {
  const auto versioned = linearizability::with_versions(history);
  if (!versioned.ok()) return false;
  const auto violations = linearizability::check(*versioned);
  return violations.ok() && !violations->empty();
}

Counterexample narrow(const std::vector<RacedOperation>& race, const std::string& key) {
  std::vector<Operation> history;
  Operations of_key;
  for (const RacedOperation& o : race) {
    if (o.seen.key != key) continue;
    history.push_back(o.seen);
    of_key.push_back(&o);
  }
  Operations few;
  for (const std::size_t i : linearizability::shrink(history, not_linearizable)) {
    few.push_back(of_key[i]);
  }
  Counterexample example;
  example.key = key;
  const RacedOperation* wrong = few.back();
  if (const std::optional<StaleRead> stale = find_stale_read(race, few)) {
    example.cause = stale->cached == stale->older ? Cause::two_writers : Cause::reader;
    example.older = *stale->older->seen.value;
    example.newer = *stale->newer->seen.value;
    example.in_turn = stale->in_turn;
    example.reasons = explain(*stale, few);
    wrong = stale->read;
    if (std::find(few.begin(), few.end(), stale->cached) == few.end()) {
      few.push_back(stale->cached);
      std::sort(few.begin(), few.end());  // they stand in the race by their calls
    }
  } else {
    example.reasons.emplace_back("No order of these operations explains what they saw.");
  }
  example.wrong = static_cast<std::size_t>(std::find(few.begin(), few.end(), wrong) - few.begin());
  for (const RacedOperation* o : few) example.operations.push_back(*o);
  return example;
}

std::string name_of(const Counterexample& example, const std::string& value) {
  return value.empty() || (value != example.older && value != example.newer) ? value
         : value == example.older                                            ? "old"
                                                                             : "new";
}

std::string label_of(const Counterexample& example, const RacedOperation& o) {
  const std::string value = name_of(example, o.seen.value.value_or(""));
  if (o.seen.is_write()) return "PUT " + value;
  if (!found(o)) return "GET: nothing";
  const bool miss = part_in(Place::store, o) != nullptr;
  return fmt::format("GET{}: {}", miss ? ", miss" : "", value);
}
}  // namespace

std::string_view name_of(Cause cause) {
  switch (cause) {
    case Cause::two_writers: return "two-writers";
    case Cause::reader: return "reader";
    case Cause::unknown: break;
  }
  return "unknown";
}

Result<std::vector<Counterexample>> find_counterexamples(const std::vector<RacedOperation>& race) {
  std::vector<Operation> history;
  history.reserve(race.size());
  for (const RacedOperation& o : race) history.push_back(o.seen);
  const auto versioned = linearizability::with_versions(history);
  if (!versioned.ok()) return versioned.status();
  const auto violations = linearizability::check(*versioned);
  if (!violations.ok()) return violations.status();
  std::vector<Counterexample> examples;
  for (const linearizability::Violation& v : *violations) examples.push_back(narrow(race, v.key));
  return examples;
}

bool is_better(const Counterexample& a, const Counterexample& b) {
  const auto cost = [](const Counterexample& c) {
    const bool at_once = !c.in_turn;
    history::Time end = 0;
    for (const RacedOperation& o : c.operations) end = std::max(end, o.seen.returned);
    return std::tuple(c.operations.size(), at_once, end - c.operations.front().seen.called);
  };
  return cost(a) < cost(b);
}

linearizability::Timeline to_timeline(const Counterexample& example, std::string title) {
  linearizability::Timeline timeline;
  timeline.title = std::move(title);
  if (!example.older.empty()) {
    timeline.title += fmt::format(": old is {}, new is {}", example.older, example.newer);
  }
  timeline.reasons = example.reasons;
  for (const RacedOperation& o : example.operations) {
    timeline.bars.push_back({.row = o.seen.client,
                             .label = label_of(example, o),
                             .from = o.seen.called,
                             .to = o.seen.returned,
                             .parts = o.parts,
                             .wrong = timeline.bars.size() == example.wrong});
  }
  return timeline;
}

}  // namespace scalio::race
