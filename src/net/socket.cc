#include "net/socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/error_text.h"

namespace scalio::net {

namespace {

constexpr int kSocketFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

Status failed(Code code, std::string_view what, int error) {
  return Status(code, fmt::format("{}: {}", what, error_text(error)));
}

// Not `invalid`: a name may be unknown for a moment, where machines come and go.
Status no_address(const std::string& host, int rc, int error) {
  return Status(Code::unavailable,
                fmt::format("cannot find host {}: {}{}", host,
                            rc == EAI_SYSTEM ? std::strerror(error) : gai_strerror(rc),
                            rc == EAI_AGAIN ? "; the name service may answer later" : ""));
}

const sockaddr* generic(const Address& a) { return reinterpret_cast<const sockaddr*>(&a.storage); }

void tune_tcp(int fd) {
  const int on = 1;
  // Frames are batched by FrameStream: the kernel must not wait for more.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A machine that lost its power never says that its connections are gone: the kernel asks.
  const int idle = 30, interval = 10, count = 3;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

// Makes room for a new socket at `path`: removes a socket that nobody listens on.
Status remove_stale(const std::string& path, const Address& address) {
  struct stat st {};
  if (lstat(path.c_str(), &st) != 0) return Status();  // bind() will say if that is a problem
  if (!S_ISSOCK(st.st_mode)) {
    return Status(
        Code::invalid,
        fmt::format("cannot listen at {}: it exists and is not a socket; choose another path",
                    path));
  }
  UniqueFd probe(socket(AF_UNIX, kSocketFlags, 0));
  if (!probe) return failed(Code::unavailable, "socket", errno);
  if (connect(probe.get(), generic(address), address.size) == 0 || errno == EAGAIN) {
    return Status(Code::busy, fmt::format("cannot listen at {}: another server does", path));
  }
  if (errno != ECONNREFUSED) return failed(Code::unavailable, "cannot listen at " + path, errno);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return failed(Code::unavailable, "cannot remove the stale socket " + path, errno);
  }
  return Status();
}

// An address of either family as one of IPv6.
in6_addr as_ipv6(const sockaddr* address) {
  if (address->sa_family == AF_INET6)
    return reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  in6_addr mapped{};
  mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
  std::memcpy(mapped.s6_addr + 12, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 4);
  return mapped;
}

// The same; nothing for a name.
std::optional<in6_addr> numeric(const std::string& host) {
  const Result<std::vector<Address>> found = resolve(host, 0, true, false);
  if (!found.ok()) return std::nullopt;
  return as_ipv6(generic(found->front()));
}

std::uint32_t ipv4_of(const in6_addr& mapped) {
  std::uint32_t address = 0;
  std::memcpy(&address, mapped.s6_addr + 12, sizeof address);
  return ntohl(address);
}

bool loops_back(const in6_addr& a) {
  return IN6_IS_ADDR_V4MAPPED(&a) ? ipv4_of(a) >> 24 == IN_LOOPBACKNET : IN6_IS_ADDR_LOOPBACK(&a);
}

}  // namespace

bool is_every_address(const std::string& host) {
  const std::optional<in6_addr> a = numeric(host);
  return a &&
         (IN6_IS_ADDR_V4MAPPED(&*a) ? ipv4_of(*a) == INADDR_ANY : IN6_IS_ADDR_UNSPECIFIED(&*a));
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const std::optional<in6_addr> a = numeric(host);
  return a && loops_back(*a);
}

std::string name_of(const sockaddr* address) {
  const socklen_t size =
      address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo(address, size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  return address->sa_family == AF_INET6 ? fmt::format("[{}]:{}", host, port)
                                        : fmt::format("{}:{}", host, port);
}

std::string place_of(const sockaddr* address) {
  in6_addr a = as_ipv6(address);
  if (loops_back(a)) return "tcp loopback";
  char text[INET6_ADDRSTRLEN] = {};
  if (IN6_IS_ADDR_V4MAPPED(&a)) {
    return fmt::format("tcp {}", inet_ntop(AF_INET, a.s6_addr + 12, text, sizeof text));
  }
  std::memset(a.s6_addr + 8, 0, 8);  // the interface's half, which its owner chooses
  return fmt::format("tcp [{}]/64", inet_ntop(AF_INET6, &a, text, sizeof text));
}

Result<Address> unix_address(const std::string& path) {
  Address a;
  auto* un = reinterpret_cast<sockaddr_un*>(&a.storage);
  if (path.size() >= sizeof un->sun_path) {
    return Status(Code::invalid, fmt::format("the socket path {} has {} bytes, more than {}", path,
                                             path.size(), sizeof un->sun_path - 1));
  }
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.c_str(), path.size() + 1);
  a.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  a.text = path;
  return a;
}

Result<std::vector<Address>> resolve(const std::string& host, std::uint16_t port, bool numeric_only,
                                     bool to_listen) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags =
      AI_NUMERICSERV | (numeric_only ? AI_NUMERICHOST : 0) | (to_listen ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  if (int rc = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); rc != 0) {
    return no_address(host, rc, errno);
  }
  std::vector<Address> addresses;
  for (const addrinfo* i = found; i != nullptr; i = i->ai_next) {
    Address a;
    std::memcpy(&a.storage, i->ai_addr, i->ai_addrlen);
    a.size = i->ai_addrlen;
    a.text = name_of(i->ai_addr);
    addresses.push_back(std::move(a));
  }
  freeaddrinfo(found);
  return addresses;
}

