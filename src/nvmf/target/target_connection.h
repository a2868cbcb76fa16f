// TargetConnection: one TCP connection of a target, which is one queue pair of a controller: its
// PDUs, its commands in flight, and what became of them.
#pragma once

#include <coroutine>
#include <memory>
#include <string>
#include <vector>

#include "net/unique_fd.h"
#include "nvmf/auth/dhchap_controller.h"
#include "nvmf/target/controller.h"
#include "nvmf/target/pdu_socket.h"
#include "nvmf/target/subsystem.h"
#include "nvmf/wire/pdu.h"
#include "task/timer.h"

namespace scalio::nvmf {

// Held by the subsystem until end(), and by its commands with a device until these have ended.
class TargetConnection final : public Controller::QueueConnection,
                               public PduSocket::PduHandler,
                               public std::enable_shared_from_this<TargetConnection> {
 public:
  // `place`: whence it comes; it is counted by what has this. `too_many`: it is one more than there
  // may be, and is told so when it says what it wants.
  TargetConnection(Subsystem& subsystem, net::UniqueFd socket, std::string name,
                   std::shared_ptr<const std::string> place, bool too_many);
  ~TargetConnection();
  // Begins to serve it.
  void start();
  // Goes on with one that another thread has begun to serve.
  void go_on(const PduRules& rules, const PduFormat& format, ByteView received);
  // Closes it at once. Idempotent.
  void end(const std::string& why) override;

 private:
  enum class State : std::uint8_t {
    new_one,    // waits for ICReq
    unknown,    // waits for Connect
    connected,  // is a queue
    finishing,  // has said all it will say
    closed,
  };
  struct CommandSlot;

  std::size_t on_received(ByteView bytes) override;
  void on_sent(void* token) override;
  void on_drained() override;
  bool owes() const override { return transfers_ > 0; }
  void on_lost(const Status& why) override;

  // PDUs.
  void on_pdu(const Pdu& pdu, ByteView bytes);
  std::size_t thread_for(const Pdu& pdu, ByteView bytes);
  void move(std::size_t thread, ByteView received);
  void on_ic_req(const Pdu& pdu);
  void on_capsule(const Pdu& pdu, ByteView data, bool intact);
  void on_data(const Pdu& pdu, ByteView data, bool intact);
  void terminate(const PduError& error, ByteView bytes);

  // Commands.
  void on_connect(CommandSlot& slot, ByteView data);
  void on_fabrics(CommandSlot& slot, ByteView data);
  void on_authentication(CommandSlot& slot, ByteView data);
  void end_authentication();
  void on_admin(CommandSlot& slot);
  void on_abort(CommandSlot& slot);
  void on_event_request(CommandSlot& slot);
  void on_io(CommandSlot& slot, ByteView data);

  // A command's way to its completion, once it has memory for its data.
  struct DataShare;
  DataShare& share_of(const CommandSlot& slot);
  void begin_or_wait(CommandSlot& slot);
  bool fits(const DataShare& share, const CommandSlot& slot) const;
  void start_waiting(DataShare& share);
  void begin(CommandSlot& slot);
  void execute(CommandSlot& slot);
  void take_memory(CommandSlot& slot);
  void ask_for_data(CommandSlot& slot);
  void run(CommandSlot& slot);
  static Task<void> work(std::shared_ptr<TargetConnection> self, CommandSlot& slot);
  void on_io_done(CommandSlot& slot, const Status& status);

  CommandSlot* take_slot(const NvmeCommand& command);
  void complete(CommandSlot& slot, const CommandResult& answer);
  void release(CommandSlot& slot);
  void finish(const std::string& why);
  void leave_controller(const std::string& why);
  void drop_event_requests();

  Subsystem& subsystem_;
  const std::string name_;
  const std::shared_ptr<const std::string> place_;
  const bool too_many_;
  bool moved_ = false;  // to another thread
  State state_ = State::new_one;
  std::shared_ptr<PduSocket> socket_;
  Timer connect_timeout_;
  PduRules rules_;                                              // of what is received
  PduFormat format_;                                            // of what is sent
  std::array<std::byte, kIcLength> greeting_;                   // ICResp
  std::array<std::byte, kTermHeader + kMaxTermData> farewell_;  // TermReq

  std::shared_ptr<Controller> controller_;
  // While the host is to prove who it is: nothing else is done for it.
  std::unique_ptr<DhchapController> authentication_;
  bool authenticated_ = false;  // it has
  std::uint16_t queue_id_ = 0;
  bool flow_control_ = true;
  std::uint32_t entries_ = 1;  // of the queue: commands in flight at a time
  std::uint32_t sq_head_ = 0;

  std::vector<std::unique_ptr<CommandSlot>>
      slots_;  // made as they are needed; a slot's index is its transfer tag
  std::vector<CommandSlot*> idle_;
  // By NSID, and of what is no namespace's at 0: so that one whose device stops answering does not
  // hold the memory that the others need.
  std::vector<DataShare> shares_;
  std::size_t transfers_ = 0;  // slots whose data the host was asked for
  std::size_t parked_ = 0;     // asynchronous event requests
};

}  // namespace scalio::nvmf
