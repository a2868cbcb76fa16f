// Owners of what libibverbs and librdmacm hand out, and their failures as statuses.
#pragma once

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <scalio/status.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "net/socket.h"

namespace scalio::net {

template <auto release>
struct VerbsRelease {
  template <class T>
  void operator()(T* handle) const {
    release(handle);
  }
};
inline void destroy_with_queue_pair(rdma_cm_id* id) {
  if (id->qp != nullptr) rdma_destroy_qp(id);
  rdma_destroy_id(id);
}

using ProtectionDomain = std::unique_ptr<ibv_pd, VerbsRelease<ibv_dealloc_pd>>;
using Registration = std::unique_ptr<ibv_mr, VerbsRelease<ibv_dereg_mr>>;
using CompletionChannel = std::unique_ptr<ibv_comp_channel, VerbsRelease<ibv_destroy_comp_channel>>;
using CompletionQueue = std::unique_ptr<ibv_cq, VerbsRelease<ibv_destroy_cq>>;
using CmChannel = std::unique_ptr<rdma_event_channel, VerbsRelease<rdma_destroy_event_channel>>;
// Goes before its channel, and after everything that was posted to its queue pair is no longer
// needed.
using CmId = std::unique_ptr<rdma_cm_id, VerbsRelease<destroy_with_queue_pair>>;

// "cannot WHAT: reason", with what to do where that is known.
Status verbs_failure(std::string_view what, int error);

// A non-blocking channel for connection events. Fails with unavailable: there is no RDMA device.
Result<CmChannel> open_cm_channel();
// Without a queue pair. Fails with unavailable.
Result<CmId> open_cm_id(rdma_event_channel* channel);

// Answers somebody who asks to connect with a refusal, which carries `reason`: 148 bytes at most.
void reject(rdma_cm_id* id, ByteView reason);

// "10.0.0.7:5000", of the other side.
std::string peer_name(rdma_cm_id* id);
// The addresses of this machine (IPv4) that are an RDMA device's; none if there is no such device.
std::vector<std::string> rdma_addresses();

// Registers memory; `access` as for ibv_reg_mr. All of it is pinned: on-demand paging is not relied
// on. Fails with unavailable.
Result<Registration> register_memory(ibv_pd* domain, ByteSpan memory, int access);

// Memory of its own, page-aligned and zeroed, and registered for as long as it lives.
class RegisteredMemory {
 public:
  RegisteredMemory() = default;
  RegisteredMemory(RegisteredMemory&&) = default;
  RegisteredMemory& operator=(RegisteredMemory&& o) noexcept {
    registration_ = std::move(o.registration_);  // the old one first: its memory is still there
    memory_ = std::move(o.memory_);
    return *this;
  }
  static Result<RegisteredMemory> create(ibv_pd* domain, std::size_t size, int access);

  std::byte* data() const { return memory_.get(); }
  std::uint32_t local_key() const { return registration_->lkey; }
  std::uint32_t remote_key() const { return registration_->rkey; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  Registration registration_;
};

}  // namespace scalio::net
