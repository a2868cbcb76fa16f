// Commands on values that are numbers.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/parse_integer.h"
#include "redis/command_table.h"
#include "redis/parse_number.h"
#include "redis/read_value.h"
#include "redis/update_key.h"

namespace scalio::redis {
namespace {

// A number of 64 bits, with its sign.
constexpr std::uint64_t kLongestNumber = 20;

Task<void> add(CommandCall& call, std::int64_t by) {
  const Result<Incremented> sum = co_await call.client().increment(call[1], by);
  if (sum.ok()) co_return call.reply().integer(sum->value);
  if (sum.code() == Code::too_large) {
    // To a large value, which is no number; or the sum has no room beside a long key.
    const Result<std::uint64_t> length = co_await read_length(call, call[1]);
    if (length.ok() && *length > kLongestNumber) co_return call.fail(kNoInteger);
  }
  if (sum.code() != Code::invalid) co_return call.fail(sum.status());
  // Of a key that cannot be one, of a value that is no number, or of a sum that is none.
  const Result<Record> now = co_await read_value(call, call[1], NoRoom::wait);
  if (!now.ok()) co_return call.fail(sum.status());
  call.fail(parse_integer(now->value) ? "ERR increment or decrement would overflow" : kNoInteger);
}

Task<void> incr(CommandCall& call) { return add(call, 1); }
Task<void> decr(CommandCall& call) { return add(call, -1); }

Task<void> incrby(CommandCall& call) {
  const std::optional<std::int64_t> by = parse_integer(call[2]);
  if (!by) co_return call.fail(kNoInteger);
  co_await add(call, *by);
}

Task<void> decrby(CommandCall& call) {
  const std::optional<std::int64_t> by = parse_integer(call[2]);
  if (!by) co_return call.fail(kNoInteger);
  if (*by == std::numeric_limits<std::int64_t>::min()) {
    co_return call.fail("ERR decrement would overflow");
  }
  co_await add(call, -*by);
}

Task<void> incrbyfloat(CommandCall& call) {
  const std::optional<long double> by = parse_float(call[2]);
  if (!by) co_return call.fail("ERR value is not a valid float");
  std::string sum;
  const bool written =
      co_await update_key(call, [&](const Record* now) -> std::optional<std::string> {
        const std::optional<long double> number =
            now != nullptr ? parse_float(now->value) : std::optional(0.0L);
        if (!number) {
          call.fail("ERR value is not a valid float");
          return std::nullopt;
        }
        if (!std::isfinite(*number + *by)) {
          call.fail("ERR increment would produce NaN or Infinity");
          return std::nullopt;
        }
        sum = float_text(*number + *by);
        return sum;
      });
  if (written) call.reply().bulk(sum);
}

constexpr CommandRow kRows[] = {
    {"incr", 2, kWrite | kFast, 1, 1, 1, "string", "Adds 1 to a number", incr},
    {"decr", 2, kWrite | kFast, 1, 1, 1, "string", "Takes 1 from a number", decr},
    {"incrby", 3, kWrite | kFast, 1, 1, 1, "string", "Adds to a number", incrby},
    {"decrby", 3, kWrite | kFast, 1, 1, 1, "string", "Takes from a number", decrby},
    {"incrbyfloat", 3, kWrite | kFast, 1, 1, 1, "string", "Adds to a number with a fraction",
     incrbyfloat},
};

}  // namespace

std::span<const CommandRow> number_commands() { return kRows; }

}  // namespace scalio::redis
