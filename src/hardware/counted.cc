#include "hardware/counted.h"

#include <coroutine>

// Plain names, so that --toggle-collect finds them; not inlined, so that they are there.
#define SCALIO_COUNTED extern "C" __attribute__((noinline))

namespace {
// Keeps the call from being the last thing that the caller does, which would make it a jump.
inline void stay() { asm volatile("" ::: "memory"); }
inline void go_on(void* coroutine) {
  std::coroutine_handle<>::from_address(coroutine).resume();
  stay();
}
}  // namespace

SCALIO_COUNTED void scalio_counted_server_read(void* coroutine) { go_on(coroutine); }
SCALIO_COUNTED void scalio_counted_server_write(void* coroutine) { go_on(coroutine); }
SCALIO_COUNTED void scalio_counted_server_other(void* coroutine) { go_on(coroutine); }
SCALIO_COUNTED void scalio_counted_client_message(void* coroutine) { go_on(coroutine); }
SCALIO_COUNTED void scalio_counted_client_read(void* coroutine) { go_on(coroutine); }
SCALIO_COUNTED void scalio_counted_client_one_sided(void* coroutine) { go_on(coroutine); }
SCALIO_COUNTED void scalio_counted_client_other(void* coroutine) { go_on(coroutine); }
SCALIO_COUNTED void scalio_counted_server_message(scalio::fabric::Service* service,
                                                  scalio::fabric::Peer* peer, std::uint64_t call,
                                                  const std::byte* bytes, std::size_t size) {
  service->on_request(*peer, call, {bytes, size});
  stay();
}

namespace scalio::hardware::counted {

void resume(Role role, StepKind kind, bool counts, void* coroutine) {
  if (!counts) return std::coroutine_handle<>::from_address(coroutine).resume();
  switch (role) {
    case Role::scalio_server:
    case Role::leed_server:
    case Role::paper_server:
      return kind == StepKind::read    ? scalio_counted_server_read(coroutine)
             : kind == StepKind::write ? scalio_counted_server_write(coroutine)
                                       : scalio_counted_server_other(coroutine);
    default: break;
  }
  switch (kind) {
    case StepKind::message: return scalio_counted_client_message(coroutine);
    case StepKind::read:
    case StepKind::write: return scalio_counted_client_read(coroutine);
    case StepKind::one_sided: return scalio_counted_client_one_sided(coroutine);
    case StepKind::other: return scalio_counted_client_other(coroutine);
  }
}

void request(bool counts, fabric::Service& service, fabric::Peer& peer, std::uint64_t call,
             ByteView bytes) {
  if (!counts) return service.on_request(peer, call, bytes);
  scalio_counted_server_message(&service, &peer, call, bytes.data(), bytes.size());
}

}  // namespace scalio::hardware::counted
