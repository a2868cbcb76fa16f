// A fuzz target: code that reads bytes which somebody else wrote. Each NAME.cc defines these for
// one kind of bytes; driver.cc makes a test of them, libfuzzer.cc a target for libFuzzer.
#pragma once

#include <cstdlib>
#include <vector>

#include "base/bytes.h"

namespace scalio::fuzz {

// Reads the bytes as the product does. Whatever they are, it must end, within its memory; what it
// accepts must keep what its decoder promises.
void run(ByteView input);
// Some valid inputs to start from.
std::vector<Bytes> seeds();

inline void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace scalio::fuzz
