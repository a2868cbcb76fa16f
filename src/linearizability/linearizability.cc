#include "linearizability/linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "linearizability/additions.h"

namespace scalio::linearizability {

using history::kNever;
using history::Operation;
using history::Time;
namespace {

using Kind = Operation::Kind;
using Outcome = Operation::Outcome;
using Operations = std::vector<const Operation*>;

constexpr Time kAlways = std::numeric_limits<Time>::min();
constexpr std::size_t kNoWrite = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kMaxStates = 200'000;  // per key and moment

// --- The problem: what one key's operations demand of an order of its writes ---

// A write with a known version, or, at index 0, what was there before.
struct KeyWrite {
  const Operation* op = nullptr;
  std::uint64_t version = 0;
  bool present = false;      // it leaves a value
  Time called = kAlways;     // it takes effect after this ...
  Time deadline = kNever;    // ... and before this: its own return, or that of a get that saw it
  Time last_seen = kAlways;  // a get called at this time still saw it, so the next write is later
  // From these times on an unseen cput or cdelete of unknown outcome may replace or remove it.
  Time replaced = kNever;
  Time removed = kNever;
  Time ends = kNever;  // from this time on it may end by itself
  Time gone = kNever;  // and from this one on it has
};

// What an operation that ended demands: that between its call and its return there was a moment ...
struct Demand {
  enum class What : std::uint8_t {
    reached,  // ... by which `write` had taken effect (`called` does not matter)
    absent,   // ... when the key was absent
    present,  // ... when it was present
    differs,  // ... when it was not as `write` left it
  };
  What what;
  std::size_t write;
  Time called;
  Time returned;
  const Operation* op;
};

// What cannot be explained whatever the order.
struct Impossible {
  std::string what;
  Operations witness;
};

struct Problem {
  std::vector<KeyWrite> writes;  // by version
  std::vector<Demand> demands;   // by `returned`
  // Calls of unknown writes that nobody saw, by what they would do; sorted. They are
  // interchangeable.
  std::vector<Time> puts;
  std::vector<Time> removes;
  std::vector<Time> creates;  // cput with expected 0
  std::optional<Impossible> impossible;
};

bool had_no_effect(const Operation& op) {
  return op.outcome == Outcome::error || op.outcome == Outcome::conflict ||
         op.outcome == Outcome::not_found;
}
bool is_put(const Operation& op) { return history::is_put(op.kind); }

class Builder {
 public:
  // `first` is the write that left the key as it was before all of `ops`; null: it was absent.
  Builder(const Operations& ops, const Operation* first) : ops_(ops) {
    index_values(first);
    KeyWrite before;
    if (first != nullptr) {
      before.op = first;
      before.version = version_of(*first);
      before.present = is_put(*first);
      before.ends = first->ends;
      before.gone = first->gone;
    }
    problem_.writes.push_back(before);
  }

  Problem build() {
    if (!attribute_gets() || !order_writes()) return std::move(problem_);
    for (const Operation* op : ops_) add(*op);
    for (std::size_t i = 1; i < problem_.writes.size(); ++i) {
      const KeyWrite& w = problem_.writes[i];
      if (w.deadline == kNever) continue;
      problem_.demands.push_back({Demand::What::reached, i, w.called, w.deadline, blame_[i]});
    }
    std::stable_sort(problem_.demands.begin(), problem_.demands.end(),
                     [](const Demand& a, const Demand& b) { return a.returned < b.returned; });
    for (auto* calls : {&problem_.puts, &problem_.removes, &problem_.creates}) {
      std::sort(calls->begin(), calls->end());
    }
    return std::move(problem_);
  }

 private:
  void index_values(const Operation* first) {
    if (first != nullptr && is_put(*first)) writer_[*first->value] = first;
    for (const Operation* op : ops_) {
      if (is_put(*op)) writer_[*op->value] = op;
    }
    // The version of an unknown write is what those who saw its value say.
    for (const Operation* op : ops_) {
      if (op->kind != Kind::get || op->outcome != Outcome::ok) continue;
      auto writer = writer_.find(*op->value);
      if (writer != writer_.end() && writer->second->outcome == Outcome::unknown) {
        seen_.try_emplace(writer->second, op->version);
      }
    }
  }

