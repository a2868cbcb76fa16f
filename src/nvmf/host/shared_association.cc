#include "nvmf/host/shared_association.h"

#include <fmt/format.h>

#include <algorithm>
#include <coroutine>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "nvmf/wire/log_page.h"
#include "task/timer.h"

namespace scalio::nvmf {

namespace {
// Between attempts to connect again, or to identify a namespace that is another one; while nobody
// waits for it, longer.
constexpr Nanos kFirstPause = 10 * kMillisecond;
constexpr Nanos kLongestPause = 100 * kMillisecond;
constexpr Nanos kLongestIdlePause = kSecond;
// The first attempt to connect again gets so long, later ones longer: a packet that is lost in an
// outage is sent again only after a second.
constexpr Nanos kFirstAttempt = 500 * kMillisecond;
// Between an event and asking for the next, so that no controller can keep a host busy with them.
constexpr Nanos kEventPause = 10 * kMillisecond;

InitiatorOptions with_depth_for_all(InitiatorOptions options) {
  const std::uint64_t all = std::uint64_t{options.queue_depth} * std::max(options.namespaces, 1U);
  options.queue_depth = static_cast<std::uint32_t>(std::min<std::uint64_t>(all, UINT32_MAX));
  return options;
}
}  // namespace

// In place of a command whose owner has gone.
class SharedAssociation::LateCommand final : public Submission {
 public:
  LateCommand(SharedAssociation& association, std::shared_ptr<Share> share, const Submission& of)
      : association_(association), share_(std::move(share)), bytes_(of.size) {
    if (of.size > 0 && direction_of(of.command) == Direction::to_controller) {
      std::copy_n(of.data, of.size, bytes_.data());
    }
    data = bytes_.data();
    size = of.size;
  }
  void on_done(const Completion&) override {
    association_.note_answer();
    on_lost(Status());
  }
  void on_lost(const Status&) override {
    association_.give_back(*share_);
    delete this;
  }

