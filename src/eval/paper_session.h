// PaperSession: a client of the paper's Scalio, at a SystemHost on this machine, whose
// SSDs it reads as files: a NIC's offload would do it at no cost to the server either.
#pragma once

#include "baseline/paper/paper_client.h"
#include "eval/host_session.h"

namespace scalio::eval {

class PaperSession final : public HostSession {
 public:
  // Failures: those of PaperClient::connect; invalid: the server has another system.
  static Result<std::unique_ptr<KvSession>> connect(const std::string& uri,
                                                    const SessionOptions& options);
  ~PaperSession() override;

  baseline::KvClient& client() override { return *client_; }

 private:
  explicit PaperSession(Start start) : HostSession(std::move(start)) {}
  Status open(const SessionOptions& options);

  std::unique_ptr<paper::PaperClient> client_;
};

}  // namespace scalio::eval
