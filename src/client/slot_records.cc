#include "client/slot_records.h"

#include <bit>

#include "layout/hash_block.h"
#include "layout/rules.h"
#include "task/wait_group.h"

namespace scalio::client {

using layout::RecordView;
using layout::RegionGeometry;
using layout::SlotSet;
using layout::WriteState;
using layout::WriteWord;

namespace {
constexpr std::uint64_t kBlocksAtOnce = 16;
// As often as a write slot is replaced before it is worth waiting between reads.
constexpr int kEagerRereads = 16;
constexpr Nanos kReread = 10 * kMicrosecond;

class SlotRecordReader {
 public:
  SlotRecordReader(Executor& executor, const ShardConnection& link, std::uint64_t first,
                   std::uint64_t last, Nanos deadline, ClientCounters& counters)
      : executor_(executor),
        link_(link),
        g_(link.hello.region),
        first_(first),
        last_(last),
        deadline_(deadline),
        counters_(counters) {}

  Task<Result<SlotRecords>> read() {
    next_ = g_.block_of(first_);
    const std::uint64_t end = g_.block_of(last_) + 1;
    WaitGroup workers(executor_);
    for (std::uint64_t i = next_; i < end && i < next_ + kBlocksAtOnce; ++i) {
      workers.spawn(work(end));
    }
    co_await workers.wait();
    if (!failed_.ok()) co_return failed_;
    co_return std::move(out_);
  }

 private:
  Task<void> work(std::uint64_t end) {
    while (next_ < end && failed_.ok()) {
      const std::uint64_t block = next_++;
      if (!executor_.may_go_on()) co_await executor_.yield();
      Status s = co_await read_block(block);
      if (!s.ok()) failed_ = std::move(s);
    }
  }

  // The words first, and then the bodies of those that are readable by them.
  Task<Status> read_block(std::uint64_t block) {
    Bytes header(g_.header_end());
    for (int tries = 0;; ++tries) {
      if (!co_await read(g_.block_at(block), header)) co_return lost();
      const SlotSet readable = readable_slots_of(header);
      if (readable == 0) co_return Status();
      Bytes bodies(g_.write_slots * std::size_t{g_.slot_size});
      if (!co_await read(g_.block_at(block) + g_.body(g_.read_slots), bodies)) co_return lost();
      if (take(block, readable, header, bodies)) {
        out_.memory.push_back(std::move(bodies));
        co_return Status();
      }
      if (executor_.now() > deadline_) {
        co_return Status(Code::timed_out, "a hash block changed under every read of it");
      }
      if (tries > kEagerRereads) co_await executor_.sleep(kReread);
    }
  }

  Task<bool> read(std::uint64_t at, ByteSpan into) {
    ++counters_.region_reads;
    counters_.region_bytes_read += into.size();
    co_return co_await link_.connection->read(at, into) == Code::ok;
  }

  WriteWord word(ByteView header, std::uint32_t slot) const {
    return WriteWord::unpack(load<std::uint64_t>(header.data() + g_.write_word(slot)));
  }

  SlotSet readable_slots_of(ByteView header) const {
    SlotSet slots = 0;
    for (std::uint32_t i = 0; i < g_.write_slots; ++i) {
      const WriteWord w = word(header, i);
      // Rule 13.
      const bool wanted = w.readable() && (kept(Rule::clean_too) || w.state != WriteState::clean);
      slots |= static_cast<SlotSet>(wanted) << i;
    }
    return slots;
  }

  // False, and nothing is taken, if a body does not fit its word: it is being replaced (rule 4).
  bool take(std::uint64_t block, SlotSet readable, ByteView header, ByteView bodies) {
    std::vector<RecordView> found;
    for (SlotSet left = readable; left != 0; left &= left - 1) {
      const auto i = static_cast<std::uint32_t>(std::countr_zero(left));
      const auto record = layout::decode_slot(
          bodies.subspan(i * std::size_t{g_.slot_size}, g_.slot_size),
          layout::slot_place(block, g_.read_slots + i, word(header, i).generation),
          load<std::uint32_t>(header.data() + g_.upper_checksum(i)));
      if (!record) return false;
      const std::uint64_t point = link_.hello.ssd.point_of(record->key);
      if (first_ <= point && point <= last_) found.push_back(*record);
    }
    out_.records.insert(out_.records.end(), found.begin(), found.end());
    return true;
  }

  static Status lost() { return Status(Code::unavailable, "the connection was lost"); }

  Executor& executor_;
  const ShardConnection& link_;
  const RegionGeometry& g_;
  const std::uint64_t first_, last_;
  const Nanos deadline_;
  ClientCounters& counters_;
  std::uint64_t next_ = 0;
  Status failed_;
  SlotRecords out_;
};

}  // namespace

Task<Result<SlotRecords>> read_slot_records(Executor& executor, const ShardConnection& link,
                                            std::uint64_t first, std::uint64_t last, Nanos deadline,
                                            ClientCounters& counters) {
  SlotRecordReader reader(executor, link, first, last, deadline, counters);
  co_return co_await reader.read();
}

}  // namespace scalio::client
