#include "linearizability/linearizability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace scalio::linearizability {

using history::kNever;
using history::Operation;
using history::Time;
namespace {

using Kind = Operation::Kind;
using Outcome = Operation::Outcome;
using History = std::vector<Operation>;

constexpr std::uint64_t kNoVersion = 1'000'000'000;

// --- Histories by hand: each operation with its interval ---

Operation op(Kind kind, Outcome outcome, Time called, Time returned) {
  Operation o;
  o.client = "c" + std::to_string(called);
  o.kind = kind;
  o.key = "k";
  o.outcome = outcome;
  o.called = called;
  o.returned = returned;
  return o;
}
Operation put(std::string value, std::uint64_t version, Time called, Time returned) {
  Operation o = op(Kind::put, Outcome::ok, called, returned);
  o.value = std::move(value);
  o.version = version;
  return o;
}
Operation lost_put(std::string value, Time called) {
  Operation o = op(Kind::put, Outcome::unknown, called, kNever);
  o.value = std::move(value);
  return o;
}
Operation failed_put(std::string value, Time called, Time returned) {
  Operation o = op(Kind::put, Outcome::error, called, returned);
  o.value = std::move(value);
  return o;
}
Operation get(std::string value, std::uint64_t version, Time called, Time returned) {
  Operation o = op(Kind::get, Outcome::ok, called, returned);
  o.value = std::move(value);
  o.version = version;
  return o;
}
Operation get_nothing(Time called, Time returned) {
  return op(Kind::get, Outcome::not_found, called, returned);
}
Operation remove(std::uint64_t version, Time called, Time returned) {
  Operation o = op(Kind::remove, Outcome::ok, called, returned);
  o.version = version;
  return o;
}
Operation lost_remove(Time called) { return op(Kind::remove, Outcome::unknown, called, kNever); }
Operation put_if(std::string value, std::uint64_t expected, std::uint64_t version, Time called,
                 Time returned) {
  Operation o = put(std::move(value), version, called, returned);
  o.kind = Kind::put_if;
  o.expected = expected;
  return o;
}
Operation until(Time ends, Operation o) {
  o.ends = ends;
  return o;
}
Operation gone(Time gone, Operation o) {
  o.gone = gone;
  return o;
}
Operation conflict(std::string value, std::uint64_t expected, Time called, Time returned) {
  Operation o = put_if(std::move(value), expected, 0, called, returned);
  o.outcome = Outcome::conflict;
  return o;
}
Operation remove_if(std::uint64_t expected, std::uint64_t version, Time called, Time returned) {
  Operation o = remove(version, called, returned);
  o.kind = Kind::remove_if;
  o.expected = expected;
  return o;
}
Operation remove_conflict(std::uint64_t expected, Time called, Time returned) {
  Operation o = remove_if(expected, 0, called, returned);
  o.outcome = Outcome::conflict;
  return o;
}
Operation lost_remove_if(std::uint64_t expected, Time called) {
  Operation o = lost_remove(called);
  o.kind = Kind::remove_if;
  o.expected = expected;
  return o;
}
Operation lost_put_if(std::string value, std::uint64_t expected, Time called) {
  Operation o = lost_put(std::move(value), called);
  o.kind = Kind::put_if;
  o.expected = expected;
  return o;
}

std::vector<Violation> violations(const History& history) {
  Result<std::vector<Violation>> result = check(history);
  EXPECT_TRUE(result.ok()) << result.status().to_string();
  return result.ok() ? *std::move(result) : std::vector<Violation>();
}

testing::AssertionResult good(const History& history) {
  for (const Violation& v : violations(history)) return testing::AssertionFailure() << to_string(v);
  return testing::AssertionSuccess();
}
testing::AssertionResult bad(const History& history) {
  if (violations(history).empty()) return testing::AssertionFailure() << "no violation found";
  return testing::AssertionSuccess();
}

TEST(Linearizability, Sequential) {
  EXPECT_TRUE(good({}));
  EXPECT_TRUE(good({get_nothing(1, 2), put("a", 1, 3, 4), get("a", 1, 5, 6), remove(2, 7, 8),
                    get_nothing(9, 10), put("b", 3, 11, 12), get("b", 3, 13, 14)}));
}

TEST(Linearizability, GetDuringPutMaySeeEither) {
  EXPECT_TRUE(good({put("a", 1, 1, 2), put("b", 2, 3, 9), get("a", 1, 4, 5), get("b", 2, 6, 7)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), put("b", 2, 3, 9), get("b", 2, 4, 5), get("a", 1, 6, 7)}));
}

