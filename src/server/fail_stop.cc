#include "server/fail_stop.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace scalio::server {

void FailStop::fail(const Status& why) {
  if (failed()) return;
  cause_ = why;
  answer_ = Status(Code::read_only,
                   fmt::format("shard {} takes no more writes since: {}; reads go on; check the "
                               "device, then restart the server",
                               shard_, why.to_string()));
  spdlog::critical("{}", answer_.message());
  wake_();
}

}  // namespace scalio::server
