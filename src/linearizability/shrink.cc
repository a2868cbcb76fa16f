#include "linearizability/shrink.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include "base/assert.h"

namespace scalio::linearizability {

using history::Operation;

namespace {
using Numbers = std::vector<std::size_t>;

// Without those from `begin` to `end`, and what they take with them.
Numbers without(std::span<const Operation> history, const Numbers& kept, std::size_t begin,
                std::size_t end) {
  std::set<std::pair<std::string_view, std::string_view>> gone;  // key and value
  for (std::size_t i = begin; i < end; ++i) {
    const Operation& o = history[kept[i]];
    if (o.is_write() && o.value) gone.emplace(o.key, *o.value);
  }
  Numbers left;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const Operation& o = history[kept[i]];
    const bool lost = !o.is_write() && o.value && gone.contains({o.key, *o.value});
    if ((i < begin || i >= end) && !lost) left.push_back(kept[i]);
  }
  return left;
}

std::vector<Operation> chosen(std::span<const Operation> history, const Numbers& numbers) {
  std::vector<Operation> out;
  out.reserve(numbers.size());
  for (const std::size_t i : numbers) out.push_back(history[i]);
  return out;
}
}  // namespace

// Many at once at first, then fewer. At the end each alone: whoever was needed once is needed for
// ever, since fewer are there later.
Numbers shrink(std::span<const Operation> history,
               const std::function<bool(std::span<const Operation>)>& fails) {
  SCALIO_ASSERT(fails(history));
  Numbers kept(history.size());
  std::iota(kept.begin(), kept.end(), std::size_t{0});
  for (std::size_t chunk = kept.size(); chunk > 0; chunk /= 2) {
    for (std::size_t begin = 0; begin < kept.size();) {
      Numbers left = without(history, kept, begin, std::min(begin + chunk, kept.size()));
      if (fails(chosen(history, left))) {
        // Gets before it may have gone too.
        const auto next = std::lower_bound(left.begin(), left.end(), kept[begin]);
        begin = static_cast<std::size_t>(next - left.begin());
        kept = std::move(left);
      } else {
        begin += chunk;
      }
    }
  }
  return kept;
}

}  // namespace scalio::linearizability
