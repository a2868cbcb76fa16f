#include "baseline/paper/paper_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace scalio::paper {

using leed::OperationKind;

PaperCounters& PaperCounters::operator+=(const PaperCounters& o) {
  gets += o.gets;
  sets += o.sets;
  removes += o.removes;
  batches += o.batches;
  merges += o.merges;
  flushes += o.flushes;
  dirty += o.dirty;
  return *this;
}

PaperEngine::PaperEngine(Executor& executor, block::BlockDevice& device,
                         const PaperGeometry& geometry, ByteSpan region, const CacheShape& shape,
                         const PaperOptions& options)
    : executor_(executor),
      device_(device),
      geometry_(geometry),
      options_(options),
      store_(executor, device, geometry_, pool_),
      log_(device, geometry_, pool_),
      cache_(shape, region, geometry.hash_seed),
      progress_(executor),
      background_(executor) {}

Status PaperEngine::check(const PaperOptions& o) {
  if (o.batch == 0 || o.batch > leed::kMaxBatch) {
    return Status(Code::invalid, fmt::format("a batch has 1 to {} writes", leed::kMaxBatch));
  }
  if (o.window >= o.most_dirty) {
    return Status(Code::invalid, "more keys are to stay dirty than may be");
  }
  return Status();
}

Status PaperEngine::check(std::string_view key, std::size_t value_size) const {
  if (key.empty()) return Status(Code::invalid, "a key has at least one byte");
  if (key.size() > kMaxKey || value_size > geometry_.most_value()) {
    return Status(Code::too_large, fmt::format("a key has at most {} bytes, and a value {}",
                                               kMaxKey, geometry_.most_value()));
  }
  return Status();
}

Task<Result<std::unique_ptr<PaperEngine>>> PaperEngine::open(Executor& executor,
                                                             block::BlockDevice& device,
                                                             ByteSpan region, CacheShape shape,
                                                             PaperOptions options) {
  Result<PaperGeometry> geometry = co_await read_geometry(device);
  if (!geometry.ok()) co_return geometry.status();
  Status s = check(options);
  if (s.ok()) s = shape.check();
  if (s.ok() && region.size() < shape.size()) s = Status(Code::invalid, "the region is too small");
  if (!s.ok()) co_return s;
  std::unique_ptr<PaperEngine> engine(
      new PaperEngine(executor, device, *geometry, region, shape, options));
  s = co_await engine->recover();
  if (!s.ok()) co_return s;
  co_return engine;
}

// Of each key the newest write alone, so that the SSD never goes back to an older one while
// somebody reads it.
Task<Status> PaperEngine::recover() {
  Status s = co_await store_.open();
  if (!s.ok()) co_return s;
  Result<std::vector<Bytes>> batches = co_await log_.recover();
  if (!batches.ok()) co_return batches.status();
  std::map<std::string_view, leed::LeedOperation> newest;
  for (const Bytes& records : *batches) {
    const auto operations = leed::decode_batch(records);
    if (!operations) co_return Status(Code::corrupt, "a batch of the log is malformed");
    for (const leed::LeedOperation& o : *operations) newest[o.key] = o;
  }
  for (auto it = newest.begin(); it != newest.end() && s.ok(); ++it) {
    const leed::LeedOperation& o = it->second;
    s = check(o.key, o.value.size());
    if (!s.ok()) co_return Status(Code::corrupt, "a record of the log has impossible sizes");
    if (o.kind == OperationKind::remove) {
      s = co_await store_.remove(o.key);
    } else {
      s = co_await store_.put(o.key, o.value);
    }
  }
  const std::vector<std::uint64_t> removed = store_.take_removed();
  if (s.ok()) s = co_await device_.flush();
  store_.reuse(removed);
  published_ = log_.next();
  co_return s;
}

Task<void> PaperEngine::stop() {
  SCALIO_ASSERT(waiting_ == 0);
  stopping_ = true;
  start_merges();
  while (failed_.ok() && !dirty_.empty()) co_await progress_.wait();
  co_await background_.wait();
}

PaperCounters PaperEngine::counters() const {
  PaperCounters c = counters_;
  c.dirty = dirty_.size();
  return c;
}

void PaperEngine::fail(const Status& why) {
  if (failed_.ok()) failed_ = why;
  progress_.wake_all();
}

