#include "eval/price_loops.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "base/error_text.h"
#include "base/random.h"
#include "block/buffer.h"
#include "block/uring_device.h"
#include "eval/ssd_files.h"
#include "fabric/frame_stream.h"
#include "hardware/core.h"
#include "task/io_thread.h"
#include "task/wait_group.h"

namespace scalio::eval {

namespace {

using block::UringDevice;
using fabric::FrameKind;
using fabric::FrameStream;
using Loop = std::unique_ptr<EventLoop>;

constexpr int kTurns = 20'000;
constexpr int kRounds = 2'000;
constexpr int kWakeBlocks = 10, kWakes = 100;
constexpr std::chrono::microseconds kUntilAsleep{300};
constexpr std::uint64_t kIos = 2'000;
constexpr std::uint64_t kFileBytes = 256 << 20;
constexpr std::size_t kIoBytes = 4096;
constexpr std::size_t kMessage = 128;  // a PUT of 16 B + 64 B has about so many
constexpr std::size_t kLongMessage = kMessage + 4096;
constexpr std::uint32_t kFewSockets = 1, kMoreSockets = 4, kFewMessages = 1, kMoreMessages = 16;
// A round's messages have come after so many turns, or never.
constexpr int kMostTurns = 1000;

double cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

double median(std::vector<double> all) {
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end());
  return *middle;
}

// The clock's own time, which is in every measurement.
double clock_ns() {
  const double begin = cpu_ns();
  for (int i = 0; i < kTurns; ++i) cpu_ns();
  return (cpu_ns() - begin) / kTurns;
}

double turn_ns(EventLoop& loop) {
  const double begin = cpu_ns();
  for (int i = 0; i < kTurns; ++i) {
    loop.prepare(nullptr);  // zeroed, it does nothing
    loop.turn(false);
  }
  return (cpu_ns() - begin) / kTurns;
}

// --- Messages -----------------------------------------------------------------------------------

struct FrameSink final : fabric::MessageStream::Handler {
  void on_frame(const fabric::Frame&) override { ++frames; }
  void on_lost(const Status& why) override { lost = why; }
  std::uint64_t frames = 0;
  Status lost;
};

// Pairs of connected streams, all on this thread: which side has a turn is decided here.
class StreamPairs {
 public:
  static Result<std::unique_ptr<StreamPairs>> create(std::uint32_t pairs) {
    std::unique_ptr<StreamPairs> made(new StreamPairs);
    for (Loop* loop : {&made->near_loop_, &made->far_loop_}) {
      Result<Loop> created = EventLoop::create();
      if (!created.ok()) return created.status();
      *loop = *std::move(created);
    }
    for (std::uint32_t i = 0; i < pairs; ++i) {
      int fds[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        return Status(Code::unavailable, "socketpair: " + error_text(errno));
      }
      made->near_.push_back(
          FrameStream::create(*made->near_loop_, net::UniqueFd(fds[0]), made->near_sink_, {}));
      made->far_.push_back(
          FrameStream::create(*made->far_loop_, net::UniqueFd(fds[1]), made->far_sink_, {}));
    }
    return made;
  }
  ~StreamPairs() {
    for (auto* side : {&near_, &far_}) {
      for (auto& stream : *side) stream->stop();
    }
    // They are in what they have posted.
    for (Loop* loop : {&near_loop_, &far_loop_}) {
      if (*loop) (*loop)->turn(false);
    }
  }

  struct Sides {
    double send_ns = 0, receive_ns = 0;  // of a round
  };
  // Rounds in which each near stream sends so many messages, in one turn, and the far ones get
  // them.
  Result<Sides> run(std::uint32_t messages, std::size_t size, double clock) {
    const Bytes payload(size);
    Sides sum;
    for (int round = 0; round < kRounds; ++round) {
      const double begin = cpu_ns();
      for (auto& stream : near_) {
        for (std::uint32_t i = 0; i < messages; ++i) stream->send(FrameKind::request, i, payload);
      }
      near_loop_->turn(false);
      const double sent = cpu_ns();
      const std::uint64_t all = far_sink_.frames + messages * near_.size();
      for (int turns = 0; far_sink_.frames < all; ++turns) {
        if (turns == kMostTurns) {
          return Status(Code::unavailable,
                        "messages over a socket pair do not arrive: " + far_sink_.lost.message());
        }
        far_loop_->turn(false);
      }
      sum.send_ns += sent - begin - clock;
      sum.receive_ns += cpu_ns() - sent - clock;
    }
    return Sides{sum.send_ns / kRounds, sum.receive_ns / kRounds};
  }

