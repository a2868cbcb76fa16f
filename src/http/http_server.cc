#include "http/http_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <microhttpd.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/socket.h"
#include "task/thread.h"

namespace scalio::http {

namespace {
using Clock = std::chrono::steady_clock;

// Of a connection: what it has sent is in it, and it is closed when that does not fit.
constexpr std::size_t kMemory = 16 << 10;
// What connections have to end before the daemon starts again.
constexpr std::chrono::seconds kToEnd{1};
// Of all connections, those included that are ending.
constexpr unsigned kMostOpen = 2 * HttpServer::kMaxConnections;
// Its stack: a page parses JSON, which is as deep as parse_json() allows.
constexpr std::size_t kStack = 512 << 10;

void log_line(void*, const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  std::string_view text(line);
  while (text.ends_with('\n')) text.remove_suffix(1);
  spdlog::debug("http: {}", text);
}

// What starts threads that must not get the program's signals.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};
}  // namespace

struct HttpServer::Impl {
  explicit Impl(net::Listener l) : listener(std::move(l)) {}
  ~Impl();

  Status start();
  Status start_daemon();
  void stop_daemon();
  Status renew(HttpsKey key);
  Answer answer_to(std::string_view path) const;
  std::optional<Answer> refuse(MHD_Connection* connection, std::string_view method);
  bool is_our_host(std::string_view host) const;
  bool make_room(const std::string& place);
  void begun(MHD_Connection* connection);
  void asked(MHD_Connection* connection);
  void ended(MHD_Connection* connection);
  void end_old();

  static MHD_Result on_request(void* self, MHD_Connection* connection, const char* path,
                               const char* method, const char* version, const char* upload,
                               std::size_t* upload_size, void** request);
  static MHD_Result queue(MHD_Connection* connection, const Answer& answer);
  static MHD_Result on_accept(void* self, const sockaddr* address, socklen_t size);
  static void on_connection(void* self, MHD_Connection* connection, void**,
                            MHD_ConnectionNotificationCode what);

  HttpLimits limits;
  std::optional<HttpsKey> https;
  Pages pages;
  net::Listener listener;
  MHD_Daemon* daemon = nullptr;

