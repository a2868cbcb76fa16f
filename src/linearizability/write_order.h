// Histories of stores that tell no versions: an order of their writes that explains what was seen,
// if there is one. With it as versions, check() says whether there was.
//
// Each value is written once, so a write and the gets that saw it belong together, and from the
// first return among them to the last call among them the key certainly had that value. If such
// times of two values overlap, no order explains both. If they do not, they fix the order, and what
// has no such time finds a place between them (Gibbons and Korach, Testing Shared Memories, 1997).
#pragma once

#include <scalio/status.h>

#include <span>
#include <vector>

#include "history/reader.h"

namespace scalio::linearizability {

// The history with versions, whatever it had before: check() finds no violation in it if, and only
// if, it finds none with some other versions. Failures: invalid, if there is anything but puts and
// gets.
Result<std::vector<history::Operation>> with_versions(std::span<const history::Operation> history);

}  // namespace scalio::linearizability
