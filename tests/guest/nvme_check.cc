// Scalio's NVMe-oF initiators at work on a namespace of somebody else's target.
//
//   scalio-nvme-check OPTIONS read FILE BYTES     the start of the namespace into a file
//   scalio-nvme-check OPTIONS write FILE          a file to the start of the namespace
//   scalio-nvme-check OPTIONS load SECONDS        several queues write and read back, and know what
//   must be there
//
// Exit status 0, or 1 with a message.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "block/buffer.h"
#include "net/uri.h"
#include "nvmf/host/initiator.h"
#include "task/run_to_end.h"

namespace scalio {
namespace {

using block::Buffer;
using block::Durability;
using nvmf::NvmeDevice;

struct Flags {
  std::string address;
  std::string nqn;
  std::uint32_t nsid = 1;
  nvmf::InitiatorOptions options;
  unsigned queues = 2;
  unsigned reconnects = 0;
  std::string file;
  std::uint64_t bytes = 0;
  unsigned seconds = 1;
};

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "scalio-nvme-check: %s\n", message.c_str());
  std::exit(1);
}
void must(const Status& status) {
  if (!status.ok()) fail(status.to_string());
}

Task<Result<std::unique_ptr<NvmeDevice>>> connect(EventLoop& loop, const Flags& flags) {
  Result<net::Uri> uri = net::parse_uri(flags.address);
  must(uri.status());
  nvmf::NamespaceAddress address{*std::move(uri), flags.nqn, flags.nsid};
  co_return co_await nvmf::connect_namespace(loop, std::move(address), flags.options);
}

// Runs on a thread of its own, with a device of its own.
template <class Body>
void with_device(const Flags& flags, Body body) {
  auto loop = EventLoop::create();
  must(loop.status());
  const auto run = [](EventLoop& l, const Flags& f, Body& b) -> Task<void> {
    Result<std::unique_ptr<NvmeDevice>> device = co_await connect(l, f);
    must(device.status());
    co_await b(l, **device);
    co_await (*device)->close();
  };
  run_to_end(**loop, run(**loop, flags, body));
  (*loop)->turn(false);
}

// --- read and write ------------------------------------------------------------------------------

constexpr std::size_t kPiece = 256 << 10;
constexpr std::size_t kPieces = 16;  // in flight

Task<void> read_piece(NvmeDevice& device, std::uint64_t at, ByteSpan into, std::size_t* running) {
  must(co_await device.read(at, into));
  --*running;
}
Task<void> write_piece(NvmeDevice& device, std::uint64_t at, ByteView from, std::size_t* running) {
  must(co_await device.write(at, from, Durability::cached));
  --*running;
}

// Calls start(offset, piece) for all of `bytes`, with a few pieces running at a time.
template <class Start>
Task<void> in_pieces(EventLoop& loop, ByteSpan bytes, std::size_t* running, Start start) {
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    while (*running == kPieces) co_await loop.yield();
    ++*running;
    start(at, bytes.subspan(at, std::min(kPiece, bytes.size() - at)));
  }
  while (*running > 0) co_await loop.yield();
}

void read_to_file(const Flags& flags) {
  Buffer buffer(flags.bytes);
  with_device(flags, [&](EventLoop& loop, NvmeDevice& device) -> Task<void> {
    std::size_t running = 0;
    const auto start = [&](std::uint64_t at, ByteSpan piece) {
      loop.spawn(read_piece(device, at, piece, &running));
    };
    co_await in_pieces(loop, buffer.span(), &running, start);
  });
  std::ofstream out(flags.file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(buffer.span().data()),
            static_cast<std::streamsize>(flags.bytes));
  if (!out.flush()) fail("cannot write " + flags.file);
}

void write_from_file(const Flags& flags) {
  std::ifstream in(flags.file, std::ios::binary | std::ios::ate);
  const auto size = static_cast<std::size_t>(in.tellg());
  Buffer buffer(size);
  in.seekg(0);
  if (!in.read(reinterpret_cast<char*>(buffer.span().data()), static_cast<std::streamsize>(size))) {
    fail("cannot read " + flags.file);
  }
  with_device(flags, [&](EventLoop& loop, NvmeDevice& device) -> Task<void> {
    std::size_t running = 0;
    const auto start = [&](std::uint64_t at, ByteSpan piece) {
      loop.spawn(write_piece(device, at, piece, &running));
    };
    co_await in_pieces(loop, buffer.span(), &running, start);
    must(co_await device.flush());
  });
}

// --- load ----------------------------------------------------------------------------------------

// One queue's part of the namespace: places that are written with ever higher numbers and read
// back.
class Load {
 public:
  Load(EventLoop& loop, NvmeDevice& device, std::uint64_t begin, std::uint64_t size, unsigned seed)
      : loop_(loop), device_(device), begin_(begin), places_(size / kPlace), random_(seed) {}

  Task<void> run(Nanos duration) {
    const Nanos end = loop_.now() + duration;
    for (std::size_t i = 0; i < kDepth; ++i) {
      ++running_;
      loop_.spawn(worker(i, end));
    }
    while (running_ > 0) co_await loop_.sleep(kMillisecond);
  }
  std::uint64_t operations() const { return operations_; }
  std::uint64_t lost() const { return lost_; }

