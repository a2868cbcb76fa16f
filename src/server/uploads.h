// Uploads: large values on their way, from value_begin to the write that gives them to their keys
// (docs/formats.md, "Messages").
//
// Whatever clients send, memory is bounded: uploads in number, parts in bytes, both in time. No
// session has so many that there is none for another. One that does not come to its end has cost
// room in a segment, which cleaning brings back.
#pragma once

#include <scalio/status.h>

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "layout/message.h"
#include "server/large_values.h"
#include "server/sessions.h"
#include "server/write_path.h"

namespace scalio::server {

class Uploads {
 public:
  static constexpr std::size_t kMost = 64;  // at once
  // Of parts that are being written, and of values that have come with their writes: these leave
  // other writes half of what Shard::kMaxWriteBytes is.
  static constexpr std::uint64_t kMostBytes = 4 << 20;
  static constexpr Nanos kKeep = 30 * kSecond;  // without a word of it
  // After its client's connection was lost: a client that comes back does so within 2 s, and asks.
  static constexpr Nanos kKeepLost = 5 * kSecond;

  // `new_number` makes the numbers of uploads.
  Uploads(Executor& executor, const layout::SsdGeometry& geometry, Log& log, LargeValues& values,
          WritePath& writes, Sessions& sessions, std::function<std::uint64_t()> new_number)
      : executor_(executor),
        geometry_(geometry),
        log_(log),
        values_(values),
        writes_(writes),
        sessions_(sessions),
        new_number_(std::move(new_number)),
        ended_(executor) {}

  // What the requests of a session are answered; their bytes stay until then, but for those of a
  // part: it has them no more when it suspends. A begin's text is an upload.
  Task<WriteOutcome> begin(std::uint64_t session, const layout::Request& request);
  Task<WriteOutcome> part(std::uint64_t session, const layout::Request& request);
  Task<WriteOutcome> commit(std::uint64_t session, const layout::Request& request);
  // Begin, parts and commit of a value that has come with its write.
  Task<WriteOutcome> put(std::uint64_t session, const layout::Request& request);
  WriteOutcome abandon(std::uint64_t session, const layout::Request& request);
  // Does a set_end. A large value is written anew with the version that its record gets.
  Task<WriteOutcome> set_end(const layout::Request& request);

  // Ends those that nothing was heard of, or whose session or client has gone; to be called now and
  // then.
  void expire();
  // Takes no more; waits until what is under way has ended, and gives back the rest.
  Task<void> stop();
  std::size_t count() const { return uploads_.size() + beginning_; }
  // Requests to begin one that are under way: they may wait for the cleaner.
  std::size_t begins() const { return begins_; }
  // How long the begin took of the upload that is committed; 0 if there is none.
  Nanos begin_took(std::uint64_t session, const layout::Request& commit) const;

 private:
  struct Part {
    std::uint64_t checksum = 0;
    bool written = false;
    bool being_written = false;
  };
  struct State {
    std::uint64_t session = 0;
    std::string key;
    std::uint64_t hash = 0;
    std::uint32_t length = 0;
    std::uint64_t version = 0;
    LargeValues::Place place;
    std::vector<Part> parts;
    std::size_t left = 0;   // parts that are not written
    std::size_t users = 0;  // requests that are being served
    Nanos heard = 0;
    Nanos begin_took = 0;
  };
  using Found = std::map<std::uint64_t, State>::iterator;

  Status check_begin(std::string_view key, std::uint32_t length) const;
  Status check_share(std::uint64_t session) const;
  bool given_up(const State& upload) const;
  void give_back_share(std::uint64_t session);
  Result<Found> find(std::uint64_t session, const layout::Request& request, std::uint64_t id);
  Task<Result<Found>> open(std::uint64_t session, std::string_view key, std::uint32_t length);
  void end(Found upload);
  Task<WriteOutcome> write_parts(State& upload, std::uint32_t first, ByteView bytes);
  Task<WriteOutcome> write(State& upload, const layout::Request& request);
  struct Renewal;
  Task<Status> renew(Renewal& renewal, LargeValue& value);
  struct NewEnd;
  Task<Status> renew(NewEnd& change, LargeValue& value);
  Task<Status> copy(std::string_view key, LargeValue& value, const LargeValues::Place& to);
  LargeValue::Pointer pointer_of(const State& upload) const;
  void leave() {
    if (--under_way_ == 0) ended_.wake_all();
  }

  Executor& executor_;
  const layout::SsdGeometry& geometry_;
  Log& log_;
  LargeValues& values_;
  WritePath& writes_;
  Sessions& sessions_;
  const std::function<std::uint64_t()> new_number_;
  std::map<std::uint64_t, State> uploads_;  // by number
  std::size_t beginning_ = 0;               // that will be there
  std::size_t begins_ = 0;
  std::unordered_map<std::uint64_t, std::size_t> shares_;  // of sessions, with those that begin
  // Of parts that are being written, and of values that have come with their writes.
  std::uint64_t bytes_ = 0;
  std::size_t under_way_ = 0;  // requests
  bool stopping_ = false;
  WaitList ended_;
};

}  // namespace scalio::server
