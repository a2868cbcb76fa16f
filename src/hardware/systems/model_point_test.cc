// Systems on the model, in small: what must hold whatever the costs are.
#include "hardware/systems/model_point.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace scalio::hardware {
namespace {

PointOptions small(const std::string& system, const std::string& workload, std::uint32_t ssds) {
  spdlog::set_level(spdlog::level::warn);
  PointOptions o;
  o.system = system;
  o.workload = workload;
  o.ssds = ssds;
  o.records = 20'000;
  o.operations = 20'000;
  return o;
}
PointFigures run(const PointOptions& o) {
  Result<PointFigures> f = model_point(o);
  EXPECT_TRUE(f.ok()) << f.status().to_string();
  return f.ok() ? *std::move(f) : PointFigures();
}

TEST(ModelPoint, OfASeedIsTheSameEveryTime) {
  for (const char* system : {"scalio", "leed", "leed-ditto", "leed-ditto-adaptive", "paper"}) {
    PointOptions o = small(system, "a", 2);
    o.records = o.operations = 5000;
    const PointFigures a = run(o), b = run(o);
    EXPECT_EQ(a.seconds, b.seconds);
    EXPECT_EQ(a.avg_us, b.avg_us);
    EXPECT_EQ(a.events, b.events);
    EXPECT_EQ(a.server_cpu_us_per_op, b.server_cpu_us_per_op);
    o.seed = 2;
    EXPECT_NE(run(o).seconds, a.seconds);
  }
}

TEST(ModelPoint, OfEveryWorkloadKeepsEverythingBelowItsLimit) {
  for (const char* workload : {"a", "b", "c", "d", "f"}) {
    for (const char* system : {"scalio", "leed-ditto"}) {
      PointOptions o = small(system, workload, 3);
      o.records = o.operations = 5000;
      o.in_flight = 64;
      const PointFigures f = run(o);
      EXPECT_GT(f.throughput, 0) << system << workload;
      for (const BusyPart& part : f.busy) {
        // What began before is counted where it ends, and the run is short.
        EXPECT_LE(part.utilization, 1.1) << part.what;
      }
      // Little's law.
      EXPECT_NEAR(f.throughput * f.avg_us / 1e6, o.in_flight, 0.1 * o.in_flight);
    }
  }
}

double busy(const PointFigures& f, const std::string& what) {
  for (const BusyPart& part : f.busy) {
    if (part.what == what) return part.utilization;
  }
  return 0;
}

TEST(ModelPoint, OfSlicesUsesEverySsdAndACoreForEachSlice) {
  PointOptions o = small("scalio", "a", 2);
  o.records = o.operations = 5000;
  o.slices = 3;
  const PointFigures a = run(o), b = run(o);
  EXPECT_EQ(a.seconds, b.seconds);
  EXPECT_EQ(a.events, b.events);
  for (int i = 0; i < 2; ++i) EXPECT_GT(busy(a, fmt::format("ssd {}", i)), 0);
  for (int i = 0; i < 6; ++i) EXPECT_GT(busy(a, fmt::format("core {} (shards)", i)), 0);
  for (int i = 6; i < 8; ++i) EXPECT_EQ(busy(a, fmt::format("core {} (idle)", i)), 0);
  // Two a core.
  o.slices = 8;
  EXPECT_GT(busy(run(o), "core 7 (shards)"), 0);
  o.slices = 1;
  EXPECT_NE(run(o).seconds, a.seconds);
}

// Seven SSDs of one slice keep seven cores busy.
TEST(ModelPoint, OfWritesGrowsWithTheCoresIfThereAreSlicesForThem) {
  PointOptions o = small("scalio", "a", 7);
  o.records = 100'000;
  o.cores = 16;
  const double whole = run(o).throughput;
  o.slices = 4;
  EXPECT_GT(run(o).throughput, 1.1 * whole);
}

// LEED's SSD cores are what is full from 4 SSDs on.
TEST(ModelPoint, OfLeedGrowsNoMoreAfterFourSsds) {
  PointOptions o = small("leed", "c", 4);
  o.uniform = true;
  const double four = run(o).throughput;
  o.ssds = 8;
  const double growth = run(o).throughput / four;
  EXPECT_LT(growth, 1.1);
  EXPECT_GT(growth, 0.9);
}

TEST(ModelPoint, OfLeedIsOtherIfTheModelIsWrong) {
  PointOptions o = small("leed", "c", 4);
  o.uniform = true;
  const double right = run(o).throughput;
  o.mutant = "free-io";
  EXPECT_GT(run(o).throughput, right * 1.05);
  o.mutant = "core-does-two";
  EXPECT_GT(run(o).throughput, right * 1.15);
  // Where the SSDs are full, it must be seen if they have no limit.
  PointOptions c = small("scalio", "c", 1);
  c.machine = "paper-200g";
  const double full = run(c).throughput;
  c.mutant = "endless-ssd";
  EXPECT_GT(run(c).throughput, full * 1.1);
}

TEST(ModelPoint, OfReadsHasTheSystemsInTheirOrder) {
  const double leed = run(small("leed", "c", 4)).throughput;
  const PointFigures ditto = run(small("leed-ditto", "c", 4));
  const PointFigures scalio = run(small("scalio", "c", 4));
  const PointFigures paper = run(small("paper", "c", 4));
  EXPECT_GT(ditto.throughput, 1.5 * leed);
  EXPECT_GT(paper.throughput, 1.3 * ditto.throughput);
  EXPECT_EQ(paper.server_cpu_us_per_op, 0);
  EXPECT_GT(scalio.throughput, 1.3 * ditto.throughput);
  EXPECT_EQ(scalio.server_cpu_us_per_op, 0);
  EXPECT_GT(ditto.server_cpu_us_per_op, 0);
  ASSERT_TRUE(scalio.hit_ratio && ditto.hit_ratio);
  EXPECT_NEAR(*scalio.hit_ratio, *ditto.hit_ratio, 0.1);
}

TEST(ModelPoint, OfLeedCompactsOnlyWhereItsSsdIsSmall) {
  PointOptions o = small("leed", "a", 1);
  const PointFigures real = run(o);
  // A GET reads two blocks, a SET at most one.
  EXPECT_LE(real.bytes_read_per_op, 1.5 * 512 * 1.01);
  o.ssd_bytes = 24 << 20;
  const PointFigures compacted = run(o);
  EXPECT_GT(compacted.bytes_read_per_op, 1.2 * real.bytes_read_per_op);
  EXPECT_GT(compacted.bytes_written_per_op, 1.05 * real.bytes_written_per_op);
}

// What a measurement has found, as its process tells it: reports of others are not in our memory.
class FoundLines {
 public:
  explicit FoundLines(const PointOptions& point, const std::vector<MeasureOptions>& also)
      : file_(std::tmpfile()), status_(model_points(point, also, [&](const PointFigures& f) {
          fmt::print(file_, "{} {} {} {} {} {} {}\n", f.operations, f.seconds, f.avg_us, f.p99_us,
                     f.hit_ratio.value_or(-1), f.server_cpu_us_per_op, f.events);
          std::fflush(file_);
          return Status();
        })) {}
  ~FoundLines() { std::fclose(file_); }
  const Status& status() const { return status_; }
  std::vector<std::string> lines() {
    std::rewind(file_);
    std::vector<std::string> all;
    std::array<char, 512> line;
    while (std::fgets(line.data(), line.size(), file_) != nullptr) all.emplace_back(line.data());
    return all;
  }