// --- GET
// ------------------------------------------------------------------------------------------

Task<Result<std::optional<std::string>>> PaperEngine::get(std::string_view key) {
  constexpr int kTries = 16;  // more is no accident
  Status s = check(key, 0);
  if (!s.ok()) co_return s;
  ++counters_.gets;
  for (int i = 0; i < kTries; ++i) {
    const auto dirty = dirty_.find(key);
    if (dirty != dirty_.end()) co_return dirty->second->value;
    Result<FoundRecord> found = co_await read_record(device_, geometry_, pool_, key);
    if (!found.ok()) co_return found.status();
    if (!found->moved) co_return std::move(found->value);
  }
  co_return Status(Code::corrupt, "the value's place has another key's, or is damaged");
}

// --- SET and removal: a batch
// ---------------------------------------------------------------------

Task<Status> PaperEngine::set(std::string_view key, std::string_view value) {
  ++counters_.sets;
  return write({OperationKind::set, key, value});
}

Task<Status> PaperEngine::remove(std::string_view key) {
  ++counters_.removes;
  return write({OperationKind::remove, key, {}});
}

Task<Status> PaperEngine::write(leed::LeedOperation operation) {
  Status s = check(operation.key, operation.value.size());
  if (!s.ok()) co_return s;
  if (!failed_.ok()) {
    co_return Status(Code::read_only, "an earlier write has failed: " + failed_.message());
  }
  if (waiting_ >= options_.most_waiting) {
    co_return Status(Code::busy, "too many writes wait for the SSD; try again");
  }
  ++waiting_;
  if (operation.kind == OperationKind::set) {
    const bool reserved = co_await reserve();
    if (!reserved) {
      --waiting_;
      co_return Status(Code::full, "the SSD has no room for one record more; remove some");
    }
  }
  struct InBatch {
    PaperEngine& engine;
    Waiting write;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      write.waiter = h;
      engine.enqueue(write);
    }
    void await_resume() const {}
  };
  InBatch in_batch{*this, Waiting()};
  in_batch.write.operation = operation;
  co_await in_batch;
  --waiting_;
  co_return std::move(in_batch.write.status);
}

// If there is no room, what was removed gives some, once that is merged and durable.
Task<bool> PaperEngine::reserve() {
  if (store_.reserve()) co_return true;
  const std::uint64_t wanted = published_;
  drain_until_ = wanted;
  start_checkpoint();
  while (failed_.ok() && log_.oldest() < wanted) co_await progress_.wait();
  co_return store_.reserve();
}

void PaperEngine::enqueue(Waiting& w) {
  const std::size_t size = open_->records.size() + leed::operation_size(w.operation);
  if (!open_->writes.empty() && size > geometry_.most_of_a_batch()) close_batch();
  open_->records.add(w.operation);
  open_->writes.push_back(&w);
  if (open_->writes.size() >= options_.batch) return close_batch();
  if (open_->writes.size() == 1) background_.spawn(close_later(open_number_));
}

Task<void> PaperEngine::close_later(std::uint64_t number) {
  co_await executor_.sleep(options_.patience);
  if (open_number_ == number) close_batch();
}

void PaperEngine::close_batch() {
  ++open_number_;
  background_.spawn(commit(std::exchange(open_, std::make_unique<OpenBatch>())));
}

// Batches are published in the order of the log, so that the newest write of a key in the log is
// the newest that was seen.
Task<void> PaperEngine::commit(std::unique_ptr<OpenBatch> batch) {
  PaperLog::Entry entry;
  Status s = co_await make_durable(*batch, entry);
  for (Waiting* w : batch->writes) {
    w->status = s;
    if (s.ok()) w->status = co_await publish(w->operation, entry.sequence);
    if (!w->status.ok() && w->operation.kind == OperationKind::set) store_.release();
    executor_.post(w->waiter);
  }
  if (entry.sequence == published_) ++published_;
  progress_.wake_all();
  start_merges();
  if (log_.half_full()) start_checkpoint();
}