Result<UniqueFd> start_connecting(const Address& address) {
  UniqueFd fd(socket(address.storage.ss_family, kSocketFlags, 0));
  if (!fd) return failed(Code::unavailable, "socket", errno);
  if (address.storage.ss_family != AF_UNIX) tune_tcp(fd.get());
  if (connect(fd.get(), generic(address), address.size) != 0 && errno != EINPROGRESS) {
    const Code code = errno == EAGAIN ? Code::busy : Code::unavailable;
    return failed(code, "cannot connect to " + address.text, errno);
  }
  return fd;
}

Result<Listener> Listener::open(const Uri& uri) {
  return listen_patiently([&] { return uri.local() ? open_unix(uri) : open_tcp(uri); });
}

Result<Listener> Listener::open_unix(const Uri& uri) {
  Result<Address> address = unix_address(uri.path);
  if (!address.ok()) return address.status();
  if (Status s = remove_stale(uri.path, *address); !s.ok()) return s;
  UniqueFd fd(socket(AF_UNIX, kSocketFlags, 0));
  if (!fd) return failed(Code::unavailable, "socket", errno);
  if (bind(fd.get(), generic(*address), address->size) != 0) {
    return failed(errno == EADDRINUSE ? Code::busy : Code::unavailable,
                  "cannot listen at " + uri.path, errno);
  }
  Listener listener(std::move(fd), uri);
  if (lstat(uri.path.c_str(), &listener.file_) != 0 || listen(listener.fd(), SOMAXCONN) != 0) {
    return failed(Code::unavailable, "cannot listen at " + uri.path, errno);
  }
  return listener;
}

Result<Listener> Listener::open_tcp(const Uri& uri) {
  Result<std::vector<Address>> addresses = resolve(uri.host, uri.port, false, true);
  if (!addresses.ok()) return addresses.status();
  const Address& address = addresses->front();
  UniqueFd fd(socket(address.storage.ss_family, kSocketFlags, 0));
  if (!fd) return failed(Code::unavailable, "socket", errno);
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd.get(), generic(address), address.size) != 0 || listen(fd.get(), SOMAXCONN) != 0) {
    return failed(errno == EADDRINUSE ? Code::busy : Code::unavailable,
                  fmt::format("cannot listen at {}", uri.text()), errno);
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return failed(Code::unavailable, "getsockname", errno);
  }
  Uri real = uri;
  real.port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                                : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  return Listener(std::move(fd), std::move(real));
}

Listener::~Listener() {
  struct stat now {};
  if (fd_ && uri_.local() && lstat(uri_.path.c_str(), &now) == 0 && now.st_dev == file_.st_dev &&
      now.st_ino == file_.st_ino) {
    unlink(uri_.path.c_str());
  }
}

Result<Listener::Accepted> Listener::accept() {
  for (;;) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    UniqueFd fd(accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      const int error = errno;
      if (error == EAGAIN) return Status(Code::unavailable, "nobody is waiting");
      if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
        return failed(Code::busy, "accept", error);
      }
      continue;  // this one connection failed before it was accepted
    }
    Accepted accepted{std::move(fd), {}, {}};
    if (uri_.local()) {
      ucred who{};
      socklen_t n = sizeof who;
      getsockopt(accepted.fd.get(), SOL_SOCKET, SO_PEERCRED, &who, &n);
      accepted.name = fmt::format("unix pid {}", who.pid);
      accepted.place = fmt::format("unix uid {}", who.uid);
    } else {
      tune_tcp(accepted.fd.get());
      accepted.name = "tcp " + name_of(reinterpret_cast<sockaddr*>(&peer));
      accepted.place = place_of(reinterpret_cast<sockaddr*>(&peer));
    }
    return accepted;
  }
}

}  // namespace scalio::net
