// BlockTable: the server's side of the hash blocks. It owns the write slots: their truth is here,
// and what stands in the region is a copy for clients. So whatever a client does to the region, no
// write is lost. The bodies are in the region alone: of each a MAC is kept here, by a key that the
// process makes for itself, and a body that has another one is not the server's.
//
// The order of stores in publish() is rule 1 of the protocol, what mend() and republish() do is
// rule 11.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "fabric/region_access.h"
#include "layout/hash_block.h"
#include "layout/log_key.h"
#include "task/executor.h"

namespace scalio::server {

// Where the unmerged writes of a slot find room in the buckets (BucketRoom).
enum class SlotRoom : std::uint8_t {
  old_record,  // where the key's record lies: they take no more than that has
  counted,     // wherever there is some
  alone,       // likewise, and nobody near may take any meanwhile
};

// One write slot, as the server knows it.
struct WriteSlot {
  std::uint64_t hash = 0;     // of the key it holds or is reserved for
  std::uint64_t version = 0;  // of what is published in it
  std::uint64_t lsn = 0;      // of the log record of that
  std::uint64_t mac = 0;      // of the body that was stored last
  std::uint16_t generation = 0;
  std::uint16_t in_log = 0;      // writes of its key that are logged, not published
  std::uint16_t room_bytes = 0;  // what of a bucket its unmerged writes take at most
  std::uint8_t heat = 0;         // how often it was written again of late
  layout::WriteState state : 2 =
      layout::WriteState::empty;  // never locked: publishing does not suspend
  SlotRoom room : 2 = SlotRoom::old_record;
  bool reserved : 1 = false;  // for a write on its way through the log
  bool merging : 1 = false;
  bool stuck : 1 = false;    // it could not be merged: its bucket was damaged
  bool pointer : 1 = false;  // what is published in it has its value in the value log

  bool dirty() const { return state == layout::WriteState::dirty; }
  // A write of its key that is logged, or will be merged once more.
  bool unmerged() const { return dirty() || merging || in_log > 0; }
};
static_assert(sizeof(WriteSlot) == 40);  // counts against the cache

class BlockTable {
 public:
  // `region` is geometry.size() bytes, aligned to a cache line, that clients access concurrently.
  // `between_stores`, if there is one, is called between two stores to it whose order matters: what
  // clients can do there, the simulator does there.
  BlockTable(const layout::RegionGeometry& geometry, ByteSpan region,
             std::function<void()> between_stores = {});

  // DRAM that one block takes: in the region and here.
  static std::uint64_t bytes_per_block(const layout::RegionGeometry& geometry) {
    return geometry.block_size() + geometry.write_slots * sizeof(WriteSlot);
  }

  const layout::RegionGeometry& geometry() const { return geometry_; }
  WriteSlot& slot(std::uint64_t block, std::uint32_t i) {
    return slots_[block * geometry_.write_slots + i];
  }

  // The write slot of the block that has `key` published in it.
  std::optional<std::uint32_t> find(std::uint64_t block, std::uint64_t hash,
                                    std::string_view key) const;

  // The slot that may be reused (rule 7: EMPTY or CLEAN, and nobody's) with the coldest key.
  std::optional<std::uint32_t> reusable(std::uint64_t block) const;
  // The slot that should be merged next: the coldest of those that are DIRTY and can be.
  std::optional<std::uint32_t> mergeable(std::uint64_t block) const;

  // Takes a reusable slot for a key: what it held is no longer readable there.
  void reserve(std::uint64_t block, std::uint32_t i, std::uint64_t hash);

  // Publishes a write that is durable in the log at `lsn` (rule 1). Into a slot that holds another
  // write of the same key, the value is replaced; otherwise read slots of the key are killed first.
  void publish(std::uint64_t block, std::uint32_t i, const layout::RecordView& record,
               std::uint64_t lsn);

