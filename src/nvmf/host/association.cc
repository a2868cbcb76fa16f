#include "nvmf/host/association.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "nvmf/wire/auth_message.h"
#include "nvmf/wire/log_page.h"

namespace scalio::nvmf {

namespace {
constexpr std::uint32_t kAdminDepth = 31;
// However much the controller allows: it bounds what a queue holds in memory.
constexpr std::uint64_t kMostTransfer = 1024 * 1024;
constexpr std::uint32_t kMostInCapsule = 64 * 1024;
constexpr std::uint32_t kMostDepth = 1024;
// Between looks at the controller's status.
constexpr Nanos kFirstPause = kMillisecond;
constexpr Nanos kLongestPause = 50 * kMillisecond;
// For a shutdown: the host waits no longer, whatever the controller still does.
constexpr Nanos kShutdownBound = 2 * kSecond;

Code code_of(StatusCode status, CommandKind of) {
  // Other numbers mean the same, or something alike, in every command.
  if (status == StatusCode::connect_controller_busy) {
    return of == CommandKind::fabrics ? Code::busy : Code::invalid;
  }
  switch (status) {
    case StatusCode::invalid_opcode:
    case StatusCode::invalid_field:
    case StatusCode::invalid_namespace_or_format:
    case StatusCode::namespace_write_protected:
    case StatusCode::lba_out_of_range:
    case StatusCode::access_denied:
    case StatusCode::connect_incompatible_format:
    case StatusCode::connect_invalid_parameters:
    case StatusCode::connect_invalid_host: return Code::invalid;
    case StatusCode::ana_persistent_loss:
    case StatusCode::ana_inaccessible:
    case StatusCode::ana_transition:
    case StatusCode::internal_path_error:
    case StatusCode::controller_pathing_error: return Code::unavailable;
    default: return Code::io_error;
  }
}
}  // namespace

Status failure_of(const Completion& completion, CommandKind of, const std::string& what) {
  const StatusCode status = status_code(completion);
  return Status(code_of(status, of), fmt::format("{}: {}", what, name_of(status, of)));
}

namespace {
// Of a Connect command. `who`: the subsystem.
Status refusal_of(const Completion& completion, const std::string& who, const std::string& host) {
  switch (status_code(completion)) {
    case StatusCode::connect_invalid_host:
      return failure_of(completion, CommandKind::fabrics,
                        fmt::format("{} refuses host {}", who, host));
    case StatusCode::connect_invalid_parameters: {
      const Status s = failure_of(completion, CommandKind::fabrics, who + " refuses to connect");
      return Status(s.code(), fmt::format("{} ({})", s.message(), connect_field(completion.dw0)));
    }
    default: return failure_of(completion, CommandKind::fabrics, who + " refuses to connect");
  }
}
}  // namespace

// One command of the admin queue, or a Connect of the I/O queue.
class Association::AdminCommand final : public Submission {
 public:
  AdminCommand(Association& association, Queue& queue, const NvmeCommand& to_run, ByteSpan bytes,
               Nanos bound)
      : association_(association), timer_(association.loop_, [this] {
          association_.lose(Status(Code::timed_out, "a command was not answered in time"));
        }) {
    command = to_run;
    data = bytes.data();
    size = bytes.size();
    timer_.arm(association.loop_.now() + bound);
    queue.submit(*this);
  }

  bool await_ready() const noexcept { return result_.has_value(); }
  void await_suspend(std::coroutine_handle<> h) noexcept { waiter_ = h; }
  Result<Completion> await_resume() { return *std::move(result_); }

  void on_done(const Completion& completion) override { end(completion); }
  void on_lost(const Status& why) override { end(why); }

 private:
  void end(Result<Completion> result) {
    timer_.cancel();
    result_ = std::move(result);
    if (waiter_) association_.loop_.post(waiter_);
  }

  Association& association_;
  Timer timer_;
  std::optional<Result<Completion>> result_;
  std::coroutine_handle<> waiter_;
};

// Tells the controller twice in each KATO that the host is there, and notices when no answer comes.
class Association::KeepAlive final : public Submission {
 public:
  KeepAlive(Association& association, Nanos timeout)
      : association_(association),
        interval_(timeout / 2),
        timer_(association.loop_, [this] { on_timer(); }) {
    command.opcode = static_cast<std::uint8_t>(AdminOpcode::keep_alive);
    timer_.arm(association.loop_.now() + interval_);
  }
  void on_done(const Completion&) override { in_flight_ = false; }
  void on_lost(const Status&) override { timer_.cancel(); }

