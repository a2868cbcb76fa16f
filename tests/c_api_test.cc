// The C API as programs link it, libscalio.so, against a whole store: each operation in both forms,
// each code, and what is wrong with arguments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <scalio/scalio.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/store.h"

namespace scalio::testing {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

struct FreeResult {
  void operator()(scalio_result* r) const { scalio_result_free(r); }
};
using Outcome = std::unique_ptr<scalio_result, FreeResult>;

scalio_code code(const Outcome& r) { return scalio_result_code(r.get()); }
std::string message(const Outcome& r) { return scalio_result_message(r.get()); }
std::string value(const scalio_result* r) {
  size_t size = 0;
  const void* bytes = scalio_result_value(r, &size);
  return std::string(static_cast<const char*>(bytes), size);
}
std::string key(const scalio_result* r) {
  size_t size = 0;
  const void* bytes = scalio_result_key(r, &size);
  return std::string(static_cast<const char*>(bytes), size);
}
scalio_bytes bytes(std::string_view s) { return {s.data(), s.size()}; }

// Gives a value's parts, at most `at_once` bytes of each room, and ends that with `code` where
// `end` of them are given.
struct Source {
  std::string_view rest;
  size_t at_once = SIZE_MAX;
  size_t end = SIZE_MAX;
  int code = SCALIO_OK;
  size_t given = 0;
  std::thread::id caller = std::this_thread::get_id();

  static int fill(scalio_room* room, void* user) {
    auto& source = *static_cast<Source*>(user);
    EXPECT_EQ(std::this_thread::get_id(), source.caller);
    EXPECT_EQ(room->filled, 0u);
    EXPECT_LE(room->size, 65'536u);
    if (source.given >= source.end) return source.code;
    room->filled = source.rest.copy(static_cast<char*>(room->data),
                                    std::min({room->size, source.at_once, source.rest.size()}));
    source.rest.remove_prefix(room->filled);
    source.given += room->filled;
    return SCALIO_OK;
  }
};

// Takes a value's parts, and ends that with `code` where `end` bytes are taken.
struct Sink {
  std::string taken = {};
  size_t end = SIZE_MAX;
  int code = SCALIO_OK;
  size_t parts = 0;
  uint64_t from = 0;
  uint64_t version = 0;
  uint64_t length = 0;
  int64_t record_end = 0;
  std::thread::id caller = std::this_thread::get_id();

  static int take(const scalio_part* part, void* user) {
    auto& sink = *static_cast<Sink*>(user);
    EXPECT_EQ(std::this_thread::get_id(), sink.caller);
    EXPECT_NE(part->data, nullptr);
    EXPECT_LE(part->size, 65'536u);
    if (sink.parts++ == 0) {
      sink.from = part->offset;
      sink.version = part->version;
    }
    EXPECT_EQ(part->offset, sink.from + sink.taken.size());
    EXPECT_EQ(part->version, sink.version);
    sink.length = part->length;
    sink.record_end = part->end;
    sink.taken.append(static_cast<const char*>(part->data), part->size);
    return sink.taken.size() >= sink.end ? sink.code : SCALIO_OK;
  }
};

// Of no part is like another.
std::string text_of(size_t size) {
  std::string text(size, '\0');
  std::mt19937_64 random(size);
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

class CApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.start());
    const Outcome failure(scalio_connect(store_.unix_uri().c_str(), nullptr, &client_));
    ASSERT_EQ(failure, nullptr) << message(failure);
  }
  ~CApiTest() override { scalio_client_free(client_); }

  Outcome get(std::string_view k) const { return Outcome(scalio_get(client_, k.data(), k.size())); }
  Outcome put(std::string_view k, std::string_view v) const {
    return Outcome(scalio_put(client_, k.data(), k.size(), v.data(), v.size()));
  }
  // Begins an operation by `begin(done, user)`, and waits for the call.
  template <class F>
  Outcome call(F begin) const {
    std::promise<scalio_result*> ended;
    const auto done = [](scalio_result* result, void* user) {
      static_cast<std::promise<scalio_result*>*>(user)->set_value(result);
    };
    Outcome not_begun(begin(done, &ended));
    if (not_begun) return not_begun;
    return Outcome(ended.get_future().get());
  }
  static void never(scalio_result* result, void*) {
    scalio_result_free(result);
    ADD_FAILURE() << "it was called";
  }

