#include "server/shard.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "layout/rules.h"
#include "layout/store_stat.h"

namespace scalio::server {

using layout::Reply;
using layout::Request;
using layout::RequestKind;

namespace {
static_assert(layout::kMaxMessageSize <= fabric::kMaxMessage);
// How often a recovery that others are in the way of asks whether it may begin.
constexpr Nanos kRecoveryTurn = 5 * kMillisecond;

// Full places that `stat` names: where to look, not all.
constexpr std::size_t kMostPlacesTold = 3;

// GETs of one report: more than a client does from one to the next. And of all: figures of several
// shards can be added up.
constexpr std::uint64_t kMostReported = 1ULL << 30, kMostCounted = 1ULL << 48;

// What of the buckets is in use. Where part of the log was lost its figures may be too small, but
// there are never less than none.
struct Room {
  Room(const layout::SsdGeometry& ssd, const layout::BucketTotals& held)
      : records(at_least_0(held.records)),
        used(at_least_0(held.bytes)),
        spilled(at_least_0(held.spilled)),
        all(ssd.all_buckets() * (ssd.bucket_size - layout::kBucketHeader)),
        free(all - std::min(all, used)) {}
  double fill() const { return static_cast<double>(used) / static_cast<double>(all); }
  static std::uint64_t at_least_0(std::uint64_t n) { return n >> 63 != 0 ? 0 : n; }