 private:
  static constexpr std::size_t kPlace = 16 << 10;
  static constexpr std::size_t kDepth = 16;

  // A worker has every kDepth-th place to itself.
  Task<void> worker(std::size_t first, Nanos end) {
    Buffer buffer(kPlace);
    std::vector<std::uint64_t> last(places_, 0), maybe(places_, 0);
    std::uint64_t number = 0;
    while (loop_.now() < end) {
      const std::size_t place = first + kDepth * (random_() % (places_ / kDepth));
      // Most are a bucket's size, some need several PDUs.
      const std::size_t size = random_() % 4 == 0 ? kPlace : 4096;
      ++number;
      fill(buffer.span().first(size), place, number);
      const Status written =
          co_await device_.write(at(place), buffer.span().first(size), Durability::stable);
      if (survived(written)) {
        last[place] = maybe[place] = number;
      } else {
        maybe[place] = number;
      }
      if (last[place] == 0) continue;
      const Status read = co_await device_.read(at(place), buffer.span().first(4096));
      if (!survived(read)) continue;
      const std::uint64_t found = what(buffer.span().first(4096), place);
      if (found != last[place] && found != maybe[place]) {
        fail(fmt::format("place {} of queue at {}: number {} is there, {} was written, {} perhaps",
                         place, begin_, found, last[place], maybe[place]));
      }
    }
    --running_;
  }
  std::uint64_t at(std::size_t place) const { return begin_ + place * kPlace; }
  // Lost with the connection, which is no fault while the target is away.
  bool survived(const Status& status) {
    ++operations_;
    if (status.code() == Code::unavailable) {
      ++lost_;
      return false;
    }
    must(status);
    return true;
  }
  void fill(ByteSpan bytes, std::size_t place, std::uint64_t number) const {
    for (std::size_t i = 0; i < bytes.size(); i += 16) {
      store(bytes.data() + i, at(place) + i);
      store(bytes.data() + i + 8, number);
    }
  }
  std::uint64_t what(ByteSpan bytes, std::size_t place) const {
    const auto number = load<std::uint64_t>(bytes.data() + 8);
    for (std::size_t i = 0; i < bytes.size(); i += 16) {
      if (load<std::uint64_t>(bytes.data() + i) != at(place) + i ||
          load<std::uint64_t>(bytes.data() + i + 8) != number) {
        fail(fmt::format("place {} of queue at {}: strange data at byte {}", place, begin_, i));
      }
    }
    return number;
  }

  EventLoop& loop_;
  NvmeDevice& device_;
  const std::uint64_t begin_;
  const std::size_t places_;
  std::mt19937 random_;
  std::size_t running_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t lost_ = 0;
};

void put_under_load(const Flags& flags) {
  constexpr std::uint64_t kPart = 4 << 20;  // of each queue
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < flags.queues; ++i) {
    threads.emplace_back([&flags, i] {
      with_device(flags, [&flags, i](EventLoop& loop, NvmeDevice& device) -> Task<void> {
        if (device.size() < (i + 1) * kPart) fail("the namespace is too small");
        Load load(loop, device, i * kPart, kPart, i);
        co_await load.run(flags.seconds * kSecond);
        fmt::print("queue {}: {} operations, {} lost, {} reconnects\n", i, load.operations(),
                   load.lost(), device.reconnects());
        if (device.reconnects() < flags.reconnects)
          fail("it did not lose its connection often enough");
        if (flags.reconnects == 0 && load.lost() > 0) fail("operations were lost");
        if (load.operations() < 10) fail("hardly anything was done");
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
}

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Scalio's NVMe-oF initiators at work on a namespace.", "scalio-nvme-check");
  app.require_subcommand(1);
  app.add_option("--address", flags.address, "tcp:HOST:PORT or rdma:HOST:PORT")->required();
  app.add_option("--nqn", flags.nqn, "The subsystem")->required();
  app.add_option("--nsid", flags.nsid, "The namespace")->capture_default_str();
  app.add_flag(
      "--digests",
      [&](std::int64_t) { flags.options.header_digest = flags.options.data_digest = true; },
      "With NVMe/TCP's checksums of headers and data");
  app.add_option("--queues", flags.queues, "Connections, each on a thread of its own")
      ->capture_default_str();
  app.add_option("--reconnects", flags.reconnects,
                 "How often each must have connected again, at least");
  CLI::App* read = app.add_subcommand("read");
  read->add_option("FILE", flags.file)->required();
  read->add_option("BYTES", flags.bytes)->required();
  CLI::App* write = app.add_subcommand("write");
  write->add_option("FILE", flags.file)->required();
  CLI::App* load = app.add_subcommand("load");
  load->add_option("SECONDS", flags.seconds)->required();
  CLI11_PARSE(app, argc, argv);
  // The target may be away for a while.
  flags.options.reconnect_wait = 20 * kSecond;
  if (read->parsed()) read_to_file(flags);
  if (write->parsed()) write_from_file(flags);
  if (load->parsed()) put_under_load(flags);
  return 0;
}

}  // namespace
}  // namespace scalio

int main(int argc, char** argv) { return scalio::main(argc, argv); }
