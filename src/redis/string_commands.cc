// Commands on values as a whole and on parts of them.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/parse_integer.h"
#include "redis/command_table.h"
#include "redis/end_time.h"
#include "redis/in_groups.h"
#include "redis/parse_number.h"
#include "redis/read_value.h"
#include "redis/update_key.h"

namespace scalio::redis {
namespace {

// Of a reply with many values.
constexpr std::size_t kLargestReply = 32 << 20;

// --- Whole values ---

void reply_value(CommandCall& call, const Result<Record>& found) {
  if (found.ok()) return call.reply().bulk(found->value);
  if (found.code() == Code::not_found) return call.reply().null();
  call.fail(found.status());
}

Task<void> get(CommandCall& call) {
  const Result<Record> found = co_await read_value(call, call[1], NoRoom::wait);
  reply_value(call, found);
}

struct SetOptions {
  bool if_absent = false;
  bool if_present = false;
  bool old_value = false;
  bool keeps_end = false;
  std::optional<Expiry> expiry;
};

// Or in Redis's words what is wrong.
std::string parse(const CommandCall& call, SetOptions* options) {
  for (std::size_t i = 3; i < call.count(); ++i) {
    const std::string_view word = call[i];
    if (same_word(word, "nx")) {
      options->if_absent = true;
    } else if (same_word(word, "xx")) {
      options->if_present = true;
    } else if (same_word(word, "get")) {
      options->old_value = true;
    } else if (same_word(word, "keepttl")) {
      options->keeps_end = true;
    } else if (const std::optional<TimeForm> form = time_form(word);
               form && i + 1 < call.count() && !options->expiry) {
      if (!parse_integer(call[++i])) return std::string(kNoInteger);
      options->expiry = expiry_of(call[i], *form);
      if (!options->expiry || !positive(*options->expiry)) return invalid_expire_time(call);
    } else {
      return std::string(kSyntaxError);
    }
  }
  const bool contradiction =
      (options->if_absent && options->if_present) || (options->keeps_end && options->expiry);
  return contradiction ? std::string(kSyntaxError) : std::string();
}

Task<void> put(CommandCall& call, Expiry expiry) {
  const Result<std::uint64_t> outcome = co_await call.client().put(call[1], call[2], expiry);
  if (!outcome.ok()) co_return call.fail(outcome.status());
  call.reply().simple("OK");
}

// Whether it was put; otherwise it was there, or the call has its reply.
enum class Absent : std::uint8_t { put, present, failed };
Task<Absent> put_if_absent(CommandCall& call, Expiry expiry = {}) {
  const Result<std::uint64_t> outcome = co_await call.client().put_if(call[1], call[2], 0, expiry);
  if (outcome.ok()) co_return Absent::put;
  if (outcome.code() == Code::conflict) co_return Absent::present;
  call.fail(outcome.status());
  co_return Absent::failed;
}

Task<void> set(CommandCall& call) {
  SetOptions options;
  if (const std::string wrong = parse(call, &options); !wrong.empty()) {
    co_return call.fail(wrong);
  }
  const Expiry expiry = options.expiry.value_or(Expiry::never());
  if (!options.if_absent && !options.if_present && !options.old_value && !options.keeps_end) {
    co_await put(call, expiry);
    co_return;
  }
  if (options.if_absent && !options.old_value) {
    const Absent outcome = co_await put_if_absent(call, expiry);
    if (outcome == Absent::put) call.reply().simple("OK");
    if (outcome == Absent::present) call.reply().null();
    co_return;
  }
  std::optional<std::string> old;
  const bool written = co_await update_key(
      call,
      [&call, options, &old](const Record* now) -> std::optional<std::string> {
        old = now != nullptr ? std::optional(now->value) : std::nullopt;
        const bool wanted = now != nullptr ? !options.if_absent : !options.if_present;
        if (wanted) return std::string(call[2]);
        if (options.old_value && old) {
          call.reply().bulk(*old);
        } else {
          call.reply().null();
        }
        return std::nullopt;
      },
      options.keeps_end ? std::nullopt : std::optional(expiry));
  if (!written) co_return;
  if (!options.old_value) {
    call.reply().simple("OK");
  } else if (old) {
    call.reply().bulk(*old);
  } else {
    call.reply().null();
  }
}

Task<void> setnx(CommandCall& call) {
  const Absent outcome = co_await put_if_absent(call);
  if (outcome != Absent::failed) call.reply().integer(outcome == Absent::put ? 1 : 0);
}

Task<void> getset(CommandCall& call) {
  std::optional<std::string> old;
  const bool written = co_await update_key(
      call,
      [&](const Record* now) -> std::optional<std::string> {
        old = now != nullptr ? std::optional(now->value) : std::nullopt;
        return std::string(call[2]);
      },
      Expiry::never());
  if (!written) co_return;
  if (old) {
    call.reply().bulk(*old);
  } else {
    call.reply().null();
  }
}

Task<void> getdel(CommandCall& call) {
  const Result<Record> taken = co_await take_key(call, call[1]);
  reply_value(call, taken);
}

// --- Several keys ---

Task<void> mget(CommandCall& call) {
  const std::span<const std::string_view> keys = call.arguments().subspan(1);
  call.reply().array(keys.size());
  for (std::size_t i = 0; i < keys.size(); i += kGroup) {
    // Others have their turn, and its client may go.
    if (i > 0) co_await call.state().loop.yield();
    if (call.session().gone) co_return call.fail("ERR the client has gone");
    const auto group = keys.subspan(i, std::min(kGroup, keys.size() - i));
    std::vector<FoundValue> found(group.size(), FoundValue{Status(Code::unavailable, "not asked")});
    WaitGroup all(call.state().loop);
    const auto read = [&call](std::string_view key, FoundValue& into) -> Task<void> {
      into = co_await read_small_value(call, key);
    };
    for (std::size_t k = 0; k < group.size(); ++k) all.spawn(read(group[k], found[k]));
    co_await all.wait();
    for (std::size_t k = 0; k < group.size(); ++k) {
      if (call.replied().size() + found[k].large > kLargestReply) {
        co_return call.fail(
            fmt::format("ERR a reply of more than {} bytes: ask for fewer keys", kLargestReply));
      }
      Result<Record> one = std::move(found[k].record);
      if (found[k].large > 0) {
        one = co_await read_large_value(call, group[k], found[k].large, NoRoom::wait);
      }
      if (!one.ok() && one.code() != Code::not_found) co_return call.fail(one.status());
      reply_value(call, one);
    }
  }
}

Task<void> mset(CommandCall& call) {
  if (call.count() % 2 == 0) co_return call.fail(wrong_count("mset"));
  // Of a key that is there twice, the last value.
  std::unordered_map<std::string_view, std::string_view> last;
  std::vector<std::string_view> keys;
  for (std::size_t i = 1; i < call.count(); i += 2) {
    if (last.insert_or_assign(call[i], call[i + 1]).second) keys.push_back(call[i]);
  }
  Status failure;
  const auto put_one = [&](std::string_view key) -> Task<void> {
    const Result<std::uint64_t> outcome = co_await call.client().put(key, last.at(key));
    if (!outcome.ok() && failure.ok()) failure = outcome.status();
  };
  co_await in_groups(call.state().loop, keys, put_one, failure);
  if (failure.ok()) co_return call.reply().simple("OK");
  call.fail(Status(failure.code(),
                   fmt::format("{}; others of the keys may have been set", failure.message())));
}

// --- Parts of values ---

Task<void> getrange(CommandCall& call) {
  const std::optional<std::int64_t> first = parse_integer(call[2]), last = parse_integer(call[3]);
  if (!first || !last) co_return call.fail(kNoInteger);
  const Result<Record> found = co_await read_value(call, call[1], NoRoom::wait);
  if (!found.ok()) {
    if (found.code() != Code::not_found) co_return call.fail(found.status());
    co_return call.reply().bulk("");
  }
  const std::string_view value = found->value;
  const auto size = static_cast<std::int64_t>(value.size());
  // Negative ones count from the end; those before the beginning are it.
  const std::int64_t begin = std::max<std::int64_t>(*first < 0 ? *first + size : *first, 0);
  const std::int64_t end =
      std::min(std::max<std::int64_t>(*last < 0 ? *last + size : *last, 0), size - 1);
  if (begin > end || (*first < 0 && *last < 0 && *first > *last)) co_return call.reply().bulk("");
  call.reply().bulk(
      value.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin + 1)));
}

