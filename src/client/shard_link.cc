#include "client/shard_link.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/timeouts.h"
#include "layout/rules.h"

namespace scalio::client {

using layout::Reply;
using layout::Request;
using layout::RequestKind;

namespace {
constexpr Nanos kFirstRetry = 5 * kMillisecond;
constexpr Nanos kMaxRetry = 100 * kMillisecond;
// The first attempt to connect again gets so long, later ones longer: a packet that is lost in an
// outage is sent again only after a second.
constexpr Nanos kFirstAttempt = 500 * kMillisecond;
// Of each so many calls one is left for requests that are not writes.
constexpr std::size_t kCallsForAnother = 16;

// Of the calls that a shard may have in flight: those for writes.
std::size_t writes_of(std::size_t calls) {
  calls = std::min<std::size_t>(calls, layout::kSessionWindow);
  return calls - (calls + kCallsForAnother - 1) / kCallsForAnother;
}

Status client_ends() { return Status(Code::unavailable, "the client is being destroyed"); }

// What a connection leaves in its place when it is closed while operations may still hold it.
class ClosedConnection final : public fabric::Connection {
 public:
  explicit ClosedConnection(fabric::Connection& before)
      : executor_(before.executor()), region_size_(before.region_size()), hello_(before.hello()) {}

  bool alive() const override { return false; }
  Status lost() const override { return client_ends(); }
  std::uint64_t region_size() const override { return region_size_; }
  const Bytes& hello() const override { return hello_; }
  Executor& executor() override { return executor_; }

 protected:
  void start(fabric::Op& op) override { op.complete(executor_, Code::unavailable); }
  void start(fabric::Call& call, ByteView) override { call.complete(executor_, lost()); }

