// Ssd: a shard's SSD as one client reaches it, which may change when the server is restarted.
#pragma once

#include <scalio/client.h>

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "block/block_device.h"
#include "client/stretch_reader.h"
#include "layout/message.h"
#include "task/sync.h"

namespace scalio::client {

struct OpenedSsd {
  std::unique_ptr<block::BlockDevice> device;
  // Tells whoever has it, before the device goes at an orderly end. Null: nobody need be told.
  std::function<Task<void>()> close = {};
};

class Ssd {
 public:
  // Opens the SSD of the shard that said this hello.
  using Opener = std::function<Task<Result<OpenedSsd>>(layout::HelloReply hello)>;

  // `trace`: as BucketReader::trace_by().
  Ssd(Executor& executor, Opener opener, GetTrace* const* trace = &GetTrace::kNone)
      : executor_(executor), opener_(std::move(opener)), trace_(trace), changed_(executor) {}

  // Ok when it is open: as `hello`, the server's last one, says, and since this session began.
  // Another session may be another server's, to which the same path or address leads elsewhere.
  // After a failure it is tried again once a second at most, and the failure given meanwhile.
  // `hello` must live until the task has ended.
  Task<Status> open(const layout::HelloReply& hello);

  // As BucketReader::find, and once more if it was cut off, or if the device turned out to be
  // another one by now: then it is opened anew. And the failures of open(); never invalid: that is
  // of a caller's arguments.
  Task<Result<std::optional<StoredRecord>>> find(const layout::HelloReply& hello,
                                                 std::string_view key, std::uint64_t hash);

  // What is at `offset` of the shard's value area, whatever it is, into memory that suits the
  // device. Failures: as of find().
  Task<Status> read_value(const layout::HelloReply& hello, std::uint64_t offset, ByteSpan into);
  // Ok if the device is the SSD that the hello names (rule 12); another one is let go, and the SSD
  // opened anew, before it is asked again. Failures: as of find().
  Task<Status> confirm(const layout::HelloReply& hello);

  // As StretchReader::read, and otherwise as find().
  Task<Result<Stretch>> read_stretch(const layout::HelloReply& hello, std::uint64_t first,
                                     std::uint64_t end, MoveWatch* moves);

  // Lets go of the device, in an orderly way, and opens none any more. For the end of a client
  // whose callers have all gone: a find() that they gave up ends soon then.
  Task<void> close();

  // Adds what its devices have counted.
  void count(ClientCounters& counters) const;

 private:
  // One way to it. The last user of an old one closes it.
  struct Way {
    Way(Ssd& of, OpenedSsd opened, const layout::HelloReply& hello);
    ~Way() { ssd.add(device(), ssd.earlier_); }
    block::BlockDevice& device() const { return *opened.device; }
    Ssd& ssd;
    const OpenedSsd opened;
    const layout::SsdTarget target;
    const std::uint64_t session;
    BucketReader reader;
    StretchReader stretches;
  };
  // Does read(way) on the way to the SSD that the hello names, as find() says.
  template <class T, class F>
  Task<Result<T>> on_way(const layout::HelloReply& hello, F read);
  bool is_open(const layout::HelloReply& hello) const {
    return way_ && way_->session == hello.session && way_->target == hello.target;
  }
  struct Reads {
    std::uint64_t reads = 0;
    std::uint64_t bytes = 0;
  };
  static void add(const block::BlockDevice& device, Reads& to) {
    to.reads += device.counters().reads;
    to.bytes += device.counters().bytes_read;
  }

  Executor& executor_;
  const Opener opener_;
  GetTrace* const* const trace_;
  Reads earlier_;  // of ways that are no more
  std::shared_ptr<Way> way_;
  bool opening_ = false;
  bool closed_ = false;
  WaitList changed_;
  Status failure_;  // of the last attempt
  std::uint64_t failed_session_ = 0;
  Nanos failed_at_ = 0;
};

}  // namespace scalio::client