 private:
  StreamPairs() = default;
  Loop near_loop_, far_loop_;
  FrameSink near_sink_, far_sink_;
  std::vector<std::shared_ptr<FrameStream>> near_, far_;
};

// What one more is: of sockets, of messages, of KiB.
Result<MessagePrices> message_prices(StreamPairs& few, StreamPairs& more, double clock) {
  const auto one = few.run(kFewMessages, kMessage, clock);
  const auto many = few.run(kMoreMessages, kMessage, clock);
  const auto large = few.run(kMoreMessages, kLongMessage, clock);
  const auto wide = more.run(kFewMessages, kMessage, clock);
  for (const auto* run : {&one, &many, &large, &wide}) {
    if (!run->ok()) return run->status();
  }
  constexpr double kMessages = kMoreMessages - kFewMessages, kSockets = kMoreSockets - kFewSockets;
  constexpr double kKibs = kMoreMessages * static_cast<double>(kLongMessage - kMessage) / 1024;
  MessagePrices p;
  p.sent = (many->send_ns - one->send_ns) / kMessages;
  p.received = (many->receive_ns - one->receive_ns) / kMessages;
  p.send = (wide->send_ns - one->send_ns) / kSockets - p.sent;
  p.receive = (wide->receive_ns - one->receive_ns) / kSockets - p.received;
  p.kib = (large->send_ns + large->receive_ns - many->send_ns - many->receive_ns) / kKibs / 2;
  return p;
}

// --- Wakes --------------------------------------------------------------------------------------

// By turns, so that what is subtracted is of the same time. That caches are cold after a sleep is
// in the difference.
WakePrices wake_prices(EventLoop& own, IoThread& other, double clock) {
  WakePrices sum;
  for (int block = 0; block < kWakeBlocks; ++block) {
    for (int i = 0; i < kWakes; ++i) {
      const double begin = cpu_ns();
      own.run_on_loop([] {});
      const double given = cpu_ns();
      own.turn(false);
      sum.give_awake += given - begin - clock;
      sum.take_awake += cpu_ns() - given - clock;
    }
    std::this_thread::sleep_for(kUntilAsleep);
    const Nanos before = other.cpu_time();
    for (int i = 0; i < kWakes; ++i) {
      const double begin = cpu_ns();
      other.loop().run_on_loop([] {});
      sum.give_asleep += cpu_ns() - begin - clock;
      std::this_thread::sleep_for(kUntilAsleep);
    }
    sum.take_asleep += static_cast<double>(other.cpu_time() - before);
  }
  for (double* ns : {&sum.give_asleep, &sum.give_awake, &sum.take_awake, &sum.take_asleep}) {
    *ns /= kWakeBlocks * kWakes;
  }
  return sum;
}

// --- I/Os ---------------------------------------------------------------------------------------

struct IoCount {
  std::uint64_t begun = 0, ended = 0;
  std::uint64_t in_turn = 0, submissions = 0;
  Status failed;
  // A submission takes so many, as the model has it.
  void submit(bool one_by_one) {
    if (one_by_one || in_turn++ % hardware::ModelThread::kMostSubmitted == 0) ++submissions;
  }
};

// Reads are anywhere, writes one behind another, as a log's.
Task<void> do_ios(EventLoop& loop, UringDevice& device, const IoLoop& shape, std::uint64_t seed,
                  IoCount& count) {
  block::Buffer buffer(kIoBytes);
  Random random(seed);
  const std::uint64_t places = device.size() / kIoBytes;
  while (count.begun < kIos && count.failed.ok()) {
    const std::uint64_t n = count.begun++;
    const std::uint64_t at = (shape.write ? n % places : random.below(places)) * kIoBytes;
    // Of the one before this one, if it waits.
    if (shape.one_by_one) loop.submit();
    count.submit(shape.one_by_one);
    block::Io io = shape.write ? device.write(at, buffer.span(), block::Durability::stable)
                               : device.read(at, buffer.span());
    Status s = co_await io;
    if (!s.ok()) count.failed = std::move(s);
    ++count.ended;
  }
}

std::uint64_t sleeps_of_thread() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return static_cast<std::uint64_t>(usage.ru_nvcsw);
}

Result<IoLoop> run_ios(EventLoop& loop, UringDevice& device, const IoLoop& shape,
                       std::uint64_t seed) {
  IoCount count;
  std::uint64_t turns = 0;
  const std::uint64_t slept = sleeps_of_thread();
  const Nanos began = loop.now();
  const double begin = cpu_ns();
  WaitGroup group(loop);
  for (std::uint32_t i = 0; i < shape.depth; ++i) {
    group.spawn(do_ios(loop, device, shape, seed * shape.depth + i, count));
  }
  // Each operation ends, by a bound of the kernel.
  while (count.ended < count.begun) {
    count.in_turn = 0;
    loop.turn(true);
    ++turns;
  }
  IoLoop out = shape;
  const auto ios = static_cast<double>(count.ended);
  const double elapsed = static_cast<double>(loop.now() - began);
  out.cpu_ns = (cpu_ns() - begin) / ios;
  out.turns = static_cast<double>(turns) / ios;
  out.sleeps = static_cast<double>(sleeps_of_thread() - slept) / ios;
  out.submissions = static_cast<double>(count.submissions) / ios;
  out.latency_us = elapsed * shape.depth / ios / 1e3;
  out.per_second = ios / elapsed * 1e9;
  loop.turn(false);  // the last ones' tasks end
  if (!count.failed.ok()) return count.failed;
  return out;
}

