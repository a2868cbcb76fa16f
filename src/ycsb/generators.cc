#include "ycsb/generators.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace scalio::ycsb {
namespace {

// YCSB's space for scrambled zipfian with its default constant, and the zeta of it.
constexpr std::uint64_t kScrambledItems = 10'000'000'001;
constexpr double kScrambledTheta = 0.99;
constexpr double kScrambledZeta = 26.46902820178302;

ZipfianGenerator scrambled_base(std::uint64_t items, double theta, ZipfianSpace space) {
  if (theta == kScrambledTheta && space == ZipfianSpace::standard)
    return {kScrambledItems, theta, kScrambledZeta};
  return {items, theta};
}

}  // namespace

double zeta(std::uint64_t from, std::uint64_t to, double theta) {
  double sum = 0;
  for (std::uint64_t i = from + 1; i <= to; ++i) sum += std::pow(static_cast<double>(i), -theta);
  return sum;
}

std::uint64_t fnv_hash(std::uint64_t n) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (int i = 0; i < 8; ++i) {
    hash ^= n & 0xff;
    hash *= 0x100000001b3ULL;
    n >>= 8;
  }
  return hash >> 63 ? -hash : hash;
}

ZipfianGenerator::ZipfianGenerator(std::uint64_t items, double theta)
    : ZipfianGenerator(items, theta, zeta(0, items, theta)) {}

ZipfianGenerator::ZipfianGenerator(std::uint64_t items, double theta, double zeta_items)
    : items_(items), theta_(theta), zeta_items_(zeta_items) {
  SCALIO_ASSERT(items > 0 && theta > 0 && theta < 2 && theta != 1);
  update();
}

void ZipfianGenerator::update() {
  alpha_ = 1 / (1 - theta_);
  second_ = 1 + std::pow(0.5, theta_);
  // One or two items never get as far as using eta, whose formula is 0/0 for two.
  eta_ = items_ <= 2 ? 0
                     : (1 - std::pow(2 / static_cast<double>(items_), 1 - theta_)) /
                           (1 - zeta(0, 2, theta_) / zeta_items_);
}

std::uint64_t ZipfianGenerator::next(Random& random) const {
  double u = random.real();
  double uz = u * zeta_items_;
  if (uz < 1) return 0;
  if (uz < second_) return std::min<std::uint64_t>(1, items_ - 1);
  double share = std::pow(eta_ * u - eta_ + 1, alpha_);
  // The share is below 1, but rounding may bring it there.
  return std::min(static_cast<std::uint64_t>(static_cast<double>(items_) * share), items_ - 1);
}

void ZipfianGenerator::grow(std::uint64_t items) {
  if (items == items_) return;
  SCALIO_ASSERT(items > items_);
  zeta_items_ += zeta(items_, items, theta_);
  items_ = items;
  update();
}

ScrambledZipfianGenerator::ScrambledZipfianGenerator(std::uint64_t items, double theta,
                                                     ZipfianSpace space)
    : items_(items), zipfian_(scrambled_base(items, theta, space)) {}

}  // namespace scalio::ycsb
