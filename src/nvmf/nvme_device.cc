#include "nvmf/nvme_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <coroutine>
#include <deque>
#include <utility>
#include <vector>

#include "block/count.h"
#include "fabric/timer.h"
#include "nvmf/association.h"

namespace scalio::nvmf {

namespace {
// Between attempts to connect again.
constexpr Nanos kFirstPause = 10 * kMillisecond;
constexpr Nanos kLongestPause = kSecond;
// Bounds on operations are kept to this fraction of them.
constexpr Nanos kTicks = 8;
}  // namespace

class NvmeDevice::Link : public std::enable_shared_from_this<Link> {
 public:
  Link(EventLoop& loop, std::unique_ptr<Transport> transport, std::string nqn, std::uint32_t nsid,
       InitiatorOptions options);

  // The first attempt to connect, which says what the device is.
  Task<Status> connect_first();
  Task<void> close();
  void abandon();

  void start(block::Io& io);

  const std::string name;
  IdentifyNamespace what;
  block::Counters counters;
  std::uint64_t reconnects = 0;

 private:
  enum class Phase : std::uint8_t { disconnected, connected, closed };

  // An Io under way: commands of it have been issued up to `issued`.
  struct Transfer {
    block::Io* io = nullptr;
    std::size_t issued = 0;
    std::uint32_t in_flight = 0;  // commands
    bool all_issued = false;      // or no more are to be
    Nanos since = 0;
    Status status;
  };
  // A command of it.
  class Piece final : public Request {
   public:
    explicit Piece(Link& owner) : link(owner) {}
    void on_done(const Completion& completion) override { link.on_done(*this, completion); }
    void on_lost(const Status& why) override { link.on_piece_lost(*this, why); }

    Link& link;
    Transfer* transfer = nullptr;  // null: idle
    Nanos since = 0;
  };

  Task<Status> attach();
  Task<void> reconnect();
  void on_association_lost(const Status& why);
  Status check_namespace(const IdentifyNamespace& found) const;

  void issue(Transfer& transfer);
  void issue_waiting();
  void on_done(Piece& piece, const Completion& completion);
  void on_piece_lost(Piece& piece, const Status& why);
  void end_piece(Piece& piece, Status status);
  void finish(Transfer& transfer);
  std::string describe(const block::Io& io) const;

  void watch_time();
  void on_tick();

  class Pause;

  EventLoop& loop_;
  const std::unique_ptr<Transport> transport_;
  const std::string nqn_;
  const std::uint32_t nsid_;
  const InitiatorOptions options_;
  Phase phase_ = Phase::disconnected;
  bool identified_ = false;
  Status lost_;  // why there is no connection
  Nanos lost_at_ = 0;
  Pause* pause_ = nullptr;
  std::unique_ptr<Association> association_;

  // Made once, or reused: no allocation per Io.
  std::vector<Piece> pieces_;
  std::vector<Piece*> idle_;
  std::uint32_t in_flight_ = 0;  // commands
  std::uint32_t depth_ = 0;      // at most so many
  std::deque<Transfer> transfers_;
  std::vector<Transfer*> idle_transfers_;
  // Whose commands wait for others to end, or for a connection. Only the first may have been issued in part.
  std::deque<Transfer*> waiting_;

  fabric::Timer tick_;
};

// A sleep that the end of the device ends.
class NvmeDevice::Link::Pause {
 public:
  Pause(Link& link, Nanos duration) : link_(link), timer_(link.loop_, [this] { wake(); }) {
    timer_.arm(link.loop_.now() + duration);
    link.pause_ = this;
  }
  ~Pause() { link_.pause_ = nullptr; }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

  void wake() {
    timer_.cancel();
    if (waiter_) link_.loop_.post(std::exchange(waiter_, nullptr));
  }
  bool await_ready() const noexcept { return link_.phase_ == Phase::closed; }
  void await_suspend(std::coroutine_handle<> h) noexcept { waiter_ = h; }
  void await_resume() const noexcept {}

