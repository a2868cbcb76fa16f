// RocksDB, in a build that has not found it.
#include "eval/rivals/rival_starts.h"

namespace scalio::eval {

Result<std::unique_ptr<Rival>> start_rocksdb(const RivalOptions&) {
  return Status(Code::unavailable,
                "this program was built without RocksDB: install librocksdb-dev, configure and "
                "build again; with ThreadSanitizer it is always left out");
}

Result<std::unique_ptr<Rival>> start_rocksdb_nosync(const RivalOptions& options) {
  return start_rocksdb(options);
}

}  // namespace scalio::eval