// Also waits for the batch's turn. After a failure no batch counts: a restart would not find it.
Task<Status> PaperEngine::make_durable(OpenBatch& batch, PaperLog::Entry& entry) {
  const Bytes records = batch.records.finish();
  const std::uint32_t blocks = blocks_of_batch(records.size());
  while (failed_.ok() && !log_.has_room(blocks)) {
    start_checkpoint();
    co_await progress_.wait();
  }
  if (failed_.ok()) {
    entry = log_.reserve(blocks);
    ++counters_.batches;
    Status s = co_await log_.write(entry, records);
    if (!s.ok()) fail(s);
    while (failed_.ok() && published_ != entry.sequence) co_await progress_.wait();
  }
  if (failed_.ok()) co_return Status();
  co_return Status(Code::io_error, "the write may or may not have happened: " + failed_.message());
}

Task<Status> PaperEngine::publish(const leed::LeedOperation& o, std::uint64_t sequence) {
  const bool set = o.kind == OperationKind::set;
  const std::uint64_t hash = geometry_.hash_of(o.key);
  const std::optional<std::string_view> value = set ? std::optional(o.value) : std::nullopt;
  for (;;) {
    const auto known = dirty_.find(o.key);
    Dirty* d = known == dirty_.end() ? nullptr : known->second.get();
    std::optional<std::uint32_t> slot;
    if (d != nullptr || dirty_.size() < options_.most_dirty) {
      slot =
          cache_.publish(o.key, hash, value, d == nullptr ? std::nullopt : std::optional(d->slot));
    }
    if (slot && d == nullptr) {
      auto made = std::make_unique<Dirty>();
      d = made.get();
      d->key = o.key;
      d->hash = hash;
      d->slot = *slot;
      dirty_.emplace(d->key, std::move(made));
      queue_.push_back(d);
    }
    if (slot) {
      d->value = value;
      d->sequence = sequence;
      ++d->changes;
      if (set && std::exchange(d->has_reserved, true)) store_.release();
      co_return Status();
    }
    if (!failed_.ok()) break;
    ++pressed_;
    start_merges();
    co_await progress_.wait();
    --pressed_;
  }
  co_return Status(Code::io_error, "the write may or may not have happened: " + failed_.message());
}

// --- Merging
// --------------------------------------------------------------------------------------

void PaperEngine::start_merges() {
  const std::size_t keep = drains() ? 0 : options_.window;
  while (failed_.ok() && queue_.size() > keep) {
    Dirty* const oldest = queue_.front();
    queue_.pop_front();
    background_.spawn(merge(*oldest));
  }
}

Task<void> PaperEngine::merge(Dirty& d) {
  const std::uint64_t changes = d.changes;
  const bool reserved = std::exchange(d.has_reserved, false);
  const std::optional<std::string> value = d.value;
  ++counters_.merges;
  Status s;
  if (value) {
    s = co_await store_.put(d.key, *value);
  } else {
    s = co_await store_.remove(d.key);
  }
  if (reserved) store_.release();
  if (!s.ok()) {  // it stays dirty, and the log keeps it
    fail(s);
    co_return;
  }
  if (d.changes != changes) {
    queue_.push_back(&d);
  } else {
    cache_.clean(d.hash, d.slot);
    const auto at = dirty_.find(d.key);
    dirty_.erase(at);
  }
  progress_.wake_all();
  start_merges();
}

void PaperEngine::start_checkpoint() {
  if (checkpointing_ || !failed_.ok()) return;
  checkpointing_ = true;
  background_.spawn(checkpoint());
}

std::uint64_t PaperEngine::oldest_needed() const {
  std::uint64_t oldest = published_;
  for (const auto& [key, d] : dirty_) oldest = std::min(oldest, d->sequence);
  return oldest;
}

// Flushes what was merged, so that the log need not keep it.
Task<void> PaperEngine::checkpoint() {
  while (failed_.ok() && (log_.oldest() < drain_until_ || log_.half_full())) {
    start_merges();
    const std::uint64_t needed = oldest_needed();
    if (needed == log_.oldest()) {
      co_await progress_.wait();
      continue;
    }
    const std::vector<std::uint64_t> removed = store_.take_removed();
    Status s = co_await device_.flush();
    if (!s.ok()) {
      fail(s);
      break;
    }
    ++counters_.flushes;
    log_.release(needed);
    store_.reuse(removed);
    progress_.wake_all();
  }
  checkpointing_ = false;
  progress_.wake_all();
}

}  // namespace scalio::paper
