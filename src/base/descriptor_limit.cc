#include "base/descriptor_limit.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

namespace scalio {

namespace {
// How many descriptors this process may have open, after that.
std::uint64_t raise_limit_to(std::uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return UINT64_MAX;
  if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{std::min<rlim_t>(wanted, limit.rlim_max), limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return raised.rlim_cur;
  }
  return limit.rlim_cur;
}
}  // namespace

Result<std::uint64_t> fit_descriptors(const DescriptorNeed& need) {
  const std::uint64_t wanted = need.asked != 0 ? need.asked : need.usual;
  const std::uint64_t limit = raise_limit_to(need.own + wanted * need.each);
  const std::uint64_t fitting =
      limit <= need.own ? 0 : std::min(wanted, (limit - need.own) / need.each);
  if (fitting == wanted || (need.asked == 0 && fitting > 0)) return fitting;
  const std::uint64_t least = need.asked != 0 ? need.asked : 1;
  return Status(
      need.asked != 0 ? Code::invalid : Code::unavailable,
      fmt::format("{} {} need {} descriptors, and this process may have {} open, which is enough "
                  "for {}: raise the hard limit (ulimit -Hn, LimitNOFILE=), or take fewer",
                  least, need.what, need.own + least * need.each, limit, fitting));
}

}  // namespace scalio
