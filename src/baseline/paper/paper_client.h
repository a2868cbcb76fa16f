// PaperClient: a client of the paper's Scalio. A GET reads the key's hash block with one READ of
// the server's memory; if the value is not there, bucket and value from the SSD by itself, and then
// puts it into the block. A write is a message.
//
// Nobody waits for a fill, nor for the note of a use: these run on beside what was asked.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "baseline/leed/io_buffer.h"
#include "baseline/leed/leed_message.h"
#include "baseline/paper/paper_block.h"
#include "baseline/paper/paper_store.h"
#include "baseline/system/kv_client.h"
#include "fabric/fabric.h"
#include "task/deferred.h"
#include "task/wait_group.h"

namespace scalio::paper {

struct PaperClientOptions {
  std::uint32_t batch_max = 8;  // writes of a message, 1 to leed::kMaxBatch
  bool fill = true;             // whether what is missed is put into the cache
  std::uint64_t seed = 1;       // another one for each client
};

struct PaperClientCounters {
  std::uint64_t unclear = 0;     // blocks that were read again, since a dirty slot was not whole
  std::uint64_t moved = 0;       // records that were read again
  std::uint64_t asked = 0;       // GETs that the server answered after all
  std::uint64_t fills = 0;       // into the cache
  std::uint64_t lost_fills = 0;  // given up, since the block had changed
};

// Belongs to its connections' thread. Its executor must turn once more after it has gone.
class PaperClient final : public baseline::KvClient {
 public:
  // Connects to the SSD of this number; opens it, as NVMe-oF's offload does.
  using Connector = std::function<Task<Result<std::unique_ptr<fabric::Connection>>>(
      std::uint32_t ssd, Bytes hello)>;
  using Opener =
      std::function<Task<Result<std::unique_ptr<block::BlockDevice>>>(std::uint32_t ssd)>;

  // To all SSDs of a server. Failures: those of connector and opener; unavailable (no such server);
  // invalid (options, an SSD that is too small).
  static Task<Result<std::unique_ptr<PaperClient>>> connect(Executor& executor, Connector connector,
                                                            Opener opener,
                                                            PaperClientOptions options = {});
  // After close().
  ~PaperClient() override;
  // Waits for what nobody waits for. With no operation in flight, and no more.
  Task<void> close();

  // Failures of all: invalid, too_large, io_error, corrupt; unavailable: the connection was lost,
  // and a write may or may not have happened.
  Task<Result<std::string>> get(std::string_view key) override;
  // And: full, busy, read_only.
  Task<Status> put(std::string_view key, std::string_view value) override;
  Task<Status> remove(std::string_view key) override;

  baseline::KvCounters counters() const override;
  const PaperClientCounters& paper_counters() const { return paper_counters_; }

 private:
  // An operation that waits for the server's reply.
  struct Request {
    leed::LeedOperation operation;
    std::coroutine_handle<> waiter = nullptr;
    Status status;
    std::string value;
  };
  // An SSD, and the requests that are ready to be sent to its server.
  struct SsdAccess {
    std::unique_ptr<fabric::Connection> connection;
    std::unique_ptr<block::BlockDevice> device;
    PaperHello hello;
    std::deque<Request*> ready;
    std::size_t calls = 0;
  };
  // What a fill puts where, if the block has not changed.
  struct Fill {
    SsdAccess& ssd;
    std::uint64_t at;  // of the block
    std::uint64_t version;
    std::uint32_t slot;
    std::uint64_t victim;  // its word
    std::uint64_t word;    // the new one
    Bytes body;
  };

  PaperClient(Executor& executor, std::vector<SsdAccess> ssds, PaperClientOptions options);
  SsdAccess& ssd_of(std::string_view key);
  Status check(const SsdAccess& ssd, std::string_view key, std::size_t value_size) const;
  static Status lost(const SsdAccess& ssd);
  void start_fill(SsdAccess& ssd, std::uint64_t hash, const BlockCopy& copy, std::string_view key,
                  std::string_view value);
  Task<void> fill(Fill fill);
  Detached note_use(SsdAccess& ssd, std::uint64_t at, std::uint64_t order);
  Task<Status> ask(SsdAccess& ssd, Request& request);
  void send_ready();
  void send_ready(SsdAccess& ssd);
  Task<void> send(SsdAccess& ssd, std::vector<Request*> batch, Bytes message);
  void finish(const std::vector<Request*>& batch, const Result<Bytes>& reply);
  void count_one_sided(std::size_t bytes) {
    ++counters_.one_sided;
    counters_.one_sided_bytes += bytes;
  }

  Executor& executor_;
  const PaperClientOptions options_;
  std::vector<SsdAccess> ssds_;
  leed::IoBufferPool pool_;
  Random random_;
  baseline::KvCounters counters_;
  PaperClientCounters paper_counters_;
  WaitGroup background_;
  Deferred flush_;
};

}  // namespace scalio::paper
