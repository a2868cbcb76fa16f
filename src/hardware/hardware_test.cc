// The parts of the model, each against what it must never do.
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "base/random.h"
#include "block/buffer.h"
#include "hardware/model_device.h"
#include "hardware/model_fabric.h"
#include "task/wait_group.h"

namespace scalio::hardware {
namespace {

TEST(EventQueue, HasEventsInTheOrderOfTimeAndOfAsking) {
  struct Recorder final : EventTarget {
    explicit Recorder(EventQueue& q) : queue(q) {}
    void happen(std::uint64_t what) override { seen.emplace_back(queue.now(), what); }
    EventQueue& queue;
    std::vector<std::pair<Nanos, std::uint64_t>> seen;
  };
  EventQueue queue;
  Recorder recorder(queue);
  Random random(1);
  std::multimap<Nanos, std::uint64_t> expected;  // equal keys stay in order
  const Nanos start = queue.now();
  for (std::uint64_t i = 0; i < 5000; ++i) {
    const Nanos when = start + random.below(500);
    queue.at(when, recorder, i);
    expected.emplace(when, i);
  }
  while (queue.step()) {
  }
  ASSERT_EQ(recorder.seen.size(), expected.size());
  std::size_t at = 0;
  for (const auto& [when, what] : expected) {
    EXPECT_EQ(recorder.seen[at], std::pair(when, what));
    ++at;
  }
}

TEST(SparseBytes, HoldsWhatAPlainArrayHolds) {
  constexpr std::uint64_t kSize = 64 * SparseBytes::kBlock;
  SparseBytes sparse(kSize);
  Bytes plain(kSize), block(4 * SparseBytes::kBlock), read(kSize);
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t blocks = random.between(1, 4);
    const std::uint64_t at = random.below(64 - blocks + 1) * SparseBytes::kBlock;
    const ByteSpan bytes = ByteSpan(block).first(blocks * SparseBytes::kBlock);
    std::ranges::fill(bytes, std::byte{0});
    const std::uint64_t used = random.below(bytes.size() + 1);
    for (std::uint64_t b = 0; b < used; ++b) bytes[b] = static_cast<std::byte>(random.next());
    sparse.write(at, bytes);
    std::copy(bytes.begin(), bytes.end(), plain.begin() + static_cast<std::ptrdiff_t>(at));
  }
  sparse.read(0, read);
  EXPECT_EQ(read, plain);
}

TEST(SparseBytes, OfARealSizeKeepOnlyWhatWasWritten) {
  constexpr std::uint64_t kSize = 512'000'000'000, kFar = kSize - SparseBytes::kBlock;
  SparseBytes sparse(kSize);
  Bytes block(SparseBytes::kBlock), read(SparseBytes::kBlock, std::byte{1});
  block[7] = std::byte{9};
  sparse.write(kFar, block);
  sparse.read(kFar, read);
  EXPECT_EQ(read, block);
  sparse.read(kSize / 2 / SparseBytes::kBlock * SparseBytes::kBlock, read);
  EXPECT_EQ(read, Bytes(SparseBytes::kBlock));
  EXPECT_LE(sparse.held(), 1u << 20);
}

// One server, one SSD, time that counts.
struct Rig {
  explicit Rig(Mutant mutant = Mutant::none, std::uint32_t cores = 2) {
    HardwareOptions o;
    o.machine = *find_machine("paper");
    o.cores = cores;
    o.ssd_bytes = 64 << 20;
    o.scale = 1;
    o.mutant = mutant;
    hardware = Hardware::make(o);
    hardware->set_charging(true);
  }
  Nanos now() const { return hardware->queue().now(); }
  std::unique_ptr<Hardware> hardware;
};

// A step that works for a while.
struct WorkPiece final : Arrival {
  void arrive(ModelThread& thread) override {
    began = thread.now();
    thread.core().spend(1'000'000);  // a microsecond
    ended = thread.now();
  }
  Nanos began = 0, ended = 0;
};

// How long some threads of one core take for so many pieces of a microsecond each.
Nanos time_of_pieces(Mutant mutant, std::uint64_t pieces) {
  Rig rig(mutant);
  ModelThread& a = rig.hardware->server_thread(0, Role::network, false);
  ModelThread& b = rig.hardware->server_thread(0, Role::network, false);
  std::vector<WorkPiece> all(pieces);
  const Nanos start = rig.now();
  for (std::size_t i = 0; i < all.size(); ++i) {
    (i % 2 == 0 ? a : b).add(all[i], StepKind::other);
  }
  rig.hardware->drain();
  Nanos end = 0;
  for (const WorkPiece& p : all) end = std::max(end, p.ended);
  return end - start;
}

TEST(Core, DoesOneThingAtATime) {
  EXPECT_GE(time_of_pieces(Mutant::none, 100), 100 * kMicrosecond);
  EXPECT_LT(time_of_pieces(Mutant::core_does_two, 100), 60 * kMicrosecond);
}

TEST(Core, WorksOnWhatComesInItsOrderAndNeverOnTwoAtOnce) {
  Rig rig;
  ModelThread& thread = rig.hardware->server_thread(0, Role::network, false);
  std::vector<WorkPiece> all(50);
  for (WorkPiece& p : all) thread.add(p, StepKind::other);
  rig.hardware->drain();
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_GE(all[i].began, all[i - 1].ended);
}

TEST(Core, ThatSleptIsWokenFirst) {
  Nanos began[2] = {};
  for (const bool sleeps : {false, true}) {
    Rig rig;
    ModelThread& thread = rig.hardware->server_thread(0, Role::network, sleeps);
    WorkPiece piece;
    const Nanos start = rig.now();
    thread.add(piece, StepKind::other);
    rig.hardware->drain();
    began[sleeps] = piece.began - start;
  }
  EXPECT_GT(began[1], began[0] + kMicrosecond);
}

// The machine whose threads sleep, make turns and share the cores.
struct TurnRig {
  TurnRig() {
    HardwareOptions o;
    o.machine = *find_machine("this");
    o.cores = 2;
    o.ssd_bytes = 64 << 20;
    hardware = Hardware::make(o);
    hardware->set_charging(true);
  }
  ModelThread& thread() { return hardware->server_thread(0, Role::network, true); }
  static std::uint64_t times(const ModelThread& thread, Cost cost) {
    return thread.charges().outside[static_cast<std::size_t>(cost)].times;
  }
  std::unique_ptr<Hardware> hardware;
};

TEST(Core, OfTurnsDoesAllThatIsThereInOne) {
  TurnRig rig;
  ModelThread& thread = rig.thread();
  std::vector<WorkPiece> first(10), second(10);
  for (WorkPiece& p : first) thread.add(p, StepKind::other);
  rig.hardware->drain();
  EXPECT_EQ(rig.times(thread, Cost::turn), 1u);
  EXPECT_EQ(rig.times(thread, Cost::wake), 1u);
  EXPECT_TRUE(thread.asleep());
  for (WorkPiece& p : second) thread.add(p, StepKind::other);
  rig.hardware->drain();
  EXPECT_EQ(rig.times(thread, Cost::turn), 2u);
  EXPECT_EQ(rig.times(thread, Cost::wake), 2u);
  for (std::size_t i = 1; i < first.size(); ++i) EXPECT_GE(first[i].began, first[i - 1].ended);
  EXPECT_GE(second[0].began, first.back().ended);
}

// Adds another to its own thread.
struct Successor final : Arrival {
  void arrive(ModelThread& thread) override { thread.add(next, StepKind::other); }
  WorkPiece next;
};

TEST(Core, OfTurnsDoesNotSleepBetweenTwoIfMoreHasCome) {
  TurnRig rig;
  ModelThread& thread = rig.thread();
  Successor first;
  thread.add(first, StepKind::other);
  rig.hardware->drain();
  EXPECT_GT(first.next.ended, 0u);
  EXPECT_EQ(rig.times(thread, Cost::turn), 2u);
  EXPECT_EQ(rig.times(thread, Cost::wake), 1u);
}

TEST(Core, OfTurnsHasAsManyThreadsAtWorkAsThereAreCores) {
  TurnRig rig;
  std::vector<WorkPiece> all(12);
  for (std::size_t i = 0; i < all.size() / 2; ++i) {
    ModelThread& thread = rig.thread();
    thread.add(all[2 * i], StepKind::other);
    thread.add(all[2 * i + 1], StepKind::other);
  }
  rig.hardware->drain();
  std::size_t most = 0;
  for (const WorkPiece& p : all) {
    most = std::max(most, static_cast<std::size_t>(std::ranges::count_if(all, [&](auto& other) {
                      return other.began <= p.began && p.began < other.ended;
                    })));
  }
  EXPECT_EQ(most, 2u);
}

Task<void> read_often(block::BlockDevice& device, std::uint64_t seed, int reads) {
  Random random(seed);
  block::Buffer buffer(4096);
  for (int i = 0; i < reads; ++i) {
    block::Io io = device.read(random.below(1000) * 4096, buffer.span());
    const Status s = co_await io;
    EXPECT_TRUE(s.ok());
  }
}

// A disk of a host, and what it tells of, in its order and with the time.
struct DiskRig {
  static constexpr DiskShape kShape{.start = 100, .read = 10, .write = 20, .flush = 1000};
  struct Told final : EventTarget {
    EventQueue* queue = nullptr;
    Nanos when = 0;
    void happen(std::uint64_t) override { when = queue->now(); }
  };
  Told& add(block::Io::Kind kind, block::Durability durability = block::Durability::cached) {
    Told& told = all.emplace_back();
    told.queue = &queue;
    disk.add(kind, durability, told);
    return told;
  }
  void drain() {
    while (queue.step()) {
    }
  }
  EventQueue queue;
  const Nanos began = queue.now();
  ModelDisk disk{queue, kShape};
  std::deque<Told> all;
};

TEST(ModelDisk, TellsOfWhatIsInFlightTogetherAtOnce) {
  DiskRig rig;
  EXPECT_TRUE(rig.disk.wakes());
  EXPECT_FALSE(rig.disk.wakes()) << "whoever comes first wakes it";
  for (int i = 0; i < 3; ++i) rig.add(block::Io::Kind::read);
  EXPECT_FALSE(rig.disk.wakes()) << "it is at work";
  rig.drain();
  for (const auto& told : rig.all) EXPECT_EQ(told.when, rig.began + 100 + 3 * 10);
  EXPECT_EQ(rig.disk.busy(), (100u + 3 * 10) * 1000);
  EXPECT_TRUE(rig.disk.wakes());
}

TEST(ModelDisk, FlushesBehindADurableWriteOnceForAllThatWait) {
  DiskRig rig;
  const auto& read = rig.add(block::Io::Kind::read);
  const auto& first = rig.add(block::Io::Kind::write, block::Durability::stable);
  const auto& second = rig.add(block::Io::Kind::write, block::Durability::stable);
  rig.drain();
  EXPECT_EQ(read.when, rig.began + 100 + 10 + 2 * 20);
  EXPECT_EQ(first.when, read.when + 100 + 1000);
  EXPECT_EQ(second.when, first.when);
  const Nanos before = rig.queue.now();
  const auto& alone = rig.add(block::Io::Kind::write);
  rig.drain();
  EXPECT_EQ(alone.when, before + 100 + 20) << "nobody asked for a flush";
  const auto& flush = rig.add(block::Io::Kind::flush);
  rig.drain();
  EXPECT_EQ(flush.when, alone.when + 100 + 1000);
}

TEST(ModelDisk, IsDescribedByFourTimes) {
  const Result<DiskShape> shape = parse_disk("58,9.5,31,170");
  ASSERT_TRUE(shape.ok());
  EXPECT_EQ(shape->read, 9500);
  EXPECT_EQ(shape->flush, 170 * kMicrosecond);
  for (const char* wrong : {"", "1,2,3", "1,2,3,4,5", "1,2,3,x", "-1,2,3,4", "1,2,3,1e9"}) {
    EXPECT_EQ(parse_disk(wrong).code(), Code::invalid) << wrong;
  }
}

struct SsdFigures {
  double reads_per_s = 0;
  double latency_us = 0;
  double cpu_us = 0;  // of the server, for a read
};
// So many tasks that each read one block after another.
SsdFigures read_by(std::uint32_t tasks, Mutant mutant, IoPath path = IoPath::driver) {
  Rig rig(mutant);
  ModelThread& target = rig.hardware->server_thread(1, Role::target, false);
  const bool remote = path == IoPath::offload || path == IoPath::standard;
  ModelThread& thread = remote ? rig.hardware->client_thread(Role::scalio_client)
                               : rig.hardware->server_thread(0, Role::leed_server, false);
  constexpr int kReads = 200;
  const Nanos start = rig.now();
  std::vector<std::unique_ptr<ModelDevice>> devices;
  for (std::uint32_t i = 0; i < tasks; ++i) {
    devices.push_back(std::make_unique<ModelDevice>(*rig.hardware, thread, *rig.hardware->ssds()[0],
                                                    path,
                                                    path == IoPath::standard ? &target : nullptr));
    thread.spawn(read_often(*devices[i], i, kReads));
  }
  rig.hardware->drain();
  const double seconds = static_cast<double>(rig.now() - start) / 1e9;
  const double reads = static_cast<double>(tasks) * kReads;
  const std::uint64_t cpu = rig.hardware->core(0).busy() + rig.hardware->core(1).busy();
  return {reads / seconds, seconds * 1e6 * tasks / reads, static_cast<double>(cpu) / 1e6 / reads};
}

TEST(ModelSsd, ReadsWithItsLatencyWhenAloneAndNeverBeyondItsRate) {
  const SsdShape ssd = find_machine("paper")->ssd;
  const double alone = read_by(1, Mutant::none).latency_us;
  EXPECT_NEAR(alone, static_cast<double>(ssd.read_latency) / 1e3, 3);
  for (const std::uint32_t tasks : {4u, 16u, 64u}) {
    const SsdFigures f = read_by(tasks, Mutant::none);
    EXPECT_LE(f.reads_per_s, ssd.reads * 1.001);
    // Little's law: so many in flight, each at least as long as alone.
    EXPECT_LE(f.reads_per_s, tasks / (alone / 1e6) * 1.001);
  }
  EXPECT_GT(read_by(64, Mutant::none).reads_per_s, ssd.reads * 0.7);
  EXPECT_GT(read_by(64, Mutant::endless_ssd).reads_per_s, ssd.reads * 1.1);
}

TEST(ModelDevice, CostsTheServerWhatItsPathSays) {
  const Costs costs(1);
  const auto us = [&](Cost cost) { return static_cast<double>(costs.of(cost)) / 1e6; };
  EXPECT_EQ(read_by(4, Mutant::none, IoPath::offload).cpu_us, 0);
  EXPECT_GE(read_by(4, Mutant::none, IoPath::standard).cpu_us, us(Cost::target_io));
  const double driver = read_by(4, Mutant::none).cpu_us;
  EXPECT_GE(driver, us(Cost::driver_submit) + us(Cost::driver_complete));
  EXPECT_GT(read_by(4, Mutant::none, IoPath::kernel).cpu_us, driver);
  EXPECT_LT(read_by(4, Mutant::free_io).cpu_us, driver);
}

Task<void> write_often(block::BlockDevice& device, std::uint64_t first, std::uint64_t step,
                       std::size_t size, int writes) {
  block::Buffer buffer(size);
  for (int i = 0; i < writes; ++i) {
    block::Io io = device.write(first + step * static_cast<std::uint64_t>(i), buffer.span(),
                                block::Durability::stable);
    const Status s = co_await io;
    EXPECT_TRUE(s.ok());
  }
}
std::uint64_t channel_time(std::uint64_t step, std::size_t size) {
  Rig rig;
  ModelThread& thread = rig.hardware->server_thread(0, Role::leed_server, false);
  ModelDevice device(*rig.hardware, thread, *rig.hardware->ssds()[0], IoPath::driver);
  thread.spawn(write_often(device, 1 << 20, step, size, 100));
  rig.hardware->drain();
  return rig.hardware->ssds()[0]->busy();
}

TEST(ModelSsd, ReadsThePageOfASmallWriteInPlaceAndNotOfALog) {
  const std::uint64_t in_place = channel_time(8192, 512), log = channel_time(512, 512),
                      whole = channel_time(8192, 4096);
  EXPECT_GT(in_place, whole + whole / 2);
  EXPECT_LT(log, in_place * 2 / 3);
}

// Of one durable write.
Nanos time_of_write(bool power_loss_protected) {
  SsdShape shape = find_machine("paper")->ssd;
  shape.power_loss_protected = power_loss_protected;
  HardwareOptions o;
  o.machine = *find_machine("paper");
  o.machine.ssd = shape;
  o.ssd_bytes = 64 << 20;
  o.scale = 1;
  const std::unique_ptr<Hardware> hardware = Hardware::make(o);
  hardware->set_charging(true);
  ModelThread& thread = hardware->server_thread(0, Role::leed_server, false);
  ModelDevice device(*hardware, thread, *hardware->ssds()[0], IoPath::driver);
  const Nanos start = hardware->queue().now();
  thread.spawn(write_often(device, 0, 4096, 4096, 1));
  hardware->drain();
  return hardware->queue().now() - start;
}

TEST(ModelSsd, WaitsForTheFlashWithoutPowerLossProtection) {
  const SsdShape shape = find_machine("paper")->ssd;
  EXPECT_NEAR(static_cast<double>(time_of_write(true)), static_cast<double>(shape.write_latency),
              2000);
  EXPECT_GE(time_of_write(false), shape.write_latency + shape.program);
}

// Answers with the request.
struct NoService final : fabric::Service {
  Result<Bytes> on_hello(fabric::Peer&, ByteView) override { return Bytes(); }
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) override {
    peer.reply(call, request);
  }
  void on_disconnect(fabric::Peer&) override {}
};