std::string exceeds(std::size_t limit) {
  return fmt::format("ERR string exceeds maximum allowed size ({})", limit);
}

Task<void> setrange(CommandCall& call) {
  const std::optional<std::int64_t> offset = parse_integer(call[2]);
  if (!offset) co_return call.fail(kNoInteger);
  if (*offset < 0) co_return call.fail("ERR offset is out of range");
  const std::string_view part = call[3];
  const auto at = static_cast<std::uint64_t>(*offset);
  const std::size_t limit = call.client().value_limit(call[1].size());
  if (!part.empty() && (at > limit || at + part.size() > limit)) {
    co_return call.fail(exceeds(limit));
  }
  std::size_t size = 0;
  const bool written =
      co_await update_key(call, [&](const Record* now) -> std::optional<std::string> {
        std::string value = now != nullptr ? now->value : std::string();
        if (part.empty()) {
          call.reply().integer(static_cast<std::int64_t>(value.size()));
          return std::nullopt;
        }
        value.resize(std::max<std::size_t>(value.size(), at + part.size()));
        std::copy(part.begin(), part.end(), value.begin() + *offset);
        size = value.size();
        return value;
      });
  if (written) call.reply().integer(static_cast<std::int64_t>(size));
}

// To a value that is large, or that it makes so: of these the server changes none.
Task<void> append_to_large(CommandCall& call) {
  const std::string_view text = call[2];
  const std::size_t limit = call.client().value_limit(call[1].size());
  std::size_t size = 0;
  const bool written =
      co_await update_key(call, [&](const Record* now) -> std::optional<std::string> {
        size = (now != nullptr ? now->value.size() : 0) + text.size();
        if (size > limit) {
          call.fail(exceeds(limit));
          return std::nullopt;
        }
        return now != nullptr ? now->value + std::string(text) : std::string(text);
      });
  if (written) call.reply().integer(static_cast<std::int64_t>(size));
}

