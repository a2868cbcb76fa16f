// What `scalio doctor` looks at, and what it says of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace scalio::cli {

// How well a thing serves a store.
enum class Health : std::uint8_t {
  ok,
  warning,  // it works, and could be better
  problem,  // it does not
};

struct Diagnosis {
  std::string about;  // "io_uring", a path
  Health health = Health::ok;
  std::string what;    // there is
  std::string advice;  // what to do; empty if nothing
};

// Of the machine and of what this process may do. `root` stands for /, in tests.
std::vector<Diagnosis> check_machine(const std::filesystem::path& root = "/");

// Of SSDs: each path is a store's directory, a block device or a file. Nothing is written, and who
// serves them may go on.
std::vector<Diagnosis> check_ssds(const std::vector<std::string>& paths,
                                  const std::filesystem::path& root = "/");

}  // namespace scalio::cli