Task<void> read_region(fabric::Connection& connection, std::size_t size, int reads) {
  Bytes buffer(size);
  for (int i = 0; i < reads; ++i) {
    fabric::Op op = connection.read(0, buffer);
    const Code code = co_await op;
    EXPECT_EQ(code, Code::ok);
  }
}

TEST(ModelNic, MovesNoMoreThanItsLink) {
  Rig rig;
  NoService service;
  block::Buffer region(1 << 16);
  ModelThread& server = rig.hardware->server_thread(0, Role::network, false);
  ServiceEnd end{*rig.hardware, server, service, region.span()};
  std::vector<std::unique_ptr<fabric::Connection>> connections;
  constexpr int kClients = 40, kReads = 200;
  constexpr std::size_t kSize = 16'384;
  const Nanos start = rig.now();
  for (int i = 0; i < kClients; ++i) {
    ModelThread& client = rig.hardware->client_thread(Role::scalio_client);
    auto made = ModelConnection::connect(end, client, {});
    connections.push_back(*std::move(made));
    client.spawn(read_region(*connections.back(), kSize, kReads));
  }
  rig.hardware->drain();
  const double seconds = static_cast<double>(rig.now() - start) / 1e9;
  const double gigabits = 8.0 * kClients * kReads * kSize / seconds / 1e9;
  EXPECT_LT(gigabits, 100);
  EXPECT_GT(gigabits, 90);
  EXPECT_EQ(rig.hardware->core(0).busy(), 0u);
}

