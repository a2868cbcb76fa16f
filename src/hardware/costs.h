// Costs: what the CPUs of the model are charged, and what its parts can do. The one table of it is
// in costs.cc, with the source of every number; it is the same for all systems.
//
// Two kinds of CPU costs. What is outside of the code (a NIC's queue pair, the kernel or a driver
// in user space, another core's cache) has a time. What is the code's own is counted in
// instructions of the real code, by role of the thread and by what began the step (`scalio-eval
// calibrate`). Both are multiplied by the fitted scale, but for what is not the systems' doing at
// all, and by how much slower the machine's cores are.
//
// There are two columns of prices: those of machines with RDMA and SSDs without the kernel, which
// are other people's, and those of the machine that the model is held against, where messages go
// through sockets. The latter were measured there (`scalio-eval calibrate --here`).
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace scalio::hardware {

enum class Cost : std::uint8_t {
  message_receive,  // a message by SEND and RECV: completion polled, buffer posted again
  message_send,     // posted, and its completion
  message_kib,      // for each KiB of a message, on either side: copied once
  hop_give,         // a message handed to a thread on another core
  hop_take,         // and taken from there
  one_sided_post,   // READ, WRITE or CAS by a client
  one_sided_done,   // its completion
  kernel_submit,    // an I/O by io_uring: the kernel's part
  kernel_complete,  // its interrupt, and the completion queue
  driver_submit,    // an I/O by a polled driver in user space
  driver_complete,  // its completion
  target_io,        // an I/O of a client by the kernel's NVMe-oF target: all that the server does
  fabric_submit,    // an I/O of a client by NVMe-oF over RDMA, from user space
  fabric_complete,  // its completion
  wake,             // a thread that sleeps when it has nothing to do is woken
  turn,             // a step of a thread: its share of a turn of the loop; or a whole turn
  // Where messages go through sockets alone.
  socket_receive,  // all that a socket has is received: a system call
  socket_send,     // all that a turn has for a socket is sent: a system call
  wake_other,      // what is sent wakes a thread that sleeps: by the one that sends
  submission,      // I/Os that a turn submits together: the kernel and the disk's host are told
  disk_start,      // an I/O on a disk that has no other: its host has to wake
  durable_write,   // a durable write, beyond what other I/Os cost
};
constexpr std::size_t kCosts = 22;

// Which column of prices.
enum class Prices : std::uint8_t { rdma, sockets };

// What a thread is, for what its own code costs.
enum class Role : std::uint8_t {
  scalio_server,
  scalio_client,
  leed_server,
  leed_client,
  ditto_client,  // LEED + Ditto: both are in it
  paper_server,
  paper_client,
  network,  // moves messages between NIC and others
  target,   // the kernel's NVMe-oF target
};
constexpr std::size_t kRoles = 9;
constexpr bool is_client(Role role) {
  return role == Role::scalio_client || role == Role::leed_client || role == Role::ditto_client ||
         role == Role::paper_client;
}

// What began a step.
enum class StepKind : std::uint8_t {
  message,    // one has come
  read,       // an I/O has ended
  write,      // likewise; and flushes
  one_sided,  // a READ, WRITE or CAS has
  other,      // the thread itself, before; a time that has come
};
constexpr std::size_t kStepKinds = 5;

struct CostRow {
  Cost cost;
  std::string_view name;
  double ns;  // at a scale of 1
  std::string_view source;
  double sockets_ns;  // measured, where messages go through sockets
  bool scaled = true;
};
struct InstructionRow {
  Role role;
  std::string_view name;
  std::array<double, kStepKinds> instructions;  // of a step, by StepKind
};
std::span<const CostRow> cost_rows();
std::span<const InstructionRow> instruction_rows();
std::string_view to_string(StepKind kind);

// What an instruction takes at a scale of 1: see costs.cc.
double nanos_per_instruction(Prices prices);
// Fitted once, on LEED: see costs.cc.
double fitted_scale();

// Costs of one machine, in picoseconds.
class Costs {
 public:
  // `slower`: the machine's cores than the paper's.
  explicit Costs(double scale, double slower = 1, Prices prices = Prices::rdma);
  // NAME=FACTOR multiplies a cost by a number. NAME is that of a row, `instructions` or `all`.
  // Failures: invalid.
  Status adjust(std::string_view change);
  // For a test's mutant.
  void clear(Cost cost) { outside_[static_cast<std::size_t>(cost)] = 0; }

  std::uint64_t of(Cost cost) const { return outside_[static_cast<std::size_t>(cost)]; }
  std::uint64_t of(Role role, StepKind kind) const {
    return own_[static_cast<std::size_t>(role)][static_cast<std::size_t>(kind)];
  }

 private:
  std::array<std::uint64_t, kCosts> outside_{};
  std::array<std::array<std::uint64_t, kStepKinds>, kRoles> own_{};
};

}  // namespace scalio::hardware