TEST(Linearizability, StaleRead) {
  EXPECT_TRUE(bad({put("a", 1, 1, 2), put("b", 2, 3, 4), get("a", 1, 5, 6)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), get_nothing(3, 4)}));
}

TEST(Linearizability, TouchingIntervalsAreConcurrent) {
  EXPECT_TRUE(good({put("a", 1, 1, 2), put("b", 2, 3, 5), get("a", 1, 5, 6)}));
}

TEST(Linearizability, LostUpdate) {
  // The acknowledged write of b is nowhere to be seen.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), put("b", 2, 3, 4), get("a", 1, 5, 6), get("a", 1, 7, 8)}));
}

TEST(Linearizability, ReadFromTheFuture) {
  EXPECT_TRUE(bad({get("a", 1, 1, 2), put("a", 1, 3, 4)}));
}

TEST(Linearizability, DeletedKeyBack) {
  EXPECT_TRUE(bad({put("a", 1, 1, 2), remove(2, 3, 4), get("a", 1, 5, 6)}));
  EXPECT_TRUE(good({put("a", 1, 1, 2), remove(2, 3, 6), get("a", 1, 4, 5)}));
}

TEST(Linearizability, ValueNobodyWrote) {
  EXPECT_TRUE(bad({put("a", 1, 1, 2), get("x", 1, 3, 4)}));
}

TEST(Linearizability, VersionOfAnotherWrite) {
  EXPECT_TRUE(bad({put("a", 1, 1, 2), put("b", 2, 3, 4), get("b", 1, 5, 6)}));
}

TEST(Linearizability, VersionsGrowInOrder) {
  EXPECT_TRUE(bad({put("a", 2, 1, 2), put("b", 1, 3, 4)}));
  EXPECT_TRUE(good({put("a", 2, 1, 4), put("b", 1, 2, 3)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 4), put("b", 1, 2, 3)}));
}

TEST(Linearizability, ConditionalPuts) {
  EXPECT_TRUE(good({put_if("a", 0, 1, 1, 2), put_if("b", 1, 2, 3, 4), conflict("c", 1, 5, 6),
                    conflict("d", 0, 7, 8), get("b", 2, 9, 10)}));
  // Two on one version, both ok.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), put_if("b", 1, 2, 3, 9), put_if("c", 1, 3, 4, 8)}));
  // Refused although the version was right, and the key was not there.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), conflict("b", 1, 3, 4)}));
  EXPECT_TRUE(bad({conflict("b", 0, 3, 4)}));
  // Ok although the key existed, did not exist, or had been deleted since.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), put_if("b", 0, 2, 3, 4)}));
  EXPECT_TRUE(bad({put_if("b", 7, 8, 3, 4)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), remove(2, 3, 4), put_if("b", 1, 3, 5, 6)}));
  EXPECT_TRUE(good({put("a", 1, 1, 2), remove(2, 3, 4), put_if("b", 0, 3, 5, 6)}));
}

TEST(Linearizability, ConditionalDeletes) {
  EXPECT_TRUE(good({put("a", 1, 1, 2), remove_if(1, 2, 3, 4), get_nothing(5, 6),
                    remove_conflict(1, 7, 8), remove_conflict(2, 9, 10)}));
  // Two on one version, both ok.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), remove_if(1, 2, 3, 9), remove_if(1, 3, 4, 8)}));
  // Refused although the version was right.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), remove_conflict(1, 3, 4)}));
  EXPECT_TRUE(good({put("a", 1, 1, 2), remove_conflict(1, 3, 6), put("b", 2, 5, 8)}));
  // Ok although the key had another version, was not there, or had been deleted since.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), put("b", 2, 3, 4), remove_if(1, 3, 5, 6)}));
  EXPECT_TRUE(bad({remove_if(1, 2, 3, 4)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), remove(2, 3, 4), remove_if(1, 3, 5, 6)}));
  // Ok, and the value is still there; refused, and it is gone.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), remove_if(1, 2, 3, 4), get("a", 1, 5, 6)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), remove_conflict(7, 3, 4), get_nothing(5, 6)}));
}

