#include "baseline/leed/leed_service.h"

namespace scalio::leed {

Result<Bytes> LeedService::welcome(ByteView request) const {
  if (!decode_leed_hello_request(request)) {
    return Status(Code::invalid, "this is a LEED server, which the client is none of");
  }
  return encode(LeedHello{ssds_, ssd_, tokens_left()});
}

}  // namespace scalio::leed
