// Numbers that nobody can foresee: of the kernel's randomness, by libsodium.
//
// Thread-safe.
#pragma once

#include <cstdint>

#include "layout/log_key.h"

namespace scalio::layout {

std::uint64_t random_number();
// A key for MACs that need not outlive the process.
Mac random_mac_key();

}  // namespace scalio::layout
