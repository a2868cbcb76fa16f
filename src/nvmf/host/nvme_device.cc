#include "nvmf/host/nvme_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <coroutine>
#include <deque>
#include <utility>
#include <vector>

#include "block/count.h"
#include "nvmf/host/association.h"
#include "nvmf/wire/status_code.h"
#include "task/timer.h"

namespace scalio::nvmf {

namespace {
// Between attempts to connect again, and to use a path that is inaccessible; while nobody waits for
// it, longer.
constexpr Nanos kFirstPause = 10 * kMillisecond;
constexpr Nanos kLongestPause = 100 * kMillisecond;
constexpr Nanos kLongestIdlePause = kSecond;
// The first attempt to connect again gets so long, later ones longer: a packet that is lost in an
// outage is sent again only after a second.
constexpr Nanos kFirstAttempt = 500 * kMillisecond;
// Between an event and asking for the next, so that no controller can keep a host busy with them.
constexpr Nanos kEventPause = 10 * kMillisecond;
// Bounds on operations are kept to this fraction of them.
constexpr Nanos kTicks = 8;

// Whether the namespace cannot be reached this way, but perhaps soon. The command was not carried
// out.
bool path_may_come_back(StatusCode code) {
  return code == StatusCode::ana_inaccessible || code == StatusCode::ana_transition ||
         code == StatusCode::internal_path_error || code == StatusCode::controller_pathing_error;
}

std::string describe(const IdentifyNamespace& n) {
  std::string names;
  const auto add = [&](std::string_view kind, const auto& value) {
    if (value == std::remove_cvref_t<decltype(value)>{}) return;
    names += fmt::format("{} ", kind);
    for (const std::byte b : value) names += fmt::format("{:02x}", std::to_integer<unsigned>(b));
    names += ", ";
  };
  add("NGUID", n.id.nguid);
  add("UUID", n.id.uuid);
  add("EUI64", n.id.eui64);
  return fmt::format("{}{} blocks of {} bytes", names, n.blocks, n.block_size);
}
}  // namespace

class NvmeDevice::NamespaceLink : public std::enable_shared_from_this<NamespaceLink> {
 public:
  NamespaceLink(EventLoop& loop, std::unique_ptr<QueueTransport> transport, std::string nqn,
                std::uint32_t nsid, InitiatorOptions options);

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
  struct BlockTransfer {
    block::Io* io = nullptr;
    std::size_t issued = 0;
    std::uint32_t in_flight = 0;  // commands
    bool all_issued = false;      // or no more are to be
    Nanos since = 0;
    Status status;
  };
  // A command of it.
  class TransferPiece final : public Submission {
   public:
    explicit TransferPiece(NamespaceLink& owner) : link(owner) {}
    void on_done(const Completion& completion) override { link.on_done(*this, completion); }
    void on_lost(const Status& why) override { link.on_piece_lost(*this, why); }

    NamespaceLink& link;
    BlockTransfer* transfer = nullptr;  // null: idle
    Nanos since = 0;
    Nanos inaccessible_since = 0;  // its path; 0 if it was not
    bool parked = false;           // and so it is not with the queue
  };

  Task<Status> attach(Nanos bound);
  Task<void> reconnect();
  void on_association_lost(const Status& why);
  void doubt();
  Task<void> check_again();
  Status check_namespace(const IdentifyNamespace& found) const;

  void issue(BlockTransfer& transfer);
  void issue_waiting();
  void on_done(TransferPiece& piece, const Completion& completion);
  void on_piece_lost(TransferPiece& piece, const Status& why);
  void end_piece(TransferPiece& piece, Status status);
  void park(TransferPiece& piece, StatusCode why);
  void try_parked();
  void drop_parked(const Status& why);
  bool may_issue() const {
    return phase_ == Phase::connected && !doubted_ && association_->io_queue().alive();
  }
  void finish(BlockTransfer& transfer);
  std::string describe(const block::Io& io) const;

  void watch_time();
  void on_tick();
  // When an operation that waits for a connection has waited long enough.
  Nanos end_of_wait(const BlockTransfer& t) const {
    return std::max(t.since, lost_at_) + options_.reconnect_wait;
  }