TEST(Linearizability, UnknownConditionalDelete) {
  EXPECT_TRUE(
      good({put("a", 1, 1, 2), lost_remove_if(1, 3), get("a", 1, 5, 6), get_nothing(7, 8)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost_remove_if(1, 3), get_nothing(5, 6), get("a", 1, 7, 8)}));
  // Of another version it does nothing, and of this one it happens once.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost_remove_if(7, 3), get_nothing(5, 6)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), put("b", 2, 3, 4), lost_remove_if(1, 3), get_nothing(5, 6)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost_remove_if(1, 3), get_nothing(5, 6), put("b", 3, 7, 8),
                   get_nothing(9, 10)}));
  EXPECT_TRUE(good({put("a", 1, 1, 2), lost_remove_if(1, 3), remove_conflict(1, 5, 6),
                    put_if("b", 0, 3, 7, 8)}));
}

TEST(Linearizability, ConflictWithAConcurrentWrite) {
  EXPECT_TRUE(good({put("a", 1, 1, 2), conflict("b", 1, 3, 6), put("c", 2, 5, 8)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), conflict("b", 1, 3, 6), put("c", 2, 7, 8)}));
}

// Rule 17.
TEST(Linearizability, WhatWasPutForATimeEndsOnce) {
  const Operation first = until(10, put("a", 1, 1, 2));
  EXPECT_TRUE(good({first, get("a", 1, 11, 12), get_nothing(13, 14), get_nothing(15, 16)}));
  EXPECT_TRUE(bad({first, get_nothing(3, 4)}));
  EXPECT_TRUE(good({first, get_nothing(3, 10)}));
  EXPECT_TRUE(bad({first, get_nothing(11, 12), get("a", 1, 13, 14)})) << "two disagree";
  EXPECT_TRUE(bad({first, put("b", 2, 3, 4), get_nothing(11, 12)})) << "the next one lasts";
  EXPECT_TRUE(good({first, get_nothing(11, 12), put("b", 2, 13, 14), get("b", 2, 15, 16)}));
  // For conditional writes it is absent then.
  EXPECT_TRUE(good({first, put_if("b", 0, 2, 11, 12)}));
  EXPECT_TRUE(bad({first, put_if("b", 0, 2, 3, 4)}));
  EXPECT_TRUE(good({first, conflict("b", 1, 11, 12)}));
  EXPECT_TRUE(bad({first, conflict("b", 1, 3, 4)}));
  // Who has looked before the end may write after it, if nobody else has.
  EXPECT_TRUE(good({first, get_nothing(11, 12), put_if("b", 1, 2, 9, 14), get("b", 2, 15, 16)}));
  EXPECT_TRUE(bad({first, get_nothing(11, 12), put("c", 2, 13, 14), put_if("b", 1, 3, 9, 16)}));
}

TEST(Linearizability, WhatWasPutForATimeEndsInTime) {
  const Operation first = gone(20, until(10, put("a", 1, 1, 2)));
  EXPECT_TRUE(good({first, get("a", 1, 15, 16), get_nothing(21, 22)}));
  EXPECT_TRUE(good({first, get("a", 1, 20, 30), get_nothing(21, 22)}));
  EXPECT_TRUE(bad({first, get("a", 1, 21, 22)}));
  EXPECT_TRUE(bad({first, get("a", 1, 15, 16), get("a", 1, 21, 22)}));
  // The next one has an end of its own, or none.
  EXPECT_TRUE(good({first, put("b", 2, 3, 4), get("b", 2, 21, 22)}));
  // For conditional writes it is absent then.
  EXPECT_TRUE(good({first, put_if("b", 0, 2, 21, 22)}));
  EXPECT_TRUE(good({first, conflict("b", 0, 20, 22)}));
  EXPECT_TRUE(bad({first, conflict("b", 0, 21, 22)}));
  EXPECT_TRUE(good({first, conflict("b", 1, 21, 22)}));
  EXPECT_TRUE(good({first, remove(2, 25, 26), conflict("b", 0, 20, 30)}));
  EXPECT_TRUE(bad({first, remove(2, 25, 26), conflict("b", 0, 21, 30)}));
  EXPECT_TRUE(good({first, lost_put("c", 3), conflict("b", 0, 21, 22)}));
  // What was seen of an unknown one ends likewise.
  const Operation lost = gone(20, until(10, lost_put("a", 1)));
  EXPECT_TRUE(good({lost, get("a", 1, 15, 16), get_nothing(21, 22)}));
  EXPECT_TRUE(bad({lost, get("a", 1, 15, 16), get("a", 1, 21, 22)}));
}

TEST(Linearizability, AnUnknownPutForATimeMayHaveEnded) {
  const Operation lost = until(10, lost_put("b", 3));
  EXPECT_TRUE(good({put("a", 1, 1, 2), lost, get("a", 1, 5, 6), get_nothing(11, 12)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost, get_nothing(5, 6)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost, get_nothing(11, 12), get("a", 1, 13, 14)}));
}

