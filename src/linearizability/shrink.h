// Leaves out of a history what a failure of it does not need.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "history/reader.h"

namespace scalio::linearizability {

// The numbers of the operations that are left, growing: `fails` says that the history of these
// alone fails, and of no part of them. A put is left out only with the gets of its value, so that
// nobody reads what nobody wrote.
//
// `fails` must hold for the whole, and for a history if it holds for a part of it, as "is not
// linearizable" does. It is asked about 2 n times at most, and mostly a few times n's logarithm.
std::vector<std::size_t> shrink(
    std::span<const history::Operation> history,
    const std::function<bool(std::span<const history::Operation>)>& fails);

}  // namespace scalio::linearizability
