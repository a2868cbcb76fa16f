#include "eval/kv_session.h"

#include "eval/leed_session.h"
#include "eval/paper_session.h"
#include "eval/scalio_session.h"

namespace scalio::eval {

Result<std::unique_ptr<KvSession>> connect(System system, const std::string& uri,
                                           const SessionOptions& options) {
  switch (system) {
    case System::scalio: return ScalioSession::connect(uri, options.scalio);
    case System::leed:
    case System::leed_ditto:
    case System::leed_ditto_adaptive: return LeedSession::connect(system, uri, options);
    case System::paper: return PaperSession::connect(uri, options);
  }
  return Status(Code::invalid, "no such system");
}

}  // namespace scalio::eval
