// The file of a store's key (layout/log_key.h): DIR/key, which nobody but its owner can read.
#pragma once

#include <scalio/status.h>

#include <string>

#include "layout/geometry.h"
#include "layout/log_key.h"

namespace scalio::storage {

std::string key_path(const std::string& dir);

// A new key, of the kernel's randomness. Failures: io_error.
Result<layout::StoreKey> make_store_key();

// Writes it into a directory that has none, durably but for its name. Failures: io_error.
Status write_store_key(const std::string& dir, const layout::StoreKey& key);

// The key of the store that `ssd` is of. Failures, which say what to do: invalid (there is no such
// file, or it may not be read, or by everybody, or it is that of another store), corrupt (it holds
// no key), unavailable (the machine has not what it takes to read it).
Result<layout::StoreKey> read_store_key(const std::string& dir, const layout::SsdGeometry& ssd);

}  // namespace scalio::storage
