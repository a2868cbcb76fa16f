// The messages between a client and a server: a lane's hello, and over it each shard's hello,
// requests and replies (docs/formats.md, "Messages").
//
// A session is what makes writes exactly-once-or-unknown (rule 8): it outlives a connection for a
// while, and each of its writes has a sequence number, counted from 1.
#pragma once

#include <scalio/status.h>

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "layout/geometry.h"
#include "layout/record.h"

namespace scalio::layout {

// Writes a session may have in flight.
constexpr std::uint64_t kSessionWindow = 256;

// No message is longer than kMaxMessageSize, because all that is in one has a bound: keys and
// values that of the store, and these.
constexpr std::size_t kMaxPath = 4096;         // a device's path
constexpr std::size_t kMaxHost = 255;          // a host's name or address
constexpr std::size_t kMaxFailureText = 4096;  // what is longer is cut

// What a request takes beside what its record does.
constexpr std::uint32_t kRequestHeader = 37;

// What both sides must know to use it, beside their version of the protocol: bits, to which later
// releases add. A lane's hello tells those that its sender knows.
constexpr std::uint64_t kValuePuts = 1;   // value_put, value_put_if
constexpr std::uint64_t kMoveCounts = 2;  // a HelloReply may have RegionGeometry::move_counts
constexpr std::uint64_t kMessageFeatures = kValuePuts | kMoveCounts;

// A value of so many parts fits a message, whatever its key: value_put.
constexpr std::uint32_t kPartsOfAPut = 2;

constexpr std::uint32_t kMaxLanes = kMaxShards;  // none has less than a shard
constexpr std::uint32_t kMaxShardsOfALane = 512;

// The first thing on a connection.
struct LaneRequest {
  std::uint64_t features = kMessageFeatures;
};

struct LaneReply {
  std::uint32_t protocol = 0;  // the server's version of the protocol (fabric/frame.h)
  std::uint64_t features = kMessageFeatures;
  std::uint16_t lane = 0;  // that is spoken to
  // Of each shard of the store, the lane that serves it. All lanes of a server say the same.
  std::vector<std::uint16_t> lanes;
};

// The first thing said to a shard, as a request of kind hello.
struct HelloRequest {
  std::uint64_t session = 0;  // 0: a new one; else the one to go on with
};

// The NVMe-oF target that offers the store's SSDs: subsystem store_nqn(), namespace SSD + 1.
struct SsdTarget {
  enum class Transport : std::uint8_t { none, tcp, rdma };
  Transport transport = Transport::none;
  std::uint16_t port = 0;
  std::string host;  // at most kMaxHost; empty: the server's, as the client reaches it
  bool operator==(const SsdTarget&) const = default;
};

struct HelloReply {
  std::uint64_t session = 0;       // another than asked for: the old one is gone
  SsdGeometry ssd;                 // of the shard that was asked for
  RegionGeometry region;           // of its blocks, in its lane's region; counts: if both know them
  std::uint64_t server_now = 0;    // ns; access clocks are in units of it
  std::uint64_t fill_timeout = 0;  // ns; rule 6
  std::string device_path;         // where the server's machine sees the SSD; at most kMaxPath
  SsdTarget target;                // where others see it
  std::uint64_t store_time = 0;    // ns, at the same time as server_now
};

enum class RequestKind : std::uint8_t {
  put = 1,
  remove = 2,
  put_if = 3,
  stat = 4,
  // What the client has done by itself since its last report, so that `stat` can tell the hit
  // ratio: value is hits:64 | misses:64.
  report = 5,
  // value is a HelloRequest, the reply's text a HelloReply.
  hello = 6,
  remove_if = 7,
  // A value for the value log comes in parts before the write that gives it to its key. `value` is
  // a ValueBegin; the reply has the version that the parts are written with, and as text an upload.
  value_begin = 8,
  value_part = 9,  // value is a ValuePartBytes; may be sent again, and in any order
  // Writes, as put and put_if are: the upload is the key's value from now on. value is an Upload.
  value_commit = 10,
  value_commit_if = 11,
  value_abandon = 12,  // value is an Upload; gives back what was set aside for it
  // Gives the key's record another end, or none; the value stays.
  set_end = 13,
  append = 14,
  // value is by how much: 8 bytes, in two's complement.
  increment = 15,
  // The reply's text is a StoreTime.
  store_time = 16,
  // Writes, as put and put_if are: `value` is a value for the value log, whole.
  value_put = 17,
  value_put_if = 18,
};

inline bool is_removal(RequestKind kind) {
  return kind == RequestKind::remove || kind == RequestKind::remove_if;
}
// Whether it is done only if the key has the version `expected`.
inline bool is_conditional(RequestKind kind) {
  return kind == RequestKind::put_if || kind == RequestKind::remove_if ||
         kind == RequestKind::value_commit_if || kind == RequestKind::value_put_if;
}
// Whether it gives an upload to its key.
inline bool is_value_commit(RequestKind kind) {
  return kind == RequestKind::value_commit || kind == RequestKind::value_commit_if;
}
// Whether it has a value for the value log with it.
inline bool is_value_put(RequestKind kind) {
  return kind == RequestKind::value_put || kind == RequestKind::value_put_if;
}
// Whether it leaves a value in the value log.
inline bool is_large_put(RequestKind kind) { return is_value_commit(kind) || is_value_put(kind); }
// Whether what it leaves follows from the value that the key has.
inline bool is_update(RequestKind kind) {
  return kind == RequestKind::set_end || kind == RequestKind::append ||
         kind == RequestKind::increment;
}
inline bool is_write(RequestKind kind) {
  return kind == RequestKind::put || is_removal(kind) || is_conditional(kind) ||
         is_large_put(kind) || is_update(kind);
}

struct Request {
  // Set in a request's kind if it has an end; and if that is a time from the request's arrival on.
  static constexpr std::uint8_t kHasEnd = 0x80, kEndIsRelative = 0x40;

