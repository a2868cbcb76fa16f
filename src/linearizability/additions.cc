#include "linearizability/additions.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <string_view>

#include "base/parse_integer.h"

namespace scalio::linearizability {

using history::Operation;
using history::Time;

namespace {
using Kind = Operation::Kind;
using Outcome = Operation::Outcome;
using Operations = std::vector<const Operation*>;
using Finding = std::optional<AdditionsFinding>;

constexpr int kDigits = 31;  // to the base 4, of a positive number
constexpr std::uint64_t kAnyVersion = std::numeric_limits<std::uint64_t>::max();

// A state of the key that somebody saw: its additions, in their order as far as that is known.
struct Seen {
  const Operation* by;
  std::vector<std::size_t> additions;
  std::map<std::size_t, std::int64_t> ends;  // of an append, where in the value it ends
};

class AdditionChecker {
 public:
  explicit AdditionChecker(const Operations& ops) : ops_(ops) {}

  Result<Finding> run() {
    if (Status s = index(); !s.ok()) return s;
    if (Finding f = decode_all()) return f;
    std::stable_sort(seen_.begin(), seen_.end(),
                     [](const Seen& a, const Seen& b) { return a.by->version < b.by->version; });
    if (Finding f = check_growth()) return f;
    if (Finding f = check_answers()) return f;
    if (Finding f = check_versions()) return f;
    if (Finding f = check_calls()) return f;
    if (Finding f = check_ends()) return f;
    return check_times();
  }

 private:
  Status index() {
    for (const Operation* op : ops_) {
      if (op->kind == Kind::get) continue;
      if (op->kind == Kind::set_end) {
        const bool done = op->outcome == Outcome::ok || op->outcome == Outcome::unknown;
        if (done) changes_.push_back(op);
        continue;
      }
      const std::string& value = *op->value;
      if (!history::is_addition(op->kind) ||
          (!additions_.empty() && additions_[0]->kind != op->kind)) {
        return no_addition(*op, "a key that is added to has no other writes of its value");
      }
      const std::optional<std::int64_t> by = parse_integer(value);
      const bool power = by && *by > 0 && (*by & (*by - 1)) == 0 &&
                         (__builtin_ctzll(static_cast<std::uint64_t>(*by)) & 1) == 0;
      if (op->kind == Kind::increment ? !power
                                      : value.empty() || value.find(';') + 1 != value.size()) {
        return no_addition(*op, "no power of 4, or no text with one ';', at its end");
      }
      if (!places_.emplace(value, additions_.size()).second) {
        return no_addition(*op, "it was added twice");
      }
      additions_.push_back(op);
    }
    return Status();
  }

  static Status no_addition(const Operation& op, std::string_view why) {
    return Status(Code::invalid,
                  fmt::format("{} '{}' to key '{}': {}", name_of(history::kKinds, op.kind),
                              op.value.value_or(""), op.key, why));
  }

  static AdditionsFinding found(std::string what, Operations witness) {
    return {std::move(what), std::move(witness)};
  }

  // What every operation saw that saw anything.
  Finding decode_all() {
    for (const Operation* op : ops_) {
      const bool sum = op->kind == Kind::increment && op->outcome == Outcome::ok;
      if (op->outcome == Outcome::not_found) {
        seen_.push_back({op, {}, {}});
      } else if (sum || (op->kind == Kind::get && op->outcome == Outcome::ok)) {
        Finding f = decode(*op, sum ? std::to_string(op->number) : *op->value);
        if (f) return f;
      }
    }
    return std::nullopt;
  }

