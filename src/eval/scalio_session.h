// ScalioSession: a client of the product as the runner sees it.
#pragma once

#include "eval/kv_session.h"

namespace scalio::eval {

class ScalioKvClient final : public baseline::KvClient {
 public:
  // The client must outlive it.
  explicit ScalioKvClient(Client& client) : client_(client) {}

  Task<Result<std::string>> get(std::string_view key) override;
  Task<Status> put(std::string_view key, std::string_view value) override;
  Task<Status> remove(std::string_view key) override;
  // Of one-sided operations the bytes that were read, which the client counts.
  baseline::KvCounters counters() const override;

 private:
  Client& client_;
};

class ScalioSession final : public KvSession {
 public:
  // Failures: those of Client::connect.
  static Result<std::unique_ptr<KvSession>> connect(const std::string& uri,
                                                    const ClientOptions& options);

  baseline::KvClient& client() override { return kv_; }
  void run(std::vector<Task<void>> tasks) override;
  Result<std::string> stat() override { return client_->run(client_->stat()); }

 private:
  explicit ScalioSession(std::unique_ptr<Client> client)
      : client_(std::move(client)), kv_(*client_) {}
  const std::unique_ptr<Client> client_;
  ScalioKvClient kv_;
};

}  // namespace scalio::eval