Task<void> call_often(fabric::Connection& connection, int calls) {
  Bytes request(64);
  for (int i = 0; i < calls; ++i) {
    fabric::Call call = connection.call(request);
    const Result<Bytes> reply = co_await call;
    EXPECT_TRUE(reply.ok() && reply->size() == request.size());
  }
}

TEST(ModelConnection, HandsMessagesOverTwiceWhereThreadsOfTheirOwnMoveThem) {
  Rig rig(Mutant::none, 2);
  NoService service;
  block::Buffer region(4096);
  ModelThread& network = rig.hardware->server_thread(0, Role::network, false);
  ModelThread& worker = rig.hardware->server_thread(1, Role::target, false);
  ServiceEnd end{*rig.hardware, worker, service, region.span(), {&network}};
  ModelThread& client = rig.hardware->client_thread(Role::leed_client);
  auto made = ModelConnection::connect(end, client, {});
  constexpr int kCalls = 100;
  client.spawn(call_often(**made, kCalls));
  rig.hardware->drain();
  const Costs costs(1);
  const std::uint64_t hops = costs.of(Cost::hop_give) + costs.of(Cost::hop_take);
  const std::uint64_t moving = costs.of(Cost::message_receive) + costs.of(Cost::message_send);
  EXPECT_GE(rig.hardware->core(0).busy(), kCalls * (hops + moving));
  EXPECT_GE(rig.hardware->core(1).busy(), kCalls * hops);
  EXPECT_LT(rig.hardware->core(1).busy(), kCalls * (hops + moving));
}

