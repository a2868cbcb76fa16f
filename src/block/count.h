// How a device counts an operation that ended, and how the counts of several are one.
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

inline Counters& operator+=(Counters& sum, const Counters& o) {
  sum.reads += o.reads;
  sum.writes += o.writes;
  sum.flushes += o.flushes;
  sum.bytes_read += o.bytes_read;
  sum.bytes_written += o.bytes_written;
  sum.errors += o.errors;
  return sum;
}

}  // namespace scalio::block
