#include "server/slot_repair.h"

#include "layout/value_area.h"

namespace scalio::server {

using layout::WriteState;

std::optional<layout::RecordView> SlotRepair::look(std::uint64_t block, std::uint32_t i) const {
  const auto r = table_.look(block, i);
  if (r && r->kind == layout::Kind::pointer &&
      !layout::decode_pointer(as_bytes(r->value), r->key.size(), geometry_)) {
    return std::nullopt;
  }
  return r;
}

bool SlotRepair::intact(std::uint64_t block, std::uint32_t i) const {
  return table_.word_intact(block, i) &&
         (table_.slot(block, i).state == WriteState::empty || body_intact(block, i));
}

void SlotRepair::warn(std::uint64_t block, std::uint32_t i, std::string_view what) {
  warnings_.warn(
      executor_.now(),
      fmt::format("write slot {} of block {} was overwritten in the region by a client; {}", i,
                  block, what));
}

std::optional<BlockTable::Published> SlotRepair::read_intact(std::uint64_t block,
                                                             std::uint32_t i) const {
  const auto r = look(block, i);
  if (!r) return std::nullopt;
  return BlockTable::Published(*r);
}

Task<Result<BlockTable::Published>> SlotRepair::read(std::uint64_t block, std::uint32_t i) {
  const WriteSlot& s = table_.slot(block, i);
  if (auto p = read_intact(block, i)) co_return *std::move(p);
  block::Buffer storage(Log::record_storage(geometry_));
  for (;;) {
    const std::uint64_t lsn = s.lsn;
    Result<layout::LogRecordView> r = co_await log_.read_record(lsn, storage);
    if (!r.ok()) {
      // What is logged once more may leave where it was.
      if (s.dirty() && s.lsn != lsn) continue;
      co_return r.status();
    }
    BlockTable::Published p(r->record());
    // Meanwhile it may have been merged, which changes nothing; or the slot has something else, or
    // is whole.
    if (s.state != WriteState::empty && s.version == p.version && s.lsn == lsn &&
        !body_intact(block, i)) {
      warn(block, i, "its value is taken from the log");
      table_.republish(block, i, p.view());
    }
    co_return p;
  }
}

Task<void> SlotRepair::repair(std::uint64_t block, std::uint32_t i) {
  const WriteSlot& s = table_.slot(block, i);
  if (!table_.word_intact(block, i)) {
    warn(block, i, "while its word was wrong, readers of its key may have got an older value");
    table_.mend(block, i);
  }
  if (s.state == WriteState::empty || body_intact(block, i)) co_return;
  if (!s.dirty()) {
    // The bucket has the value (rule 7), the log may not any more. If a write of the key is on its
    // way to the slot, that replaces the body.
    if (s.reserved || s.merging) co_return;
    warn(block, i, "its value is in its bucket");
    co_return table_.discard(block, i);
  }
  const std::uint64_t lsn = s.lsn;
  Result<BlockTable::Published> p = co_await read(block, i);
  if (!p.ok() && s.dirty() && s.lsn == lsn) {
    warn(block, i, "its value cannot be read from the log: " + p.status().to_string());
  }
}

}  // namespace scalio::server
