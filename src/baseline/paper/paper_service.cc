#include "baseline/paper/paper_service.h"

#include <algorithm>

#include "task/wait_group.h"

namespace scalio::paper {

using leed::OperationKind;

namespace {
// Only writes are batched, so that a reply always has room.
bool acceptable(const std::vector<leed::LeedOperation>& operations) {
  const auto is_get = [](const leed::LeedOperation& o) { return o.kind == OperationKind::get; };
  return operations.size() == 1 || std::ranges::none_of(operations, is_get);
}
}  // namespace

Result<Bytes> PaperService::on_hello(fabric::Peer& peer, ByteView request) {
  if (!decode_paper_hello_request(request)) {
    return Status(Code::invalid, "this is a server of the paper's Scalio; the client is another's");
  }
  peers_.emplace(&peer, std::make_shared<Asker>(&peer));
  return encode(PaperHello{ssds_, ssd_, engine_.geometry(), engine_.shape()});
}

void PaperService::on_disconnect(fabric::Peer& peer) {
  const auto found = peers_.find(&peer);
  SCALIO_ASSERT(found != peers_.end());
  found->second->peer = nullptr;
  peers_.erase(found);
}

void PaperService::on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) {
  executor_.spawn(serve(peers_.at(&peer), call, Bytes(request.begin(), request.end())));
}

Task<void> PaperService::serve(std::shared_ptr<Asker> asker, std::uint64_t call, Bytes request) {
  const std::optional<std::vector<leed::LeedOperation>> operations = leed::decode_batch(request);
  if (!operations || !acceptable(*operations)) {
    asker->peer->close("a malformed batch");
    co_return;
  }
  ++batches_;
  std::vector<Outcome> outcomes(operations->size());
  WaitGroup group(executor_);
  for (std::size_t i = 0; i < operations->size(); ++i) {
    group.spawn(carry_out((*operations)[i], outcomes[i]));
  }
  co_await group.wait();
  --batches_;
  if (asker->peer == nullptr) co_return;
  std::vector<leed::OperationReply> replies;
  replies.reserve(outcomes.size());
  for (const Outcome& o : outcomes) {
    const std::string_view text = o.status.ok() ? std::string_view(o.value) : o.status.message();
    replies.push_back(
        {o.status.code(), false, o.status.ok() ? text : text.substr(0, leed::kMaxFailureText)});
  }
  asker->peer->reply(call, leed::encode_replies(0, replies));
}

Task<void> PaperService::carry_out(const leed::LeedOperation& o, Outcome& outcome) {
  switch (o.kind) {
    case OperationKind::get: {
      Result<std::optional<std::string>> got = co_await engine_.get(o.key);
      outcome.status = got.status();
      if (got.ok() && !got->has_value()) outcome.status = Status(Code::not_found, "");
      if (outcome.status.ok()) outcome.value = std::move(**got);
      break;
    }
    case OperationKind::set: outcome.status = co_await engine_.set(o.key, o.value); break;
    case OperationKind::remove: outcome.status = co_await engine_.remove(o.key); break;
  }
}

}  // namespace scalio::paper