  RequestKind kind = RequestKind::stat;
  // Of writes. Every write of the session below `acknowledged` has had its reply seen.
  std::uint64_t sequence = 0;
  std::uint64_t acknowledged = 0;
  // Of put_if, value_commit_if and value_put_if: the version, 0 for absent; of remove_if: the same,
  // not 0; of set_end: the same, 0 for any.
  std::uint64_t expected = 0;
  std::string_view key;
  std::string_view value;
  std::uint32_t shard = 0;
  // Of puts, commits of values and set_end: when the record ends, in store time; 0 for never.
  std::uint64_t end = 0;
  bool end_is_relative = false;  // it is how long the record lives from now on, ns
};

// The values of requests about uploads.
struct ValueBegin {
  std::uint32_t length = 0;  // of the value
};
struct Upload {
  std::uint64_t id = 0;
  bool operator==(const Upload&) const = default;
};
struct ValuePartBytes {
  Upload upload;
  std::uint32_t index = 0;  // of the part in the value
  ByteView bytes;  // part_capacity() of the key (layout/value_area.h); of the last one less
};

struct Reply {
  Code code = Code::ok;
  std::uint64_t version = 0;  // of writes that are ok; of a conflict: the key's version
  // Failures: the message; stat: JSON; hello: a HelloReply; value_begin: an Upload; append and
  // increment: an UpdateReply.
  std::string_view text;
};

// What an update has done.
struct UpdateReply {
  std::uint64_t previous = 0;  // version that the key had; 0: it did not exist
  std::int64_t number = 0;     // append: bytes of the value, now; increment: the sum
};

// What a shard's clock says.
struct StoreTime {
  std::uint64_t time = 0;  // ns
};

void encode(Bytes& out, const LaneRequest& m);
void encode(Bytes& out, const LaneReply& m);
void encode(Bytes& out, const HelloRequest& m);
void encode(Bytes& out, const HelloReply& m);
void encode(Bytes& out, const Request& m);
void encode(Bytes& out, const Reply& m);
void encode(Bytes& out, const ValueBegin& m);
void encode(Bytes& out, const Upload& m);
void encode(Bytes& out, const ValuePartBytes& m);
// A request whose value is this part: its bytes are copied once.
void encode(Bytes& out, const Request& m, const ValuePartBytes& part);
void encode(Bytes& out, const UpdateReply& m);
void encode(Bytes& out, const StoreTime& m);
// Sets the shard of a request, and the numbers of a write, that are encoded already.
void set_shard(ByteSpan request, std::uint32_t shard);
void set_sequence(ByteSpan request, std::uint64_t sequence, std::uint64_t acknowledged);

// What a lane must know of a request to pass it on: its kind and its shard, unchecked.
struct Envelope {
  RequestKind kind;
  std::uint32_t shard;
};
// Nothing if it is too short to be a request.
std::optional<Envelope> read_envelope(ByteView request);

// Nothing if malformed. Views point into `in`.
std::optional<LaneRequest> decode_lane_request(ByteView in);
std::optional<LaneReply> decode_lane_reply(ByteView in);
std::optional<HelloRequest> decode_hello_request(ByteView in);
std::optional<HelloReply> decode_hello_reply(ByteView in);
std::optional<Request> decode_request(ByteView in);
std::optional<Reply> decode_reply(ByteView in);
std::optional<ValueBegin> decode_value_begin(ByteView in);
std::optional<Upload> decode_upload(ByteView in);
std::optional<ValuePartBytes> decode_value_part(ByteView in);
std::optional<UpdateReply> decode_update_reply(ByteView in);
std::optional<StoreTime> decode_store_time(ByteView in);

}  // namespace scalio::layout
