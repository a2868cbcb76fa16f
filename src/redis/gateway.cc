#include "redis/gateway.h"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "base/json.h"
#include "client/client_loop.h"
#include "net/limited_log.h"
#include "net/socket.h"
#include "redis/gateway_users.h"
#include "redis/redis_connection.h"
#include "task/sync.h"

namespace scalio::redis {

namespace {
// Until it tries again to accept, where descriptors or memory are short.
constexpr Nanos kAcceptAgain = 100 * kMillisecond;
// Accepted before others on the loop have their turn.
constexpr int kAcceptAtOnce = 64;
constexpr std::string_view kTooMany = "-ERR max number of clients reached\r\n";
}  // namespace

struct Gateway::Impl {
  struct Door {
    explicit Door(net::Listener l) : listener(std::move(l)) {}
    net::Listener listener;
    std::optional<Watch> watch;
  };

  Impl(Client& client, EventLoop& event_loop, GatewayLimits limits)
      : loop(event_loop),
        state(client, event_loop, limits),
        most_clients(limits.connections),
        accept_again(event_loop, [this] { accept_all(); }),
        grace(event_loop, [this] { close_all(); }),
        remove_ended(event_loop,
                     [this] {
                       std::erase_if(connections, [](const auto& c) { return c.second->ended(); });
                       if (connections.empty()) changed.wake_all();
                     }),
        changed(event_loop) {}

  void accept_all() {
    for (Door& door : doors) accept(door);
  }
  void accept(Door& door);
  void welcome(net::Listener::Accepted accepted, const net::Uri& door);
  void close_all() {
    for (auto& [id, connection] : connections) connection->close();
  }

