// Keys whose values are only added to, by append or increment, and read: whether what clients saw
// of one is explained by an order of its additions.
//
// A value tells which additions it has, so no search is needed. An append's text ends with ';' and
// has no other: a value is a row of such texts. Increments are by different powers of 4: a digit of
// the sum, to that base, tells how often one was done, 31 of them at most. Versions order all that
// was seen.
//
// What has ended is gone, with all that was added to it, and the next addition begins anew, with
// nothing and without an end. An addition to what lives keeps its end. So a state that does not
// follow from the one before is right if that may have ended in between; what was in a record that
// has ended does not come back. From when a change of its end says that it is gone, the record that
// it was changed of is not seen, if no other change can have come after.
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
