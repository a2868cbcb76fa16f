// SlotRepair: the write slots in the region are a copy that clients can damage. What is published
// in one is read here, whatever they have done to it, and put right where it is damaged (rule 11).
#pragma once

#include "net/limited_log.h"
#include "server/block_table.h"
#include "server/log.h"

namespace scalio::server {

class SlotRepair {
 public:
  SlotRepair(Executor& executor, const layout::SsdGeometry& geometry, BlockTable& table, Log& log)
      : executor_(executor), geometry_(geometry), table_(table), log_(log) {}

  // What is published in a slot that is DIRTY: from the region, or else from the log, and then the
  // slot is published again. Fails if the log cannot be read, which it need not be any more once
  // the slot is CLEAN.
  Task<Result<BlockTable::Published>> read(std::uint64_t block, std::uint32_t i);
  // The same if the region has it. No pointer to where no value can be, whoever has stored it: in a
  // bucket it would be in everybody's way.
  std::optional<BlockTable::Published> read_intact(std::uint64_t block, std::uint32_t i) const;

  // Whether the region has what the server stored in the slot.
  bool intact(std::uint64_t block, std::uint32_t i) const;
  // Puts a slot right that is not intact, if that can be done now; else a later write or call does
  // it.
  Task<void> repair(std::uint64_t block, std::uint32_t i);

 private:
  // What look() has, but for a pointer that is none.
  std::optional<layout::RecordView> look(std::uint64_t block, std::uint32_t i) const;
  bool body_intact(std::uint64_t block, std::uint32_t i) const {
    return look(block, i).has_value();
  }
  void warn(std::uint64_t block, std::uint32_t i, std::string_view what);

  Executor& executor_;
  const layout::SsdGeometry& geometry_;
  BlockTable& table_;
  Log& log_;
  net::LimitedLog warnings_;
};

}  // namespace scalio::server
