// Keys whose values are only added to, by append or increment, and read: whether what clients saw
// of one is explained by an order of its additions.
//
// A value tells which additions it has, so no search is needed. An append's text ends with ';' and
// has no other: a value is a row of such texts. Increments are by different powers of 4: a digit of
// the sum, to that base, tells how often one was done, 31 of them at most. Versions order all that
// was seen.
#pragma once

#include <scalio/status.h>

#include <optional>
#include <string>
#include <vector>

#include "history/reader.h"

namespace scalio::linearizability {

struct AdditionsFinding {
  std::string what;                                // one sentence
  std::vector<const history::Operation*> witness;  // these suffice to show it
};

// `ops` are all of one key's. Failures: invalid, if they are not such additions and gets.
Result<std::optional<AdditionsFinding>> check_additions(
    const std::vector<const history::Operation*>& ops);

}  // namespace scalio::linearizability
