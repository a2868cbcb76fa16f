// ModelSsd: an SSD of the model: contents, and when operations end.
//
// It has channels, and each page of an operation is one's, by chance. Not by its place: a page that
// everybody reads would be its channel's alone, and SSDs have memory for such. An operation keeps
// its channel for its share of the rate that the data sheet says, and takes a latency beside that,
// in which others go on. So few at a time see the latency, many the rate, and how many it takes to
// reach it follows from chance.
//
// A write has ended when the SSD's memory has it, and keeps the channel later on: reads wait for
// that, and so do writes, when more come than the flash takes. A write that goes on where one has
// ended shares its page. Any other of less than a page is a read of it as well.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "block/block_device.h"
#include "hardware/event_queue.h"
#include "hardware/machine.h"
#include "hardware/sparse_bytes.h"
#include "hardware/work_pipe.h"

namespace scalio::hardware {

class ModelSsd {
 public:
  // `endless`: an SSD that does any number of things at a time, which is for tests.
  ModelSsd(std::string name, std::uint64_t size, const SsdShape& shape, bool endless);

  const std::string& name() const { return name_; }
  SparseBytes& contents() { return contents_; }

  // Does an operation that has reached it now, and says when it ends. If `charging` is false, at
  // once.
  Nanos serve(block::Io& io, Nanos now, bool charging);

  // Operations that it has done, whoever asked.
  const block::Counters& counters() const { return counters_; }
  // Of its channels, picoseconds in all; divided by their number and the time: how busy it is.
  std::uint64_t busy() const;
  std::uint32_t channels() const { return shape_.channels; }

 private:
  static constexpr std::size_t kStreams = 16;

  Nanos read(const block::Io& io, Nanos now);
  Nanos write(const block::Io& io, Nanos now);
  bool goes_on(std::uint64_t offset, std::uint64_t size);
  WorkPipe& next_channel();

  const std::string name_;
  const SsdShape shape_;
  const bool endless_;
  SparseBytes contents_;
  std::vector<WorkPipe> channels_;
  std::uint64_t turns_ = 0;
  WorkPipe bus_;
  const std::uint64_t read_ps_, write_ps_, byte_ps_;
  // Where the last sequential writes have ended.
  std::array<std::uint64_t, kStreams> streams_{};
  std::size_t next_stream_ = 0;
  block::Counters counters_;
};

}  // namespace scalio::hardware