 private:
  void on_timer() {
    if (association_.lost_) return;
    if (in_flight_ && ++missed_ == 2) {
      return association_.lose(
          Status(Code::timed_out, "the controller does not answer keep-alives"));
    }
    timer_.arm(association_.loop_.now() + interval_);
    if (in_flight_) return;
    missed_ = 0;
    in_flight_ = true;
    association_.admin_queue_->submit(*this);
  }

  Association& association_;
  const Nanos interval_;
  Timer timer_;
  bool in_flight_ = false;
  unsigned missed_ = 0;  // intervals that ended without the answer
};

// Waits for the controller to tell of an event.
class Association::Events final : public Submission {
 public:
  Events(Association& association, std::function<void()> on_event)
      : association_(association), on_event_(std::move(on_event)) {
    command.opcode = static_cast<std::uint8_t>(AdminOpcode::asynchronous_event_request);
  }
  void ask() {
    if (association_.lost_ || std::exchange(in_flight_, true)) return;
    association_.admin_queue_->submit(*this);
  }
  void on_done(const Completion& completion) override {
    in_flight_ = false;
    // A controller that refuses has no events.
    if (status_code(completion) != StatusCode::success) return;
    // Others were not asked for; what they are about makes no difference here.
    if (decode_event(completion).of_namespaces()) return on_event_();
  }
  void on_lost(const Status&) override {}

