#include "baseline/paper/paper_service.h"

#include <algorithm>

namespace scalio::paper {

Result<Bytes> PaperService::welcome(ByteView request) const {
  if (!decode_paper_hello_request(request)) {
    return Status(Code::invalid, "this is a server of the paper's Scalio; the client is another's");
  }
  return encode(PaperHello{ssds_, ssd_, engine().geometry(), engine().shape()});
}

// Only writes are batched, so that a reply always has room.
bool PaperService::acceptable(const Operations& operations) const {
  const auto is_get = [](const leed::LeedOperation& o) {
    return o.kind == leed::OperationKind::get;
  };
  return operations.size() == 1 || std::ranges::none_of(operations, is_get);
}

}  // namespace scalio::paper