 private:
  Link& link_;
  fabric::Timer timer_;
  std::coroutine_handle<> waiter_;
};

NvmeDevice::Link::Link(EventLoop& loop, std::unique_ptr<Transport> transport, std::string nqn,
                       std::uint32_t nsid, InitiatorOptions options)
    : name(fmt::format("namespace {} of {} at {}", nsid, nqn, transport->name())),
      loop_(loop),
      transport_(std::move(transport)),
      nqn_(std::move(nqn)),
      nsid_(nsid),
      options_(std::move(options)),
      tick_(loop, [this] { on_tick(); }) {
  SCALIO_ASSERT(options_.queue_depth > 0 && options_.keep_alive > kMillisecond);
  pieces_.reserve(options_.queue_depth);
  for (std::uint32_t i = 0; i < options_.queue_depth; ++i) {
    idle_.push_back(&pieces_.emplace_back(*this));
  }
}

// --- The connection ---

Task<Status> NvmeDevice::Link::attach() {
  association_ = std::make_unique<Association>(loop_, *transport_, options_,
                                               [this](const Status& why) { on_association_lost(why); });
  Status status = co_await association_->connect(nqn_);
  if (!status.ok()) co_return status;
  Result<IdentifyNamespace> found = co_await association_->identify_namespace(nsid_);
  if (!found.ok()) co_return found.status();
  if (Status s = check_namespace(*found); !s.ok()) co_return s;
  status = co_await association_->connect_io_queue();
  if (!status.ok()) co_return status;
  if (phase_ == Phase::closed) co_return Status(Code::unavailable, name + " was closed");

  what = *found;
  identified_ = true;
  depth_ = association_->io_depth();
  phase_ = Phase::connected;
  co_return Status();
}

Task<Status> NvmeDevice::Link::connect_first() {
  const auto self = shared_from_this();
  Status status = co_await attach();
  if (!status.ok()) association_.reset();
  co_return status;
}

Status NvmeDevice::Link::check_namespace(const IdentifyNamespace& found) const {
  if (!identified_) {
    if (found.block_size > block::BlockDevice::kBufferAlignment || found.metadata_size != 0) {
      return Status(
          Code::invalid,
          fmt::format("{} has blocks of {} bytes with {} of metadata; {} at most and "
                      "none are supported",
                      name, found.block_size, found.metadata_size, block::BlockDevice::kBufferAlignment));
    }
    return Status();
  }
  if (found.id == what.id && found.blocks == what.blocks && found.block_size == what.block_size) {
    return Status();
  }
  return Status(Code::unavailable, name + " is another one than before the connection was lost");
}

void NvmeDevice::Link::on_association_lost(const Status& why) {
  if (phase_ != Phase::connected) return;  // attach() learns of it by itself
  phase_ = Phase::disconnected;
  lost_ = why;
  lost_at_ = loop_.now();
  loop_.spawn(reconnect());
}

Task<void> NvmeDevice::Link::reconnect() {
  const auto self = shared_from_this();
  // Out of the association's callback: it may not be destroyed from there.
  co_await loop_.yield();
  for (Nanos pause = kFirstPause; phase_ != Phase::closed; pause = std::min(2 * pause, kLongestPause)) {
    // What was in flight ends here at the latest.
    association_.reset();
    {
      Pause sleep(*this, pause);
      co_await sleep;
    }
    if (phase_ == Phase::closed) break;
    Status status = co_await attach();
    if (status.ok()) {
      ++reconnects;
      issue_waiting();
      co_return;
    }
    lost_ = std::move(status);
  }
  association_.reset();
}

Task<void> NvmeDevice::Link::close() {
  const auto self = shared_from_this();
  const bool connected = std::exchange(phase_, Phase::closed) == Phase::connected;
  lost_ = Status(Code::unavailable, "it was closed");
  if (pause_ != nullptr) pause_->wake();
  if (connected) {
    co_await association_->shut_down();
    association_.reset();
  } else if (association_) {
    association_->lose(lost_);
  }
}

void NvmeDevice::Link::abandon() {
  SCALIO_ASSERT(idle_.size() == pieces_.size() && waiting_.empty());
  tick_.cancel();
  const Phase before = std::exchange(phase_, Phase::closed);
  if (before == Phase::connected) {
    association_.reset();
  } else if (before == Phase::disconnected) {
    // The coroutine that connects again sees it and ends.
    if (pause_ != nullptr) pause_->wake();
    if (association_) association_->lose(Status(Code::unavailable, "the device was closed"));
  }
}

// --- Operations ---

void NvmeDevice::Link::start(block::Io& io) {
  Transfer* transfer = nullptr;
  if (idle_transfers_.empty()) {
    transfer = &transfers_.emplace_back();
  } else {
    transfer = idle_transfers_.back();
    idle_transfers_.pop_back();
  }
  transfer->io = &io;
  transfer->issued = 0;
  transfer->since = loop_.now();
  transfer->all_issued = io.size == 0 && io.kind != block::Io::Kind::flush;
  transfer->status = Status();
  if (phase_ == Phase::closed) {
    transfer->all_issued = true;
    transfer->status = Status(Code::unavailable, fmt::format("{}: it was closed", describe(io)));
  }
  if (transfer->all_issued) return finish(*transfer);

  watch_time();
  const bool alive = phase_ == Phase::connected && association_->io_queue().alive();
  if (alive && waiting_.empty()) issue(*transfer);
  if (!transfer->all_issued) waiting_.push_back(transfer);
}

// Issues as many commands of it as may be in flight.
void NvmeDevice::Link::issue(Transfer& transfer) {
  const block::Io& io = *transfer.io;
  while (!transfer.all_issued && in_flight_ < depth_) {
    const std::uint64_t limit = association_->max_transfer();
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(io.size - transfer.issued, limit));
    const BlockRange range{(io.offset + transfer.issued) / what.block_size,
                           static_cast<std::uint32_t>(size / what.block_size)};
    Piece& piece = *idle_.back();
    idle_.pop_back();
    piece.transfer = &transfer;
    piece.since = transfer.since;
    piece.data = io.data + transfer.issued;
    piece.size = size;
    switch (io.kind) {
      case block::Io::Kind::read: piece.command = make_io(IoOpcode::read, nsid_, range, false); break;
      case block::Io::Kind::write:
        piece.command = make_io(IoOpcode::write, nsid_, range, io.durability == block::Durability::stable);
        break;
      case block::Io::Kind::flush:
        piece.command = make_io(IoOpcode::flush, nsid_, {}, false);
        piece.data = nullptr;
        break;
    }
    transfer.issued += size;
    transfer.all_issued = transfer.issued == io.size;
    ++transfer.in_flight;
    ++in_flight_;
    association_->io_queue().submit(piece);
  }
}

