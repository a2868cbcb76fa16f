#include <scalio/status.h>

namespace scalio {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::ok: return "ok";
    case Code::not_found: return "not_found";
    case Code::conflict: return "conflict";
    case Code::unknown: return "unknown";
    case Code::invalid: return "invalid";
    case Code::too_large: return "too_large";
    case Code::full: return "full";
    case Code::read_only: return "read_only";
    case Code::unavailable: return "unavailable";
    case Code::timed_out: return "timed_out";
    case Code::io_error: return "io_error";
    case Code::corrupt: return "corrupt";
    case Code::busy: return "busy";
    case Code::denied: return "denied";
  }
  return "?";
}

const std::string& Status::message() const {
  static const std::string none;
  return message_ ? *message_ : none;
}

std::string Status::to_string() const {
  std::string s(scalio::to_string(code_));
  if (!message().empty()) s += ": " + message();
  return s;
}

}  // namespace scalio
