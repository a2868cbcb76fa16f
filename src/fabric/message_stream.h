// MessageStream: frames between a client and a server, in order, over whatever carries them: a
// socket (FrameStream) or a queue pair (VerbsStream). Belongs to one loop's thread.
#pragma once

#include <scalio/status.h>

#include "fabric/frame.h"
#include "task/executor.h"

namespace scalio::fabric {

struct StreamLimits {
  // Bytes to send; beyond, it stops reading until half of them have gone. For one side only: two
  // that do could wait for each other.
  std::size_t max_queued = SIZE_MAX;
  // With bytes to send and a peer that takes none; or, of a FrameStream, one that has begun a frame
  // and ends neither it nor another.
  Nanos stall_timeout = 30 * kSecond;
};

// Held by shared_ptr, because work it has posted to the loop may run after its owner has let go.
// The owner calls stop() before that.
class MessageStream {
 public:
  class Handler {
   public:
    // Not a close. The payload is valid during the call. The handler may stop the stream.
    virtual void on_frame(const Frame& frame) = 0;
    // The stream has ended: the peer closed it (unavailable, with its reason), the connection broke
    // (unavailable), it sent no valid frame (invalid), it takes nothing or does not end a frame
    // (timed_out), or fail() was called. Called once, from the loop; nothing is called after it.
    virtual void on_lost(const Status& why) = 0;
    // What was queued has been sent.
    virtual void on_sent() {}
    // After one or more calls of on_frame: no other follows at once. By a FrameStream.
    virtual void on_pause() {}

   protected:
    ~Handler() = default;
  };

  virtual ~MessageStream() = default;

  // Queues a frame. Once the stream has failed frames are dropped.
  virtual void send(FrameKind kind, std::uint64_t id, ByteView payload) = 0;
  // Ends the stream because of what the peer did, or is to be told: sends it the reason, as far as
  // that goes at once. on_lost follows on a later turn.
  virtual void fail(Status why) = 0;
  // Ends it without another callback. Sends what is queued as far as that goes at once.
  virtual void stop() = 0;
};

}  // namespace scalio::fabric