  std::uint64_t version_of(const Operation& write) const {
    if (write.outcome == Outcome::ok) return write.version;
    auto it = seen_.find(&write);
    return it == seen_.end() ? 0 : it->second;
  }

  bool impossible(std::string what, Operations witness) {
    problem_.impossible = Impossible{std::move(what), std::move(witness)};
    return false;
  }

  bool attribute_gets() {
    for (const Operation* op : ops_) {
      if (op->kind != Kind::get || op->outcome != Outcome::ok) continue;
      auto it = writer_.find(*op->value);
      if (it == writer_.end()) return impossible("a get returned a value that nobody wrote", {op});
      const Operation& writer = *it->second;
      if (had_no_effect(writer)) {
        return impossible(
            "a get returned the value of a write that was reported as having done nothing",
            {&writer, op});
      }
      if (version_of(writer) != op->version) {
        return impossible("one value was seen with two versions", {&writer, op});
      }
      if (op->called > writer.gone) {
        return impossible("a get returned a value that had ended for sure", {&writer, op});
      }
    }
    return true;
  }

  bool order_writes() {
    std::vector<KeyWrite>& writes = problem_.writes;
    for (const Operation* op : ops_) {
      if (!op->is_write() || had_no_effect(*op)) continue;
      const std::uint64_t version = version_of(*op);
      if (version == 0) continue;  // unknown and unseen
      KeyWrite w;
      w.op = op;
      w.version = version;
      w.present = is_put(*op);
      w.called = op->called;
      w.ends = op->ends;
      w.gone = op->gone;
      writes.push_back(w);
    }
    std::sort(writes.begin() + 1, writes.end(),
              [](const KeyWrite& a, const KeyWrite& b) { return a.version < b.version; });
    for (std::size_t i = 1; i < writes.size(); ++i) {
      if (writes[i].version <= writes[i - 1].version) {
        return impossible("two writes have the same version", {writes[i - 1].op, writes[i].op});
      }
      at_.emplace(writes[i].version, i);
    }
    at_.emplace(writes[0].version, 0);
    blame_.resize(writes.size());
    return true;
  }

  // The write that left a value with this version.
  std::size_t put_at(std::uint64_t version) const {
    auto it = at_.find(version);
    return it != at_.end() && problem_.writes[it->second].present ? it->second : kNoWrite;
  }

  void due(std::size_t write, Time when, const Operation& op) {
    KeyWrite& w = problem_.writes[write];
    if (when >= w.deadline) return;
    w.deadline = when;
    blame_[write] = &op;
  }

  void demand(Demand::What what, std::size_t write, const Operation& op) {
    problem_.demands.push_back({what, write, op.called, op.returned, &op});
  }

  void add(const Operation& op) {
    switch (op.outcome) {
      case Outcome::error: return;
      case Outcome::not_found: return demand(Demand::What::absent, kNoWrite, op);
      case Outcome::conflict:
        if (op.expected == 0) return demand(Demand::What::present, kNoWrite, op);
        // A version that no put has is never the key's.
        if (std::size_t w = put_at(op.expected); w != kNoWrite)
          demand(Demand::What::differs, w, op);
        return;
      case Outcome::ok: {
        const std::size_t w = at_.at(op.version);
        due(w, op.returned, op);
        if (op.kind == Kind::get) {
          problem_.writes[w].last_seen = std::max(problem_.writes[w].last_seen, op.called);
        }
        return;
      }
      case Outcome::unknown: return add_unknown(op);
    }
  }

  void add_unknown(const Operation& op) {
    if (version_of(op) != 0) return;
    // Should it take effect it may end, too.
    if (op.ends != kNever) problem_.removes.push_back(op.ends);
    switch (op.kind) {
      case Kind::get:
      case Kind::append:
      case Kind::increment:
      case Kind::set_end: return;
      case Kind::put: problem_.puts.push_back(op.called); return;
      case Kind::remove: problem_.removes.push_back(op.called); return;
      case Kind::put_if:
        if (op.expected == 0) {
          problem_.creates.push_back(op.called);
        } else if (std::size_t w = put_at(op.expected); w != kNoWrite) {
          problem_.writes[w].replaced = std::min(problem_.writes[w].replaced, op.called);
        }
        return;
      case Kind::remove_if:
        if (std::size_t w = put_at(op.expected); w != kNoWrite) {
          problem_.writes[w].removed = std::min(problem_.writes[w].removed, op.called);
        }
        return;
    }
  }

