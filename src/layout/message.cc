#include "layout/message.h"

#include <array>

#include "layout/superblock.h"
#include "layout/value_area.h"

namespace scalio::layout {

namespace {
constexpr Code kLastCode = Code::denied;
// Of a request.
constexpr std::size_t kShardAt = 1, kSequenceAt = 5, kAcknowledgedAt = 13;

// What may be a large value's part: g++ 12 has ByteWriter copy bytes one at a time.
void append_bytes(Bytes& out, ByteView bytes) {
  const std::size_t at = out.size();
  out.resize(at + bytes.size());
  copy_bytes(bytes, out.data() + at);
}

bool is_known(RequestKind kind) {
  return kind >= RequestKind::put && kind <= RequestKind::value_put_if;
}
bool may_have_end(RequestKind kind) {
  return kind == RequestKind::set_end || (is_write(kind) && !is_removal(kind) && !is_update(kind));
}
// Beside its bytes, each part has the key, and a header.
static_assert(kPartsOfAPut * kPartSize <= kMaxMessageSize &&
              kRequestHeader + kEndSize <= kPartsOfAPut * kPartHeader);
}  // namespace

void encode(Bytes& out, const LaneRequest& m) {
  ByteWriter w(out);
  w.put(m.features);
}

std::optional<LaneRequest> decode_lane_request(ByteView in) {
  ByteReader r(in);
  LaneRequest m{r.get<std::uint64_t>()};
  return r.done() ? std::optional(m) : std::nullopt;
}

void encode(Bytes& out, const LaneReply& m) {
  SCALIO_ASSERT(!m.lanes.empty() && m.lanes.size() <= kMaxShards);
  ByteWriter w(out);
  w.put(m.protocol);
  w.put(m.features);
  w.put(m.lane);
  w.put(static_cast<std::uint16_t>(m.lanes.size()));
  for (const std::uint16_t lane : m.lanes) w.put(lane);
}

std::optional<LaneReply> decode_lane_reply(ByteView in) {
  ByteReader r(in);
  LaneReply m;
  m.protocol = r.get<std::uint32_t>();
  m.features = r.get<std::uint64_t>();
  m.lane = r.get<std::uint16_t>();
  const auto shards = r.get<std::uint16_t>();
  if (shards == 0 || shards > kMaxShards) return std::nullopt;
  m.lanes.resize(shards);
  for (std::uint16_t& lane : m.lanes) lane = r.get<std::uint16_t>();
  if (!r.done()) return std::nullopt;
  std::array<std::uint32_t, kMaxLanes> counts{};
  for (const std::uint16_t lane : m.lanes) {
    if (lane >= kMaxLanes || ++counts[lane] > kMaxShardsOfALane) return std::nullopt;
  }
  if (m.lane >= kMaxLanes || counts[m.lane] == 0) return std::nullopt;
  return m;
}

void encode(Bytes& out, const HelloRequest& m) {
  ByteWriter w(out);
  w.put(m.session);
}

std::optional<HelloRequest> decode_hello_request(ByteView in) {
  ByteReader r(in);
  HelloRequest m{r.get<std::uint64_t>()};
  return r.done() ? std::optional(m) : std::nullopt;
}

void encode(Bytes& out, const HelloReply& m) {
  SCALIO_ASSERT(m.device_path.size() <= kMaxPath && m.target.host.size() <= kMaxHost);
  SCALIO_ASSERT(check(m.region, m.ssd).ok());
  ByteWriter w(out);
  w.put(m.session);
  w.put(m.server_now);
  w.put(m.store_time);
  w.put(m.fill_timeout);
  w.put(static_cast<std::uint8_t>(m.target.transport));
  w.put(m.target.port);
  w.string(m.target.host);
  w.put(m.ssd.shard);
  // The superblock is the geometry's one encoding.
  Bytes superblock(kSuperblockSize);
  encode_superblock(superblock, m.ssd);
  w.bytes(superblock);
  w.put(m.region.base);
  w.put(m.region.blocks);
  w.put(m.region.read_slots);
  w.put(m.region.write_slots);
  w.put(m.region.slot_size);
  w.string(m.device_path);
  if (m.region.move_counts > 0) w.put(m.region.move_counts);
}

std::optional<HelloReply> decode_hello_reply(ByteView in) {
  ByteReader r(in);
  HelloReply m;
  m.session = r.get<std::uint64_t>();
  m.server_now = r.get<std::uint64_t>();
  m.store_time = r.get<std::uint64_t>();
  m.fill_timeout = r.get<std::uint64_t>();
  const auto transport = r.get<std::uint8_t>();
  m.target.port = r.get<std::uint16_t>();
  m.target.host = r.string();
  const auto shard = r.get<std::uint32_t>();
  ByteView superblock = r.bytes(kSuperblockSize);
  if (superblock.size() != kSuperblockSize) return std::nullopt;
  Result<SsdGeometry> ssd = decode_superblock(superblock, ~0ULL);
  if (!ssd.ok() || shard / ssd->slices != ssd->ssd()) return std::nullopt;
  m.ssd = slice_of(*ssd, shard % ssd->slices);
  m.region.base = r.get<std::uint64_t>();
  m.region.blocks = r.get<std::uint64_t>();
  m.region.read_slots = r.get<std::uint32_t>();
  m.region.write_slots = r.get<std::uint32_t>();
  m.region.slot_size = r.get<std::uint32_t>();
  m.device_path = r.string();
  if (r.remaining() > 0) {
    m.region.move_counts = r.get<std::uint32_t>();
    if (m.region.move_counts == 0) return std::nullopt;
  }
  if (!r.done() || !check(m.region, m.ssd).ok() || m.device_path.size() > kMaxPath ||
      m.target.host.size() > kMaxHost ||
      transport > static_cast<std::uint8_t>(SsdTarget::Transport::rdma)) {
    return std::nullopt;
  }
  m.target.transport = static_cast<SsdTarget::Transport>(transport);
  return m;
}

namespace {
// All that is before the value, which has so many bytes.
void encode_head(Bytes& out, const Request& m, std::size_t value) {
  out.reserve(out.size() + kRequestHeader + payload_size(m.key.size(), value, m.end != 0));
  ByteWriter w(out);
  SCALIO_ASSERT(m.end != 0 || !m.end_is_relative);
  w.put(static_cast<std::uint8_t>(static_cast<std::uint8_t>(m.kind) |
                                  (m.end != 0 ? Request::kHasEnd : 0) |
                                  (m.end_is_relative ? Request::kEndIsRelative : 0)));
  w.put(m.shard);
  w.put(m.sequence);
  w.put(m.acknowledged);
  w.put(m.expected);
  if (m.end != 0) w.put(m.end);
  w.string(m.key);
  w.put(static_cast<std::uint32_t>(value));
}
}  // namespace

void encode(Bytes& out, const Request& m) {
  encode_head(out, m, m.value.size());
  append_bytes(out, as_bytes(m.value));
}

void encode(Bytes& out, const Request& m, const ValuePartBytes& part) {
  SCALIO_ASSERT(m.value.empty());
  constexpr std::size_t kBefore = sizeof part.upload.id + sizeof part.index;
  encode_head(out, m, kBefore + part.bytes.size());
  encode(out, part);
}

void set_shard(ByteSpan request, std::uint32_t shard) {
  SCALIO_ASSERT(request.size() >= kSequenceAt);
  store(request.data() + kShardAt, shard);
}

void set_sequence(ByteSpan request, std::uint64_t sequence, std::uint64_t acknowledged) {
  SCALIO_ASSERT(request.size() >= kAcknowledgedAt + sizeof acknowledged);
  store(request.data() + kSequenceAt, sequence);
  store(request.data() + kAcknowledgedAt, acknowledged);
}

std::optional<Envelope> read_envelope(ByteView request) {
  if (request.size() < kSequenceAt) return std::nullopt;
  return Envelope{static_cast<RequestKind>(request[0]),
                  load<std::uint32_t>(request.data() + kShardAt)};
}

std::optional<Request> decode_request(ByteView in) {
  ByteReader r(in);
  Request m;
  const auto first = r.get<std::uint8_t>();
  const bool has_end = (first & Request::kHasEnd) != 0;
  m.end_is_relative = (first & Request::kEndIsRelative) != 0;
  constexpr unsigned kFlags = Request::kHasEnd | Request::kEndIsRelative;
  m.kind = static_cast<RequestKind>(first & ~kFlags);
  m.shard = r.get<std::uint32_t>();
  m.sequence = r.get<std::uint64_t>();
  m.acknowledged = r.get<std::uint64_t>();
  m.expected = r.get<std::uint64_t>();
  if (has_end) m.end = r.get<std::uint64_t>();
  m.key = r.string();
  m.value = r.string();
  if (!r.done() || !is_known(m.kind)) return std::nullopt;
  if (has_end ? m.end == 0 || !may_have_end(m.kind) : m.end_is_relative) return std::nullopt;
  return m;
}

void encode(Bytes& out, const Reply& m) {
  const std::string_view text = m.code == Code::ok ? m.text : m.text.substr(0, kMaxFailureText);
  constexpr std::size_t kFixed = 1 + sizeof(std::uint64_t) + sizeof(std::uint32_t);
  out.reserve(out.size() + kFixed + text.size());
  ByteWriter w(out);
  w.put(static_cast<std::uint8_t>(m.code));
  w.put(m.version);
  w.string(text);
}

std::optional<Reply> decode_reply(ByteView in) {
  ByteReader r(in);
  Reply m;
  const auto code = r.get<std::uint8_t>();
  m.version = r.get<std::uint64_t>();
  m.text = r.string();
  if (!r.done() || code > static_cast<std::uint8_t>(kLastCode)) return std::nullopt;
  m.code = static_cast<Code>(code);
  return m;
}

void encode(Bytes& out, const ValueBegin& m) {
  ByteWriter w(out);
  w.put(m.length);
}

std::optional<ValueBegin> decode_value_begin(ByteView in) {
  ByteReader r(in);
  const ValueBegin m{r.get<std::uint32_t>()};
  return r.done() ? std::optional(m) : std::nullopt;
}

void encode(Bytes& out, const Upload& m) {
  ByteWriter w(out);
  w.put(m.id);
}

std::optional<Upload> decode_upload(ByteView in) {
  ByteReader r(in);
  const Upload m{r.get<std::uint64_t>()};
  return r.done() ? std::optional(m) : std::nullopt;
}

void encode(Bytes& out, const ValuePartBytes& m) {
  ByteWriter w(out);
  w.put(m.upload.id);
  w.put(m.index);
  append_bytes(out, m.bytes);
}

std::optional<ValuePartBytes> decode_value_part(ByteView in) {
  ByteReader r(in);
  ValuePartBytes m;
  m.upload.id = r.get<std::uint64_t>();
  m.index = r.get<std::uint32_t>();
  m.bytes = r.bytes(r.remaining());
  return r.done() ? std::optional(m) : std::nullopt;
}

void encode(Bytes& out, const UpdateReply& m) {
  ByteWriter w(out);
  w.put(m.previous);
  w.put(static_cast<std::uint64_t>(m.number));
}

std::optional<UpdateReply> decode_update_reply(ByteView in) {
  ByteReader r(in);
  UpdateReply m;
  m.previous = r.get<std::uint64_t>();
  m.number = static_cast<std::int64_t>(r.get<std::uint64_t>());
  return r.done() ? std::optional(m) : std::nullopt;
}

void encode(Bytes& out, const StoreTime& m) {
  ByteWriter w(out);
  w.put(m.time);
}

std::optional<StoreTime> decode_store_time(ByteView in) {
  ByteReader r(in);
  StoreTime m{r.get<std::uint64_t>()};
  return r.done() ? std::optional(m) : std::nullopt;
}

}  // namespace scalio::layout
