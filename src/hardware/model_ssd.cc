#include "hardware/model_ssd.h"

#include "base/hash.h"
#include "block/count.h"

namespace scalio::hardware {

using block::Io;

namespace {
// Writes that wait for the flash, as time: as much as the SSD's memory takes.
constexpr Nanos kWriteCache = 2 * kMillisecond;
}  // namespace

ModelSsd::ModelSsd(std::string name, std::uint64_t size, const SsdShape& shape, bool endless)
    : name_(std::move(name)),
      shape_(shape),
      endless_(endless),
      contents_(size),
      channels_(shape.channels),
      read_ps_(picoseconds_each(shape.reads) * shape.channels),
      write_ps_(picoseconds_each(shape.writes) * shape.channels),
      byte_ps_(picoseconds_each(shape.bytes)) {}

WorkPipe& ModelSsd::next_channel() { return channels_[mix(++turns_) % channels_.size()]; }

std::uint64_t ModelSsd::busy() const {
  std::uint64_t sum = 0;
  for (const WorkPipe& c : channels_) sum += c.busy();
  return sum;
}

Nanos ModelSsd::serve(Io& io, Nanos now, bool charging) {
  if (io.kind == Io::Kind::read) contents_.read(io.offset, {io.data, io.size});
  if (io.kind == Io::Kind::write) contents_.write(io.offset, {io.data, io.size});
  block::count(counters_, io, Status());
  if (!charging) return now;
  if (io.kind == Io::Kind::read) return read(io, now);
  if (io.kind == Io::Kind::write) return write(io, now);
  return now + shape_.write_latency + (shape_.power_loss_protected ? 0 : shape_.program);
}

// Of many pages: each is some channel's.
Nanos ModelSsd::read(const Io& io, Nanos now) {
  if (endless_) return now + shape_.read_latency;
  Nanos end = now;
  for (std::uint64_t at = io.offset; at < io.offset + io.size;
       at = (at / shape_.page + 1) * shape_.page) {
    end = std::max(end, next_channel().take(now, read_ps_));
  }
  end = std::max(end, bus_.take(now, byte_ps_ * io.size));
  // The latency is that of one alone, in which the channel's time is.
  const Nanos in_channel = read_ps_ / 1000;
  return end + (shape_.read_latency > in_channel ? shape_.read_latency - in_channel : 0);
}

Nanos ModelSsd::write(const Io& io, Nanos now) {
  const bool sequential = goes_on(io.offset, io.size);
  Nanos end = now + shape_.write_latency;
  if (io.durability == block::Durability::stable && !shape_.power_loss_protected) {
    end += shape_.program;
  }
  if (endless_) return end;
  for (std::uint64_t at = io.offset; at < io.offset + io.size;
       at = (at / shape_.page + 1) * shape_.page) {
    const std::uint64_t in_page =
        std::min((at / shape_.page + 1) * shape_.page, io.offset + io.size) - at;
    std::uint64_t work = write_ps_;
    if (in_page < shape_.page && !sequential) work += read_ps_;
    const Nanos written = next_channel().take(now, work);
    // The memory is full: who writes waits for the flash.
    if (written > now + kWriteCache) end = std::max(end, written - kWriteCache);
  }
  return std::max(end, bus_.take(now, byte_ps_ * io.size));
}

bool ModelSsd::goes_on(std::uint64_t offset, std::uint64_t size) {
  for (std::uint64_t& end : streams_) {
    if (end != offset) continue;
    end = offset + size;
    return true;
  }
  streams_[next_stream_] = offset + size;
  next_stream_ = (next_stream_ + 1) % kStreams;
  return false;
}

}  // namespace scalio::hardware
