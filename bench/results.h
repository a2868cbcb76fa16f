// The results as people and programs read them.
#pragma once

#include <string>

#include "figure.h"

namespace scalio::bench {

std::string to_table(const Rows& rows);
std::string to_markdown(const Rows& rows);
std::string to_json(const Rows& rows);

}  // namespace scalio::bench
