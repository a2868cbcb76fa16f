// RocksDB, in a build that has not found it.
#include "blob_rocksdb.h"

namespace scalio::bench {

std::unique_ptr<BlobRocksdb> BlobRocksdb::open(const std::filesystem::path&) { return nullptr; }

}  // namespace scalio::bench
