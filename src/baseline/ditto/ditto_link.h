// DittoLink: a client's connection to a DittoMemory: its clock, what its operations are counted
// in, and those that nobody waits for.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "baseline/ditto/ditto_layout.h"
#include "fabric/fabric.h"
#include "task/wait_group.h"

namespace scalio::ditto {

// Since the client was made.
struct DittoCounters {
  std::uint64_t gets = 0, hits = 0, sets = 0, removes = 0;
  // One-sided operations and messages, and the bytes that READs and WRITEs moved.
  std::uint64_t reads = 0, read_bytes = 0;
  std::uint64_t writes = 0, write_bytes = 0;
  std::uint64_t swaps = 0;
  std::uint64_t messages = 0;
  // What was evicted because the memory was full, and because a bucket was.
  std::uint64_t evictions = 0, replaced_victims = 0;
  std::uint64_t lost_swaps = 0;    // of slots: somebody else was faster
  std::uint64_t history_hits = 0;  // misses on what the history tells of
};

class DittoLink {
 public:
  // The connection must outlive it.
  DittoLink(fabric::Connection& connection, const DittoHello& hello)
      : geometry(hello.geometry),
        executor(connection.executor()),
        connection_(connection),
        server_is_ahead_by_(hello.server_now - executor.now()),
        background_(executor) {}

  fabric::Op read(std::uint64_t offset, ByteSpan into) {
    count_read(into.size());
    return connection_.read(offset, into);
  }
  void read(std::optional<fabric::Op>& op, std::uint64_t offset, ByteSpan into) {
    count_read(into.size());
    op.emplace(connection_, fabric::Op::Kind::read, offset, into.data(), into.size());
  }
  // `from` is not written to.
  void write(std::optional<fabric::Op>& op, std::uint64_t offset, ByteSpan from) {
    count_write(from.size());
    op.emplace(connection_, fabric::Op::Kind::write, offset, from.data(), from.size());
  }
  fabric::Op cas(std::uint64_t offset, std::uint64_t expected, std::uint64_t desired) {
    ++counters.swaps;
    return connection_.cas(offset, expected, desired);
  }
  fabric::Call call(const DittoRequest& request) {
    ++counters.messages;
    return connection_.call(encode_request(request));
  }

  // A WRITE that nobody waits for, of at most a slot's metadata.
  Detached write_later(std::uint64_t offset, ByteView from) {
    std::array<std::byte, sizeof(SlotMetadata)> bytes;
    SCALIO_ASSERT(from.size() <= bytes.size());
    std::copy(from.begin(), from.end(), bytes.begin());
    background_.add();
    count_write(from.size());
    fabric::Op op = connection_.write(offset, ByteView(bytes).first(from.size()));
    co_await op;  // a hint: who has lost the connection notices it elsewhere
    background_.done();
  }
  // For a coroutine that nobody waits for: an add() at its begin, a done() at its end.
  WaitGroup& background() { return background_; }

  // By the server's clock, which all clients' metadata is in.
  std::uint64_t now() { return executor.now() + server_is_ahead_by_; }
  Status lost() const {
    const Status why = connection_.lost();
    return Status(Code::unavailable, "the connection to the Ditto cache was lost" +
                                         (why.ok() ? "" : ": " + why.message()));
  }

  const DittoGeometry geometry;
  Executor& executor;
  DittoCounters counters;

 private:
  void count_read(std::size_t bytes) {
    ++counters.reads;
    counters.read_bytes += bytes;
  }
  void count_write(std::size_t bytes) {
    ++counters.writes;
    counters.write_bytes += bytes;
  }

  fabric::Connection& connection_;
  const std::uint64_t server_is_ahead_by_;  // modulo 2^64
  WaitGroup background_;
};

}  // namespace scalio::ditto
