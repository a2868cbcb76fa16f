// RivalSession: a client of a rival as the runner sees it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "eval/kv_session.h"
#include "eval/rivals/rival.h"

namespace scalio::eval {

class RivalSession final : public KvSession {
 public:
  // The rival must outlive it. `name` is its row's. Failures: those of Rival::connect.
  static Result<std::unique_ptr<KvSession>> connect(Rival& rival, std::string name);
  ~RivalSession() override;

  baseline::KvClient& client() override { return *client_; }
  void run(std::vector<Task<void>> tasks) override;
  Result<std::string> stat() override;

 private:
  RivalSession(Rival& rival, std::string name, std::unique_ptr<EventLoop> loop)
      : rival_(rival), name_(std::move(name)), loop_(std::move(loop)) {}

  Rival& rival_;
  const std::string name_;
  const std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<baseline::KvClient> client_;
};

}  // namespace scalio::eval
