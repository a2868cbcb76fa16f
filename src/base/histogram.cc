#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.h"

namespace scalio {

namespace {

// Keeps the `bits` + 1 leading bits of a value. With none shifted out the index is the value
// itself; each further bit lost is another power of two, 2^bits buckets on. The indices have no
// gaps.
constexpr std::uint64_t bucket_of(std::uint64_t value, unsigned bits) {
  const unsigned width = static_cast<unsigned>(std::bit_width(value));
  const unsigned lost = width > bits + 1 ? width - (bits + 1) : 0;
  return (std::uint64_t{lost} << bits) + (value >> lost);
}

// The largest value of a bucket.
constexpr std::uint64_t top_of(std::uint64_t bucket, unsigned bits) {
  const std::uint64_t power = bucket >> bits;
  const std::uint64_t lost = power > 1 ? power - 1 : 0;
  const std::uint64_t leading = bucket - (lost << bits);
  return ((leading + 1) << lost) - 1;
}

}  // namespace

Histogram::Histogram(unsigned bits) : bits_(bits), buckets_(bucket_of(kMaxValue, bits) + 1) {}

void Histogram::record(std::uint64_t value) {
  value = std::min(value, kMaxValue);
  ++buckets_[bucket_of(value, bits_)];
  ++count_;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += value;
}

void Histogram::clear() {
  std::ranges::fill(buckets_, 0);
  count_ = 0;
  min_ = kMaxValue;
  max_ = 0;
  sum_ = 0;
}

void Histogram::merge(const Histogram& other) {
  SCALIO_ASSERT(bits_ == other.bits_);
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

std::uint64_t Histogram::percentile(double percent) const {
  SCALIO_ASSERT(count_ > 0 && percent >= 0 && percent <= 100);
  // 99.9 is not a binary fraction: 99.9 % of 1000 must be 999 values, not 999 and a trace of
  // rounding.
  const double exact = percent / 100 * static_cast<double>(count_);
  const auto rank = static_cast<std::uint64_t>(std::ceil(exact * (1 - 1e-12)));
  const std::uint64_t wanted = std::clamp<std::uint64_t>(rank, 1, count_);
  std::uint64_t seen = 0, bucket = 0;
  while ((seen += buckets_[bucket]) < wanted) ++bucket;
  return std::min(top_of(bucket, bits_), max_);
}

std::uint64_t Histogram::min() const {
  SCALIO_ASSERT(count_ > 0);
  return min_;
}

std::uint64_t Histogram::max() const {
  SCALIO_ASSERT(count_ > 0);
  return max_;
}

double Histogram::mean() const {
  SCALIO_ASSERT(count_ > 0);
  return static_cast<double>(sum_) / static_cast<double>(count_);
}

}  // namespace scalio
