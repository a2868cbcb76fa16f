#include "base/descriptor_limit.h"

#include <fmt/format.h>
#include <sys/resource.h>

namespace scalio {

std::string too_few_descriptors(std::string_view what, std::uint64_t needed) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return "";
  return fmt::format(
      "{} may need {} descriptors, and this process may have {} open: who comes when they are "
      "used up is refused; raise the limit (ulimit -n, LimitNOFILE=)",
      what, needed, limit.rlim_cur);
}

}  // namespace scalio
