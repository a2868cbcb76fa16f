#include "eval/host_session.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "eval/stat_service.h"
#include "eval/system_host.h"
#include "fabric/connect.h"
#include "fabric/transports/transports.h"
#include "task/run_to_end.h"
#include "task/wait_group.h"

namespace scalio::eval {
namespace {

Task<void> run_all(EventLoop& loop, std::vector<Task<void>> tasks) {
  WaitGroup group(loop);
  for (Task<void>& task : tasks) group.spawn(std::move(task));
  co_await group.wait();
}

}  // namespace

Result<HostSession::Start> HostSession::begin(const std::string& uri) {
  Result<net::Uri> at = net::parse_uri(uri, fabric::Transports::schemes);
  if (!at.ok()) return at.status();
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  return Start{*std::move(loop), *std::move(at)};
}

void HostSession::run(std::vector<Task<void>> tasks) {
  run_to_end(*loop_, run_all(*loop_, std::move(tasks)));
}

Result<std::string> HostSession::stat() {
  const auto ask = [this]() -> Task<Result<std::string>> {
    const ByteView said = as_bytes(kStatHello);
    Bytes hello(said.begin(), said.end());
    Result<ConnectionPtr> connection = co_await connect_shard(kStatShard, std::move(hello));
    if (!connection.ok()) co_return connection.status();
    Result<Bytes> reply = Bytes();
    {
      fabric::Call call = (*connection)->call(as_bytes(kStatRequest));
      reply = co_await call;
    }
    if (!reply.ok()) co_return reply.status();
    co_return std::string(as_string(*reply));
  };
  Result<std::string> text = run_to_end(*loop_, ask());
  loop_->turn(false);  // what the connection has posted
  return text;
}

Result<ServerStat> HostSession::check_system(System system) {
  const Result<std::string> text = stat();
  if (!text.ok()) return at_server(text.status());
  ServerStat served = ServerStat::parse(*text);
  if (served.system == name_of(system) && served.ssds) return served;
  return Status(Code::invalid,
                fmt::format("{} serves {}, not {}", uri_.text(),
                            served.system.value_or("something else"), name_of(system)));
}

Task<Result<HostSession::ConnectionPtr>> HostSession::connect_shard(std::uint32_t shard,
                                                                    Bytes hello) {
  return fabric::connect(fabric::Transports::clients, *loop_, uri_, shard, std::move(hello), {});
}

Status HostSession::at_server(const Status& why) const {
  return Status(why.code(), fmt::format("{}: {}", uri_.text(), why.message()));
}

}  // namespace scalio::eval
