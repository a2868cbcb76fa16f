// Is a history linearizable? Each key is a register with versions, checked alone (linearizability
// is local).
//
// The register starts absent. put sets a value and gives it a new version; delete makes the key
// absent and has a version too; cput puts if the key exists with version `expected`, or, with 0, if
// it does not exist; cdelete deletes if the key exists with version `expected`. Versions grow in
// the order the writes take effect. So what is checked is more than the values: a get's value and
// version must be those of one write.
//
// What was put for a time may become absent by itself, once, from when it says on, and must have
// when it is gone. A cput of its version may take effect after that, if nobody else has written the
// key (rule 17). Of a write of unknown outcome that nobody saw it is not looked at when it is gone.
//
// A key that is appended to, or incremented, has no other writes but changes of its end
// (linearizability/additions.h). Of other keys these are not known here: a change is a put of
// another value, for who reads the record with its version.
//
// A write of unknown outcome may take effect once, at any time after its call, or never. A write
// that ended as `error` must have done nothing: that is what the store promises with such a result.
//
// The answer is exact: a violation is reported if, and only if, no order of the key's operations
// explains what was seen. Versions fix the order of all writes that somebody saw, so the only
// choices are where unseen writes of unknown outcome take effect; time is close to linear in the
// history for any real one.
#pragma once

#include <scalio/status.h>

#include <span>
#include <string>
#include <vector>

#include "history/reader.h"

namespace scalio::linearizability {

struct Violation {
  std::string key;
  std::string what;                         // one sentence
  std::vector<history::Operation> witness;  // in order of call: with the first write as the key's
                                            // state before, these suffice to show it
  std::size_t unknown_writes =
      0;  // further writes of unknown outcome, which cannot explain it either
};

// At most one violation per key, in the order of the keys. Failures: invalid, if two writes have
// the same value, an addition is none, or the end of a key is changed that is not added to;
// too_large, if unknown writes leave more possibilities than the checker keeps.
Result<std::vector<Violation>> check(std::span<const history::Operation> history);

// A violation for people, several lines.
std::string to_string(const Violation& violation);

}  // namespace scalio::linearizability
