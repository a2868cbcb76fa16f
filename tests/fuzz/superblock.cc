// Superblocks.
#include "layout/superblock.h"

#include <algorithm>
#include <string>

#include "base/hash.h"
#include "layout/log.h"
#include "target.h"

namespace scalio::fuzz {

using namespace layout;

namespace {
constexpr std::uint64_t kDevice = 2 << 20;

void use(ByteView bytes) {
  Result<SsdGeometry> g = decode_superblock(bytes, kDevice);
  if (!g.ok()) return;
  // All that is computed from it stays on the device.
  require(g->shard < g->shards && g->buckets > 0);
  require(g->log_offset + g->log_size <= g->bucket_offset);
  require(g->bucket_at(g->all_buckets() - 1) + g->bucket_size <= kDevice);
  require(g->home_bucket(~0ULL) < g->buckets);
  require(g->log_size >= 16 * std::uint64_t{max_batch(*g)});
}
}  // namespace

void run(ByteView input) {
  Bytes bytes(kSuperblockSize);
  std::copy_n(input.begin(), std::min<std::size_t>(input.size(), bytes.size()), bytes.begin());
  use(bytes);
  // And under a right checksum (docs/formats.md).
  store(bytes.data() + kSuperblockSize - 8,
        checksum(ByteView(bytes).first(kSuperblockSize - 8), 0x5355504552ULL));
  use(bytes);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  for (const std::uint32_t bucket : {512U, 1024U, 4096U}) {
    SsdGeometry base;
    base.shards = 4;
    base.bucket_size = bucket;
    base.inline_limit = 80;
    Result<SsdGeometry> g = plan_ssd(base, kDevice, min_log_size(base));
    require(g.ok());
    out.emplace_back(kSuperblockSize);
    encode_superblock(out.back(), *g);
  }
  return out;
}

}  // namespace scalio::fuzz
