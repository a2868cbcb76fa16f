#include "fabric/shm/block_reads.h"

#include <span>
#include <utility>

#include "fabric/shm/shm_connection.h"

namespace scalio::fabric {

void BlockReads::add(EventLoop& loop, ShmConnection& connection, Op& op) {
  if (!std::exchange(at_turn_end_, true)) loop.at_turn_end(this);
  connection.memory().prefetch_header(op.offset, *op.blocks);
  reads_[count_++] = {&connection, &op};
  if (count_ == kTogether) read_all();
}

void BlockReads::read_all() {
  for (const Waiting& w : std::span(reads_).first(count_)) {
    if (w.op == nullptr) continue;
    w.connection->memory().prefetch_bodies(w.op->offset, *w.op->blocks, w.op->tag);
  }
  for (Waiting& w : std::span(reads_).first(count_)) {
    // A connection may be lost by one, which drops the rest.
    if (w.op != nullptr) w.connection->carry_out(*std::exchange(w.op, nullptr));
  }
  count_ = 0;
}

void BlockReads::drop(ShmConnection& connection, Executor& executor) {
  for (Waiting& w : std::span(reads_).first(count_)) {
    if (w.connection != &connection || w.op == nullptr) continue;
    std::exchange(w.op, nullptr)->complete(executor, Code::unavailable);
  }
}

void BlockReads::on_turn_end() {
  at_turn_end_ = false;
  read_all();
}

}  // namespace scalio::fabric