void NvmeDevice::Link::issue_waiting() {
  // Its requests are told that the queue is lost before this is.
  if (waiting_.empty() || phase_ != Phase::connected || !association_->io_queue().alive()) return;
  const Nanos now = loop_.now();
  while (!waiting_.empty() && in_flight_ < depth_) {
    Transfer& transfer = *waiting_.front();
    // Its commands are bounded from now on.
    transfer.since = now;
    issue(transfer);
    if (transfer.all_issued) waiting_.pop_front();
  }
}

void NvmeDevice::Link::on_done(Piece& piece, const Completion& completion) {
  if (status_code(completion) == StatusCode::success) return end_piece(piece, Status());
  end_piece(piece, failure_of(completion, CommandKind::io, describe(*piece.transfer->io)));
}

void NvmeDevice::Link::on_piece_lost(Piece& piece, const Status& why) {
  const block::Io& io = *piece.transfer->io;
  const bool read = io.kind == block::Io::Kind::read;
  end_piece(piece, Status(Code::unavailable,
                          fmt::format("{}: the connection was lost: {}{}", describe(io), why.message(),
                                      read ? "" : "; whether it took effect is unknown")));
}

void NvmeDevice::Link::end_piece(Piece& piece, Status status) {
  Transfer& transfer = *std::exchange(piece.transfer, nullptr);
  idle_.push_back(&piece);
  --in_flight_;
  --transfer.in_flight;
  if (!status.ok() && transfer.status.ok()) {
    transfer.status = std::move(status);
    // The rest of it is of no use.
    if (!std::exchange(transfer.all_issued, true)) {
      SCALIO_ASSERT(waiting_.front() == &transfer);
      waiting_.pop_front();
    }
  }
  if (transfer.in_flight == 0 && transfer.all_issued) finish(transfer);
  issue_waiting();
}

