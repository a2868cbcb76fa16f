#include "client/value_upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "client/record_end.h"
#include "layout/value_area.h"
#include "task/sync.h"

namespace scalio::client {

using layout::Request;
using layout::RequestKind;

namespace {
// Of a part that the server had no room for, or that was lost with a connection.
constexpr Nanos kFirstRetry = kMillisecond;
constexpr Nanos kMaxRetry = 100 * kMillisecond;

bool may_be_sent_again(Code code) { return code == Code::busy || code == Code::unavailable; }

// An upload that the server does not know, or takes no part of: the caller's arguments are right.
Status ended_early(const Status& why) {
  if (why.code() != Code::invalid) return why;
  return Status(Code::unavailable,
                fmt::format("the value was not written: the server has given up its upload: {}",
                            why.message()));
}
}  // namespace

// What the requests in flight share with the upload, which may end before them.
struct ValueUpload::State {
  State(ShardLink& l, PartTurns& t, const LargeWrite& write, ClientCounters& c)
      : link(l),
        executor(l.deadlines().executor()),
        turns(t),
        key(write.key),
        length(write.length),
        counters(c),
        changed(executor) {}

  Bytes message_of(RequestKind kind, std::string_view value) const {
    Request request;
    request.kind = kind;
    request.key = key;
    request.value = value;
    Bytes message;
    layout::encode(message, request);
    return message;
  }
  std::string upload_bytes() const {
    Bytes bytes;
    layout::encode(bytes, upload);
    return std::string(as_string(bytes));
  }

  void note_refusal(const Status& why) {
    if (why.code() == Code::busy) refused = why.message();
  }
  // What the server was too busy for, to go on a message with; empty if it was not.
  std::string why_refused() const {
    return refused.empty() ? "" : fmt::format("; the server was busy: {}", refused);
  }

