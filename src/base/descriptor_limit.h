// The limit on descriptors that a process may have open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace scalio {

// A warning, if `what` may need more descriptors (`needed`) than this process may have; else empty.
std::string too_few_descriptors(std::string_view what, std::uint64_t needed);

}  // namespace scalio