void NvmeDevice::Link::finish(Transfer& transfer) {
  block::Io& io = *std::exchange(transfer.io, nullptr);
  block::count(counters, io, transfer.status);
  idle_transfers_.push_back(&transfer);
  io.complete(loop_, std::move(transfer.status));
}

std::string NvmeDevice::Link::describe(const block::Io& io) const {
  if (io.kind == block::Io::Kind::flush) return fmt::format("flush of {}", name);
  return fmt::format("{} of {} bytes at offset {} of {}", io.kind == block::Io::Kind::read ? "read" : "write",
                     io.size, io.offset, name);
}

// --- Time ---

void NvmeDevice::Link::watch_time() {
  if (!tick_.armed())
    tick_.arm(loop_.now() +
              std::max(kMillisecond, std::min(options_.command_timeout, options_.reconnect_wait) / kTicks));
}

void NvmeDevice::Link::on_tick() {
  const Nanos now = loop_.now();
  if (phase_ == Phase::connected) {
    const bool late = std::ranges::any_of(pieces_, [&](const Piece& piece) {
      return piece.transfer != nullptr && now - piece.since > options_.command_timeout;
    });
    // A command cannot be taken back alone: its data could still come.
    if (late) association_->lose(Status(Code::timed_out, "a command was not answered in time"));
  } else {
    while (!waiting_.empty()) {
      Transfer& transfer = *waiting_.front();
      if (transfer.in_flight > 0 || now - std::max(transfer.since, lost_at_) <= options_.reconnect_wait)
        break;
      waiting_.pop_front();
      transfer.all_issued = true;
      transfer.status =
          Status(Code::unavailable, fmt::format("{}: it was not sent, there is no connection: {}",
                                                describe(*transfer.io), lost_.message()));
      finish(transfer);
    }
  }
  if (in_flight_ > 0 || !waiting_.empty()) watch_time();
}

// --- The device ---

Task<Result<std::unique_ptr<NvmeDevice>>> NvmeDevice::connect(EventLoop& loop,
                                                              std::unique_ptr<Transport> transport,
                                                              std::string subsystem_nqn, std::uint32_t nsid,
                                                              InitiatorOptions options) {
  auto link =
      std::make_shared<Link>(loop, std::move(transport), std::move(subsystem_nqn), nsid, std::move(options));
  Status status = co_await link->connect_first();
  if (!status.ok()) co_return status;
  co_return std::unique_ptr<NvmeDevice>(new NvmeDevice(std::move(link)));
}

NvmeDevice::~NvmeDevice() { link_->abandon(); }

Task<void> NvmeDevice::close() { return link_->close(); }

const std::string& NvmeDevice::name() const { return link_->name; }
std::uint64_t NvmeDevice::size() const { return link_->what.blocks * link_->what.block_size; }
std::uint32_t NvmeDevice::block_size() const { return link_->what.block_size; }
const block::Counters& NvmeDevice::counters() const { return link_->counters; }
const NamespaceId& NvmeDevice::id() const { return link_->what.id; }
std::uint64_t NvmeDevice::reconnects() const { return link_->reconnects; }

void NvmeDevice::start(block::Io& io) { link_->start(io); }

}  // namespace scalio::nvmf
