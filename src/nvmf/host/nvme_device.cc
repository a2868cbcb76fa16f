#include "nvmf/host/nvme_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <coroutine>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/ring.h"
#include "block/count.h"
#include "nvmf/host/shared_association.h"
#include "nvmf/wire/status_code.h"
#include "task/timer.h"

namespace scalio::nvmf {

namespace {
// Between attempts to use a path that is inaccessible.
constexpr Nanos kFirstPause = 10 * kMillisecond;
constexpr Nanos kLongestPause = 100 * kMillisecond;
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

class NvmeDevice::NamespaceLink final : public NamespaceUser,
                                        public std::enable_shared_from_this<NamespaceLink> {
 public:
  NamespaceLink(EventLoop& loop, std::shared_ptr<SharedAssociation> association, std::uint32_t nsid,
                InitiatorOptions options);

  // Says what the device is.
  Task<Status> connect();
  Task<void> close();
  void abandon();

  void start(block::Io& io);

  const std::string name;
  IdentifyNamespace what;
  block::Counters counters;
  std::uint64_t reconnects = 0;

 private:
  enum class State : std::uint8_t {
    unknown,   // not identified since the association was connected, or it is not
    usable,    // the namespace that it is to be
    unusable,  // lost_ says why
    closed,
  };

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
    std::uint64_t answers_before = 0;  // of the association
    Nanos inaccessible_since = 0;      // its path; 0 if it was not
    bool parked = false;               // and so it is not with the queue
  };
  class Connected;

  bool on_identified(const Result<IdentifyNamespace>& found) override;
  void set_doubted(bool doubted) override;
  void issue_waiting() override;
  void on_association_lost(const Status& why) override;
  void on_refused(const Status& why) override { settle(why); }
  bool waiting() const override { return !waiting_.empty() || !settled_; }

  void settle(Status status);
  Status why_late() const {
    const bool lost = !association_->connected() && !association_->why_lost().ok();
    return lost ? association_->why_lost() : Status(Code::timed_out, name + ": no answer in time");
  }
  void doubt();
  Status check_namespace(const IdentifyNamespace& found) const;

  void issue(BlockTransfer& transfer);
  void submit(TransferPiece& piece);
  void on_done(TransferPiece& piece, const Completion& completion);
  void on_piece_lost(TransferPiece& piece, const Status& why);
  void end_piece(TransferPiece& piece, Status status);
  void finish_piece(TransferPiece& piece, Status status);
  Status cut_off(const TransferPiece& piece, Code code, const std::string& why) const;
  void set_aside(TransferPiece& piece, Code code, const std::string& why);
  void set_all_aside(const Status& why);
  void park(TransferPiece& piece, StatusCode why);
  void try_parked();
  void drop_parked(const Status& why);
  // While it is not, operations wait.
  bool usable() const { return state_ == State::usable && association_->connected(); }
  bool has_room() {
    return in_flight_ < options_.queue_depth && association_->has_room(*share_, *this);
  }
  void finish(BlockTransfer& transfer);
  std::string describe(const block::Io& io) const;

  void watch_time();
  void on_tick();
  void end_late_pieces(Nanos now);
  void give_up(Code code, const std::string& why);
  // When an operation that waits for a connection has waited long enough.
  Nanos end_of_wait(const BlockTransfer& t) const {
    return std::max(t.since, lost_at_) + options_.reconnect_wait;
  }

  EventLoop& loop_;
  const std::shared_ptr<SharedAssociation> association_;
  const std::uint32_t nsid_;
  const InitiatorOptions options_;
  std::shared_ptr<SharedAssociation::Share> share_;  // while it is one of its users
  State state_ = State::unknown;
  bool identified_ = false;
  bool doubted_ = false;  // it has to be identified again: nothing more is sent to it
  Status lost_;           // why it is not usable
  Nanos lost_at_ = 0;

  // The outcome of connect(), once it is known.
  std::optional<Status> settled_;
  std::coroutine_handle<> connecting_;
  Timer connect_timer_;

  // Made once, or reused: no allocation per Io.
  std::vector<TransferPiece> pieces_;
  std::vector<TransferPiece*> idle_;
  std::uint32_t in_flight_ = 0;  // commands that are waited for
  std::deque<BlockTransfer> transfers_;
  std::vector<BlockTransfer*> idle_transfers_;
  // Whose commands wait for others to end, or for a connection. Only the first may have been issued
  // in part.
  Ring<BlockTransfer*> waiting_;

  std::vector<TransferPiece*> parked_;
  Nanos parked_pause_ = kFirstPause;

