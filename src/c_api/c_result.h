// scalio_result: any outcome, as C has it.
#pragma once

#include <scalio/client.h>
#include <scalio/scalio.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct scalio_result {
  scalio_code code = SCALIO_OK;
  std::string message = {};
  std::string_view key = {};    // in `memory`
  std::string_view value = {};  // in `memory`, or it is `own_value`
  std::string own_value = {};
  std::uint64_t unread = 0;  // bytes of a value that is not here: of a scan, or given in parts
  std::uint64_t version = 0;
  std::int64_t end = 0;
  std::int64_t number = 0;
  std::uint64_t previous = 0;
  scalio_range range = {0, 0};
  std::vector<scalio_result> parts = {};
  std::shared_ptr<const void> memory = {};

  std::uint64_t length() const { return unread != 0 ? unread : bytes().size(); }
  std::string_view bytes() const { return memory ? value : std::string_view(own_value); }
};

namespace scalio::c {

// What is out of memory has a result that need not be made, and is not freed.
scalio_result* no_memory() noexcept;

// Of each kind of outcome.
scalio_result to_result(Status status);
scalio_result to_result(Result<Record> record);
scalio_result to_result(Result<std::uint64_t> version);
scalio_result to_result(Result<Appended> appended);
scalio_result to_result(Result<Incremented> incremented);
scalio_result to_result(Result<std::vector<Result<Record>>> records);
scalio_result to_result(Result<std::vector<Result<std::uint64_t>>> versions);
scalio_result to_result(Result<std::vector<ScanRange>> ranges);
scalio_result to_result(Result<ScanPage> page);
scalio_result to_result(Result<std::string> text);

template <class T>
scalio_result* new_result(T outcome) noexcept {
  try {
    return new scalio_result(to_result(std::move(outcome)));
  } catch (...) {
    return no_memory();
  }
}

}  // namespace scalio::c
