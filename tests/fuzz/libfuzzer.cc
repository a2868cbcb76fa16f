#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  scalio::fuzz::run({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
