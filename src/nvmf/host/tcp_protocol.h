// TcpProtocol: the host's side of one NVMe/TCP connection, without its socket: requests become
// bytes to send, and received bytes become data in place and completions.
//
// Whatever the controller sends, this ends: each byte is consumed once, data lands only in the
// buffer of a request that is in flight and only where it belongs, and anything else ends the
// connection with the H2CTermReq that the specification names (NVMe/TCP 1.0, 3.5).
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/ring.h"
#include "net/send_buffer.h"
#include "nvmf/host/queue.h"
#include "nvmf/wire/pdu.h"

namespace scalio::nvmf {

class TcpProtocol {
 public:
  // Commands in flight that a command identifier can tell apart.
  static constexpr std::uint32_t kMaxDepth = 1024;

  struct Settings {
    std::uint32_t depth = 31;      // 1 to kMaxDepth
    std::uint32_t in_capsule = 0;  // bytes of data that a command capsule can carry
    bool header_digest = false;    // asked for; a controller that refuses ends the connection
    bool data_digest = false;
  };

  // out() has the ICReq from the beginning. The pool must outlive it.
  TcpProtocol(net::SendBuffer::Pool& pool, const Settings& settings);

  // The controller has answered the ICReq.
  bool connected() const { return connected_; }

  // While connected, with fewer than `depth` in flight. Appends to out().
  void submit(Submission& request);
  // As Queue::replace.
  void replace(Submission& late, Submission& by);

  // Handles what was received; on_done of requests is called from here. A failure (unavailable,
  // with what was wrong) ends the connection; then out() has a H2CTermReq if one is due, and
  // nothing may be called but out() and fail().
  Status receive(ByteView bytes);
  // Where the data that is to be received next belongs, empty if that is not data. It may be
  // received there directly and then reported by landed(), whose outcome is as receive()'s.
  ByteSpan landing() const { return {place_, skip_left_ == 0 ? data_left_ : 0}; }
  Status landed(std::size_t n);

  // What is to be sent. After bytes of it were consumed, refill().
  net::SendBuffer& out() { return out_; }
  // Appends more of the data that the controller has asked for: out() never holds more than a
  // bounded part.
  void refill();

  // Ends every request in flight as lost.
  void fail(const Status& why);

 private:
  struct TcpSlot {
    Submission* request = nullptr;
    std::uint16_t cid = 0;  // the slot's number, and above that how often it was used: a late or
                            // repeated answer to an earlier request is not taken for one to this
    std::uint16_t tag = 0;  // of the R2T under way
    std::uint32_t received = 0;  // of data to the host
    std::uint32_t granted = 0;   // of data to the controller: asked for, or gone with the capsule
    std::uint32_t sent = 0;
    bool damaged = false;  // its data failed a digest
  };

  Status handle(const Pdu& pdu);
  Status on_ic_resp(const Pdu& pdu);
  Status on_response(const Pdu& pdu);
  Status on_data(const Pdu& pdu);
  Status on_r2t(const Pdu& pdu);
  Status end_of_data();
  Status complete(TcpSlot& slot, Completion completion, ByteView header);
  TcpSlot* find(std::uint16_t cid);
  void append_capsule(const Submission& request, std::size_t in_capsule);
  void append_data(const TcpSlot& slot, std::uint32_t size, bool last);
  void append_with_data(ByteView prefix, ByteView data);
  // Queues the H2CTermReq and returns the status that ends the connection.
  Status refuse(const PduError& error, ByteView header);

  const Settings settings_;
  bool connected_ = false;
  PduRules rules_;
  PduFormat send_format_;
  std::uint32_t max_h2c_data_ = 0;

  std::vector<TcpSlot> slots_;
  std::vector<std::uint16_t> idle_;
  Ring<std::uint16_t> sending_;  // slots with data that was asked for and is not in out_ yet
  net::SendBuffer out_;

  // Where in the stream it is: a header of which only a part was received; else padding, data,
  // digest of the C2HData under way, in this order.
  std::array<std::byte, kIcLength> partial_;
  std::size_t partial_size_ = 0;
  std::uint32_t skip_left_ = 0;
  std::byte* place_ = nullptr;
  std::size_t data_left_ = 0;
  std::size_t digest_left_ = 0;
  std::array<std::byte, kDigestSize> digest_;
  std::uint32_t crc_ = 0;
  std::array<std::byte, kDataHeader> data_header_;  // of the C2HData under way
  std::uint8_t data_flags_ = 0;
  TcpSlot* data_slot_ = nullptr;
};

}  // namespace scalio::nvmf