  class ReconnectPause;

  EventLoop& loop_;
  const std::unique_ptr<QueueTransport> transport_;
  const std::string nqn_;
  const std::uint32_t nsid_;
  const InitiatorOptions options_;
  Phase phase_ = Phase::disconnected;
  bool identified_ = false;
  Status lost_;  // why there is no connection
  Nanos lost_at_ = 0;
  ReconnectPause* pause_ = nullptr;
  std::unique_ptr<Association> association_;
  bool event_ = false;     // of namespaces, on this association
  bool suspect_ = false;   // something says that the namespace may have changed
  bool doubted_ = false;   // and it has not been identified since: nothing more is sent to it
  bool checking_ = false;  // a coroutine uses the association
  bool abandoned_ = false;

  // Made once, or reused: no allocation per Io.
  std::vector<TransferPiece> pieces_;
  std::vector<TransferPiece*> idle_;
  std::uint32_t in_flight_ = 0;  // commands
  std::uint32_t depth_ = 0;      // at most so many
  std::deque<BlockTransfer> transfers_;
  std::vector<BlockTransfer*> idle_transfers_;
  // Whose commands wait for others to end, or for a connection. Only the first may have been issued
  // in part.
  std::deque<BlockTransfer*> waiting_;

  std::vector<TransferPiece*> parked_;
  Nanos parked_pause_ = kFirstPause;

  Timer tick_;
  Timer parked_timer_;
};

// A sleep that the end of the device, or of its association, ends.
class NvmeDevice::NamespaceLink::ReconnectPause {
 public:
  ReconnectPause(NamespaceLink& link, Nanos duration)
      : link_(link), until_(link.loop_.now() + duration), timer_(link.loop_, [this] { wake(); }) {
    timer_.arm(until_);
    link.pause_ = this;
  }
  ~ReconnectPause() { link_.pause_ = nullptr; }
  ReconnectPause(const ReconnectPause&) = delete;
  ReconnectPause& operator=(const ReconnectPause&) = delete;

  void wake() {
    timer_.cancel();
    if (waiter_) link_.loop_.post(std::exchange(waiter_, nullptr));
  }
  // Somebody waits for its end.
  void hurry() {
    const Nanos soon = link_.loop_.now() + kLongestPause;
    if (until_ > soon && waiter_) timer_.arm(until_ = soon);
  }
  bool await_ready() const noexcept { return link_.phase_ == Phase::closed; }
  void await_suspend(std::coroutine_handle<> h) noexcept { waiter_ = h; }
  void await_resume() const noexcept {}

