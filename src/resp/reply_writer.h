// ReplyWriter: replies as RESP2 or RESP3, appended to a string.
//
// What RESP2 has no type for, it gets as Redis sends it there: a map as an array of keys and
// values, a set as an array, text as a bulk string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace scalio::resp {

enum class Protocol : std::uint8_t { resp2 = 2, resp3 = 3 };

class ReplyWriter {
 public:
  // `out` must outlive it.
  ReplyWriter(std::string& out, Protocol protocol) : out_(out), protocol_(protocol) {}

  // One line: an end of line in it becomes a blank.
  void simple(std::string_view text) { line('+', text); }
  // The first word is what kind of error it is: "ERR".
  void error(std::string_view text) { line('-', text); }
  void integer(std::int64_t number) { head(':', number); }
  void bulk(std::string_view bytes);
  // For people: several lines.
  void text(std::string_view lines);
  void null();
  // What is in them follows: `size` replies, of a map twice as many.
  void array(std::size_t size) { head('*', static_cast<std::int64_t>(size)); }
  void set(std::size_t size);
  void map(std::size_t size);

  Protocol protocol() const { return protocol_; }

 private:
  void line(char type, std::string_view text);
  void head(char type, std::int64_t number);

  std::string& out_;
  Protocol protocol_;
};

}  // namespace scalio::resp
