// SimLoad: simulated clients that use the store, and what each of their operations saw.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/shard_client.h"
#include "client/shard_scan.h"
#include "history/reader.h"
#include "sim/load_counts.h"
#include "sim/sim_server.h"

namespace scalio::sim {

struct LoadShape {
  std::uint32_t clients = 3;
  std::uint32_t tasks = 2;  // operations in flight of each client
  std::uint32_t keys = 2;
  std::uint64_t operations = 2000;
  Nanos operation_timeout = kSecond;
  Nanos resume_timeout = 500 * kMillisecond;
  BlockRead block_read = BlockRead::whole;
  std::uint32_t largest = 0;   // bytes of the largest value; 0: all are within the inline limit
  bool bulky = false;          // large values have half of these bytes or more
  bool many_scans = false;     // in place of GETs
  bool batches = false;        // clients ask for many operations in one call, too
  bool additions_end = false;  // keys that are only added to have ends
};

class SimLoad {
 public:
  SimLoad(World& world, SimServer& server, SimServer::Shards& shards, const LoadShape& shape);

  void start();
  // All operations have been asked, and have ended or died with their client.
  bool ended() const { return asked_ >= shape_.operations && running_ == 0; }
  std::uint64_t running() const { return running_; }
  // Whether a client that lives is in the middle of a scan.
  bool scanning() const { return scanning_ > 0; }
  // The clients' machine has died.
  void kill_all();

  // A GET of every key, one after the other, and a scan, by a new client.
  void start_reading_all();

  const std::vector<history::Operation>& history() const { return history_; }
  // The same where a change of an end is a put of a value of its own, and who read the record with
  // that version read that value: so the checker tells them apart.
  std::vector<history::Operation> history_of_puts() const;
  const ClientCounters& counters() const { return counters_; }
  const LoadCounts& counts() const { return counts_; }
  std::uint64_t rereads_that_missed() const { return rereads_that_missed_; }
  // Records that scans returned twice, or out of place, or of keys that there are not.
  std::uint64_t strange_records() const { return strange_records_; }
  // Large values that a record points to, and that are not there.
  std::uint64_t lost_values() const { return lost_values_; }
  // Records that reads returned that had ended before they began.
  std::uint64_t late_records() const { return late_records_; }

 private:
  struct SimClient {
    std::unique_ptr<SimProcess> process;
    std::unique_ptr<client::Lanes> lanes;
    struct Shard {
      std::unique_ptr<client::ShardLink> link;
      std::unique_ptr<client::ShardClient> client;
      std::unique_ptr<client::ShardScan> scan;
    };
    std::vector<Shard> shards;
    std::uint64_t running = 0;            // tasks
    std::uint64_t scanning = 0;           // of these
    std::vector<std::uint64_t> versions;  // by key, the last that it saw
  };
  SimClient& add_client();
  void start_tasks(SimClient& client);
  Task<void> task(SimClient& client);
  Task<void> do_one(SimClient& client);
  Task<void> do_many(SimClient& client);
  Task<void> read_all(SimClient& client);
  Task<void> get(SimClient& client, std::uint32_t key);
  Task<void> scan(SimClient& client);
  Task<void> scan(SimClient& client, std::uint32_t shard, std::uint64_t first, std::uint64_t end);
  void take(SimClient& client, std::uint32_t key, history::Operation operation, bool misled,
            std::uint64_t end = 0);
  void look_at_the_time();
  Task<void> write(SimClient& client, layout::RequestKind kind, std::uint32_t key,
                   bool may_be_large = true);
  Task<void> batch(SimClient& client, std::uint64_t size);
  Task<void> multi_get(SimClient& client, std::uint64_t size);
  Task<void> set_end(SimClient& client, std::uint32_t key);
  Task<void> end_additions(SimClient& client, std::uint32_t key, std::uint64_t version);
  Task<void> change_end(SimClient& client, std::uint32_t key, std::uint64_t expected,
                        std::uint64_t end, Nanos from_now);
  Task<void> get_later(SimClient& client, std::uint32_t key, Nanos wait);
  void end_change(std::uint32_t key, std::size_t at, const Result<client::WriteReply>& done,
                  std::uint64_t end);
  // What a write says of its record's end: a time; or that it is so long from now on, and then the
  // time before which it is not for sure.
  struct Until {
    std::uint64_t end = 0;  // 0: it lasts
    Nanos from_now = 0;
  };
  Until choose_until(std::uint32_t shard);
  std::size_t begin_write(SimClient& client, history::Operation operation, std::uint32_t shard,
                          std::uint64_t end, bool exact = false);
  void end_write(SimClient& client, std::uint32_t key, std::size_t at,
                 const Result<std::uint64_t>& version, std::uint64_t end);
  Task<Result<std::uint64_t>> send(SimClient& client, layout::RequestKind kind,
                                   const history::Operation& asked, Until until);
  Task<void> find_large(SimClient& client, const ScannedRecord& record,
                        history::Operation& operation);
  std::string new_value(const SimClient& client, bool may_be_large);
  std::uint32_t some_key();
  Task<void> add(SimClient& client);
  void consider_fate(SimClient& client);
  void kill(SimClient& client);
  std::uint32_t where(std::uint32_t lane, bool again);
  SimShard& shard_of(const std::string& key, std::uint64_t* point = nullptr);
  // Behind the keys of the load's shape come those that are only added to: lists and sums.
  std::string name_of(std::uint32_t key) const {
    if (key < shape_.keys) return fmt::format("key-{}", key);
    const std::uint32_t added = key - shape_.keys;
    return fmt::format("{}-{}", added % 2 == 0 ? "list" : "sum", added / 2);
  }
  void collect(SimClient& client);

  World& world_;
  SimServer& server_;
  SimServer::Shards& shards_;
  const LoadShape shape_;
  ClientOptions options_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::vector<history::Operation> history_;
  std::uint64_t asked_ = 0;
  std::uint64_t running_ = 0;   // tasks of clients that live
  std::uint64_t scanning_ = 0;  // of these
  std::uint64_t values_ = 0;
  std::uint32_t appends_ = 0, increments_ = 0;
  std::uint64_t rereads_that_missed_ = 0;
  std::uint64_t strange_records_ = 0;
  std::uint64_t lost_values_ = 0;
  std::uint64_t late_records_ = 0;
  // Writes for a time that had not passed when it was looked at last.
  struct Living {
    std::size_t write;  // of history_
    std::uint32_t shard;
    std::uint64_t end;
    bool exact;  // else the record may end later
  };
  std::vector<Living> living_;
  // By their places in history_: changes of ends, and the ends of records that were read.
  std::map<std::size_t, std::uint64_t> new_ends_, read_ends_;
  std::set<std::uint32_t> ended_additions_;  // keys of additions that were given an end
  ClientCounters counters_;
  LoadCounts counts_;
};

}  // namespace scalio::sim
