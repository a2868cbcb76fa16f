// Commands that look at all keys: they read the SSDs, and cost the server no CPU.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/parse_integer.h"
#include "base/random.h"
#include "redis/command_table.h"
#include "redis/glob.h"
#include "redis/parse_number.h"
#include "task/wait_group.h"

namespace scalio::redis {
namespace {

constexpr std::size_t kMostKeys = 100'000;  // that KEYS finds
constexpr std::size_t kMostPages = 64;      // of one SCAN
constexpr std::size_t kParts = 8;           // of a store, read beside each other
// One command reads no longer than this.
constexpr Nanos kLongest = 5 * kSecond;
// Keys that are looked at before others have their turn: to match one with a pattern may take as
// long as a hundred GETs.
constexpr std::size_t kAtOnce = 64;

// --- SCAN ---

struct ScanOptions {
  std::uint64_t cursor = 0;
  std::string_view pattern = "*";
  std::uint64_t count = 10;
  bool strings = true;  // the type asked for is what there is
};

// As Redis takes one, by strtoul(): -1 is the largest there is.
std::optional<std::uint64_t> parse_cursor(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  std::uint64_t cursor = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, cursor);
  if (error != std::errc() || rest != end) return std::nullopt;
  return negative ? 0 - cursor : cursor;
}

// Or in Redis's words what is wrong.
std::string_view parse(const CommandCall& call, ScanOptions* options) {
  const std::optional<std::uint64_t> cursor = parse_cursor(call[1]);
  if (!cursor) return "ERR invalid cursor";
  options->cursor = *cursor;
  for (std::size_t i = 2; i < call.count(); i += 2) {
    if (i + 1 == call.count()) return kSyntaxError;
    if (same_word(call[i], "match")) {
      options->pattern = call[i + 1];
      if (options->pattern.size() > Glob::kLongest) return Glob::kTooLong;
    } else if (same_word(call[i], "count")) {
      const std::optional<std::int64_t> count = parse_integer(call[i + 1]);
      if (!count) return kNoInteger;
      if (*count < 1) return kSyntaxError;
      options->count = static_cast<std::uint64_t>(*count);
    } else if (same_word(call[i], "type")) {
      options->strings = same_word(call[i + 1], "string");
    } else {
      return kSyntaxError;
    }
  }
  return {};
}

// A cursor is the place where the scan goes on; that of the beginning is 0, as that of the end is.
// Behind the end there is nothing.
Task<void> scan(CommandCall& call) {
  ScanOptions options;
  if (const std::string_view wrong = parse(call, &options); !wrong.empty()) {
    co_return call.fail(wrong);
  }
  const Glob pattern(options.pattern);
  const std::uint64_t end = call.client().scan_ranges(1).back().end;
  ScanRange rest{std::min(options.cursor, end), end};
  std::vector<std::string> found;
  std::uint64_t seen = 0;
  for (std::size_t pages = 0; pages < kMostPages && seen < options.count && !rest.empty();
       ++pages) {
    if (call.session().gone) co_return call.fail("ERR the client has gone");
    const Result<ScanPage> page = co_await call.client().scan(rest);
    if (page.code() == Code::invalid) co_return call.fail("ERR invalid cursor");
    if (!page.ok()) co_return call.fail(page.status());
    for (std::size_t i = 0; i < page->records.size(); ++i) {
      if (i % kAtOnce == kAtOnce - 1) co_await call.state().loop.yield();
      const std::string_view key = page->records[i].key;
      if (!options.strings || !pattern.matches(key)) continue;
      if (!call.take_room(sizeof found[0] + key.size())) co_return call.fail(call.no_room());
      found.emplace_back(key);
    }
    seen += page->records.size();
    rest = page->rest;
  }
  resp::ReplyWriter reply = call.reply();
  reply.array(2);
  reply.bulk(std::to_string(rest.empty() ? 0 : rest.begin));
  reply.array(found.size());
  for (const std::string& key : found) reply.bulk(key);
}

// --- All keys ---

// Calls `each` with every record, until it says no, or the time is over: then, or if the store
// fails, false, and the call has its reply.
template <class F>
Task<bool> for_each_record(CommandCall& call, F each) {
  const Nanos deadline = call.state().loop.now() + kLongest;
  Status failure;
  bool more = true;
  const auto read = [&](ScanRange rest) -> Task<void> {
    while (!rest.empty() && more && failure.ok()) {
      if (call.session().gone) {
        failure = Status(Code::unavailable, "the client has gone");
        co_return;
      }
      const Result<ScanPage> page = co_await call.client().scan(rest);
      if (!page.ok()) {
        failure = page.status();
        co_return;
      }
      for (std::size_t i = 0; i < page->records.size(); ++i) {
        if (i % kAtOnce == kAtOnce - 1) co_await call.state().loop.yield();
        more = more && each(page->records[i]);
      }
      rest = page->rest;
      if (!rest.empty() && call.state().loop.now() >= deadline) {
        failure = Status(Code::timed_out,
                         fmt::format("reading all of it takes longer than {} s; use SCAN, or "
                                     "`scalio count`",
                                     kLongest / kSecond));
      }
    }
  };
  WaitGroup group(call.state().loop);
  for (const ScanRange& part : call.client().scan_ranges(kParts)) group.spawn(read(part));
  co_await group.wait();
  if (!failure.ok()) call.fail(failure);
  co_return failure.ok();
}

Task<void> dbsize(CommandCall& call) {
  std::int64_t records = 0;
  const bool read = co_await for_each_record(call, [&](const ScannedRecord&) {
    ++records;
    return true;
  });
  if (read) call.reply().integer(records);
}

Task<void> keys(CommandCall& call) {
  if (call[1].size() > Glob::kLongest) co_return call.fail(Glob::kTooLong);
  const Glob pattern(call[1]);
  std::vector<std::string> found;
  bool room = true;
  const bool read = co_await for_each_record(call, [&](const ScannedRecord& record) {
    if (!pattern.matches(record.key)) return true;
    room = call.take_room(sizeof found[0] + record.key.size());
    if (room) found.emplace_back(record.key);
    return room && found.size() <= kMostKeys;
  });
  if (!read) co_return;
  if (!room) co_return call.fail(call.no_room());
  if (found.size() > kMostKeys) {
    co_return call.fail(fmt::format("ERR more than {} keys: use SCAN", kMostKeys));
  }
  call.reply().array(found.size());
  for (const std::string& key : found) call.reply().bulk(key);
}

// One of the keys that are together somewhere; of a store that is nearly empty, any.
Task<void> randomkey(CommandCall& call) {
  constexpr int kTries = 16;
  Random random(call.state().loop.now());
  const std::vector<ScanRange> parts = call.client().scan_ranges(4096);
  for (int i = 0; i < kTries; ++i) {
    const Result<ScanPage> page = co_await call.client().scan(parts[random.below(parts.size())]);
    if (!page.ok()) co_return call.fail(page.status());
    if (!page->records.empty()) {
      co_return call.reply().bulk(page->records[random.below(page->records.size())].key);
    }
  }
  std::uint64_t seen = 0;
  std::string key;
  const bool read = co_await for_each_record(call, [&](const ScannedRecord& record) {
    if (random.below(++seen) == 0) key = record.key;
    return true;
  });
  if (!read) co_return;
  if (seen == 0) co_return call.reply().null();
  call.reply().bulk(key);
}

constexpr CommandRow kRows[] = {
    {"scan", -2, kReadonly | kAlone, 0, 0, 0, "generic", "Keys, a part at a time", scan},
    {"keys", 2, kReadonly | kAlone, 0, 0, 0, "generic", "All keys that match, if few", keys},
    {"randomkey", 1, kReadonly | kAlone, 0, 0, 0, "generic", "Some key", randomkey},
    {"dbsize", 1, kReadonly | kAlone, 0, 0, 0, "server", "Counts all keys by reading them", dbsize},
};

}  // namespace

std::span<const CommandRow> scan_commands() { return kRows; }

}  // namespace scalio::redis
