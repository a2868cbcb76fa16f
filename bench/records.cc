#include "records.h"

#include <algorithm>
#include <numeric>

#include "load.h"

namespace scalio::bench {

std::function<std::uint64_t()> uniform(std::uint64_t records, std::uint64_t seed) {
  return [records, random = Random(seed)]() mutable { return random.below(records); };
}

std::function<std::uint64_t()> in_turn(std::vector<std::uint64_t> records) {
  return [records = std::move(records), next = std::size_t{0}]() mutable {
    const std::uint64_t record = records[next];
    next = next + 1 == records.size() ? 0 : next + 1;
    return record;
  };
}

std::vector<std::uint64_t> shuffled(std::uint64_t records, std::uint64_t seed) {
  std::vector<std::uint64_t> order(records);
  std::iota(order.begin(), order.end(), 0);
  Random random(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

std::vector<std::uint64_t> cached(Client& client, std::uint64_t most) {
  std::vector<std::uint64_t> order = shuffled(most);
  run_gets(client, {.depth = 64, .operations = most}, in_turn(order));
  std::erase_if(order, [&client](std::uint64_t record) {
    return run_gets(client, {.operations = 1}, [record] { return record; }).counters.hits == 0;
  });
  // Looking has itself filled slots with what was not there, in place of others.
  std::erase_if(order, [&client](std::uint64_t record) {
    return run_gets(client, {.operations = 1}, [record] { return record; }).counters.hits == 0;
  });
  return order;
}

}  // namespace scalio::bench
