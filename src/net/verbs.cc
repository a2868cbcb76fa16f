#include "net/verbs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error_text.h"

namespace scalio::net {

namespace {
constexpr std::size_t kPage = 4096;

// Asked before librdmacm is, which complains on stderr in its own way.
bool any_device() {
  int count = 0;
  ibv_device** devices = ibv_get_device_list(&count);
  if (devices != nullptr) ibv_free_device_list(devices);
  return count > 0;
}
}  // namespace

Status verbs_failure(std::string_view what, int error) {
  std::string advice;
  if (error == ENOMEM || error == EPERM) {
    advice = "; RDMA pins its memory: raise the limit on locked memory (ulimit -l, LimitMEMLOCK=)";
  }
  if (error == ENODEV || error == EADDRNOTAVAIL) {
    advice = fmt::format("; no RDMA device has this address; those that one has: {}",
                         fmt::join(rdma_addresses(), " "));
  }
  return Status(error == EADDRINUSE ? Code::busy : Code::unavailable,
                fmt::format("cannot {}: {}{}", what, error_text(error), advice));
}

Result<CmChannel> open_cm_channel() {
  if (!any_device()) {
    return Status(Code::unavailable,
                  "no RDMA device: this machine has none, or its driver is not loaded (ibv_devices "
                  "lists them; "
                  "for soft-RoCE: rdma link add rxe0 type rxe netdev eth0)");
  }
  CmChannel channel(rdma_create_event_channel());
  if (!channel && (errno == EMFILE || errno == ENFILE)) return verbs_failure("use RDMA", errno);
  if (!channel) {
    return Status(
        Code::unavailable,
        fmt::format(
            "cannot use the RDMA connection manager, /dev/infiniband/rdma_cm: {}; is the module "
            "rdma_ucm loaded?",
            std::strerror(errno)));
  }
  if (fcntl(channel->fd, F_SETFL, fcntl(channel->fd, F_GETFL) | O_NONBLOCK) != 0) {
    return verbs_failure("use the RDMA event channel", errno);
  }
  return channel;
}

Result<CmId> open_cm_id(rdma_event_channel* channel) {
  rdma_cm_id* id = nullptr;
  if (rdma_create_id(channel, &id, nullptr, RDMA_PS_TCP) != 0) {
    return verbs_failure("make an RDMA endpoint", errno);
  }
  return CmId(id);
}

void reject(rdma_cm_id* id, ByteView reason) {
  rdma_reject(id, reason.data(), static_cast<std::uint8_t>(reason.size()));
}

std::string peer_name(rdma_cm_id* id) { return name_of(rdma_get_peer_addr(id)); }

std::vector<std::string> rdma_addresses() {
  std::vector<std::string> found;
  Result<CmChannel> channel = open_cm_channel();
  ifaddrs* all = nullptr;
  if (!channel.ok() || getifaddrs(&all) != 0) return found;
  for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != AF_INET) continue;
    sockaddr_in any_port{};
    std::memcpy(&any_port, i->ifa_addr, sizeof any_port);
    any_port.sin_port = 0;
    Result<CmId> id = open_cm_id(channel->get());
    if (id.ok() && rdma_bind_addr(id->get(), reinterpret_cast<sockaddr*>(&any_port)) == 0 &&
        (*id)->verbs != nullptr) {
      const std::string name = name_of(reinterpret_cast<sockaddr*>(&any_port));
      found.push_back(name.substr(0, name.rfind(':')));
    }
  }
  freeifaddrs(all);
  return found;
}

Result<Registration> register_memory(ibv_pd* domain, ByteSpan memory, int access) {
  Registration registration(ibv_reg_mr(domain, memory.data(), memory.size(), access));
  if (!registration) {
    return verbs_failure(fmt::format("register {} bytes for RDMA", memory.size()), errno);
  }
  return registration;
}

Result<RegisteredMemory> RegisteredMemory::create(ibv_pd* domain, std::size_t size, int access) {
  RegisteredMemory m;
  size = round_up(size, kPage);
  m.memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, size)));
  if (!m.memory_) return verbs_failure(fmt::format("allocate {} bytes", size), ENOMEM);
  std::memset(m.memory_.get(), 0, size);
  Result<Registration> registration = register_memory(domain, {m.data(), size}, access);
  if (!registration.ok()) return registration.status();
  m.registration_ = std::move(*registration);
  return m;
}

}  // namespace scalio::net
