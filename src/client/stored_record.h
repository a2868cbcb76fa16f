// StoredRecord: what a slot or a bucket has of a key, before a large value is read.
#pragma once

#include <scalio/client.h>

#include "layout/record.h"

namespace scalio::client {

struct StoredRecord {
  Record record;  // its value is the bytes of a pointer if that is its kind
  layout::Kind kind = layout::Kind::value;

  bool large() const { return kind == layout::Kind::pointer; }
};

}  // namespace scalio::client