 private:
  std::FILE* const file_;
  const Status status_;
};

TEST(ModelPoint, OfOneWarmSystemIsAsIfByItself) {
  for (const char* system : {"scalio", "leed", "leed-ditto", "paper"}) {
    PointOptions o = small(system, "a", 2);
    o.records = 5000;
    o.operations = 4000;
    o.cost_changes = {"turn=3"};
    const std::vector<MeasureOptions> also{
        {4000, 0, {}}, {2000, 900, {"instructions=2", "all=1.5"}}, {4000, 0, {"turn=3"}}};
    FoundLines together(o, also);
    ASSERT_TRUE(together.status().ok()) << together.status().to_string();
    const std::vector<std::string> lines = together.lines();
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(lines[0], FoundLines(o, {}).lines().at(0)) << system;
    EXPECT_EQ(lines[3], lines[0]);
    for (std::size_t i = 0; i < 2; ++i) {
      static_cast<MeasureOptions&>(o) = also[i];
      EXPECT_EQ(lines[i + 1], FoundLines(o, {}).lines().at(0)) << system;
      EXPECT_NE(lines[i + 1], lines[0]) << system;
    }
  }
}

TEST(ModelPoint, OfOneWarmSystemIsRefusedIfItWouldBeAnotherAlone) {
  const PointOptions o = small("scalio", "d", 2);
  FoundLines told(o, {{o.operations + 1, o.settle, {}}});
  EXPECT_EQ(told.status().code(), Code::invalid);
  EXPECT_EQ(FoundLines(small("scalio", "c", 2), {{1000, 0, {"x=1"}}}).status().code(),
            Code::invalid);
}

TEST(ModelPoint, FailsWhereOneOfItsProcessesDoes) {
  const PointOptions o = small("scalio", "c", 2);
  const pid_t here = ::getpid();
  const auto status_of = [&](const std::function<Status()>& there) {
    return model_points(o, {o}, [&](const PointFigures&) {
      EXPECT_NE(::getpid(), here);
      return there();
    });
  };
  const Status told = status_of([] { return Status(Code::io_error, "the disk is gone"); });
  EXPECT_EQ(told.code(), Code::io_error);
  EXPECT_EQ(told.message(), "the disk is gone");
  const Status killed = status_of([] {
    ::raise(SIGKILL);
    return Status();
  });
  EXPECT_EQ(killed.code(), Code::unavailable);
  EXPECT_EQ(killed.message(), "the process that measures ended: signal 9");
}

TEST(ModelPoint, OfFigure13SwitchesWhatItSays) {
  PointOptions o = small("scalio", "b", 4);
  const double all = run(o).throughput;
  o.cache = false;
  const PointFigures uncached = run(o);
  EXPECT_LT(uncached.throughput, all);
  EXPECT_LT(*uncached.hit_ratio, 0.3);
  o.offload = false;
  const PointFigures baseline = run(o);
  EXPECT_LT(baseline.throughput, uncached.throughput);
  EXPECT_GT(baseline.server_cpu_us_per_op, uncached.server_cpu_us_per_op);
}

// Times of a charge, of an operation.
double times_of(const PointFigures& f, const std::string& what) {
  for (const ChargedPart& part : f.server_charges) {
    if (part.what == what) return part.times;
  }
  return 0;
}

TEST(ModelPoint, OfThisMachineChargesSystemCallsByTheTurn) {
  for (const char* system : {"scalio", "leed", "leed-ditto", "paper"}) {
    PointOptions o = small(system, "a", 2);
    o.machine = "this";
    o.records = o.operations = 5000;
    o.in_flight = 64;
    o.batch = 32;
    const PointFigures many = run(o);
    double sum = 0;
    for (const ChargedPart& part : many.server_charges) sum += part.us;
    EXPECT_NEAR(sum, many.server_cpu_us_per_op, 0.01 * sum) << system;
    EXPECT_EQ(times_of(many, "hop-take"), 0) << system;
    EXPECT_EQ(times_of(many, "driver-submit"), 0) << system;
    EXPECT_GT(times_of(many, "kernel-submit"), 0.1) << system;
    o.in_flight = o.batch = 1;
    const PointFigures one = run(o);
    EXPECT_GT(times_of(one, "turn"), times_of(many, "turn")) << system;
    EXPECT_GT(one.server_cpu_us_per_op, many.server_cpu_us_per_op) << system;
  }
}

TEST(ModelPoint, OfThisMachineCostsTheServerNothingForReadsPastIt) {
  for (const char* system : {"scalio", "paper"}) {
    PointOptions o = small(system, "c", 2);
    o.machine = "this";
    o.records = o.operations = 5000;
    o.in_flight = 64;
    o.batch = 32;
    EXPECT_LT(run(o).server_cpu_us_per_op, 0.05) << system;
  }
}

TEST(ModelPoint, IsRefusedWithAReasonIfItMakesNoSense) {
  for (const auto& change : std::vector<std::function<void(PointOptions&)>>{
           [](PointOptions& o) { o.machine = "abacus"; },
           [](PointOptions& o) { o.system = "paper-and-pencil"; },
           [](PointOptions& o) { o.ssds = 0; }, [](PointOptions& o) { o.slices = 0; },
           [](PointOptions& o) { o.slices = 65; },
           [](PointOptions& o) {
             o.ssds = 9;
             o.slices = 64;
             o.cores = 1;
           },
           [](PointOptions& o) { o.skew = 1; }, [](PointOptions& o) { o.mutant = "x"; },
           [](PointOptions& o) { o.cost_changes = {"x=1"}; },
           [](PointOptions& o) { o.records = 1; }}) {
    PointOptions o = small("scalio", "c", 1);
    change(o);
    const Result<PointFigures> f = model_point(o);
    EXPECT_EQ(f.code(), Code::invalid);
    EXPECT_FALSE(f.status().message().empty());
  }
}

}  // namespace
}  // namespace scalio::hardware
