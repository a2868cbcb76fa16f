// Properties: the files in which YCSB describes its workloads (Java .properties).
#pragma once

#include <scalio/status.h>

#include <map>
#include <string>
#include <string_view>

namespace scalio::ycsb {

// Name to value. Of a name given twice the later counts.
using Properties = std::map<std::string, std::string, std::less<>>;

// Lines are "name=value", "name: value" or "name value"; '#' and '!' start a comment line; a
// backslash at the end of a line joins the next one to it. Failures: invalid, naming the line.
Result<Properties> parse_properties(std::string_view text);

// Text from a file as a message can quote it: not too long, and '?' for what is not printable
// ASCII.
std::string quotable(std::string_view text);

}  // namespace scalio::ycsb
