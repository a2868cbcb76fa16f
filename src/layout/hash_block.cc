#include "layout/hash_block.h"

#include "base/hash.h"
#include "layout/rules.h"

namespace scalio::layout {

namespace {
// Body header: checksum:32 | meta:64 | value_length:16 | filled:16. The payload is behind it.
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
  return static_cast<std::uint32_t>(round_up(kSlotHeader + payload_size(record), 8));
}

std::uint32_t encode_slot(ByteSpan out, const RecordView& record, std::uint64_t place,
                          std::uint16_t filled) {
  const std::size_t used = kSlotHeader + payload_size(record);
  SCALIO_ASSERT(record.key.size() <= kMaxKey && record.value.size() <= 0xffff);
  SCALIO_ASSERT(well_formed(record, meta_of(record)) && record.version <= kMaxVersion);
  SCALIO_ASSERT(out.size() >= slot_bytes(record));
  std::byte* p = out.data();
  store(p + kMeta, meta_of(record).pack());
  store(p + kValueLength, static_cast<std::uint16_t>(record.value.size()));
  store(p + kFilled, filled);
  put_payload(p + kSlotHeader, record);
  std::memset(p + used, 0, slot_bytes(record) - used);
  const std::uint64_t sum = checksum(out.subspan(kMeta, used - kMeta), place);
  store(p, lower_half(sum));
  return upper_half(sum);
}

std::optional<RecordView> unchecked_record(ByteView slot) {
  const std::byte* p = slot.data();
  const RecordMeta meta = RecordMeta::unpack(load<std::uint64_t>(p + kMeta));
  const std::size_t value_length = load<std::uint16_t>(p + kValueLength);
  if (kSlotHeader + payload_size(meta.key_length, value_length, meta.has_end) > slot.size())
    return std::nullopt;
  const RecordView record = view_payload(p + kSlotHeader, meta, value_length);
  return well_formed(record, meta) ? std::optional(record) : std::nullopt;
}

std::optional<RecordView> decode_slot(ByteView slot, std::uint64_t place,
                                      std::optional<std::uint32_t> upper) {
  const std::optional<RecordView> record = unchecked_record(slot);
  if (!record) return std::nullopt;
  const std::size_t used = kSlotHeader + payload_size(*record);
  const std::uint64_t sum = checksum(slot.subspan(kMeta, used - kMeta), place);
  const bool matches =
      load<std::uint32_t>(slot.data()) == lower_half(sum) && (!upper || *upper == upper_half(sum));
  if (!matches && kept(Rule::slot_checksum)) return std::nullopt;
  return record;
}

}  // namespace scalio::layout
