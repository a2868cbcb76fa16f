#include "eval/rival_session.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "task/run_to_end.h"
#include "task/wait_group.h"

namespace scalio::eval {
namespace {

void put(nlohmann::json& to, const char* name, const std::optional<std::uint64_t>& count) {
  if (count) to[name] = *count;
}

}  // namespace

Result<std::unique_ptr<KvSession>> RivalSession::connect(Rival& rival, std::string name) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  std::unique_ptr<RivalSession> session(new RivalSession(rival, std::move(name), *std::move(loop)));
  Result<std::unique_ptr<baseline::KvClient>> client = rival.connect(*session->loop_);
  if (!client.ok()) return client.status();
  session->client_ = *std::move(client);
  return std::unique_ptr<KvSession>(std::move(session));
}

RivalSession::~RivalSession() {
  client_.reset();
  loop_->turn(false);  // what the client has posted
}

void RivalSession::run(std::vector<Task<void>> tasks) {
  WaitGroup group(*loop_);
  for (std::size_t i = 0; i < tasks.size(); ++i) group.spawn(std::move(tasks[i]));
  const auto all = [](WaitGroup& of) -> Task<void> { co_await of.wait(); };
  run_to_end(*loop_, all(group));
}

// Under the names that ServerStat reads.
Result<std::string> RivalSession::stat() {
  const RivalUse use = rival_.use();
  nlohmann::json json = {{"system", name_}, {"process_cpu_us", use.cpu_us}};
  json["pid"] = static_cast<std::uint64_t>(use.pid);
  put(json, "ssd_reads", use.ssd_reads);
  put(json, "ssd_writes", use.ssd_writes);
  put(json, "ssd_bytes_read", use.ssd_bytes_read);
  put(json, "ssd_bytes_written", use.ssd_bytes_written);
  return json_text(json);
}

}  // namespace scalio::eval