  Finding decode(const Operation& op, std::string_view value) {
    Seen seen{&op, {}, {}};
    const bool list = additions_[0]->kind == Kind::append;
    std::vector<std::string> parts;
    if (list) {
      for (std::size_t at = 0; at < value.size();) {
        const std::size_t end = std::min(value.find(';', at), value.size() - 1) + 1;
        parts.emplace_back(value.substr(at, end - at));
        at = end;
      }
    } else {
      const std::optional<std::int64_t> sum = parse_integer(value);
      if (!sum || *sum < 0) return found("a sum that is none", {&op});
      for (int i = 0; i < kDigits; ++i) {
        const std::int64_t digit = *sum >> (2 * i) & 3;
        for (int n = 0; n < digit; ++n) parts.push_back(std::to_string(std::int64_t{1} << (2 * i)));
      }
    }
    std::int64_t end = 0;
    for (const std::string& part : parts) {
      const auto place = places_.find(part);
      if (place == places_.end()) return found("what nobody added was seen", {&op});
      const Operation* addition = additions_[place->second];
      if (addition->outcome == Outcome::error) {
        return found("an addition was seen that was reported as having done nothing",
                     {addition, &op});
      }
      end += static_cast<std::int64_t>(part.size());
      if (!seen.ends.emplace(place->second, end).second) {
        return found("an addition was done twice", {addition, &op});
      }
      seen.additions.push_back(place->second);
    }
    seen_.push_back(std::move(seen));
    return std::nullopt;
  }

  // Whether what `op` has seen, or left, may have ended by then, before the version.
  bool may_have_ended(const Operation& op, Time by, std::uint64_t before) const {
    return std::ranges::any_of(changes_, [&](const Operation* change) {
      if (change->ends == history::kNever || change->ends > by) return false;
      if (change->outcome == Outcome::unknown) return true;
      // An older change is of this record unless it was gone when `op` began.
      return change->version < before &&
             (change->version > op.version || op.called <= change->gone);
    });
  }

  // Whether a version may differ from one before by its end alone.
  bool may_change_the_end(std::uint64_t version) const {
    return std::ranges::any_of(changes_, [&](const Operation* change) {
      return change->outcome == Outcome::unknown || change->version == version;
    });
  }

  // Whether b is what a was, or has become of it by additions and changes of its end.
  bool follows(const Seen& a, const Seen& b) const {
    const std::size_t before = a.additions.size(), after = b.additions.size();
    if (before > after) return false;
    const bool same_version = a.by->version == b.by->version;
    if (same_version ? before != after : before == after && !may_change_the_end(b.by->version)) {
      return false;
    }
    if (additions_[0]->kind == Kind::append)
      return std::equal(a.additions.begin(), a.additions.end(), b.additions.begin());
    // Digits are decoded in their order.
    const auto by = [this](std::size_t n) { return *parse_integer(*additions_[n]->value); };
    return std::ranges::includes(b.additions, a.additions, {}, by, by);
  }

  // By their versions, states grow until they end, and a version is of one state.
  Finding check_growth() {
    std::map<std::size_t, const Operation*> ended;  // additions, and who has seen them
    for (std::size_t i = 1; i < seen_.size(); ++i) {
      const Seen &a = seen_[i - 1], &b = seen_[i];
      if (!follows(a, b)) {
        if (a.by->version == b.by->version ||
            !may_have_ended(*a.by, b.by->returned, b.by->version)) {
          return found("of two states neither follows from the other", {a.by, b.by});
        }
        for (const std::size_t n : a.additions) ended.emplace(n, a.by);
      }
      for (const std::size_t n : b.additions) {
        const auto before = ended.find(n);
        if (before != ended.end()) return found(kCameBack, {before->second, b.by});
      }
    }
    return std::nullopt;
  }

  // An addition that is ok is in the states from its version on, until they end, and in none
  // before.
  Finding check_answers() {
    for (std::size_t i = 0; i < additions_.size(); ++i) {
      const Operation& op = *additions_[i];
      if (op.outcome != Outcome::ok) continue;
      for (const Seen& s : seen_) {
        const auto there = s.ends.find(i);
        const std::uint64_t version = s.by->version;
        const bool ended = there == s.ends.end() && version > op.version &&
                           may_have_ended(op, s.by->returned, version);
        if ((there != s.ends.end()) != (version >= op.version) && !ended) {
          return found("an addition is not where its version says", {&op, s.by});
        }
        if (there != s.ends.end() && op.kind == Kind::append && there->second != op.number) {
          return found("an append told another size than it left", {&op, s.by});
        }
      }
    }
    return std::nullopt;
  }

