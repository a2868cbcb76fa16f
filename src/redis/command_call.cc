#include "redis/command_call.h"

#include <fmt/format.h>

#include <utility>

namespace scalio::redis {

namespace {

constexpr std::size_t kMostKept = 64 << 10;

// What a client does about an error, it decides by the first word.
std::string_view kind_of(Code code) {
  switch (code) {
    case Code::unknown: return "UNKNOWN the write may or may not have happened";
    case Code::full: return "OOM the store is full";
    case Code::read_only: return "READONLY the store takes no writes";
    case Code::unavailable: return "ERR the store is unavailable";
    case Code::timed_out: return "ERR the store did not answer in time";
    case Code::too_large: return "ERR too large";
    case Code::busy: return "ERR the store is busy";
    case Code::denied: return "NOPERM the store refuses the gateway";
    case Code::io_error: return "ERR I/O error";
    case Code::corrupt: return "ERR corrupt";
    default: return "ERR";
  }
}

}  // namespace

void CommandCall::begin(RedisSession& session, const resp::RequestParser& request) {
  session_ = &session;
  session_protocol_ = session.protocol;
  row_ = nullptr;
  done = first = false;
  reply_.clear();
  bytes_.clear();
  arguments_.clear();
  bytes_.reserve(request.size());
  for (std::size_t i = 0; i < request.count(); ++i) {
    const std::string_view argument = request.argument(i);
    arguments_.emplace_back(bytes_.data() + bytes_.size(), argument.size());
    bytes_ += argument;
  }
}

void CommandCall::fail(std::string_view error) {
  reply_.clear();
  reply().error(error);
}

void CommandCall::fail(const Status& status) {
  const std::string_view kind = kind_of(status.code());
  // About these who runs the gateway can do something, and not who uses it.
  if (status.code() == Code::denied || status.code() == Code::unavailable) {
    state_.log.warn(state_.loop.now(),
                    fmt::format("{}: {}", kind.substr(kind.find(' ') + 1), status.message()));
  }
  fail(fmt::format("{}{}{}", kind, kind == "ERR" ? " " : ": ", status.message()));
}

bool CommandCall::take_room(std::uint64_t bytes) {
  ReplyRoom& its = *session_->room;
  if (its.used() + bytes > ReplyMemory::kAlways && !its.fits(bytes)) return false;
  its.take(bytes);
  room += bytes;
  return true;
}

Status CommandCall::no_room() const {
  return {Code::busy, fmt::format("replies of {} bytes are on their way to clients; try again",
                                  state_.replies.used())};
}

std::string CommandCall::take_reply() { return std::exchange(reply_, {}); }

bool CommandCall::reusable() const {
  return bytes_.capacity() + reply_.capacity() + arguments_.capacity() * sizeof(arguments_[0]) <=
         kMostKept;
}

}  // namespace scalio::redis