TEST(Costs, OfTheKernelsTargetAreNotScaled) {
  const Costs one(1), three(3), slow(3, 2);
  EXPECT_EQ(three.of(Cost::target_io), one.of(Cost::target_io));
  EXPECT_EQ(slow.of(Cost::target_io), 2 * one.of(Cost::target_io));
  EXPECT_EQ(three.of(Cost::kernel_submit), 3 * one.of(Cost::kernel_submit));
  EXPECT_EQ(slow.of(Cost::kernel_submit), 6 * one.of(Cost::kernel_submit));
}

// What the server is charged, over sockets, for calls of so many clients' tasks.
Charges charges_of_calls(std::uint32_t tasks, int calls) {
  TurnRig rig;
  NoService service;
  block::Buffer region(4096);
  ModelThread& server = rig.thread();
  ServiceEnd end{*rig.hardware, server, service, region.span()};
  ModelThread& client = rig.hardware->client_thread(Role::leed_client);
  auto made = ModelConnection::connect(end, client, {});
  for (std::uint32_t i = 0; i < tasks; ++i) client.spawn(call_often(**made, calls));
  rig.hardware->drain();
  return server.charges();
}

TEST(ModelConnection, OverSocketsSharesSystemCallsAmongTheMessagesOfATurn) {
  constexpr int kCalls = 50;
  const auto times = [](const Charges& charges, Cost cost) {
    return charges.outside[static_cast<std::size_t>(cost)].times;
  };
  for (const std::uint32_t tasks : {1u, 16u}) {
    const Charges charges = charges_of_calls(tasks, kCalls);
    EXPECT_EQ(times(charges, Cost::message_send), tasks * kCalls);
    // What the tasks do in one turn of their thread comes together, and is answered together.
    EXPECT_EQ(times(charges, Cost::socket_receive), kCalls);
    EXPECT_EQ(times(charges, Cost::socket_send), kCalls);
    EXPECT_EQ(times(charges, Cost::wake), kCalls);
    EXPECT_EQ(times(charges, Cost::hop_take), 0u);
  }
}