  // Ends connections that live too long; asleep while there are none.
  struct Live {
    int socket = -1;
    std::string place;
    Clock::time_point begin;
    Clock::time_point end;
    bool asked = false;  // its header is there
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::map<MHD_Connection*, Live> live;
  bool stopping = false;
  std::thread reaper;
};

HttpServer::Impl::~Impl() {
  if (daemon != nullptr) stop_daemon();
  if (!reaper.joinable()) return;
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  reaper.join();
}

Status HttpServer::Impl::start() {
  Result<std::thread> thread = start_thread("scalio-http-end", [this] { end_old(); });
  if (!thread.ok()) return thread.status();
  reaper = std::move(*thread);
  return start_daemon();
}

void HttpServer::Impl::stop_daemon() {
  {
    std::lock_guard lock(mutex);
    for (const auto& [connection, its] : live) shutdown(its.socket, SHUT_RDWR);
  }
  MHD_stop_daemon(std::exchange(daemon, nullptr));
}

// A daemon has one certificate for its life. The listener is not the daemon's, and stays.
Status HttpServer::Impl::renew(HttpsKey key) {
  if (daemon != nullptr) {
    const net::UniqueFd given(MHD_quiesce_daemon(daemon));  // it accepts nobody any more
    {
      std::unique_lock lock(mutex);
      changed.wait_for(lock, kToEnd, [this] { return live.empty(); });
    }
    stop_daemon();
  }
  const std::optional<HttpsKey> before = std::exchange(https, std::move(key));
  Status renewed = start_daemon();
  if (renewed.ok()) return renewed;
  https = before;
  if (start_daemon().ok()) return renewed;
  return {renewed.code(), renewed.message() + "; it has ended"};
}

Status HttpServer::Impl::start_daemon() {
  const SignalsBlocked blocked;
  // It closes the one that it is given.
  const int given = fcntl(listener.fd(), F_DUPFD_CLOEXEC, 0);
  if (given < 0) return {Code::unavailable, "cannot serve HTTP: no descriptor is left"};
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
                   MHD_USE_ITC | MHD_USE_ERROR_LOG;
  std::vector<MHD_OptionItem> more;
  if (https) {
    flags |= MHD_USE_TLS;
    const auto add = [&](MHD_OPTION option, const char* text) {
      more.push_back({option, 0, const_cast<char*>(text)});
    };
    add(MHD_OPTION_HTTPS_MEM_CERT, https->certificate.c_str());
    add(MHD_OPTION_HTTPS_MEM_KEY, https->key.c_str());
    add(MHD_OPTION_HTTPS_PRIORITIES, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
  }
  more.push_back({MHD_OPTION_END, 0, nullptr});
  daemon = MHD_start_daemon(
      flags, 0, &Impl::on_accept, this, &Impl::on_request, this, MHD_OPTION_EXTERNAL_LOGGER,
      &log_line, nullptr, MHD_OPTION_LISTEN_SOCKET, given, MHD_OPTION_CONNECTION_LIMIT, kMostOpen,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMemory, MHD_OPTION_CONNECTION_TIMEOUT,
      limits.idle_seconds, MHD_OPTION_THREAD_STACK_SIZE, kStack, MHD_OPTION_NOTIFY_CONNECTION,
      &Impl::on_connection, this, MHD_OPTION_ARRAY, more.data(), MHD_OPTION_END);
  if (daemon == nullptr) {
    return {Code::unavailable,
            fmt::format("cannot serve HTTP on {}: no thread or no descriptor is left{}",
                        listener.uri().text(), https ? ", or GnuTLS does not take the key" : "")};
  }
  return Status();
}

// Before a connection from there begins. One that is ended here ends in its own thread, soon: it is
// not waited for.
bool HttpServer::Impl::make_room(const std::string& place) {
  const std::lock_guard lock(mutex);
  const auto full = [&](bool of_the_place) {
    const auto counts = [&](const auto& one) { return !of_the_place || one.second.place == place; };
    const auto there = static_cast<std::size_t>(std::ranges::count_if(live, counts));
    if (there < (of_the_place ? kMaxOfAPlace : kMaxConnections)) return false;
    auto oldest = live.end();
    for (auto it = live.begin(); it != live.end(); ++it) {
      if (!counts(*it) || it->second.asked) continue;
      if (oldest == live.end() || it->second.begin < oldest->second.begin) oldest = it;
    }
    if (oldest == live.end()) return true;
    shutdown(oldest->second.socket, SHUT_RDWR);
    live.erase(oldest);
    return false;
  };
  return !full(true) && !full(false);
}

MHD_Result HttpServer::Impl::on_accept(void* self, const sockaddr* address, socklen_t) {
  return static_cast<Impl*>(self)->make_room(net::place_of(address)) ? MHD_YES : MHD_NO;
}

void HttpServer::Impl::begun(MHD_Connection* connection) {
  const MHD_ConnectionInfo* info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  const MHD_ConnectionInfo* whence =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == nullptr || whence == nullptr) return;
  const Clock::time_point now = Clock::now();
  const unsigned header = std::min(limits.header_seconds, limits.longest_seconds);
  {
    std::lock_guard lock(mutex);
    live[connection] = {info->connect_fd, net::place_of(whence->client_addr), now,
                        now + std::chrono::seconds(header)};
  }
  changed.notify_all();
}

// Its header is there.
void HttpServer::Impl::asked(MHD_Connection* connection) {
  const std::lock_guard lock(mutex);
  const auto found = live.find(connection);
  if (found == live.end()) return;
  found->second.asked = true;
  found->second.end = found->second.begin + std::chrono::seconds(limits.longest_seconds);
}

// Its socket is closed after this.
void HttpServer::Impl::ended(MHD_Connection* connection) {
  {
    std::lock_guard lock(mutex);
    live.erase(connection);
  }
  changed.notify_all();
}

void HttpServer::Impl::end_old() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    std::optional<Clock::time_point> next;
    for (auto it = live.begin(); it != live.end();) {
      if (it->second.end <= Clock::now()) {
        shutdown(it->second.socket, SHUT_RDWR);
        it = live.erase(it);
        continue;
      }
      next = std::min(next.value_or(it->second.end), it->second.end);
      ++it;
    }
    if (next) {
      changed.wait_until(lock, *next);
    } else {
      changed.wait(lock);
    }
  }
}

