// ShardClient: the operations of a client on one shard, and the client's side of the protocol
// (docs/protocol.md): the hit, the fill, the bypass, the steal.
#pragma once

#include <scalio/client.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/block_view.h"
#include "client/get_trace.h"
#include "client/part_turns.h"
#include "client/shard_link.h"
#include "client/ssd.h"
#include "client/value_upload.h"
#include "task/deadlines.h"

namespace scalio::client {

class ShardClient {
 public:
  // `opener` opens the shard's SSD as this machine sees it. While that fails, so do GETs that miss.
  // A client's shards of an SSD have its turns together; a single one, without any, has its own.
  ShardClient(Executor& executor, ShardLink& link, Ssd::Opener opener, const ClientOptions& options,
              std::shared_ptr<PartTurns> turns = nullptr);
  // Operations must have ended, also those that were given up: the executor has no task of theirs.
  ~ShardClient() = default;

  // Ends within the operation timeout, but for a large value: each of its parts has the timeout
  // from its turn on, and waits for that while others' are read. With `kind` no large value is
  // read: that is set to what the record is, and the value of one of a pointer is the pointer's
  // bytes.
  Task<Result<Record>> get(std::string_view key, std::uint64_t hash, layout::Kind* kind = nullptr);
  // The same, and what it did. No other GET may be under way.
  Task<Result<Record>> traced_get(std::string_view key, std::uint64_t hash, GetTrace& trace);
  // `request` stays until the task has ended.
  Task<Result<WriteReply>> write(const layout::Request& request);
  // The same of a write that leaves nothing but its version to tell.
  Task<Result<std::uint64_t>> write(layout::RequestKind kind, std::string_view key,
                                    std::string_view value, std::uint64_t expected);

  // As Client::get_parts. `hash` is as of get().
  Task<Result<std::uint64_t>> get_parts(std::string_view key, std::uint64_t hash, PartSink sink,
                                        std::uint64_t from);
  // Sets the key to a value over the inline limit, all in one piece. As ValueUpload::run_in_turn.
  Task<Result<std::uint64_t>> write_large(LargeWrite write, std::string_view value,
                                          std::optional<Nanos> deadline = std::nullopt);
  // As Client::set_end. `hash` is as of get().
  Task<Result<std::uint64_t>> set_end(std::string_view key, std::uint64_t hash, Expiry expiry,
                                      std::uint64_t expected);
  // As write_large with a value that comes in parts, as Client::put_parts.
  Task<Result<std::uint64_t>> put_parts(LargeWrite write, const PartSource& source);

  ShardLink& link() { return link_; }
  Ssd& ssd() { return ssd_; }
  ClientCounters counters() const;
  // Tells the server what hits and misses there were since the last report, for its statistics.
  // Waits for it until `deadline`, and never longer than the operation timeout.
  Task<void> report(Nanos deadline);

 private:
  enum class Next : std::uint8_t { done, again, bypass };
  class Block;    // a leased buffer for one hash block, or none
  struct Tries {  // of one GET, so far
    int rereads = 0;
    int polls = 0;
    int fills = 0;
  };

  Task<Code> read(const ShardConnection& link, std::uint64_t hash, BlockView::Bodies bodies,
                  ByteSpan into);
  auto find_in_time(std::string_view key, std::uint64_t hash, Nanos deadline,
                    std::shared_ptr<ShardConnection>&& held, Block&& nothing);
  Task<Result<StoredRecord>> find_slowly(std::string key, std::uint64_t hash, Nanos deadline,
                                         std::shared_ptr<ShardConnection> held, Block bytes);
  Task<Next> fill(ShardConnection& link, std::string_view key, std::uint64_t hash,
                  std::uint64_t block, std::uint32_t slot, std::uint64_t seen,
                  Result<StoredRecord>* out);
  Task<bool> settle(ShardConnection& link, Nanos began, Nanos deadline, Result<StoredRecord>* out);
  bool lives(const ShardConnection& link, std::uint64_t end) const {
    return end == 0 || link.store_time.lives(end, executor_.now());
  }
  Task<bool> bypass(ShardConnection& link, std::string_view key, std::uint64_t hash,
                    Result<StoredRecord>* out);
  struct Delivery;
  Task<Result<Record>> get_whole(std::string_view key, std::uint64_t hash, StoredRecord found);
  Task<Result<std::uint64_t>> deliver(Delivery& delivery, StoredRecord found);
  Task<Result<bool>> deliver_parts(Delivery& delivery, const Record& found,
                                   const layout::Pointer& pointer);
  Task<Result<StoredRecord>> find_again(Delivery& delivery);
  Task<bool> release(ShardConnection& link, std::uint64_t word_at, std::uint64_t mine,
                     std::uint64_t victim);
  bool must_poll(ShardConnection& link, const BlockView& view, BlockView::Found found,
                 std::uint64_t block, const Tries& tries);
  std::optional<std::uint32_t> choose_slot(ShardConnection& link, const BlockView& view,
                                           BlockView::Found found, std::uint64_t block,
                                           std::string_view key, const Tries& tries);
  std::optional<std::uint32_t> choose_victim(ShardConnection& link, const BlockView& view,
                                             std::uint64_t block);
  bool may_steal(ShardConnection& link, std::uint64_t block, std::uint32_t slot,
                 std::uint64_t word);
  void touch_sometimes(const std::shared_ptr<ShardConnection>& link, std::uint64_t block,
                       std::uint32_t slot);
  Task<void> write_clock(std::shared_ptr<ShardConnection> link, std::uint64_t offset,
                         std::uint32_t clock);
  std::uint32_t clock_now(const ShardConnection& link) const;
  void count_read(std::uint64_t bytes) {
    ++counters_.region_reads;
    counters_.region_bytes_read += bytes;
  }
  Result<Record> hit(const layout::RecordView& record);
  Nanos trace_time() const { return trace_ != nullptr ? executor_.now() : 0; }
  // `describe` gives what was done and what it found, if somebody wants to know.
  template <class F>
  void trace(Nanos began, F describe) const {
    if (trace_ == nullptr) [[likely]]
      return;
    std::pair<std::string, std::string> step = describe();
    trace_->add({began, executor_.now(), std::move(step.first), std::move(step.second)});
  }

  // The steps of a fill.
  void trace_claim(Nanos asked, std::uint32_t slot, bool stolen, Code code, bool won) const;
  void trace_words(Nanos asked, std::size_t bytes, Code code) const;
  void trace_body(Nanos asked, std::uint32_t slot, std::size_t bytes, Code body,
                  Code complete) const;

  // Where a slot was seen incomplete, and since when it has held the same word (rule 6).
  struct Seen {
    std::uint64_t block = ~0ULL;
    std::uint32_t slot = 0;
    std::uint64_t word = 0;
    Nanos since = 0;
  };

  Executor& executor_;
  ShardLink& link_;
  const Nanos timeout_;
  const BlockRead block_read_;
  const Deadlines deadlines_;
  GetTrace* trace_ = nullptr;
  Ssd ssd_;
  const std::shared_ptr<PartTurns> turns_;
  std::vector<Bytes> idle_blocks_;
  std::array<Seen, 256> seen_;
  std::uint32_t touches_ = 0;
  std::uint64_t reported_hits_ = 0, reported_misses_ = 0;
  ClientCounters counters_;
};

}  // namespace scalio::client
