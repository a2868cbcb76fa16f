#include "fabric/shm/shm_connection.h"

#include "fabric/epoch.h"
#include "fabric/region.h"
#include "fabric/region_access.h"

namespace scalio::fabric {

namespace {
Status restarted() {
  return Status(Code::unavailable,
                "the server that this connection was to has stopped; connect again");
}
}  // namespace

ShmConnection::ShmConnection(EventLoop& loop, std::string name, Nanos call_timeout)
    : ClientConnection(loop, std::move(name), call_timeout), reads_(loop.local<BlockReads>()) {}

ShmConnection::~ShmConnection() {
  lose(Status(Code::unavailable, "the connection was closed here"));
}

void ShmConnection::begin(net::UniqueFd socket, std::uint32_t lane, ByteView hello,
                          Nanos deadline) {
  stream_ = FrameStream::create(loop_, std::move(socket), *this, StreamLimits{});
  stream_->expect_descriptors();
  ClientConnection::begin(stream_, lane, hello, deadline);
}

Status ShmConnection::on_welcome(const Welcome& welcome) {
  const Result<std::vector<net::UniqueFd>> fds = stream_->take_descriptors();
  if (!fds.ok()) return fds.status();
  if (fds->size() != 2) return Status(Code::unavailable, "the server sent no region");
  Result<Mapping> region = map_region((*fds)[0].get(), welcome.region_size, may_write());
  if (!region.ok()) return region.status();
  Result<Mapping> epoch_file = map_epoch((*fds)[1].get());
  if (!epoch_file.ok()) return epoch_file.status();
  region_ = std::move(*region);
  epoch_file_ = std::move(*epoch_file);
  epoch_ = welcome.epoch;
  memory_ = OneSided(region_.span());
  return same_epoch() ? Status() : restarted();
}

bool ShmConnection::same_epoch() const { return load_word_acquire(epoch_file_.data()) == epoch_; }

void ShmConnection::start(Op& op) {
  if (!up()) return op.complete(loop_, Code::unavailable);
  SCALIO_ASSERT(may_write() || op.reads());
  if (op.kind == Op::Kind::read_block && (loop_.busy() || reads_.waiting())) {
    return reads_.add(loop_, *this, op);
  }
  // In the order in which they were started.
  if (reads_.waiting()) reads_.read_all();
  carry_out(op);
}

void ShmConnection::carry_out(Op& op) {
  if (!up()) return op.complete(loop_, Code::unavailable);
  std::uint64_t result = 0;
  switch (op.kind) {
    case Op::Kind::read: memory_.read(op.offset, op.data, op.size); break;
    case Op::Kind::read_block:
      result = memory_.read_block(op.offset, *op.blocks, op.tag, op.data);
      break;
    case Op::Kind::write: memory_.write(op.offset, op.data, op.size); break;
    case Op::Kind::cas: result = memory_.cas(op.offset, op.expected, op.desired); break;
  }
  // Looked at after the region: a server changes its store only after the epoch. What was read
  // while the epoch was still the same was then the latest. (What is written to an orphaned region
  // hurts nobody.)
  if (!same_epoch()) {
    lose(restarted());
    return op.complete(loop_, Code::unavailable);
  }
  op.complete(loop_, Code::ok, result);
}

}  // namespace scalio::fabric