  ShardLink& link;
  Executor& executor;
  PartTurns& turns;
  const std::string key;
  const std::uint32_t length;
  ClientCounters& counters;
  std::uint64_t session = 0;  // that the upload is of; 0: there is none
  layout::Upload upload;
  std::string refused;                  // as busy, the last time that it was
  std::optional<FairTurns::Turn> turn;  // of uploads, if it waits for one
  Status failure;                       // the first of a part
  bool given_up = false;                // nothing is sent for it any more
  std::size_t in_flight = 0;
  WaitList changed;
};

ValueUpload::ValueUpload(ShardLink& link, PartTurns& turns, const LargeWrite& write, Nanos timeout,
                         ClientCounters& counters)
    : deadlines_(link.deadlines()),
      timeout_(timeout),
      expected_(write.expected),
      expiry_(write.expiry),
      state_(std::make_shared<State>(link, turns, write, counters)) {}

ValueUpload::~ValueUpload() { state_->given_up = true; }

Nanos ValueUpload::step_deadline() const {
  return deadline_ ? *deadline_ : deadlines_.executor().now() + timeout_;
}

template <class T>
Task<T> ValueUpload::in_time(Task<T> step) {
  return until(step_deadline(), std::move(step));
}

template <class T>
Task<T> ValueUpload::until(Nanos deadline, Task<T> step) {
  const auto late = [this]() -> T {
    return Status(Code::timed_out,
                  fmt::format("the value was not sent within {} ms{}{}", timeout_ / kMillisecond,
                              state_->link.why_lost(), state_->why_refused()));
  };
  co_return co_await deadlines_.within(deadline, std::move(step), late);
}

Task<Result<std::uint64_t>> ValueUpload::run_in_turn(const Source& source,
                                                     std::optional<Nanos> deadline) {
  State& s = *state_;
  deadline_ = deadline;
  const Status came = co_await wait_for_turn();
  if (!came.ok()) {
    s.given_up = true;
    s.turn.reset();
    co_return came;
  }
  Result<std::uint64_t> version = co_await run(source);
  s.turn.reset();
  co_return version;
}

Task<Result<std::uint64_t>> ValueUpload::run(const Source& source) {
  State& s = *state_;
  if (layout::parts_of(s.length, s.key.size()) <= layout::kPartsOfAPut) {
    Status live;
    if (!s.link.alive()) live = co_await in_time(connected(state_));
    if (!live.ok()) co_return live;
    if ((s.link.current()->features & layout::kValuePuts) != 0)
      co_return co_await put_whole(source);
  }
  Status status = ended_early(co_await in_time(begin(state_)));
  if (status.ok()) status = co_await send_parts(source);
  if (status.ok()) co_return co_await commit();
  s.given_up = true;
  if (s.session != 0) s.executor.spawn(abandon(state_));
  co_return status;
}

// Its place among those that wait stays when it is looked whether it has waited for too long.
Task<Status> ValueUpload::wait_for_turn() {
  State& s = *state_;
  const Nanos began = s.executor.now();
  s.executor.spawn(queue(state_));
  for (;;) {
    const Nanos patience = s.turns.uploads.patience(began, timeout_);
    Status came = co_await until(deadline_.value_or(patience), in_turn(state_));
    if (came.ok() || deadline_ || s.turns.uploads.patience(began, timeout_) == patience)
      co_return came;
  }
}

// A turn that comes when nobody waits for it any more goes back.
Task<void> ValueUpload::queue(std::shared_ptr<State> state) {
  State& s = *state;
  co_await s.turns.uploads.take();
  s.turn.emplace(s.turns.uploads);
  if (s.given_up) s.turn.reset();
  s.changed.wake_all();
}

Task<Status> ValueUpload::in_turn(std::shared_ptr<State> state) {
  while (!state->turn && !state->given_up) co_await state->changed.wait();
  co_return Status();
}

Task<Status> ValueUpload::connected(std::shared_ptr<State> state) {
  const Result<std::shared_ptr<ShardConnection>> live = co_await state->link.get();
  co_return live.status();
}

// What the server knows holds for the session: another may be with an older release.
Task<Result<std::uint64_t>> ValueUpload::put_whole(const Source& source) {
  State& s = *state_;
  const std::uint64_t session = s.link.current()->hello.session;
  const Result<std::string_view> bytes = co_await source(0, s.length);
  if (!bytes.ok()) co_return bytes.status();
  Result<FairTurns::Turn> turn = co_await in_time(room(state_));
  if (!turn.ok()) co_return turn.status();
  Request request = write_of(RequestKind::value_put, RequestKind::value_put_if);
  request.value = *bytes;
  const Result<WriteReply> done =
      co_await s.link.write(request, step_deadline(), session, *std::move(turn));
  if (!done.ok()) co_return done.status();
  s.counters.parts_written += layout::parts_of(s.length, s.key.size());
  s.turns.uploads.got_on();
  co_return done->version;
}

// A reply that is lost leaves an upload behind that the server gives up by itself.
Task<Status> ValueUpload::begin(std::shared_ptr<State> state) {
  State& s = *state;
  Bytes length;
  layout::encode(length, layout::ValueBegin{s.length});
  Bytes message = s.message_of(RequestKind::value_begin, as_string(length));
  for (Nanos wait = kFirstRetry;; wait = std::min(2 * wait, kMaxRetry)) {
    const Result<std::shared_ptr<ShardConnection>> live = co_await s.link.get();
    if (!live.ok()) co_return live.status();
    const Result<ShardLink::Answer> answer = co_await s.link.request(message, 0);
    if (answer.ok()) {
      const std::optional<layout::Upload> upload = layout::decode_upload(as_bytes(answer->text));
      if (!upload) co_return Status(Code::unavailable, "the server's reply is malformed");
      s.session = answer->session;
      s.upload = *upload;
      s.refused.clear();
      // Whoever waited for it has gone.
      if (s.given_up) s.executor.spawn(abandon(state));
      co_return Status();
    }
    if (!may_be_sent_again(answer.code()) || s.given_up) co_return answer.status();
    s.note_refusal(answer.status());
    co_await s.executor.sleep(wait);
    if (s.given_up) co_return answer.status();
  }
}

// Until one more part may be under way.
Task<Result<FairTurns::Turn>> ValueUpload::room(std::shared_ptr<State> state) {
  State& s = *state;
  while (s.in_flight >= kAhead && s.failure.ok()) co_await s.changed.wait();
  if (!s.failure.ok()) co_return s.failure;
  co_await s.turns.sends.take();
  co_return FairTurns::Turn(s.turns.sends);
}

Task<Status> ValueUpload::sent(std::shared_ptr<State> state) {
  while (state->in_flight > 0 && state->failure.ok()) co_await state->changed.wait();
  co_return state->failure;
}

Task<Status> ValueUpload::send_parts(const Source& source) {
  State& s = *state_;
  const std::uint32_t capacity = layout::part_capacity(s.key.size());
  for (std::uint32_t index = 0; index < layout::parts_of(s.length, s.key.size()); ++index) {
    const std::uint64_t offset = std::uint64_t{index} * capacity;
    const auto size =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(capacity, s.length - offset));
    const Result<std::string_view> bytes = co_await source(offset, size);
    if (!bytes.ok()) co_return bytes.status();
    Result<FairTurns::Turn> turn = co_await in_time(room(state_));
    if (!turn.ok()) co_return ended_early(turn.status());
    Request request;
    request.kind = RequestKind::value_part;
    request.key = s.key;
    Bytes message;
    layout::encode(message, request, layout::ValuePartBytes{s.upload, index, as_bytes(*bytes)});
    ++s.in_flight;
    s.executor.spawn(send(state_, std::move(message), *std::move(turn)));
  }
  co_return ended_early(co_await in_time(sent(state_)));
}

