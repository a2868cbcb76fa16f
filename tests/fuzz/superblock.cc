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
constexpr std::uint64_t kDevice = 8 << 20;

void use(ByteView bytes) {
  Result<SsdGeometry> g = decode_superblock(bytes, kDevice);
  if (!g.ok()) return;
  // All that is computed from it stays on the device.
  require(g->shard < g->shards && g->buckets > 0 && g->slice() == 0);
  std::uint64_t end = kSuperblockSize;
  for (std::uint32_t i = 0; i < g->slices; ++i) {
    const SsdGeometry s = slice_of(*g, i);
    require(s.log_offset == end && s.ssd() == g->ssd() && s.slice() == i);
    require(s.log_offset + s.log_size <= s.bucket_offset);
    require(s.bucket_at(s.all_buckets() - 1) + s.bucket_size <= s.value_offset());
    end = s.value_offset() + s.value_size;
  }
  require(end + kSuperblockSize <= kDevice);
  require(g->home_bucket(~0ULL) < g->buckets);
  require(g->log_size >= 16 * std::uint64_t{max_batch(*g)});
  const Placement placement = g->placement();
  for (const std::uint64_t hash : {0ULL, 1ULL << 63, ~0ULL})
    require(placement.shard_of(hash) < g->shards);
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
    base.slices = 1 + bucket / 2048;
    base.shards = 4 * base.slices;
    base.value_size = bucket == 512 ? 256 << 10 : 0;
    base.segment_size = base.value_size / 2;
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