TEST(Linearizability, UnknownPut) {
  const Operation lost = lost_put("b", 3);
  EXPECT_TRUE(good({put("a", 1, 1, 2), lost, get("a", 1, 5, 6)}));
  EXPECT_TRUE(good({put("a", 1, 1, 2), lost, get("b", 2, 5, 6)}));
  EXPECT_TRUE(good({put("a", 1, 1, 2), lost, get("a", 1, 5, 6), get("b", 2, 100, 101)}));
  // Seen, then unseen.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost, get("b", 2, 5, 6), get("a", 1, 7, 8)}));
  // Seen before it was called.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), get("b", 2, 1, 2), lost}));
  // With two versions.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost, get("b", 2, 5, 6), get("b", 3, 7, 8)}));
  // Nobody saw it, but a conflict shows it happened; then the value before is gone.
  EXPECT_TRUE(good({put("a", 1, 1, 2), lost, conflict("c", 1, 5, 6), put("d", 3, 7, 8)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost, conflict("c", 1, 5, 6), get("a", 1, 7, 8)}));
}

TEST(Linearizability, UnknownDelete) {
  EXPECT_TRUE(good({put("a", 1, 1, 2), lost_remove(3), get("a", 1, 5, 6), get_nothing(7, 8)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost_remove(3), get_nothing(5, 6), get("a", 1, 7, 8)}));
  // It happens only once.
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost_remove(3), get_nothing(5, 6), put("b", 3, 7, 8),
                   get_nothing(9, 10)}));
  EXPECT_TRUE(good({put("a", 1, 1, 2), lost_remove(3), lost_remove(4), get_nothing(5, 6),
                    put("b", 3, 7, 8), get_nothing(9, 10)}));
}

TEST(Linearizability, UnknownConditionalPut) {
  EXPECT_TRUE(good({put("a", 1, 1, 2), lost_put_if("b", 1, 3), conflict("c", 1, 5, 6)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost_put_if("b", 7, 3), conflict("c", 1, 5, 6)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), lost_put_if("b", 7, 3), get("b", 2, 5, 6)}));
  EXPECT_TRUE(good({lost_put_if("b", 0, 3), conflict("c", 0, 5, 6)}));
}

TEST(Linearizability, FailedPutDidNothing) {
  EXPECT_TRUE(good({failed_put("a", 1, 2), get_nothing(3, 4)}));
  EXPECT_TRUE(bad({failed_put("a", 1, 2), get("a", 1, 3, 4)}));
  EXPECT_TRUE(bad({put("a", 1, 1, 2), conflict("b", 7, 3, 4), get("b", 2, 5, 6)}));
}

TEST(Linearizability, KeysAreIndependent) {
  History history = {put("a", 1, 1, 2), get("a", 1, 3, 4)};
  Operation other = get("a", 1, 5, 6);
  other.key = "other";
  history.push_back(other);
  std::vector<Violation> found = violations(history);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].key, "other");
}

TEST(Linearizability, ValuesMustBeDistinct) {
  const History history = {put("a", 1, 1, 2), put("a", 2, 3, 4)};
  EXPECT_EQ(check(history).code(), Code::invalid);
}

TEST(Linearizability, WitnessIsSmall) {
  History history;
  for (int i = 1; i <= 1000; ++i) {
    const Time t = 10 * i;
    history.push_back(put("v" + std::to_string(i), static_cast<std::uint64_t>(i), t, t + 2));
    history.push_back(get("v" + std::to_string(i), static_cast<std::uint64_t>(i), t + 3, t + 4));
    history.push_back(lost_put("lost" + std::to_string(i), t));
  }
  // v500 had been put, and was not yet overwritten.
  for (Time i = 0; i < 2000; ++i) history.push_back(get("v499", 499, 5'006 + i, 5'007 + i));
  std::vector<Violation> found = violations(history);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_LE(found[0].witness.size(), 3u) << to_string(found[0]);
  EXPECT_EQ(found[0].witness.back().value, "v499");
}

// --- Histories by chance ---

// All orders, one after the other: the definition, for tiny histories.
class BruteForce {
 public:
  explicit BruteForce(const History& history) : history_(history), done_(history.size()) {
    for (const Operation& o : history) {
      if (o.kind == Kind::get && o.outcome == Outcome::ok) seen_[*o.value] = o.version;
    }
  }
  bool linearizable() { return extend(Register{}, 0); }

