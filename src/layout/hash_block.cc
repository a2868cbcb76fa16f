#include "layout/hash_block.h"

#include "base/hash.h"
#include "layout/rules.h"

namespace scalio::layout {

namespace {
// Body header: checksum:32 | version:48 key_length:8 kind:8 | value_length:16 | filled:16.
constexpr std::uint32_t kMeta = 4;

std::uint32_t lower_half(std::uint64_t checksum) { return static_cast<std::uint32_t>(checksum); }
std::uint32_t upper_half(std::uint64_t checksum) {
  return static_cast<std::uint32_t>(checksum >> 32);
}
}  // namespace

std::uint64_t slot_place(std::uint64_t block, std::uint32_t slot, std::uint16_t generation) {
  if (!kept(Rule::position)) block = slot = 0;
  if (!kept(Rule::generation)) generation = 0;
  return mix(block << 24 | std::uint64_t{slot} << 16 | generation);
}

std::uint32_t slot_bytes(const RecordView& record) {
  return static_cast<std::uint32_t>(
      round_up(kSlotHeader + record.key.size() + record.value.size(), 8));
}

std::uint32_t encode_slot(ByteSpan out, const RecordView& record, std::uint64_t place,
                          std::uint16_t filled) {
  const std::size_t used = kSlotHeader + record.key.size() + record.value.size();
  SCALIO_ASSERT(!record.key.empty() && record.key.size() <= kMaxKey &&
                record.value.size() <= 0xffff);
  SCALIO_ASSERT(record.kind != Kind::pointer && record.version <= kMaxVersion);
  SCALIO_ASSERT(out.size() >= slot_bytes(record));
  std::byte* p = out.data();
  store(p + kMeta, record.version | std::uint64_t{record.key.size()} << 48 |
                       static_cast<std::uint64_t>(record.kind) << 56);
  store(p + kValueLength, static_cast<std::uint16_t>(record.value.size()));
  store(p + kFilled, filled);
  std::memcpy(p + kSlotHeader, record.key.data(), record.key.size());
  if (!record.value.empty()) {
    std::memcpy(p + kSlotHeader + record.key.size(), record.value.data(), record.value.size());
  }
  std::memset(p + used, 0, slot_bytes(record) - used);
  const std::uint64_t sum = checksum(out.subspan(kMeta, used - kMeta), place);
  store(p, lower_half(sum));
  return upper_half(sum);
}

std::optional<RecordView> unchecked_record(ByteView slot) {
  const std::byte* p = slot.data();
  const auto meta = load<std::uint64_t>(p + kMeta);
  const std::size_t key_length = meta >> 48 & 0xff;
  const std::size_t value_length = load<std::uint16_t>(p + kValueLength);
  const auto kind = static_cast<Kind>(meta >> 56);
  if (key_length == 0 || kSlotHeader + key_length + value_length > slot.size()) return std::nullopt;
  if (kind != Kind::value && kind != Kind::tombstone) return std::nullopt;
  const auto* text = reinterpret_cast<const char*>(p + kSlotHeader);
  return RecordView{
      {text, key_length}, {text + key_length, value_length}, meta & kMaxVersion, kind};
}

std::optional<RecordView> decode_slot(ByteView slot, std::uint64_t place,
                                      std::optional<std::uint32_t> upper) {
  const std::optional<RecordView> record = unchecked_record(slot);
  if (!record) return std::nullopt;
  const std::size_t used = kSlotHeader + record->key.size() + record->value.size();
  const std::uint64_t sum = checksum(slot.subspan(kMeta, used - kMeta), place);
  const bool matches =
      load<std::uint32_t>(slot.data()) == lower_half(sum) && (!upper || *upper == upper_half(sum));
  if (!matches && kept(Rule::slot_checksum)) return std::nullopt;
  return record;
}

}  // namespace scalio::layout