TEST(ModelDevice, OfAMachineWithSocketsGoesThroughTheKernel) {
  TurnRig rig;
  ModelThread& thread = rig.thread();
  ModelDevice device(*rig.hardware, thread, *rig.hardware->ssds()[0], IoPath::driver);
  thread.spawn(write_often(device, 0, 4096, 4096, 20));
  thread.spawn(read_often(device, 1, 20));
  rig.hardware->drain();
  EXPECT_EQ(rig.times(thread, Cost::driver_submit), 0u);
  EXPECT_EQ(rig.times(thread, Cost::kernel_submit), 40u);
  EXPECT_EQ(rig.times(thread, Cost::kernel_complete), 40u);
  EXPECT_EQ(rig.times(thread, Cost::durable_write), 20u);
}

TEST(ModelDevice, OfAMachineWithSocketsSubmitsTogetherWhatATurnBegins) {
  TurnRig rig;
  ModelThread& thread = rig.thread();
  ModelDevice device(*rig.hardware, thread, *rig.hardware->ssds()[0], IoPath::kernel);
  // One after the other, each is submitted by itself.
  thread.spawn(read_often(device, 1, 20));
  rig.hardware->drain();
  EXPECT_EQ(rig.times(thread, Cost::submission), 20u);
  // Tasks that begin in one turn share one as far as it goes.
  constexpr std::uint64_t kTasks = 2 * ModelThread::kMostSubmitted + 1;
  for (std::uint64_t i = 0; i < kTasks; ++i) thread.spawn(read_often(device, i, 1));
  rig.hardware->drain();
  EXPECT_EQ(rig.times(thread, Cost::submission), 20u + 3);
}