Result<std::vector<IoLoop>> io_loops(EventLoop& loop, UringDevice& device, std::uint64_t seed) {
  std::vector<IoLoop> out;
  for (const bool write : {false, true}) {
    for (const std::uint32_t depth : {1u, 4u, 16u, 64u}) {
      for (const bool one_by_one : {false, true}) {
        if (depth == 1 && one_by_one) continue;
        const IoLoop shape{.write = write, .depth = depth, .one_by_one = one_by_one};
        Result<IoLoop> run = run_ios(loop, device, shape, seed);
        if (!run.ok()) return run.status();
        out.push_back(*run);
      }
    }
  }
  return out;
}

// --- All ----------------------------------------------------------------------------------------

// What the loops need, made once.
struct PriceRig {
  Loop loop;
  std::unique_ptr<StreamPairs> few, more;
  std::unique_ptr<IoThread> sleeper;
  std::unique_ptr<UringDevice> device;
  double clock = 0;

  Status open(const std::string& path) {
    Result<Loop> created = EventLoop::create();
    if (!created.ok()) return created.status();
    loop = *std::move(created);
    for (auto [pairs, sockets] : {std::pair{&few, kFewSockets}, {&more, kMoreSockets}}) {
      auto made = StreamPairs::create(sockets);
      if (!made.ok()) return made.status();
      *pairs = *std::move(made);
    }
    auto started = IoThread::start("price-sleeper");
    if (!started.ok()) return started.status();
    sleeper = *std::move(started);
    if (Status s = make_ssd_file(path, kFileBytes); !s.ok()) return s;
    auto opened = UringDevice::open(*loop, path, block::Access::exclusive);
    ::unlink(path.c_str());
    if (!opened.ok()) return opened.status();
    device = *std::move(opened);
    clock = clock_ns();
    return Status();
  }
  Result<MeasuredPrices> pass(std::uint64_t seed) {
    MeasuredPrices prices;
    prices.turn = turn_ns(*loop);
    const Result<MessagePrices> messages = message_prices(*few, *more, clock);
    if (!messages.ok()) return messages.status();
    prices.messages = *messages;
    prices.wakes = wake_prices(*loop, *sleeper, clock);
    Result<std::vector<IoLoop>> ios = io_loops(*loop, *device, seed);
    if (!ios.ok()) return ios.status();
    prices.ios = *std::move(ios);
    return prices;
  }
};

// Of the numbers that `place` finds in each pass: the first pass gets the median.
template <class Place>
void take_median(std::vector<MeasuredPrices>& passes, Place place) {
  std::vector<double> values;
  for (MeasuredPrices& pass : passes) values.push_back(place(pass));
  place(passes.front()) = median(std::move(values));
}

}  // namespace

Result<MeasuredPrices> measure_prices(const std::string& dir, std::uint32_t passes) {
  PriceRig rig;
  if (Status s = rig.open(fmt::format("{}/scalio-prices-{}", dir, ::getpid())); !s.ok()) return s;
  std::vector<MeasuredPrices> all;
  for (std::uint32_t pass = 0; pass < std::max(passes, 1u); ++pass) {
    Result<MeasuredPrices> prices = rig.pass(pass + 1);
    if (!prices.ok()) return prices.status();
    all.push_back(*std::move(prices));
  }
  take_median(all, [](MeasuredPrices& p) -> double& { return p.turn; });
  for (double MessagePrices::*member :
       {&MessagePrices::receive, &MessagePrices::send, &MessagePrices::received,
        &MessagePrices::sent, &MessagePrices::kib}) {
    take_median(all, [&](MeasuredPrices& p) -> double& { return p.messages.*member; });
  }
  for (double WakePrices::*member : {&WakePrices::give_awake, &WakePrices::give_asleep,
                                     &WakePrices::take_awake, &WakePrices::take_asleep}) {
    take_median(all, [&](MeasuredPrices& p) -> double& { return p.wakes.*member; });
  }
  for (std::size_t i = 0; i < all.front().ios.size(); ++i) {
    for (double IoLoop::*member :
         {&IoLoop::cpu_ns, &IoLoop::turns, &IoLoop::sleeps, &IoLoop::submissions,
          &IoLoop::latency_us, &IoLoop::per_second}) {
      take_median(all, [&](MeasuredPrices& p) -> double& { return p.ios[i].*member; });
    }
  }
  return std::move(all.front());
}

