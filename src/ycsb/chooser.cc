#include "ycsb/chooser.h"

#include <algorithm>
#include <numeric>

namespace scalio::ycsb {
namespace {

// In the order of Operation.
std::array<double, kOperations> proportions(const Workload& w) {
  std::array<double, kOperations> p{w.reads,   w.updates,         w.inserts, w.read_modify_writes,
                                    w.deletes, w.conditional_puts};
  double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& share : p) share /= sum;
  return p;
}

}  // namespace

OperationChooser::OperationChooser(const Workload& workload) {
  std::array<double, kOperations> shares = proportions(workload);
  std::partial_sum(shares.begin(), shares.end(), upto_.begin());
  // The last one that occurs takes what rounding leaves.
  for (std::size_t i = kOperations; i-- > 0;) {
    upto_[i] = 2;
    if (shares[i] > 0) break;
  }
}

Operation OperationChooser::next(Random& random) const {
  double u = random.real();
  std::size_t i = 0;
  while (u >= upto_[i]) ++i;
  return static_cast<Operation>(i);
}

std::uint64_t expected_inserts(const Workload& workload) {
  double inserts = proportions(workload)[static_cast<std::size_t>(Operation::insert)];
  return static_cast<std::uint64_t>(2 * inserts * static_cast<double>(workload.operations));
}

std::uint64_t expected_records(const Workload& workload) {
  return workload.records + expected_inserts(workload);
}

RecordChooser::Generator RecordChooser::make(const Workload& workload) {
  switch (workload.distribution) {
    case Distribution::uniform: return Uniform{workload.loaded()};
    // The popularity of records must not change as others are inserted, so the space includes those
    // to come.
    case Distribution::zipfian:
      return ScrambledZipfianGenerator(workload.loaded() + expected_inserts(workload),
                                       workload.zipfian_constant, workload.zipfian_space);
    case Distribution::latest: return LatestGenerator(workload.records, workload.zipfian_constant);
  }
  return Uniform{workload.loaded()};
}

RecordChooser::RecordChooser(const Workload& workload)
    : first_(workload.insert_start), generator_(make(workload)) {}

std::uint64_t RecordChooser::next(Random& random, std::uint64_t existing) {
  if (auto* latest = std::get_if<LatestGenerator>(&generator_))
    return latest->next(random, existing - 1);
  if (auto* uniform = std::get_if<Uniform>(&generator_))
    return first_ + random.below(uniform->records);
  auto& zipfian = std::get<ScrambledZipfianGenerator>(generator_);
  std::uint64_t record = first_ + zipfian.next(random);
  while (record >= existing) record = first_ + zipfian.next(random);
  return record;
}

}  // namespace scalio::ycsb
