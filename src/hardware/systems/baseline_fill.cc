#include <algorithm>

#include "baseline/leed/leed_message.h"
#include "hardware/systems/store_fill.h"

namespace scalio::hardware {

namespace {
using Placed = FilledRecords::Placed;
}

// Each bucket is a segment, written once, with the values before it.
std::vector<leed::Recovered> fill_leed(const leed::LeedGeometry& g,
                                       const std::vector<SparseBytes*>& ssds,
                                       const FilledShape& shape) {
  const auto count = static_cast<std::uint32_t>(ssds.size());
  FilledRecords records(shape, count, [&](std::string_view key) {
    return FilledRecords::Where{leed::ssd_of(key, count), g.id_of(key)};
  });
  const auto length = static_cast<std::uint32_t>(shape.value_size);
  const std::uint32_t blocks = leed::blocks_of(length);
  Bytes value(std::size_t{blocks} * leed::kBlock), segment;
  std::vector<leed::Recovered> all;
  for (std::uint32_t ssd = 0; ssd < count; ++ssd) {
    std::uint64_t value_block = 0, position = 0;
    leed::Recovered& found = all.emplace_back(g.ids);
    records.for_each_bucket(ssd, [&](std::uint64_t id, const Placed* begin, const Placed* end) {
      const auto items = static_cast<std::uint32_t>(end - begin);
      const std::uint32_t chain = (items + leed::kBucketItems - 1) / leed::kBucketItems;
      SCALIO_ASSERT(chain <= leed::kMaxChain && position + chain <= g.bucket_blocks);
      segment.assign(std::size_t{chain} * leed::kBlock, std::byte{0});
      for (std::uint32_t i = 0; i < items; ++i) {
        SCALIO_ASSERT(value_block + blocks <= g.value_blocks);
        copy_bytes(as_bytes(records.value(begin[i].number)), value.data());
        ssds[ssd]->write(g.value_at(value_block), value);
        const ByteSpan bucket =
            ByteSpan(segment).subspan(i / leed::kBucketItems * leed::kBlock, leed::kBlock);
        leed::set_bucket_item(
            bucket, i % leed::kBucketItems,
            {records.key(begin[i].number), length, value_block * leed::kUnitsPerBlock});
        found.values.push_back(
            {value_block * leed::kUnitsPerBlock, static_cast<std::uint32_t>(id)});
        found.live_units += leed::units_of(length);
        value_block += blocks;
      }
      for (std::uint32_t i = 0; i < chain; ++i) {
        const leed::BucketPlace place{static_cast<std::uint32_t>(id), chain, i, position + i, 0};
        leed::seal_bucket(ByteSpan(segment).subspan(i * leed::kBlock, leed::kBlock), place, g);
      }
      ssds[ssd]->write(g.bucket_at(position), segment);
      found.index.set(static_cast<std::uint32_t>(id), static_cast<std::uint32_t>(position), chain);
      position += chain;
    });
    found.bucket_tail = position;
    found.value_tail = value_block;
  }
  return all;
}

// Buckets that overflow are linked in the order in which they do.
void fill_paper(const paper::PaperGeometry& g, const std::vector<SparseBytes*>& ssds,
                const FilledShape& shape) {
  const auto count = static_cast<std::uint32_t>(ssds.size());
  FilledRecords records(shape, count, [&](std::string_view key) {
    return FilledRecords::Where{leed::ssd_of(key, count), g.bucket_of(g.hash_of(key))};
  });
  Bytes value(g.value_size()), bucket(paper::kBlock);
  for (std::uint32_t ssd = 0; ssd < count; ++ssd) {
    std::uint64_t place = 0;
    std::uint32_t overflow = g.buckets;
    records.for_each_bucket(ssd, [&](std::uint64_t home, const Placed* begin, const Placed* end) {
      auto number = static_cast<std::uint32_t>(home);
      std::ranges::fill(bucket, std::byte{0});
      const auto write = [&] {
        paper::seal_bucket(bucket, number, g);
        ssds[ssd]->write(g.bucket_at(number), bucket);
      };
      for (std::uint32_t i = 0; begin + i != end; ++i) {
        if (i > 0 && i % leed::kBucketItems == 0) {
          SCALIO_ASSERT(overflow < g.all_buckets());
          paper::link_bucket(bucket, overflow);
          write();
          number = overflow++;
          std::ranges::fill(bucket, std::byte{0});
        }
        SCALIO_ASSERT(place < g.values);
        const std::uint64_t n = begin[i].number;
        paper::encode_value(value, place, {records.key(n), records.value(n)}, g);
        ssds[ssd]->write(g.value_at(place), value);
        leed::set_bucket_item(bucket, i % leed::kBucketItems, {records.key(n), 0, place});
        ++place;
      }
      write();
    });
  }
}

}  // namespace scalio::hardware
