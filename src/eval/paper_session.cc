#include "eval/paper_session.h"

#include "block/uring_device.h"
#include "eval/system_host.h"
#include "task/run_to_end.h"

namespace scalio::eval {

Result<std::unique_ptr<KvSession>> PaperSession::connect(const std::string& uri,
                                                         const SessionOptions& options) {
  Result<Start> start = begin(uri);
  if (!start.ok()) return start.status();
  std::unique_ptr<PaperSession> session(new PaperSession(*std::move(start)));
  if (Status s = session->open(options); !s.ok()) return s;
  return std::unique_ptr<KvSession>(std::move(session));
}

PaperSession::~PaperSession() {
  if (client_) run_to_end(loop(), client_->close());
  client_.reset();
  loop().turn(false);  // what connections have posted
}

Status PaperSession::open(const SessionOptions& options) {
  const Result<ServerStat> served = check_system(System::paper);
  if (!served.ok()) return served.status();
  const auto connector = [this](std::uint32_t ssd, Bytes hello) {
    return connect_shard(first_ssd_shard(System::paper) + ssd, std::move(hello));
  };
  const auto opener = [this, paths = served->ssd_paths](
                          std::uint32_t ssd) -> Task<Result<std::unique_ptr<block::BlockDevice>>> {
    if (ssd >= paths.size()) co_return Status(Code::corrupt, "the server names too few SSDs");
    auto opened = block::UringDevice::open(loop(), paths[ssd], block::Access::read_only);
    if (!opened.ok()) co_return opened.status();
    co_return std::unique_ptr<block::BlockDevice>(*std::move(opened));
  };
  auto made = run_to_end(
      loop(), paper::PaperClient::connect(
                  loop(), connector, opener,
                  {.batch_max = options.message_batch, .fill = true, .seed = options.seed}));
  if (!made.ok()) return at_server(made.status());
  client_ = *std::move(made);
  return Status();
}

}  // namespace scalio::eval
