// Whether this build has a sanitizer, which takes addresses and descriptors of its own: tests that
// limit them do without.
#pragma once

namespace scalio {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace scalio
