#include "hardware/model_fabric.h"

#include <fmt/format.h>

#include "hardware/counted.h"

namespace scalio::hardware {

using fabric::Op;

namespace {
constexpr std::uint64_t kSwap = 16;  // a CAS on the wire: its two words
}  // namespace

ModelConnection::ModelConnection(ServiceEnd& end, ModelThread& client)
    : end_(end),
      hardware_(end.hardware),
      client_(client),
      network_(end.network.empty() ? nullptr : end.network[end.connections % end.network.size()]),
      name_(fmt::format("connection {}", end.connections)) {
  ++end.connections;
  if (!hardware_.machine().sockets) return;
  SCALIO_ASSERT(network_ == nullptr);
  sockets_.reset(new Sockets{{client_, end_.thread}, {end_.thread, client_}});
}

Result<std::unique_ptr<fabric::Connection>> ModelConnection::connect(ServiceEnd& end,
                                                                     ModelThread& client,
                                                                     ByteView hello) {
  std::unique_ptr<ModelConnection> made(new ModelConnection(end, client));
  Result<Bytes> answer = end.service.on_hello(*made, hello);
  if (!answer.ok()) {
    made->lost_ = answer.status();
    return answer.status();
  }
  made->hello_ = *std::move(answer);
  return std::unique_ptr<fabric::Connection>(std::move(made));
}

ModelConnection::~ModelConnection() {
  SCALIO_ASSERT(ops_.idle() && messages_.idle());
  if (lost_.ok()) end_.service.on_disconnect(*this);
}

// Systems of the model keep to their own protocol.
void ModelConnection::close(std::string reason) {
  std::fprintf(stderr, "a connection of the model was closed: %s\n", reason.c_str());
  std::abort();
}

// --- One-sided operations -----------------------------------------------------------------------

void ModelConnection::start(Op& op) {
  counted::outside(hardware_.charging(), [&] { begin(op); });
}

void ModelConnection::begin(Op& op) {
  ++nic_operations_;
  OpFlight& flight = ops_.take();
  flight.connection = this;
  flight.op = &op;
  flight.at_server = false;
  client_.charge(Cost::one_sided_post);
  hardware_.queue().at(client_.now() + one_way(), flight, 0);
}

void ModelConnection::advance(OpFlight& flight) {
  if (std::exchange(flight.at_server, true)) return client_.add(flight, StepKind::one_sided);
  const Nanos done = execute(flight, hardware_.queue().now());
  last_completion_ = std::max(last_completion_, done);
  hardware_.queue().at(last_completion_, flight, 0);
}

// In the server's NIC. When its completion is at the client.
Nanos ModelConnection::execute(OpFlight& flight, Nanos now) {
  Op& op = *flight.op;
  std::byte* const memory = end_.region.data() + op.offset;
  std::uint64_t comes = 0, goes = 0;
  switch (op.kind) {
    case Op::Kind::read:
    case Op::Kind::read_block:  // a NIC reads the whole block
      std::memcpy(op.data, memory, op.size);
      goes = flight.result = op.size;
      break;
    case Op::Kind::write:
      std::memcpy(memory, op.data, op.size);
      comes = op.size;
      break;
    case Op::Kind::cas:
      flight.result = load<std::uint64_t>(memory);
      if (flight.result == op.expected) store(memory, op.desired);
      comes = kSwap;
      goes = sizeof(std::uint64_t);
      break;
  }
  if (!hardware_.charging()) return now;
  ModelNic& nic = hardware_.nic();
  Nanos at = nic.receive(now, comes);
  if (op.kind == Op::Kind::cas) at = nic.swap(at);
  return nic.send(at, goes) + nic.one_way();
}

void ModelConnection::completed(OpFlight& flight, ModelThread& thread) {
  thread.charge(Cost::one_sided_done);
  Op& op = *flight.op;
  const std::uint64_t result = flight.result;
  ops_.give(flight);
  thread.finish(StepKind::one_sided, [&] { op.complete(thread, Code::ok, result); });
}

// --- Messages -----------------------------------------------------------------------------------

void ModelConnection::start(fabric::Call& call, ByteView request) {
  counted::outside(hardware_.charging(), [&] { begin(call, request); });
}

void ModelConnection::begin(fabric::Call& call, ByteView request) {
  MessageFlight& flight = messages_.take();
  flight.connection = this;
  if (idle_calls_.empty()) {
    idle_calls_.push_back(calls_.size());
    calls_.push_back(nullptr);
  }
  flight.call = idle_calls_.back();
  idle_calls_.pop_back();
  SCALIO_ASSERT(calls_.size() - idle_calls_.size() <= fabric::kMaxCalls);
  calls_[flight.call] = &call;
  flight.bytes.assign(request.begin(), request.end());
  flight.leg = network_ != nullptr ? Leg::to_network : Leg::to_service;
  flight.at_nic = true;
  client_.charge(Cost::message_send);
  client_.charge_bytes(Cost::message_kib, request.size());
  if (sockets_) return sockets_->to_server.send(flight);
  hardware_.queue().at(client_.now() + one_way(), flight, 0);
}

void ModelConnection::advance(MessageFlight& flight) {
  // It comes in by the NIC, which takes its time.
  if (flight.at_nic && flight.leg != Leg::reply_to_client) {
    flight.at_nic = false;
    if (hardware_.charging()) {
      const Nanos now = hardware_.queue().now();
      return hardware_.queue().at(hardware_.nic().receive(now, flight.bytes.size()), flight, 0);
    }
  }
  switch (flight.leg) {
    case Leg::to_network:
    case Leg::reply_to_network: return network_->add(flight, StepKind::message);
    case Leg::to_service: return end_.thread.add(flight, StepKind::message);
    case Leg::reply_to_client: return client_.add(flight, StepKind::message);
  }
}

void ModelConnection::arrived(MessageFlight& flight, ModelThread& thread) {
  switch (flight.leg) {
    case Leg::to_network:
      receive(flight, thread);
      return hand_over(flight, thread, Leg::to_service);
    case Leg::to_service: return serve(flight, thread);
    case Leg::reply_to_network: thread.charge(Cost::hop_take); return send_reply(flight, thread);
    case Leg::reply_to_client: return answered(flight, thread);
  }
}

void ModelConnection::receive(MessageFlight& flight, ModelThread& thread) {
  thread.charge(Cost::message_receive);
  thread.charge_bytes(Cost::message_kib, flight.bytes.size());
}

// To a thread on another core of the server.
void ModelConnection::hand_over(MessageFlight& flight, ModelThread& from, Leg leg) {
  from.charge(Cost::hop_give);
  flight.leg = leg;
  hardware_.queue().at(from.now(), flight, 0);
}

void ModelConnection::serve(MessageFlight& flight, ModelThread& thread) {
  if (network_ != nullptr) {
    thread.charge(Cost::hop_take);
  } else {
    receive(flight, thread);
  }
  thread.charge_own(StepKind::message);
  counted::request(hardware_.charging(), end_.service, *this, flight.call, flight.bytes);
  messages_.give(flight);
}

void ModelConnection::reply(std::uint64_t call, ByteView payload) {
  counted::outside(hardware_.charging(), [&] { begin_reply(call, payload); });
}

void ModelConnection::begin_reply(std::uint64_t call, ByteView payload) {
  MessageFlight& flight = messages_.take();
  flight.connection = this;
  flight.call = call;
  flight.at_nic = false;
  flight.bytes.assign(payload.begin(), payload.end());
  if (network_ != nullptr) return hand_over(flight, end_.thread, Leg::reply_to_network);
  send_reply(flight, end_.thread);
}

void ModelConnection::send_reply(MessageFlight& flight, ModelThread& thread) {
  thread.charge(Cost::message_send);
  thread.charge_bytes(Cost::message_kib, flight.bytes.size());
  flight.leg = Leg::reply_to_client;
  if (sockets_) return sockets_->to_client.send(flight);
  Nanos when = thread.now();
  if (hardware_.charging()) when = hardware_.nic().send(when, flight.bytes.size()) + one_way();
  hardware_.queue().at(when, flight, 0);
}

void ModelConnection::answered(MessageFlight& flight, ModelThread& thread) {
  receive(flight, thread);
  fabric::Call& call = *std::exchange(calls_[flight.call], nullptr);
  idle_calls_.push_back(flight.call);
  Bytes reply(flight.bytes.begin(), flight.bytes.end());
  messages_.give(flight);
  thread.finish(StepKind::message, [&] { call.complete(thread, std::move(reply)); });
}

}  // namespace scalio::hardware
