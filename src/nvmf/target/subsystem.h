// Subsystem: what the connections of one target share, on one of its threads: namespaces,
// controllers, who may connect.
#pragma once

#include <scalio/status.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/limited_log.h"
#include "net/unique_fd.h"
#include "nvmf/auth/host_secrets.h"
#include "nvmf/target/buffer_pool.h"
#include "nvmf/target/controller.h"
#include "nvmf/target/namespace_table.h"
#include "nvmf/target/pdu_socket.h"
#include "nvmf/target/target_options.h"
#include "nvmf/target/target_threads.h"
#include "nvmf/wire/discovery_log.h"
#include "nvmf/wire/fabrics.h"
#include "nvmf/wire/pdu.h"

namespace scalio::nvmf {

class TargetConnection;

// A port that a subsystem is reached at, for the discovery log page.
struct TargetPort {
  AddressFamily family = AddressFamily::ipv4;
  std::string address;         // numeric; empty: every address of this machine, of the family
  bool both_families = false;  // of IPv6, every address: IPv4's too
  std::uint16_t port = 0;
};

// Who may connect.
struct AllowedHosts {
  std::vector<std::string> names;  // NQNs; none: any
  // In place of names: those that are here, once they have proven that they are. Null: nothing is
  // proven.
  std::shared_ptr<const HostSecrets> secrets = nullptr;

  bool has(const std::string& host_nqn) const;
};

// A connection on its way to the thread of its association: it was greeted, and says Connect.
struct MovedConnection {
  net::UniqueFd socket;
  std::string name;
  std::shared_ptr<const std::string> place;
  PduRules rules;
  PduFormat format;
  Bytes received;  // from its Connect command on
};

// Belongs to one loop's thread, like all that it has.
class Subsystem {
 public:
  // On the thread of this number.
  Subsystem(EventLoop& loop, TargetThreads& threads, std::size_t thread, NamespaceTable namespaces,
            std::string nqn, AllowedHosts hosts, bool writable, TargetLimits limits,
            std::vector<TargetPort> ports);
  // close_all() was called, and no connection is left, closing or not.
  ~Subsystem();

  // A new connection, named for logs, of the first thread. `place`: as of a Listener.
  void adopt(net::UniqueFd socket, std::string name, const std::string& place);
  // Closes all connections and takes no more.
  void close_all();
  // Closed connections that still have commands with a device.
  std::size_t closing() const { return closing_; }
  // Both, of all threads and for any thread.
  std::size_t connections() const { return threads_.connections.load(std::memory_order_relaxed); }

  EventLoop& loop() const { return model_.loop; }
  const NamespaceTable& namespaces() const { return namespaces_; }
  const TargetLimits& limits() const { return model_.limits; }
  // Bytes of data that the commands of one namespace may hold of a connection's.
  std::size_t most_of_a_namespace() const {
    return limits().max_in_flight / std::max<std::size_t>(namespaces_.all().size(), 4);
  }
  BufferPool& pool() { return pool_; }
  net::LimitedLog& log() { return log_; }

  // --- For its connections ---

  // What a Connect command is answered: success with the controller that `queue` is now a queue of,
  // or why not.
  struct Connected {
    CommandResult answer;
    std::shared_ptr<Controller> controller;
    // By which the host is to prove who it is before anything else. Null: it need not.
    const DhchapSecrets* secrets = nullptr;
  };
  // `local`: the address of this end of the connection.
  Connected connect(const ConnectCommand& command, const ConnectData& data,
                    Controller::QueueConnection& queue, const TargetPort& local);
  // Which thread is to answer a Connect command: of the first thread's connections; others stay.
  std::size_t thread_for(const ConnectCommand& command, const ConnectData& data);
  std::size_t thread() const { return thread_; }
  void hand_over(std::size_t thread, MovedConnection connection);
  // The queue is no longer one of the controller's. Without its admin queue the controller ends.
  void disconnect(const std::shared_ptr<Controller>& controller, std::uint16_t queue_id);
  // The connection is closed; it may have commands with a device.
  void forget(TargetConnection& connection);
  // `moved`: another thread has it.
  void closing_ended(bool moved) {
    --closing_;
    if (!moved) --threads_.connections;
  }
  void count_io(const block::Io& io, const Status& status) {
    threads_.count_io(thread_, io, status);
  }

  // Where connections receive: room for the largest PDU and what came before and after it.
  ByteSpan receive_space() { return receive_space_; }

 private:
  std::shared_ptr<const std::string> known_place(const std::string& place);
  void make_room();
  void drop_unused();
  Connected connect_admin(const ConnectCommand& command, const ConnectData& data,
                          Controller::QueueConnection& queue, const TargetPort& local);
  Connected connect_io(const ConnectCommand& command, const ConnectData& data,
                       Controller::QueueConnection& queue);
  void keep(const std::shared_ptr<TargetConnection>& connection);
  void take(MovedConnection connection);
  std::uint16_t free_controller_id();
  Bytes discovery_log(const std::string& host_nqn, const TargetPort& local) const;

  TargetThreads& threads_;
  const std::size_t thread_;
  const NamespaceTable namespaces_;
  const ControllerModel model_;
  const AllowedHosts hosts_;
  const std::vector<TargetPort> ports_;
  BufferPool pool_;
  Bytes receive_space_;
  net::LimitedLog log_;
  std::map<std::uint16_t, std::shared_ptr<Controller>> controllers_;
  std::uint16_t next_controller_id_;
  std::unordered_map<TargetConnection*, std::shared_ptr<TargetConnection>> connections_;
  std::size_t closing_ = 0;  // closed connections that still exist
  bool closed_ = false;

  // Of the first thread. Each connection of a place has the place's name, on whichever thread: its
  // use count is how many there are.
  std::map<std::string, std::weak_ptr<const std::string>> places_;
  Nanos next_room_ = 0;  // when associations that are not used may be ended again
};

}  // namespace scalio::nvmf