 private:
  Association& association_;
  const std::function<void()> on_event_;
  bool in_flight_ = false;
};

Association::Association(EventLoop& loop, QueueTransport& transport,
                         const InitiatorOptions& options,
                         std::function<void(const Status&)> on_lost)
    : loop_(loop), transport_(transport), options_(options), on_lost_(std::move(on_lost)) {}

Association::~Association() {
  lose(Status(Code::unavailable, "the connection was closed here"));
  // They end their requests, the keep-alive among them.
  io_queue_.reset();
  admin_queue_.reset();
}

// --- The end ---

void Association::lose(Status why) {
  if (lost_) return;
  lost_ = std::move(why);
  for (Queue* queue : {admin_queue_.get(), io_queue_.get()}) {
    if (queue != nullptr) queue->lose(*lost_);
  }
  if (pause_ != nullptr) pause_->wake();
}

void Association::on_queue_lost(const Status& why) {
  lose(why);
  if (std::exchange(connected_, false)) on_lost_(*lost_);
}

// --- Commands ---

Nanos Association::left() const {
  const Nanos now = loop_.now();
  return deadline_ > now ? deadline_ - now : 0;
}

Task<Result<Completion>> Association::run(Queue& queue, NvmeCommand command, ByteSpan data) {
  if (lost_) co_return *lost_;
  if (!queue.alive()) co_return Status(Code::unavailable, "the connection is lost");
  const Nanos bound =
      deadline_ == 0 ? options_.command_timeout : std::min(left(), options_.command_timeout);
  AdminCommand running(*this, queue, command, data, bound);
  Result<Completion> result = co_await running;
  co_return result;
}

Task<Result<Completion>> Association::admin(NvmeCommand command, ByteSpan data) {
  Result<Completion> result = co_await run(*admin_queue_, command, data);
  if (!result.ok() || status_code(*result) == StatusCode::success) co_return result;
  const CommandKind kind = kind_of(command, true);
  const bool fabrics = kind == CommandKind::fabrics;
  co_return failure_of(*result, kind,
                       fmt::format("{} command {:#04x} at {}", fabrics ? "fabrics" : "admin",
                                   fabrics ? command.nsid : command.opcode, name()));
}

Task<Result<std::uint64_t>> Association::property(Property p) {
  Result<Completion> got = co_await admin(make_property_get(p), {});
  if (!got.ok()) co_return got.status();
  co_return property_value(*got);
}

// --- Connecting ---

Task<Status> Association::connect(std::string subsystem_nqn, Nanos bound) {
  if (Status s = check_nqn(subsystem_nqn); !s.ok()) co_return s;
  if (Status s = check_nqn(options_.identity.nqn); !s.ok()) co_return s;
  deadline_ = loop_.now() + bound;
  connect_data_.host_id = options_.identity.id;
  connect_data_.host_nqn = options_.identity.nqn;
  connect_data_.subsystem_nqn = std::move(subsystem_nqn);

  Status status = co_await connect_admin_queue();
  if (status.ok()) status = co_await enable();
  if (status.ok()) status = co_await identify();
  if (status.ok() && lost_) status = *lost_;
  if (!status.ok()) {
    lose(status);
    co_return status;
  }
  connected_ = true;
  if (!discovery()) keep_alive_ = std::make_unique<KeepAlive>(*this, options_.keep_alive);
  co_return Status();
}

Task<Status> Association::connect_admin_queue() {
  QueueOptions options;
  options.depth = kAdminDepth;
  options.in_capsule = transport_.admin_in_capsule();
  for (;;) {
    options.deadline = deadline_;
    options.on_lost = [this](const Status& why) { on_queue_lost(why); };
    admin_queue_ = transport_.make_queue(options);
    if (lost_) co_return *lost_;
    Result<Completion> answer = co_await connect_queue(*admin_queue_, options);
    if (!answer.ok()) co_return answer.status();
    const StatusCode status = status_code(*answer);
    if (status == StatusCode::success) {
      connect_data_.controller_id = static_cast<std::uint16_t>(answer->dw0);
      co_return co_await authenticate(*admin_queue_, answer->dw0);
    }
    // It takes exception to something in the command, not in the connect data: perhaps it cannot do
    // without flow control. That it is told so only now costs it a connection.
    const bool in_command = (answer->dw0 & kInConnectData) == 0;
    if (status == StatusCode::connect_invalid_parameters && in_command &&
        !std::exchange(flow_control_, true)) {
      continue;
    }
    co_return refusal_of(*answer, fmt::format("{} at {}", connect_data_.subsystem_nqn, name()),
                         connect_data_.host_nqn);
  }
}

// The completion may have any status.
Task<Result<Completion>> Association::connect_queue(Queue& queue, const QueueOptions& options) {
  if (Status s = co_await queue.connect(); !s.ok()) {
    co_return Status(s.code(), fmt::format("cannot connect to {}: {}", name(), s.message()));
  }
  ConnectCommand command;
  command.queue_id = options.id;
  command.queue_size = static_cast<std::uint16_t>(options.depth);
  command.attributes = flow_control_ ? 0 : ConnectCommand::kNoFlowControl;
  if (options.id == 0 && !discovery()) {
    command.keep_alive_ms = static_cast<std::uint32_t>(options_.keep_alive / kMillisecond);
  }
  Bytes data(kConnectDataSize);
  encode(connect_data_, data);
  Result<Completion> answer = co_await run(queue, make_connect(command), data);
  co_return answer;
}

// What a Connect that has succeeded demands in DW0; and what this host does, who wants to know
// whose controller it is.
Task<Status> Association::authenticate(Queue& queue, std::uint32_t demands) {
  const std::string who = fmt::format("{} at {}", connect_data_.subsystem_nqn, name());
  if ((demands & kAuthenticationBits & ~kMustAuthenticate) != 0) {
    co_return Status(Code::invalid,
                     fmt::format("{} demands a secure channel, which is not supported", who));
  }
  const std::optional<DhchapSecrets>& secrets = options_.secrets;
  const bool demanded = (demands & kMustAuthenticate) != 0;
  // What a discovery controller tells is not taken for granted.
  const bool wanted = secrets && secrets->controller && !discovery();
  if (!demanded && !wanted) co_return Status();
  if (!secrets) {
    co_return Status(
        Code::invalid,
        fmt::format("{} demands that host {} proves who it is, which it has no secret "
                    "for: give it a file of secrets for NVMe, with the line NQN SECRET "
                    "that the target has",
                    who, connect_data_.host_nqn));
  }
  DhchapHost proof(*secrets, connect_data_.host_nqn, connect_data_.subsystem_nqn, ++transaction_);
  Status done = co_await exchange_proofs(queue, proof);
  if (!done.ok() && !lost_) {
    done = Status(done.code(),
                  fmt::format("host {} and {} do not prove to each other who they are: {}",
                              connect_data_.host_nqn, who, done.message()));
  }
  co_return done;
}

Task<Status> Association::exchange_proofs(Queue& queue, DhchapHost& proof) {
  Status status = co_await send_message(queue, proof.negotiate());
  if (!status.ok()) co_return status;
  Result<Bytes> received = co_await receive_message(queue);
  if (!received.ok()) co_return received.status();
  Result<Bytes> reply = proof.reply_to(*received);
  status = reply.status();
  if (reply.ok()) {
    status = co_await send_message(queue, *std::move(reply));
    if (!status.ok()) co_return status;
    received = co_await receive_message(queue);
    if (!received.ok()) co_return received.status();
    status = proof.conclude(*received);
  }
  if (proof.last_words().empty()) co_return status;
  const Status said = co_await send_message(queue, proof.last_words());
  co_return status.ok() ? said : status;
}

Task<Status> Association::send_message(Queue& queue, Bytes message) {
  const auto size = static_cast<std::uint32_t>(message.size());
  Result<Completion> done = co_await run(queue, make_authentication_send(size), message);
  if (!done.ok()) co_return done.status();
  if (status_code(*done) == StatusCode::success) co_return Status();
  co_return failure_of(*done, CommandKind::fabrics, "Authentication Send");
}

// Of which there may be more than the message.
Task<Result<Bytes>> Association::receive_message(Queue& queue) {
  Bytes message(kAuthRoom);
  Result<Completion> done = co_await run(queue, make_authentication_receive(kAuthRoom), message);
  if (!done.ok()) co_return done.status();
  if (status_code(*done) != StatusCode::success)
    co_return failure_of(*done, CommandKind::fabrics, "Authentication Receive");
  co_return message;
}

Task<Status> Association::enable() {
  Result<std::uint64_t> value = co_await property(Property::capabilities);
  if (!value.ok()) co_return value.status();
  capabilities_ = decode_capabilities(*value);
  if (capabilities_.max_queue_entries < 2) {
    co_return Status(Code::io_error,
                     fmt::format("the controller at {} has queues for no command", name()));
  }

  const std::uint32_t page = (capabilities_.min_page_shift - 12U) << 7;
  Result<Completion> set = co_await admin(
      make_property_set(Property::configuration, kEnable | kIoEntrySizes | page), {});
  if (!set.ok()) co_return set.status();
  const Nanos bound = loop_.now() + capabilities_.ready_timeout_ms * kMillisecond;
  for (Nanos pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    Result<std::uint64_t> status = co_await property(Property::status);
    if (!status.ok()) co_return status.status();
    if ((*status & kFatal) != 0) {
      co_return Status(Code::io_error,
                       fmt::format("the controller at {} reports a fatal error", name()));
    }
    if ((*status & kReady) != 0) co_return Status();
    if (left() == 0 || loop_.now() >= bound) {
      co_return Status(Code::timed_out,
                       fmt::format("the controller at {} does not become ready", name()));
    }
    Pause sleep(loop_, loop_.now() + pause, lost_.has_value(), pause_);
    co_await sleep;
  }
}

Task<Status> Association::identify() {
  Bytes page(kIdentifySize);
  Result<Completion> done = co_await admin(make_identify(Cns::controller), page);
  if (!done.ok()) co_return done.status();
  Result<IdentifyController> controller = decode_identify_controller(page);
  if (!controller.ok()) co_return controller.status();
  controller_ = *std::move(controller);
  // 0: it is of a time before types were told.
  const bool told = static_cast<std::uint8_t>(controller_.type) != 0;
  if (told && (controller_.type == ControllerType::discovery) != discovery()) {
    co_return Status(Code::invalid,
                     fmt::format("{} at {} is {} discovery subsystem", connect_data_.subsystem_nqn,
                                 name(), discovery() ? "no" : "a"));
  }
  const unsigned shift = controller_.mdts + unsigned{capabilities_.min_page_shift};
  const bool limited = controller_.mdts != 0 && shift < 63;
  max_transfer_ = limited ? std::min(std::uint64_t{1} << shift, kMostTransfer) : kMostTransfer;
  max_transfer_ = std::min(max_transfer_, transport_.max_transfer());
  co_return Status();
}

Task<Status> Association::connect_io_queue() {
  // One queue each way; numbers are 0's based.
  Result<Completion> granted = co_await admin(make_set_features(Feature::number_of_queues, 0), {});
  if (!granted.ok()) co_return granted.status();

  QueueOptions options;
  options.id = 1;
  options.depth = std::min({options_.queue_depth, capabilities_.max_queue_entries - 1, kMostDepth});
  if (controller_.max_commands != 0)
    options.depth = std::min<std::uint32_t>(options.depth, controller_.max_commands);
  constexpr std::uint32_t kUnit = 16;
  const std::uint64_t capsule = std::uint64_t{controller_.command_capsule} * kUnit;
  if (capsule > kCommandSize && controller_.capsule_data_offset == 0) {
    options.in_capsule =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(capsule - kCommandSize, kMostInCapsule));
  }
  options.deadline = deadline_;
  options.on_lost = [this](const Status& why) { on_queue_lost(why); };
  if (lost_) co_return *lost_;
  io_depth_ = options.depth;
  io_queue_ = transport_.make_queue(options);
  Result<Completion> answer = co_await connect_queue(*io_queue_, options);
  Status proven;
  if (answer.ok() && status_code(*answer) == StatusCode::success)
    proven = co_await authenticate(*io_queue_, answer->dw0);
  deadline_ = 0;
  if (!answer.ok()) co_return answer.status();
  if (!proven.ok()) co_return proven;
  if (status_code(*answer) != StatusCode::success) {
    const Status refused =
        refusal_of(*answer, fmt::format("{} at {}", connect_data_.subsystem_nqn, name()),
                   connect_data_.host_nqn);
    co_return Status(refused.code(), "no I/O queue: " + refused.message());
  }
  co_return lost_ ? *lost_ : Status();
}