  const Operations& ops_;
  Problem problem_;
  std::unordered_map<std::string_view, const Operation*> writer_;
  std::unordered_map<const Operation*, std::uint64_t> seen_;
  std::unordered_map<std::uint64_t, std::size_t> at_;
  Operations blame_;  // by write: the operation that sets its deadline
};

// --- The search: which states can the register be in, given everything that has ended ---

// Writes 1 .. `at` have taken effect, and then perhaps unseen ones.
struct State {
  enum class Shape : std::uint8_t { as_written, overwritten, removed, ended };

  std::size_t at = 0;
  Shape shape = Shape::as_written;
  // Operations that only look take effect as soon as they can, so these two times tell which have:
  // the last time the key was present, if it is absent, or absent, if present; and since when it is
  // `as_written`.
  Time flipped = kAlways;
  Time settled = kAlways;
  std::size_t puts = 0;  // unseen writes used up, by kind
  std::size_t removes = 0;
  std::size_t creates = 0;
};

// Whatever can follow b can follow a.
bool covers(const State& a, const State& b) {
  return a.flipped >= b.flipped && a.settled >= b.settled && a.puts <= b.puts &&
         a.removes <= b.removes && a.creates <= b.creates;
}

// States of which none covers another.
class StateSet {
 public:
  // False if a state in the set covers it already.
  bool insert(const State& s) {
    std::vector<State>& same = states_[{s.at, s.shape}];
    for (const State& other : same) {
      if (covers(other, s)) return false;
    }
    size_ -= std::erase_if(same, [&](const State& other) { return covers(s, other); });
    same.push_back(s);
    ++size_;
    return true;
  }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  template <class F>
  void for_each(F f) const {
    for (const auto& [place, same] : states_) {
      for (const State& s : same) f(s);
    }
  }

 private:
  std::map<std::pair<std::size_t, State::Shape>, std::vector<State>> states_;
  std::size_t size_ = 0;
};

// The search goes through the demands in the order in which they fall due, and keeps every state
// that the register can be in just then. Writes are put off until a demand needs them: what could
// take effect earlier can still take effect later, and then explains more.
class Search {
 public:
  enum class Answer { explained, impossible, too_large };

  explicit Search(const Problem& problem) : p_(problem), waiting_differs_(problem.writes.size()) {
    for (const Demand& d : p_.demands) {
      if (d.what != Demand::What::reached) calls_.push_back(&d);
    }
    std::sort(calls_.begin(), calls_.end(),
              [](const Demand* a, const Demand* b) { return a->called < b->called; });
  }

  Answer run() {
    states_.insert(State());
    for (const Demand& d : p_.demands) {
      failed_ = &d;
      now_ = d.returned;
      admit_calls();
      if (!satisfy(d)) return Answer::too_large;
      if (states_.empty()) return Answer::impossible;
      if (auto* calls = waiting(d)) calls->erase(calls->find(d.called));
    }
    return Answer::explained;
  }

  const Demand& failed() const { return *failed_; }
  // The last write that took effect in any state considered.
  std::size_t furthest() const { return furthest_; }

 private:
  // The calls of the demands of this kind that have not returned.
  std::multiset<Time>* waiting(const Demand& d) {
    switch (d.what) {
      case Demand::What::reached: return nullptr;
      case Demand::What::absent: return &waiting_absent_;
      case Demand::What::present: return &waiting_present_;
      case Demand::What::differs: return &waiting_differs_[d.write];
    }
    return nullptr;
  }

  void admit_calls() {
    for (; next_call_ < calls_.size() && calls_[next_call_]->called <= now_; ++next_call_) {
      const Demand& d = *calls_[next_call_];
      waiting(d)->insert(d.called);
    }
  }

  bool present(const State& s) const {
    return s.shape == State::Shape::as_written ? p_.writes[s.at].present
                                               : s.shape == State::Shape::overwritten;
  }

  // Until when it is that, at most, of what is present.
  Time until(const State& s) const {
    return s.shape == State::Shape::as_written ? p_.writes[s.at].gone : kNever;
  }

