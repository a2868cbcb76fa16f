#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace scalio {

void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "scalio: assertion failed: %s (%s:%d); please report this\n", condition,
               file, line);
  std::abort();
}

}  // namespace scalio
