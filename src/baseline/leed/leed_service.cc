#include "baseline/leed/leed_service.h"

#include <algorithm>

#include "task/wait_group.h"

namespace scalio::leed {

Result<Bytes> LeedService::on_hello(fabric::Peer& peer, ByteView request) {
  if (!decode_leed_hello_request(request)) {
    return Status(Code::invalid, "this is a LEED server, which the client is none of");
  }
  peers_.emplace(&peer, std::make_shared<Client>(&peer));
  return encode(LeedHello{ssds_, ssd_, engine_.tokens_left()});
}

void LeedService::on_disconnect(fabric::Peer& peer) {
  const auto found = peers_.find(&peer);
  SCALIO_ASSERT(found != peers_.end());
  found->second->peer = nullptr;
  peers_.erase(found);
}

void LeedService::on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) {
  executor_.spawn(serve(peers_.at(&peer), call, Bytes(request.begin(), request.end())));
}

Task<void> LeedService::serve(std::shared_ptr<Client> client, std::uint64_t call, Bytes request) {
  const std::optional<std::vector<LeedOperation>> operations = decode_batch(request);
  if (!operations) {
    client->peer->close("a malformed batch");
    co_return;
  }
  ++batches_;
  std::vector<Answer> answers(operations->size());
  if (operations->size() == 1) {
    co_await carry_out(operations->front(), answers.front());
  } else {
    WaitGroup group(executor_);
    for (std::size_t i = 0; i < operations->size(); ++i) {
      group.spawn(carry_out((*operations)[i], answers[i]));
    }
    co_await group.wait();
  }
  --batches_;
  if (client->peer != nullptr) client->peer->reply(call, reply(*operations, answers));
}

Task<void> LeedService::carry_out(const LeedOperation& o, Answer& answer) {
  switch (o.kind) {
    case OperationKind::get: {
      Result<std::optional<std::string>> got = co_await engine_.get(o.key);
      answer.status = got.status();
      if (got.ok() && !got->has_value()) answer.status = Status(Code::not_found, "");
      if (answer.status.ok()) answer.value = std::move(**got);
      break;
    }
    case OperationKind::set: answer.status = co_await engine_.set(o.key, o.value); break;
    case OperationKind::remove: answer.status = co_await engine_.remove(o.key); break;
  }
}

Bytes LeedService::reply(const std::vector<LeedOperation>& operations,
                         const std::vector<Answer>& answers) const {
  std::vector<OperationReply> replies;
  replies.reserve(answers.size());
  // Always enough for the largest value, if the others have none.
  static_assert(fabric::kMaxMessage >= 6 + kMaxBatch * kMostOfAReply + kMaxValue);
  std::size_t room = fabric::kMaxMessage - 6 - answers.size() * kMostOfAReply;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Answer& a = answers[i];
    OperationReply reply;
    reply.code = a.status.code();
    reply.text = a.value;
    if (!a.status.ok()) {
      reply.text = std::string_view(a.status.message()).substr(0, kMaxFailureText);
    } else if (operations[i].kind == OperationKind::get && a.value.size() > room) {
      reply.alone = true;
      reply.text = {};
    } else {
      room -= a.value.size();
    }
    replies.push_back(reply);
  }
  return encode_replies(engine_.tokens_left(), replies);
}

}  // namespace scalio::leed
