// FilledRecords: the records that a store of the model begins with, by part and bucket, so that
// each system's store can be written as its server would have left it: a hundred times faster than
// to write all records one by one. A part is an SSD or, of Scalio, a slice of one.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "ycsb/key_value.h"

namespace scalio::hardware {

struct FilledShape {
  std::uint64_t records = 0;  // 0 to records - 1, keys and values as ycsb has them
  std::uint64_t key_size = 0;
  std::uint64_t value_size = 0;
};

class FilledRecords {
 public:
  struct Placed {
    std::uint64_t bucket;
    std::uint64_t number;
    bool operator<(const Placed& o) const {
      return bucket != o.bucket ? bucket < o.bucket : number < o.number;
    }
  };
  struct Where {
    std::uint32_t part;
    std::uint64_t bucket;
  };
  FilledRecords(const FilledShape& shape, std::uint32_t parts,
                const std::function<Where(std::string_view key)>& where);

  // Calls f(bucket, first, end) for each bucket of a part that has records, in their order.
  template <class F>
  void for_each_bucket(std::uint32_t part, F f) {
    const std::vector<Placed>& all = placed_[part];
    for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
      while (end < all.size() && all[end].bucket == all[begin].bucket) ++end;
      f(all[begin].bucket, all.data() + begin, all.data() + end);
    }
  }
  // Until the next call.
  std::string_view key(std::uint64_t number);
  std::string_view value(std::uint64_t number);

 private:
  std::vector<std::vector<Placed>> placed_;
  ycsb::KeyBuffer key_;
  std::vector<char> value_;
};

}  // namespace scalio::hardware
