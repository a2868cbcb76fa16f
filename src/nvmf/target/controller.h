// Controller: what one association of a host sees: properties, features, identify, log pages,
// keep-alive. The connections that are its queues are told here apart by their number only.
#pragma once

#include <scalio/status.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nvmf/target/namespace_table.h"
#include "nvmf/target/target_options.h"
#include "nvmf/target/target_threads.h"
#include "nvmf/wire/fabrics.h"
#include "nvmf/wire/identify.h"
#include "nvmf/wire/status_code.h"
#include "task/timer.h"

namespace scalio::nvmf {

// What a controller says to a command.
struct CommandResult {
  StatusCode status = StatusCode::success;
  std::uint32_t dw0 = 0;
  std::uint32_t dw1 = 0;
  Bytes data = {};  // to the host
};

// What controllers are made from, the same for all of a subsystem on one thread.
struct ControllerModel {
  EventLoop& loop;
  const NamespaceTable& namespaces;
  const TargetThreads& threads;
  const std::string nqn;
  const TargetLimits limits;
  const bool writable;
};

// In-capsule data that every queue takes, in bytes: enough for a Connect and for small writes.
constexpr std::uint32_t kInCapsuleData = 8192;
// Asynchronous event requests that a controller keeps.
constexpr std::size_t kMaxEventRequests = 4;

class Controller : public std::enable_shared_from_this<Controller> {
 public:
  // A connection that is one of its queues.
  class QueueConnection {
   public:
    // The controller is no more, or was reset: closes the connection and calls detach(), before it
    // returns.
    virtual void end(const std::string& why) = 0;

   protected:
    ~QueueConnection() = default;
  };

  // Of a host that says it is this. `keep_alive_ms` as in Connect: 0 asks for none.
  Controller(const ControllerModel& model, ControllerType type, std::uint16_t id,
             const ConnectData& host, std::uint32_t keep_alive_ms);
  // It has no queues any more.
  ~Controller();

  std::uint16_t id() const { return id_; }
  const ConnectData& host() const { return host_; }
  std::string host_name() const;  // for logs
  ControllerType type() const { return type_; }

  // Whether it has ever had an I/O queue; and since when it is there.
  bool used() const { return used_; }
  Nanos made_at() const { return made_at_; }

  // A command came from the host, on whichever queue: it is alive.
  void note_traffic() { traffic_ = true; }

  // Whether it takes other commands than those of fabrics, and I/O queues.
  bool ready() const { return (status_ & kReady) != 0; }

  // Makes `queue` the queue of this number, 0 the admin queue. False if there is one.
  bool attach(std::uint16_t queue_id, QueueConnection& queue);
  void detach(std::uint16_t queue_id);
  // Ends every queue but the admin queue.
  void end_io_queues(const std::string& why);
  // Ends every queue.
  void end_all(const std::string& why);

  // Where the discovery log page says that its subsystem is; of a discovery controller.
  void set_discovery_log(Bytes log) { discovery_log_ = std::move(log); }

  // Fabrics commands of the admin queue, but connect.
  CommandResult on_property_get(const NvmeCommand& command) const;
  CommandResult on_property_set(const NvmeCommand& command);
  // Any other admin command but Abort and Asynchronous Event Request, which are about other
  // commands. `room`: bytes of data that the host takes.
  CommandResult execute(const NvmeCommand& command, std::uint32_t room);

 private:
  CommandResult identify(const NvmeCommand& command) const;
  CommandResult identify_controller() const;
  CommandResult get_log_page(const NvmeCommand& command) const;
  // A feature that is a number; nothing if the controller does not have it. `cdw11` may select one
  // of several.
  struct FeatureValue {
    std::uint32_t now = 0;
    std::uint32_t initial = 0;
    bool changeable = false;
    bool of_namespace = false;
  };
  std::optional<FeatureValue> feature(Feature id, std::uint32_t cdw11) const;
  CommandResult get_features(const NvmeCommand& command) const;
  CommandResult set_features(const NvmeCommand& command);
  void configure(std::uint32_t value);
  void start_keep_alive(std::uint32_t ms);
  void on_keep_alive_timer();

  const ControllerModel& model_;
  const ControllerType type_;
  const std::uint16_t id_;
  const ConnectData host_;
  std::map<std::uint16_t, QueueConnection*> queues_;
  Bytes discovery_log_;

  std::uint32_t configuration_ = 0;  // CC
  std::uint32_t status_ = 0;         // CSTS
  std::uint32_t event_mask_ = 0;
  std::uint32_t keep_alive_ms_ = 0;
  bool traffic_ = false;  // since the timer was armed
  bool used_ = false;
  const Nanos made_at_;
  Timer keep_alive_;
};

}  // namespace scalio::nvmf
