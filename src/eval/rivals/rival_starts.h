// What each rival's file has for the table of them.
#pragma once

#include "eval/rivals/rival.h"

namespace scalio::eval {

Result<std::unique_ptr<Rival>> start_rocksdb(const RivalOptions& options);
Result<std::unique_ptr<Rival>> start_rocksdb_nosync(const RivalOptions& options);
Result<std::unique_ptr<Rival>> start_redis(const RivalOptions& options);
Result<std::unique_ptr<Rival>> start_redis_memory(const RivalOptions& options);
Result<std::unique_ptr<Rival>> start_memcached(const RivalOptions& options);

}  // namespace scalio::eval