void HttpServer::Impl::on_connection(void* self, MHD_Connection* connection, void**,
                                     MHD_ConnectionNotificationCode what) {
  Impl& impl = *static_cast<Impl*>(self);
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    impl.begun(connection);
  } else {
    impl.ended(connection);
  }
}

Answer HttpServer::Impl::answer_to(std::string_view path) const {
  const auto page = pages.find(std::string(path));
  if (page != pages.end()) return page->second();
  std::string body = "There is no such page. There are:\n";
  for (const auto& [name, of] : pages) body += name + "\n";
  return {.status = MHD_HTTP_NOT_FOUND, .body = std::move(body)};
}

// Of a Host field: "example.com:80", "[::1]:9100".
bool HttpServer::Impl::is_our_host(std::string_view host) const {
  const std::size_t end = host.starts_with('[') ? host.find(']') : host.rfind(':');
  std::string name(host.substr(0, end));
  if (name.starts_with('[')) name.erase(0, 1);
  return strcasecmp(name.c_str(), "localhost") == 0 || net::resolve(name, 0, true, false).ok();
}

// What is to be answered when no more than the header is there, so that no body is read.
std::optional<Answer> HttpServer::Impl::refuse(MHD_Connection* connection,
                                               std::string_view method) {
  const auto field = [&](const char* name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  };
  if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD) {
    return Answer{.status = MHD_HTTP_METHOD_NOT_ALLOWED,
                  .body = "Only GET and HEAD are answered.\n"};
  }
  const char* const length = field(MHD_HTTP_HEADER_CONTENT_LENGTH);
  if ((length != nullptr && std::string_view(length) != "0") ||
      field(MHD_HTTP_HEADER_TRANSFER_ENCODING) != nullptr) {
    return Answer{.status = MHD_HTTP_CONTENT_TOO_LARGE, .body = "A question has no body here.\n"};
  }
  // Under TLS a foreign name is refused by the browser: the certificate is not for it.
  const char* const host = field(MHD_HTTP_HEADER_HOST);
  if (host != nullptr && !https && net::is_loopback(listener.uri().host) && !is_our_host(host)) {
    return Answer{.status = MHD_HTTP_MISDIRECTED_REQUEST,
                  .body = "This server is asked as localhost, or by an address.\n"};
  }
  return std::nullopt;
}

MHD_Result HttpServer::Impl::on_request(void* self, MHD_Connection* connection, const char* path,
                                        const char* method, const char*, const char*, std::size_t*,
                                        void** request) {
  // It is called when the header is there, and, if that was not answered, once more.
  static int seen = 0;
  Impl& impl = *static_cast<Impl*>(self);
  if (*request == nullptr) {
    *request = &seen;
    impl.asked(connection);
    const std::optional<Answer> refused = impl.refuse(connection, method);
    return refused ? queue(connection, *refused) : MHD_YES;
  }
  return queue(connection, impl.answer_to(path));
}

MHD_Result HttpServer::Impl::queue(MHD_Connection* connection, const Answer& answer) {
  MHD_Response* response = MHD_create_response_from_buffer(
      answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {MHD_HTTP_HEADER_CONTENT_TYPE, answer.type.c_str()},
           {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
           {MHD_HTTP_HEADER_CONNECTION, "close"},
           {"X-Content-Type-Options", "nosniff"},
           {"X-Frame-Options", "DENY"},
           {"Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
            "connect-src 'self'; img-src data:"}}) {
    MHD_add_response_header(response, name, value);
  }
  const MHD_Result queued = MHD_queue_response(connection, answer.status, response);
  MHD_destroy_response(response);
  return queued;
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const net::Uri& at, Pages pages,
                                                      HttpLimits limits,
                                                      std::optional<HttpsKey> https) {
  Result<net::Listener> listener = net::Listener::open(at);
  if (!listener.ok()) return listener.status();
  auto impl = std::make_unique<Impl>(*std::move(listener));
  impl->pages = std::move(pages);
  impl->limits = limits;
  impl->https = std::move(https);
  if (Status s = impl->start(); !s.ok()) return s;
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Status HttpServer::renew(HttpsKey https) { return impl_->renew(std::move(https)); }

const net::Uri& HttpServer::address() const { return impl_->listener.uri(); }

}  // namespace scalio::http
