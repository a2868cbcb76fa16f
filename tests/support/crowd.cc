#include "support/crowd.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>

#include "linearizability/linearizability.h"

namespace scalio::testing {

Process Crowd::launch(const std::string& uri) {
  const std::string name = "c" + std::to_string(histories_.size() + 1);
  histories_.push_back((scratch_ / (name + ".history")).string());
  Process process({SCALIO_STRESS_CLIENT, uri, histories_.back(), name,
                   std::to_string(histories_.size()), std::to_string(options_.seconds),
                   std::to_string(options_.depth), std::to_string(options_.keys),
                   std::to_string(options_.rate), std::to_string(options_.largest)},
                  scratch_ / name);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!std::filesystem::exists(histories_.back())) {
    if (process.wait(std::chrono::milliseconds(1)) || std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "a client did not start: " << process.err();
      break;
    }
  }
  return process;
}

void Crowd::start(const std::string& uri) { clients_.push_back(Member{launch(uri), uri}); }

void Crowd::replace(std::size_t i) {
  const std::string uri = clients_[i].uri;
  clients_[i].process.kill();
  clients_[i].process = launch(uri);
}

void Crowd::join() {
  constexpr std::chrono::seconds kBound{90};
  for (Member& member : clients_) {
    const std::optional<ProcessEnd> exit =
        member.process.wait(std::chrono::seconds(options_.seconds) + kBound);
    ASSERT_TRUE(exit) << "a client hangs, pid " << member.process.pid();
    EXPECT_FALSE(exit->signaled) << "a client was ended by signal " << exit->code << "\n"
                                 << member.process.err();
    EXPECT_EQ(exit->code, 0) << member.process.err();
  }
}

void Crowd::stop() {
  for (Member& member : clients_) member.process.signal(SIGTERM);
  join();
}

void Crowd::check(std::size_t least) {
  auto history = history::read_history(histories_);
  ASSERT_TRUE(history.ok()) << history.status().to_string();
  std::map<history::Operation::Outcome, std::size_t> outcomes;
  for (const history::Operation& op : *history) ++outcomes[op.outcome];
  using Outcome = history::Operation::Outcome;
  std::printf("%zu operations: %zu ok, %zu not found, %zu conflicts, %zu unknown, %zu errors\n",
              history->size(), outcomes[Outcome::ok], outcomes[Outcome::not_found],
              outcomes[Outcome::conflict], outcomes[Outcome::unknown], outcomes[Outcome::error]);
  EXPECT_GE(outcomes[Outcome::ok], least);
  auto violations = linearizability::check(*history);
  ASSERT_TRUE(violations.ok()) << violations.status().to_string();
  for (const linearizability::Violation& violation : *violations)
    ADD_FAILURE() << to_string(violation);
}

void Crowd::check_undisturbed(std::size_t i) {
  auto history = history::read_history({&histories_.at(i), 1});
  ASSERT_TRUE(history.ok()) << history.status().to_string();
  EXPECT_FALSE(history->empty());
  for (const history::Operation& op : *history) {
    ASSERT_TRUE(op.outcome != history::Operation::Outcome::error &&
                op.outcome != history::Operation::Outcome::unknown)
        << to_string(op, 0);
  }
}

}  // namespace scalio::testing
