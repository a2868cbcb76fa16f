// RequestParser: the requests of RESP (redis.io/docs/reference/protocol-spec), as clients of Redis
// send them: arrays of bulk strings, or a line of words, "inline".
//
// A request is parsed where it was received, and goes on where it was left off when more has come:
// however it is cut into pieces, each byte is looked at once. Requests do not nest: an array in one
// is refused.
#pragma once

#include <scalio/status.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace scalio::resp {

struct RequestLimits {
  std::size_t bulk = 1 << 20;       // bytes of an argument
  std::size_t arguments = 1 << 16;  // of a request
  std::size_t request = 4 << 20;    // bytes of a request
  std::size_t line = 1 << 16;       // bytes of an inline request
};

class RequestParser {
 public:
  explicit RequestParser(RequestLimits limits = {}) : limits_(limits) {}

  // Between two requests.
  void use(const RequestLimits& limits) { limits_ = limits; }

  // Whether the request that `received` begins with is whole. If not, the next call gets the same
  // bytes, wherever they are then, and more behind them. Fails with invalid, saying in Redis's
  // words what is wrong: what follows cannot be parsed then.
  Result<bool> parse(std::string_view received);

  // Of a whole request, until next(): its bytes, and its arguments, the command's name first.
  // There are none in an empty line or array.
  std::size_t size() const { return at_; }
  std::size_t count() const { return arguments_.size(); }
  // Views into `received`, as it was in the last call, or into the parser.
  std::string_view argument(std::size_t i) const {
    return {base_ + arguments_[i].begin, arguments_[i].size};
  }
  // The next call has the bytes behind this request.
  void next();

 private:
  struct Range {
    std::size_t begin, size;
  };
  // Where in a request it is.
  enum class Place : std::uint8_t { begin, inline_line, bulk_size, bulk };

  Result<bool> parse_inline(std::string_view received);
  Result<bool> parse_array(std::string_view received);
  Result<bool> parse_bulk_size(std::string_view received);
  Result<bool> parse_bulk(std::string_view received);
  // The number of the line at at_, which has a type before it; at_ is behind it if `out` was set.
  enum class Line : std::uint8_t { incomplete, malformed, too_long, number };
  Line take_number(std::string_view received, std::int64_t* out);
  bool split_words(std::string_view line);

  RequestLimits limits_;
  Place place_ = Place::begin;
  std::size_t at_ = 0;         // what is before it was parsed
  std::size_t searched_ = 0;   // of an inline request: no end of line before it
  std::size_t missing_ = 0;    // arguments that are still to come
  std::size_t bulk_size_ = 0;  // of the next one
  std::vector<Range> arguments_;
  const char* base_ = nullptr;  // which they are ranges of
  std::string words_;           // an inline request's, without quotes
};

}  // namespace scalio::resp
