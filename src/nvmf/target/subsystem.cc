#include "nvmf/target/subsystem.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "nvmf/target/target_connection.h"
#include "nvmf/wire/auth_message.h"
#include "nvmf/wire/identify.h"
#include "nvmf/wire/status_code.h"

namespace scalio::nvmf {

namespace {

// What is received at once, beyond the largest PDU.
constexpr std::size_t kReceiveAhead = 256 * 1024;
// The largest number of a controller of the dynamic model (Base 3.1.1).
constexpr std::uint16_t kLastControllerId = 0xffef;

constexpr std::uint32_t kLeastAdminEntries = 32;
// So often at most each thread looks at all of its associations because there are too many.
constexpr Nanos kMakeRoomEvery = kSecond;

// `where`: in the Connect command or its data.
CommandResult invalid_parameter(std::uint32_t where) {
  return {StatusCode::connect_invalid_parameters, where};
}

}  // namespace

Subsystem::Subsystem(EventLoop& loop, TargetThreads& threads, std::size_t thread,
                     NamespaceTable namespaces, std::string nqn, AllowedHosts hosts, bool writable,
                     TargetLimits limits, std::vector<TargetPort> ports)
    : threads_(threads),
      thread_(thread),
      namespaces_(std::move(namespaces)),
      model_{loop, namespaces_, threads_, std::move(nqn), limits, writable},
      hosts_(std::move(hosts)),
      ports_(std::move(ports)),
      receive_space_(limits.max_pdu_data + kReceiveAhead),
      next_controller_id_(static_cast<std::uint16_t>(thread + 1)) {
  threads_.set_subsystem(thread, *this);
}

Subsystem::~Subsystem() {
  SCALIO_ASSERT(closed_ && connections_.empty() && closing_ == 0 && controllers_.empty());
}

void Subsystem::adopt(net::UniqueFd socket, std::string name, const std::string& place) {
  if (closed_) return;
  const std::size_t most = limits().max_connections;
  if (connections() >= most) make_room();
  const std::shared_ptr<const std::string> from = known_place(place);
  const auto others_of_it = static_cast<std::size_t>(from.use_count()) - 1;
  const bool few = others_of_it < std::min(TargetLimits::kFew, most / 16);
  const bool too_many = connections() >= most && !few;
  if (too_many) log_.warn(loop().now(), name + ": refused: there are too many connections");
  const std::size_t beyond = TargetLimits::kToldWhy - (few ? 0 : TargetLimits::kForOthers);
  if (connections() >= most + beyond) return;
  const auto connection =
      std::make_shared<TargetConnection>(*this, std::move(socket), std::move(name), from, too_many);
  ++threads_.connections;
  keep(connection);
}

std::shared_ptr<const std::string> Subsystem::known_place(const std::string& place) {
  if (places_.size() > limits().max_connections)
    std::erase_if(places_, [](const auto& known) { return known.second.expired(); });
  std::weak_ptr<const std::string>& known = places_[place];
  std::shared_ptr<const std::string> name = known.lock();
  if (!name) known = name = std::make_shared<const std::string>(place);
  return name;
}

// Ends what hosts have begun and do not use, on all threads.
void Subsystem::make_room() {
  if (loop().now() < next_room_) return;
  next_room_ = loop().now() + kMakeRoomEvery;
  drop_unused();
  for (std::size_t i = 0; i < threads_.count(); ++i) {
    Subsystem& other = threads_.subsystem(i);
    if (&other != this) other.loop().run_on_loop([&other] { other.drop_unused(); });
  }
}

void Subsystem::drop_unused() {
  std::vector<std::shared_ptr<Controller>> unused;
  for (const auto& [id, controller] : controllers_) {
    if (!controller->used() && controller->made_at() + limits().connect_timeout <= loop().now())
      unused.push_back(controller);
  }
  for (const auto& controller : unused)
    controller->end_all("it never had an I/O queue, and there are too many connections");
}

void Subsystem::keep(const std::shared_ptr<TargetConnection>& connection) {
  connections_.emplace(connection.get(), connection);
  connection->start();
}

// --- Between threads ---

std::size_t Subsystem::thread_for(const ConnectCommand& command, const ConnectData& data) {
  // Who only asks what there is has no commands that cost anything.
  if (thread_ != 0 || data.subsystem_nqn == kDiscoveryNqn) return thread_;
  if (command.queue_id == 0) return threads_.next();
  return data.controller_id == 0 ? thread_ : threads_.of_controller(data.controller_id);
}

// The other thread closes later than this one, so it takes what it was handed.
void Subsystem::hand_over(std::size_t thread, MovedConnection connection) {
  Subsystem& to = threads_.subsystem(thread);
  to.loop().run_on_loop([&to, moved = std::make_shared<MovedConnection>(std::move(connection))] {
    to.take(std::move(*moved));
  });
}

void Subsystem::take(MovedConnection moved) {
  SCALIO_ASSERT(!closed_);
  const auto connection = std::make_shared<TargetConnection>(
      *this, std::move(moved.socket), std::move(moved.name), std::move(moved.place), false);
  keep(connection);
  connection->go_on(moved.rules, moved.format, moved.received);
}

void Subsystem::close_all() {
  closed_ = true;
  while (!connections_.empty()) {
    const std::shared_ptr<TargetConnection> connection = connections_.begin()->second;
    connection->end("the target stops");
  }
}

void Subsystem::forget(TargetConnection& connection) {
  ++closing_;
  connections_.erase(&connection);
}

// --- Connect (Fabrics 3.3) ---

Subsystem::Connected Subsystem::connect(const ConnectCommand& command, const ConnectData& data,
                                        Controller::QueueConnection& queue,
                                        const TargetPort& local) {
  if (command.record_format != 0) return {{StatusCode::connect_incompatible_format}, nullptr};
  const std::uint32_t entries = command.queue_size + 1U;
  // Of an admin queue every host may expect its least size (Fabrics 3.3).
  const std::uint32_t most = command.queue_id == 0
                                 ? std::max(limits().queue_depth, kLeastAdminEntries)
                                 : limits().queue_depth;
  if (entries < 2 || entries > most) return {invalid_parameter(kQueueSizeAt), nullptr};
  const bool discovery = data.subsystem_nqn == kDiscoveryNqn;
  if (!discovery && data.subsystem_nqn != model_.nqn) {
    return {invalid_parameter(kInConnectData | kSubsystemNqnAt), nullptr};
  }
  if (data.host_nqn.size() > kMaxNqn)
    return {invalid_parameter(kInConnectData | kHostNqnAt), nullptr};
  // Whoever asks what there is may learn that there is nothing for it. Where any host may connect,
  // it may have any name, or none: there are hosts that have none, and a name proves nothing.
  if (!discovery && !hosts_.has(data.host_nqn)) {
    return {{StatusCode::connect_invalid_host, kInConnectData | kHostNqnAt}, nullptr};
  }
  Connected connected = command.queue_id == 0 ? connect_admin(command, data, queue, local)
                                              : connect_io(command, data, queue);
  if (connected.controller && !discovery && hosts_.secrets) {
    connected.secrets = &hosts_.secrets->find(data.host_nqn)->second;
    connected.answer.dw0 |= kMustAuthenticate;
  }
  return connected;
}

Subsystem::Connected Subsystem::connect_admin(const ConnectCommand& command,
                                              const ConnectData& data,
                                              Controller::QueueConnection& queue,
                                              const TargetPort& local) {
  if (data.controller_id != kAnyController)
    return {invalid_parameter(kInConnectData | kControllerIdAt), nullptr};
  if (controllers_.size() >= kLastControllerId / threads_.count()) {
    return {{StatusCode::connect_controller_busy}, nullptr};
  }
  const bool discovery = data.subsystem_nqn == kDiscoveryNqn;
  auto controller = std::make_shared<Controller>(
      model_, discovery ? ControllerType::discovery : ControllerType::io, free_controller_id(),
      data, command.keep_alive_ms);
  if (discovery) controller->set_discovery_log(discovery_log(data.host_nqn, local));
  controllers_.emplace(controller->id(), controller);
  controller->attach(0, queue);
  return {{StatusCode::success, controller->id()}, controller};
}

// One of this thread's, that was not used for long. There is one.
std::uint16_t Subsystem::free_controller_id() {
  std::uint16_t id = 0;
  do {
    id = next_controller_id_;
    const std::size_t next = id + threads_.count();
    next_controller_id_ = static_cast<std::uint16_t>(next > kLastControllerId ? thread_ + 1 : next);
  } while (controllers_.contains(id));
  return id;
}

Subsystem::Connected Subsystem::connect_io(const ConnectCommand& command, const ConnectData& data,
                                           Controller::QueueConnection& queue) {
  const auto found = controllers_.find(data.controller_id);
  if (found == controllers_.end())
    return {invalid_parameter(kInConnectData | kControllerIdAt), nullptr};
  const std::shared_ptr<Controller>& controller = found->second;
  const ConnectData& owner = controller->host();
  if (owner.host_nqn != data.host_nqn || owner.host_id != data.host_id ||
      owner.subsystem_nqn != data.subsystem_nqn) {
    return {invalid_parameter(kInConnectData | kControllerIdAt), nullptr};
  }
  if (controller->type() == ControllerType::discovery ||
      command.queue_id > limits().max_io_queues) {
    return {invalid_parameter(kQueueIdAt), nullptr};
  }
  if (!controller->ready()) return {{StatusCode::command_sequence_error}, nullptr};
  if (!controller->attach(command.queue_id, queue)) return {invalid_parameter(kQueueIdAt), nullptr};
  return {{StatusCode::success, controller->id()}, controller};
}

void Subsystem::disconnect(const std::shared_ptr<Controller>& controller, std::uint16_t queue_id) {
  controller->detach(queue_id);
  if (queue_id != 0) return;
  controllers_.erase(controller->id());
  controller->end_all("its admin queue is closed");
}

bool AllowedHosts::has(const std::string& host_nqn) const {
  if (secrets) return secrets->contains(host_nqn);
  return names.empty() || std::ranges::find(names, host_nqn) != names.end();
}

// What a discovery controller tells this host: each port of the subsystem, if it may connect there.
Bytes Subsystem::discovery_log(const std::string& host_nqn, const TargetPort& local) const {
  std::vector<DiscoveryEntry> entries;
  for (const TargetPort& port : ports_) {
    if (!hosts_.has(host_nqn)) break;
    // A port of every address is reached at the one that the host has reached, if that is of its
    // family.
    if (port.address.empty() && port.family != local.family && !port.both_families) continue;
    const TargetPort& at = port.address.empty() ? local : port;
    DiscoveryEntry entry;
    entry.family = at.family;
    entry.port_id = static_cast<std::uint16_t>(entries.size() + 1);
    entry.admin_queue_size =
        static_cast<std::uint16_t>(std::max(limits().queue_depth, kLeastAdminEntries));
    entry.service = std::to_string(port.port);
    entry.subsystem_nqn = model_.nqn;
    entry.address = at.address;
    entries.push_back(std::move(entry));
  }
  Bytes log(kDiscoveryHeader + entries.size() * kDiscoveryEntry);
  // What is offered does not change while the target runs.
  encode(DiscoveryHeader{.generation = 1, .records = entries.size()}, log);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    encode(entries[i], ByteSpan(log).subspan(kDiscoveryHeader + i * kDiscoveryEntry));
  }
  return log;
}

}  // namespace scalio::nvmf