Task<void> append(CommandCall& call) {
  const Result<Appended> done = co_await call.client().append(call[1], call[2]);
  if (done.ok()) co_return call.reply().integer(static_cast<std::int64_t>(done->size));
  if (done.code() != Code::too_large) co_return call.fail(done.status());
  co_await append_to_large(call);
}

Task<void> strlen(CommandCall& call) {
  const Result<std::uint64_t> length = co_await read_length(call, call[1]);
  if (!length.ok() && length.code() != Code::not_found) co_return call.fail(length.status());
  call.reply().integer(length.ok() ? static_cast<std::int64_t>(*length) : 0);
}

constexpr CommandRow kRows[] = {
    {"get", 2, kReadonly | kFast, 1, 1, 1, "string", "The value of a key", get},
    {"set", -3, kWrite, 1, 1, 1, "string", "Sets a key: NX, XX, GET, EX, PX, EXAT, PXAT, KEEPTTL",
     set},
    {"mget", -2, kReadonly | kAlone, 1, -1, 1, "string", "The values of several keys", mget},
    {"mset", -3, kWrite, 1, -1, 2, "string", "Sets several keys, not atomically", mset},
    {"setnx", 3, kWrite | kFast, 1, 1, 1, "string", "Sets a key that does not exist", setnx},
    {"getset", 3, kWrite | kFast, 1, 1, 1, "string", "Sets a key, for its old value", getset},
    {"getdel", 2, kWrite | kFast, 1, 1, 1, "string", "The value of a key, and deletes it", getdel},
    {"getrange", 4, kReadonly, 1, 1, 1, "string", "A part of a value", getrange},
    {"substr", 4, kReadonly, 1, 1, 1, "string", "The same as GETRANGE", getrange},
    {"setrange", 4, kWrite, 1, 1, 1, "string", "Overwrites a part of a value", setrange},
    {"append", 3, kWrite | kFast, 1, 1, 1, "string", "Appends to a value", append},
    {"strlen", 2, kReadonly | kFast, 1, 1, 1, "string", "The bytes of a value", strlen},
};

}  // namespace

std::span<const CommandRow> string_commands() { return kRows; }

}  // namespace scalio::redis