 private:
  struct Register {
    std::string value;
    bool present = false;
    std::uint64_t last = 0;  // the last version that anyone knows
    bool known = true;       // that is the version of the last write
  };

  bool required(const Operation& o) const {
    return o.outcome != Outcome::unknown && o.outcome != Outcome::error;
  }

  bool extend(const Register& reg, std::size_t count) {
    bool complete = true;
    Time first_return = kNever;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (done_[i] || !required(history_[i])) continue;
      complete = false;
      first_return = std::min(first_return, history_[i].returned);
    }
    if (complete) return true;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      const Operation& o = history_[i];
      if (done_[i] || o.outcome == Outcome::error || o.called > first_return) continue;
      Register next = reg;
      if (!apply(o, next)) continue;
      done_[i] = true;
      const bool found = extend(next, count + 1);
      done_[i] = false;
      if (found) return true;
    }
    return false;
  }

  bool apply(const Operation& o, Register& reg) {
    const bool condition =
        o.expected == 0 ? !reg.present : reg.present && reg.known && reg.last == o.expected;
    switch (o.outcome) {
      case Outcome::not_found: return !reg.present;
      case Outcome::conflict: return !condition;
      case Outcome::error: return false;
      case Outcome::ok:
        if (o.kind == Kind::get) {
          return reg.present && reg.known && reg.value == *o.value && reg.last == o.version;
        }
        if (is_conditional(o.kind) && !condition) return false;
        return write(o, o.version, reg);
      case Outcome::unknown: {
        if (o.kind == Kind::get || (is_conditional(o.kind) && !condition)) return false;
        auto it = o.value ? seen_.find(*o.value) : seen_.end();
        return write(o, it == seen_.end() ? 0 : it->second, reg);
      }
    }
    return false;
  }

  bool write(const Operation& o, std::uint64_t version, Register& reg) {
    if (version != 0 && version <= reg.last) return false;
    reg.present = is_put(o.kind);
    reg.value = o.value.value_or("");
    reg.known = version != 0;
    if (reg.known) reg.last = version;
    return true;
  }

  const History& history_;
  std::vector<bool> done_;
  std::map<std::string, std::uint64_t> seen_;
};

// What concurrent clients see of an atomic register.
class RandomHistory {
 public:
  RandomHistory(std::uint64_t seed, int clients, std::size_t operations, double lost)
      : random_(seed), lost_(lost), clients_(static_cast<std::size_t>(clients)) {
    while (history_.size() < operations) step();
    for (Client& c : clients_) {
      if (c.phase == Phase::called) take_effect(c);
      if (c.phase == Phase::effected) finish(c);
    }
  }
  History history() && { return std::move(history_); }

 private:
  enum class Phase { idle, called, effected };
  struct Client {
    Phase phase = Phase::idle;
    std::size_t index = 0;  // in the history
    std::uint64_t known_version = 0;
  };

  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  bool chance(double p) { return std::bernoulli_distribution(p)(random_); }