  bool satisfied(const State& s, const Demand& d) const {
    switch (d.what) {
      case Demand::What::reached: return s.at >= d.write;
      case Demand::What::absent: return !present(s) || s.flipped >= d.called;
      case Demand::What::present: return (present(s) ? until(s) : s.flipped) >= d.called;
      case Demand::What::differs:
        return s.at != d.write || s.shape != State::Shape::as_written || s.settled >= d.called;
    }
    return false;
  }

  // A time in a state matters only by which waiting calls it is not before: states that differ in
  // nothing else become equal.
  static Time rounded(Time t, const std::multiset<Time>& calls) {
    auto after = calls.upper_bound(t);
    return after == calls.begin() ? kAlways : *std::prev(after);
  }
  State normal(State s) const {
    s.flipped = rounded(s.flipped, present(s) ? waiting_absent_ : waiting_present_);
    s.settled =
        s.shape == State::Shape::as_written ? rounded(s.settled, waiting_differs_[s.at]) : kAlways;
    return s;
  }

  static std::size_t available(const std::vector<Time>& calls, Time now) {
    return static_cast<std::size_t>(std::upper_bound(calls.begin(), calls.end(), now) -
                                    calls.begin());
  }

  // Every state that one more write, now, can lead to.
  template <class F>
  void for_each_next(const State& s, F f) const {
    const KeyWrite& here = p_.writes[s.at];
    if (s.shape == State::Shape::as_written && here.last_seen > now_) return;
    auto become = [&](State next, bool is_present) {
      if (present(s) != is_present) next.flipped = is_present ? now_ : std::min(now_, until(s));
      next.settled = now_;
      f(normal(next));
    };
    if (s.at + 1 < p_.writes.size() && may_follow(s, p_.writes[s.at + 1])) {
      State next = s;
      ++next.at;
      next.shape = State::Shape::as_written;
      become(next, p_.writes[next.at].present);
    }
    State over = s;
    over.shape = State::Shape::overwritten;
    if (may_be_expected(s) && here.replaced <= now_) become(over, true);
    if (s.puts < available(p_.puts, now_)) {
      State next = over;
      ++next.puts;
      become(next, true);
    }
    if (!present(s) && s.creates < available(p_.creates, now_)) {
      State next = over;
      ++next.creates;
      become(next, true);
    }
    State gone = s;
    gone.shape = State::Shape::removed;
    if (s.shape == State::Shape::as_written && here.present && here.removed <= now_)
      become(gone, false);
    if (s.shape == State::Shape::as_written && here.present && here.ends <= now_) {
      State next = s;
      next.shape = State::Shape::ended;
      become(next, false);
    }
    if (present(s) && s.removes < available(p_.removes, now_)) {
      State next = gone;
      ++next.removes;
      become(next, false);
    }
  }

  bool may_follow(const State& s, const KeyWrite& next) const {
    if (next.called > now_) return false;
    if (!is_conditional(next.op->kind)) return true;
    if (next.op->expected == 0) return !present(s);
    return may_be_expected(s) && p_.writes[s.at].version == next.op->expected;
  }
  // Whether a cput or cdelete that expects the last write may be done: also if that has ended since
  // it was looked at.
  bool may_be_expected(const State& s) const {
    return p_.writes[s.at].present &&
           (s.shape == State::Shape::as_written || s.shape == State::Shape::ended);
  }

  // Replaces each state by those nearest to it that satisfy `d`. False if there are too many.
  bool satisfy(const Demand& d) {
    bool all = true;
    states_.for_each([&](const State& s) { all = all && satisfied(s, d); });
    if (all) return true;
    StateSet result;
    StateSet visited;
    std::vector<State> todo;
    states_.for_each([&](const State& s) { todo.push_back(normal(s)); });
    while (!todo.empty()) {
      const State s = todo.back();
      todo.pop_back();
      furthest_ = std::max(furthest_, s.at);
      if (satisfied(s, d)) {
        result.insert(s);
        continue;
      }
      if (result.size() + visited.size() > kMaxStates) return false;
      for_each_next(s, [&](const State& next) {
        if (visited.insert(next)) todo.push_back(next);
      });
    }
    states_ = std::move(result);
    return true;
  }

