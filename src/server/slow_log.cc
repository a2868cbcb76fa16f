#include "server/slow_log.h"

#include <nlohmann/json.hpp>

#include "base/wall_time.h"

namespace scalio::server {

namespace {
const char* name_of(layout::RequestKind kind) {
  switch (kind) {
    case layout::RequestKind::put: return "put";
    case layout::RequestKind::put_if: return "put_if";
    case layout::RequestKind::remove: return "delete";
    case layout::RequestKind::remove_if: return "delete_if";
    case layout::RequestKind::value_begin:
    case layout::RequestKind::value_commit:
    case layout::RequestKind::value_put: return "put_large";
    case layout::RequestKind::value_commit_if:
    case layout::RequestKind::value_put_if: return "put_large_if";
    case layout::RequestKind::set_end: return "set_end";
    case layout::RequestKind::append: return "append";
    case layout::RequestKind::increment: return "increment";
    default: return "other";
  }
}
}  // namespace

void SlowLog::keep(const layout::Request& request, Code code, Nanos took) {
  SlowWrite write{wall_time() / kMillisecond,
                  request.kind,
                  code,
                  request.key.size(),
                  std::string(request.key.substr(0, kKeyKept)),
                  request.value.size(),
                  took};
  if (kept_.size() < kKept) {
    kept_.push_back(std::move(write));
  } else {
    kept_[seen_ % kKept] = std::move(write);
  }
  ++seen_;
}

nlohmann::json SlowLog::to_json() const {
  nlohmann::json operations = nlohmann::json::array();
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const SlowWrite& w = kept_[(seen_ - kept_.size() + i) % kKept];
    operations.push_back({{"ended_unix_ms", w.ended_unix_ms},
                          {"operation", name_of(w.kind)},
                          {"outcome", to_string(w.code)},
                          {"key", w.key},
                          {"key_bytes", w.key_bytes},
                          {"value_bytes", w.value_bytes},
                          {"us", w.took / kMicrosecond}});
  }
  return {{"threshold_us", threshold_ / kMicrosecond},
          {"seen", seen_},
          {"operations", std::move(operations)}};
}

}  // namespace scalio::server