// The turn goes back with the task's frame.
Task<void> ValueUpload::send(std::shared_ptr<State> state, Bytes message,
                             [[maybe_unused]] FairTurns::Turn turn) {
  State& s = *state;
  Status carried = co_await carry(s, message);
  if (carried.ok()) {
    ++s.counters.parts_written;
    s.turns.uploads.got_on();
  }
  if (!carried.ok() && s.failure.ok()) s.failure = std::move(carried);
  --s.in_flight;
  s.changed.wake_all();
}

Task<Status> ValueUpload::carry(State& s, Bytes& message) {
  for (Nanos wait = kFirstRetry;; wait = std::min(2 * wait, kMaxRetry)) {
    const Result<std::shared_ptr<ShardConnection>> live = co_await s.link.get();
    if (!live.ok()) co_return live.status();
    if ((*live)->hello.session != s.session) {
      co_return Status(Code::unavailable,
                       "the value was not written: the server was restarted meanwhile");
    }
    if (s.given_up) co_return Status(Code::timed_out, "the part was not sent");
    const Result<ShardLink::Answer> answer = co_await s.link.request(message, s.session);
    if (answer.ok()) co_return Status();
    if (!may_be_sent_again(answer.code())) co_return answer.status();
    s.note_refusal(answer.status());
    co_await s.executor.sleep(wait);
  }
}

// Whatever comes of it: the server gives the upload up by itself, later. It does not while it has
// parts to write.
Task<void> ValueUpload::abandon(std::shared_ptr<State> state) {
  while (state->in_flight > 0) co_await state->changed.wait();
  Bytes message = state->message_of(RequestKind::value_abandon, state->upload_bytes());
  [[maybe_unused]] const Result<ShardLink::Answer> answer =
      co_await state->link.request(message, state->session);
}

Request ValueUpload::write_of(RequestKind kind, RequestKind conditional) const {
  Request request;
  request.kind = expected_ ? conditional : kind;
  request.expected = expected_.value_or(0);
  request.key = state_->key;
  set_expiry(request, expiry_);
  return request;
}

Task<Result<std::uint64_t>> ValueUpload::commit() {
  State& s = *state_;
  const std::string upload = s.upload_bytes();
  Request request = write_of(RequestKind::value_commit, RequestKind::value_commit_if);
  request.value = upload;
  const Result<WriteReply> done = co_await s.link.write(request, step_deadline(), s.session);
  if (!done.ok()) co_return ended_early(done.status());
  co_return done->version;
}

}  // namespace scalio::client
