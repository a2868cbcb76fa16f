#include "resp/reply_writer.h"

#include <charconv>

namespace scalio::resp {

void ReplyWriter::line(char type, std::string_view text) {
  out_ += type;
  for (const char c : text) out_ += c == '\r' || c == '\n' ? ' ' : c;
  out_ += "\r\n";
}

void ReplyWriter::head(char type, std::int64_t number) {
  char text[24];
  text[0] = type;
  char* end = std::to_chars(text + 1, text + sizeof text - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out_.append(text, end);
}

void ReplyWriter::bulk(std::string_view bytes) {
  head('$', static_cast<std::int64_t>(bytes.size()));
  out_ += bytes;
  out_ += "\r\n";
}

void ReplyWriter::text(std::string_view lines) {
  if (protocol_ == Protocol::resp2) return bulk(lines);
  constexpr std::string_view kFormat = "txt:";
  head('=', static_cast<std::int64_t>(kFormat.size() + lines.size()));
  out_ += kFormat;
  out_ += lines;
  out_ += "\r\n";
}

void ReplyWriter::null() { out_ += protocol_ == Protocol::resp2 ? "$-1\r\n" : "_\r\n"; }

void ReplyWriter::set(std::size_t size) {
  head(protocol_ == Protocol::resp2 ? '*' : '~', static_cast<std::int64_t>(size));
}

void ReplyWriter::map(std::size_t size) {
  if (protocol_ == Protocol::resp2) return array(2 * size);
  head('%', static_cast<std::int64_t>(size));
}

}  // namespace scalio::resp