 private:
  Executor& executor_;
  const std::uint64_t region_size_;
  const Bytes hello_;
};

// Where a shard's blocks are, in all that its lane has.
bool in_region(const layout::RegionGeometry& blocks, std::uint64_t region) {
  return blocks.base <= region && blocks.size() <= region - blocks.base;
}

bool may_pass(Code code) {
  return code == Code::unavailable || code == Code::timed_out || code == Code::busy;
}

}  // namespace

ShardLink::ShardLink(const Deadlines& deadlines, Connector connector, const ClientOptions& options)
    : executor_(deadlines.executor()),
      connector_(std::move(connector)),
      connect_timeout_(to_nanos(options.connect_timeout)),
      operation_timeout_(to_nanos(options.operation_timeout)),
      resume_timeout_(to_nanos(options.resume_timeout)),
      deadlines_(deadlines),
      connected_(executor_),
      turns_(executor_, 1),
      window_(executor_),
      time_told_(executor_) {}

std::string ShardLink::why_lost() const {
  if (!current_ || alive()) return "";
  return fmt::format("; the connection was lost: {}", current_->connection->lost().message());
}

void ShardLink::close() {
  closed_ = true;
  if (current_) {
    std::shared_ptr<fabric::Connection>& connection = current_->connection;
    connection = std::make_shared<ClosedConnection>(*connection);
  }
  window_.wake_all();
}

Task<Status> ShardLink::connect_once(Nanos bound) {
  const Nanos asked = executor_.now();
  Bytes hello;
  layout::encode(hello, layout::HelloRequest{session_->id});
  Result<JoinedShard> joined = co_await connector_(std::move(hello), bound);
  if (!joined.ok()) co_return joined.status();
  if (closed_) co_return client_ends();
  auto reply = layout::decode_hello_reply(joined->hello);
  if (!reply || !in_region(reply->region, joined->connection->region_size())) {
    co_return Status(Code::unavailable,
                     "the server's hello is malformed: is it of another version?");
  }
  const bool same = !current_ || (layout::same_store(current_->hello.ssd, reply->ssd) &&
                                  current_->hello.ssd.shard == reply->ssd.shard);
  if (!same && kept(Rule::same_shard)) {
    co_return Status(Code::unavailable, "another store is served there now; connect anew");
  }
  auto made = std::make_shared<ShardConnection>();
  made->connection = std::move(joined->connection);
  made->features = joined->features;
  made->calls = joined->calls;
  made->hello = *reply;
  made->connected_at = executor_.now();
  if (reply->store_time != 0) made->store_time.learn(reply->store_time, asked, made->connected_at);
  if (reply->session != session_->id) {
    // The old session is gone, with the outcome of what was in flight in it.
    session_ = std::make_shared<ClientSession>();
    session_->id = reply->session;
  }
  current_ = std::move(made);
  window_.wake_all();
  co_return Status();
}

// Tries until there is a connection, no hope of one, or no time left.
Task<Status> ShardLink::connect_again() {
  const bool first = current_ == nullptr;
  const std::string why = why_lost();
  const Nanos began = executor_.now();
  Nanos deadline = began + resume_timeout_;
  // Whoever connects for the first time waits for an attempt for as long as it takes.
  const Nanos patience = first ? first_deadline_.value_or(began + connect_timeout_) : deadline;
  deadline = std::min(deadline, patience);
  Nanos wait = kFirstRetry;
  for (Nanos bound = kFirstAttempt;; bound = std::min(2 * bound, connect_timeout_)) {
    const Nanos left = patience - std::min(patience, executor_.now());
    const Nanos most = first ? left : std::min({bound, left, connect_timeout_});
    Status made = co_await connect_once(most);
    if (made.ok()) co_return made;
    if (closed_ || !may_pass(made.code()) || executor_.now() + wait > deadline) {
      // That an attempt was cut short is no news: there is no connection. And what the other side
      // refuses is not said of a caller's arguments or of a key, but of its user it may be.
      const bool telling = made.code() == Code::denied ||
                           (may_pass(made.code()) && (first || made.code() != Code::timed_out));
      co_return Status(telling ? made.code() : Code::unavailable, made.message() + why);
    }
    co_await executor_.sleep(wait);
    wait = std::min(2 * wait, kMaxRetry);
  }
}

Task<Result<std::shared_ptr<ShardConnection>>> ShardLink::get() {
  if (current_ && executor_.forked()) co_return current_->connection->lost();  // for good
  while (!alive()) {
    if (closed_) co_return client_ends();
    if (connecting_) {
      co_await connected_.wait();
      if (!alive() && !connecting_ && !connect_failure_.ok()) co_return connect_failure_;
      continue;
    }
    connecting_ = true;
    connect_failure_ = co_await connect_again();
    connecting_ = false;
    connected_.wake_all();
    if (!connect_failure_.ok()) {
      ++connect_failures_;
      co_return connect_failure_;
    }
  }
  co_return current_;
}

bool ShardLink::has_room(const ShardConnection& link) const {
  return calls_ < writes_of(link.calls) &&
         session_->next_sequence < session_->acknowledged() + layout::kSessionWindow;
}

Task<Result<std::shared_ptr<ShardConnection>>> ShardLink::connect(Nanos deadline) {
  first_deadline_ = deadline;
  co_return co_await get();
}

Task<ShardLink::Attempt> ShardLink::write_once(PendingWrite& write) {
  Result<std::shared_ptr<ShardConnection>> link = co_await get();
  // In order: a caller whose write has ended begins the next one before those that wait are
  // resumed. A write that cannot be sent now must not use up a sequence.
  std::optional<FairTurns::Turn> turn;
  if (link.ok() && (turns_.all_taken() || !has_room(**link))) {
    const std::uint64_t failures = connect_failures_;
    co_await turns_.take();
    turn.emplace(turns_);
    while (!write.given_up) {
      // That there is no connection any more, one finds out for all that wait.
      if (!alive() && connect_failures_ != failures && !connect_failure_.ok())
        co_return Attempt{connect_failure_};
      link = co_await get();
      if (!link.ok() || has_room(**link)) break;
      co_await window_.wait();
    }
  }
  if (!link.ok()) co_return Attempt{link.status()};
  if (write.given_up) co_return Attempt{Status(Code::timed_out, "the write was not sent")};
  if (write.session != 0 && write.session != session_->id) {
    co_return Attempt{
        Status(Code::unavailable, "the write was not sent: the server was restarted")};
  }
  const std::shared_ptr<ClientSession> session = session_;
  const std::uint64_t sequence = session->next_sequence++;
  session->in_flight.insert(sequence);
  ++calls_;
  turn.reset();

  std::optional<Attempt> outcome;
  while (!outcome) {
    if (!link.ok() || session != session_ || write.given_up) {
      const std::string why = !link.ok()            ? link.status().message()
                              : session != session_ ? "the server was restarted"
                                                    : "the server does not answer";
      outcome = Attempt{
          write.sent
              ? Status(Code::unknown,
                       fmt::format("the write was sent and its outcome is not known: {}", why))
              : Status(Code::unavailable, fmt::format("the write was not sent: {}", why))};
      break;
    }
    layout::set_shard(write.message, (*link)->hello.ssd.shard);
    layout::set_sequence(write.message, sequence, session->acknowledged());
    write.sent = true;
    Result<Bytes> answer = co_await (*link)->connection->call(write.message);
    if (!answer.ok()) {
      // The same write again on the same session: the server knows it by its sequence.
      link = co_await get();
      continue;
    }
    outcome = attempt_of(write, *answer);
  }
  --calls_;
  session->in_flight.erase(sequence);
  window_.wake_all();
  co_return std::move(*outcome);
}

ShardLink::Attempt ShardLink::attempt_of(const PendingWrite& write, ByteView answer) {
  const auto malformed = [] {
    return Attempt{Status(Code::unknown, "the server's reply is malformed")};
  };
  const std::optional<Reply> reply = layout::decode_reply(answer);
  if (!reply) return malformed();
  if (reply->code != Code::ok)
    return {Status(reply->code, std::string(reply->text)), reply->code == Code::busy};
  WriteReply done{reply->version};
  if (write.update) {
    const auto update = layout::decode_update_reply(as_bytes(reply->text));
    if (!update) return malformed();
    done.update = *update;
  }
  return {done};
}

Task<Result<WriteReply>> ShardLink::carry_out(std::shared_ptr<PendingWrite> write) {
  for (Nanos wait = kFirstRetry;; wait = std::min(2 * wait, kMaxRetry)) {
    Attempt a = co_await write_once(*write);
    if (!a.busy || write->given_up) co_return std::move(a.result);
    write->sent = false;
    write->refused = a.result.status().message();
    co_await executor_.sleep(wait);
    if (write->given_up) co_return std::move(a.result);
  }
}

Task<Result<WriteReply>> ShardLink::write(const Request& request) {
  return write(request, executor_.now() + operation_timeout_);
}

Task<Result<WriteReply>> ShardLink::write(const Request& request, Nanos deadline,
                                          std::uint64_t session,
                                          std::optional<FairTurns::Turn> turn) {
  const Nanos began = std::min(executor_.now(), deadline);
  auto write = std::allocate_shared<PendingWrite>(PoolAllocator<PendingWrite>());
  write->update = layout::is_update(request.kind);
  write->session = session;
  if (turn) write->turn.emplace(*std::move(turn));
  layout::encode(write->message, request);
  const auto late = [&] { return Result<WriteReply>(give_up(*write, deadline - began)); };
  co_return co_await deadlines_.within(deadline, carry_out(write), late);
}

Status ShardLink::give_up(PendingWrite& write, Nanos time) {
  write.given_up = true;
  const Nanos ms = time / kMillisecond;
  if (write.sent) {
    return Status(
        Code::unknown,
        fmt::format("the write was sent and its outcome is not known: no answer within {} ms{}", ms,
                    why_lost()));
  }
  return Status(
      Code::timed_out,
      fmt::format(
          "the write could not be sent within {} ms{}{}", ms, why_lost(),
          write.refused.empty() ? "" : fmt::format("; the server was busy: {}", write.refused)));
}

Task<Result<ShardLink::Answer>> ShardLink::request(ByteSpan message, std::uint64_t session) {
  Result<std::shared_ptr<ShardConnection>> link = co_await get();
  if (!link.ok()) co_return link.status();
  while (calls_ >= (*link)->calls) co_await window_.wait();
  if (session != 0 && session != (*link)->hello.session) {
    co_return Status(Code::unavailable, "the server was restarted");
  }
  co_return co_await ask_on(**link, message);
}

Task<Result<ShardLink::Answer>> ShardLink::ask_on(ShardConnection& link, ByteSpan message) {
  ++calls_;
  layout::set_shard(message, link.hello.ssd.shard);
  Result<Bytes> answer = co_await link.connection->call(message);
  --calls_;
  window_.wake_all();
  if (!answer.ok()) co_return answer.status();
  auto reply = layout::decode_reply(*answer);
  if (!reply) co_return Status(Code::unavailable, "the server's reply is malformed");
  if (reply->code != Code::ok) co_return Status(reply->code, std::string(reply->text));
  co_return Answer{link.hello.session, reply->version, std::string(reply->text)};
}

Task<Result<std::string>> ShardLink::ask_once(Bytes message) {
  Result<Answer> answer = co_await request(message, 0);
  if (!answer.ok()) co_return answer.status();
  co_return std::move(answer->text);
}

Task<Status> ShardLink::ask_time(ShardConnection& on, Nanos deadline) {
  for (Nanos wait = kFirstRetry;; wait = std::min(2 * wait, kMaxRetry)) {
    Status told = co_await ask_time_once(on);
    if (told.ok() || !may_pass(told.code()) || !on.connection->alive()) co_return told;
    if (executor_.now() + wait > deadline) co_return told;
    co_await executor_.sleep(wait);
  }
}

// The question under way may have been answered before this call. So one more is for all that wait
// for one to begin.
Task<Status> ShardLink::ask_time_once(ShardConnection& on) {
  const std::uint64_t mine = on.questions_begun + 1;
  while (on.questions_ended < mine) {
    if (on.questions_begun > on.questions_ended) {
      co_await time_told_.wait();
      continue;
    }
    ++on.questions_begun;
    Status told = co_await learn_time(on);
    on.last_answer = std::move(told);
    on.questions_ended = on.questions_begun;
    time_told_.wake_all();
  }
  co_return on.last_answer;
}

Task<Status> ShardLink::learn_time(ShardConnection& on) {
  Request request;
  request.kind = RequestKind::store_time;
  Bytes message;
  layout::encode(message, request);
  while (calls_ >= on.calls) co_await window_.wait();
  const Nanos asked = executor_.now();
  const Result<Answer> answer = co_await ask_on(on, message);
  if (!answer.ok()) co_return answer.status();
  const auto told = layout::decode_store_time(as_bytes(answer->text));
  if (!told || told->time == 0)
    co_return Status(Code::unavailable, "the server's reply is malformed");
  on.store_time.learn(told->time, asked, executor_.now());
  co_return Status();
}

Task<Result<std::string>> ShardLink::ask(RequestKind kind, std::string_view value) {
  return ask(kind, value, executor_.now() + operation_timeout_);
}

Task<Result<std::string>> ShardLink::ask(RequestKind kind, std::string_view value, Nanos deadline) {
  const Nanos began = executor_.now();
  Request request;
  request.kind = kind;
  request.value = value;
  Bytes message;
  layout::encode(message, request);
  const auto late = [&]() -> Result<std::string> {
    return Status(Code::timed_out,
                  fmt::format("no answer from the server within {} ms{}",
                              (executor_.now() - began) / kMillisecond, why_lost()));
  };
  co_return co_await deadlines_.within(deadline, ask_once(std::move(message)), late);
}

}  // namespace scalio::client
