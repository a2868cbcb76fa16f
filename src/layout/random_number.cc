#include "layout/random_number.h"

#include <sodium.h>

#include "base/assert.h"

namespace scalio::layout {

namespace {
template <class T>
T of_chance() {
  static const bool ready = sodium_init() >= 0;
  SCALIO_ASSERT(ready);
  T out{};
  randombytes_buf(&out, sizeof out);
  return out;
}
}  // namespace

std::uint64_t random_number() { return of_chance<std::uint64_t>(); }
Mac random_mac_key() { return of_chance<Mac>(); }

}  // namespace scalio::layout