  EventLoop& loop;
  std::unique_ptr<GatewayUsers> users;  // null: there are none
  GatewayState state;
  const std::size_t most_clients;
  std::shared_ptr<const net::TlsSource> tls;
  net::LimitedLog log;
  std::deque<Door> doors;
  std::map<std::uint64_t, std::unique_ptr<RedisConnection>> connections;
  Timer accept_again;
  Timer grace;
  Deferred remove_ended;
  WaitList changed;
  bool stopping = false;
  // What was asked on the loop may come when it is gone.
  const std::shared_ptr<Impl*> here = std::make_shared<Impl*>(this);
};

// Until nobody waits: the watch tells of changes only.
void Gateway::Impl::accept(Door& door) {
  for (int i = 0; i < kAcceptAtOnce && !stopping; ++i) {
    Result<net::Listener::Accepted> accepted = door.listener.accept();
    if (accepted.code() == Code::unavailable) return;
    if (!accepted.ok()) {
      log.warn(loop.now(), "cannot accept: " + accepted.status().to_string());
      accept_again.arm(loop.now() + kAcceptAgain);
      return;
    }
    welcome(*std::move(accepted), door.listener.uri());
  }
  if (!stopping) accept_again.arm(loop.now());
}

void Gateway::Impl::welcome(net::Listener::Accepted accepted, const net::Uri& door) {
  if (connections.size() >= state.limits.connections) {
    ++state.refused;
    log.warn(loop.now(),
             fmt::format("refused a client: there are {} (--max-clients)", connections.size()));
    if (door.scheme != net::kTls)
      (void)send(accepted.fd.get(), kTooMany.data(), kTooMany.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  RedisSession session;
  session.id = ++state.last_session;
  session.peer = std::move(accepted.name);
  session.place = std::move(accepted.place);
  session.local = door.text();
  session.since = session.heard = loop.now();
  const std::uint64_t id = session.id;
  net::StreamSocket socket = door.scheme == net::kTls
                                 ? net::StreamSocket(std::move(accepted.fd), tls->current(), {})
                                 : net::StreamSocket(std::move(accepted.fd));
  connections[id] = std::make_unique<RedisConnection>(state, std::move(socket), std::move(session),
                                                      [this] { remove_ended.schedule(); });
}

Result<std::unique_ptr<Gateway>> Gateway::start(Client& client, const std::vector<net::Uri>& listen,
                                                GatewayLimits limits,
                                                std::shared_ptr<const net::TlsSource> tls,
                                                std::shared_ptr<fabric::UserTable> users) {
  auto impl = std::make_unique<Impl>(client, client::ClientLoop::of(client), limits);
  impl->tls = std::move(tls);
  if (users) {
    auto started = GatewayUsers::start(impl->loop, std::move(users));
    if (!started.ok()) return started.status();
    impl->users = *std::move(started);
    impl->state.users = impl->users.get();
  }
  for (const net::Uri& uri : listen) {
    SCALIO_ASSERT(uri.scheme != net::kTls || impl->tls);
    Result<net::Listener> listener = net::Listener::open(uri);
    if (!listener.ok()) return listener.status();
    impl->state.listening.push_back(listener->uri().text());
    impl->doors.emplace_back(*std::move(listener));
  }
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() = default;

std::vector<net::Uri> Gateway::addresses() const {
  std::vector<net::Uri> uris;
  for (const Impl::Door& door : impl_->doors) uris.push_back(door.listener.uri());
  return uris;
}

Task<void> Gateway::serve() {
  for (Impl::Door& door : impl_->doors) {
    door.watch.emplace(impl_->loop, door.listener.fd(), POLLIN,
                       [this, &door](std::uint32_t) { impl_->accept(door); });
  }
  while (!impl_->stopping) co_await impl_->changed.wait();
  impl_->accept_again.cancel();
  impl_->doors.clear();
  for (auto& [id, connection] : impl_->connections) connection->finish();
  impl_->grace.arm(impl_->loop.now() + impl_->state.limits.grace);
  while (!impl_->connections.empty()) co_await impl_->changed.wait();
  impl_->grace.cancel();
}

namespace {
std::string figures_of(const GatewayState& state) {
  const ClientCounters c = state.client.counters();
  return json_text(nlohmann::json{{"connected", state.sessions.size()},
                                  {"max_clients", state.limits.connections},
                                  {"accepted", state.last_session},
                                  {"refused", state.refused},
                                  {"commands", state.commands},
                                  {"unfinished_bytes", state.unfinished},
                                  {"store",
                                   {{"gets", c.gets},
                                    {"hits", c.hits},
                                    {"misses", c.misses},
                                    {"fills", c.fills},
                                    {"bypasses", c.bypasses},
                                    {"steals", c.steals},
                                    {"writes", c.writes},
                                    {"region_reads", c.region_reads},
                                    {"region_writes", c.region_writes},
                                    {"region_cas", c.region_cas},
                                    {"region_bytes_read", c.region_bytes_read},
                                    {"ssd_reads", c.ssd_reads},
                                    {"ssd_bytes_read", c.ssd_bytes_read}}}});
}
}  // namespace

Result<std::string> Gateway::figures() const {
  constexpr std::chrono::seconds kPatience{2};
  const auto told = std::make_shared<std::promise<std::string>>();
  std::future<std::string> text = told->get_future();
  impl_->loop.run_on_loop([told, here = std::weak_ptr(impl_->here)] {
    if (const auto impl = here.lock()) told->set_value(figures_of((*impl)->state));
  });
  if (text.wait_for(kPatience) != std::future_status::ready) {
    return Status(Code::timed_out,
                  "the gateway's thread does not answer within 2 s: it is busy, "
                  "or stands still");
  }
  return text.get();
}

void Gateway::set_slow(Nanos slow) {
  impl_->loop.run_on_loop([slow, here = std::weak_ptr(impl_->here)] {
    const auto impl = here.lock();
    if (!impl) return;
    (*impl)->state.limits.slow = slow;
    (*impl)->state.slow.set_threshold(slow);
  });
}

std::uint64_t Gateway::set_max_clients(std::uint64_t clients) {
  const std::size_t most = std::min<std::size_t>(clients, impl_->most_clients);
  impl_->loop.run_on_loop([most, here = std::weak_ptr(impl_->here)] {
    if (const auto impl = here.lock()) (*impl)->state.limits.connections = most;
  });
  return most;
}

void Gateway::stop() {
  impl_->loop.run_on_loop([this] {
    impl_->stopping = true;
    impl_->changed.wake_all();
  });
}

}  // namespace scalio::redis
