// What clients of the Redis gateway send: requests of RESP, in one piece or cut in two.
#include "resp/request_parser.h"
#include "target.h"

namespace scalio::fuzz {

using resp::RequestLimits;
using resp::RequestParser;

namespace {

struct Outcome {
  std::vector<std::vector<std::string>> requests;
  std::size_t taken = 0;
  bool malformed = false;
  bool operator==(const Outcome&) const = default;
};

constexpr RequestLimits kLimits{.bulk = 4096, .arguments = 64, .request = 16384, .line = 512};

// Goes on behind the requests that are there already.
void take_all(RequestParser& parser, std::string_view received, Outcome& out) {
  while (!out.malformed) {
    const Result<bool> whole = parser.parse(received.substr(out.taken));
    out.malformed = !whole.ok();
    if (out.malformed || !*whole) return;
    require(parser.size() > 0 && parser.size() <= received.size() - out.taken);
    require(parser.size() <= kLimits.request && parser.count() <= kLimits.request);
    std::vector<std::string>& request = out.requests.emplace_back();
    for (std::size_t i = 0; i < parser.count(); ++i) {
      require(parser.argument(i).size() <= kLimits.bulk);
      request.emplace_back(parser.argument(i));
    }
    out.taken += parser.size();
    parser.next();
  }
}

}  // namespace

void run(ByteView input) {
  const std::string_view bytes = as_string(input);
  RequestParser at_once(kLimits), in_pieces(kLimits);
  Outcome whole, pieces;
  take_all(at_once, bytes, whole);
  // The same requests, wherever it was cut.
  const std::size_t cut = bytes.size() / 2;
  take_all(in_pieces, bytes.substr(0, cut), pieces);
  take_all(in_pieces, bytes, pieces);
  require(whole == pieces);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  for (const std::string_view text : {
           "*3\r\n$3\r\nSET\r\n$5\r\nhello\r\n$5\r\nworld\r\n*2\r\n$3\r\nGET\r\n$5\r\nhello\r\n",
           "SET key \"a \\x41\\n\" 'b\\'c'\r\nPING\r\n\r\n*0\r\n*-1\r\n",
           "*1\r\n$0\r\n\r\n*2\r\n$4\r\nECHO\r\n$11\r\n0123456789a\r\n",
           "*2\r\n*1\r\n$4\r\nPING\r\n",
           "*1\r\n$536870912\r\n",
       }) {
    const ByteView b = as_bytes(text);
    out.emplace_back(b.begin(), b.end());
  }
  return out;
}

}  // namespace scalio::fuzz
