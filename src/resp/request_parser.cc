#include "resp/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/text.h"

namespace scalio::resp {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
// Of a line with a number: its type, the longest number, some room.
constexpr std::size_t kNumberLine = 32;

Status protocol_error(std::string_view what) {
  return Status(Code::invalid, fmt::format("Protocol error: {}", what));
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char unescaped(char c) {
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

// Takes a quoted word, without its quotes, off `rest`, behind its first quote. False: it has no
// end, or something stands right behind it.
bool take_quoted(std::string_view& rest, char quote, std::string& out) {
  while (!rest.empty() && rest.front() != quote) {
    if (rest.front() != '\\' || rest.size() < 2) {
      out += rest.front();
      rest.remove_prefix(1);
      continue;
    }
    const bool hex = quote == '"' && rest.size() >= 4 && rest[1] == 'x' &&
                     hex_digit(rest[2]) >= 0 && hex_digit(rest[3]) >= 0;
    if (hex) {
      out += static_cast<char>(hex_digit(rest[2]) * 16 + hex_digit(rest[3]));
    } else if (quote == '"') {
      out += unescaped(rest[1]);
    } else {
      if (rest[1] != '\'') out += '\\';
      out += rest[1];
    }
    rest.remove_prefix(hex ? 4 : 2);
  }
  if (rest.empty()) return false;
  rest.remove_prefix(1);
  return rest.empty() || is_space(rest.front());
}

}  // namespace

void RequestParser::next() {
  place_ = Place::begin;
  at_ = searched_ = 0;
  arguments_.clear();
}

Result<bool> RequestParser::parse(std::string_view received) {
  if (place_ == Place::begin) {
    if (received.empty()) return false;
    if (received.front() != '*') {
      place_ = Place::inline_line;
    } else {
      const Result<bool> begun = parse_array(received);
      // An array without elements is whole.
      if (!begun.ok() || !*begun || missing_ == 0) return begun;
    }
  }
  if (place_ == Place::inline_line) return parse_inline(received);
  base_ = received.data();
  while (missing_ > 0) {
    const Result<bool> step =
        place_ == Place::bulk_size ? parse_bulk_size(received) : parse_bulk(received);
    if (!step.ok() || !*step) return step;
  }
  return true;
}

RequestParser::Line RequestParser::take_number(std::string_view received, std::int64_t* out) {
  const std::string_view line = received.substr(at_, kNumberLine);
  const std::size_t end = line.find('\n');
  if (end == std::string_view::npos) {
    return line.size() == kNumberLine ? Line::too_long : Line::incomplete;
  }
  if (end < 2 || line[end - 1] != '\r') return Line::malformed;
  const char* const stop = line.data() + end - 1;
  const auto [rest, error] = std::from_chars(line.data() + 1, stop, *out);
  if (error != std::errc() || rest != stop) return Line::malformed;
  at_ += end + 1;
  return Line::number;
}

Result<bool> RequestParser::parse_array(std::string_view received) {
  std::int64_t count = 0;
  switch (take_number(received, &count)) {
    case Line::incomplete: return false;
    case Line::too_long: return protocol_error("too big mbulk count string");
    case Line::malformed: return protocol_error("invalid multibulk length");
    case Line::number: break;
  }
  if (count > static_cast<std::int64_t>(limits_.arguments)) {
    return protocol_error("invalid multibulk length");
  }
  missing_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  place_ = Place::bulk_size;
  return true;
}

Result<bool> RequestParser::parse_bulk_size(std::string_view received) {
  if (at_ == received.size()) return false;
  if (received[at_] != '$') {
    return protocol_error(
        fmt::format("expected '$', got '{}'", printable(received.substr(at_, 1))));
  }
  std::int64_t size = 0;
  switch (take_number(received, &size)) {
    case Line::incomplete: return false;
    case Line::too_long: return protocol_error("too big bulk count string");
    case Line::malformed: return protocol_error("invalid bulk length");
    case Line::number: break;
  }
  if (size < 0 || size > static_cast<std::int64_t>(limits_.bulk)) {
    return protocol_error("invalid bulk length");
  }
  bulk_size_ = static_cast<std::size_t>(size);
  if (at_ + bulk_size_ + kLineEnd.size() > limits_.request) {
    return protocol_error(fmt::format("a request of more than {} bytes", limits_.request));
  }
  place_ = Place::bulk;
  return true;
}

Result<bool> RequestParser::parse_bulk(std::string_view received) {
  if (received.size() < at_ + bulk_size_ + kLineEnd.size()) return false;
  if (received.substr(at_ + bulk_size_, kLineEnd.size()) != kLineEnd) {
    return protocol_error("expected an end of line behind an argument");
  }
  arguments_.push_back({at_, bulk_size_});
  at_ += bulk_size_ + kLineEnd.size();
  --missing_;
  place_ = Place::bulk_size;
  return true;
}

Result<bool> RequestParser::parse_inline(std::string_view received) {
  const std::size_t end = received.find('\n', searched_);
  if (std::min(end, received.size()) > limits_.line) {
    return protocol_error("too big inline request");
  }
  if (end == std::string_view::npos) {
    searched_ = received.size();
    return false;
  }
  std::string_view line = received.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!split_words(line)) return protocol_error("unbalanced quotes in request");
  at_ = end + 1;
  base_ = words_.data();
  return true;
}

bool RequestParser::split_words(std::string_view line) {
  words_.clear();
  for (;;) {
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
    if (line.empty()) return true;
    const std::size_t begin = words_.size();
    while (!line.empty() && !is_space(line.front())) {
      const char c = line.front();
      line.remove_prefix(1);
      if (c != '"' && c != '\'') {
        words_ += c;
      } else if (!take_quoted(line, c, words_)) {
        return false;
      }
    }
    arguments_.push_back({begin, words_.size() - begin});
  }
}

}  // namespace scalio::resp
