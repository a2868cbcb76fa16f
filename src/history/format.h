// The lines of a history: what a client asked for and what came of it, one JSON object a line.
//
//   {"client":"c1","op":"put","key":"k","value":"v1","version":7,"expected":null,"result":"ok",
//    "call":1000,"return":1900}
//
//   client    who asked: a string or a number, unique across the files that are merged
//   op        get, put, delete, cput (put if the version is `expected`) or cdelete (likewise);
//             append, increment; set_end (gives the key's record another end; the value stays)
//   value     what was read or written; null if absent. Every value is written at most once. Of
//             append the text, of increment by how much, in decimal: linearizability/additions.h
//             says which
//   version   what the store returned; null if it returned none
//   expected  cput: 0 if the key must not exist; cdelete: above 0; set_end: above 0, or null for
//             any version; of others null
//   number    of an append that is ok, the bytes that it left; of an increment, the sum; else null
//   ends      of puts and set_end: from when on, by the clock of call, the record may have ended;
//             null: it lasts
//   gone      from when on it has ended for sure; null: that is not known
//   result    ok, not_found, conflict, unknown (a write that may happen at any time from its call
//             on, or never) or error (a write that certainly did nothing; a read that told nothing)
//   call, return   CLOCK_MONOTONIC, ns
//
// A writer that may be killed leaves a line without `result` and `return` before it calls, and the
// whole line after: a call that was never completed is an operation of unknown outcome.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

namespace scalio::history {

namespace field {
constexpr const char* kClient = "client";
constexpr const char* kOp = "op";
constexpr const char* kKey = "key";
constexpr const char* kValue = "value";
constexpr const char* kVersion = "version";
constexpr const char* kExpected = "expected";
constexpr const char* kNumber = "number";
constexpr const char* kEnds = "ends";
constexpr const char* kGone = "gone";
constexpr const char* kResult = "result";
constexpr const char* kCall = "call";
constexpr const char* kReturn = "return";
}  // namespace field

enum class Kind : std::uint8_t { get, put, remove, put_if, remove_if, append, increment, set_end };
enum class Outcome : std::uint8_t { ok, not_found, conflict, unknown, error };

constexpr std::pair<std::string_view, Kind> kKinds[] = {{"get", Kind::get},
                                                        {"put", Kind::put},
                                                        {"delete", Kind::remove},
                                                        {"cput", Kind::put_if},
                                                        {"cdelete", Kind::remove_if},
                                                        {"append", Kind::append},
                                                        {"increment", Kind::increment},
                                                        {"set_end", Kind::set_end}};
constexpr std::pair<std::string_view, Outcome> kOutcomes[] = {{"ok", Outcome::ok},
                                                              {"not_found", Outcome::not_found},
                                                              {"conflict", Outcome::conflict},
                                                              {"unknown", Outcome::unknown},
                                                              {"error", Outcome::error}};

inline bool is_put(Kind kind) { return kind == Kind::put || kind == Kind::put_if; }
inline bool is_addition(Kind kind) { return kind == Kind::append || kind == Kind::increment; }
// Whether it is done only if the key's version is the expected one.
inline bool is_conditional(Kind kind) { return kind == Kind::put_if || kind == Kind::remove_if; }

// The name in one of these tables.
template <class T, std::size_t N>
constexpr std::string_view name_of(const std::pair<std::string_view, T> (&table)[N], T value) {
  for (const auto& [name, v] : table) {
    if (v == value) return name;
  }
  return "?";
}

}  // namespace scalio::history