  Timer tick_;
  Timer parked_timer_;
};

NvmeDevice::NamespaceLink::NamespaceLink(EventLoop& loop,
                                         std::shared_ptr<SharedAssociation> association,
                                         std::uint32_t nsid, InitiatorOptions options)
    : name(fmt::format("namespace {} of {}", nsid, association->name())),
      loop_(loop),
      association_(std::move(association)),
      nsid_(nsid),
      options_(std::move(options)),
      connect_timer_(loop, [this] { settle(why_late()); }),
      tick_(loop, [this] { on_tick(); }),
      parked_timer_(loop, [this] { try_parked(); }) {
  SCALIO_ASSERT(options_.queue_depth > 0);
  pieces_.reserve(options_.queue_depth);
  for (std::uint32_t i = 0; i < options_.queue_depth; ++i) {
    idle_.push_back(&pieces_.emplace_back(*this));
  }
}

// --- The association ---

class NvmeDevice::NamespaceLink::Connected {
 public:
  explicit Connected(NamespaceLink& link) : link_(link) {}
  bool await_ready() const noexcept { return link_.settled_.has_value(); }
  void await_suspend(std::coroutine_handle<> h) noexcept { link_.connecting_ = h; }
  Status await_resume() const { return *link_.settled_; }

 private:
  NamespaceLink& link_;
};

Task<Status> NvmeDevice::NamespaceLink::connect() {
  const auto self = shared_from_this();
  connect_timer_.arm(loop_.now() +
                     options_.first_connect_timeout.value_or(options_.connect_timeout));
  share_ = association_->join(self, nsid_);
  Connected connected(*this);
  Status status = co_await connected;
  if (!status.ok()) {
    state_ = State::closed;
    association_->leave(*this);
  }
  co_return status;
}

void NvmeDevice::NamespaceLink::settle(Status status) {
  if (settled_) return;
  connect_timer_.cancel();
  settled_ = std::move(status);
  if (connecting_) loop_.post(std::exchange(connecting_, nullptr));
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

bool NvmeDevice::NamespaceLink::on_identified(const Result<IdentifyNamespace>& found) {
  if (state_ == State::closed) return true;
  Status status = found.ok() ? check_namespace(*found) : found.status();
  if (!status.ok()) {
    if (!identified_) settle(status);
    const bool was_usable = std::exchange(state_, State::unusable) == State::usable;
    lost_ = std::move(status);
    if (was_usable) {
      lost_at_ = loop_.now();
      drop_parked(lost_);
      // What answers them may be another one already.
      set_all_aside(lost_);
    }
    return false;
  }
  what = *found;
  const bool again = state_ != State::usable;
  state_ = State::usable;
  if (std::exchange(identified_, true)) {
    reconnects += again;
  } else {
    settle(Status());
  }
  issue_waiting();
  return true;
}

void NvmeDevice::NamespaceLink::on_association_lost(const Status& why) {
  if (state_ == State::closed) return;
  if (std::exchange(state_, State::unknown) == State::usable) lost_at_ = loop_.now();
  lost_ = why;
  doubted_ = false;
  drop_parked(why);
}

void NvmeDevice::NamespaceLink::set_doubted(bool doubted) {
  doubted_ = doubted;
  if (!doubted) issue_waiting();
}

// The namespace may have been replaced: nothing more is sent to it until it has been identified
// again.
void NvmeDevice::NamespaceLink::doubt() {
  if (!usable()) return;
  doubted_ = true;
  association_->identify_again(*this);
}

Task<void> NvmeDevice::NamespaceLink::close() {
  const auto self = shared_from_this();
  if (std::exchange(state_, State::closed) == State::closed) co_return;
  lost_ = Status(Code::unavailable, "it was closed");
  drop_parked(lost_);
  set_all_aside(lost_);
  co_await association_->leave_orderly(self);
}

void NvmeDevice::NamespaceLink::abandon() {
  SCALIO_ASSERT(idle_.size() == pieces_.size() && waiting_.empty());
  tick_.cancel();
  if (std::exchange(state_, State::closed) != State::closed) association_->leave(*this);
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
  if (state_ == State::closed) {
    transfer->all_issued = true;
    transfer->status = Status(Code::unavailable, fmt::format("{}: it was closed", describe(io)));
  }
  if (transfer->all_issued) return finish(*transfer);

  if (waiting_.empty() && usable() && !doubted_) issue(*transfer);
  if (!transfer->all_issued) waiting_.push_back(transfer);
  watch_time();
  if (!usable()) association_->hurry(*this);
}

// Issues as many commands of it as may be in flight.
void NvmeDevice::NamespaceLink::issue(BlockTransfer& transfer) {
  const block::Io& io = *transfer.io;
  while (!transfer.all_issued && has_room()) {
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
    association_->take(*share_);
    submit(piece);
  }
}

void NvmeDevice::NamespaceLink::submit(TransferPiece& piece) {
  piece.answers_before = association_->answers();
  association_->io_queue().submit(piece);
}

void NvmeDevice::NamespaceLink::issue_waiting() {
  // Its requests are told that the queue is lost before this is.
  if (waiting_.empty() || !usable() || doubted_) return;
  const Nanos now = loop_.now();
  while (!waiting_.empty() && has_room()) {
    BlockTransfer& transfer = *waiting_.front();
    // Its commands are bounded from now on.
    transfer.since = now;
    issue(transfer);
    if (transfer.all_issued) waiting_.pop_front();
  }
}

void NvmeDevice::NamespaceLink::on_done(TransferPiece& piece, const Completion& completion) {
  association_->note_answer();
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

// The command waits for its path as others wait for a lost connection. It keeps its place in the
// queue.
void NvmeDevice::NamespaceLink::park(TransferPiece& piece, StatusCode why) {
  const Nanos now = loop_.now();
  if (piece.inaccessible_since == 0) piece.inaccessible_since = now;
  if (!usable() || now - piece.inaccessible_since >= options_.reconnect_wait) {
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
    submit(*piece);
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
  end_piece(piece, cut_off(piece, Code::unavailable, "the connection was lost: " + why.message()));
}

// What becomes of an operation whose command may have been carried out.
Status NvmeDevice::NamespaceLink::cut_off(const TransferPiece& piece, Code code,
                                          const std::string& why) const {
  const block::Io& io = *piece.transfer->io;
  const bool read = io.kind == block::Io::Kind::read;
  return Status(code, fmt::format("{}: {}{}", describe(io), why,
                                  read ? "" : "; whether it took effect is unknown"));
}

// The command is with the controller, and its owner waits no longer.
void NvmeDevice::NamespaceLink::set_aside(TransferPiece& piece, Code code, const std::string& why) {
  association_->set_aside(share_, piece);
  finish_piece(piece, cut_off(piece, code, why));
}

void NvmeDevice::NamespaceLink::set_all_aside(const Status& why) {
  if (!association_->connected()) return;  // they end with it
  for (TransferPiece& piece : pieces_) {
    if (piece.transfer == nullptr) continue;
    set_aside(piece, Code::unavailable, "the namespace was lost: " + why.message());
  }
}

void NvmeDevice::NamespaceLink::end_piece(TransferPiece& piece, Status status) {
  association_->give_back(*share_);
  finish_piece(piece, std::move(status));
}

void NvmeDevice::NamespaceLink::finish_piece(TransferPiece& piece, Status status) {
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
  const bool waits = !usable() && !waiting_.empty();
  tick_.arm(waits ? std::clamp(end_of_wait(*waiting_.front()), now, now + tick) : now + tick);
}

void NvmeDevice::NamespaceLink::on_tick() {
  const Nanos now = loop_.now();
  if (usable()) {
    end_late_pieces(now);
    // Commands that nobody waits for have all places.
    while (!waiting_.empty() && in_flight_ == 0 &&
           now - waiting_.front()->since > options_.command_timeout) {
      give_up(Code::timed_out, "the commands before it are not answered");
    }
  } else {
    const Status& why = state_ == State::unknown ? association_->why_lost() : lost_;
    // Where it is known that waiting does not help, who uses the device is to know it, too.
    const Code code = why.code() == Code::invalid ? Code::invalid : Code::unavailable;
    while (!waiting_.empty()) {
      BlockTransfer& transfer = *waiting_.front();
      if (transfer.in_flight > 0 || now < end_of_wait(transfer)) break;
      give_up(code, "there is no connection: " + why.message());
    }
  }
  if (in_flight_ > 0 || !waiting_.empty()) watch_time();
}

// A command cannot be taken back: its data could still come.
void NvmeDevice::NamespaceLink::end_late_pieces(Nanos now) {
  constexpr const char* kLate = "a command was not answered in time";
  for (TransferPiece& piece : pieces_) {
    const bool late =
        piece.transfer != nullptr && !piece.parked && now - piece.since > options_.command_timeout;
    if (!late) continue;
    // Not only this namespace is silent.
    if (piece.answers_before == association_->answers()) {
      return association_->lose(Status(Code::timed_out, kLate));
    }
    set_aside(piece, Code::timed_out, kLate);
  }
}

// Of the operation that waits longest.
void NvmeDevice::NamespaceLink::give_up(Code code, const std::string& why) {
  BlockTransfer& transfer = *waiting_.front();
  waiting_.pop_front();
  transfer.all_issued = true;
  transfer.status =
      Status(code, fmt::format("{}: it was not sent, {}", describe(*transfer.io), why));
  finish(transfer);
}

// --- The device ---

Task<Result<std::unique_ptr<NvmeDevice>>> NvmeDevice::connect(
    EventLoop& loop, std::shared_ptr<SharedAssociation> association, std::uint32_t nsid,
    InitiatorOptions options) {
  auto link =
      std::make_shared<NamespaceLink>(loop, std::move(association), nsid, std::move(options));
  Status status = co_await link->connect();
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