  void step() {
    if (!late_.empty() && chance(0.1)) {  // a lost write arrives after all
      const std::size_t i = below(late_.size());
      apply(history_[late_[i]]);
      late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
    Client& c = clients_[below(clients_.size())];
    switch (c.phase) {
      case Phase::idle: return call(c);
      case Phase::called: return take_effect(c);
      case Phase::effected: return finish(c);
    }
  }

  void call(Client& c) {
    constexpr Kind kMix[] = {Kind::get,    Kind::get,    Kind::get,    Kind::put,
                             Kind::remove, Kind::put_if, Kind::put_if, Kind::remove_if};
    Operation o = op(kMix[below(std::size(kMix))], Outcome::ok, ++now_, kNever);
    o.client = "c" + std::to_string(&c - clients_.data());
    // A deletion needs a version: of a client that knows none, it is one that no write has.
    if (is_put(o.kind)) o.value = "v" + std::to_string(++values_);
    if (o.kind == Kind::put_if) o.expected = chance(0.3) ? 0 : c.known_version;
    if (o.kind == Kind::remove_if) o.expected = c.known_version == 0 ? kNoVersion : c.known_version;
    c.index = history_.size();
    history_.push_back(std::move(o));
    c.phase = Phase::called;
    if (history_[c.index].is_write() && chance(lost_)) {
      history_[c.index].outcome = Outcome::unknown;
      if (chance(0.7)) late_.push_back(c.index);
      c.phase = Phase::idle;
    }
  }

  void take_effect(Client& c) {
    apply(history_[c.index]);
    c.phase = Phase::effected;
  }

  // Unknown operations keep what they learn to themselves.
  void apply(Operation& o) {
    Operation result = o;
    if (o.kind == Kind::get) {
      result.outcome = present_ ? Outcome::ok : Outcome::not_found;
      if (present_) {
        result.value = value_;
        result.version = version_;
      }
    } else if (is_conditional(o.kind) && o.expected != (present_ ? version_ : 0)) {
      result.outcome = Outcome::conflict;
    } else {
      version_ += 1 + below(3);
      present_ = is_put(o.kind);
      value_ = o.value.value_or("");
      result.version = version_;
    }
    if (o.outcome != Outcome::unknown) o = result;
  }

  void finish(Client& c) {
    Operation& o = history_[c.index];
    o.returned = ++now_;
    if (o.version != 0) c.known_version = o.version;
    c.phase = Phase::idle;
  }

  std::mt19937_64 random_;
  const double lost_;
  std::vector<Client> clients_;
  History history_;
  std::vector<std::size_t> late_;
  Time now_ = 0;
  std::uint64_t values_ = 0;
  bool present_ = false;
  std::string value_;
  std::uint64_t version_ = 0;
};

// Changes one result, or one operation's interval, to something that might be as true.
void mutate(History& history, std::mt19937_64& random) {
  auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  Operation& o = history[below(history.size())];
  const Operation& other = history[below(history.size())];
  if (o.outcome == Outcome::unknown) {
    o.called += static_cast<Time>(below(6));
  } else if (below(3) == 0) {
    const Time length = o.returned - o.called;
    o.called = other.called;
    o.returned = o.called + length;
  } else if (o.kind == Kind::get) {
    const bool was_found = o.outcome == Outcome::ok;
    if (other.value && other.version != 0) {
      o.outcome = Outcome::ok;
      o.value = other.value;
      o.version = other.version;
    } else if (was_found) {
      o.outcome = Outcome::not_found;
      o.value.reset();
      o.version = 0;
    }
  } else if (is_conditional(o.kind)) {
    if (o.outcome == Outcome::ok) {
      o.outcome = Outcome::conflict;
      o.version = 0;
    } else if (o.kind == Kind::put_if || other.version != 0) {
      o.expected = other.version;
    }
  } else {
    std::swap(o.version, history[below(history.size())].version);
    for (Operation& each : history) {  // still as read_history would accept it
      if (each.outcome == Outcome::ok && each.version == 0) each.version = 1;
      if (each.outcome != Outcome::ok) each.version = 0;
    }
  }
}

std::string print(const History& history) {
  std::string text;
  for (const Operation& o : history) text += to_string(o, 0) + "\n";
  return text;
}

TEST(Linearizability, AtomicRegisterPasses) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const History history =
        RandomHistory(seed, 2 + static_cast<int>(seed % 20), 200, 0.05).history();
    ASSERT_TRUE(good(history)) << "seed " << seed;
  }
}

TEST(Linearizability, AgreesWithBruteForce) {
  std::mt19937_64 random(1);
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 30'000; ++seed) {
    const double lost = seed % 2 == 0 ? 0.0 : 0.25;
    History history =
        RandomHistory(seed, 2 + static_cast<int>(seed % 4), 4 + seed % 5, lost).history();
    for (std::size_t i = 0; i <= seed % 3; ++i) mutate(history, random);
    const bool linearizable = BruteForce(history).linearizable();
    wrong += linearizable ? 0 : 1;
    ASSERT_EQ(violations(history).empty(), linearizable) << "seed " << seed << "\n"
                                                         << print(history);
  }
  // Both answers were compared often.
  EXPECT_GT(wrong, 3'000);
  EXPECT_LT(wrong, 27'000);
}

TEST(Linearizability, ManyClientsOnOneHotKey) {
  History history = RandomHistory(7, 200, 200'000, 0.0005).history();
  EXPECT_TRUE(good(history));
  // A get in the middle returns what was overwritten long ago.
  auto middle = history.begin() + 100'000;
  auto victim = std::find_if(middle, history.end(), [](const Operation& o) {
    return o.kind == Kind::get && o.outcome == Outcome::ok;
  });
  auto old = std::find_if(middle - 20'000, history.end(), [](const Operation& o) {
    return o.kind == Kind::put && o.outcome == Outcome::ok;
  });
  victim->value = old->value;
  victim->version = old->version;
  EXPECT_TRUE(bad(history));
}

}  // namespace
}  // namespace scalio::linearizability
