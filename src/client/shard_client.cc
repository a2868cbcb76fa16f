#include "client/shard_client.h"

#include <fmt/format.h>

#include <bit>

#include "base/hash.h"
#include "client/record_end.h"
#include "client/timeouts.h"
#include "client/value_limit.h"
#include "client/value_stream.h"
#include "fabric/region_access.h"
#include "layout/rules.h"

namespace scalio::client {

using layout::ReadWord;
using layout::RegionGeometry;
using layout::WriteState;
using layout::WriteWord;

namespace {
// One in so many hits writes the slot's access clock.
constexpr std::uint32_t kTouchEvery = 8;
// Rule 5: how long to wait for another client's fill before reading the SSD oneself. About what a
// loaded SSD takes.
constexpr Nanos kFillPoll = 25 * kMicrosecond;
constexpr int kMaxFillPolls = 40;
// Reads of a block whose write slot is being replaced before waiting between them.
constexpr int kEagerRereads = 16;
constexpr Nanos kReread = 10 * kMicrosecond;
// Attempts to fill before reading without filling: each was lost to another client or a write.
constexpr int kMaxFillAttempts = 3;

constexpr std::byte kZero{0}, kOne{1};

// For a trace: what a READ of a block has found.
std::string text_of(BlockView::Found found, const BlockView& view) {
  switch (found) {
    case BlockView::Found::record:
      return fmt::format(
          "{} in slot {}, version {}",
          view.record().kind == layout::Kind::tombstone ? "that there is none" : "it", view.slot(),
          view.record().version);
    case BlockView::Found::replaced: return "a write slot that is being written";
    case BlockView::Found::filling: return fmt::format("slot {} being filled", view.slot());
    case BlockView::Found::none: return "nothing of the key";
  }
  return {};
}
std::string text_of(Code code) { return code == Code::ok ? "done" : std::string(to_string(code)); }

std::pair<std::string, std::string> what_was_read(std::uint64_t block, std::size_t size,
                                                  BlockView::Found found, const BlockView& view) {
  return {fmt::format("READ of block {}, {} bytes at most", block, size), text_of(found, view)};
}

Result<StoredRecord> stored_of(Result<Record> record, layout::Kind kind) {
  if (!record.ok()) return record.status();
  return StoredRecord{*std::move(record), kind};
}

// What is cached of what was found.
layout::RecordView view_of(std::string_view key, const Result<StoredRecord>& found) {
  if (!found.ok()) return {key, {}, 0, layout::Kind::tombstone};
  const Record& r = found->record;
  return {key, r.value, r.version, found->kind, end_of(r.end)};
}

// What a GET finds when its SSD has this of the key.
Result<StoredRecord> answer_of(Result<std::optional<StoredRecord>> found) {
  if (!found.ok()) return found.status();
  if (!*found) return Status(Code::not_found, "");
  return std::move(**found);
}

static_assert(layout::kMaxBlockSize <= fabric::kMaxRead &&
              layout::kMaxMessageSize <= fabric::kMaxMessage);
// Rule 4: the slot words of a block are read whole.
static_assert(RegionGeometry{.read_slots = RegionGeometry::kMaxReadSlots}.write_word(
                  RegionGeometry::kMaxWriteSlots) <= fabric::kWholeWords);
}  // namespace

class ShardClient::Block {
 public:
  explicit Block(ShardClient& client) : client_(client) {}
  Block(ShardClient& client, std::size_t size) : client_(client) { lease(size); }
  Block(Block&& o) noexcept : client_(o.client_), bytes_(std::move(o.bytes_)) {}
  ~Block() { give_back(); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  bool empty() const { return bytes_.empty(); }
  // Of an empty one. `size` is not 0.
  void lease(std::size_t size) {
    if (!client_.idle_blocks_.empty()) {
      bytes_ = std::move(client_.idle_blocks_.back());
      client_.idle_blocks_.pop_back();
    }
    bytes_.resize(size);
  }
  void give_back() {
    if (!empty()) client_.idle_blocks_.push_back(std::move(bytes_));
  }
  ByteSpan span() { return bytes_; }

 private:
  ShardClient& client_;
  Bytes bytes_;
};

ShardClient::ShardClient(Executor& executor, ShardLink& link, Ssd::Opener opener,
                         const ClientOptions& options, std::shared_ptr<PartTurns> turns)
    : executor_(executor),
      link_(link),
      timeout_(to_nanos(options.operation_timeout)),
      block_read_(options.block_read),
      deadlines_(link.deadlines()),
      ssd_(executor, std::move(opener), &trace_),
      turns_(turns != nullptr ? std::move(turns) : std::make_shared<PartTurns>(executor)) {}

Result<Record> ShardClient::hit(const layout::RecordView& record) {
  ++counters_.hits;
  if (record.kind == layout::Kind::tombstone) return Status(Code::not_found, "");
  return Record{std::string(record.value), record.version, end_of(record.end)};
}

// `nothing`, if not empty, is the key's block as it was read on the connection `held` just now, and
// has nothing of the key.
auto ShardClient::find_in_time(std::string_view key, std::uint64_t hash, Nanos deadline,
                               std::shared_ptr<ShardConnection>&& held, Block&& nothing) {
  const auto late = [this]() -> Result<StoredRecord> {
    return Status(Code::timed_out,
                  fmt::format("no answer from the server or its SSD within {} ms{}",
                              timeout_ / kMillisecond, link_.why_lost()));
  };
  return deadlines_.within(
      deadline, find_slowly(std::string(key), hash, deadline, std::move(held), std::move(nothing)),
      late);
}

// Reads the key's block, or of it the header and then the one body that may be the key's: two small
// READs in place of a large one, for a link that is full. If no slot or several may have the key,
// the second READ is of the whole block.
Task<Code> ShardClient::read(const ShardConnection& link, std::uint64_t hash,
                             BlockView::Bodies bodies, ByteSpan into) {
  const RegionGeometry& g = link.hello.region;
  const std::uint64_t at = g.block_at(g.block_of(hash));
  std::uint32_t begin = 0, size = g.block_size();
  if (bodies == BlockView::Bodies::after_words) {
    count_read(g.header_end());
    const Code code = co_await link.connection->read(at, into.first(g.header_end()));
    if (code != Code::ok) co_return code;
    const layout::SlotSet slots = layout::readable_slots(g, into.data(), layout::tag_of(hash));
    if (std::has_single_bit(slots)) {
      begin = g.body(static_cast<std::uint32_t>(std::countr_zero(slots)));
      size = g.slot_size;
    }
  }
  count_read(size);
  co_return co_await link.connection->read(at + begin, into.subspan(begin, size));
}

// The common case in one coroutine: a live link, one operation, a record. What does not end here
// goes on in find_slowly(), which reads the block again; but if no slot has the key's tag, what was
// read says how to fill one.
Task<Result<Record>> ShardClient::get(std::string_view key, std::uint64_t hash,
                                      layout::Kind* kind) {
  ++counters_.gets;
  if (!executor_.may_go_on()) co_await executor_.yield();
  std::shared_ptr<ShardConnection> held;
  Block bytes(*this);
  Nanos began = 0;  // not looked at where there is nothing to wait for
  if (block_read_ == BlockRead::whole && link_.alive()) {
    const std::shared_ptr<ShardConnection>& link = link_.current();
    const RegionGeometry& g = link->hello.region;
    const std::uint64_t block = g.block_of(hash);
    const std::uint32_t tag = layout::tag_of(hash);
    bytes.lease(g.block_size());
    const Nanos asked = trace_time();
    fabric::Op read = link->connection->read_block(g.block_at(block), g, tag, bytes.span());
    if (!read.await_ready()) {
      held = link;  // the link must outlive what is in flight on it
      began = executor_.now();
    }
    if (co_await read == Code::ok) {
      count_read(read.bytes_read());
      const std::shared_ptr<ShardConnection>& now = held ? held : link_.current();
      BlockView view(now->hello.region, block, bytes.span());
      const BlockView::Found found = view.look_up(key, tag);
      trace(asked, [&] {
        return std::pair(fmt::format("READ of {} bytes: block {}, and its body of the key's tag",
                                     read.bytes_read(), block),
                         text_of(found, view));
      });
      if (found == BlockView::Found::record) {
        touch_sometimes(now, block, view.slot());
        if (lives(*now, view.record().end)) {
          if (view.record().kind != layout::Kind::pointer) co_return hit(view.record());
          Result<Record> pointer = hit(view.record());
          if (kind != nullptr) *kind = layout::Kind::pointer;
          if (!pointer.ok() || kind != nullptr) co_return pointer;
          bytes.give_back();
          StoredRecord large{*std::move(pointer), layout::Kind::pointer};
          co_return co_await get_whole(key, hash, std::move(large));
        }
      }
      if (found != BlockView::Found::none || !view.has_fill_times()) bytes.give_back();
      if (!held) held = now;
    } else {
      bytes.give_back();
    }
  }
  const Nanos deadline = (began != 0 ? began : executor_.now()) + timeout_;
  Result<StoredRecord> found =
      co_await find_in_time(key, hash, deadline, std::move(held), std::move(bytes));
  if (!found.ok()) co_return found.status();
  if (kind != nullptr) {
    *kind = found->kind;
  } else if (found->large()) {
    co_return co_await get_whole(key, hash, *std::move(found));
  }
  co_return std::move(found->record);
}

Task<Result<Record>> ShardClient::traced_get(std::string_view key, std::uint64_t hash,
                                             GetTrace& trace) {
  SCALIO_ASSERT(trace_ == nullptr);
  trace_ = &trace;
  Result<Record> found = co_await get(key, hash);
  trace_ = nullptr;
  co_return found;
}

// Has all that it uses: its caller may not wait for its end. `bytes` is find_in_time's `nothing`.
Task<Result<StoredRecord>> ShardClient::find_slowly(std::string key, std::uint64_t hash,
                                                    Nanos deadline,
                                                    std::shared_ptr<ShardConnection> held,
                                                    Block bytes) {
  Result<StoredRecord> out = Status(Code::timed_out, "");
  Tries tries;
  bool in_two = block_read_ == BlockRead::two;
  Nanos asked = 0;
  for (bool first = !bytes.empty(); first || executor_.now() <= deadline; first = false) {
    auto bodies = BlockView::Bodies::with_words;
    // Of what the caller has read before it is not known when.
    const Nanos began = first ? 0 : executor_.now();
    bool was_read = false;
    if (!first) {
      bytes.give_back();
      Result<std::shared_ptr<ShardConnection>> live = co_await link_.get();
      if (!live.ok()) co_return live.status();
      held = *live;
      bytes.lease(held->hello.region.block_size());
      if (std::exchange(in_two, false)) bodies = BlockView::Bodies::after_words;
      asked = trace_time();
      const Code code = co_await read(*held, hash, bodies, bytes.span());
      if (code != Code::ok) {
        trace(asked, [&] { return std::pair(std::string("READ of a block"), text_of(code)); });
        continue;
      }
    }
    const std::uint64_t block = held->hello.region.block_of(hash);
    BlockView view(held->hello.region, block, bytes.span(), bodies);
    const BlockView::Found found =
        first ? BlockView::Found::none : view.look_up(key, layout::tag_of(hash));
    if (!first) {
      const auto what = [&] { return what_was_read(block, bytes.span().size(), found, view); };
      trace(asked, what);
    }
    if (found == BlockView::Found::record) {
      // What is found later than by the first READ has just been filled.
      if (bodies == BlockView::Bodies::after_words) touch_sometimes(held, block, view.slot());
      out = stored_of(hit(view.record()), view.record().kind);
      was_read = true;
    } else if (bodies == BlockView::Bodies::after_words && !view.has_fill_times()) {
      continue;  // its victim is chosen by the whole block
    } else if (found == BlockView::Found::replaced) {
      if (++tries.rereads > kEagerRereads) co_await executor_.sleep(kReread);
    } else if (must_poll(*held, view, found, block, tries)) {
      ++tries.polls;
      asked = trace_time();
      co_await executor_.sleep(kFillPoll);
      trace(asked, [&] {
        return std::pair(std::string("wait for another client that fills the slot"),
                         fmt::format("wait {} of {}", tries.polls, kMaxFillPolls));
      });
    } else if (const auto slot = choose_slot(*held, view, found, block, key, tries)) {
      ++tries.fills;
      const std::uint64_t word = view.read_word_raw(*slot);
      const Next next = co_await fill(*held, key, hash, block, *slot, word, &out);
      was_read = next == Next::done;
      if (next == Next::bypass) tries.fills = kMaxFillAttempts;
    } else {
      was_read = co_await bypass(*held, key, hash, &out);
    }
    const bool settled = was_read && co_await settle(*held, began, deadline, &out);
    if (settled) co_return out;
  }
  co_return Status(
      Code::timed_out,
      "the key's block changed under every read of it, or the server could not be read" +
          link_.why_lost());
}

// Rule 17: makes of a record that was read, by a read that began at `began` or later, what a GET
// answers: it, or that there is none any more. False if it must be read again: it has ended since,
// and may have been replaced before that.
Task<bool> ShardClient::settle(ShardConnection& link, Nanos began, Nanos deadline,
                               Result<StoredRecord>* out) {
  const std::uint64_t end = out->ok() ? end_of((*out)->record.end) : 0;
  if (lives(link, end)) co_return true;
  const StoreEstimate& estimate = link.store_time;
  if (!estimate.ended(end, began)) {
    if (kept(Rule::ask_for_time)) {
      const Nanos asked = trace_time();
      const Status told = co_await link_.ask_time(link, deadline);
      trace(asked, [&] {
        return std::pair(std::string("request to the server: its time, as the record may end now"),
                         told.ok() ? std::string("told") : told.to_string());
      });
      if (!told.ok()) {
        if (!link.connection->alive()) co_return false;
        *out = told;
        co_return true;
      }
    }
    if (estimate.told() < end) co_return true;
    if (kept(Rule::read_after_end)) co_return false;
  }
  *out = Status(Code::not_found, "");
  co_return true;
}

// Rule 5: whether to wait for the client that is filling the key's slot.
bool ShardClient::must_poll(ShardConnection& link, const BlockView& view, BlockView::Found found,
                            std::uint64_t block, const Tries& tries) {
  return found == BlockView::Found::filling && tries.polls < kMaxFillPolls &&
         !may_steal(link, block, view.slot(), view.read_word_raw(view.slot()));
}

// The slot to fill with the key: the one that its filler has left, else a victim. None if it is
// filled by another client still, if it was tried often enough, if this client's user may not fill
// the cache, or if the key cannot be cached:
// what cannot be cached displaces nothing.
std::optional<std::uint32_t> ShardClient::choose_slot(ShardConnection& link, const BlockView& view,
                                                      BlockView::Found found, std::uint64_t block,
                                                      std::string_view key, const Tries& tries) {
  const bool fits = layout::slot_bytes({key, {}}) <= link.hello.region.slot_size;
  if (!fits || tries.fills >= kMaxFillAttempts || !link.connection->may_write()) {
    return std::nullopt;
  }
  if (found == BlockView::Found::none) return choose_victim(link, view, block);
  if (tries.polls < kMaxFillPolls) return view.slot();
  return std::nullopt;
}

// Rule 5: reads the SSD and fills nothing. The snapshot of the block, which was read before, has no
// write slot of the key. False if what was read does not count: a restarting server writes old
// images before newer ones, so the server that it was read under must still live (rule 9).
Task<bool> ShardClient::bypass(ShardConnection& link, std::string_view key, std::uint64_t hash,
                               Result<StoredRecord>* out) {
  const RegionGeometry& g = link.hello.region;
  ++counters_.bypasses;
  ++counters_.misses;
  *out = answer_of(co_await ssd_.find(link.hello, key, hash));
  std::array<std::byte, 8> word;
  count_read(word.size());
  const Nanos asked = trace_time();
  const Code code = co_await link.connection->read(g.block_at(g.block_of(hash)), word);
  trace(asked, [&] {
    return std::pair(std::string("READ of 8 bytes: whether the server is still the same"),
                     text_of(code));
  });
  co_return code == Code::ok;
}

void ShardClient::trace_claim(Nanos asked, std::uint32_t slot, bool stolen, Code code,
                              bool won) const {
  trace(asked, [&] {
    std::string found = text_of(code);
    if (won) found = stolen ? "taken over" : "taken";
    if (!won && code == Code::ok) found = "changed by somebody else";
    return std::pair(fmt::format("CAS of slot {}, to fill it", slot), std::move(found));
  });
}

void ShardClient::trace_words(Nanos asked, std::size_t bytes, Code code) const {
  trace(asked, [&] {
    return std::pair(fmt::format("READ of {} bytes: the write slots' words again", bytes),
                     text_of(code));
  });
}

void ShardClient::trace_body(Nanos asked, std::uint32_t slot, std::size_t bytes, Code body,
                             Code complete) const {
  trace(asked, [&] {
    return std::pair(
        fmt::format("WRITE of {} bytes: the body of slot {}, and that it is complete", bytes, slot),
        text_of(body != Code::ok ? body : complete));
  });
}

// Rule 2. `seen` is the victim's word in the snapshot. That a key is absent is cached as a record
// is.
Task<ShardClient::Next> ShardClient::fill(ShardConnection& link, std::string_view key,
                                          std::uint64_t hash, std::uint64_t block,
                                          std::uint32_t slot, std::uint64_t seen,
                                          Result<StoredRecord>* out) {
  const RegionGeometry& g = link.hello.region;
  const std::uint64_t at = g.block_at(block);
  const std::uint64_t word_at = at + g.read_word(slot);
  const std::uint32_t tag = layout::tag_of(hash);
  ReadWord mine = ReadWord::unpack(seen);
  const bool stolen = mine.incomplete();
  const std::uint32_t clock = clock_now(link);
  mine = ReadWord{true, false, static_cast<std::uint16_t>(mine.generation + 1), tag, clock};

  ++counters_.region_cas;
  Nanos asked = trace_time();
  fabric::Op swap = link.connection->cas(word_at, seen, mine.pack());
  const Code swapped = co_await swap;
  const bool won = swapped == Code::ok && swap.previous() == seen;
  trace_claim(asked, slot, stolen, swapped, won);
  if (!won) co_return Next::again;
  if (stolen) ++counters_.steals;

  // Only now that the CAS has completed: a write that did not see our slot has stored LOCKED
  // before.
  std::array<std::byte, 8 * RegionGeometry::kMaxWriteSlots> words;
  const ByteSpan write_words(words.data(), 8 * g.write_slots);
  count_read(write_words.size());
  asked = trace_time();
  const Code words_code = co_await link.connection->read(at + g.write_words(), write_words);
  trace_words(asked, write_words.size(), words_code);
  if (words_code != Code::ok) co_return Next::again;
  for (std::uint32_t i = 0; i < g.write_slots; ++i) {
    const auto w = WriteWord::unpack(load<std::uint64_t>(words.data() + 8 * i));
    if (w.state == WriteState::empty || w.tag != tag || !kept(Rule::second_read)) continue;
    co_await release(link, word_at, mine.pack(), seen);
    // LOCKED will be DIRTY in a moment. Otherwise the next snapshot has the value, or it is another
    // key's of the same tag: then ours is read without filling.
    co_return w.state == WriteState::locked ? Next::again : Next::bypass;
  }

  ++counters_.misses;
  Result<std::optional<StoredRecord>> found = co_await ssd_.find(link.hello, key, hash);
  const bool was_read = found.ok(), absent = was_read && !*found;
  *out = answer_of(std::move(found));
  const layout::RecordView record = view_of(key, *out);
  if (!was_read || layout::slot_bytes(record) > g.slot_size ||
      (absent && !kept(Rule::victim_lost))) {
    co_return co_await release(link, word_at, mine.pack(), seen) ? Next::done : Next::again;
  }
  Block body(*this, g.slot_size);
  layout::encode_slot(body.span(), record, layout::slot_place(block, slot, mine.generation),
                      static_cast<std::uint16_t>(clock));
  counters_.region_writes += 2;
  // The connection keeps their order: complete is set after the body is there.
  fabric::Op put_body =
      link.connection->write(at + g.body(slot), body.span().first(layout::slot_bytes(record)));
  const std::byte complete{ReadWord::complete_at(clock)};
  fabric::Op put_complete =
      link.connection->write(word_at + ReadWord::kCompleteByte, ByteView(&complete, 1));
  asked = trace_time();
  const Code body_code = co_await put_body;
  const Code complete_code = co_await put_complete;
  trace_body(asked, slot, layout::slot_bytes(record) + 1, body_code, complete_code);
  // Rule 9: what was read counts only if the server that it was read under still lives.
  if (body_code != Code::ok || complete_code != Code::ok) co_return Next::again;
  ++counters_.fills;
  co_return Next::done;
}

// Gives a slot back: free is (visible 0, complete 1). In this order, so that it is never valid.
// False if the connection was lost: then the slot stays incomplete, and others take it over after
// the fill timeout.
//
// Not to `victim`, which it held before it was `mine`: a write of the victim's key that was
// published meanwhile has killed what it saw, and it did not see the victim.
Task<bool> ShardClient::release(ShardConnection& link, std::uint64_t word_at, std::uint64_t mine,
                                std::uint64_t victim) {
  if (!kept(Rule::victim_lost) && ReadWord::unpack(victim).valid()) {
    co_return co_await link.connection->cas(word_at, mine, victim) == Code::ok;
  }
  counters_.region_writes += 2;
  fabric::Op hide = link.connection->write(word_at + ReadWord::kVisibleByte, ByteView(&kZero, 1));
  fabric::Op complete =
      link.connection->write(word_at + ReadWord::kCompleteByte, ByteView(&kOne, 1));
  const Code hide_code = co_await hide;
  const Code complete_code = co_await complete;
  co_return hide_code == Code::ok&& complete_code == Code::ok;
}

// A free slot; else one that was left incomplete for too long; else the least recently used valid
// one.
std::optional<std::uint32_t> ShardClient::choose_victim(ShardConnection& link,
                                                        const BlockView& view,
                                                        std::uint64_t block) {
  std::optional<std::uint32_t> oldest, left;
  std::uint32_t oldest_age = 0;
  const std::uint32_t now = clock_now(link);
  for (std::uint32_t i = 0; i < link.hello.region.read_slots; ++i) {
    const ReadWord w = view.read_word(i);
    if (w.free()) return i;
    if (w.incomplete()) {
      if (may_steal(link, block, i, view.read_word_raw(i))) left = i;
    } else if (const std::uint32_t age = view.age(i, now); !oldest || age > oldest_age) {
      oldest = i;
      oldest_age = age;
    }
  }
  return left ? left : oldest;
}

// Rule 6: whether this client, by its own clock, has seen the slot incomplete with the same word
// for longer than the fill timeout.
bool ShardClient::may_steal(ShardConnection& link, std::uint64_t block, std::uint32_t slot,
                            std::uint64_t word) {
  Seen& seen = seen_[mix(block * RegionGeometry::kMaxSlots + slot) % seen_.size()];
  const Nanos now = executor_.now();
  if (seen.block != block || seen.slot != slot || seen.word != word) {
    seen = {block, slot, word, now};
    return false;
  }
  return now - seen.since > link.hello.fill_timeout;
}

std::uint32_t ShardClient::clock_now(const ShardConnection& link) const {
  return layout::clock_of(link.hello.server_now + (executor_.now() - link.connected_at));
}

// After a hit in this slot, which has an access clock if it is a read slot.
void ShardClient::touch_sometimes(const std::shared_ptr<ShardConnection>& link, std::uint64_t block,
                                  std::uint32_t slot) {
  const RegionGeometry& g = link->hello.region;
  if (slot >= g.read_slots || !link->connection->may_write()) return;
  if (++touches_ % kTouchEvery != 0) return;
  executor_.spawn(write_clock(link, g.block_at(block) + g.clock(slot), clock_now(*link)));
}

Task<void> ShardClient::write_clock(std::shared_ptr<ShardConnection> link, std::uint64_t offset,
                                    std::uint32_t clock) {
  ++counters_.region_writes;
  co_await link->connection->write(offset, std::as_bytes(std::span(&clock, 1)));
}

Task<Result<WriteReply>> ShardClient::write(const layout::Request& request) {
  ++counters_.writes;
  return link_.write(request);
}

Task<Result<std::uint64_t>> ShardClient::write(layout::RequestKind kind, std::string_view key,
                                               std::string_view value, std::uint64_t expected) {
  const Result<WriteReply> done = co_await write(
      layout::Request{.kind = kind, .expected = expected, .key = key, .value = value});
  if (!done.ok()) co_return done.status();
  co_return done->version;
}

// A value on its way to a sink, and how far it has come.
struct ShardClient::Delivery {
  const std::string_view key;
  const std::uint64_t hash;
  const PartSink& sink;
  const std::uint64_t from;
  // Of the whole: a value that was overwritten or moved is given from its beginning again, for one
  // operation's time. Else what was given stays so.
  const bool whole;
  std::optional<Nanos> again_until = {};  // once that has happened
  std::uint64_t at = from;                // the next byte to give
  bool begun = false;
  EndTime end = {};  // of the record whose value was given
};

namespace {
// What is left of a small value from this byte on.
PartView whole_of(const Record& record, std::uint64_t from) {
  const std::uint64_t size = record.value.size();
  from = std::min(from, size);
  return {std::string_view(record.value).substr(from), from, size, record.version, record.end};
}
}  // namespace

Task<Result<Record>> ShardClient::get_whole(std::string_view key, std::uint64_t hash,
                                            StoredRecord found) {
  Record out;
  const PartSink keep = [&out](const PartView& part) -> Task<Status> {
    if (part.offset == 0) {
      out.value.clear();
      out.value.reserve(part.length);
    }
    out.value += part.bytes;
    co_return Status();
  };
  Delivery delivery{key, hash, keep, 0, true};
  const Result<std::uint64_t> version = co_await deliver(delivery, std::move(found));
  if (!version.ok()) co_return version.status();
  out.version = *version;
  out.end = delivery.end;
  co_return out;
}

Task<Result<std::uint64_t>> ShardClient::get_parts(std::string_view key, std::uint64_t hash,
                                                   PartSink sink, std::uint64_t from) {
  auto kind = layout::Kind::value;
  Result<Record> found = co_await get(key, hash, &kind);
  if (!found.ok()) co_return found.status();
  if (kind != layout::Kind::pointer) {
    const PartView all = whole_of(*found, from);
    Status s = co_await sink(all);
    if (!s.ok()) co_return s;
    co_return found->version;
  }
  Delivery delivery{key, hash, sink, from, false};
  StoredRecord stored{*std::move(found), kind};
  co_return co_await deliver(delivery, std::move(stored));
}

// Gives the sink the value, from wherever it is by now. What does not match its pointer is looked
// for again: the value was overwritten, or moved, and another is in its place. If it is still said
// to be there, it is damaged.
Task<Result<std::uint64_t>> ShardClient::deliver(Delivery& d, StoredRecord found) {
  std::optional<layout::Pointer> mismatch;
  if (found.large()) ++counters_.large_gets;
  for (;;) {
    const Record& record = found.record;
    d.end = record.end;
    if (!found.large()) {
      if (d.begun) co_return Status(Code::conflict, "the value was overwritten while it was read");
      const PartView all = whole_of(record, d.from);
      Status s = co_await d.sink(all);
      if (!s.ok()) co_return s;
      co_return record.version;
    }
    const layout::SsdGeometry& ssd = link_.current()->hello.ssd;
    const std::optional<layout::Pointer> pointer =
        layout::decode_pointer(as_bytes(record.value), d.key.size(), ssd);
    if (!pointer || pointer == mismatch) {
      co_return Status(
          Code::corrupt,
          pointer
              ? fmt::format("the value at offset {} of the value area of SSD {} fails its "
                            "checksum; run `scalio check` on the server",
                            pointer->offset, ssd.ssd())
              : fmt::format("the record points to no place where SSD {} has values; run `scalio "
                            "check` on the server",
                            ssd.ssd()));
    }
    const Result<bool> all = co_await deliver_parts(d, record, *pointer);
    if (!all.ok()) co_return all.status();
    if (*all) co_return record.version;
    mismatch = pointer;
    const std::uint64_t version = record.version;
    Result<StoredRecord> again = co_await find_again(d);
    if (d.whole) d.begun = false;
    const bool gone =
        again.code() == Code::not_found || (again.ok() && again->record.version != version);
    if (d.begun && gone) {
      co_return Status(Code::conflict, "the value was overwritten or deleted while it was read");
    }
    if (!again.ok()) co_return again.status();
    if (!d.again_until) d.again_until = executor_.now() + timeout_;
    if (d.whole && executor_.now() > *d.again_until) {
      co_return Status(Code::timed_out,
                       "the value was overwritten or moved again and again while it was read");
    }
    if (!d.begun) d.at = d.from;
    found = *std::move(again);
  }
}

// True if the sink has all of it; false if something else is there.
Task<Result<bool>> ShardClient::deliver_parts(Delivery& d, const Record& found,
                                              const layout::Pointer& pointer) {
  const std::uint64_t capacity = layout::part_capacity(d.key.size());
  if (d.at >= pointer.length) {
    Status s =
        co_await d.sink(PartView{{}, pointer.length, pointer.length, found.version, found.end});
    if (!s.ok()) co_return s;
    co_return true;
  }
  ValueStream stream(deadlines_, ssd_, *turns_, link_.current(),
                     {std::string(d.key), found.version, pointer},
                     static_cast<std::uint32_t>(d.at / capacity), counters_);
  while (!stream.ended()) {
    if (!executor_.may_go_on()) co_await executor_.yield();
    const Result<std::optional<ByteView>> part = co_await stream.next(timeout_);
    if (!part.ok()) co_return part.status();
    if (!*part) co_return false;
    const std::string_view bytes = as_string(**part).substr(d.at % capacity);
    const PartView view{bytes, d.at, pointer.length, found.version, found.end};
    d.begun = true;
    d.at += bytes.size();
    Status s = co_await d.sink(view);
    if (!s.ok()) co_return s;
  }
  co_return true;
}

// Where the value is by now. A device that is another one shows here.
Task<Result<StoredRecord>> ShardClient::find_again(Delivery& d) {
  const Nanos deadline = executor_.now() + timeout_;
  const auto confirm = [](Ssd& ssd, std::shared_ptr<ShardConnection> held) -> Task<Status> {
    co_return co_await ssd.confirm(held->hello);
  };
  const auto late = [] { return Status(Code::timed_out, "no answer from the SSD in time"); };
  Status same = co_await deadlines_.within(deadline, confirm(ssd_, link_.current()), late);
  if (!same.ok()) co_return same;
  co_return co_await find_in_time(d.key, d.hash, deadline, nullptr, Block(*this));
}

namespace {
// Has the bytes of a value that is there as a whole.
ValueUpload::Source bytes_of(std::string_view value) {
  return [value](std::uint64_t offset, std::uint32_t size) -> Task<Result<std::string_view>> {
    co_return value.substr(offset, size);
  };
}
}  // namespace

Task<Result<std::uint64_t>> ShardClient::write_large(LargeWrite write, std::string_view value,
                                                     std::optional<Nanos> deadline) {
  ++counters_.writes;
  ++counters_.large_writes;
  ValueUpload upload(link_, *turns_, write, timeout_, counters_);
  const ValueUpload::Source source = bytes_of(value);
  co_return co_await upload.run_in_turn(source, deadline);
}

Task<Result<std::uint64_t>> ShardClient::put_parts(LargeWrite write, const PartSource& source) {
  ++counters_.writes;
  ++counters_.large_writes;
  std::string parts;
  const std::uint32_t capacity = layout::part_capacity(write.key.size());
  const ValueUpload::Source next = [&](std::uint64_t,
                                       std::uint32_t size) -> Task<Result<std::string_view>> {
    parts.resize(size);
    for (std::span<char> left(parts); !left.empty();) {
      const std::span<char> part = left.first(std::min<std::size_t>(capacity, left.size()));
      Status s = co_await source(part);
      if (!s.ok()) co_return s;
      left = left.subspan(part.size());
    }
    co_return std::string_view(parts);
  };
  ValueUpload upload(link_, *turns_, write, timeout_, counters_);
  co_return co_await upload.run(next);
}

// A small value to which the end is too much is put as a large one. What was refused has done
// nothing, so another write may follow; any other outcome is the caller's.
Task<Result<std::uint64_t>> ShardClient::set_end(std::string_view key, std::uint64_t hash,
                                                 Expiry expiry, std::uint64_t expected) {
  const Nanos deadline = executor_.now() + timeout_;
  layout::Request request{
      .kind = layout::RequestKind::set_end, .expected = expected, .key = key, .value = {}};
  set_expiry(request, expiry);
  do {
    ++counters_.writes;
    const Result<WriteReply> changed = co_await link_.write(request, deadline);
    if (changed.ok()) co_return changed->version;
    const layout::SsdGeometry& ssd = link_.current()->hello.ssd;
    if (changed.code() != Code::too_large ||
        longest_large_value(key.size() + layout::kEndSize, ssd) == 0)
      co_return changed.status();
    ++counters_.gets;
    const Result<StoredRecord> found =
        co_await find_in_time(key, hash, deadline, nullptr, Block(*this));
    if (!found.ok()) co_return found.status();
    const Record& now = found->record;
    // Since the server has looked it was written: so it is asked again.
    const bool fits = payload_size(layout::RecordView{key, now.value, 0, layout::Kind::value, 1}) <=
                      link_.current()->hello.ssd.inline_limit;
    if (found->large() || fits || (expected != 0 && now.version != expected)) continue;
    const auto length = static_cast<std::uint32_t>(now.value.size());
    const Result<std::uint64_t> put =
        co_await write_large({key, length, now.version, expiry}, now.value, deadline);
    if (put.code() != Code::conflict) co_return put;
  } while (executor_.now() < deadline);
  co_return Status(Code::timed_out,
                   fmt::format("others wrote the key again and again for {} ms: its end was not "
                               "changed, try again",
                               timeout_ / kMillisecond));
}

ClientCounters ShardClient::counters() const {
  ClientCounters c = counters_;
  ssd_.count(c);
  return c;
}

Task<void> ShardClient::report(Nanos deadline) {
  const std::uint64_t hits = counters_.hits - reported_hits_,
                      misses = counters_.misses - reported_misses_;
  if (hits + misses == 0 || !link_.alive()) co_return;
  Bytes figures;
  ByteWriter w(figures);
  w.put(hits);
  w.put(misses);
  reported_hits_ = counters_.hits;
  reported_misses_ = counters_.misses;
  // Statistics: a report that is lost is not worth a failure.
  deadline = std::min(deadline, executor_.now() + timeout_);
  [[maybe_unused]] Result<std::string> answer =
      co_await link_.ask(layout::RequestKind::report, as_string(figures), deadline);
}

}  // namespace scalio::client
