// Status and Result: how every fallible operation of Scalio reports its outcome.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace scalio {

enum class Code : std::uint8_t {
  ok = 0,
  not_found = 1,    // the key has no value
  conflict = 2,     // the key's version is another one than that expected, or read so far
  unknown = 3,      // the write was sent and its outcome cannot be learnt: it may or may not happen
  invalid = 4,      // the request itself is wrong: sizes, arguments, a malformed message
  too_large = 5,    // the value is longer than the store takes
  full = 6,         // no room on the SSD; nothing was written
  read_only = 7,    // the shard stopped taking writes after a device error; nothing was written
  unavailable = 8,  // no connection, or it was lost; a write reported so was never sent
  timed_out = 9,    // a bound on waiting passed; a write reported so was never sent
  io_error = 10,    // a device reported an error
  corrupt = 11,     // stored bytes fail their checksum or contradict each other
  busy = 12,        // in use by another process, or a limit on sessions or requests is reached
  denied = 13,      // the server does not let this user in, or not do this; nothing was written
};

// The name of a code as it appears in messages, reports and histories, e.g. "not_found".
std::string_view to_string(Code code);

// An outcome with, for failures, a sentence: what happened, to what, what to do.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message)
      : code_(code), message_(std::make_unique<const std::string>(std::move(message))) {}
  Status(Status&&) = default;
  Status& operator=(Status&&) = default;
  Status(const Status& o)
      : code_(o.code_),
        message_(o.message_ ? std::make_unique<const std::string>(*o.message_) : nullptr) {}
  Status& operator=(const Status& o) { return *this = Status(o); }

  bool ok() const { return code_ == Code::ok; }
  Code code() const { return code_; }
  const std::string& message() const;
  // "code: message", for people.
  std::string to_string() const;

 private:
  Code code_ = Code::ok;
  std::unique_ptr<const std::string> message_;  // null: empty, as that of success is
};

// A T, or the Status that says why there is none. Reading the value of a failure aborts.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : v_(std::in_place_index<1>, std::move(status)) {
    if (std::get<1>(v_).ok()) std::abort();  // an ok Status carries no value
  }
  Result(Code code, std::string message) : Result(Status(code, std::move(message))) {}

  bool ok() const { return v_.index() == 0; }
  Code code() const { return ok() ? Code::ok : std::get<1>(v_).code(); }
  Status status() const { return ok() ? Status() : std::get<1>(v_); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return const_cast<Result*>(this)->value(); }
  T&& operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &const_cast<Result*>(this)->value(); }

 private:
  T& value() {
    if (!ok()) std::abort();
    return std::get<0>(v_);
  }
  std::variant<T, Status> v_;
};

}  // namespace scalio
