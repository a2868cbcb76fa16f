#include "task/io_ring.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "base/error_text.h"

namespace scalio {

namespace {
constexpr unsigned kRingEntries = 256;
// The kernel keeps completions beyond the ring's size in a list of its own; this size makes that
// rare.
constexpr unsigned kCompletionEntries = 4096;

// Creates the ring so that completions wait for the thread's next system call instead of
// interrupting it, where the kernel can (Linux 5.19). Returns 0 or -errno.
int init_ring(io_uring* ring) {
  io_uring_params params{};
  params.cq_entries = kCompletionEntries;
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG;
  int rc = io_uring_queue_init_params(kRingEntries, ring, &params);
  if (rc != -EINVAL) return rc;
  params = {};
  params.cq_entries = kCompletionEntries;
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  return io_uring_queue_init_params(kRingEntries, ring, &params);
}

// What a kernel without io_uring says, the setting kernel.io_uring_disabled, and filters of
// containers.
bool is_forbidden(int error) { return error == EPERM || error == EACCES || error == ENOSYS; }

Status no_ring(int error) {
  const char* advice =
      error == ENOMEM
          ? "; older kernels count it as locked memory: raise that limit (ulimit -l, LimitMEMLOCK=)"
          : "";
  return Status(Code::unavailable, fmt::format("io_uring_setup: {}{}", error_text(error), advice));
}
}  // namespace

Result<std::unique_ptr<IoRing>> IoRing::create() {
  std::unique_ptr<IoRing> ring(new IoRing);
  if (Status s = ring->open(); !s.ok()) return s;
  return ring;
}

Status IoRing::open() {
  int rc = init_ring(&ring_);
  open_ = rc == 0;
  const char* call = "io_uring_setup";
  if (open_) {
    // A filter may let a ring be made and not be used.
    rc = io_uring_get_events(&ring_);
    call = "io_uring_enter";
  }
  if (rc < 0 && is_forbidden(-rc)) {
    missing_ = fmt::format(
        "{}: {}; poll() and threads do in its place, which is slower. To allow it: "
        "kernel.io_uring_disabled=0, and a container's seccomp profile that has io_uring_setup, "
        "io_uring_enter and io_uring_register",
        call, error_text(-rc));
    Result<std::unique_ptr<PollRing>> stand_in = PollRing::create();
    if (!stand_in.ok()) return stand_in.status();
    stand_in_ = std::move(*stand_in);
    return Status();
  }
  if (rc < 0) return no_ring(-rc);
  // The memory of the queues is shared with the kernel, and would be with every child.
  rc = io_uring_ring_dontfork(&ring_);
  if (rc < 0) return Status(Code::unavailable, "madvise(MADV_DONTFORK): " + error_text(-rc));
  return Status();
}

IoRing::~IoRing() {
  if (open_) io_uring_queue_exit(&ring_);
}

int IoRing::submit_and_wait(Nanos most) {
  if (stand_in_) return stand_in_->submit_and_wait(most);
  __kernel_timespec timeout{};
  timeout.tv_sec = static_cast<long long>(most / kSecond);
  timeout.tv_nsec = static_cast<long long>(most % kSecond);
  io_uring_cqe* cqe = nullptr;
  return io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, most == kNoEnd ? nullptr : &timeout,
                                          nullptr);
}

bool IoRing::look() {
  if (stand_in_) return stand_in_->look();
  io_uring_cqe* cqe = nullptr;
  return io_uring_peek_cqe(&ring_, &cqe) == 0;
}

bool IoRing::take(RingCompletion& out) {
  if (stand_in_) return stand_in_->take(out);
  io_uring_cqe* cqe = nullptr;
  if (io_uring_peek_cqe(&ring_, &cqe) != 0) return false;
  out = {io_uring_cqe_get_data(cqe), cqe->res, cqe->flags};
  io_uring_cqe_seen(&ring_, cqe);
  return true;
}

}  // namespace scalio
