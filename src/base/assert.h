// SCALIO_ASSERT: a condition the code relies on. Checked in every build; a false one ends the
// process, because going on could lose data.
#pragma once

namespace scalio {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
}

#define SCALIO_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::scalio::assertion_failed(#condition, __FILE__, __LINE__))