TEST(Costs, OfSocketsAreChargedWhereThereAreSome) {
  const Costs rdma(1), sockets(1, 1, Prices::sockets);
  for (const Cost cost : {Cost::socket_receive, Cost::socket_send, Cost::wake_other,
                          Cost::submission, Cost::durable_write}) {
    EXPECT_EQ(rdma.of(cost), 0u);
    EXPECT_GT(sockets.of(cost), 0u);
  }
  EXPECT_GT(sockets.of(Cost::kernel_submit), rdma.of(Cost::kernel_submit));
}

TEST(Costs, AreChangedByNameAndOnlyThese) {
  Costs costs(1);
  const std::uint64_t wake = costs.of(Cost::wake), turn = costs.of(Cost::turn);
  EXPECT_TRUE(costs.adjust("wake=1.3").ok());
  EXPECT_NEAR(static_cast<double>(costs.of(Cost::wake)), 1.3 * static_cast<double>(wake), 1);
  EXPECT_EQ(costs.of(Cost::turn), turn);
  for (const char* wrong : {"wake", "wake=", "wake=x", "wake=-1", "sleep=1", "=1", ""}) {
    EXPECT_EQ(costs.adjust(wrong).code(), Code::invalid) << wrong;
  }
}

}  // namespace
}  // namespace scalio::hardware
