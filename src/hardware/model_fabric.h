// The model's fabric: connections over the server's NIC. One-sided operations happen in the NIC's
// order and cost the server no CPU; messages are received, handed on and answered by its threads.
// Where the machine has sockets, messages go through these.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "fabric/fabric.h"
#include "hardware/flight_pool.h"
#include "hardware/hardware.h"
#include "hardware/model_socket.h"

namespace scalio::hardware {

// Where a service is reached. Must outlive its connections.
struct ServiceEnd {
  Hardware& hardware;
  ModelThread& thread;  // the service's
  fabric::Service& service;
  ByteSpan region;
  // Threads that receive and send for it, and hand messages over; connections are dealt out to
  // them. None: the service's thread does it itself.
  std::vector<ModelThread*> network = {};
  std::uint32_t connections = 0;
};

class ModelConnection final : public fabric::Connection, public fabric::Peer {
 public:
  // At once: connecting is not measured.
  static Result<std::unique_ptr<fabric::Connection>> connect(ServiceEnd& end, ModelThread& client,
                                                             ByteView hello);
  ~ModelConnection() override;

  bool alive() const override { return lost_.ok(); }
  Status lost() const override { return lost_; }
  std::uint64_t region_size() const override { return end_.region.size(); }
  std::uint64_t nic_operations() const override { return nic_operations_; }
  const Bytes& hello() const override { return hello_; }
  Executor& executor() override { return client_; }

  void reply(std::uint64_t call, ByteView payload) override;
  void close(std::string reason) override;
  const std::string& name() const override { return name_; }

 protected:
  void start(fabric::Op& op) override;
  void start(fabric::Call& call, ByteView request) override;

 private:
  struct OpFlight final : EventTarget, Arrival {
    ModelConnection* connection = nullptr;
    fabric::Op* op = nullptr;
    bool at_server = false;
    std::uint64_t result = 0;
    void happen(std::uint64_t) override { connection->advance(*this); }
    void arrive(ModelThread& thread) override { connection->completed(*this, thread); }
  };
  // Where a message is: on its way to a thread, which takes it from the NIC or from another thread.
  enum class Leg : std::uint8_t {
    to_network,
    to_service,
    reply_to_network,
    reply_to_client,
  };
  struct MessageFlight final : EventTarget, Arrival, SocketMessage {
    ModelConnection* connection = nullptr;
    Leg leg = Leg::to_network;
    bool at_nic = false;
    std::uint64_t call = 0;
    Bytes bytes;
    void happen(std::uint64_t) override { connection->advance(*this); }
    void arrive(ModelThread& thread) override { connection->arrived(*this, thread); }
    void received(ModelThread& thread) override { connection->arrived(*this, thread); }
  };
  struct Sockets {
    ModelSocket to_server, to_client;
  };

  ModelConnection(ServiceEnd& end, ModelThread& client);
  void begin(fabric::Op& op);
  void begin(fabric::Call& call, ByteView request);
  void begin_reply(std::uint64_t call, ByteView payload);
  void advance(OpFlight& flight);
  Nanos execute(OpFlight& flight, Nanos now);
  void completed(OpFlight& flight, ModelThread& thread);
  void advance(MessageFlight& flight);
  void arrived(MessageFlight& flight, ModelThread& thread);
  void serve(MessageFlight& flight, ModelThread& thread);
  void send_reply(MessageFlight& flight, ModelThread& thread);
  void answered(MessageFlight& flight, ModelThread& thread);
  void receive(MessageFlight& flight, ModelThread& thread);
  void hand_over(MessageFlight& flight, ModelThread& from, Leg leg);
  Nanos one_way() const { return hardware_.charging() ? hardware_.nic().one_way() : 0; }

  ServiceEnd& end_;
  Hardware& hardware_;
  ModelThread& client_;
  ModelThread* const network_;        // or null
  std::unique_ptr<Sockets> sockets_;  // or null
  const std::string name_;
  Bytes hello_;
  Status lost_;
  std::uint64_t nic_operations_ = 0;
  Nanos last_completion_ = 0;
  FlightPool<OpFlight> ops_;
  FlightPool<MessageFlight> messages_;
  std::vector<fabric::Call*> calls_;       // by number
  std::vector<std::uint64_t> idle_calls_;  // numbers of none
};

}  // namespace scalio::hardware
