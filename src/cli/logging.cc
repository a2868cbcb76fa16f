#include "cli/logging.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <utility>

#include "base/text.h"
#include "cli/error_output.h"

namespace scalio::cli {
namespace {

class PrintableMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string text = printable({message.payload.data(), message.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<PrintableMessage>();
  }
};

// A stream for spdlog, which writes each line by one call, at its end.
ssize_t write_line(void* cookie, const char* data, std::size_t size) {
  auto& left_out = *static_cast<std::uint64_t*>(cookie);
  if (left_out > 0 &&
      write_error(
          fmt::format("[{} lines of the log were left out here: nobody read them]\n", left_out))) {
    left_out = 0;
  }
  if (left_out > 0 || !write_error({data, size})) ++left_out;
  return static_cast<ssize_t>(size);
}

std::FILE* open_log() {
  constexpr std::size_t kLongestLine = 64 << 10;
  static std::uint64_t left_out = 0;  // since the last line that was written; the sink's, locked
  std::FILE* file = fopencookie(
      &left_out, "w", {.read = nullptr, .write = write_line, .seek = nullptr, .close = nullptr});
  // It is malloc() that has failed, which has no handler of its own.
  if (file == nullptr) std::get_new_handler()();
  static char buffer[kLongestLine];
  std::setvbuf(file, buffer, _IOFBF, sizeof buffer);
  return file;
}

}  // namespace

void start_logging(const std::string& level) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PrintableMessage>('*').set_pattern("[%Y-%m-%d %H:%M:%S.%e] [%n] [%^%l%$] %*");
  namespace os = spdlog::details::os;
  const bool colours = os::in_terminal(stderr) && os::is_color_terminal();
  auto sink = std::make_shared<spdlog::sinks::ansicolor_sink<spdlog::details::console_mutex>>(
      open_log(), colours ? spdlog::color_mode::always : spdlog::color_mode::never);
  auto logger = std::make_shared<spdlog::logger>("scalio", std::move(sink));
  logger->set_formatter(std::move(formatter));
  spdlog::set_default_logger(std::move(logger));
  spdlog::set_level(spdlog::level::from_str(level));
}

}  // namespace scalio::cli
