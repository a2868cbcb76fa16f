// The limit on descriptors that a process may have open.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <string_view>

namespace scalio {

// Of things that keep descriptors open, how many this process can bear.
struct DescriptorNeed {
  std::string_view what;    // "clients (--max-clients)"
  std::uint64_t asked = 0;  // 0: as many as can be, up to `usual`
  std::uint64_t usual = 0;
  std::uint64_t own = 0;  // descriptors of the process without any
  std::uint64_t each = 0;
};
// Raises the soft limit to the hard one if need be. Fails with invalid if what was asked for does
// not fit, with unavailable if nothing was and not even one does: says how many descriptors it
// takes, and how many would fit.
Result<std::uint64_t> fit_descriptors(const DescriptorNeed& need);

}  // namespace scalio
