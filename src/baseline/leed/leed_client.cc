#include "baseline/leed/leed_client.h"

#include <fmt/format.h>

#include <algorithm>

#include "baseline/leed/leed_format.h"

namespace scalio::leed {

namespace {
constexpr std::size_t kMostCalls = 256;  // in flight to an SSD
}  // namespace

LeedClient::LeedClient(Executor& executor, Connections connections, LeedClientOptions options)
    : executor_(executor),
      options_(options),
      connections_(std::move(connections)),
      tokens_(executor, connections_.size()),
      outboxes_(connections_.size()),
      flush_(executor, [this] { send_ready(); }) {}

LeedClient::~LeedClient() {
  for (const Outbox& o : outboxes_) SCALIO_ASSERT(o.ready.empty() && o.calls == 0);
}

Task<Result<std::unique_ptr<LeedClient>>> LeedClient::connect(Executor& executor,
                                                              Connector connector,
                                                              LeedClientOptions options) {
  if (options.batch_max == 0 || options.batch_max > kMaxBatch) {
    co_return Status(Code::invalid, fmt::format("a batch has 1 to {} operations", kMaxBatch));
  }
  Connections connections;
  std::uint32_t ssds = 1;  // the first one says how many there are
  for (std::uint32_t ssd = 0; ssd < ssds; ++ssd) {
    auto made = co_await connector(ssd, encode_leed_hello_request());
    if (!made.ok()) co_return made.status();
    const std::optional<LeedHello> hello = decode_leed_hello((*made)->hello());
    if (!hello || hello->ssd != ssd || (ssd > 0 && hello->ssds != ssds)) {
      co_return Status(Code::unavailable, "what answers is no LEED server");
    }
    ssds = hello->ssds;
    connections.push_back(*std::move(made));
  }
  co_return std::unique_ptr<LeedClient>(new LeedClient(executor, std::move(connections), options));
}

Task<Result<std::string>> LeedClient::get(std::string_view key) {
  Request request;
  request.operation = {OperationKind::get, key, {}};
  Status s = co_await ask(request);
  if (!s.ok()) co_return s;
  co_return std::move(request.value);
}

Task<Status> LeedClient::put(std::string_view key, std::string_view value) {
  Request request;
  request.operation = {OperationKind::set, key, value};
  co_return co_await ask(request);
}

Task<Status> LeedClient::remove(std::string_view key) {
  Request request;
  request.operation = {OperationKind::remove, key, {}};
  Status s = co_await ask(request);
  if (s.code() == Code::not_found) co_return Status();
  co_return s;
}

Task<Status> LeedClient::ask(Request& request) {
  const LeedOperation& o = request.operation;
  if (o.key.empty()) co_return Status(Code::invalid, "a key has at least one byte");
  if (o.key.size() > kMaxKey || o.value.size() > kMaxValue) {
    co_return Status(Code::too_large,
                     fmt::format("a key has at most {} bytes, and a value {}", kMaxKey, kMaxValue));
  }
  const std::uint32_t ssd = ssd_of(o.key, static_cast<std::uint32_t>(connections_.size()));
  ++counters_.operations;
  for (;;) {
    co_await tokens_.take(ssd, tokens_of(o.kind));
    struct Sent {
      LeedClient& client;
      Request& request;
      Outbox& outbox;
      bool await_ready() const { return false; }
      void await_suspend(std::coroutine_handle<> h) {
        request.waiter = h;
        outbox.ready.push_back(&request);
        client.flush_.schedule();
      }
      void await_resume() const {}
    };
    Sent sent{*this, request, outboxes_[ssd]};
    co_await sent;
    // Once: a message of its own has room.
    if (request.status.code() != Code::busy || !request.alone) break;
    ++counters_.alone;
  }
  co_return std::move(request.status);
}

void LeedClient::send_ready() {
  for (std::uint32_t ssd = 0; ssd < outboxes_.size(); ++ssd) send_ready(ssd);
}

void LeedClient::send_ready(std::uint32_t ssd) {
  Outbox& outbox = outboxes_[ssd];
  while (!outbox.ready.empty() && outbox.calls < kMostCalls) {
    BatchWriter writer;
    std::vector<Request*> batch;
    while (!outbox.ready.empty() && batch.size() < options_.batch_max) {
      Request& next = *outbox.ready.front();
      const bool fits = writer.size() + operation_size(next.operation) <= fabric::kMaxMessage;
      if (!batch.empty() && (!fits || next.alone)) break;
      outbox.ready.pop_front();
      writer.add(next.operation);
      batch.push_back(&next);
      if (next.alone) break;
    }
    ++outbox.calls;
    ++counters_.messages;
    executor_.spawn(send(ssd, std::move(batch), writer.finish()));
  }
}

Task<void> LeedClient::send(std::uint32_t ssd, std::vector<Request*> batch, Bytes message) {
  fabric::Call call = connections_[ssd]->call(message);
  message = Bytes();
  Result<Bytes> reply = co_await call;
  --outboxes_[ssd].calls;
  finish(ssd, batch, reply);
  if (!outboxes_[ssd].ready.empty()) flush_.schedule();
}

void LeedClient::finish(std::uint32_t ssd, const std::vector<Request*>& batch,
                        const Result<Bytes>& reply) {
  std::optional<BatchReply> answer;
  if (reply.ok()) answer = decode_replies(*reply);
  const bool good = answer && answer->replies.size() == batch.size();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Request& request = *batch[i];
    if (!good) {
      request.alone = false;
      request.status = reply.ok() ? Status(Code::unavailable, "the server's reply is malformed")
                                  : reply.status();
    } else {
      const OperationReply& r = answer->replies[i];
      request.status = r.code == Code::ok ? Status() : Status(r.code, std::string(r.text));
      if (r.code == Code::ok) request.value = r.text;
      // A message of its own has room; who says else would be asked for ever.
      request.alone = r.alone && !request.alone;
    }
    executor_.post(request.waiter);
  }
  const auto operations = static_cast<std::uint32_t>(batch.size());
  if (good) {
    tokens_.replied(ssd, answer->tokens_left, operations);
  } else {
    tokens_.failed(ssd, operations);
  }
}

}  // namespace scalio::leed
