// BatchService: answers the clients of one SSD, whose messages are LEED's batches, from its engine:
// what LEED's server and that of the paper's Scalio have in common.
//
// A batch's operations run beside each other, and its reply is sent when the last has ended.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "baseline/leed/leed_format.h"
#include "baseline/leed/leed_message.h"
#include "fabric/fabric.h"
#include "task/wait_group.h"

namespace scalio::leed {

// An Engine has get(), set() and remove() as LeedEngine has them.
template <class Engine>
class BatchService : public fabric::Service {
 public:
  Result<Bytes> on_hello(fabric::Peer& peer, ByteView request) final {
    Result<Bytes> answer = welcome(request);
    if (answer.ok()) peers_.emplace(&peer, std::make_shared<Asker>(&peer));
    return answer;
  }
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) final {
    executor_.spawn(serve(peers_.at(&peer), call, Bytes(request.begin(), request.end())));
  }
  void on_disconnect(fabric::Peer& peer) final {
    const auto found = peers_.find(&peer);
    SCALIO_ASSERT(found != peers_.end());
    found->second->peer = nullptr;
    peers_.erase(found);
  }

  // Of which operations are under way.
  std::size_t batches() const { return batches_; }

 protected:
  using Operations = std::vector<LeedOperation>;

  BatchService(Executor& executor, Engine& engine) : executor_(executor), engine_(engine) {}
  // Every client has gone, and batches() is 0.
  ~BatchService() { SCALIO_ASSERT(batches_ == 0 && peers_.empty()); }

  const Engine& engine() const { return engine_; }

 private:
  // Whom to answer; nobody any more if it has gone.
  struct Asker {
    fabric::Peer* peer;
  };
  struct Answer {
    Status status;
    std::string value;
  };

  // The answer to a hello, or why it is refused.
  virtual Result<Bytes> welcome(ByteView request) const = 0;
  // Whether a client of this system may send this.
  virtual bool acceptable(const Operations& operations) const = 0;
  // For the reply.
  virtual std::uint32_t tokens_left() const = 0;

  Task<void> serve(std::shared_ptr<Asker> asker, std::uint64_t call, Bytes request) {
    const std::optional<Operations> operations = decode_batch(request);
    if (!operations || !acceptable(*operations)) {
      asker->peer->close("a malformed batch");
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
    if (asker->peer != nullptr) asker->peer->reply(call, reply(*operations, answers));
  }

  Task<void> carry_out(const LeedOperation& o, Answer& answer) {
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

  Bytes reply(const Operations& operations, const std::vector<Answer>& answers) const {
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
    return encode_replies(tokens_left(), replies);
  }

  Executor& executor_;
  Engine& engine_;
  std::unordered_map<fabric::Peer*, std::shared_ptr<Asker>> peers_;
  std::size_t batches_ = 0;
};

}  // namespace scalio::leed