  // What is published in a slot, until the next call. Nothing if the region has another body there
  // than was stored (rule 11).
  std::optional<layout::RecordView> look(std::uint64_t block, std::uint32_t i) const;
  // A copy of it.
  class Published {
   public:
    explicit Published(const layout::RecordView& record)
        : version(record.version),
          kind(record.kind),
          end(record.end),
          text_(record.key.size() + record.value.size()) {
      std::byte* const middle = copy_bytes(as_bytes(record.key), text_.data());
      copy_bytes(as_bytes(record.value), middle);
      key = as_string({text_.data(), record.key.size()});
      value = as_string({middle, record.value.size()});
    }
    // The bytes stay where they are when their owner moves.
    Published(Published&&) = default;
    Published& operator=(Published&&) = default;
    layout::RecordView view() const { return {key, value, version, kind, end}; }

    std::string_view key, value;
    std::uint64_t version;
    layout::Kind kind;
    std::uint64_t end;

   private:
    Bytes text_;
  };
  std::optional<Published> read(std::uint64_t block, std::uint32_t i) const;

  // The slot's write has been merged: DIRTY to CLEAN (rule 7).
  void set_clean(std::uint64_t block, std::uint32_t i);

  // Whether the slot's word is the one that was stored there last.
  bool word_intact(std::uint64_t block, std::uint32_t i) const;
  // Puts a damaged word right (rule 11); the slot keeps its state, version and LSN. A body that is
  // damaged too stays so.
  void mend(std::uint64_t block, std::uint32_t i);
  // Publishes what a slot holds once more, because its body is damaged: `record` is of the slot's
  // version. State, version and LSN stay (rule 11).
  void republish(std::uint64_t block, std::uint32_t i, const layout::RecordView& record);
  // Empties a slot that is CLEAN, and nobody's, and whose body is damaged: the bucket has its value
  // (rule 7).
  void discard(std::uint64_t block, std::uint32_t i);

  std::uint64_t dirty() const { return dirty_; }
  std::uint64_t kills() const { return kills_; }
  // Found and put right.
  std::uint64_t damaged_words() const { return damaged_words_; }
  std::uint64_t damaged_bodies() const { return damaged_bodies_; }

 private:
  const std::byte* body(std::uint64_t block, std::uint32_t i) const {
    return region_.data() + geometry_.block_at(block) + geometry_.body(geometry_.read_slots + i);
  }
  template <class Eligible>
  std::optional<std::uint32_t> coldest(std::uint64_t block, Eligible eligible) const;
  void between_stores() const {
    if (between_stores_) between_stores_();
  }
  std::byte* word_at(std::uint64_t block, std::uint32_t i) const {
    return region_.data() + geometry_.block_at(block) + geometry_.write_word(i);
  }
  std::byte* upper_checksum_at(std::uint64_t block, std::uint32_t i) const {
    return region_.data() + geometry_.block_at(block) + geometry_.upper_checksum(i);
  }
  // Stores the slot's word if it is still the one that was `stored` there last. It is a CAS, so
  // that nothing that a client has written there is overwritten unseen.
  bool replace_word(std::uint64_t block, std::uint32_t i, std::uint64_t stored,
                    std::uint64_t word) {
    return fabric::cas_word(word_at(block, i), stored, word) == stored;
  }
  void store_state(std::uint64_t block, std::uint32_t i, std::uint64_t stored);
  void store_body(std::uint64_t block, std::uint32_t i, const layout::RecordView& record);
  void hide(std::uint64_t block, std::uint32_t i);
  void kill_read_slots(std::uint64_t block, std::uint32_t tag);
  bool holds(std::uint64_t block, std::uint32_t i, std::string_view key) const;
  std::uint64_t mac_of(ByteView body) const;

  const layout::RegionGeometry geometry_;
  ByteSpan region_;
  const std::function<void()> between_stores_;
  const layout::Mac mac_key_;
  std::vector<WriteSlot> slots_;
  mutable Bytes scratch_;  // one slot body
  std::uint64_t dirty_ = 0;
  std::uint64_t kills_ = 0;
  std::uint64_t damaged_words_ = 0;
  std::uint64_t damaged_bodies_ = 0;
};

}  // namespace scalio::server