 private:
  NamespaceLink& link_;
  Nanos until_;
  Timer timer_;
  std::coroutine_handle<> waiter_;
};

NvmeDevice::NamespaceLink::NamespaceLink(EventLoop& loop, std::unique_ptr<QueueTransport> transport,
                                         std::string nqn, std::uint32_t nsid,
                                         InitiatorOptions options)
    : name(fmt::format("namespace {} of {} at {}", nsid, nqn, transport->name())),
      loop_(loop),
      transport_(std::move(transport)),
      nqn_(std::move(nqn)),
      nsid_(nsid),
      options_(std::move(options)),
      tick_(loop, [this] { on_tick(); }),
      parked_timer_(loop, [this] { try_parked(); }) {
  SCALIO_ASSERT(options_.queue_depth > 0 && options_.keep_alive > kMillisecond);
  pieces_.reserve(options_.queue_depth);
  for (std::uint32_t i = 0; i < options_.queue_depth; ++i) {
    idle_.push_back(&pieces_.emplace_back(*this));
  }
}

// --- The connection ---

Task<Status> NvmeDevice::NamespaceLink::attach(Nanos bound) {
  event_ = suspect_ = doubted_ = false;
  association_ = std::make_unique<Association>(
      loop_, *transport_, options_, [this](const Status& why) { on_association_lost(why); });
  Status status = co_await association_->connect(nqn_, bound);
  if (!status.ok()) co_return status;
  // Before it is identified, so that no change goes unnoticed.
  status = co_await association_->watch_namespaces([this] {
    event_ = true;
    doubt();
  });
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
  if (event_) doubt();
  co_return Status();
}

Task<Status> NvmeDevice::NamespaceLink::connect_first() {
  const auto self = shared_from_this();
  Status status =
      co_await attach(options_.first_connect_timeout.value_or(options_.connect_timeout));
  if (!status.ok()) association_.reset();
  co_return status;
}

Status NvmeDevice::NamespaceLink::check_namespace(const IdentifyNamespace& found) const {
  if (!identified_) {
    if (found.block_size > block::BlockDevice::kBufferAlignment || found.metadata_size != 0) {
      return Status(Code::invalid,
                    fmt::format("{} has blocks of {} bytes with {} of metadata; {} at most and "
                                "none are supported",
                                name, found.block_size, found.metadata_size,
                                block::BlockDevice::kBufferAlignment));
    }
    return Status();
  }
  if (found.id == what.id && found.blocks == what.blocks && found.block_size == what.block_size) {
    return Status();
  }
  return Status(Code::invalid,
                fmt::format("{} is another one than before: expected {}, there is {}", name,
                            nvmf::describe(what), nvmf::describe(found)));
}

void NvmeDevice::NamespaceLink::on_association_lost(const Status& why) {
  if (phase_ != Phase::connected) return;  // attach() learns of it by itself
  phase_ = Phase::disconnected;
  lost_ = why;
  lost_at_ = loop_.now();
  drop_parked(why);
  if (pause_ != nullptr) pause_->wake();
  loop_.spawn(reconnect());
}

Task<void> NvmeDevice::NamespaceLink::reconnect() {
  const auto self = shared_from_this();
  Nanos pause = kFirstPause;
  for (Nanos bound = kFirstAttempt;; bound = std::min(2 * bound, options_.connect_timeout)) {
    // Out of the association's callback, and of what else uses it: it may not be destroyed from
    // there.
    do co_await loop_.yield();
    while (checking_);
    // What was in flight ends here at the latest.
    association_.reset();
    {
      ReconnectPause sleep(*this, pause);
      co_await sleep;
    }
    pause = std::min(2 * pause, waiting_.empty() ? kLongestIdlePause : kLongestPause);
    if (phase_ == Phase::closed) break;
    Status status = co_await attach(std::min(bound, options_.connect_timeout));
    if (status.ok()) {
      ++reconnects;
      issue_waiting();
      co_return;
    }
    if (phase_ == Phase::closed) break;
    lost_ = std::move(status);
  }
  association_.reset();
}

// The namespace may have been replaced: nothing more is sent to it until it has been identified
// again.
void NvmeDevice::NamespaceLink::doubt() {
  if (phase_ != Phase::connected) return;  // attach() goes on, and comes here again
  suspect_ = doubted_ = true;
  if (!std::exchange(checking_, true)) loop_.spawn(check_again());
}

Task<void> NvmeDevice::NamespaceLink::check_again() {
  const auto self = shared_from_this();
  while (phase_ == Phase::connected && doubted_) {
    const bool event = std::exchange(event_, false);
    suspect_ = false;
    bool changed = true;
    if (event) {
      Result<bool> listed = co_await association_->changed(nsid_);
      changed = !listed.ok() || *listed;
    }
    Status status;
    if (changed && phase_ == Phase::connected) {
      Result<IdentifyNamespace> found = co_await association_->identify_namespace(nsid_);
      status = found.ok() ? check_namespace(*found) : found.status();
    }
    if (phase_ != Phase::connected) break;
    doubted_ = suspect_;
    if (!status.ok()) association_->lose(status);
    issue_waiting();
    if (!event) continue;
    {
      ReconnectPause sleep(*this, kEventPause);
      co_await sleep;
    }
    if (phase_ == Phase::connected) association_->ask_for_event();
  }
  checking_ = false;
  if (abandoned_) association_.reset();
}

Task<void> NvmeDevice::NamespaceLink::close() {
  const auto self = shared_from_this();
  const bool connected = std::exchange(phase_, Phase::closed) == Phase::connected;
  lost_ = Status(Code::unavailable, "it was closed");
  if (pause_ != nullptr) pause_->wake();
  if (connected) {
    drop_parked(lost_);
    co_await association_->shut_down();
    while (checking_) co_await loop_.yield();
    association_.reset();
  } else if (association_) {
    association_->lose(lost_);
  }
}

void NvmeDevice::NamespaceLink::abandon() {
  SCALIO_ASSERT(idle_.size() == pieces_.size() && waiting_.empty());
  tick_.cancel();
  const Phase before = std::exchange(phase_, Phase::closed);
  if (before == Phase::closed) return;
  // A coroutine that uses the association sees it and ends.
  if (pause_ != nullptr) pause_->wake();
  if (before == Phase::connected && !checking_) {
    association_.reset();
  } else if (association_) {
    abandoned_ = before == Phase::connected;
    association_->lose(Status(Code::unavailable, "the device was closed"));
  }
}

// --- Operations ---

void NvmeDevice::NamespaceLink::start(block::Io& io) {
  BlockTransfer* transfer = nullptr;
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

  if (waiting_.empty() && may_issue()) issue(*transfer);
  if (!transfer->all_issued) waiting_.push_back(transfer);
  watch_time();
  if (phase_ == Phase::disconnected && pause_ != nullptr) pause_->hurry();
}

// Issues as many commands of it as may be in flight.
void NvmeDevice::NamespaceLink::issue(BlockTransfer& transfer) {
  const block::Io& io = *transfer.io;
  while (!transfer.all_issued && in_flight_ < depth_) {
    const std::uint64_t limit = association_->max_transfer();
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(io.size - transfer.issued, limit));
    const BlockRange range{(io.offset + transfer.issued) / what.block_size,
                           static_cast<std::uint32_t>(size / what.block_size)};
    TransferPiece& piece = *idle_.back();
    idle_.pop_back();
    piece.transfer = &transfer;
    piece.since = transfer.since;
    piece.inaccessible_since = 0;
    piece.data = io.data + transfer.issued;
    piece.size = size;
    switch (io.kind) {
      case block::Io::Kind::read:
        piece.command = make_io(IoOpcode::read, nsid_, range, false);
        break;
      case block::Io::Kind::write:
        piece.command =
            make_io(IoOpcode::write, nsid_, range, io.durability == block::Durability::stable);
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

void NvmeDevice::NamespaceLink::issue_waiting() {
  // Its requests are told that the queue is lost before this is.
  if (waiting_.empty() || !may_issue()) return;
  const Nanos now = loop_.now();
  while (!waiting_.empty() && in_flight_ < depth_) {
    BlockTransfer& transfer = *waiting_.front();
    // Its commands are bounded from now on.
    transfer.since = now;
    issue(transfer);
    if (transfer.all_issued) waiting_.pop_front();
  }
}

void NvmeDevice::NamespaceLink::on_done(TransferPiece& piece, const Completion& completion) {
  const StatusCode status = status_code(completion);
  if (status == StatusCode::success) {
    parked_pause_ = kFirstPause;
    return end_piece(piece, Status());
  }
  if (path_may_come_back(status)) return park(piece, status);
  const std::string io = describe(*piece.transfer->io);
  if (status != StatusCode::invalid_namespace_or_format)
    return end_piece(piece, failure_of(completion, CommandKind::io, io));
  // It was there when it was identified.
  doubt();
  end_piece(piece, Status(Code::unavailable, fmt::format("{}: {}: is the namespace still there?",
                                                         io, name_of(status, CommandKind::io))));
}

// The command waits for its path as others wait for a lost connection.
void NvmeDevice::NamespaceLink::park(TransferPiece& piece, StatusCode why) {
  const Nanos now = loop_.now();
  if (piece.inaccessible_since == 0) piece.inaccessible_since = now;
  if (phase_ != Phase::connected || now - piece.inaccessible_since >= options_.reconnect_wait) {
    return end_piece(piece, Status(Code::unavailable, fmt::format("{}: it was not done: {}",
                                                                  describe(*piece.transfer->io),
                                                                  name_of(why, CommandKind::io))));
  }
  piece.parked = true;
  parked_.push_back(&piece);
  if (parked_timer_.armed()) return;
  const Nanos end = piece.inaccessible_since + options_.reconnect_wait;
  parked_timer_.arm(std::min(now + parked_pause_, end));
  parked_pause_ = std::min(2 * parked_pause_, kLongestPause);
}

void NvmeDevice::NamespaceLink::try_parked() {
  // On a lost queue they are told so.
  for (TransferPiece* piece : std::exchange(parked_, {})) {
    piece->parked = false;
    piece->since = loop_.now();
    association_->io_queue().submit(*piece);
  }
}

void NvmeDevice::NamespaceLink::drop_parked(const Status& why) {
  parked_timer_.cancel();
  for (TransferPiece* piece : std::exchange(parked_, {})) {
    piece->parked = false;
    end_piece(*piece, Status(Code::unavailable,
                             fmt::format("{}: it was not done: the connection was lost: {}",
                                         describe(*piece->transfer->io), why.message())));
  }
}

void NvmeDevice::NamespaceLink::on_piece_lost(TransferPiece& piece, const Status& why) {
  const block::Io& io = *piece.transfer->io;
  const bool read = io.kind == block::Io::Kind::read;
  end_piece(piece,
            Status(Code::unavailable,
                   fmt::format("{}: the connection was lost: {}{}", describe(io), why.message(),
                               read ? "" : "; whether it took effect is unknown")));
}

void NvmeDevice::NamespaceLink::end_piece(TransferPiece& piece, Status status) {
  BlockTransfer& transfer = *std::exchange(piece.transfer, nullptr);
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

void NvmeDevice::NamespaceLink::finish(BlockTransfer& transfer) {
  block::Io& io = *std::exchange(transfer.io, nullptr);
  block::count(counters, io, transfer.status);
  idle_transfers_.push_back(&transfer);
  io.complete(loop_, std::move(transfer.status));
}

std::string NvmeDevice::NamespaceLink::describe(const block::Io& io) const {
  if (io.kind == block::Io::Kind::flush) return fmt::format("flush of {}", name);
  return fmt::format("{} of {} bytes at offset {} of {}",
                     io.kind == block::Io::Kind::read ? "read" : "write", io.size, io.offset, name);
}

// --- Time ---

void NvmeDevice::NamespaceLink::watch_time() {
  if (tick_.armed()) return;
  const Nanos now = loop_.now();
  const Nanos tick =
      std::max(kMillisecond, std::min(options_.command_timeout, options_.reconnect_wait) / kTicks);
  const bool waits = phase_ == Phase::disconnected && !waiting_.empty();
  tick_.arm(waits ? std::clamp(end_of_wait(*waiting_.front()), now, now + tick) : now + tick);
}

void NvmeDevice::NamespaceLink::on_tick() {
  const Nanos now = loop_.now();
  if (phase_ == Phase::connected) {
    const bool late = std::ranges::any_of(pieces_, [&](const TransferPiece& piece) {
      return piece.transfer != nullptr && !piece.parked &&
             now - piece.since > options_.command_timeout;
    });
    // A command cannot be taken back alone: its data could still come.
    if (late) association_->lose(Status(Code::timed_out, "a command was not answered in time"));
  } else {
    // Where it is known that waiting does not help, who uses the device is to know it, too.
    const Code code = lost_.code() == Code::invalid ? Code::invalid : Code::unavailable;
    while (!waiting_.empty()) {
      BlockTransfer& transfer = *waiting_.front();
      if (transfer.in_flight > 0 || now < end_of_wait(transfer)) break;
      waiting_.pop_front();
      transfer.all_issued = true;
      transfer.status = Status(code, fmt::format("{}: it was not sent, there is no connection: {}",
                                                 describe(*transfer.io), lost_.message()));
      finish(transfer);
    }
  }
  if (in_flight_ > 0 || !waiting_.empty()) watch_time();
}

// --- The device ---

Task<Result<std::unique_ptr<NvmeDevice>>> NvmeDevice::connect(
    EventLoop& loop, std::unique_ptr<QueueTransport> transport, std::string subsystem_nqn,
    std::uint32_t nsid, InitiatorOptions options) {
  auto link = std::make_shared<NamespaceLink>(loop, std::move(transport), std::move(subsystem_nqn),
                                              nsid, std::move(options));
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