Task<Result<IdentifyNamespace>> Association::identify_namespace(std::uint32_t nsid) {
  const std::string what =
      fmt::format("namespace {} of {} at {}", nsid, connect_data_.subsystem_nqn, name());
  Bytes page(kIdentifySize);
  Result<Completion> done = co_await admin(make_identify(Cns::name_space, nsid), page);
  if (!done.ok()) co_return done.status();
  Result<IdentifyNamespace> found = decode_identify_namespace(page);
  if (!found.ok()) {
    co_return Status(Code::invalid,
                     fmt::format("{}: {}; is it there?", what, found.status().message()));
  }
  // Older controllers have no descriptors.
  done = co_await admin(make_identify(Cns::namespace_descriptors, nsid), page);
  if (done.ok()) {
    if (Status s = decode_namespace_descriptors(page, found->id); !s.ok()) {
      co_return Status(s.code(), fmt::format("{}: {}", what, s.message()));
    }
  } else if (lost_) {
    co_return *lost_;
  }
  co_return found;
}

Task<Status> Association::watch_namespaces(std::function<void()> on_event) {
  if ((controller_.async_events & kNamespaceNotices) == 0) co_return Status();
  // A controller that takes no configuration tells what it tells.
  Result<Completion> set =
      co_await admin(make_set_features(Feature::asynchronous_events, kNamespaceNotices), {});
  if (lost_) co_return *lost_;
  if (!set.ok() && set.code() != Code::invalid) co_return set.status();
  events_ = std::make_unique<Events>(*this, std::move(on_event));
  events_->ask();
  co_return Status();
}