  const std::uint64_t records, used, spilled, all, free;
};

nlohmann::json to_json(const RecoveryReport& r) {
  return {{"records", r.records_applied},
          {"images", r.images},
          {"log_batches", r.batches},
          {"log_records", r.records},
          {"passes", r.passes},
          {"bucket_reads", r.buckets_read},
          {"seconds", r.seconds},
          {"damage", r.damage.named()},
          {"damage_more", r.damage.more()}};
}

nlohmann::json to_json(const LatencyCounts& latency) {
  return {{"counts", latency.counts()}, {"sum_ns", latency.sum()}};
}

Bytes encoded(const Reply& reply) {
  Bytes out;
  layout::encode(out, reply);
  return out;
}
}  // namespace

Shard::Shard(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& ssd,
             const layout::RegionGeometry& region_geometry, ByteSpan region, ShardOptions options)
    : executor_(executor),
      device_(device),
      ssd_(ssd),
      options_(std::move(options)),
      recoveries_(options_.recoveries ? options_.recoveries : std::make_shared<Recoveries>(1)),
      table_(region_geometry, region, options_.between_stores),
      log_(executor, device, ssd_, options_.log),
      stop_(ssd_.shard,
            [this] {
              queue_.wake_all();
              space_.wake_all();
              writes_.wake_all();
              values_.wake_all();
            }),
      queue_(executor),
      space_(executor, ssd_, table_, log_),
      repair_(executor, ssd_, table_, log_),
      segments_(ssd_),
      images_(ssd_, log_, segments_),
      room_(executor, ssd_),
      moves_(region_geometry, region, ssd_.buckets),
      buckets_(executor, device, ssd_, images_, room_, moves_),
      merger_(executor, device, ssd_, table_, log_, space_, queue_, repair_, buckets_, room_, stop_,
              options_.merges),
      values_(executor, device, ssd_, log_, space_, segments_, stop_),
      checkpointer_(executor, device, ssd_, table_, log_, space_, images_, repair_, merger_,
                    values_, stop_),
      writes_(executor, device, ssd_, table_, log_, space_, queue_, repair_, buckets_, room_,
              merger_, segments_, stop_),
      sessions_(options_.new_number),
      uploads_(executor, ssd_, log_, values_, writes_, sessions_, options_.new_number),
      cleaner_(executor, device, ssd_, log_, space_, segments_, values_, writes_, merger_,
               checkpointer_, stop_),
      scrubber_(executor, table_, repair_),
      idle_(executor),
      recent_(executor.now()),
      slow_log_(options_.slow) {
  SCALIO_ASSERT(layout::check(region_geometry, ssd_).ok());
}

Task<Status> Shard::start() {
  Result<RecoveryReport> r = co_await recover_log();
  recoveries_->end(r.ok());
  if (!r.ok()) co_return r.status();
  recovery_ = *r;
  executor_.spawn(checkpointer_.run());
  if (segments_.any()) executor_.spawn(cleaner_.run());
  co_return Status();
}

Task<Result<RecoveryReport>> Shard::recover_log() {
  // Others that run end by themselves, or the server does.
  while (!recoveries_->begin()) co_await executor_.sleep(kRecoveryTurn);
  std::uint64_t before = 0;
  RecoveryOptions options;
  options.memory = recoveries_->memory();
  options.on_progress = [this, &before](double part) {
    const auto now = static_cast<std::uint64_t>(part * Recoveries::kWhole);
    recoveries_->advance(std::exchange(before, now), now);
  };
  const RecoveryParts parts{executor_, device_, ssd_,    table_,    log_,   buckets_,
                            room_,     queue_,  merger_, segments_, values_};
  co_return co_await recover(parts, std::move(options));
}

Task<Status> Shard::stop() {
  stopping_ = true;
  co_await scrubber_.stop();
  co_await cleaner_.stop();
  co_await uploads_.stop();
  while (writes_in_flight_ > 0) co_await idle_.wait();
  co_await writes_.stop();
  checkpointer_.stop();
  co_await checkpointer_.drain();
  co_await merger_.drain();
  Status s = stop_.answer();
  if (s.ok()) s = co_await checkpointer_.checkpoint(log_.head());
  log_.stop();
  queue_.wake_all();
  space_.wake_all();
  co_return s;
}

Result<Bytes> Shard::on_hello(fabric::Peer& peer, ByteView request) {
  auto hello = layout::decode_hello_request(request);
  if (!hello) return Status(Code::invalid, "malformed hello");
  if (stopping_) return Status(Code::unavailable, "the server is stopping");
  if (!recoveries_->all_ended()) {
    return Status(Code::unavailable,
                  fmt::format("the server recovers its log, {} %", recoveries_->percent()));
  }
  auto session = sessions_.attach(hello->session, peer, executor_.now());
  if (!session) return Status(Code::invalid, "this session is another user's");
  layout::HelloReply reply;
  reply.session = session->id();
  reply.ssd = ssd_;
  reply.region = table_.geometry();
  reply.region.base = options_.region_base;
  if ((peer.features & layout::kMoveCounts) == 0) reply.region.move_counts = 0;
  reply.server_now = executor_.now();
  reply.fill_timeout = options_.fill_timeout;
  reply.device_path = options_.device_path;
  reply.target = options_.target;
  reply.store_time = writes_.time_to_tell().value_or(0);
  Bytes out;
  layout::encode(out, reply);
  return out;
}

void Shard::on_disconnect(fabric::Peer& peer) { sessions_.detach(peer, executor_.now()); }

void Shard::on_request(fabric::Peer& peer, std::uint64_t call, ByteView message) {
  const std::optional<Request> request = layout::decode_request(message);
  Session* session = Sessions::of(peer);
  if (!session) return;  // it has moved; the peer is being closed
  if (!request) return peer.close("malformed request");

  if (request->shard != ssd_.shard && kept(Rule::same_shard))
    return peer.close("a request for another shard");

  if (request->kind == RequestKind::store_time) {
    // As many as there may be writes: they wait for the log likewise.
    if (times_asked_ >= kMaxWrites)
      return peer.reply(call, encoded({Code::busy, 0, "too many questions in flight"}));
    ++times_asked_;
    executor_.spawn(tell_time(sessions_.find(session->id()), call));
    return;
  }
  if (!is_write(request->kind)) {
    if (request->kind == RequestKind::report) take_report(*request);
    if (request->kind >= RequestKind::value_begin) {
      session->has_written = true;
      if (request->kind == RequestKind::value_part) {
        // It runs at once, so its bytes need not be kept.
        return executor_.spawn(serve_part(sessions_.find(session->id()), call, *request));
      }
      return executor_.spawn(
          serve_upload(sessions_.find(session->id()), call, OwnedRequest(*request, message)));
    }
    const std::string text = request->kind == RequestKind::stat ? asked(*request) : "";
    return peer.reply(call, encoded({Code::ok, 0, text}));
  }

  // Rule 8: a write that was seen before gets the first one's reply.
  std::optional<bool> fresh = session->begin(request->sequence, request->acknowledged, call);
  if (!fresh) return peer.close("write sequence outside the session's window");
  if (!*fresh) return;
  if (std::optional<Reply> refused = refusal(message.size()))
    return session->finish(request->sequence, encoded(*refused));
  executor_.spawn(serve_write(sessions_.find(session->id()), OwnedRequest(*request, message)));
}

void Shard::take_report(const Request& request) {
  ByteReader r(as_bytes(request.value));
  const auto hits = std::min(r.get<std::uint64_t>(), kMostReported),
             misses = std::min(r.get<std::uint64_t>(), kMostReported);
  if (!r.done()) return;
  reported_hits_ = std::min(reported_hits_ + hits, kMostCounted);
  reported_misses_ = std::min(reported_misses_ + misses, kMostCounted);
  recent_.gets_reported(executor_.now(), hits, misses);
}

void Shard::scrub() {
  scrubber_.step();
  moves_.mend(executor_.now());
  uploads_.expire();
  warn_of_fill();
}

void Shard::warn_of_fill() {
  const Room room(ssd_, log_.buckets());
  if (const std::optional<unsigned> level = fill_warnings_.reached(room.fill())) {
    spdlog::warn(
        "{}: the buckets of shard {} are over {} % full, with {} records; puts are refused where "
        "there is no room: delete keys, or copy them to a larger store",
        device_.name(), ssd_.shard, *level, room.records);
  }
  const Segments::Totals values = segments_.totals();
  if (const std::optional<unsigned> level = value_warnings_.reached(values.fill())) {
    spdlog::warn(
        "{}: the value log of shard {} is over {} % full, with {} bytes of large values; those "
        "that find no room are refused: delete large values, or copy the store to one with more "
        "--values",
        device_.name(), ssd_.shard, *level, values.live);
  }
}

std::optional<Reply> Shard::refusal(std::size_t message_size) const {
  if (stopping_) return Reply{Code::unavailable, 0, "the server is stopping; nothing was written"};
  if (writes_in_flight_ >= kMaxWrites || write_bytes_in_flight_ + message_size > kMaxWriteBytes)
    return Reply{Code::busy, 0, "too many writes in flight; nothing was written"};
  return std::nullopt;
}

Task<void> Shard::serve_upload(std::shared_ptr<Session> session, std::uint64_t call,
                               OwnedRequest request) {
  const std::uint64_t connection = session->connection;
  const Nanos began = executor_.now();
  WriteOutcome outcome;
  if (request->kind == RequestKind::value_begin) {
    outcome = co_await uploads_.begin(session->id(), *request);
    // What was begun ends with its commit; what was busy comes again.
    if (outcome.code != Code::ok && outcome.code != Code::busy)
      write_ended(*request, outcome.code, executor_.now() - began);
  } else {
    outcome = uploads_.abandon(session->id(), *request);
  }
  session->reply(connection, call, encoded({outcome.code, outcome.version, outcome.text}));
}

Task<void> Shard::serve_part(std::shared_ptr<Session> session, std::uint64_t call,
                             Request request) {
  const std::uint64_t connection = session->connection;
  const WriteOutcome outcome = co_await uploads_.part(session->id(), request);
  session->reply(connection, call, encoded({outcome.code, outcome.version, outcome.text}));
}

void Shard::write_ended(const Request& request, Code code, Nanos took) {
  recent_.write_ended(executor_.now(), took);
  write_latency_.record(took);
  slow_log_.write_ended(request, code, took);
  if (code == Code::full) ++refused_full_;
}

Task<void> Shard::tell_time(std::shared_ptr<Session> session, std::uint64_t call) {
  const std::uint64_t connection = session->connection;
  const Result<std::uint64_t> time = co_await writes_.tell_time();
  --times_asked_;
  const Status failure = time.status();
  Bytes text;
  if (time.ok()) layout::encode(text, layout::StoreTime{*time});
  const std::string_view told = time.ok() ? as_string(text) : failure.message();
  session->reply(connection, call, encoded({failure.code(), 0, told}));
}

Task<void> Shard::serve_write(std::shared_ptr<Session> session, OwnedRequest request) {
  const Nanos began = executor_.now();
  ++writes_in_flight_;
  write_bytes_in_flight_ += request.size();
  WriteOutcome outcome;
  Nanos before = 0;
  if (layout::is_value_put(request->kind)) {
    outcome = co_await uploads_.put(session->id(), *request);
  } else if (layout::is_value_commit(request->kind)) {
    // Not what the client has taken for its parts.
    before = uploads_.begin_took(session->id(), *request);
    outcome = co_await uploads_.commit(session->id(), *request);
  } else if (request->kind == RequestKind::set_end) {
    outcome = co_await uploads_.set_end(*request);
  } else {
    outcome = co_await writes_.write(*request);
  }
  session->finish(request->sequence, encoded({outcome.code, outcome.version, outcome.text}));
  write_ended(*request, outcome.code, before + executor_.now() - began);
  write_bytes_in_flight_ -= request.size();
  if (--writes_in_flight_ == 0) idle_.wake_all();
}

nlohmann::json Shard::cache_stat() const {
  return {{"blocks", table_.geometry().blocks},
          {"bytes", table_.geometry().blocks * BlockTable::bytes_per_block(table_.geometry()) +
                        table_.geometry().move_counts * MoveCounts::kBytes},
          {"block_bytes", table_.geometry().block_size()},
          {"read_slots", table_.geometry().read_slots},
          {"write_slots", table_.geometry().write_slots},
          {"slot_bytes", table_.geometry().slot_size},
          {"dirty", table_.dirty()},
          {"kills", table_.kills()},
          {"damaged_words", table_.damaged_words() + moves_.damaged()},
          {"damaged_bodies", table_.damaged_bodies()},
          {"hits", reported_hits_},
          {"misses", reported_misses_}};
}

nlohmann::json Shard::records_stat() const {
  const Room room(ssd_, log_.buckets());
  return {{"count", room.records},
          {"bytes", room.used},
          {"free_bytes", room.free},
          {"fill", room.fill()},
          {"spilled_buckets", room.spilled}};
}

nlohmann::json Shard::writes_stat() const {
  const WriteCounters& w = writes_.counters();
  return {{"puts", w.puts},
          {"deletes", w.removes},
          {"conditional_puts", w.conditional_puts},
          {"conditional_deletes", w.conditional_removes},
          {"appends", w.appends},
          {"increments", w.increments},
          {"end_changes", w.end_changes},
          {"conflicts", w.conflicts},
          {"refused_full", refused_full_},
          {"in_flight", writes_in_flight_ + uploads_.begins()}};
}

nlohmann::json Shard::recent_stat() {
  const RecentWork::Figures f = recent_.figures(executor_.now());
  const auto us = [&](Nanos RecentWork::Latency::*which) {
    return f.write_latency
               ? nlohmann::json(static_cast<double>((*f.write_latency).*which) / kMicrosecond)
               : nlohmann::json();
  };
  return {{"seconds", f.seconds},
          {"gets_per_second", f.gets_per_second},
          {"hit_ratio", f.hit_ratio ? nlohmann::json(*f.hit_ratio) : nlohmann::json()},
          {"writes_per_second", f.writes_per_second},
          {"write_p50_us", us(&RecentWork::Latency::p50)},
          {"write_p99_us", us(&RecentWork::Latency::p99)}};
}

nlohmann::json Shard::log_stat() {
  const LogCounters& l = log_.counters();
  return {{"size", ssd_.log_size},
          {"used", log_.used()},
          {"batches", l.batches},
          {"records", l.records},
          {"bytes", l.bytes},
          {"image_bytes", l.image_bytes},
          {"checkpoints", checkpointer_.count()},
          {"checkpointing", checkpointer_.running()},
          {"version", log_.version()},
          {"time_ahead_s", static_cast<double>(log_.time_ahead()) / static_cast<double>(kSecond)}};
}

nlohmann::json Shard::ssd_stat() const {
  const block::Counters& d = device_.counters();
  return {{"reads", d.reads},
          {"writes", d.writes},
          {"flushes", d.flushes},
          {"bytes_read", d.bytes_read},
          {"bytes_written", d.bytes_written},
          {"errors", d.errors},
          {"buckets", ssd_.buckets},
          {"bucket_bytes", ssd_.bucket_size}};
}

nlohmann::json Shard::values_stat() const {
  const Segments::Totals t = segments_.totals();
  const LargeValueCounters& v = values_.counters();
  return {{"live_bytes", t.live},
          {"dead_bytes", t.dead},
          {"free_bytes", t.free},
          {"usable_bytes", t.usable},
          {"fill", t.fill()},
          {"full", values_.full()},
          {"segments", t.segments},
          {"segment_bytes", ssd_.segment_size},
          {"free_segments", t.free_segments},
          {"passed_over", t.passed_over},
          {"uploads", uploads_.count()},
          {"cleaning", cleaning_stat()},
          {"bytes_written", v.bytes_written},
          {"bytes_moved", v.bytes_moved},
          {"cleaned", v.cleaned},
          {"ended", v.ended}};
}

nlohmann::json Shard::cleaning_stat() const {
  const std::optional<Cleaner::Cleaning> now = cleaner_.cleaning();
  if (!now) return {};
  return {{"segment", now->segment}, {"part", now->part}};
}

nlohmann::json Shard::stat_json() {
  const Sessions::Count sessions = sessions_.count(executor_.now());
  const MergeCounters& m = merger_.counters();
  const Status& failure = stop_.answer();
  return {
      {"shard", ssd_.shard},
      {"slice", ssd_.slice()},
      {"lane", nlohmann::json::parse(options_.lane_stat())},
      {"device", options_.device_path},
      {"read_only", failure.ok()
                        ? nlohmann::json()
                        : nlohmann::json(failure.message().substr(0, layout::kMaxFailureText))},
      {"full", room_.full().count() > 0},
      {"full_places", room_.full().count()},
      {"full_near", room_.full().first_homes(kMostPlacesTold)},
      {"sessions", {{"connected", sessions.connected}, {"kept", sessions.kept}}},
      {"cache", cache_stat()},
      {"records", records_stat()},
      {"writes", writes_stat()},
      {"recent", recent_stat()},
      {"log", log_stat()},
      {"merge",
       {{"buckets", m.merges},
        {"records", m.merged_records},
        {"ended", m.ended},
        {"damaged_buckets", m.damaged_buckets},
        {"roomless", m.roomless},
        {"at_once", merger_.most()},
        {"running", merger_.running()},
        {"queued",
         merger_.queued(Merger::Urgency::ahead) + merger_.queued(Merger::Urgency::waited)}}},
      {"ssd", ssd_stat()},
      {"values", values_stat()},
      {"recovery", to_json(recovery_)},
      {"process", nlohmann::json::parse(options_.process_stat())},
  };
}

std::string Shard::stat() { return json_text(stat_json()); }

std::string Shard::figures() {
  nlohmann::json j = stat_json();
  j["latency"] = {{"write", to_json(write_latency_)}, {"merge", to_json(merger_.latency())}};
  return json_text(j);
}

std::string Shard::asked(const Request& request) {
  return request.value == layout::kAskSlowLog ? json_text(slow_log_.to_json()) : stat();
}

}  // namespace scalio::server
