// The request distributions of YCSB: which record an operation is about.
//
// The same distributions as YCSB's CoreWorkload, so that results compare with published ones.
// Record numbers count from 0. Generators are cheap to copy once built (zeta, the slow part, is a
// number), so one is built per run and copied into every thread; randomness comes from outside.
#pragma once

#include <cstdint>

#include "base/random.h"

namespace scalio::ycsb {

// The sum of 1 / i^theta for i in (from, to]: zeta(0, n) is the generalized harmonic number of n.
// About 20 ns an item.
double zeta(std::uint64_t from, std::uint64_t to, double theta);

// YCSB's hash of a record number (FNV-1a over its 8 bytes, made non-negative as Java's Math.abs
// does).
std::uint64_t fnv_hash(std::uint64_t n);

// Zipfian: item 0 is the most popular, then 1, and so on; item i is drawn in proportion to
// 1 / (i + 1)^theta. After Gray et al., "Quickly Generating Billion-Record Synthetic Databases",
// 1994.
class ZipfianGenerator {
 public:
  // `items` > 0, 0 < theta < 2, but not 1. Takes about 20 ns an item.
  ZipfianGenerator(std::uint64_t items, double theta);
  // The same with a zeta(0, items) that is known.
  ZipfianGenerator(std::uint64_t items, double theta, double zeta_items);

  std::uint64_t next(Random& random) const;
  // The number of items only grows; costs about 20 ns an item that is new.
  void grow(std::uint64_t items);

 private:
  void update();

  std::uint64_t items_;
  double theta_;
  double zeta_items_;
  // Functions of the three above.
  double alpha_ = 0;
  double eta_ = 0;
  double second_ = 0;  // below this, u * zeta selects item 1
};

// Zipfian popularity spread over all the items by a hash, so that popular items are not neighbours.
//
// For theta = 0.99 the popularity is, as in YCSB, that of a space of 10 billion items, whatever
// `items` is: its zeta is known, so the start is immediate. (YCSB does the same for any theta,
// which takes minutes; here the space for other values is `items`.)
//
// With the space `items` it is steeper: the most popular of 20 million records has 5.3 % of the
// draws, and not 3.8 %. The figures of the Scalio paper are drawn so.
enum class ZipfianSpace : std::uint8_t { standard, items };
class ScrambledZipfianGenerator {
 public:
  ScrambledZipfianGenerator(std::uint64_t items, double theta,
                            ZipfianSpace space = ZipfianSpace::standard);
  std::uint64_t next(Random& random) const { return fnv_hash(zipfian_.next(random)) % items_; }

 private:
  std::uint64_t items_;
  ZipfianGenerator zipfian_;
};

// The newest records are the most popular: zipfian counted back from the last one.
class LatestGenerator {
 public:
  LatestGenerator(std::uint64_t items, double theta) : zipfian_(items, theta) {}
  // `last` is the newest record's number: at least items - 1, and never less than in an earlier
  // call.
  std::uint64_t next(Random& random, std::uint64_t last) {
    zipfian_.grow(last + 1);
    return last - zipfian_.next(random);
  }

 private:
  ZipfianGenerator zipfian_;
};

}  // namespace scalio::ycsb