const IoLoop& MeasuredPrices::deepest(bool write, bool one_by_one) const {
  const IoLoop* found = nullptr;
  for (const IoLoop& io : ios) {
    if (io.write != write || io.one_by_one != one_by_one) continue;
    if (found == nullptr || io.depth > found->depth) found = &io;
  }
  SCALIO_ASSERT(found != nullptr);
  return *found;
}

// Two equations with two unknown, of reads.
double MeasuredPrices::submission() const {
  const IoLoop &single = deepest(false, true), &shared = deepest(false, false);
  return (single.ns(turn, wakes.own()) - shared.ns(turn, wakes.own())) /
         (single.submissions - shared.submissions);
}

double MeasuredPrices::bare(const IoLoop& io) const {
  return io.ns(turn, wakes.own()) - io.submissions * submission();
}

double MeasuredPrices::io() const { return bare(deepest(false, false)); }

double MeasuredPrices::durable_write() const { return bare(deepest(true, false)) - io(); }

const IoLoop& MeasuredPrices::at_depth(bool write, std::uint32_t depth) const {
  const auto found = std::ranges::find_if(
      ios, [=](const IoLoop& io) { return io.write == write && io.depth == depth; });
  SCALIO_ASSERT(found != ios.end());
  return *found;
}

double MeasuredPrices::disk_start() const { return bare(at_depth(false, 1)) - io(); }

// So many in flight take start + n x read, or 2 x start + n x write + flush. Of writes few are 4:
// one alone waits for what the file system does beside it.
hardware::DiskShape MeasuredPrices::disk() const {
  const auto each = [&](const IoLoop& few, const IoLoop& many) {
    return std::max(0.0, (many.latency_us - few.latency_us) / (many.depth - few.depth));
  };
  const IoLoop &alone = at_depth(false, 1), &few = at_depth(true, 4);
  const double read = each(alone, deepest(false, false)), write = each(few, deepest(true, false));
  const double start = std::max(0.0, alone.latency_us - read);
  const double flush = std::max(0.0, few.latency_us - 4 * write - 2 * start);
  const auto nanos = [](double us) { return static_cast<Nanos>(us * kMicrosecond); };
  return {nanos(start), nanos(read), nanos(write), nanos(flush)};
}

std::string to_text(const MeasuredPrices& p) {
  std::string text = "this machine, ns of CPU time\n";
  const auto row = [&](std::string_view name, double ns, std::string_view what) {
    text += fmt::format("  {:<16} {:>7.0f}  {}\n", name, ns, what);
  };
  row("turn", p.turn, "a turn of a loop that the kernel is asked in");
  row("socket-receive", p.messages.receive, "a socket more that has something");
  row("message-receive", p.messages.received, "a message more of 128 B");
  row("socket-send", p.messages.send, "a socket more that something is sent to");
  row("message-send", p.messages.sent, "a message more of 128 B");
  row("message-kib", p.messages.kib, "a KiB more of a message");
  row("wake", p.wakes.own(), "woken by an eventfd, beyond one that is awake");
  row("wake-other", p.wakes.other(), "and by the one that wakes it");
  row("hop-give", p.wakes.give_asleep, "a function to a thread that sleeps");
  row("hop-take", p.wakes.take_asleep, "and its run there");
  for (const char* half :
       {"kernel-submit", "kernel-complete", "fabric-submit", "fabric-complete"}) {
    row(half, p.io() / 2, "half of a read, of many in flight, beyond its submission");
  }
  row("submission", p.submission(), "I/Os that are submitted together, of many in flight");
  row("disk-start", p.disk_start(), "a read alone, beyond both");
  row("durable-write", p.durable_write(), "a durable write, of many in flight, beyond a read");
  const hardware::DiskShape shape = p.disk();
  text += fmt::format("  disk             {}\n",
                      fmt::join(std::array{shape.start / 1e3, shape.read / 1e3, shape.write / 1e3,
                                           shape.flush / 1e3},
                                ","));
  text +=
      "I/Os of 4 KiB: ns of CPU time; turns, sleeps and submissions; ns without turns and sleeps; "
      "us; I/Os a second\n";
  for (const IoLoop& io : p.ios) {
    text += fmt::format(
        "  {} {:>3} in flight{} {:>7.0f} {:>6.3f} {:>6.3f} {:>6.3f} {:>7.0f} {:>7.0f} {:>7.0f}\n",
        io.write ? "durable write" : "read         ", io.depth,
        io.one_by_one ? ", one by one" : "            ", io.cpu_ns, io.turns, io.sleeps,
        io.submissions, io.ns(p.turn, p.wakes.own()), io.latency_us, io.per_second);
  }
  return text;
}

}  // namespace scalio::eval