 private:
  SharedAssociation& association_;
  const std::shared_ptr<Share> share_;
  Bytes bytes_;
};

SharedAssociation::SharedAssociation(EventLoop& loop, std::string where, std::string subsystem_nqn,
                                     TransportMaker make_transport, InitiatorOptions options)
    : loop_(loop),
      where_(std::move(where)),
      nqn_(std::move(subsystem_nqn)),
      name_(fmt::format("{} at {}", nqn_, where_)),
      make_transport_(std::move(make_transport)),
      options_(with_depth_for_all(std::move(options))),
      bound_(options_.first_connect_timeout.value_or(options_.connect_timeout)) {
  SCALIO_ASSERT(options_.queue_depth > 0 && options_.keep_alive > kMillisecond);
}

SharedAssociation::~SharedAssociation() { SCALIO_ASSERT(members_.empty() && !working_); }

// --- Users ---

std::shared_ptr<SharedAssociation::Share> SharedAssociation::join(
    std::shared_ptr<NamespaceUser> user, std::uint32_t nsid) {
  SCALIO_ASSERT(!closed_);
  std::shared_ptr<Share> share = shares_[nsid].lock();
  if (!share) shares_[nsid] = share = std::make_shared<Share>(nsid);
  members_.push_back({std::move(user), share, true, 0, kFirstPause});
  deal();
  begin_work();
  return share;
}

SharedAssociation::Member* SharedAssociation::find(const NamespaceUser& user) {
  for (Member& member : members_) {
    if (member.user.get() == &user) return &member;
  }
  return nullptr;
}

// Whether it was the last one.
bool SharedAssociation::remove(NamespaceUser& user) {
  Member* const gone = find(user);
  if (gone == nullptr) return false;
  std::erase(gone->share->starved, &user);
  if (gone->share->starved.empty()) std::erase(starved_, gone->share.get());
  std::erase_if(members_, [&](const Member& member) { return member.user.get() == &user; });
  deal();
  if (!members_.empty()) return false;
  closed_ = true;
  connected_ = false;
  if (pause_ != nullptr) pause_->wake();
  return true;
}

void SharedAssociation::leave(NamespaceUser& user) {
  if (!remove(user)) return;
  // A coroutine that uses the association sees it and ends.
  if (!working_) {
    association_.reset();
  } else if (association_) {
    association_->lose(Status(Code::unavailable, "the device was closed"));
  }
}

Task<void> SharedAssociation::leave_orderly(std::shared_ptr<NamespaceUser> user) {
  const auto self = shared_from_this();
  const bool was_connected = connected_;
  if (!remove(*user)) co_return;
  shutting_down_ = true;
  if (was_connected) {
    co_await association_->shut_down();
  } else if (association_) {
    association_->lose(Status(Code::unavailable, "it was closed"));
  }
  while (working_) co_await loop_.yield();
  association_.reset();
}

void SharedAssociation::identify_again(NamespaceUser& user) {
  Member* const member = find(user);
  if (member == nullptr) return;
  member->look = true;
  member->look_at = 0;
  begin_work();
}

void SharedAssociation::hurry(NamespaceUser& user) {
  const Nanos soon = loop_.now() + kLongestPause;
  if (Member* const member = find(user)) member->look_at = std::min(member->look_at, soon);
  if (pause_ != nullptr) pause_->end_by(soon);
}

bool SharedAssociation::waited_for() const {
  return std::ranges::any_of(members_, [](const Member& m) { return m.user->waiting(); });
}

// --- The queue's shares ---

// However many namespaces there are, each has one command: more than the queue takes wait for each
// other.
void SharedAssociation::deal() {
  std::erase_if(shares_, [](const auto& entry) { return entry.second.expired(); });
  const auto namespaces = static_cast<std::uint32_t>(shares_.size());
  most_of_one_ = std::max(1U, depth_ / std::max({1U, namespaces, options_.namespaces}));
}

bool SharedAssociation::has_room(Share& share, NamespaceUser& user) {
  if (!full(share) && held_ < depth_) return true;
  std::deque<NamespaceUser*>& waiting = share.starved;
  if (std::ranges::find(waiting, &user) == waiting.end()) waiting.push_back(&user);
  line_up(share);
  return false;
}

// Among those to whom only the queue has no room. A share that is full has commands in flight, and
// lines up when one of them ends.
void SharedAssociation::line_up(Share& share) {
  if (share.starved.empty() || full(share)) return;
  if (std::ranges::find(starved_, &share) == starved_.end()) starved_.push_back(&share);
}

void SharedAssociation::take(Share& share) {
  ++share.held;
  ++held_;
}

// A user who is told may take nothing, or not all that there is: then it is the next one's.
void SharedAssociation::give_back(Share& share) {
  SCALIO_ASSERT(share.held > 0 && held_ > 0);
  --share.held;
  --held_;
  line_up(share);
  while (!starved_.empty() && held_ < depth_ && connected()) {
    Share& next = *starved_.front();
    starved_.pop_front();
    NamespaceUser* const user = next.starved.front();
    next.starved.pop_front();
    user->issue_waiting();
    line_up(next);
  }
}

void SharedAssociation::set_aside(std::shared_ptr<Share> share, Submission& late) {
  auto by = std::make_unique<LateCommand>(*this, std::move(share), late);
  association_->io_queue().replace(late, *by.release());  // it ends by itself
}

// --- Work: to connect, and to identify ---

void SharedAssociation::begin_work() {
  if (pause_ != nullptr) pause_->wake();
  if (!std::exchange(working_, true)) loop_.spawn(work());
}

// Runs while there is something to do.
Task<void> SharedAssociation::work() {
  const auto self = shared_from_this();
  while (!closed_) {
    if (!connected_) {
      co_await connect_again();
    } else if (event_) {
      co_await read_event();
    } else if (Member* const member = due()) {
      co_await identify(member->user);
    } else if (ask_at_ != 0 && loop_.now() >= ask_at_) {
      ask_at_ = 0;
      association_->ask_for_event();
    } else if (const Nanos next = next_work(); next != 0) {
      Pause sleep(loop_, next, closed_, pause_);
      co_await sleep;
    } else {
      break;
    }
  }
  working_ = false;
  if (closed_ && !shutting_down_) association_.reset();
}

Task<void> SharedAssociation::connect_again() {
  if (attempted_) {
    // Out of the association's callback: it may not be destroyed from there.
    co_await loop_.yield();
    // What was in flight ends here at the latest.
    association_.reset();
    const Nanos until = loop_.now() + pause_before_;
    pause_before_ = std::min(2 * pause_before_, waited_for() ? kLongestPause : kLongestIdlePause);
    while (!closed_ && loop_.now() < until) {
      Pause sleep(loop_, until, closed_, pause_);
      co_await sleep;
      if (waited_for()) break;
    }
    if (closed_) co_return;
  }
  Status status = co_await attach(bound_);
  if (closed_) co_return;
  if (status.ok()) {
    depth_ = association_->io_depth();
    deal();
    connected_ = attempted_ = true;
    for (Member& member : members_) {
      member.look = true;
      member.look_at = 0;
    }
    co_return;
  }
  lost_ = std::move(status);
  if (attempted_) {
    bound_ = std::min(2 * bound_, options_.connect_timeout);
    co_return;
  }
  closed_ = true;
  refuse_all();
}

// Who is told lets go of it on a later turn.
void SharedAssociation::refuse_all() {
  for (const Member& member : members_) member.user->on_refused(lost_);
}

Task<Status> SharedAssociation::attach(Nanos bound) {
  const Nanos deadline = loop_.now() + bound;
  event_ = false;
  ask_at_ = 0;
  if (!transport_) {
    Result<std::unique_ptr<QueueTransport>> made = co_await make_transport_(deadline);
    if (!made.ok()) co_return made.status();
    transport_ = *std::move(made);
    if (closed_) co_return Status(Code::unavailable, name_ + " was closed");
  }
  association_ = std::make_unique<Association>(loop_, *transport_, options_,
                                               [this](const Status& why) { on_lost(why); });
  Status status = co_await association_->connect(nqn_, deadline - std::min(deadline, loop_.now()));
  if (!status.ok()) co_return status;
  // Before any namespace is identified, so that no change goes unnoticed.
  status = co_await association_->watch_namespaces([this] {
    event_ = true;
    if (!connected_) return;
    for (const Member& member : members_) member.user->set_doubted(true);
    begin_work();
  });
  if (!status.ok()) co_return status;
  co_return co_await association_->connect_io_queue();
}

void SharedAssociation::on_lost(const Status& why) {
  if (!std::exchange(connected_, false)) return;  // attach() learns of it by itself
  lost_ = why;
  bound_ = std::min(kFirstAttempt, options_.connect_timeout);
  pause_before_ = kFirstPause;
  starved_.clear();
  for (const Member& member : members_) member.share->starved.clear();
  for (const Member& member : members_) member.user->on_association_lost(why);
  begin_work();
}

// One that is to be identified now.
SharedAssociation::Member* SharedAssociation::due() {
  const Nanos now = loop_.now();
  for (Member& member : members_) {
    if (member.look && member.look_at <= now) return &member;
  }
  return nullptr;
}

// When there is something to do again; 0: not before it is asked for.
Nanos SharedAssociation::next_work() const {
  Nanos next = ask_at_;
  for (const Member& member : members_) {
    if (member.look && (next == 0 || member.look_at < next)) next = member.look_at;
  }
  return next;
}

Task<void> SharedAssociation::identify(std::shared_ptr<NamespaceUser> user) {
  find(*user)->look = false;
  const Result<IdentifyNamespace> found =
      co_await association_->identify_namespace(find(*user)->share->nsid);
  Member* const member = find(*user);  // it may have gone
  if (closed_ || !connected_ || member == nullptr) co_return;
  if (user->on_identified(found)) {
    member->pause = kFirstPause;
    if (!member->look && !event_) user->set_doubted(false);
    co_return;
  }
  member->look = true;
  member->look_at = loop_.now() + member->pause;
  member->pause = std::min(2 * member->pause, user->waiting() ? kLongestPause : kLongestIdlePause);
}

// All are in doubt since it came; those that it is not about go on.
Task<void> SharedAssociation::read_event() {
  event_ = false;
  const Result<std::vector<std::uint32_t>> changed = co_await association_->changed();
  if (closed_ || !connected_) co_return;
  const auto about = [&](std::uint32_t nsid) {
    return !changed.ok() || std::ranges::any_of(*changed, [&](std::uint32_t n) {
      return n == nsid || n == kTooManyNamespaces;
    });
  };
  for (Member& member : members_) {
    if (about(member.share->nsid)) {
      member.look = true;
      member.look_at = 0;
    } else if (!member.look && !event_) {
      member.user->set_doubted(false);
    }
  }
  ask_at_ = loop_.now() + kEventPause;
}

}  // namespace scalio::nvmf
