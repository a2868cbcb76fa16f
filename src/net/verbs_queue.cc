#include "net/verbs_queue.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace scalio::net {

namespace {

// For each of finding the address and the route.
constexpr int kResolveMs = 2000;
// A peer that is gone is noticed by what is sent to it: an acknowledgement is waited for 4.096 us *
// 2^16, that is 0.27 s, and then it is sent again up to 6 times. Devices may stretch the wait up to
// four times. (7 times means for ever to soft-RoCE.)
constexpr std::uint8_t kAckTimeout = 16;
constexpr std::uint8_t kRetries = 6;
// The peer has always posted what is sent into; a little patience costs nothing.
constexpr std::uint8_t kReceiverNotReadyRetries = 6;
constexpr unsigned kMostReads = 255;  // what the connection manager can say
// Work requests of a chain before one asks for a completion.
constexpr std::uint64_t kSignalEvery = 16;
constexpr int kPollAtOnce = 32;
// When a connection is ended here: how long to wait for the peer's NIC to have what was posted. It
// takes microseconds.
constexpr Nanos kFinishSending = 2 * kMillisecond;

int set_non_blocking(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

VerbsQueue::VerbsQueue(EventLoop& loop, VerbsOptions options, Handler& handler)
    : loop_(loop), options_(options), handler_(&handler), entries_(options.sends) {}

VerbsQueue::~VerbsQueue() { SCALIO_ASSERT(state_ == State::stopped); }

// --- Connecting ----------------------------------------------------------------------------------

Result<std::shared_ptr<VerbsQueue>> VerbsQueue::connect(EventLoop& loop, const Address& address,
                                                        Bytes hello, VerbsOptions options,
                                                        Handler& handler) {
  Result<CmChannel> channel = open_cm_channel();
  if (!channel.ok()) return channel.status();
  Result<CmId> id = open_cm_id(channel->get());
  if (!id.ok()) return id.status();
  sockaddr_storage to = address.storage;
  if (rdma_resolve_addr(id->get(), nullptr, reinterpret_cast<sockaddr*>(&to), kResolveMs) != 0) {
    return verbs_failure("reach " + address.text + " by RDMA", errno);
  }
  std::shared_ptr<VerbsQueue> queue(new VerbsQueue(loop, options, handler));
  queue->channel_ = std::move(*channel);
  queue->id_ = std::move(*id);
  queue->hello_ = std::move(hello);
  queue->watch_connection();
  return queue;
}

Result<std::shared_ptr<VerbsQueue>> VerbsQueue::accept(EventLoop& loop, VerbsRequest request,
                                                       ibv_pd* domain, ByteView answer,
                                                       VerbsOptions options, Handler& handler) {
  std::shared_ptr<VerbsQueue> queue(new VerbsQueue(loop, options, handler));
  queue->channel_ = std::move(request.channel);
  queue->id_ = std::move(request.id);
  queue->domain_ = domain;
  Status made = queue->make_queue_pair(queue->id_->verbs);
  if (made.ok()) made = handler.on_made(*queue);
  if (made.ok()) {
    rdma_conn_param param{};
    param.private_data = answer.data();
    param.private_data_len = static_cast<std::uint8_t>(answer.size());
    param.responder_resources =
        static_cast<std::uint8_t>(std::min(request.max_reads, queue->max_peer_reads_));
    param.rnr_retry_count = kReceiverNotReadyRetries;
    if (rdma_accept(queue->id_.get(), &param) != 0)
      made = verbs_failure("accept an RDMA connection", errno);
  }
  if (!made.ok()) {
    queue->stop();
    return made;
  }
  if (queue->state_ != State::connecting) {  // a receive could not be posted
    made = queue->why_;
    queue->stop();
    return made;
  }
  // The peer may send as soon as it has the accept, perhaps before this side is told of that.
  queue->state_ = State::open;
  queue->watch_connection();
  return queue;
}

// Only channels are polled, never the device itself: io_uring may keep a polled file open when its
// process has ended, and the device's file keeps the queue pairs (rule 9).
void VerbsQueue::watch_connection() {
  connection_watch_.emplace(loop_, channel_->fd, POLLIN,
                            [this](std::uint32_t) { on_connection_events(); });
}

Status VerbsQueue::make_queue_pair(ibv_context* device) {
  ibv_device_attr attributes{};
  if (const int error = ibv_query_device(device, &attributes); error != 0) {
    return verbs_failure("ask the RDMA device what it can", error);
  }
  max_reads_ = std::min(kMostReads, static_cast<unsigned>(attributes.max_qp_init_rd_atom));
  max_peer_reads_ = std::min(kMostReads, static_cast<unsigned>(attributes.max_qp_rd_atom));
  if (domain_ == nullptr) {
    own_domain_.reset(ibv_alloc_pd(device));
    if (!own_domain_) return verbs_failure("make a protection domain", errno);
    domain_ = own_domain_.get();
  }
  completions_.reset(ibv_create_comp_channel(device));
  if (!completions_ || set_non_blocking(completions_->fd) != 0) {
    return verbs_failure("make a completion channel", errno);
  }
  // Room for every completion that there can be: it never overflows.
  queue_.reset(ibv_create_cq(device, static_cast<int>(options_.sends + options_.receives), nullptr,
                             completions_.get(), 0));
  if (!queue_) return verbs_failure("make a completion queue", errno);

  ibv_qp_init_attr init{};
  init.send_cq = queue_.get();
  init.recv_cq = queue_.get();
  init.cap.max_send_wr = options_.sends;
  init.cap.max_recv_wr = options_.receives;
  init.cap.max_send_sge = 1;
  init.cap.max_recv_sge = 1;
  init.cap.max_inline_data = options_.inline_bytes;
  init.qp_type = IBV_QPT_RC;
  init.sq_sig_all = 0;
  int failed = rdma_create_qp(id_.get(), domain_, &init);
  if (failed != 0 && std::exchange(init.cap.max_inline_data, 0) > 0) {
    failed = rdma_create_qp(id_.get(), domain_, &init);  // perhaps it was too much inline data
  }
  if (failed != 0) {
    return verbs_failure(fmt::format("make a queue pair of {} sends and {} receives",
                                     options_.sends, options_.receives),
                         errno);
  }
  max_inline_ = init.cap.max_inline_data;
  std::uint8_t timeout = kAckTimeout;
  if (rdma_set_option(id_.get(), RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout,
                      sizeof timeout) != 0) {
    return verbs_failure("bound the wait for acknowledgements", errno);
  }
  completion_watch_.emplace(loop_, completions_->fd, POLLIN,
                            [this](std::uint32_t) { on_completion_events(); });
  if (const int error = ibv_req_notify_cq(queue_.get(), 0); error != 0) {
    return verbs_failure("ask for completions", error);
  }
  return Status();
}

void VerbsQueue::on_connection_events() {
  const auto self = shared_from_this();  // a handler may let go of this
  while (state_ == State::connecting || state_ == State::open) {
    rdma_cm_event* event = nullptr;
    if (rdma_get_cm_event(channel_.get(), &event) != 0) {
      if (errno == EAGAIN) return;
      return lose(verbs_failure("learn of RDMA events", errno));
    }
    const rdma_cm_event_type type = event->event;
    const int status = event->status;
    Bytes data;
    if (type == RDMA_CM_EVENT_ESTABLISHED || type == RDMA_CM_EVENT_REJECTED) {
      const auto* p = static_cast<const std::byte*>(event->param.conn.private_data);
      if (p != nullptr) data.assign(p, p + event->param.conn.private_data_len);
    }
    // Acknowledged before anything else: an id cannot be destroyed while one of its events is not.
    rdma_ack_cm_event(event);
    on_connection_event(type, status, data);
  }
}

void VerbsQueue::on_connection_event(rdma_cm_event_type event, int status, ByteView data) {
  const auto unreachable = [&](std::string_view what) {
    lose(Status(Code::unavailable, fmt::format("{} ({} {})", what, rdma_event_str(event), status)));
  };
  switch (event) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
      if (rdma_resolve_route(id_.get(), kResolveMs) != 0) {
        lose(verbs_failure("find an RDMA route", errno));
      }
      return;
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
      if (Status s = connect_now(); !s.ok()) lose(std::move(s));
      return;
    case RDMA_CM_EVENT_ESTABLISHED:
      if (state_ == State::connecting) {
        state_ = State::open;
        poll_or_sleep();
        defer();
      }
      if (open()) handler_->on_connected(data);
      return;
    case RDMA_CM_EVENT_ADDR_ERROR:
    case RDMA_CM_EVENT_ROUTE_ERROR: return unreachable("no RDMA device leads there");
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE: return unreachable("nobody answers there by RDMA");
    case RDMA_CM_EVENT_REJECTED:
      if (state_ == State::connecting) return lose(handler_->on_rejected(data));
      [[fallthrough]];  // the peer left again before its kernel had heard that the connection
                        // stands
    case RDMA_CM_EVENT_DISCONNECTED:
      // What the peer said before it went away, perhaps why, is still there to be received.
      if (open()) poll();
      return lose(Status(Code::unavailable, "the peer closed the connection"));
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
      return lose(Status(Code::unavailable, "the RDMA device was removed"));
    default: return;  // of other kinds of endpoints, or of no consequence
  }
}

Status VerbsQueue::connect_now() {
  if (Status s = make_queue_pair(id_->verbs); !s.ok()) return s;
  if (Status s = handler_->on_made(*this); !s.ok()) return s;
  rdma_conn_param param{};
  param.private_data = hello_.data();
  param.private_data_len = static_cast<std::uint8_t>(hello_.size());
  // READs and atomics in flight. Neither side posts more than was agreed: the device holds further
  // ones back.
  auto& reads = options_.peer_reads ? param.responder_resources : param.initiator_depth;
  reads = static_cast<std::uint8_t>(options_.peer_reads ? max_peer_reads_ : max_reads_);
  param.retry_count = kRetries;
  param.rnr_retry_count = kReceiverNotReadyRetries;
  if (rdma_connect(id_.get(), &param) != 0) return verbs_failure("connect by RDMA", errno);
  return Status();
}

// --- Posting -------------------------------------------------------------------------------------

void VerbsQueue::post(const ibv_send_wr& request, const ibv_sge& local, VerbsWork& work) {
  SCALIO_ASSERT(open() && room() > 0);
  Entry& e = entries_[next_ % entries_.size()];
  e.request = request;
  e.local = local;
  e.work = &work;
  e.request.wr_id = next_++;
  e.request.sg_list = &e.local;
  e.request.num_sge = local.length > 0 ? 1 : 0;
  e.request.next = nullptr;
  defer();
}

void VerbsQueue::post_receive(std::uint64_t tag, const ibv_sge& into) {
  ibv_sge local = into;
  ibv_recv_wr request{};
  request.wr_id = tag;
  request.sg_list = &local;
  request.num_sge = 1;
  ibv_recv_wr* bad = nullptr;
  if (const int error = ibv_post_recv(id_->qp, &request, &bad); error != 0) {
    lose(verbs_failure("post a receive", error));
  }
}

Detached VerbsQueue::later(std::shared_ptr<VerbsQueue> self) {
  co_await self->loop_.yield();
  self->on_turn();
}

void VerbsQueue::defer() {
  if (deferred_) return;
  deferred_ = true;
  later(shared_from_this());
}

void VerbsQueue::on_turn() {
  deferred_ = false;
  if (open()) {
    post_collected();
  } else if (state_ == State::failing) {
    if (!has_sent() && loop_.now() < give_up_) return defer();
    close();
    handler_->on_lost(why_);
  }
}

void VerbsQueue::post_collected() {
  handler_->on_posting();
  if (!open() || posted_ == next_) return;
  for (std::uint64_t n = posted_; n < next_; ++n) {
    Entry& e = entries_[n % entries_.size()];
    const bool last = n + 1 == next_;
    if (last || (n + 1) % kSignalEvery == 0) e.request.send_flags |= IBV_SEND_SIGNALED;
    e.request.next = last ? nullptr : &entries_[(n + 1) % entries_.size()].request;
  }
  ibv_send_wr* bad = nullptr;
  const int error = ibv_post_send(id_->qp, &entries_[posted_ % entries_.size()].request, &bad);
  posted_ = next_;
  if (error != 0) return lose(verbs_failure("post work to a queue pair", error));
  progress_ = loop_.now();
  if (options_.poll_for > 0 && !polling_) {
    polling_ = true;
    keep_polling(shared_from_this());
  }
}

// --- Completions ---------------------------------------------------------------------------------

// Looks on every turn of the loop, until nothing is in flight or nothing has happened for a while.
Detached VerbsQueue::keep_polling(std::shared_ptr<VerbsQueue> self) {
  while (self->open() && self->first_ != self->posted_ &&
         self->loop_.now() - self->progress_ < self->options_.poll_for) {
    co_await self->loop_.yield();
    if (self->open()) self->poll();
  }
  self->polling_ = false;
  if (self->open()) self->poll_or_sleep();
}

void VerbsQueue::on_completion_events() {
  ibv_cq* queue = nullptr;
  void* context = nullptr;
  unsigned events = 0;
  while (ibv_get_cq_event(completions_.get(), &queue, &context) == 0) ++events;
  if (events == 0) return;
  ibv_ack_cq_events(queue_.get(), events);
  if (!open()) return;
  if (polling_) {
    poll();  // keep_polling() asks again when it ends
  } else {
    poll_or_sleep();
  }
}

// Takes what has completed, and asks to be told of the next. Asking comes first: what completes
// before it is found by the poll, what completes after it is told.
void VerbsQueue::poll_or_sleep() {
  if (const int error = ibv_req_notify_cq(queue_.get(), 0); error != 0) {
    return lose(verbs_failure("ask for completions", error));
  }
  poll();
}

void VerbsQueue::poll() {
  const auto self = shared_from_this();  // a handler may let go of this
  ibv_wc completions[kPollAtOnce];
  for (int n = kPollAtOnce; n == kPollAtOnce;) {
    n = ibv_poll_cq(queue_.get(), kPollAtOnce, completions);
    if (n < 0) return lose(Status(Code::unavailable, "the completion queue cannot be read"));
    for (int i = 0; i < n; ++i) {
      on_completion(completions[i]);
      if (!open()) return;
    }
    if (n > 0) progress_ = loop_.now();
  }
}

void VerbsQueue::on_completion(const ibv_wc& c) {
  if (c.status != IBV_WC_SUCCESS) {
    // Flushed: the queue pair went to its error state, and the reason is told by a connection event
    // or an earlier completion.
    const char* what =
        c.status == IBV_WC_WR_FLUSH_ERR ? "the connection broke" : ibv_wc_status_str(c.status);
    return lose(Status(Code::unavailable, fmt::format("RDMA: {}", what)));
  }
  // Who has the region's key can also send a WRITE that takes a receive and says how long the WRITE
  // was.
  if (c.opcode == IBV_WC_RECV_RDMA_WITH_IMM) {
    return lose(
        Status(Code::invalid, "RDMA: a WRITE with immediate data, which nothing here sends"));
  }
  if ((c.opcode & IBV_WC_RECV) != 0) {
    handler_->on_received(c.wr_id, c.byte_len,
                          (c.wc_flags & IBV_WC_WITH_IMM) != 0 ? ntohl(c.imm_data) : 0);
    return;
  }
  while (open() && first_ <= c.wr_id) {
    VerbsWork* work = entries_[first_ % entries_.size()].work;
    ++first_;
    work->on_done();
  }
}

// --- The end -------------------------------------------------------------------------------------

void VerbsQueue::lose(Status why) {
  broken_ = true;
  fail(std::move(why));
}

void VerbsQueue::fail(Status why) {
  if (state_ != State::connecting && state_ != State::open) return;
  broken_ = broken_ || state_ == State::connecting;
  if (!broken_) post_collected();
  if (state_ != State::open && state_ != State::connecting) return;  // posting failed
  state_ = State::failing;
  why_ = std::move(why);
  give_up_ = loop_.now() + kFinishSending;
  defer();
}

void VerbsQueue::stop() {
  if (open()) post_collected();
  broken_ = broken_ || state_ == State::connecting;
  if (state_ != State::failing) give_up_ = loop_.now() + kFinishSending;
  if (state_ != State::stopped) finish_sending();
  close();
}

// Whether what was posted has all been sent, or never will be.
bool VerbsQueue::has_sent() {
  int n = 1;
  while (!broken_ && first_ != posted_ && n > 0) {
    ibv_wc c;
    n = ibv_poll_cq(queue_.get(), 1, &c);
    broken_ = n < 0 || (n > 0 && c.status != IBV_WC_SUCCESS);
    if (n > 0 && (c.opcode & IBV_WC_RECV) == 0) first_ = c.wr_id + 1;
  }
  return broken_ || first_ == posted_;
}

// Not to wait here would need something that outlives the connection's owner and the server.
void VerbsQueue::finish_sending() {
  while (!has_sent() && loop_.now() < give_up_) std::this_thread::yield();
}

void VerbsQueue::close() {
  if (state_ == State::stopped) return;
  state_ = State::stopped;
  connection_watch_.reset();
  completion_watch_.reset();
  // Tells the peer. Fails where there is no connection (any more), which is as well.
  if (id_ && id_->qp != nullptr) rdma_disconnect(id_.get());
  if (id_ && id_->qp != nullptr) rdma_destroy_qp(id_.get());
  queue_.reset();
  completions_.reset();
  id_.reset();
  channel_.reset();
}

}  // namespace scalio::net
