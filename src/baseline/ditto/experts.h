// The adaptive choice of what to evict: experts, each with a weight that falls when what it has
// evicted is missed.
//
// Each expert proposes an object; which proposal is followed is drawn by the weights. A miss on
// what an expert has evicted multiplies its weight by exp(-0.1 * base^age), where age is the number
// of evictions since. Clients learn each by themselves and tell the server the sum of 100 misses;
// its weights, which all clients have a part in, replace theirs.
#pragma once

#include <cstdint>
#include <optional>

#include "base/random.h"
#include "baseline/ditto/ditto_layout.h"

namespace scalio::ditto {

constexpr std::uint32_t kLru = 0;  // experts, by number
constexpr std::uint32_t kLfu = 1;

// Weights that add up to 1, each from 0.01 to 0.99 or nearly so.
class ExpertWeights {
 public:
  ExpertWeights() = default;
  explicit ExpertWeights(const ExpertValues& values) : values_(values) {}
  // Multiplies each weight by exp() of its value, which is not above 0.
  void lower(const ExpertValues& logarithms);
  const ExpertValues& values() const { return values_; }
  // The expert with the largest weight; of equal ones the first.
  std::uint32_t best() const;

 private:
  ExpertValues values_{0.5, 0.5};
};

// A client's side.
class Experts {
 public:
  // `history_size` entries count: of the oldest of them a miss costs 0.005 of what one of the
  // newest does.
  Experts(const ExpertValues& weights, std::uint64_t history_size);

  // A miss on what the experts of `bits` (bit i: expert i) evicted `age` evictions ago. What is to
  // be told to the server, when it is time.
  std::optional<ExpertValues> regret(std::uint8_t bits, std::uint64_t age);
  // The server's weights, and on top of them what it has not been told yet.
  void adopt(const ExpertValues& weights);

  // Of the experts' proposals the one to follow: `bits` are the experts that made it.
  struct Choice {
    std::uint32_t proposal = 0;
    std::uint8_t bits = 0;
  };
  Choice choose(const std::array<std::uint32_t, kExperts>& proposals, Random& random) const;
  std::uint32_t best() const { return weights_.best(); }
  const ExpertValues& weights() const { return weights_.values(); }

 private:
  ExpertWeights weights_;
  const double base_;
  ExpertValues untold_{};
  std::uint32_t untold_misses_ = 0;
};

}  // namespace scalio::ditto
