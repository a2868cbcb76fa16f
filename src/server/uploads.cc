#include "server/uploads.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "layout/rules.h"

namespace scalio::server {

using layout::Request;

namespace {
WriteOutcome failed(const Status& status) { return {status.code(), 0, status.message()}; }
WriteOutcome malformed() { return {Code::invalid, 0, "a malformed request about an upload"}; }

Status too_large(std::string why) { return Status(Code::too_large, std::move(why)); }
}  // namespace

Status Uploads::check_begin(std::string_view key, std::uint32_t length) const {
  if (key.empty() || key.size() > layout::kMaxKey || length == 0)
    return Status(Code::invalid, "a large value without bytes, or a key of a wrong size");
  const std::uint64_t hash = hash_key(key, geometry_.hash_seed);
  if (geometry_.placement().shard_of(hash) != geometry_.shard && kept(Rule::same_shard)) {
    return Status(Code::invalid,
                  fmt::format("the key does not belong to shard {}", geometry_.shard));
  }
  if (geometry_.value_size == 0) {
    return too_large(
        "the store has no room for values over its inline limit: copy it to one that "
        "is formatted with room for values");
  }
  if (layout::payload_size(key.size(), layout::kPointerSize, false) > geometry_.inline_limit) {
    return too_large(
        fmt::format("a key of {} bytes leaves no room for a pointer of {} within the "
                    "inline limit of {}",
                    key.size(), layout::kPointerSize, geometry_.inline_limit));
  }
  const std::uint64_t most = geometry_.segment_size - layout::kSegmentHeader;
  if (length > layout::kMaxValue ||
      layout::stored_size(length, key.size(), geometry_.block_size) > most) {
    return too_large(
        fmt::format("a value of {} bytes: the store takes those of at most {}, and "
                    "that fit a segment of {}",
                    length, layout::kMaxValue, geometry_.segment_size));
  }
  return Status();
}

// A session may have as many as it leaves to all others: half if it is alone, and so on.
Status Uploads::check_share(std::uint64_t session) const {
  const auto share = shares_.find(session);
  const std::size_t mine = share == shares_.end() ? 0 : share->second, all = count();
  if (mine + all < kMost) return Status();
  return Status(Code::busy,
                fmt::format("too many large values at once: {} of this client, {} of all, of {}",
                            mine, all, kMost));
}

void Uploads::give_back_share(std::uint64_t session) {
  const auto share = shares_.find(session);
  if (--share->second == 0) shares_.erase(share);
}

Task<WriteOutcome> Uploads::begin(std::uint64_t session, const Request& request) {
  const auto begin = layout::decode_value_begin(as_bytes(request.value));
  if (!begin) co_return malformed();
  ++begins_;
  const Result<Found> upload = co_await open(session, request.key, begin->length);
  --begins_;
  if (!upload.ok()) co_return failed(upload.status());
  Bytes text;
  layout::encode(text, layout::Upload{(*upload)->first});
  co_return WriteOutcome{Code::ok, (*upload)->second.version, std::string(as_string(text))};
}

Task<Result<Uploads::Found>> Uploads::open(std::uint64_t session, std::string_view key,
                                           std::uint32_t length) {
  if (Status s = check_begin(key, length); !s.ok()) co_return s;
  if (stopping_) co_return Status(Code::unavailable, "the server is stopping");
  const Nanos began = executor_.now();
  expire();
  if (Status s = check_share(session); !s.ok()) co_return s;
  ++shares_[session];
  ++beginning_;
  ++under_way_;
  const std::uint64_t size = layout::stored_size(length, key.size(), geometry_.block_size);
  const Result<LargeValues::Place> place =
      co_await values_.take(LargeValues::User::writes, size, LargeValues::Patience::cleaner);
  --beginning_;
  leave();
  if (!place.ok()) {
    give_back_share(session);
    co_return place.status();
  }
  const auto version = log_.take_version();
  if (!version || stopping_) {
    give_back_share(session);
    values_.unpin(*place);
    co_return Status(Code::unavailable, "the shard takes no more writes");
  }
  std::uint64_t id = 0;
  do {
    id = new_number_();
  } while (id == 0 || uploads_.contains(id));
  const std::uint64_t hash = hash_key(key, geometry_.hash_seed);
  const std::uint32_t parts = layout::parts_of(length, key.size());
  State upload{session,
               std::string(key),
               hash,
               length,
               *version,
               *place,
               std::vector<Part>(parts),
               parts,
               0,
               executor_.now(),
               executor_.now() - began};
  writes_.watched().watch(hash);
  co_return uploads_.emplace(id, std::move(upload)).first;
}

Nanos Uploads::begin_took(std::uint64_t session, const Request& commit) const {
  const auto which = layout::decode_upload(as_bytes(commit.value));
  const auto found = which ? uploads_.find(which->id) : uploads_.end();
  return found == uploads_.end() || found->second.session != session ? 0 : found->second.begin_took;
}

Result<Uploads::Found> Uploads::find(std::uint64_t session, const Request& request,
                                     std::uint64_t id) {
  const Found found = uploads_.find(id);
  if (found == uploads_.end() || found->second.session != session ||
      found->second.key != request.key) {
    return Status(Code::invalid,
                  "there is no such upload: nothing came for 30 s, or for 5 s after the connection "
                  "was lost, or the server was restarted");
  }
  found->second.heard = executor_.now();
  return found;
}

void Uploads::end(Found upload) {
  SCALIO_ASSERT(upload->second.users == 0);
  values_.unpin(upload->second.place);
  give_back_share(upload->second.session);
  writes_.watched().unwatch(upload->second.hash);
  uploads_.erase(upload);
}

Task<WriteOutcome> Uploads::part(std::uint64_t session, const Request& request) {
  const auto part = layout::decode_value_part(as_bytes(request.value));
  if (!part) co_return malformed();
  const Result<Found> found = find(session, request, part->upload.id);
  if (!found.ok()) co_return failed(found.status());
  State& upload = (*found)->second;
  const std::uint32_t capacity = layout::part_capacity(upload.key.size());
  if (part->index >= upload.parts.size() ||
      part->bytes.size() != std::min(capacity, upload.length - part->index * capacity)) {
    co_return WriteOutcome{Code::invalid, 0,
                           fmt::format("part {} of {} bytes is none of a value of {}", part->index,
                                       part->bytes.size(), upload.length)};
  }
  // Its bytes are not to change while they are written, or with the commit under way.
  if (upload.parts[part->index].being_written || bytes_ + part->bytes.size() > kMostBytes)
    co_return WriteOutcome{Code::busy, 0, "too many parts on their way"};
  bytes_ += part->bytes.size();
  ++upload.users;
  ++under_way_;
  WriteOutcome outcome = co_await write_parts(upload, part->index, part->bytes);
  --upload.users;
  upload.heard = executor_.now();
  bytes_ -= part->bytes.size();
  leave();
  co_return outcome;
}

// The bytes of the parts from `first` on, written at once: they are one behind the other.
Task<WriteOutcome> Uploads::write_parts(State& upload, std::uint32_t first, ByteView bytes) {
  const std::uint64_t at = upload.place.offset + std::uint64_t{first} * layout::kPartSize;
  const std::uint32_t capacity = layout::part_capacity(upload.key.size());
  const auto length = static_cast<std::uint32_t>(bytes.size());
  block::Buffer buffer =
      block::Buffer::unset(layout::stored_size(length, upload.key.size(), geometry_.block_size));
  const std::span<Part> parts =
      std::span(upload.parts).subspan(first, layout::parts_of(length, upload.key.size()));
  for (std::uint32_t i = 0; i < parts.size(); ++i) {
    const layout::ValuePart part{upload.place.sequence,
                                 upload.version,
                                 first + i,
                                 upload.length,
                                 upload.key,
                                 bytes.first(std::min<std::size_t>(capacity, bytes.size()))};
    bytes = bytes.subspan(part.bytes.size());
    const std::uint64_t ahead = std::uint64_t{i} * layout::kPartSize;
    const std::uint64_t sum =
        layout::encode(buffer.span().subspan(ahead), part, at + ahead, geometry_);
    if (parts[i].written) {
      // It came before; what was acknowledged stays.
      if (parts[i].checksum == sum) co_return WriteOutcome();
      co_return WriteOutcome{Code::invalid, 0,
                             fmt::format("part {} came with other bytes", part.index)};
    }
    parts[i] = {sum, false, true};
  }
  const Status s = co_await values_.write(at, buffer.span());
  for (Part& part : parts) {
    part.being_written = false;
    part.written = s.ok();
  }
  if (!s.ok()) co_return failed(s);
  upload.left -= parts.size();
  values_.counters().bytes_written += buffer.size();
  co_return WriteOutcome();
}

LargeValue::Pointer Uploads::pointer_of(const State& upload) const {
  std::vector<std::uint64_t> sums;
  for (const Part& p : upload.parts) sums.push_back(p.checksum);
  LargeValue::Pointer pointer{};
  layout::encode(pointer, layout::Pointer{upload.place.offset, upload.place.sequence, upload.length,
                                          layout::checksum_of_parts(sums, upload.version)});
  return pointer;
}

Task<WriteOutcome> Uploads::commit(std::uint64_t session, const Request& request) {
  const auto which = layout::decode_upload(as_bytes(request.value));
  if (!which) co_return malformed();
  const Result<Found> found = find(session, request, which->id);
  if (!found.ok()) co_return failed(found.status());
  State& upload = (*found)->second;
  // A part that has come again: the commit may, too.
  if (upload.users > 0) co_return WriteOutcome{Code::busy, 0, "parts of the value are under way"};
  if (upload.left > 0) {
    co_return WriteOutcome{Code::invalid, 0,
                           fmt::format("{} parts of the value have not come", upload.left)};
  }
  ++upload.users;
  ++under_way_;
  WriteOutcome outcome = co_await write(upload, request);
  --upload.users;
  // Of one whose outcome is unknown the record may be found after a restart.
  end(*found);
  leave();
  co_return outcome;
}

Task<WriteOutcome> Uploads::put(std::uint64_t session, const Request& request) {
  const std::size_t size = request.value.size();
  if (bytes_ + size > kMostBytes)
    co_return WriteOutcome{Code::busy, 0, "too many large values on their way"};
  bytes_ += size;
  const Result<Found> upload =
      co_await open(session, request.key, static_cast<std::uint32_t>(size));
  WriteOutcome outcome = failed(upload.status());
  if (upload.ok()) {
    State& state = (*upload)->second;
    ++state.users;
    ++under_way_;
    outcome = co_await write_parts(state, 0, as_bytes(request.value));
    if (outcome.code == Code::ok) outcome = co_await write(state, request);
    --state.users;
    end(*upload);
    leave();
  }
  bytes_ -= size;
  co_return outcome;
}

// A value that is written anew, and where to.
struct Uploads::Renewal {
  State& upload;
  bool refused = false;  // there was no room for it
  std::optional<LargeValues::Place> place = {};
};

Task<WriteOutcome> Uploads::write(State& upload, const Request& request) {
  if (Status s = co_await values_.flush(); !s.ok()) co_return failed(s);
  Renewal renewal{upload};
  LargeValue value;
  value.pointer = pointer_of(upload);
  value.version = upload.version;
  value.renew = [this, &renewal](LargeValue& v) { return renew(renewal, v); };
  WriteOutcome outcome = co_await writes_.write(request, &value);
  // Now the cleaner can be waited for.
  if (outcome.code == Code::full && renewal.refused) {
    const Result<LargeValues::Place> place =
        co_await values_.take(LargeValues::User::writes, upload.place.size,
                              LargeValues::Patience::cleaner, upload.place.number);
    if (place.ok()) {
      renewal.place = *place;
      outcome = co_await writes_.write(request, &value);
    }
  }
  if (renewal.place) values_.unpin(*renewal.place);
  co_return outcome;
}

// The cleaner may be waiting for the key, so it is not waited for here.
Task<Status> Uploads::renew(Renewal& renewal, LargeValue& value) {
  State& upload = renewal.upload;
  if (!renewal.place) {
    const Result<LargeValues::Place> place = co_await values_.take(
        LargeValues::User::writes, upload.place.size, LargeValues::Patience::none);
    renewal.refused = place.status().code() == Code::full;
    if (!place.ok()) co_return place.status();
    renewal.place = *place;
  }
  Status s = co_await copy(upload.key, value, *renewal.place);
  // What the record points to is the upload's until that is published; the other goes back.
  if (s.ok()) std::swap(upload.place, *renewal.place);
  co_return s;
}

// The value's bytes are read from where they are, and written with the version after all that the
// key has.
Task<Status> Uploads::copy(std::string_view key, LargeValue& value, const LargeValues::Place& to) {
  const auto from = layout::decode_pointer(value.pointer, key.size(), geometry_);
  const auto version = log_.take_version();
  if (!from || !version) co_return Status(Code::unavailable, "the shard takes no more writes");
  const Result<layout::Pointer> copied =
      co_await values_.copy(*from, key, value.version, to, *version);
  Status s = copied.status();
  if (s.ok()) s = co_await values_.flush();
  if (!s.ok()) co_return s;
  value.version = *version;
  layout::encode(value.pointer, *copied);
  co_return Status();
}

// A change of an end, and where a large value is written for it.
struct Uploads::NewEnd {
  const std::string_view key;
  std::uint64_t size = 0;  // of the value that was found, 0: of none
  std::optional<LargeValues::Place> place = {};
};

Task<WriteOutcome> Uploads::set_end(const Request& request) {
  if (stopping_) co_return WriteOutcome{Code::unavailable, 0, "the server is stopping"};
  ++under_way_;
  NewEnd change{request.key};
  LargeValue value;
  value.renew = [this, &change](LargeValue& v) { return renew(change, v); };
  WriteOutcome outcome = co_await writes_.write(request, &value);
  // Now the cleaner can be waited for.
  if (outcome.code == Code::full && change.size > 0 && !change.place) {
    const Result<LargeValues::Place> place = co_await values_.take(
        LargeValues::User::writes, change.size, LargeValues::Patience::cleaner);
    if (place.ok()) {
      change.place = *place;
      outcome = co_await writes_.write(request, &value);
    }
  }
  if (change.place) values_.unpin(*change.place);
  leave();
  co_return outcome;
}

Task<Status> Uploads::renew(NewEnd& change, LargeValue& value) {
  const auto from = layout::decode_pointer(value.pointer, change.key.size(), geometry_);
  if (!from) co_return Status(Code::corrupt, "the key's record points outside the value log");
  change.size = layout::stored_size(from->length, change.key.size(), geometry_.block_size);
  if (!change.place || change.place->size != change.size) {
    const Result<LargeValues::Place> place =
        co_await values_.take(LargeValues::User::writes, change.size, LargeValues::Patience::none);
    if (!place.ok()) co_return place.status();
    if (change.place) values_.unpin(*change.place);
    change.place = *place;
  }
  co_return co_await copy(change.key, value, *change.place);
}

WriteOutcome Uploads::abandon(std::uint64_t session, const Request& request) {
  const auto which = layout::decode_upload(as_bytes(request.value));
  if (!which) return malformed();
  const Result<Found> found = find(session, request, which->id);
  if (!found.ok()) return failed(found.status());
  if ((*found)->second.users > 0) return {Code::busy, 0, "requests of the upload are under way"};
  end(*found);
  return {};
}

bool Uploads::given_up(const State& upload) const {
  const Nanos now = executor_.now();
  if (upload.users > 0) return false;
  if (upload.heard + kKeep <= now) return true;
  const std::shared_ptr<Session> session = sessions_.find(upload.session);
  return !session || (!session->peer && session->lost_at + kKeepLost <= now);
}

void Uploads::expire() {
  for (auto it = uploads_.begin(); it != uploads_.end();) {
    const auto next = std::next(it);
    if (given_up(it->second)) end(it);
    it = next;
  }
}

Task<void> Uploads::stop() {
  stopping_ = true;
  while (under_way_ > 0) co_await ended_.wait();
  while (!uploads_.empty()) end(uploads_.begin());
}

}  // namespace scalio::server
