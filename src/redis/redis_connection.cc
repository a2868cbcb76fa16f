#include "redis/redis_connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <span>
#include <utility>

#include "base/assert.h"
#include "redis/command_table.h"
#include "redis/gateway_users.h"

namespace scalio::redis {

namespace {
// What a connection keeps of its memory while it has nothing to do.
constexpr std::size_t kMostKept = 64 << 10;
// Calls kept for later, of all connections.
constexpr std::size_t kMostIdleCalls = 1024;
// Of who has not said which user it is.
constexpr resp::RequestLimits kOfStrangers{
    .bulk = 16 << 10, .arguments = 10, .request = 16 << 10, .line = 16 << 10};

void clear(std::string& memory) {
  memory.clear();
  if (memory.capacity() > kMostKept) memory = std::string();
}
}  // namespace

RedisConnection::RedisConnection(GatewayState& state, net::StreamSocket socket,
                                 RedisSession session, std::function<void()> on_ended)
    : state_(state),
      socket_(std::move(socket)),
      session_(std::move(session)),
      room_(state.replies, session_.place,
            [this] { give_up("takes its replies too slowly while others wait for room"); }),
      on_ended_(std::move(on_ended)),
      work_(state.loop, [this] { work(); }),
      stall_(state.loop,
             [this] {
               give_up(fmt::format("takes nothing of its replies for {} s",
                                   state_.limits.stall / kSecond));
             }),
      entry_(state.loop, [this] {
        if (!open() || (socket_.established() && !is_stranger())) return;
        give_up(fmt::format("no {} in {} s",
                            socket_.established() ? "AUTH that was right" : "TLS handshake",
                            state_.limits.entry / kSecond));
      }) {
  if (socket_.tls() || is_stranger()) entry_.arm(state.loop.now() + state.limits.entry);
  session_.room = &room_;
  state_.sessions[session_.id] = &session_;
  // Hangups are watched for too, so that a receive that does not fill its space has emptied the
  // socket.
  readiness_.emplace(state.loop, socket_.fd(), POLLIN | POLLRDHUP, [this](std::uint32_t events) {
    hangup_ |= (events & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    session_.sends_no_more |= hangup_;
    if ((events & (POLLHUP | POLLERR)) != 0) {
      leave();
    } else if (hangup_ && state_.users != nullptr) {
      state_.users->client_left();
    }
    readable_ = true;
    work_.schedule();
  });
}

RedisConnection::~RedisConnection() {
  SCALIO_ASSERT(ended());
  state_.sessions.erase(session_.id);
}

// --- Taking requests ---

void RedisConnection::work() {
  if (open()) execute(receive());
  if (open()) flush();
  // Held up by commands in flight it is called when one has ended, by replies when they are taken.
  if ((blocked_ || readable_) && !held_ && may_begin()) work_.schedule();
  end_if_done();
}

// What may be begun, or kept until it may: replies that are not taken, and commands that wait,
// leave the rest in the socket. Of a stranger one command at a time: it may be the AUTH that
// decides how what follows is read.
bool RedisConnection::may_begin() const {
  const std::size_t most = is_stranger() ? 1 : state_.limits.in_flight;
  return open() && !session_.quits && calls_.size() < most &&
         out_.size() + waiting_ < state_.limits.queued &&
         (!state_.replies.full() || room_.used() < ReplyMemory::kAlways);
}

std::string_view RedisConnection::receive() {
  if (!readable_ || held_ || blocked_ || !may_begin()) return {};
  std::vector<char>& space = state_.receive_space;
  const auto [n, emptied, taken] = socket_.receive(std::as_writable_bytes(std::span(space)));
  const int error = errno;
  if (n > 0) {
    readable_ = !emptied || hangup_;
    session_.heard = state_.loop.now();
    return {space.data(), static_cast<std::size_t>(n)};
  }
  if (n < 0 && error == EINTR) return {};
  readable_ = false;
  if (n == 0) {
    finish();
  } else if (error == EPROTO) {
    give_up(socket_.reason(error));
  } else if (error != EAGAIN) {
    close();
  }
  return {};
}

// Begins what can be begun of what was received, now and before.
void RedisConnection::execute(std::string_view fresh) {
  const bool kept = !input_.empty();
  if (kept) input_ += fresh;
  const std::string_view received = kept ? std::string_view(input_) : fresh;
  std::size_t taken = 0;
  while (may_begin()) {
    if (!held_ && !take_call(received, &taken)) break;
    if (!order_.may_begin(*held_)) break;
    start(std::move(held_));
  }
  blocked_ = !may_begin();
  keep(session_.quits || !open() ? std::string_view() : received.substr(taken));
}

// The next whole request becomes held_. False: there is none.
bool RedisConnection::take_call(std::string_view received, std::size_t* taken) {
  for (;;) {
    parser_.use(is_stranger() ? kOfStrangers : resp::RequestLimits());
    const Result<bool> whole = parser_.parse(received.substr(*taken));
    if (!whole.ok()) {
      refuse("ERR " + whole.status().message());
      return false;
    }
    if (!*whole) return false;
    std::unique_ptr<CommandCall> call = new_call();
    call->begin(session_, parser_);
    *taken += parser_.size();
    parser_.next();
    if (call->count() == 0) continue;
    const std::string_view name = (*call)[0];
    // A web page can have a browser send these to any port.
    if (same_word(name, "post") || same_word(name, "host:")) {
      give_up("speaks HTTP");
      return false;
    }
    call->set_row(find_command(name));
    held_ = std::move(call);
    return true;
  }
}

std::unique_ptr<CommandCall> RedisConnection::new_call() {
  if (state_.idle_calls.empty()) return std::make_unique<CommandCall>(state_);
  std::unique_ptr<CommandCall> call = std::move(state_.idle_calls.back());
  state_.idle_calls.pop_back();
  return call;
}

// What follows cannot be understood.
void RedisConnection::refuse(std::string_view error) {
  std::unique_ptr<CommandCall> call = new_call();
  call->begin(session_, resp::RequestParser());
  call->fail(error);
  session_.quits = true;
  held_.reset();
  CommandCall& refused = *call;
  calls_.push_back(std::move(call));
  starting_ = &refused;
  on_done(refused);
}

void RedisConnection::keep(std::string_view rest) {
  state_.unfinished -= std::exchange(session_.unfinished, rest.size());
  state_.unfinished += session_.unfinished;
  if (rest.empty()) {
    clear(input_);
  } else if (input_.empty()) {
    input_ = rest;
  } else {
    input_.erase(0, input_.size() - rest.size());
  }
  // The largest are in the way of the others.
  if (state_.unfinished > state_.limits.unfinished && session_.unfinished > kMostKept) {
    refuse(fmt::format("ERR requests that are not whole have more than {} bytes, of all clients",
                       state_.limits.unfinished));
  }
}

// --- Commands ---

void RedisConnection::start(std::unique_ptr<CommandCall> call) {
  CommandCall& begun = *call;
  calls_.push_back(std::move(call));
  begun.first = calls_.size() == 1;
  starting_ = &begun;
  ++state_.commands;
  std::string wrong = refusal(begun);
  if (wrong.empty()) wrong = denial(begun);
  if (!wrong.empty()) {
    begun.fail(wrong);
    return on_done(begun);
  }
  session_.command = begun.row()->name;
  carry(*this, begun);
  // It waits for something.
  if (std::exchange(starting_, nullptr) == nullptr) return;
  begun.waits_since = state_.loop.now();
  order_.begin(begun);
}

Detached RedisConnection::carry(RedisConnection& connection, CommandCall& call) {
  co_await call.row()->handler(call);
  connection.on_done(call);
}

void RedisConnection::on_done(CommandCall& call) {
  const bool at_once = starting_ == &call;
  if (at_once) {
    starting_ = nullptr;
  } else {
    order_.end(call);
    state_.slow.ended(call, state_.loop.now() - call.waits_since);
  }
  if (entry_.armed() && !is_stranger()) entry_.cancel();
  // RESET has made it one.
  if (!entry_.armed() && is_stranger()) entry_.arm(state_.loop.now() + state_.limits.entry);
  settle(call);
  call.done = true;
  waiting_ += call.replied().size();
  while (!calls_.empty() && calls_.front()->done) {
    answer(std::move(calls_.front()));
    calls_.pop_front();
  }
  if (!calls_.empty() && !calls_.front()->first) {
    calls_.front()->first = true;
    calls_.front()->turn.wake_all();
  }
  if (!at_once) work_.schedule();
}

// The room that it has becomes that of its reply. A large one that has none is given up; what has
// changed something is not among them, as it has room for the old value before it changes it.
void RedisConnection::settle(CommandCall& call) {
  const std::uint64_t had = std::exchange(call.room, 0);
  const std::uint64_t size = call.replied().size();
  if (had == 0 && size > ReplyMemory::kAlways && !room_.fits(size)) {
    call.fail(call.no_room());
  }
  room_.take(call.replied().size());
  room_.give_back(had);
  if (call.first) room_.grown();  // else it may be another's that is in flight
}

void RedisConnection::answer(std::unique_ptr<CommandCall> call) {
  const std::size_t size = call->replied().size();
  waiting_ -= size;
  if (open()) {
    room_.leave(size);
    if (call->replied().size() < ReplyQueue::kLarge) {
      out_.add(call->replied());
    } else {
      out_.add_large(call->take_reply());
    }
  } else {
    room_.give_back(size);
  }
  if (state_.idle_calls.size() < kMostIdleCalls && call->reusable()) {
    state_.idle_calls.push_back(std::move(call));
  }
}

// --- Replies ---

void RedisConnection::flush() {
  while (!out_.empty() || socket_.unsent()) {
    const bool more = !out_.empty();  // else it is only what TLS has made of it
    const std::string_view next = more ? out_.next() : std::string_view();
    const ssize_t n = socket_.send(as_bytes(next));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (writable_) return;
      stall_.arm(state_.loop.now() + state_.limits.stall);
      writable_.emplace(state_.loop, socket_.fd(), POLLOUT,
                        [this](std::uint32_t) { work_.schedule(); });
      return;
    }
    if (n < 0) return close();
    if (n == 0 && !next.empty() && !socket_.unsent()) {  // TLS waits for the other end
      if (!stall_.armed()) stall_.arm(state_.loop.now() + state_.limits.stall);
      return;
    }
    if (more) room_.left(static_cast<std::size_t>(n), out_.sent(static_cast<std::size_t>(n)));
    if (writable_) stall_.arm(state_.loop.now() + state_.limits.stall);
  }
  writable_.reset();
  stall_.cancel();
}

// --- The end ---

void RedisConnection::finish() {
  session_.quits = true;
  held_.reset();
  work_.schedule();
}

// Strangers can have it do this as often as they like.
void RedisConnection::give_up(std::string_view why) {
  state_.log.warn(state_.loop.now(), fmt::format("{}: {}: closed", session_.peer, why));
  close();
}

void RedisConnection::close() {
  if (!open()) return;
  readiness_.reset();
  writable_.reset();
  stall_.cancel();
  entry_.cancel();
  socket_.close();
  held_.reset();
  room_.left(0, out_.held());
  out_.clear();
  keep({});
  leave();
  work_.schedule();
}

// No reply reaches it any more: what waits for its turn, or for room, ends.
void RedisConnection::leave() {
  session_.gone = true;
  for (std::size_t i = 0; i < calls_.size(); ++i) calls_[i]->turn.wake_all();
  state_.replies.wake();
  if (state_.users != nullptr) state_.users->client_left();
}

void RedisConnection::end_if_done() {
  if (open() && session_.quits && calls_.empty() && out_.empty() && !socket_.unsent()) close();
  if (ended() && !std::exchange(said_ended_, true)) on_ended_();
}

}  // namespace scalio::redis
