#include "baseline/ditto/experts.h"

#include <algorithm>
#include <cmath>

namespace scalio::ditto {

namespace {
constexpr double kLearningRate = 0.1;
constexpr std::uint32_t kMissesTold = 100;
constexpr double kOldest = 0.005;
constexpr double kLeast = 0.01, kMost = 0.99;
}  // namespace

void ExpertWeights::lower(const ExpertValues& logarithms) {
  double sum = 0;
  for (std::uint32_t i = 0; i < kExperts; ++i) sum += values_[i] *= std::exp(logarithms[i]);
  double bounded_sum = 0;
  for (double& value : values_) {
    // All of them can have become 0 by what clients say.
    value = sum > 0 ? std::clamp(value / sum, kLeast, kMost) : 1.0 / kExperts;
    bounded_sum += value;
  }
  for (double& value : values_) value /= bounded_sum;
}

std::uint32_t ExpertWeights::best() const {
  return static_cast<std::uint32_t>(std::max_element(values_.begin(), values_.end()) -
                                    values_.begin());
}

Experts::Experts(const ExpertValues& weights, std::uint64_t history_size)
    : weights_(weights), base_(std::pow(kOldest, 1.0 / static_cast<double>(history_size))) {}

std::optional<ExpertValues> Experts::regret(std::uint8_t bits, std::uint64_t age) {
  const double penalty = -kLearningRate * std::pow(base_, static_cast<double>(age));
  ExpertValues lowered{};
  for (std::uint32_t i = 0; i < kExperts; ++i) {
    if ((bits >> i & 1) == 0) continue;
    lowered[i] = penalty;
    untold_[i] += penalty;
  }
  weights_.lower(lowered);
  if (++untold_misses_ < kMissesTold) return std::nullopt;
  untold_misses_ = 0;
  return std::exchange(untold_, {});
}

void Experts::adopt(const ExpertValues& weights) {
  weights_ = ExpertWeights(weights);
  weights_.lower(untold_);
}

Experts::Choice Experts::choose(const std::array<std::uint32_t, kExperts>& proposals,
                                Random& random) const {
  std::uint32_t different = 0;
  for (std::uint32_t i = 0; i < kExperts; ++i) {
    different +=
        std::find(proposals.begin(), proposals.begin() + i, proposals[i]) == proposals.begin() + i;
  }
  // As much as the learning rate goes to all proposals alike, so that no expert is forgotten.
  const double even = kLearningRate / different;
  double left = random.real();
  Choice choice;
  for (std::uint32_t i = 0; i < kExperts; ++i) {
    choice = {proposals[i], 0};
    double share = even;
    for (std::uint32_t j = 0; j < kExperts; ++j) {
      if (proposals[j] != proposals[i]) continue;
      choice.bits = static_cast<std::uint8_t>(choice.bits | 1U << j);
      share += (1 - kLearningRate) * weights_.values()[j];
    }
    const bool first = (choice.bits & ((1U << i) - 1)) == 0;
    if (!first) continue;
    left -= share;
    if (left < 0) break;
  }
  return choice;
}

}  // namespace scalio::ditto
