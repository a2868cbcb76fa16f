// What goes between the threads that stand in for the NIC and the lanes' threads.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "fabric/fabric.h"
#include "task/channel.h"

namespace scalio::fabric {

class NicConnection;
class TcpPeer;

struct NicMessage;
using NicChannel = Channel<NicMessage>;

// One TCP connection as both of its threads know it.
struct TcpLink {
  std::uint32_t lane = 0;
  std::string name;
  Peer::Who who;
  std::shared_ptr<NicChannel> to_nic;  // to the NIC's thread
  NicConnection* nic = nullptr;        // the NIC's thread only; null once the connection is lost
  std::size_t unseen = 0;              // likewise: bytes of requests on their way to the lane
  // The lane's thread only; null before and after the service has the peer.
  TcpPeer* peer = nullptr;
};

struct NicMessage {
  enum class Kind : std::uint8_t {
    // To the lane.
    hello,    // payload: the request. The first message of a link
    request,  // id, payload
    probe,    // id; answered by probed
    mark,     // answered by marked: what was sent before it has been seen
    gone,     // the connection was lost. The last message of a link; answered by released
    // To the NIC.
    welcome,  // payload: the service's answer
    refused,  // payload: of a refused frame
    reply,    // id, payload
    probed,   // id
    marked,
    close,     // payload: the reason
    released,  // the lane has forgotten the link
  };
  Kind kind;
  std::shared_ptr<TcpLink> link;
  std::uint64_t id = 0;
  Bytes payload;
  NicMessage* next = nullptr;
};

inline void send(NicChannel& channel, NicMessage::Kind kind, std::shared_ptr<TcpLink> link,
                 std::uint64_t id = 0, ByteView payload = {}) {
  auto m = std::make_unique<NicMessage>();
  m->kind = kind;
  m->link = std::move(link);
  m->id = id;
  m->payload.assign(payload.begin(), payload.end());
  channel.send(std::move(m));
}

}  // namespace scalio::fabric