void Association::ask_for_event() { events_->ask(); }

Task<Result<std::vector<std::uint32_t>>> Association::changed() {
  Bytes page(kIdentifySize);
  NvmeCommand command =
      make_get_log_page(kChangedNamespacesLogPage, static_cast<std::uint32_t>(page.size()), 0);
  command.nsid = kTooManyNamespaces;  // of all
  Result<Completion> done = co_await admin(command, page);
  if (!done.ok()) co_return done.status();
  co_return decode_namespace_list(page);
}

Task<void> Association::shut_down() {
  if (lost_) co_return;
  deadline_ = loop_.now() + kShutdownBound;
  // First, because some controllers end it when they shut down, and that is no loss of the
  // association.
  io_queue_.reset();
  const std::uint32_t page = (capabilities_.min_page_shift - 12U) << 7;
  Result<Completion> set = co_await admin(
      make_property_set(Property::configuration, kEnable | kIoEntrySizes | page | kShutdownNormal),
      {});
  for (Nanos pause = kFirstPause; set.ok() && left() > 0;
       pause = std::min(2 * pause, kLongestPause)) {
    Result<std::uint64_t> status = co_await property(Property::status);
    if (!status.ok() || (*status & kShutdownStatusMask) == kShutdownComplete) break;
    Pause sleep(loop_, loop_.now() + pause, lost_.has_value(), pause_);
    co_await sleep;
  }
  lose(Status(Code::unavailable, "the connection was closed here"));
}

}  // namespace scalio::nvmf
