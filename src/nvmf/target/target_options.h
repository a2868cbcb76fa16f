// What an EmbeddedTarget offers, to whom, and what it bears.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "block/block_device.h"
#include "net/uri.h"
#include "nvmf/auth/host_secrets.h"
#include "task/event_loop.h"

namespace scalio::nvmf {

// Every limit holds whatever hosts do. A connection's data in memory is therefore at most, for each
// namespace, the larger of its part of max_in_flight and max_transfer, and an incomplete PDU of
// max_pdu_data; if hosts may write, queue_depth x 8 KiB of what came in capsules as well. A host
// that takes what it asks for keeps a small part of it busy.
struct TargetLimits {
  // TCP connections, that is queues. Who connects beyond is told so in answer to its Connect
  // command; beyond kToldWhy more a connection is closed without a word. kForOthers of these are
  // for who comes from a place (net::place_of()) that has few connections, kFew at most and of a
  // small target fewer: it is served. So one place that has all keeps no other out.
  std::size_t max_connections = 1024;
  static constexpr std::size_t kToldWhy = 64;
  static constexpr std::size_t kForOthers = 32;
  static constexpr std::size_t kFew = 8;
  // I/O queues of one controller, that is of one association of one host.
  std::uint16_t max_io_queues = 64;
  // Commands of an I/O queue at a time: 2 to 4096. Of an admin queue it is 32 at least. A queue may
  // be of many namespaces.
  std::uint32_t queue_depth = 1024;
  // Data of one command (MDTS), in bytes: a power of two from 8192 to 1 MiB.
  std::uint32_t max_transfer = 128 * 1024;
  // Data of one PDU from a host (MAXH2CDATA), in bytes: a multiple of 4 from 8192 to 256 KiB.
  std::uint32_t max_pdu_data = 128 * 1024;
  // Bytes of data that the commands of one connection hold at a time, an equal part for each
  // namespace, a quarter at most. Commands beyond wait, without memory, until the host has taken
  // what it asked for before.
  std::size_t max_in_flight = 2 * 1024 * 1024;
  // From accepting a connection to its Connect command, and from there, where the host is to prove
  // who it is, until it has.
  Nanos connect_timeout = 5 * kSecond;
  // An association that has no I/O queue, and whose host has asked for no keep-alive, ends when
  // nothing comes from the host for so long. When there are too many connections, every one ends
  // that never had an I/O queue, once it is as old as connect_timeout.
  Nanos unused_timeout = 120 * kSecond;
  // A host that takes nothing of what waits for it, or sends no more of a PDU or transfer that it
  // has begun, for this long, is disconnected.
  Nanos stall_timeout = 30 * kSecond;
};

struct TargetNamespace {
  // A regular file or block device, read around the page cache.
  std::string path;
  // If given, called on each of the target's threads for a device, in place of opening `path`:
  // memory, or a device with faults. Its name() must tell it from others.
  std::function<Result<std::unique_ptr<block::BlockDevice>>(EventLoop& loop)> open;
};

struct TargetOptions {
  // Where to listen: URIs of scheme tcp.
  std::vector<net::Uri> listen;
  std::vector<TargetNamespace> namespaces;
  // The subsystem's name. Empty: derived from what the namespaces are (namespace_table.h), so that
  // it is the same after a restart.
  std::string nqn;
  // NQNs of the hosts that may connect. Empty: any. A name is all that is checked: who can reach
  // the port can claim it.
  std::vector<std::string> allowed_hosts;
  // In place of these: hosts that may connect, and the secrets by which each queue of theirs proves
  // the name (DH-HMAC-CHAP) before anything is done for it. Empty: none has to.
  HostSecrets secrets;
  // Whether hosts may write. A host that can write an SSD of a store can destroy every record on
  // it.
  bool writable = false;
  // Threads, each with the associations of some hosts, and with devices of its own.
  static constexpr std::size_t kMaxThreads = 64;
  std::size_t threads = 1;
  // The longest that one of them looks for work before it sleeps; 1 ms at most.
  Nanos spin = 0;
  TargetLimits limits;
};

}  // namespace scalio::nvmf
