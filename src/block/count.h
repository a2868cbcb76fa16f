// How a device counts an operation that ended.
#pragma once

#include "block/block_device.h"

namespace scalio::block {

// A failed operation is an error and nothing else: what it did to the medium is not known.
inline void count(Counters& counters, const Io& io, const Status& status) {
  if (!status.ok()) {
    ++counters.errors;
    return;
  }
  switch (io.kind) {
    case Io::Kind::read:
      ++counters.reads;
      counters.bytes_read += io.size;
      break;
    case Io::Kind::write:
      ++counters.writes;
      counters.bytes_written += io.size;
      break;
    case Io::Kind::flush: ++counters.flushes; break;
  }
}

}  // namespace scalio::block