  const Problem& p_;
  std::vector<const Demand*> calls_;  // demands about the key's state, by call
  std::size_t next_call_ = 0;
  std::multiset<Time> waiting_absent_;
  std::multiset<Time> waiting_present_;
  std::vector<std::multiset<Time>> waiting_differs_;
  StateSet states_;
  Time now_ = kAlways;
  const Demand* failed_ = nullptr;
  std::size_t furthest_ = 0;
};

// --- The witness: the smallest part of a history that shows the violation ---

// A violation found in a key's operations.
struct Finding {
  std::string what;
  std::optional<Operations> complete_witness;  // if no search was needed
  std::size_t furthest = 0;
};

struct Verdict {
  bool too_large = false;
  std::optional<Finding> finding;
};

Verdict examine(const Problem& problem) {
  Verdict verdict;
  if (problem.impossible) {
    verdict.finding = Finding{problem.impossible->what, problem.impossible->witness, 0};
    return verdict;
  }
  Search search(problem);
  switch (search.run()) {
    case Search::Answer::explained: break;
    case Search::Answer::too_large: verdict.too_large = true; break;
    case Search::Answer::impossible: {
      const Operation& op = *search.failed().op;
      verdict.finding =
          Finding{fmt::format("no order of the operations explains that of {} called at {} ns",
                              op.client, op.called),
                  std::nullopt, search.furthest()};
    }
  }
  return verdict;
}

bool violates(const Operations& ops, const Operation* first) {
  return examine(Builder(ops, first).build()).finding.has_value();
}

// The operations that concern the key between its writes `from` (the state before) and `to`. If a
// history has an order that explains it then so has this part: left out are other writes with all
// who saw them, and operations that saw only whether the key was there, if that may have been
// before `from` or after `to`.
Operations part(const Operations& ops, const Problem& problem, std::size_t from, std::size_t to) {
  const std::vector<KeyWrite>& writes = problem.writes;
  const Time begin = from == 0 ? kAlways : writes[from].deadline;
  Time end = kNever;
  for (std::size_t i = to + 1; i < writes.size(); ++i) end = std::min(end, writes[i].called);
  std::set<const Operation*> inside;
  for (std::size_t i = from + 1; i <= to; ++i) inside.insert(writes[i].op);
  std::set<std::uint64_t> versions;
  for (std::size_t i = from; i <= to; ++i) versions.insert(writes[i].version);
  std::set<const Operation*> seen_outside;  // unknown, but with a version
  for (std::size_t i = 1; i < writes.size(); ++i) {
    if (i <= from || i > to) seen_outside.insert(writes[i].op);
  }

  Operations result;
  for (const Operation* op : ops) {
    bool keep = false;
    switch (op->outcome) {
      case Outcome::ok:
        keep = op->kind == Kind::get ? versions.contains(op->version) : inside.contains(op);
        break;
      case Outcome::not_found:
      case Outcome::conflict: keep = op->called > begin && op->returned < end; break;
      case Outcome::unknown: keep = op->is_write() && !seen_outside.contains(op); break;
      case Outcome::error: break;
    }
    if (keep) result.push_back(op);
  }
  return result;
}

// The steps to try distances in: every one at first, then growing.
std::size_t next_distance(std::size_t d) { return d < 16 ? d + 1 : d + d / 4; }

bool only_looked(const Operation& op) {
  return (op.kind == Kind::get && op.outcome == Outcome::ok) || op.outcome == Outcome::not_found ||
         op.outcome == Outcome::conflict;
}

struct Part {
  const Operation* first;
  Operations ops;
};

Part smallest_part(const Operations& ops, const Problem& problem, std::size_t furthest) {
  const std::size_t last = problem.writes.size() - 1;
  std::size_t to = last;
  for (std::size_t d = 0; furthest + d < last; d = next_distance(d)) {
    if (violates(part(ops, problem, 0, furthest + d), nullptr)) {
      to = furthest + d;
      break;
    }
  }
  std::size_t from = 0;
  for (std::size_t d = 0; d < to; d = next_distance(d)) {
    if (violates(part(ops, problem, to - d, to), problem.writes[to - d].op)) {
      from = to - d;
      break;
    }
  }
  Part best{problem.writes[from].op, part(ops, problem, from, to)};
  // Leaving out operations that only looked leaves a history that is explained if the whole is.
  // Many at once at first, then fewer.
  for (std::size_t chunk = best.ops.size(); chunk > 0; chunk /= 2) {
    for (std::size_t begin = 0; begin < best.ops.size();) {
      Operations fewer;
      for (std::size_t i = 0; i < best.ops.size(); ++i) {
        const bool left_out = i >= begin && i < begin + chunk && only_looked(*best.ops[i]);
        if (!left_out) fewer.push_back(best.ops[i]);
      }
      if (fewer.size() < best.ops.size() && violates(fewer, best.first)) {
        best.ops = std::move(fewer);
      } else {
        begin += chunk;
      }
    }
  }
  return best;
}

Violation explain(const std::string& key, const Operations& ops, const Problem& problem,
                  Finding finding) {
  Violation violation{key, std::move(finding.what), {}, 0};
  Operations witness;
  if (finding.complete_witness) {
    witness = *std::move(finding.complete_witness);
  } else {
    Part smallest = smallest_part(ops, problem, finding.furthest);
    std::set<const Operation*> seen;
    for (const KeyWrite& w : Builder(smallest.ops, smallest.first).build().writes)
      seen.insert(w.op);
    for (const Operation* op : smallest.ops) {
      if (op->outcome == Outcome::unknown && !seen.contains(op)) {
        ++violation.unknown_writes;
      } else {
        witness.push_back(op);
      }
    }
    if (smallest.first != nullptr) witness.push_back(smallest.first);
  }
  std::stable_sort(witness.begin(), witness.end(),
                   [](const Operation* a, const Operation* b) { return a->called < b->called; });
  for (const Operation* op : witness) violation.witness.push_back(*op);
  return violation;
}

Violation explain(const std::string& key, const AdditionsFinding& finding) {
  Violation violation{key, finding.what, {}, 0};
  for (const Operation* op : finding.witness) violation.witness.push_back(*op);
  std::ranges::stable_sort(violation.witness, {}, &Operation::called);
  return violation;
}

Status distinct_values(std::span<const Operation> history) {
  std::unordered_map<std::string_view, const Operation*> writer;
  for (const Operation& op : history) {
    if (!is_put(op)) continue;
    auto [it, added] = writer.try_emplace(*op.value, &op);
    if (!added) {
      return Status(Code::invalid,
                    fmt::format("value '{}' was written twice, by {} and {}: only histories "
                                "with distinct values can be checked",
                                *op.value, it->second->client, op.client));
    }
  }
  return Status();
}

}  // namespace

Result<std::vector<Violation>> check(std::span<const Operation> history) {
  if (Status status = distinct_values(history); !status.ok()) return status;
  std::map<std::string_view, Operations> keys;
  for (const Operation& op : history) keys[op.key].push_back(&op);
  std::vector<Violation> violations;
  for (const auto& [key, ops] : keys) {
    if (std::ranges::any_of(ops,
                            [](const Operation* o) { return history::is_addition(o->kind); })) {
      Result<std::optional<AdditionsFinding>> finding = check_additions(ops);
      if (!finding.ok()) return finding.status();
      if (*finding) violations.push_back(explain(std::string(key), **finding));
      continue;
    }
    for (const Operation* op : ops) {
      if (op->kind != Kind::set_end) continue;
      return Status(Code::invalid, fmt::format("set_end of key '{}', which is not added to: it is "
                                               "not known which value a version has",
                                               key));
    }
    const Problem problem = Builder(ops, nullptr).build();
    Verdict verdict = examine(problem);
    if (verdict.too_large) {
      return Status(Code::too_large,
                    fmt::format("key '{}': more than {} possible states at one moment; too "
                                "many of its writes ended as unknown",
                                key, kMaxStates));
    }
    if (verdict.finding) {
      violations.push_back(explain(std::string(key), ops, problem, *std::move(verdict.finding)));
    }
  }
  return violations;
}

std::string to_string(const Violation& violation) {
  std::string text = fmt::format("key '{}': {}\n", violation.key, violation.what);
  const Time origin = violation.witness.empty() ? 0 : violation.witness.front().called;
  text += fmt::format("  times in us after {} ns\n", origin);
  for (const Operation& op : violation.witness) text += "  " + to_string(op, origin) + "\n";
  if (violation.unknown_writes > 0) {
    text += fmt::format("  and {} writes of unknown outcome, none of which can explain it\n",
                        violation.unknown_writes);
  }
  return text;
}

}  // namespace scalio::linearizability
