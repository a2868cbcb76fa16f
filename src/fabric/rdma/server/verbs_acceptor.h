// VerbsAcceptor: takes RDMA clients' requests to connect, on a thread beside the lanes', checks
// what each says, and passes it on to the lane that it wants, whose thread answers it.
#pragma once

#include <list>
#include <span>
#include <vector>

#include "fabric/rdma/server/verbs_peer.h"
#include "net/limited_log.h"
#include "net/uri.h"
#include "net/verbs_queue.h"

namespace scalio::fabric {

// A listening RDMA endpoint.
class VerbsListener {
 public:
  // Blocks while it resolves a host's name. Failures: unavailable (no RDMA device, or none with
  // this address, or one without atomics), busy (somebody listens there, after 2 s), invalid (no
  // such host; or an address of every device, where there are several).
  static Result<VerbsListener> open(const net::Uri& uri);

  rdma_event_channel* channel() const { return channel_.get(); }
  ibv_context* device() const { return device_; }
  const net::Uri& uri() const { return uri_; }  // with the real port

 private:
  static Result<VerbsListener> open_now(const net::Uri& uri);

  net::CmChannel channel_;
  net::CmId id_;
  ibv_context* device_ = nullptr;
  net::Uri uri_;
};

class VerbsAcceptor {
 public:
  // Belongs to the loop's thread. All listeners are of one device, which has the lanes' regions;
  // these must outlive it.
  VerbsAcceptor(EventLoop& loop, std::vector<VerbsListener> listeners,
                std::span<const VerbsLane> lanes);
  VerbsAcceptor(const VerbsAcceptor&) = delete;
  VerbsAcceptor& operator=(const VerbsAcceptor&) = delete;

 private:
  void on_events(VerbsListener& listener);
  Status pass_on(const VerbsListener& listener, net::CmId& id, ByteView hello, unsigned max_reads);

  EventLoop& loop_;
  const std::span<const VerbsLane> lanes_;
  std::vector<VerbsListener> listeners_;
  std::list<Watch> watches_;
  net::LimitedLog log_;
};

}  // namespace scalio::fabric
