// ModelNic: the server's NIC: its link each way, and the units that requests, atomics and reads of
// SSDs for clients go through, each one thing after another. The clients' NICs are together never
// the narrower, and are not modelled.
#pragma once

#include <cstdint>

#include "hardware/machine.h"
#include "hardware/work_pipe.h"

namespace scalio::hardware {

class ModelNic {
 public:
  // Bytes that a packet has beside its payload, on the wire: Ethernet 38, IP 20, UDP 8, BTH 12,
  // RETH or AETH and checksum 20 (InfiniBand Architecture Specification; RoCE v2 annex).
  static constexpr std::uint64_t kPacket = 98;
  static constexpr std::uint64_t kMtu = 4096;

  explicit ModelNic(const NicShape& shape)
      : shape_(shape),
        byte_ps_(picoseconds_each(shape.gigabits * 1e9 / 8)),
        request_ps_(picoseconds_each(shape.requests)),
        atomic_ps_(picoseconds_each(shape.atomics)),
        offload_ps_(picoseconds_each(shape.offload_reads)) {}

  // Half of a round trip: on the wire, in switches, in the NICs.
  Nanos one_way() const { return shape_.round_trip / 2; }
  // Something with so many bytes of payload comes in: when it is there.
  Nanos receive(Nanos now, std::uint64_t payload) {
    return requests_.take(in_.take(now, on_wire(payload)), request_ps_);
  }
  // And goes out: when it has left.
  Nanos send(Nanos now, std::uint64_t payload) { return out_.take(now, on_wire(payload)); }
  Nanos swap(Nanos now) { return atomics_.take(now, atomic_ps_); }
  // Reads an SSD for a client: when the SSD gets the command.
  Nanos offload(Nanos now) { return offload_.take(now, offload_ps_) + shape_.offload_latency; }

  struct Busy {  // picoseconds
    std::uint64_t in, out, requests, atomics, offload;
  };
  Busy busy() const {
    return {in_.busy(), out_.busy(), requests_.busy(), atomics_.busy(), offload_.busy()};
  }
  // Over the link, both ways, with all headers.
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::uint64_t on_wire(std::uint64_t payload) {
    const std::uint64_t packets = payload == 0 ? 1 : (payload + kMtu - 1) / kMtu;
    const std::uint64_t all = payload + packets * kPacket;
    bytes_ += all;
    return all * byte_ps_;
  }

  const NicShape shape_;
  const std::uint64_t byte_ps_, request_ps_, atomic_ps_, offload_ps_;
  WorkPipe in_, out_, requests_, atomics_, offload_;
  std::uint64_t bytes_ = 0;
};

}  // namespace scalio::hardware
