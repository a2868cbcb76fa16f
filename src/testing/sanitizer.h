// Whether this build has a sanitizer, which takes addresses and descriptors of its own: tests that
// limit them do without.
#pragma once

namespace scalio {

#if defined(SCALIO_SANITIZES_ADDRESSES) || defined(SCALIO_SANITIZES_THREADS)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace scalio
