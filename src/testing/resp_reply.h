// Replies of RESP2 and RESP3, read: what a client of Redis does, for tests.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scalio::testing {

struct RespReply {
  char type = 0;     // as in the protocol: + - : $ * _ % ~ =
  std::string text;  // of what has no elements; a number's digits
  bool null = false;
  std::vector<RespReply> elements;  // of a map: keys and values in turn

  bool operator==(const RespReply&) const = default;
};

// Deeper than what any reply is.
inline constexpr int kMaxRespNesting = 8;

namespace detail {
inline std::optional<long long> resp_number(std::string_view text) {
  long long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}
}  // namespace detail

// Takes a reply off `rest`. Nothing if it is not whole, or malformed: then `*malformed` is set.
inline std::optional<RespReply> take_reply(std::string_view& rest, bool* malformed,
                                           int nesting = 0) {
  const auto bad = [&] {
    *malformed = true;
    return std::nullopt;
  };
  const std::size_t end = rest.find("\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  if (end == 0 || nesting > kMaxRespNesting) return bad();
  RespReply reply;
  reply.type = rest.front();
  reply.text = rest.substr(1, end - 1);
  std::string_view behind = rest.substr(end + 2);
  switch (reply.type) {
    case '+':
    case '-': break;
    case '_': reply.null = true; break;
    case ':':
      if (!detail::resp_number(reply.text)) return bad();
      break;
    case '$':
    case '=': {
      const std::optional<long long> size = detail::resp_number(reply.text);
      if (!size || *size < -1) return bad();
      if (*size == -1) {
        reply.null = true;
        break;
      }
      const auto bytes = static_cast<std::size_t>(*size);
      if (behind.size() < bytes + 2) return std::nullopt;
      if (behind.substr(bytes, 2) != "\r\n") return bad();
      reply.text = behind.substr(0, bytes);
      behind.remove_prefix(bytes + 2);
      break;
    }
    case '*':
    case '~':
    case '%': {
      const std::optional<long long> size = detail::resp_number(reply.text);
      if (!size || *size < -1) return bad();
      reply.null = *size == -1;
      for (long long i = (reply.type == '%' ? 2 : 1) * *size; i > 0; --i) {
        std::optional<RespReply> element = take_reply(behind, malformed, nesting + 1);
        if (!element) return std::nullopt;
        reply.elements.push_back(*std::move(element));
      }
      break;
    }
    default: return bad();
  }
  rest = behind;
  return reply;
}

}  // namespace scalio::testing
