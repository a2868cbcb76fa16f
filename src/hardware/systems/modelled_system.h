// ModelledSystem: one of the compared systems, built on the model's hardware from the classes that
// it is made of on real hardware.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "baseline/system/kv_client.h"
#include "hardware/hardware.h"

namespace scalio::hardware {

// The records that the paper's figures have. With fewer all that grows with them is divided alike.
constexpr std::uint64_t kPaperRecords = 20'000'000;

// What all systems are built for.
struct SystemShape {
  std::uint64_t records = 0;
  std::uint64_t inserts = 0;  // at most so many more
  std::uint64_t key_size = 16;
  std::uint64_t value_size = 64;
  std::uint64_t cache_blocks = 0;
  std::uint32_t slots = 8;  // of a block of the cache
  std::uint32_t client_threads = 1;
  // What `scalio format` makes its log's size of; 0: a log as large as suits the records.
  std::uint64_t ssd_bytes = 0;
  std::uint32_t batch = 8;  // operations of a message, where a system has that
  std::uint64_t seed = 1;
  // Scalio, ours and the paper's: what figure 13 switches off.
  bool offload = true;
  bool cache = true;
  bool batching = true;
  // Ours: slices of each SSD.
  std::uint32_t slices = 1;
  // Ours: a client reads a hash block by two READs, its header and one slot.
  bool two_reads = false;
  // LEED and the paper's: cores for SSDs; 0: as many as the paper gives it, half.
  std::uint32_t ssd_cores = 0;
  // LEED: who waits for a bucket's lock is handed only what was read (leed_engine.h).
  bool original_locks = false;
};

// Of what the artifact computes SSD I/Os from.
struct OperationCounts {
  std::uint64_t gets = 0, hits = 0, puts = 0;
};

class ModelledSystem {
 public:
  virtual ~ModelledSystem() = default;

  struct ClientSeat {
    ModelThread& thread;
    baseline::KvClient& client;
  };
  const std::vector<ClientSeat>& clients() const { return clients_; }
  // SSD I/Os as the artifact computes them.
  virtual std::uint64_t formula_ios(const OperationCounts& counts) const = 0;
  // Ends everything, in an orderly way. No operation is in flight.
  virtual void stop() = 0;

 protected:
  std::vector<ClientSeat> clients_;
};

// How large an SSD must be for each system, so that its logs do not fill. LEED's are compacted in
// so little.
std::uint64_t scalio_ssd_bytes(const SystemShape& shape, std::uint32_t ssds);
std::uint64_t leed_ssd_bytes(const SystemShape& shape, std::uint32_t ssds);
std::uint64_t paper_ssd_bytes(const SystemShape& shape, std::uint32_t ssds);

// Full of records. Failures: what the system's own start fails with.
Result<std::unique_ptr<ModelledSystem>> make_scalio(Hardware& hardware, const SystemShape& shape);
enum class DittoCaching : std::uint8_t { none, lru, adaptive };
Result<std::unique_ptr<ModelledSystem>> make_leed(Hardware& hardware, const SystemShape& shape,
                                                  DittoCaching caching);
Result<std::unique_ptr<ModelledSystem>> make_paper(Hardware& hardware, const SystemShape& shape);

}  // namespace scalio::hardware
