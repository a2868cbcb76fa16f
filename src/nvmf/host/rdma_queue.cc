#include "nvmf/host/rdma_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "nvmf/wire/status_code.h"

namespace scalio::nvmf {

namespace {

constexpr std::size_t kSlot = kCommandSize + RdmaQueue::kMaxData;
// Longer than a completion, so that one of another length is seen as such.
constexpr std::size_t kResponseSpace = 64;

// The private data of the connect request (NVMe/RDMA 3.2): the format, the queue, and the depths of
// this side's queues.
Bytes connect_request(std::uint16_t queue, std::uint32_t depth) {
  constexpr std::size_t kSize = 32;
  Bytes out;
  ByteWriter w(out);
  w.put(std::uint16_t{0});
  w.put(queue);
  w.put(static_cast<std::uint16_t>(depth + 1));  // HRQSIZE, entries
  w.put(static_cast<std::uint16_t>(depth));      // HSQSIZE, 0's based
  out.resize(kSize);
  return out;
}

std::string_view reason_of(std::uint16_t status) {
  switch (status) {
    case 1: return "invalid private data length";
    case 2: return "invalid format of private data";
    case 3: return "invalid queue id";
    case 4: return "invalid size of the submission queue";
    case 5: return "invalid size of the completion queue";
    case 6: return "it has no resources for it";
    case 7:
    case 8: return "too many or too few READs in flight";
    case 9: return "invalid controller id";
    default: return "for no reason that NVMe/RDMA knows";
  }
}

}  // namespace

RdmaQueue::RdmaQueue(EventLoop& loop, std::vector<net::Address> addresses, QueueOptions options)
    : ConnectingQueue(loop, std::move(addresses), std::move(options)), slots_(options_.depth) {
  for (std::size_t i = options_.depth; i > 0; --i) {
    slots_[i - 1].queue = this;
    idle_.push_back(static_cast<std::uint16_t>(i - 1));
  }
}

RdmaQueue::~RdmaQueue() {
  if (verbs_) verbs_->stop();
  lose_all();
}

std::byte* RdmaQueue::capsule(std::size_t slot) const { return memory_.data() + slot * kSlot; }
std::byte* RdmaQueue::response(std::uint64_t buffer) const {
  return capsule(slots_.size()) + buffer * kResponseSpace;
}

// --- Connecting ---

Status RdmaQueue::begin(const net::Address& address) {
  const net::VerbsOptions options{.sends = options_.depth,
                                  .receives = options_.depth,
                                  .inline_bytes = 0,
                                  .poll_for = 0,
                                  .peer_reads = true};
  memory_ = {};  // before the protection domain of the attempt before goes
  auto verbs = net::VerbsQueue::connect(
      loop_, address, connect_request(options_.id, options_.depth), options, *this);
  if (!verbs.ok()) return verbs.status();
  verbs_ = *std::move(verbs);
  return Status();
}

Status RdmaQueue::on_made(net::VerbsQueue& queue) {
  verbs_ = queue.shared_from_this();
  auto memory = net::RegisteredMemory::create(
      queue.domain(), slots_.size() * (kSlot + kResponseSpace),
      IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE);
  if (!memory.ok()) return memory.status();
  memory_ = *std::move(memory);
  for (std::uint64_t i = 0; i < slots_.size(); ++i) give_buffer(i);
  return Status();
}

void RdmaQueue::on_connected(ByteView) { connected(); }

Status RdmaQueue::on_rejected(ByteView answer) {
  ByteReader r(answer);
  const auto format = r.get<std::uint16_t>();
  const auto status = r.get<std::uint16_t>();
  if (!r.ok() || format != 0 || status == 0) {
    return Status(Code::unavailable, "nobody listens there by NVMe/RDMA");
  }
  rejected_ = true;
  return Status(Code::unavailable,
                fmt::format("the controller refused queue {}: {}", options_.id, reason_of(status)));
}

// --- Running ---

void RdmaQueue::give_buffer(std::uint64_t buffer) {
  verbs_->post_receive(buffer, {reinterpret_cast<std::uintptr_t>(response(buffer)), kResponseSpace,
                                memory_.local_key()});
}

void RdmaQueue::submit(Submission& request) {
  if (!alive() || !verbs_->open()) return refuse(request);
  SCALIO_ASSERT(!idle_.empty() && request.size <= kMaxData);
  const std::uint16_t index = idle_.back();
  idle_.pop_back();
  RdmaSlot& slot = slots_[index];
  slot.request = &request;
  slot.sent = slot.answered = false;

  std::byte* const at = capsule(index);
  std::byte* const data = at + kCommandSize;
  std::size_t length = kCommandSize;
  const bool out = direction_of(request.command) == Direction::to_controller;
  const auto size = static_cast<std::uint32_t>(request.size);
  request.command.cid = index;
  if (out && size > 0) std::copy_n(request.data, size, data);
  if (out && size > 0 && size <= options_.in_capsule) {
    request.command.sgl = Sgl::in_capsule(0, size);
    length += size;
  } else {
    // Of no data: an empty one, as the specification asks for.
    request.command.sgl = Sgl::keyed(size > 0 ? reinterpret_cast<std::uintptr_t>(data) : 0, size,
                                     size > 0 ? memory_.remote_key() : 0);
  }
  store(at, request.command);

  // A capsule depends on nothing that was posted before it, and the controller's own READs and
  // WRITEs of the slot come before its response: no fence.
  ibv_send_wr work{};
  work.opcode = IBV_WR_SEND;
  verbs_->post(work,
               {reinterpret_cast<std::uintptr_t>(at), static_cast<std::uint32_t>(length),
                memory_.local_key()},
               slot);
}

// The controller moves data to and from the slot, never the request's own memory.
void RdmaQueue::replace(Submission& late, Submission& by) {
  if (replace_refused(late, by)) return;
  const std::uint16_t index = late.command.cid;
  SCALIO_ASSERT(index < slots_.size() && slots_[index].request == &late && by.size == late.size);
  by.command = late.command;
  slots_[index].request = &by;
}

void RdmaQueue::on_received(std::uint64_t buffer, std::size_t bytes, std::uint32_t) {
  if (bytes < kCompletionSize) {
    return end(Status(Code::unavailable,
                      fmt::format("a response of {} bytes from the controller", bytes)));
  }
  const auto completion = load<Completion>(response(buffer));
  give_buffer(buffer);
  if (completion.cid >= slots_.size() || slots_[completion.cid].request == nullptr ||
      slots_[completion.cid].answered) {
    return end(Status(Code::unavailable,
                      fmt::format("the controller completed command {}, which is not in "
                                  "flight",
                                  completion.cid)));
  }
  RdmaSlot& slot = slots_[completion.cid];
  slot.answered = true;
  slot.completion = completion;
  finish_if_complete(slot);
}

void RdmaQueue::RdmaSlot::on_done() {
  sent = true;
  queue->finish_if_complete(*this);
}

void RdmaQueue::finish_if_complete(RdmaSlot& slot) {
  if (!slot.sent || !slot.answered) return;
  Submission& request = *std::exchange(slot.request, nullptr);
  const auto index = static_cast<std::size_t>(&slot - slots_.data());
  if (request.size > 0 && direction_of(request.command) == Direction::to_host &&
      status_code(slot.completion) == StatusCode::success) {
    std::copy_n(capsule(index) + kCommandSize, request.size, request.data);
  }
  idle_.push_back(static_cast<std::uint16_t>(index));
  request.on_done(slot.completion);
}

// --- The end ---

void RdmaQueue::on_lost(const Status& why) { end(why); }

void RdmaQueue::lose_requests(const Status& why) {
  for (RdmaSlot& slot : slots_) {
    if (slot.request != nullptr) std::exchange(slot.request, nullptr)->on_lost(why);
  }
}

}  // namespace scalio::nvmf
