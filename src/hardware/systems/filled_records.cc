#include "hardware/systems/filled_records.h"

#include <algorithm>

namespace scalio::hardware {

FilledRecords::FilledRecords(const FilledShape& shape, std::uint32_t parts,
                             const std::function<Where(std::string_view)>& where)
    : placed_(parts), key_(shape.key_size), value_(shape.value_size) {
  for (std::uint64_t n = 0; n < shape.records; ++n) {
    const Where at = where(key(n));
    placed_[at.part].push_back({at.bucket, n});
  }
  for (auto& in_part : placed_) std::sort(in_part.begin(), in_part.end());
}

std::string_view FilledRecords::key(std::uint64_t number) {
  key_.set(ycsb::Digits(number));
  return key_.view();
}

std::string_view FilledRecords::value(std::uint64_t number) {
  ycsb::make_value(value_, ycsb::Digits(number), {0, 0}, 0);
  return {value_.data(), value_.size()};
}

}  // namespace scalio::hardware
