// The paper's Scalio under load, through the checker of histories: clients that fill the cache from
// an SSD that is slow, small blocks that are refilled all the time, and READs of two moments.
#include <array>

#include "linearizability/linearizability.h"
#include "testing/paper_fixture.h"
#include "testing/sanitizer.h"

namespace scalio::paper {
namespace {

using history::Operation;

class PaperLoad {
 public:
  PaperLoad(std::uint64_t seed, const PaperOptions& options)
      : random_(seed), f_(options, {.blocks = 1, .slots = 3}) {
    // Everything takes about as long as everything else, so that all orders happen.
    f_.delay = random_.between(1, 60) * kMicrosecond;
    f_.read_time = random_.between(1, 100) * kMicrosecond;
    f_.device->delay(block::Io::Kind::read, random_.between(1, 100) * kMicrosecond);
    f_.device->delay(block::Io::Kind::write, random_.between(1, 100) * kMicrosecond);
    for (std::size_t i = 0; i < kClients; ++i) f_.connect();
  }
  // All that violates.
  std::vector<linearizability::Violation> run() {
    for (std::size_t i = 0; i < kClients; ++i) {
      for (int n = 0; n < 2; ++n) f_.time.spawn(use(i, Random(random_.next())));
    }
    f_.time.run();
    EXPECT_EQ(f_.time.spawned(), 0u);
    auto found = linearizability::check(history_);
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    return found.ok() ? *found : std::vector<linearizability::Violation>();
  }
  PaperClientCounters counters() const {
    PaperClientCounters sum;
    for (const auto& client : f_.clients) {
      sum.unclear += client->paper_counters().unclear;
      sum.fills += client->paper_counters().fills;
      sum.lost_fills += client->paper_counters().lost_fills;
    }
    return sum;
  }

 private:
  static constexpr std::size_t kClients = 6;
  static constexpr std::uint64_t kKeys = 5;

  // A key has one writer at a time, so that the order of its values is beyond doubt.
  Task<void> use(std::size_t client, Random random) {
    for (int i = 0; i < 100; ++i) {
      co_await f_.time.sleep(random.below(100 * kMicrosecond));
      const std::string key = "key" + std::to_string(random.below(kKeys));
      const std::uint64_t what = random.below(20);
      if (what < 2 && !written_[key]) {
        written_[key] = true;
        co_await write(client, key, what == 0 && random.coin());
        written_[key] = false;
      } else {
        co_await get(client, key);
      }
    }
  }
  Task<void> write(std::size_t client, const std::string& key, bool removes) {
    const std::size_t i =
        begin(client, removes ? Operation::Kind::remove : Operation::Kind::put, key);
    const std::string value = key + "=" + std::to_string(++version_);
    history_[i].version = version_;
    Status s;
    if (removes) {
      s = co_await f_.clients[client]->remove(key);
    } else {
      history_[i].value = value;
      s = co_await f_.clients[client]->put(key, value);
    }
    EXPECT_TRUE(s.ok()) << s.to_string();
    end(i, s.code());
  }
  Task<void> get(std::size_t client, const std::string& key) {
    const std::size_t i = begin(client, Operation::Kind::get, key);
    const Result<std::string> value = co_await f_.clients[client]->get(key);
    EXPECT_TRUE(value.ok() || value.code() == Code::not_found) << value.status().to_string();
    if (value.ok()) {
      history_[i].value = *value;
      history_[i].version = std::stoull(value->substr(value->find('=') + 1));
    }
    end(i, value.code());
  }
  std::size_t begin(std::size_t client, Operation::Kind kind, const std::string& key) {
    Operation o;
    o.client = "c" + std::to_string(client);
    o.kind = kind;
    o.key = key;
    o.called = static_cast<history::Time>(f_.time.now());
    history_.push_back(std::move(o));
    return history_.size() - 1;
  }
  void end(std::size_t i, Code code) {
    history_[i].outcome =
        code == Code::not_found ? Operation::Outcome::not_found : Operation::Outcome::ok;
    history_[i].returned = static_cast<history::Time>(f_.time.now());
  }

  Random random_;
  PaperFixture f_;
  std::vector<Operation> history_;
  std::map<std::string, bool> written_;
  std::uint64_t version_ = 0;
};

TEST(PaperLinearizability, NoHistoryViolatesIt) {
  constexpr std::uint64_t kSeeds = kSanitized ? 40 : 200;
  PaperClientCounters all;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    PaperOptions options = seed % 2 == 0 ? PaperOptions() : PaperOptions::unbatched();
    if (seed % 4 == 0) options.window = 2;
    PaperLoad load(seed, options);
    for (const linearizability::Violation& v : load.run()) {
      ADD_FAILURE() << "seed " << seed << ": " << linearizability::to_string(v);
    }
    const PaperClientCounters c = load.counters();
    all.unclear += c.unclear;
    all.fills += c.fills;
    all.lost_fills += c.lost_fills;
  }
  // It is not for want of races.
  EXPECT_GT(all.unclear, kSeeds);
  EXPECT_GT(all.fills, kSeeds);
  EXPECT_GT(all.lost_fills, kSeeds);
}

}  // namespace
}  // namespace scalio::paper