  // A write has a version of its own, and between the one that a change expects and that change
  // there is none.
  Finding check_versions() {
    Operations done;
    for (const Operations* ops : {&additions_, &changes_}) {
      std::ranges::copy_if(*ops, std::back_inserter(done),
                           [](const Operation* op) { return op->outcome == Outcome::ok; });
    }
    std::ranges::sort(done, {}, &Operation::version);
    for (std::size_t i = 1; i < done.size(); ++i) {
      const Operation &before = *done[i - 1], &op = *done[i];
      if (before.version == op.version)
        return found("two writes have the same version", {&before, &op});
      if (op.expected != 0 && before.version > op.expected)
        return found("an end was changed of another version", {&before, &op});
    }
    return std::nullopt;
  }

  // Nothing is seen before it was called.
  Finding check_calls() {
    for (const Seen& s : seen_) {
      for (const std::size_t i : s.additions) {
        if (additions_[i]->called > s.by->returned) {
          return found("an addition was seen before it was called", {additions_[i], s.by});
        }
      }
    }
    return std::nullopt;
  }

  // What has ended is not seen from then on.
  Finding check_ends() {
    for (const Operation* change : changes_) {
      if (Finding f = check_gone(*change)) return f;
    }
    if (changes_.empty()) return std::nullopt;
    for (const Seen& none : seen_) {
      if (none.by->outcome != Outcome::not_found) continue;
      for (const Seen& s : seen_) {
        if (s.by->called <= none.by->returned) continue;
        for (const std::size_t n : s.additions) {
          const Operation& op = *additions_[n];
          if (op.outcome == Outcome::ok && op.returned < none.by->called)
            return found(kCameBack, {&op, none.by, s.by});
        }
      }
    }
    return std::nullopt;
  }

  Finding check_gone(const Operation& change) {
    if (change.outcome != Outcome::ok || change.gone == history::kNever) return std::nullopt;
    const bool last = std::ranges::none_of(changes_, [&](const Operation* other) {
      return other->outcome == Outcome::unknown || other->version > change.version;
    });
    if (!last) return std::nullopt;
    for (const Seen& s : seen_) {
      if (s.by->called <= change.gone || s.by->version < change.version) continue;
      for (const std::size_t n : s.additions) {
        const Operation& op = *additions_[n];
        if (op.outcome == Outcome::ok && op.version < change.version)
          return found("a record was seen after its end", {&op, &change, s.by});
      }
    }
    return std::nullopt;
  }

  // Who is called after another has returned comes after it.
  Finding check_times() {
    Operations done;
    for (const Operation* op : ops_) {
      if (op->outcome == Outcome::ok || op->outcome == Outcome::not_found) done.push_back(op);
    }
    Operations by_return = done;
    std::ranges::sort(done, {}, &Operation::called);
    std::ranges::sort(by_return, {}, &Operation::returned);
    const Operation* newest = nullptr;  // of those that have returned
    std::size_t next = 0;
    for (const Operation* op : done) {
      for (; next < by_return.size() && by_return[next]->returned < op->called; ++next) {
        if (newest == nullptr || by_return[next]->version > newest->version)
          newest = by_return[next];
      }
      if (newest == nullptr) continue;
      const bool none = op->outcome == Outcome::not_found;
      const bool before = newest->version > op->version ||
                          (newest->version == op->version && op->kind != Kind::get && !none);
      if (before && !(none && may_have_ended(*newest, op->returned, kAnyVersion))) {
        return found("an operation came before one that had returned when it was called",
                     {newest, op});
      }
    }
    return std::nullopt;
  }

  static constexpr const char* kCameBack = "what had ended came back";

  const Operations& ops_;
  Operations additions_;                       // the additions
  Operations changes_;                         // of the end, that were done or may have been
  std::map<std::string, std::size_t> places_;  // of each, by what it adds
  std::vector<Seen> seen_;
};

}  // namespace

Result<Finding> check_additions(const Operations& ops) { return AdditionChecker(ops).run(); }

}  // namespace scalio::linearizability
