#include "sim/run.h"

#include "linearizability/linearizability.h"
#include "sim/sim_load.h"
#include "sim/sim_server.h"

namespace scalio::sim {

namespace {
// Steps between two looks at the regions and disks.
constexpr std::uint64_t kLookEvery = 64;
// Once nothing fails any more, everything that is under way ends within this time.
constexpr Nanos kBound = 60 * kSecond;
// A run that takes more steps than this goes round in circles.
constexpr std::uint64_t kMostSteps = 50'000'000;
constexpr std::uint64_t kBacklogPerMillion = 200'000;
constexpr std::uint64_t kFullPerMillion = 100'000;
constexpr std::uint64_t kLargePerMillion = 300'000;
constexpr std::uint64_t kBulkyPerMillion = 250'000;  // of these
constexpr std::uint64_t kFewMergesPerMillion = 250'000;
constexpr std::uint64_t kBatchesPerMillion = 300'000;
constexpr std::uint64_t kAdditionsEndPerMillion = 300'000;
constexpr std::uint64_t kNoMoveCountsPerMillion = 250'000;

// What a store and its load are like.
struct Shapes {
  StoreShape store;
  LoadShape load;
  bool full = false;  // not all that is asked for fits
};

// What was added later is drawn from streams of its own: so all else of a run is what it was
// without. The first two leave the runs of all seeds in docs/testing.md as they were.
enum class Stream : std::uint64_t { bulky = 337, merges = 392, releases = 411, move_counts = 1 };
Random stream_of(std::uint64_t seed, Stream stream) {
  return random_of(mix(mix(seed) + static_cast<std::uint64_t>(stream)));
}

StoreShape store_shape(Random& random) {
  StoreShape s;
  s.ssds = random.chance(300'000) ? 2 : 1;
  s.slices = random.chance(400'000) ? static_cast<std::uint32_t>(random.between(2, 3)) : 1;
  s.bucket_size = random.coin() ? 512 : 1024;
  s.buckets = random.between(1, 6);
  s.blocks = random.between(1, 3);
  s.read_slots = static_cast<std::uint32_t>(random.between(1, 3));
  s.write_slots = static_cast<std::uint32_t>(random.between(1, 2));
  s.batch_max = random.coin() ? 256 : static_cast<std::uint32_t>(random.between(1, 4));
  s.batch_linger = random.chance(300'000) ? random.below(50 * kMicrosecond) : 0;
  s.fill_timeout = random.between(500 * kMicrosecond, 20 * kMillisecond);
  s.shared_memory = random.coin();
  s.scrub_interval = random.between(kMillisecond, 20 * kMillisecond);
  // Who has the region mapped reads what it needs of it; over a network TCP does, and RDMA does
  // not.
  s.reads_parts = s.shared_memory || random.coin();
  return s;
}

// Servers that have much to recover: many small batches in a large log, keys whose writes wait to
// be merged, and so little memory that the log is gone through several times.
void make_backlog(Random& random, StoreShape& store, LoadShape& load) {
  store.log_factor = random.between(2, 8);
  store.blocks = random.between(4, 12);
  store.write_slots = static_cast<std::uint32_t>(random.between(2, 6));
  store.batch_max = static_cast<std::uint32_t>(random.between(1, 2));
  store.recovery_memory = random.coin() ? 0 : random.below(4096);
  load.keys = static_cast<std::uint32_t>(random.between(20, 80));
}

LoadShape load_shape(Random& random, std::uint64_t operations) {
  LoadShape s;
  s.clients = static_cast<std::uint32_t>(random.between(2, 5));
  s.tasks = static_cast<std::uint32_t>(random.between(1, 4));
  // Few keys are hot; many fill their buckets, so that records spill and move.
  s.keys = static_cast<std::uint32_t>(random.chance(400'000) ? random.between(8, 24)
                                                             : random.between(1, 6));
  s.operations = operations;
  s.block_read = random.chance(300'000) ? BlockRead::two : BlockRead::whole;
  return s;
}

// Stores that cannot hold all keys: behind the homes a few buckets have room, at once or so far
// away that it is another stretch (BucketRoom), which has more than writes may take at first.
void make_full(Random& random, StoreShape& store, LoadShape& load) {
  store.ssds = store.slices = 1;
  store.buckets = random.between(1, 3);
  store.first_spare = random.coin() ? 0 : server::BucketRoom::kStretch;
  store.spare = random.below(5);
  store.blocks = random.between(1, 8);
  store.write_slots = static_cast<std::uint32_t>(random.between(1, 4));
  load.keys = static_cast<std::uint32_t>(random.between(20, 80));
  load.operations /= 2;  // they read many buckets
}

// What goes wrong only between operations of one key is met sooner where there is no other.
void make_hot(Random& random, StoreShape& store, LoadShape& load) {
  store.ssds = store.slices = 1;
  store.blocks = 1;
  load.clients = 5;
  load.tasks = 2;
  load.keys = static_cast<std::uint32_t>(random.between(1, 2));
}

// What goes wrong only with records that move between buckets under a scan is met sooner where many
// do, and at once: a write waits for the merge of the one before.
void make_spilled(Random& random, StoreShape& store, LoadShape& load) {
  store.ssds = store.slices = 1;
  store.bucket_size = 512;
  store.buckets = random.between(2, 4);
  store.blocks = 1;
  store.write_slots = 1;
  load.keys = static_cast<std::uint32_t>(random.between(12, 24));
  load.many_scans = true;
}

// Values that are too large for buckets, of sizes that fill the segments for them several times
// over, while what is live of them, or on its way, leaves the cleaner room.
void make_large(Random& random, StoreShape& store, LoadShape& load) {
  // All of them of one shard in half of the runs, so that it is cleaned often.
  if (random.coin()) store.ssds = store.slices = 1;
  store.segments = random.between(6, 8);
  const std::uint64_t used = store.segments - 1 - server::Segments::kReserved,
                      values = load.keys + std::uint64_t{load.clients} * load.tasks,
                      share = used * layout::kMinSegment / 2 / values;
  load.largest = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(share, 600, 100'000));
}

// Large values that fill much of a segment each. A live one moves only where a whole segment is
// free, and what it leaves of that is too little for the next. Those of two keys fit, and what is
// on its way besides. In half of these runs there are more keys, and their values do not fit: the
// value log goes full, and has room again when some are deleted, end, or become small.
void make_bulky(Random& random, Shapes& shapes) {
  StoreShape& store = shapes.store;
  LoadShape& load = shapes.load;
  constexpr std::uint64_t kEighth = layout::kMinSegment / 8;
  const bool full = random.coin();
  shapes.full |= full;
  store.ssds = store.slices = 1;
  store.segments = 8;
  load.bulky = true;
  load.largest =
      static_cast<std::uint32_t>(random.between((full ? 5U : 3U) * kEighth, 7 * kEighth));
  load.keys = full ? static_cast<std::uint32_t>(random.between(8, 16)) : 2;
  load.clients = full ? static_cast<std::uint32_t>(random.between(1, 2)) : 1;
  load.tasks = 1;
  // Longer than the server waits for its cleaner.
  load.operation_timeout = 5 * kSecond;
}

// So few at once that merges wait for each other. As many as the server takes are enough for all
// homes of these stores.
std::uint64_t choose_merges(Random random) {
  return random.chance(kFewMergesPerMillion) ? random.between(2, 4) : server::Merger::kUsual;
}

// Servers of this release, of an older one, and of both by turns.
void choose_releases(Random random, StoreShape& store) {
  constexpr std::uint64_t kOlderPerMillion[] = {0, 500'000, 1'000'000};
  store.older_starts = kOlderPerMillion[random.below(std::size(kOlderPerMillion))];
  store.releases_seed = random.next();
}

// None, as of a server of an earlier version, whose scans read homes that have spilled once more.
std::uint32_t choose_move_counts(Random random) {
  if (random.chance(kNoMoveCountsPerMillion)) return 0;
  return static_cast<std::uint32_t>(random.between(1, 3));
}

// Drawn last, and not where a run is for one thing: so the other runs are what they were without.
void choose_more(Random& random, const SimulationOptions& options, LoadShape& load) {
  const bool any = !options.hot && !options.spilled && !options.large && !options.bulky;
  load.batches = options.batches || (any && random.chance(kBatchesPerMillion));
  load.additions_end = options.additions_end || (any && random.chance(kAdditionsEndPerMillion));
}

Shapes choose_shapes(Random& chosen, const SimulationOptions& options) {
  Shapes shapes;
  shapes.store = store_shape(chosen);
  shapes.load = load_shape(chosen, options.operations);
  StoreShape& store = shapes.store;
  LoadShape& load = shapes.load;
  if (chosen.chance(kBacklogPerMillion)) {
    make_backlog(chosen, store, load);
  } else if (chosen.chance(kFullPerMillion)) {
    make_full(chosen, store, load);
    shapes.full = true;
  }
  if (options.spilled) make_spilled(chosen, store, load);
  if (options.hot) make_hot(chosen, store, load);
  // Of large values buckets have pointers, which do not fill them.
  if (options.large || options.bulky || (!options.spilled && chosen.chance(kLargePerMillion))) {
    make_large(chosen, store, load);
    Random bulky = stream_of(options.seed, Stream::bulky);
    if (options.bulky || (!options.hot && bulky.chance(kBulkyPerMillion)))
      make_bulky(bulky, shapes);
  }
  choose_more(chosen, options, load);
  store.merges = choose_merges(stream_of(options.seed, Stream::merges));
  choose_releases(stream_of(options.seed, Stream::releases), store);
  if (options.move_counts)
    store.move_counts = choose_move_counts(stream_of(options.seed, Stream::move_counts));
  return shapes;
}

// Each of the faults that may be chosen, or not; none in some runs.
FaultSet choose_faults(Random& random, FaultSet from, bool choose) {
  if (!choose) return from;
  FaultSet chosen;
  if (random.chance(50'000)) return chosen;
  for (std::size_t i = 0; i < kFaults; ++i) chosen.set(i, random.coin());
  return chosen & from;
}

class Simulation {
 public:
  Simulation(const SimulationOptions& options, Random chosen)
      : world_(options.seed, choose_faults(chosen, options.faults, options.choose), options.trace),
        interruption_(options.interruption) {
    const Shapes shapes = choose_shapes(chosen, options);
    const StoreShape& store = shapes.store;
    const LoadShape& load = shapes.load;
    result_.full = shapes.full;
    result_.bulky = load.bulky;
    result_.merges = store.merges;
    result_.move_counts = store.move_counts;
    result_.block_read = load.block_read;
    result_.reads_parts = store.reads_parts;
    result_.slices = store.slices;
    result_.shards = std::size_t{store.ssds} * store.slices;
    for (std::uint32_t ssd = 0; ssd < store.ssds; ++ssd) {
      disks_.push_back(formatted_disk(world_, store, ssd));
      for (std::uint32_t slice = 0; slice < store.slices; ++slice) {
        shards_.push_back(
            std::make_unique<SimShard>(world_, store, ssd * store.slices + slice, *disks_.back()));
      }
    }
    one_machine_ = store.shared_memory;
    server_ = std::make_unique<SimServer>(world_, store, shards_, [this] { cut_power(); });
    load_ = std::make_unique<SimLoad>(world_, *server_, shards_, load);
  }

  SimulationResult run() {
    go();
    SimulationResult& result = result_;
    result.violations = std::move(violations_);
    for (const history::Operation& o : load_->history()) {
      if (o.returned == history::kNever) continue;
      ++result.operations;
      result.unknown += o.outcome == history::Operation::Outcome::unknown;
      result.errors += o.outcome == history::Operation::Outcome::error;
    }
    result.hits = load_->counters().hits;
    result.misses = load_->counters().misses;
    result.steals = load_->counters().steals;
    result.large_gets = load_->counters().large_gets;
    result.large_writes = load_->counters().large_writes;
    result.load = load_->counts();
    result.steps = world_.steps();
    result.restarts = server_->starts() - 1;
    result.older_starts = server_->older_starts();
    result.struck = world_.struck();
    result.digest = world_.digest();
    return result;
  }

 private:
  void go() {
    server_->start();
    result_.lanes = server_->lanes();
    load_->start();
    const auto loaded = [&] {
      if (load_->scanning()) interrupt_scan();
      return load_->ended();
    };
    if (!until("the load", loaded, ~Nanos{0})) return;
    result_.moved = server_->moved();
    world_.heal();
    // Shards that take no more writes after a device error do again after a restart.
    server_->kill(false);
    const auto serving = [&] { return server_->serving(); };
    if (!until("the restart", serving, kBound)) return;
    load_->start_reading_all();
    if (!until(
            "reading all keys", [&] { return load_->ended(); }, kBound))
      return;
    if (load_->rereads_that_missed() > 0) {
      violations_.push_back(
          fmt::format("{} GETs missed that should have hit: slots of the cache are lost",
                      load_->rereads_that_missed()));
      return;
    }
    // And all of it is on the disks after a clean stop.
    server_->stop();
    if (!until(
            "the stop", [&] { return server_->stopped(); }, kBound))
      return;
    for (auto& disk : disks_) disk->cut_power();
    for (auto& shard : shards_) {
      if (std::string found = shard->find_wrong_totals(); !found.empty()) {
        violations_.push_back(std::move(found));
        return;
      }
    }
    server_->start();
    if (!until("the last start", serving, kBound)) return;
    load_->start_reading_all();
    if (!until(
            "reading all keys again", [&] { return load_->ended(); }, kBound))
      return;
    check_history();
  }

  // Goes on until `done`: true; or to a violation, or the bound, which is one.
  template <class F>
  bool until(const char* what, F done, Nanos bound) {
    const Nanos begin = world_.now();
    while (violations_.empty() && !done()) {
      if (world_.now() - begin > bound || world_.steps() > kMostSteps || !world_.step()) {
        violations_.push_back(
            fmt::format("{} did not end ({} tasks are left)", what, load_->running()));
        break;
      }
      if (world_.steps() % kLookEvery == 0) look();
    }
    return violations_.empty();
  }

  // Of the server's machine, which that of the clients may be.
  void cut_power() {
    server_->kill(true);
    if (one_machine_) load_->kill_all();
  }

  void interrupt_scan() {
    const std::uint64_t step = result_.scan_steps++;
    if (!interruption_ || interruption_->at != step) return;
    result_.interrupted = true;
    if (interruption_->power_cut) {
      cut_power();
    } else {
      server_->kill(false);
    }
  }

  void look() {
    for (auto& shard : shards_) {
      if (std::string found = shard->find_violation(); !found.empty()) {
        violations_.push_back(std::move(found));
        return;
      }
    }
    if (server_->roomless() > 0)
      violations_.emplace_back("a merge found no room for a write that was acknowledged");
  }

  void check_history() {
    look();
    if (load_->lost_values() > 0) {
      violations_.push_back(fmt::format("{} GETs found records whose large values are not there",
                                        load_->lost_values()));
    }
    if (load_->strange_records() > 0) {
      violations_.push_back(fmt::format("scans returned {} records that they should not have",
                                        load_->strange_records()));
    }
    if (load_->late_records() > 0) {
      violations_.push_back(
          fmt::format("{} records were read after their ends", load_->late_records()));
    }
    Result<std::vector<linearizability::Violation>> found =
        linearizability::check(load_->history_of_puts());
    if (!found.ok()) {
      violations_.push_back(found.status().to_string());
      return;
    }
    for (const linearizability::Violation& v : *found)
      violations_.push_back(linearizability::to_string(v));
  }

  World world_;
  const std::optional<ScanInterruption> interruption_;
  bool one_machine_ = false;  // clients run on the server's
  std::vector<std::unique_ptr<Disk>> disks_;
  std::vector<std::unique_ptr<SimShard>> shards_;
  std::unique_ptr<SimServer> server_;
  std::unique_ptr<SimLoad> load_;
  std::vector<std::string> violations_;
  SimulationResult result_;
};
}  // namespace

SimulationResult run(const SimulationOptions& options) {
  // What the store and the load are like does not depend on which faults were allowed.
  auto* simulation = new Simulation(options, random_of(mix(options.seed)));
  // Not freed: killed processes stay as they were (world.h). Kept, so that they are not taken for
  // leaks.
  static std::vector<Simulation*> kept;
  kept.push_back(simulation);
  return simulation->run();
}

}  // namespace scalio::sim
