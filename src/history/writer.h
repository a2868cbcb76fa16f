// Writing the history of a run (history/format.h), for a checker. A client's name is unique among
// the processes that run at one time, and has one operation in flight.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "history/format.h"

namespace scalio::history {

struct HistoryLine {
  std::string_view client;
  Kind op = Kind::get;
  std::string_view key;
  std::optional<std::string_view> value = {};
  std::uint64_t version = 0;   // 0: none
  std::uint64_t expected = 0;  // of put_if, remove_if; of set_end: 0 for any
  std::int64_t number = 0;     // of append, increment
  std::uint64_t ends = 0;      // of put, put_if, set_end: it may have ended from then on; 0: never
  std::uint64_t gone = 0;      // and has for sure; 0: not known
  Code code = Code::ok;        // how it ended
  std::uint64_t call = 0;
  std::uint64_t ended = 0;
};

// Appends the line, its newline included. Bytes that are not UTF-8 are replaced.
void append_line(std::string& out, const HistoryLine& line);

// The file of a run. Thread-safe.
class HistoryFile {
 public:
  // Replaces a file that is there. Failures: io_error.
  static Result<std::unique_ptr<HistoryFile>> create(const std::string& path);
  ~HistoryFile();
  HistoryFile(const HistoryFile&) = delete;
  HistoryFile& operator=(const HistoryFile&) = delete;

  // Whole lines stay together. After a failure nothing more is written.
  void append(std::string_view lines);
  // The first failure of append: io_error.
  Status status() const;

 private:
  HistoryFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  const int fd_;
  const std::string path_;
  mutable std::mutex mutex_;
  Status status_;
};

// One thread's share of the history, written to the file by the megabyte and at the end.
class HistoryBuffer {
 public:
  // `file` null: keeps nothing.
  explicit HistoryBuffer(HistoryFile* file) : file_(file) {}
  ~HistoryBuffer() { flush(); }
  HistoryBuffer(const HistoryBuffer&) = delete;
  HistoryBuffer& operator=(const HistoryBuffer&) = delete;

  bool enabled() const { return file_ != nullptr; }
  void add(const HistoryLine& line);
  void flush();

 private:
  HistoryFile* file_;
  std::string lines_;
};

}  // namespace scalio::history
