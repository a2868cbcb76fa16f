#include "history/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace scalio::history {
namespace {

constexpr std::size_t kBufferSize = 1 << 20;

// What a code says about the operation's effect.
Outcome outcome_of(Kind kind, Code code) {
  switch (code) {
    case Code::ok: return Outcome::ok;
    case Code::not_found: return Outcome::not_found;
    case Code::conflict: return Outcome::conflict;
    case Code::invalid:
    case Code::too_large:
    case Code::full:
    case Code::read_only:
    case Code::unavailable:
    case Code::timed_out:
    case Code::busy:
    case Code::denied: return Outcome::error;
    case Code::unknown:
    case Code::io_error:
    case Code::corrupt:
      // A device that failed during a write may have kept it.
      return kind == Kind::get ? Outcome::error : Outcome::unknown;
  }
  return Outcome::unknown;
}

// What stands before a field's value.
void append_name(std::string& out, char before, std::string_view name) {
  out += before;
  out += '"';
  out += name;
  out += "\":";
}

void append_string(std::string& out, std::string_view s) {
  bool plain =
      std::ranges::all_of(s, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (plain) {
    out += '"';
    out += s;
    out += '"';
  } else {
    out += json_text(nlohmann::json(s));
  }
}

void append_number_or_null(std::string& out, bool present, std::uint64_t n) {
  if (present) {
    fmt::format_to(std::back_inserter(out), "{}", n);
  } else {
    out += "null";
  }
}

}  // namespace

void append_line(std::string& out, const HistoryLine& line) {
  append_name(out, '{', field::kClient);
  append_string(out, line.client);
  append_name(out, ',', field::kOp);
  append_string(out, name_of(kKinds, line.op));
  append_name(out, ',', field::kKey);
  append_string(out, line.key);
  append_name(out, ',', field::kValue);
  if (line.value) {
    append_string(out, *line.value);
  } else {
    out += "null";
  }
  append_name(out, ',', field::kVersion);
  append_number_or_null(out, line.version != 0, line.version);
  append_name(out, ',', field::kExpected);
  append_number_or_null(out, is_conditional(line.op) || line.expected != 0, line.expected);
  if (is_addition(line.op) && line.code == Code::ok) {
    append_name(out, ',', field::kNumber);
    fmt::format_to(std::back_inserter(out), "{}", line.number);
  }
  if (line.ends != 0) {
    append_name(out, ',', field::kEnds);
    append_number_or_null(out, true, line.ends);
    append_name(out, ',', field::kGone);
    append_number_or_null(out, line.gone != 0, line.gone);
  }
  append_name(out, ',', field::kResult);
  append_string(out, name_of(kOutcomes, outcome_of(line.op, line.code)));
  append_name(out, ',', field::kCall);
  append_number_or_null(out, true, line.call);
  append_name(out, ',', field::kReturn);
  append_number_or_null(out, true, line.ended);
  out += "}\n";
}

Result<std::unique_ptr<HistoryFile>> HistoryFile::create(const std::string& path) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0)
    return {Code::io_error,
            fmt::format("cannot create the history {}: {}", path, std::strerror(errno))};
  return std::unique_ptr<HistoryFile>(new HistoryFile(fd, path));
}

HistoryFile::~HistoryFile() { ::close(fd_); }

void HistoryFile::append(std::string_view lines) {
  std::lock_guard lock(mutex_);
  while (!lines.empty() && status_.ok()) {
    ssize_t n = ::write(fd_, lines.data(), lines.size());
    if (n >= 0) {
      lines.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      status_ = Status(Code::io_error,
                       fmt::format("cannot write the history {}: {}", path_, std::strerror(errno)));
    }
  }
}

Status HistoryFile::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

void HistoryBuffer::add(const HistoryLine& line) {
  if (lines_.empty()) lines_.reserve(kBufferSize + kBufferSize / 16);
  append_line(lines_, line);
  if (lines_.size() >= kBufferSize) flush();
}

void HistoryBuffer::flush() {
  if (file_ == nullptr || lines_.empty()) return;
  file_->append(lines_);
  lines_.clear();
}

}  // namespace scalio::history
