#include "c_api/c_result.h"

#include <utility>

namespace scalio::c {

static_assert(SCALIO_NOT_FOUND == static_cast<int>(Code::not_found));
static_assert(SCALIO_CONFLICT == static_cast<int>(Code::conflict));
static_assert(SCALIO_UNKNOWN == static_cast<int>(Code::unknown));
static_assert(SCALIO_INVALID == static_cast<int>(Code::invalid));
static_assert(SCALIO_TOO_LARGE == static_cast<int>(Code::too_large));
static_assert(SCALIO_FULL == static_cast<int>(Code::full));
static_assert(SCALIO_READ_ONLY == static_cast<int>(Code::read_only));
static_assert(SCALIO_UNAVAILABLE == static_cast<int>(Code::unavailable));
static_assert(SCALIO_TIMED_OUT == static_cast<int>(Code::timed_out));
static_assert(SCALIO_IO_ERROR == static_cast<int>(Code::io_error));
static_assert(SCALIO_CORRUPT == static_cast<int>(Code::corrupt));
static_assert(SCALIO_BUSY == static_cast<int>(Code::busy));
static_assert(SCALIO_DENIED == static_cast<int>(Code::denied));

namespace {
// Short enough for a string that takes nothing from the heap.
scalio_result out_of_memory{.code = SCALIO_UNAVAILABLE, .message = "out of memory"};

template <class T>
scalio_result parts_of(Result<std::vector<T>> outcome) {
  if (!outcome.ok()) return to_result(outcome.status());
  scalio_result all;
  all.parts.reserve(outcome->size());
  for (T& one : *outcome) all.parts.push_back(to_result(std::move(one)));
  return all;
}
}  // namespace

scalio_result* no_memory() noexcept { return &out_of_memory; }

scalio_result to_result(Status status) {
  return {.code = static_cast<scalio_code>(status.code()), .message = status.message()};
}

scalio_result to_result(Result<Record> record) {
  if (!record.ok()) return to_result(record.status());
  return {.own_value = std::move(record->value),
          .version = record->version,
          .end = record->end.time_since_epoch().count()};
}

scalio_result to_result(Result<std::uint64_t> version) {
  if (!version.ok()) return to_result(version.status());
  return {.version = *version};
}

scalio_result to_result(Result<Appended> appended) {
  if (!appended.ok()) return to_result(appended.status());
  return {.version = appended->version,
          .number = static_cast<std::int64_t>(appended->size),
          .previous = appended->previous};
}

scalio_result to_result(Result<Incremented> incremented) {
  if (!incremented.ok()) return to_result(incremented.status());
  return {.version = incremented->version,
          .number = incremented->value,
          .previous = incremented->previous};
}

scalio_result to_result(Result<std::vector<Result<Record>>> records) {
  return parts_of(std::move(records));
}

scalio_result to_result(Result<std::vector<Result<std::uint64_t>>> versions) {
  return parts_of(std::move(versions));
}

scalio_result to_result(Result<std::vector<ScanRange>> ranges) {
  if (!ranges.ok()) return to_result(ranges.status());
  scalio_result all;
  all.parts.reserve(ranges->size());
  for (const ScanRange& r : *ranges) all.parts.push_back({.range = {r.begin, r.end}});
  return all;
}

scalio_result to_result(Result<ScanPage> page) {
  if (!page.ok()) return to_result(page.status());
  scalio_result all{.range = {page->rest.begin, page->rest.end}};
  all.parts.reserve(page->records.size());
  for (const ScannedRecord& r : page->records) {
    all.parts.push_back({.key = r.key,
                         .value = r.value,
                         .unread = r.large ? r.length : 0,
                         .version = r.version,
                         .end = r.end.time_since_epoch().count(),
                         .memory = page->memory});
  }
  return all;
}

scalio_result to_result(Result<std::string> text) {
  if (!text.ok()) return to_result(text.status());
  return {.own_value = *std::move(text)};
}

}  // namespace scalio::c

using scalio::c::no_memory;

scalio_code scalio_result_code(const scalio_result* result) {
  return result ? result->code : SCALIO_OK;
}

const char* scalio_result_message(const scalio_result* result) {
  return result ? result->message.c_str() : "";
}

const void* scalio_result_value(const scalio_result* result, size_t* size) {
  const std::string_view value = result ? result->bytes() : std::string_view();
  if (size) *size = value.size();
  return value.data() ? value.data() : "";
}

const void* scalio_result_key(const scalio_result* result, size_t* size) {
  const std::string_view key = result ? result->key : std::string_view();
  if (size) *size = key.size();
  return key.data() ? key.data() : "";
}

uint64_t scalio_result_length(const scalio_result* result) { return result ? result->length() : 0; }

uint64_t scalio_result_version(const scalio_result* result) { return result ? result->version : 0; }

int64_t scalio_result_end(const scalio_result* result) { return result ? result->end : 0; }

int64_t scalio_result_number(const scalio_result* result) { return result ? result->number : 0; }

uint64_t scalio_result_previous(const scalio_result* result) {
  return result ? result->previous : 0;
}

size_t scalio_result_count(const scalio_result* result) {
  return result ? result->parts.size() : 0;
}

const scalio_result* scalio_result_at(const scalio_result* result, size_t index) {
  return index < scalio_result_count(result) ? &result->parts[index] : nullptr;
}

scalio_range scalio_result_range(const scalio_result* result) {
  return result ? result->range : scalio_range{0, 0};
}

void scalio_result_free(scalio_result* result) {
  if (result != no_memory()) delete result;
}
