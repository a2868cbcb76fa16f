#include "server/shard.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/json.h"

namespace scalio::server {

using layout::LogKind;
using layout::Reply;
using layout::Request;
using layout::RequestKind;

namespace {
static_assert(layout::kMaxMessageSize <= fabric::kMaxMessage);

// Checkpoints that a write waits for before the log is called full.
constexpr int kMaxCheckpointsWaited = 64;

bool is_write(RequestKind kind) {
  return kind == RequestKind::put || kind == RequestKind::remove || kind == RequestKind::put_if;
}

Reply failed(Code code, std::string message, std::string* text) {
  *text = std::move(message);
  return {code, 0, *text};
}
Reply failed(const Status& status, std::string* text) {
  return failed(status.code(), status.message(), text);
}
}  // namespace

Shard::Shard(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& ssd,
             const layout::RegionGeometry& region_geometry, ByteSpan region, ShardOptions options)
    : executor_(executor),
      device_(device),
      ssd_(ssd),
      options_(std::move(options)),
      table_(region_geometry, region, options_.between_stores),
      log_(executor, device, ssd_, options_.log),
      repair_(executor, ssd_, table_, log_),
      merger_(executor, device, ssd_, table_, log_, repair_,
              [this](const Status& why) { fail(why); }),
      scrubber_(executor, table_, repair_),
      sessions_(options_.session_seed),
      idle_(executor) {
  SCALIO_ASSERT(layout::check(region_geometry, ssd_).ok());
}

Task<Status> Shard::start() {
  Result<RecoveryReport> r = co_await recover(executor_, device_, ssd_, table_, log_, merger_);
  if (!r.ok()) co_return r.status();
  recovery_ = *r;
  executor_.spawn(merger_.run());
  co_return Status();
}

Task<Status> Shard::stop() {
  stopping_ = true;
  co_await scrubber_.stop();
  while (writes_in_flight_ > 0) co_await idle_.wait();
  merger_.stop();
  co_await merger_.drain();
  Status s = failure_;
  if (s.ok()) s = co_await merger_.checkpoint(log_.head());
  log_.stop();
  merger_.wake_all();
  co_return s;
}

void Shard::fail(const Status& why) {
  if (!failure_.ok()) return;
  failure_ =
      Status(Code::read_only,
             fmt::format("shard {} takes no more writes since: {}; reads go on; check the device, "
                         "then restart the server",
                         ssd_.shard, why.to_string()));
  spdlog::critical("{}", failure_.message());
  merger_.wake_all();
  for (auto& [key, f] : in_flight_) f->changed.wake_all();
}

// --- Clients
// --------------------------------------------------------------------------------------------

Result<Bytes> Shard::on_hello(fabric::Peer& peer, ByteView request) {
  auto hello = layout::decode_hello_request(request);
  if (!hello) return Status(Code::invalid, "malformed hello");
  if (stopping_) return Status(Code::unavailable, "the server is stopping");
  auto session = sessions_.attach(hello->session, peer, executor_.now());
  Bytes out;
  layout::encode(out,
                 layout::HelloReply{session->id(), ssd_, table_.geometry(), executor_.now(),
                                    options_.fill_timeout, options_.device_path, options_.target});
  return out;
}

void Shard::on_disconnect(fabric::Peer& peer) { sessions_.detach(peer, executor_.now()); }

void Shard::on_request(fabric::Peer& peer, std::uint64_t call, ByteView message) {
  auto request = layout::decode_request(message);
  Session* session = Sessions::of(peer);
  if (!session) return;  // it has moved; the peer is being closed
  if (!request) return peer.close("malformed request");

  if (request->kind == RequestKind::report) {
    ByteReader r(as_bytes(request->value));
    reported_hits_ += r.get<std::uint64_t>();
    reported_misses_ += r.get<std::uint64_t>();
  }
  if (!is_write(request->kind)) {
    const std::string text = request->kind == RequestKind::stat ? stat() : "";
    Bytes reply;
    layout::encode(reply, Reply{Code::ok, 0, text});
    return peer.reply(call, reply);
  }

  std::optional<bool> fresh = session->begin(request->sequence, request->acknowledged, call);
  if (!fresh) return peer.close("write sequence outside the session's window");
  if (!*fresh) return;
  if (stopping_ || writes_in_flight_ >= kMaxWrites ||
      write_bytes_in_flight_ + message.size() > kMaxWriteBytes) {
    Bytes reply;
    layout::encode(reply, Reply{stopping_ ? Code::unavailable : Code::busy, 0,
                                stopping_ ? "the server is stopping; nothing was written"
                                          : "too many writes in flight; nothing was written"});
    return session->finish(request->sequence, std::move(reply));
  }
  executor_.spawn(
      serve_write(sessions_.find(session->id()), Bytes(message.begin(), message.end())));
}

// --- Writes
// ---------------------------------------------------------------------------------------------

Task<void> Shard::serve_write(std::shared_ptr<Session> session, Bytes message) {
  ++writes_in_flight_;
  write_bytes_in_flight_ += message.size();
  const Request request = *layout::decode_request(message);
  std::string text;
  const Reply reply = co_await write(request, &text);
  Bytes encoded;
  layout::encode(encoded, reply);
  session->finish(request.sequence, std::move(encoded));
  write_bytes_in_flight_ -= message.size();
  if (--writes_in_flight_ == 0) idle_.wake_all();
}

Status Shard::check(const Request& request) const {
  if (request.key.empty() || request.key.size() > layout::kMaxKey) {
    return Status(Code::invalid, fmt::format("a key of {} bytes: keys have 1 to {}",
                                             request.key.size(), layout::kMaxKey));
  }
  if (request.key.size() + request.value.size() > ssd_.inline_limit) {
    return Status(Code::too_large,
                  fmt::format("key and value have {} bytes, the store takes {}; format one with a "
                              "larger --inline-limit",
                              request.key.size() + request.value.size(), ssd_.inline_limit));
  }
  if (layout::shard_of(hash_key(request.key, ssd_.hash_seed), ssd_.shards) != ssd_.shard) {
    return Status(Code::invalid, fmt::format("the key does not belong to shard {}", ssd_.shard));
  }
  if (layout::holds_log_id(request.key, request.value, ssd_.log_id())) {
    return Status(Code::invalid,
                  "the record contains the id of this store's log, which stands on its SSDs only: "
                  "a copy of the log "
                  "cannot be kept in the store itself");
  }
  return failure_;
}

Task<Reply> Shard::write(const Request& request, std::string* text) {
  if (Status s = check(request); !s.ok()) co_return failed(s, text);
  const std::string name(request.key);
  // A key that always has a write under way would keep its slot for ever: writers that wait for one
  // go first.
  const std::uint64_t block = table_.geometry().block_of(hash_key(name, ssd_.hash_seed));
  while (merger_.starving(block) && failure_.ok()) co_await merger_.wait_for(block);
  auto& entry = in_flight_[name];
  if (!entry) entry = std::make_unique<InFlight>(executor_);
  InFlight& key = *entry;
  ++key.users;
  const Reply reply = co_await write_key(key, request, text);
  if (--key.users == 0) {
    if (key.slot) table_.slot(block, *key.slot).reserved = false;
    in_flight_.erase(name);
    merger_.wake(block);
    merger_.prepare(block);
  }
  co_return reply;
}

// Gets the write slot that the key's writes go to.
Task<Status> Shard::take_slot(InFlight& key, std::uint64_t block, std::uint64_t hash,
                              std::string_view name, bool removal) {
  while (!key.slot) {
    if (!failure_.ok()) co_return failure_;
    if (auto held = table_.find(block, hash, name)) {
      table_.slot(block, *held).reserved = true;
      key.slot = held;
      break;
    }
    if (merger_.full() && !removal) {
      co_return merger_.no_room();
    }
    if (auto free = table_.reusable(block)) {
      table_.reserve(block, *free, hash);
      key.slot = free;
      break;
    }
    // Rule 10.
    Status s = merger_.relieve(block);
    if (!s.ok()) co_return s;
    co_await merger_.wait_for_slot(block);
  }
  co_return Status();
}

// The version of the key as of its last logged write. None of its writes may be unpublished.
Task<Result<std::uint64_t>> Shard::current_version(InFlight& key, std::uint64_t block,
                                                   std::uint64_t hash, std::string_view name) {
  auto slot = key.slot && table_.slot(block, *key.slot).version != 0
                  ? key.slot
                  : table_.find(block, hash, name);
  if (!slot) {
    Result<BucketStore::Found> found = co_await merger_.buckets().find(name, hash);
    if (!found.ok()) co_return found.status();
    co_return found->version;
  }
  const WriteSlot& s = table_.slot(block, *slot);
  if (s.dirty()) {
    Result<BlockTable::Published> p = co_await repair_.read(block, *slot);
    if (!p.ok() && s.dirty()) co_return p.status();
    if (p.ok()) co_return p->kind == layout::Kind::tombstone ? 0 : p->version;
  }
  if (repair_.intact(block, *slot)) {
    const auto p = table_.look(block, *slot);
    co_return p->kind == layout::Kind::tombstone ? 0 : p->version;
  }
  // CLEAN, and a client has damaged our copy in the region: the bucket has the value, the log may
  // not.
  Result<BucketStore::Found> found = co_await merger_.buckets().find(name, hash);
  if (!found.ok()) co_return found.status();
  co_return found->version;
}

Task<Reply> Shard::write_key(InFlight& key, const Request& request, std::string* text) {
  const std::uint64_t hash = hash_key(request.key, ssd_.hash_seed);
  const std::uint64_t block = table_.geometry().block_of(hash);
  const bool removal = request.kind == RequestKind::remove;
  const bool conditional = request.kind == RequestKind::put_if;
  const auto key_size = static_cast<std::uint32_t>(request.key.size()),
             value_size = static_cast<std::uint32_t>(request.value.size());

  // The slot is taken before the record is logged, so that a durable write can be published at
  // once.
  if (Status s = co_await take_slot(key, block, hash, request.key, removal); !s.ok())
    co_return failed(s, text);

  // A conditional put looks at the version when no write of the key is under way, and none may
  // start until its own record is in the log.
  while (key.exclusive) co_await key.changed.wait();
  struct Exclusive {
    InFlight& key;
    bool held;
    void release() {
      if (!held) return;
      held = key.exclusive = false;
      key.changed.wake_all();
    }
    ~Exclusive() { release(); }
  } exclusive{key, conditional};
  if (conditional) {
    key.exclusive = true;
    while (key.unpublished > 0) co_await key.changed.wait();
    if (!failure_.ok()) co_return failed(failure_, text);
    Result<std::uint64_t> version = co_await current_version(key, block, hash, request.key);
    if (!version.ok()) co_return failed(version.status(), text);
    if (*version != request.expected) {
      ++conflicts_;
      *text = fmt::format("the key's version is {}, not {}", *version, request.expected);
      co_return Reply{Code::conflict, *version, *text};
    }
  }

  const std::uint32_t size = layout::BatchBuilder::record_size(key_size, value_size);
  for (int checkpoints = 0; failure_.ok();) {
    co_await log_.room(key_size, value_size);
    if (!log_.failure().ok()) {
      fail(log_.failure());
      break;
    }
    if (!conditional && key.exclusive) {
      co_await key.changed.wait();
    } else if (merger_.admits(size)) {
      break;
    } else if (checkpoints++ == kMaxCheckpointsWaited) {
      co_return failed(
          Code::full,
          fmt::format("the log of {} is full of writes that cannot be merged", device_.name()),
          text);
    } else {
      co_await merger_.wait_for_log();
    }
  }
  if (!failure_.ok()) co_return failed(failure_, text);

  const Log::Ticket ticket = log_.add(removal ? LogKind::tombstone : LogKind::value, 0, request.key,
                                      as_bytes(request.value));
  merger_.admit(ticket.lsn);
  ++key.unpublished;
  ++table_.slot(block, *key.slot).in_log;
  exclusive.release();
  Status s = co_await log_.durable(ticket.batch);
  if (s.ok()) {
    // Records of one batch are resumed in their order; should a newer value of the key be there
    // already, this one was replaced in the same instant.
    if (ticket.version > table_.slot(block, *key.slot).version) {
      const layout::RecordView record{request.key, request.value, ticket.version,
                                      removal ? layout::Kind::tombstone : layout::Kind::value};
      table_.publish(block, *key.slot, record, ticket.lsn);
    }
  } else {
    fail(s);
  }
  merger_.settle(ticket.lsn);
  --key.unpublished;
  --table_.slot(block, *key.slot).in_log;
  key.changed.wake_all();
  if (!s.ok()) {
    co_return failed(
        Code::unknown,
        fmt::format("the log could not be written ({}): the write may be found after a restart, "
                    "or not",
                    s.to_string()),
        text);
  }
  ++(removal ? removes_ : conditional ? conditional_puts_ : puts_);
  co_return Reply{Code::ok, ticket.version, {}};
}

std::string Shard::stat() {
  const Sessions::Count sessions = sessions_.count(executor_.now());
  const block::Counters& d = device_.counters();
  const LogCounters& l = log_.counters();
  const MergeCounters& m = merger_.counters();
  nlohmann::json j = {
      {"shard", ssd_.shard},
      {"device", options_.device_path},
      {"read_only", failure_.ok()
                        ? nlohmann::json()
                        : nlohmann::json(failure_.message().substr(0, layout::kMaxFailureText))},
      {"full", merger_.full()},
      {"sessions", {{"connected", sessions.connected}, {"kept", sessions.kept}}},
      {"cache",
       {{"blocks", table_.geometry().blocks},
        {"bytes", table_.geometry().blocks * BlockTable::bytes_per_block(table_.geometry())},
        {"block_bytes", table_.geometry().block_size()},
        {"read_slots", table_.geometry().read_slots},
        {"write_slots", table_.geometry().write_slots},
        {"slot_bytes", table_.geometry().slot_size},
        {"dirty", table_.dirty()},
        {"kills", table_.kills()},
        {"damaged_words", table_.damaged_words()},
        {"damaged_bodies", table_.damaged_bodies()},
        {"hits", reported_hits_},
        {"misses", reported_misses_}}},
      {"writes",
       {{"puts", puts_},
        {"deletes", removes_},
        {"conditional_puts", conditional_puts_},
        {"conflicts", conflicts_},
        {"in_flight", writes_in_flight_}}},
      {"log",
       {{"size", ssd_.log_size},
        {"used", log_.used()},
        {"batches", l.batches},
        {"records", l.records},
        {"bytes", l.bytes},
        {"image_bytes", l.image_bytes},
        {"checkpoints", m.checkpoints},
        {"version", log_.version()}}},
      {"merge",
       {{"buckets", m.merges},
        {"records", m.merged_records},
        {"damaged_buckets", m.damaged_buckets}}},
      {"ssd",
       {{"reads", d.reads},
        {"writes", d.writes},
        {"flushes", d.flushes},
        {"bytes_read", d.bytes_read},
        {"bytes_written", d.bytes_written},
        {"errors", d.errors},
        {"buckets", ssd_.buckets},
        {"bucket_bytes", ssd_.bucket_size}}},
      {"recovery",
       {{"records", recovery_.records_applied},
        {"images", recovery_.images},
        {"seconds", recovery_.seconds},
        {"damage", recovery_.damage.named()},
        {"damage_more", recovery_.damage.more()},
        {"not_believed", recovery_.not_believed.named()},
        {"not_believed_more", recovery_.not_believed.more()}}},
      {"process", nlohmann::json::parse(options_.process_stat())},
  };
  return json_text(j);
}

}  // namespace scalio::server