  Scratch scratch_{"c_api"};
  Store store_{scratch_, {.format = {"--values", "16M"}}};
  scalio_client* client_ = nullptr;
};

TEST_F(CApiTest, EachOperationWaits) {
  const Outcome first = put("key", "one");
  ASSERT_EQ(code(first), SCALIO_OK) << message(first);
  const uint64_t version = scalio_result_version(first.get());
  Outcome got = get("key");
  EXPECT_EQ(code(got), SCALIO_OK);
  EXPECT_EQ(value(got.get()), "one");
  EXPECT_EQ(scalio_result_version(got.get()), version);
  const Outcome second(scalio_put_if(client_, "key", 3, "two", 3, version));
  EXPECT_EQ(code(second), SCALIO_OK) << message(second);
  EXPECT_EQ(code(Outcome(scalio_remove_if(client_, "key", 3, version))), SCALIO_CONFLICT);
  const uint64_t newer = scalio_result_version(second.get());
  EXPECT_EQ(code(Outcome(scalio_remove_if(client_, "key", 3, newer))), SCALIO_OK);
  EXPECT_EQ(code(Outcome(scalio_remove(client_, "key", 3))), SCALIO_OK);
  EXPECT_EQ(code(get("key")), SCALIO_NOT_FOUND);

  const std::vector<scalio_write> writes = {{SCALIO_PUT, bytes("a"), bytes("1"), 0, {}},
                                            {SCALIO_PUT_IF, bytes("b"), bytes("2"), 99, {}},
                                            {SCALIO_REMOVE, bytes("c"), {}, 0, {}}};
  const Outcome written(scalio_batch(client_, writes.data(), writes.size()));
  ASSERT_EQ(scalio_result_count(written.get()), 3u);
  EXPECT_EQ(scalio_result_code(scalio_result_at(written.get(), 0)), SCALIO_OK);
  EXPECT_EQ(scalio_result_code(scalio_result_at(written.get(), 1)), SCALIO_CONFLICT);
  EXPECT_EQ(scalio_result_code(scalio_result_at(written.get(), 2)), SCALIO_OK);
  EXPECT_EQ(scalio_result_at(written.get(), 3), nullptr);

  const Outcome appended(scalio_append(client_, "n", 1, "41", 2));
  ASSERT_EQ(code(appended), SCALIO_OK) << message(appended);
  EXPECT_EQ(scalio_result_number(appended.get()), 2);
  EXPECT_EQ(scalio_result_previous(appended.get()), 0u);
  const Outcome sum(scalio_increment(client_, "n", 1, 1));
  EXPECT_EQ(scalio_result_number(sum.get()), 42);
  EXPECT_EQ(scalio_result_previous(sum.get()), scalio_result_version(appended.get()));
  EXPECT_EQ(value(get("n").get()), "42");
  EXPECT_EQ(code(Outcome(scalio_increment(client_, "n", 1, INT64_MAX))), SCALIO_INVALID);

  const std::vector<scalio_bytes> keys = {bytes("a"), bytes("b")};
  const Outcome many(scalio_multi_get(client_, keys.data(), keys.size()));
  ASSERT_EQ(scalio_result_count(many.get()), 2u);
  EXPECT_EQ(value(scalio_result_at(many.get(), 0)), "1");
  EXPECT_EQ(scalio_result_code(scalio_result_at(many.get(), 1)), SCALIO_NOT_FOUND);
  const Outcome stat(scalio_stat(client_));
  EXPECT_THAT(value(stat.get()), HasSubstr("inline_limit"));
}

TEST_F(CApiTest, EachOperationCallsAFunction) {
  const Outcome first = call([&](scalio_done done, void* user) {
    return scalio_put_async(client_, "key", 3, "one", 3, done, user, nullptr);
  });
  ASSERT_EQ(code(first), SCALIO_OK) << message(first);
  const Outcome second = call([&](scalio_done done, void* user) {
    return scalio_put_if_async(client_, "key", 3, "two", 3, scalio_result_version(first.get()),
                               done, user, nullptr);
  });
  EXPECT_EQ(code(second), SCALIO_OK) << message(second);
  EXPECT_EQ(value(call([&](scalio_done done, void* user) {
                    return scalio_get_async(client_, "key", 3, done, user, nullptr);
                  }).get()),
            "two");
  EXPECT_EQ(code(call([&](scalio_done done, void* user) {
              return scalio_remove_if_async(client_, "key", 3, 1, done, user, nullptr);
            })),
            SCALIO_CONFLICT);
  EXPECT_EQ(code(call([&](scalio_done done, void* user) {
              return scalio_remove_async(client_, "key", 3, done, user, nullptr);
            })),
            SCALIO_OK);
  EXPECT_EQ(scalio_result_number(call([&](scalio_done done, void* user) {
                                   return scalio_append_async(client_, "n", 1, "-7", 2, done, user,
                                                              nullptr);
                                 }).get()),
            2);
  EXPECT_EQ(scalio_result_number(call([&](scalio_done done, void* user) {
                                   return scalio_increment_async(client_, "n", 1, -3, done, user,
                                                                 nullptr);
                                 }).get()),
            -10);
  const scalio_write write{SCALIO_PUT, bytes("a"), bytes("1"), 0, {}};
  EXPECT_EQ(scalio_result_count(call([&](scalio_done done, void* user) {
                                  return scalio_batch_async(client_, &write, 1, done, user,
                                                            nullptr);
                                }).get()),
            1u);
  const scalio_bytes a = bytes("a");
  const Outcome many = call([&](scalio_done done, void* user) {
    return scalio_multi_get_async(client_, &a, 1, done, user, nullptr);
  });
  EXPECT_EQ(value(scalio_result_at(many.get(), 0)), "1");
  const Outcome ranges = call([&](scalio_done done, void* user) {
    return scalio_scan_ranges_async(client_, 1, done, user, nullptr);
  });
  const scalio_range all = scalio_result_range(scalio_result_at(ranges.get(), 0));
  EXPECT_EQ(code(call([&](scalio_done done, void* user) {
              return scalio_scan_async(client_, all, done, user, nullptr);
            })),
            SCALIO_OK);
  EXPECT_EQ(code(call([&](scalio_done done, void* user) {
              return scalio_stat_async(client_, done, user, nullptr);
            })),
            SCALIO_OK);
}

TEST_F(CApiTest, ScansFindEachRecordOnce) {
  std::set<std::string> written;
  for (int i = 0; i < 50; ++i) {
    const std::string k = "key-" + std::to_string(i);
    written.insert(k);
    ASSERT_EQ(code(put(k, "value of " + k)), SCALIO_OK);
  }
  std::multiset<std::string> found;
  const Outcome ranges(scalio_scan_ranges(client_, 3));
  ASSERT_EQ(scalio_result_count(ranges.get()), 3u);
  for (size_t i = 0; i < 3; ++i) {
    scalio_range range = scalio_result_range(scalio_result_at(ranges.get(), i));
    while (range.begin != range.end) {
      const Outcome page(scalio_scan(client_, range));
      ASSERT_EQ(code(page), SCALIO_OK) << message(page);
      for (size_t n = 0; n < scalio_result_count(page.get()); ++n) {
        const scalio_result* record = scalio_result_at(page.get(), n);
        EXPECT_EQ(value(record), "value of " + key(record));
        EXPECT_NE(scalio_result_version(record), 0u);
        found.insert(key(record));
      }
      range = scalio_result_range(page.get());
    }
  }
  EXPECT_EQ(found, std::multiset<std::string>(written.begin(), written.end()));
}

TEST_F(CApiTest, ScansTellHowLongAValueIsThatTheyDoNotRead) {
  const std::string large(100'000, 'x');
  ASSERT_EQ(code(put("large", large)), SCALIO_OK);
  ASSERT_EQ(code(put("small", "value")), SCALIO_OK);
  const Outcome ranges(scalio_scan_ranges(client_, 1));
  scalio_range range = scalio_result_range(scalio_result_at(ranges.get(), 0));
  std::map<std::string, std::uint64_t> lengths;
  while (range.begin != range.end) {
    const Outcome page(scalio_scan(client_, range));
    ASSERT_EQ(code(page), SCALIO_OK) << message(page);
    for (size_t n = 0; n < scalio_result_count(page.get()); ++n) {
      const scalio_result* record = scalio_result_at(page.get(), n);
      lengths[key(record)] = scalio_result_length(record);
      EXPECT_EQ(value(record), key(record) == "small" ? "value" : "");
    }
    range = scalio_result_range(page.get());
  }
  EXPECT_EQ(lengths, (std::map<std::string, std::uint64_t>{{"large", 100'000}, {"small", 5}}));
  const Outcome got = get("large");
  EXPECT_TRUE(value(got.get()) == large);
  EXPECT_EQ(scalio_result_length(got.get()), large.size());
}

TEST_F(CApiTest, RecordsEnd) {
  const scalio_expiry hour = {3600LL * 1'000'000'000, 1}, past = {1, 0}, never = {0, 0};
  const std::string large(100'000, 'x');
  for (const std::string& text : {std::string("value"), large}) {
    const Outcome first(scalio_put_until(client_, "key", 3, text.data(), text.size(), hour));
    ASSERT_EQ(code(first), SCALIO_OK) << message(first);
    Outcome got = get("key");
    EXPECT_GT(scalio_result_end(got.get()), 1'700'000'000LL * 1'000'000'000);
    EXPECT_TRUE(value(got.get()) == text);
    const std::uint64_t version = scalio_result_version(first.get());
    EXPECT_EQ(code(Outcome(scalio_set_end(client_, "key", 3, never, version + 1))),
              SCALIO_CONFLICT);
    const Outcome lasts = call([&](scalio_done done, void* user) {
      return scalio_set_end_async(client_, "key", 3, never, version, done, user, nullptr);
    });
    ASSERT_EQ(code(lasts), SCALIO_OK) << message(lasts);
    got = get("key");
    EXPECT_EQ(scalio_result_end(got.get()), 0);
    EXPECT_EQ(scalio_result_version(got.get()), scalio_result_version(lasts.get()));
    EXPECT_TRUE(value(got.get()) == text);
    const Outcome ended(scalio_put_if_until(client_, "key", 3, text.data(), text.size(),
                                            scalio_result_version(lasts.get()), past));
    EXPECT_EQ(code(ended), SCALIO_OK) << message(ended);
    EXPECT_EQ(code(get("key")), SCALIO_NOT_FOUND);
    EXPECT_EQ(code(Outcome(scalio_set_end(client_, "key", 3, hour, 0))), SCALIO_NOT_FOUND);
  }
  const Outcome wrong(scalio_put_until(client_, "key", 3, "v", 1, {-5, 0}));
  EXPECT_EQ(code(wrong), SCALIO_INVALID);
}

TEST_F(CApiTest, ATimeOfNothingFromNowOnIsAtOnce) {
  for (const int64_t left : {0, -5}) {
    const scalio_expiry at_once = {left, 1};
    const Outcome put_until(scalio_put_until(client_, "key", 3, "v", 1, at_once));
    EXPECT_EQ(code(put_until), SCALIO_OK) << message(put_until);
    EXPECT_EQ(code(get("key")), SCALIO_NOT_FOUND);
    ASSERT_EQ(code(put("key", "v")), SCALIO_OK);
    const Outcome changed(scalio_set_end(client_, "key", 3, at_once, 0));
    EXPECT_EQ(code(changed), SCALIO_OK) << message(changed);
    EXPECT_EQ(code(get("key")), SCALIO_NOT_FOUND);
  }
}

TEST_F(CApiTest, RecordsOfABatchEnd) {
  ASSERT_EQ(code(put("c", "0")), SCALIO_OK);
  const int64_t end = 4'102'444'800'000'000'000;
  const std::string large(100'000, 'x');
  const std::vector<scalio_write> writes = {
      {SCALIO_PUT, bytes("a"), bytes("1"), 0, {end, 0}},
      {SCALIO_PUT_IF, bytes("b"), bytes("2"), 0, {3600LL * 1'000'000'000, 1}},
      {SCALIO_PUT, bytes("c"), bytes("3"), 0, {1, 0}},
      {SCALIO_PUT, bytes("d"), bytes("4"), 0, {}},
      // What is of puts is not looked at.
      {SCALIO_REMOVE, bytes("e"), bytes(large), 0, {end, 0}},
      {SCALIO_REMOVE, bytes("f"), {nullptr, 5}, 0, {}}};
  const Outcome written(scalio_batch(client_, writes.data(), writes.size()));
  for (size_t i = 0; i < writes.size(); ++i)
    EXPECT_EQ(scalio_result_code(scalio_result_at(written.get(), i)), SCALIO_OK) << i;
  EXPECT_EQ(scalio_result_end(get("a").get()), end);
  EXPECT_GT(scalio_result_end(get("b").get()), 1'700'000'000LL * 1'000'000'000);
  EXPECT_EQ(code(get("c")), SCALIO_NOT_FOUND);
  EXPECT_EQ(value(get("d").get()), "4");
  EXPECT_EQ(scalio_result_end(get("d").get()), 0);
  EXPECT_EQ(code(get("e")), SCALIO_NOT_FOUND);
}

TEST_F(CApiTest, ValuesComeAndGoInParts) {
  for (const size_t size : {0, 1, 200, 70'000, 300'000}) {
    const std::string text = text_of(size);
    Source source{.rest = text, .at_once = 10'000};
    const Outcome put(scalio_put_parts(client_, "key", 3, size, {}, Source::fill, &source));
    ASSERT_EQ(code(put), SCALIO_OK) << message(put);
    EXPECT_EQ(source.given, size);
    const Outcome whole = get("key");
    EXPECT_TRUE(value(whole.get()) == text) << size;
    EXPECT_EQ(scalio_result_version(put.get()), scalio_result_version(whole.get()));
    for (const uint64_t from : {uint64_t{0}, uint64_t{size / 2}, uint64_t{size}, UINT64_MAX}) {
      Sink sink;
      const Outcome got(scalio_get_parts(client_, "key", 3, from, Sink::take, &sink));
      ASSERT_EQ(code(got), SCALIO_OK) << message(got);
      const uint64_t first = std::min<uint64_t>(from, size);
      EXPECT_TRUE(sink.taken == text.substr(first)) << size << " from " << from;
      EXPECT_EQ(sink.from, first);
      EXPECT_GE(sink.parts, 1u);
      EXPECT_EQ(sink.length, size);
      EXPECT_EQ(sink.version, scalio_result_version(whole.get()));
      EXPECT_EQ(scalio_result_version(got.get()), sink.version);
      EXPECT_EQ(scalio_result_length(got.get()), size);
      EXPECT_EQ(value(got.get()), "");
    }
  }
}

TEST_F(CApiTest, PutsInPartsHaveConditionsAndEnds) {
  const std::string text = text_of(100'000);
  const int64_t end = 4'102'444'800'000'000'000;
  const auto put_if = [&](uint64_t expected) {
    Source source{.rest = text};
    return Outcome(scalio_put_parts_if(client_, "key", 3, text.size(), expected, {end, 0},
                                       Source::fill, &source));
  };
  const Outcome first = put_if(0);
  ASSERT_EQ(code(first), SCALIO_OK) << message(first);
  Sink sink;
  const Outcome got(scalio_get_parts(client_, "key", 3, 0, Sink::take, &sink));
  EXPECT_EQ(sink.record_end, end);
  EXPECT_EQ(scalio_result_end(got.get()), end);
  EXPECT_EQ(code(put_if(0)), SCALIO_CONFLICT);
  EXPECT_EQ(code(put_if(scalio_result_version(first.get()))), SCALIO_OK);
}

TEST_F(CApiTest, WhoGivesPartsMayEndItAndNothingIsWritten) {
  for (const size_t size : {200, 300'000}) {
    ASSERT_EQ(code(put("key", "before")), SCALIO_OK);
    const std::string text = text_of(size);
    size_t given = 0;
    const auto ended = [&](size_t end, int with) {
      Source source{.rest = text, .at_once = 100, .end = end, .code = with};
      Outcome outcome(scalio_put_parts(client_, "key", 3, size, {}, Source::fill, &source));
      given = source.given;
      return outcome;
    };
    for (const size_t end : {size_t{0}, size - 100}) {
      const Outcome stopped = ended(end, SCALIO_IO_ERROR);
      EXPECT_EQ(code(stopped), SCALIO_IO_ERROR);
      EXPECT_THAT(message(stopped), HasSubstr("not written"));
      const Outcome no_code = ended(end, 77);
      EXPECT_EQ(code(no_code), SCALIO_INVALID);
      EXPECT_THAT(message(no_code), HasSubstr("77"));
      // It says that all is well, and leaves the room as it is.
      const Outcome short_of = ended(end, SCALIO_OK);
      EXPECT_EQ(code(short_of), SCALIO_INVALID);
      EXPECT_THAT(message(short_of), HasSubstr("after " + std::to_string(given) + " of " +
                                               std::to_string(size) + " bytes"));
    }
    EXPECT_EQ(value(get("key").get()), "before");
  }
  const auto overfull = [](scalio_room* room, void*) -> int {
    room->filled = room->size + 1;
    return SCALIO_OK;
  };
  const Outcome too_much(scalio_put_parts(client_, "key", 3, 5, {}, overfull, nullptr));
  EXPECT_EQ(code(too_much), SCALIO_INVALID);
  EXPECT_THAT(message(too_much), HasSubstr("more than its room"));
  EXPECT_EQ(value(get("key").get()), "before");
}

TEST_F(CApiTest, WhoTakesPartsMayEndIt) {
  const std::string text = text_of(300'000);
  ASSERT_EQ(code(put("key", text)), SCALIO_OK);
  Sink sink{.end = 65'000, .code = SCALIO_UNAVAILABLE};
  const Outcome stopped(scalio_get_parts(client_, "key", 3, 0, Sink::take, &sink));
  EXPECT_EQ(code(stopped), SCALIO_UNAVAILABLE);
  EXPECT_THAT(message(stopped), HasSubstr("the function that takes the parts"));
  EXPECT_EQ(sink.parts, 1u);
  EXPECT_EQ(scalio_result_version(stopped.get()), 0u);
  EXPECT_EQ(scalio_result_length(stopped.get()), 0u);
  sink = Sink{.end = 0, .code = -1};
  const Outcome no_code(scalio_get_parts(client_, "key", 3, 0, Sink::take, &sink));
  EXPECT_EQ(code(no_code), SCALIO_INVALID);
  EXPECT_THAT(message(no_code), HasSubstr("-1"));
  sink = Sink{};
  EXPECT_EQ(code(Outcome(scalio_get_parts(client_, "absent", 6, 0, Sink::take, &sink))),
            SCALIO_NOT_FOUND);
  EXPECT_EQ(sink.parts, 0u);
}

TEST_F(CApiTest, ALengthThatTheStoreDoesNotTakeIsNotAskedFor) {
  for (const uint64_t length : {uint64_t{2} << 20, UINT64_MAX, UINT64_MAX - 2}) {
    Source source;
    const Outcome put(scalio_put_parts(client_, "key", 3, length, {}, Source::fill, &source));
    EXPECT_EQ(code(put), SCALIO_TOO_LARGE) << message(put);
    EXPECT_THAT(message(put), HasSubstr(std::to_string(length)));
  }
  EXPECT_EQ(code(get("key")), SCALIO_NOT_FOUND);
}

// Both at once on the client's one thread: each in the middle of the other.
TEST_F(CApiTest, WhoTakesPartsMayUseTheClient) {
  struct Copy {
    scalio_client* client;
    std::string text;
    Sink sink = {};
    size_t parts = 0;
  } copy{client_, text_of(300'000)};
  ASSERT_EQ(code(put("key", copy.text)), SCALIO_OK);
  const auto take = [](const scalio_part* part, void* user) -> int {
    auto& c = *static_cast<Copy*>(user);
    ++c.parts;
    EXPECT_TRUE(value(Outcome(scalio_get(c.client, "key", 3)).get()) == c.text);
    Source source{.rest = c.text};
    const Outcome put(
        scalio_put_parts(c.client, "copy", 4, c.text.size(), {}, Source::fill, &source));
    EXPECT_EQ(code(put), SCALIO_OK) << message(put);
    return Sink::take(part, &c.sink);
  };
  const Outcome got(scalio_get_parts(client_, "key", 3, 0, take, &copy));
  EXPECT_EQ(code(got), SCALIO_OK) << message(got);
  EXPECT_EQ(copy.parts, 5u);
  EXPECT_TRUE(copy.sink.taken == copy.text);
  EXPECT_TRUE(value(get("copy").get()) == copy.text);
}

TEST_F(CApiTest, ManyThreadsHaveValuesInPartsOfOneClient) {
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8; ++i) {
    threads.emplace_back([this, i] {
      const std::string k = "key-" + std::to_string(i), text = text_of(100'000 + i);
      Source source{.rest = text};
      const Outcome put(
          scalio_put_parts(client_, k.data(), k.size(), text.size(), {}, Source::fill, &source));
      EXPECT_EQ(code(put), SCALIO_OK) << message(put);
      Sink sink;
      const Outcome got(scalio_get_parts(client_, k.data(), k.size(), 0, Sink::take, &sink));
      EXPECT_EQ(code(got), SCALIO_OK) << message(got);
      EXPECT_TRUE(sink.taken == text);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(CApiTest, BytesMayBeAny) {
  const std::string any("\0\xff\n", 3), empty;
  ASSERT_EQ(code(put(any, any)), SCALIO_OK);
  EXPECT_EQ(value(get(any).get()), any);
  ASSERT_EQ(code(Outcome(scalio_put(client_, "empty", 5, nullptr, 0))), SCALIO_OK);
  const Outcome got = get("empty");
  EXPECT_EQ(code(got), SCALIO_OK);
  EXPECT_EQ(value(got.get()), "");
}

TEST_F(CApiTest, EachFailureHasItsCodeAndSaysWhatToDo) {
  const Outcome absent = get("absent");
  EXPECT_EQ(code(absent), SCALIO_NOT_FOUND);
  EXPECT_EQ(scalio_result_version(absent.get()), 0u);
  EXPECT_EQ(code(Outcome(scalio_put_if(client_, "key", 3, "v", 1, 7))), SCALIO_CONFLICT);
  EXPECT_EQ(code(get("")), SCALIO_INVALID);
  EXPECT_THAT(message(get(std::string(256, 'k'))), HasSubstr("1 to 255"));
  const Outcome large = put("key", std::string(2 << 20, 'v'));
  EXPECT_EQ(code(large), SCALIO_TOO_LARGE);
  EXPECT_THAT(message(large), HasSubstr("the store takes"));
  const Outcome range(scalio_scan(client_, {1, 0}));
  EXPECT_EQ(code(range), SCALIO_INVALID);
  store_.kill();
  const Outcome gone = put("key", "value");
  EXPECT_TRUE(code(gone) == SCALIO_UNAVAILABLE || code(gone) == SCALIO_UNKNOWN) << message(gone);
  EXPECT_NE(message(gone), "");
}

TEST_F(CApiTest, WhatIsNullIsSaid) {
  const auto expect_invalid = [](scalio_result* result) {
    const Outcome outcome(result);
    EXPECT_EQ(code(outcome), SCALIO_INVALID);
    EXPECT_NE(message(outcome), "");
  };
  scalio_client* none = nullptr;
  scalio_queue* queue = nullptr;
  expect_invalid(scalio_connect(nullptr, nullptr, &none));
  expect_invalid(scalio_connect(store_.unix_uri().c_str(), nullptr, nullptr));
  expect_invalid(scalio_get(nullptr, "key", 3));
  expect_invalid(scalio_get(client_, nullptr, 3));
  expect_invalid(scalio_put(client_, "key", 3, nullptr, 3));
  expect_invalid(scalio_put_if(client_, "key", 3, nullptr, 3, 0));
  expect_invalid(scalio_remove(client_, nullptr, 3));
  expect_invalid(scalio_remove_if(client_, nullptr, 3, 1));
  expect_invalid(scalio_multi_get(client_, nullptr, 1));
  const scalio_bytes missing{nullptr, 1};
  expect_invalid(scalio_multi_get(client_, &missing, 1));
  expect_invalid(scalio_batch(client_, nullptr, 1));
  scalio_write write{SCALIO_REMOVE_IF + 1, bytes("key"), {}, 0, {}};
  expect_invalid(scalio_batch(client_, &write, 1));
  write = {SCALIO_PUT, missing, {}, 0, {}};
  expect_invalid(scalio_batch(client_, &write, 1));
  expect_invalid(scalio_get_async(client_, "key", 3, nullptr, nullptr, nullptr));
  expect_invalid(scalio_get_parts(client_, "key", 3, 0, nullptr, nullptr));
  expect_invalid(scalio_get_parts(client_, nullptr, 3, 0, Sink::take, nullptr));
  expect_invalid(scalio_get_parts(nullptr, "key", 3, 0, Sink::take, nullptr));
  expect_invalid(scalio_put_parts(client_, "key", 3, 1, {}, nullptr, nullptr));
  expect_invalid(scalio_put_parts(client_, nullptr, 3, 1, {}, Source::fill, nullptr));
  expect_invalid(scalio_put_parts(nullptr, "key", 3, 1, {}, Source::fill, nullptr));
  expect_invalid(scalio_put_parts_if(client_, "key", 3, 1, 0, {}, nullptr, nullptr));
  expect_invalid(scalio_queue_new(0, &queue));
  expect_invalid(scalio_queue_new(1, nullptr));
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(queue, nullptr);
  EXPECT_EQ(scalio_result_count(nullptr), 0u);
  EXPECT_EQ(scalio_result_code(nullptr), SCALIO_OK);
  EXPECT_STREQ(scalio_result_message(nullptr), "");
  EXPECT_EQ(value(nullptr), "");
  EXPECT_EQ(key(nullptr), "");
  EXPECT_EQ(scalio_inline_limit(nullptr), 0u);
  EXPECT_EQ(scalio_queue_fd(nullptr), -1);
  EXPECT_EQ(scalio_queue_poll(nullptr), 0u);
  EXPECT_EQ(scalio_options_add_ssd_path(nullptr, "path"), SCALIO_INVALID);
  EXPECT_EQ(scalio_options_set_tls(nullptr, "ca", nullptr, nullptr, nullptr), SCALIO_INVALID);
  EXPECT_EQ(scalio_options_set_nvmf_dhchap(nullptr, "file"), SCALIO_INVALID);
  scalio_result_free(nullptr);
  scalio_client_free(nullptr);
  scalio_queue_free(nullptr);
  scalio_options_free(nullptr);
}

// Such as -1 becomes. Nothing of it is read.
TEST_F(CApiTest, ASizeThatNothingHasIsInvalid) {
  const auto expect_invalid = [](scalio_result* result) {
    const Outcome outcome(result);
    EXPECT_EQ(code(outcome), SCALIO_INVALID) << message(outcome);
    EXPECT_NE(message(outcome), "");
  };
  for (const size_t size : {SIZE_MAX, SIZE_MAX / 2 + 1}) {
    expect_invalid(scalio_get(client_, "key", size));
    expect_invalid(scalio_put(client_, "key", size, "value", 5));
    expect_invalid(scalio_put(client_, "key", 3, "value", size));
    expect_invalid(scalio_put_if(client_, "key", 3, "value", size, 0));
    expect_invalid(scalio_set_end(client_, "key", size, {0, 0}, 0));
    expect_invalid(scalio_remove(client_, "key", size));
    expect_invalid(scalio_remove_if(client_, "key", size, 1));
    expect_invalid(scalio_append(client_, "key", 3, "text", size));
    expect_invalid(scalio_increment(client_, "key", size, 1));
    expect_invalid(scalio_get_parts(client_, "key", size, 0, Sink::take, nullptr));
    expect_invalid(scalio_put_parts(client_, "key", size, 1, {}, Source::fill, nullptr));
    const scalio_bytes endless{"key", size};
    expect_invalid(scalio_multi_get(client_, &endless, 1));
    expect_invalid(scalio_multi_get(client_, &endless, size));
    const scalio_write key{SCALIO_REMOVE, endless, {}, 0, {}};
    expect_invalid(scalio_batch(client_, &key, 1));
    const scalio_write value{SCALIO_PUT, bytes("key"), endless, 0, {}};
    expect_invalid(scalio_batch(client_, &value, 1));
    expect_invalid(scalio_batch(client_, &value, size));
  }
  expect_invalid(scalio_get(client_, "key", std::size_t{1} << 40));
  const Outcome ranges(scalio_scan_ranges(client_, SIZE_MAX));
  EXPECT_EQ(code(ranges), SCALIO_OK) << message(ranges);
  EXPECT_LE(scalio_result_count(ranges.get()), 65'536u);
}

TEST_F(CApiTest, OptionsReachTheClient) {
  struct FreeOptions {
    void operator()(scalio_options* o) const { scalio_options_free(o); }
  };
  const std::unique_ptr<scalio_options, FreeOptions> options(scalio_options_new());
  const auto refused = [&] {
    scalio_client* none = nullptr;
    const Outcome failure(scalio_connect(store_.unix_uri().c_str(), options.get(), &none));
    EXPECT_EQ(none, nullptr);
    return std::string(scalio_code_name(code(failure))) + ": " + message(failure);
  };
  scalio_options_set_threads(options.get(), 65);
  EXPECT_THAT(refused(), HasSubstr("65 threads"));
  scalio_options_set_threads(options.get(), 2);
  scalio_options_set_in_flight(options.get(), 0);
  EXPECT_THAT(refused(), HasSubstr("in flight"));
  scalio_options_set_in_flight(options.get(), 1);
  scalio_options_set_connect_timeout(options.get(), 0);
  EXPECT_THAT(refused(), HasSubstr("timed_out"));
  scalio_options_set_connect_timeout(options.get(), 30'000);
  EXPECT_EQ(scalio_options_set_nvmf_dhchap(options.get(), "/no/secrets"), SCALIO_OK);
  EXPECT_THAT(refused(), HasSubstr("cannot read /no/secrets"));
  EXPECT_EQ(scalio_options_set_nvmf_dhchap(options.get(), ""), SCALIO_OK);
  for (int i = 0; i < 3; ++i) scalio_options_add_ssd_path(options.get(), "/nowhere");
  EXPECT_THAT(refused(), HasSubstr("3 paths of SSDs"));
  EXPECT_EQ(scalio_options_set_tls(options.get(), "/ca", nullptr, nullptr, nullptr), SCALIO_OK);
  EXPECT_THAT(refused(), HasSubstr("is not encrypted"));
}

TEST_F(CApiTest, AUserLogsIn) {
  const std::string users = (scratch_ / "users.toml").string(),
                    secret = (scratch_ / "secret").string();
  std::ofstream(secret) << "a secret of hers\n";
  ASSERT_EQ(chmod(secret.c_str(), 0600), 0);
  ASSERT_EQ(scalio(scratch_,
                   {"user", "add", users, "alice", "--right", "read+fill", "--secret-file", secret})
                .status,
            0);
  const Scratch scratch("c_api_users");
  Store store(scratch, {.serve = {"--users", users}});
  ASSERT_TRUE(store.start());
  scalio_options* const options = scalio_options_new();
  scalio_code how = SCALIO_OK;
  const auto connect = [&](const char* said) {
    EXPECT_EQ(scalio_options_set_user(options, "alice", said), SCALIO_OK);
    scalio_client* client = nullptr;
    const Outcome failure(scalio_connect(store.unix_uri().c_str(), options, &client));
    how = failure ? code(failure) : SCALIO_OK;
    if (failure) return message(failure);
    const Outcome put(scalio_put(client, "key", 3, "value", 5));
    how = code(put);
    scalio_client_free(client);
    return message(put);
  };
  EXPECT_THAT(connect("a secret of hers"), HasSubstr("user alice may not write"));
  EXPECT_EQ(how, SCALIO_DENIED);
  EXPECT_THAT(connect("a secret of his"), HasSubstr("there is no user alice with this secret"));
  EXPECT_EQ(how, SCALIO_DENIED);
  EXPECT_THAT(connect("short"), HasSubstr("has 5 bytes"));
  EXPECT_EQ(how, SCALIO_INVALID);
  EXPECT_EQ(scalio_options_set_user(options, "alice", nullptr), SCALIO_INVALID);
  scalio_options_free(options);
}

TEST_F(CApiTest, AFunctionMustNotWaitAndMayBeginMore) {
  struct Chain {
    scalio_client* client;
    scalio_code waited = SCALIO_OK;
    scalio_code waited_for_parts = SCALIO_OK;
    std::promise<std::string> ended;
  } chain{client_, SCALIO_OK, SCALIO_OK, {}};
  const auto last = [](scalio_result* result, void* user) {
    static_cast<Chain*>(user)->ended.set_value(value(result));
    scalio_result_free(result);
  };
  static constexpr auto kLast = static_cast<scalio_done>(last);
  const auto first = [](scalio_result* result, void* user) {
    scalio_result_free(result);
    auto* const c = static_cast<Chain*>(user);
    c->waited = code(Outcome(scalio_get(c->client, "key", 3)));
    Sink sink;
    c->waited_for_parts =
        code(Outcome(scalio_get_parts(c->client, "key", 3, 0, Sink::take, &sink)));
    EXPECT_EQ(Outcome(scalio_get_async(c->client, "key", 3, kLast, user, nullptr)), nullptr);
  };
  EXPECT_EQ(Outcome(scalio_put_async(client_, "key", 3, "value", 5, first, &chain, nullptr)),
            nullptr);
  EXPECT_EQ(chain.ended.get_future().get(), "value");
  EXPECT_EQ(chain.waited, SCALIO_INVALID);
  EXPECT_EQ(chain.waited_for_parts, SCALIO_INVALID);
}

TEST_F(CApiTest, AQueueBringsResultsAndIsBusyBeyondItsLimit) {
  scalio_queue* queue = nullptr;
  ASSERT_EQ(Outcome(scalio_queue_new(2, &queue)), nullptr);
  int called = 0;
  const auto done = [](scalio_result* result, void* user) {
    EXPECT_EQ(scalio_result_code(result), SCALIO_OK);
    scalio_result_free(result);
    ++*static_cast<int*>(user);
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Outcome(scalio_put_async(client_, "key", 3, "v", 1, done, &called, queue)), nullptr);
  }
  EXPECT_EQ(code(Outcome(scalio_get_async(client_, "key", 3, never, nullptr, queue))), SCALIO_BUSY);
  while (called < 2) {
    pollfd waited{.fd = scalio_queue_fd(queue), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&waited, 1, 60'000), 1);
    EXPECT_GT(scalio_queue_poll(queue), 0u);
  }
  scalio_queue_free(queue);
}

TEST_F(CApiTest, VersionsAndCodesHaveTheirNames) {
  EXPECT_STREQ(scalio_version(), SCALIO_VERSION);
  EXPECT_STREQ(scalio_code_name(SCALIO_BUSY), "busy");
  EXPECT_STREQ(scalio_code_name(SCALIO_DENIED), "denied");
  EXPECT_STREQ(scalio_code_name(SCALIO_DENIED + 1), "unknown code");
  EXPECT_STREQ(scalio_code_name(-1), "unknown code");
}

// examples/c, compiled as C99 without a warning.
TEST_F(CApiTest, TheExampleRuns) {
  const Finished ran =
      run({SCALIO_C_EXAMPLE, store_.unix_uri()}, scratch_ / "example", seconds(60));
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "greeting = hello, world\nput_if over an existing key: conflict\n"
            "greeting = changed\nnothing: not_found\n100 digits, their sum is 450\n"
            "100 of 100 written\n");
  const Finished failed = run({SCALIO_C_EXAMPLE, "unix:/nowhere"}, scratch_ / "no", seconds(60));
  EXPECT_EQ(failed.status, 1);
  EXPECT_THAT(failed.err, HasSubstr("hello: unavailable: "));
}

}  // namespace
}  // namespace scalio::testing
