#include "fabric/rdma/server/verbs_acceptor.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>

#include <cerrno>

#include "fabric/rdma/verbs_handshake.h"

namespace scalio::fabric {

namespace {
constexpr int kBacklog = 1024;

// The device that an address belongs to. An address of all devices does if there is one device.
Result<ibv_context*> device_of(rdma_cm_id* id, const net::Uri& uri) {
  ibv_context* device = id->verbs;
  if (device == nullptr) {
    int count = 0;
    ibv_context** all = rdma_get_devices(&count);
    if (all != nullptr && count == 1) device = all[0];
    if (all != nullptr) rdma_free_devices(all);
    if (device == nullptr) {
      return Status(Code::invalid,
                    fmt::format("{} is an address of {} RDMA devices, and compare-and-swaps "
                                "are atomic only within one: listen at an address of one",
                                uri.text(), count));
    }
  }
  ibv_device_attr attributes{};
  if (const int error = ibv_query_device(device, &attributes); error != 0) {
    return net::verbs_failure("ask the RDMA device what it can", error);
  }
  if (attributes.atomic_cap == IBV_ATOMIC_NONE) {
    return Status(Code::unavailable, fmt::format("the RDMA device {} of {} has no compare-and-swap",
                                                 ibv_get_device_name(device->device), uri.text()));
  }
  return device;
}
}  // namespace

Result<VerbsListener> VerbsListener::open(const net::Uri& uri) {
  return net::listen_patiently([&] { return open_now(uri); });
}

Result<VerbsListener> VerbsListener::open_now(const net::Uri& uri) {
  Result<net::CmChannel> channel = net::open_cm_channel();
  if (!channel.ok()) return channel.status();
  Result<std::vector<net::Address>> addresses = net::resolve(uri.host, uri.port, false, true);
  if (!addresses.ok()) return addresses.status();
  Result<net::CmId> id = net::open_cm_id(channel->get());
  if (!id.ok()) return id.status();
  sockaddr_storage at = addresses->front().storage;
  if (rdma_bind_addr(id->get(), reinterpret_cast<sockaddr*>(&at)) != 0) {
    return net::verbs_failure("listen at " + uri.text(), errno);
  }
  const Result<ibv_context*> device = device_of(id->get(), uri);
  if (!device.ok()) return device.status();
  if (rdma_listen(id->get(), kBacklog) != 0)
    return net::verbs_failure("listen at " + uri.text(), errno);
  VerbsListener listener;
  listener.uri_ = uri;
  listener.uri_.port = ntohs(rdma_get_src_port(id->get()));
  listener.device_ = *device;
  listener.channel_ = std::move(*channel);
  listener.id_ = std::move(*id);
  return listener;
}

VerbsAcceptor::VerbsAcceptor(EventLoop& loop, std::vector<VerbsListener> listeners,
                             std::span<const VerbsLane> lanes)
    : loop_(loop), lanes_(lanes), listeners_(std::move(listeners)) {
  for (VerbsListener& listener : listeners_) {
    watches_.emplace_back(loop, listener.channel()->fd, POLLIN,
                          [this, &listener](std::uint32_t) { on_events(listener); });
  }
}

void VerbsAcceptor::on_events(VerbsListener& listener) {
  rdma_cm_event* event = nullptr;
  while (rdma_get_cm_event(listener.channel(), &event) == 0) {
    if (event->event != RDMA_CM_EVENT_CONNECT_REQUEST) {
      rdma_ack_cm_event(event);
      continue;
    }
    net::CmId id(event->id);
    const auto* data = static_cast<const std::byte*>(event->param.conn.private_data);
    const Bytes hello(data, data + (data == nullptr ? 0 : event->param.conn.private_data_len));
    const unsigned max_reads = event->param.conn.responder_resources;
    rdma_ack_cm_event(event);
    if (Status s = pass_on(listener, id, hello, max_reads); !s.ok()) {
      log_.warn(loop_.now(),
                fmt::format("rdma {}: refused: {}", net::peer_name(id.get()), s.message()));
      net::reject(id.get(), encode_reject(s));
    }
  }
}

// Leaves `id` to the caller if it fails.
Status VerbsAcceptor::pass_on(const VerbsListener& listener, net::CmId& id, ByteView data,
                              unsigned max_reads) {
  const Result<VerbsHello> hello = decode_verbs_hello(data);
  if (!hello.ok()) return hello.status();
  if (hello->lane >= lanes_.size()) {
    return Status(Code::invalid,
                  fmt::format("there is no lane {}, only {}", hello->lane, lanes_.size()));
  }
  if (id->verbs != listener.device()) {
    return Status(Code::invalid,
                  "it came by another RDMA device than the one that the region is on");
  }
  const VerbsLane& lane = lanes_[hello->lane];
  if (!lane.port->room()) return Status(Code::busy, "too many clients are connecting");
  Result<net::CmChannel> channel = net::open_cm_channel();
  if (!channel.ok()) return Status(Code::busy, channel.status().message());
  // From now on its events come to a channel of its own, where its lane's thread looks for them.
  if (rdma_migrate_id(id.get(), channel->get()) != 0)
    return net::verbs_failure("take over a client", errno);
  std::string name = "rdma " + net::peer_name(id.get());
  // In a shared_ptr, because what is run on a loop must be copyable.
  auto request = std::make_shared<net::VerbsRequest>(
      net::VerbsRequest{std::move(*channel), std::move(id), std::move(name), max_reads});
  lane.port->hand_over([&lane, request] { admit(lane, std::move(*request)); });
  return Status();
}

}  // namespace scalio::fabric
