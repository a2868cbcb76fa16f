#include "store/ring_reader.h"

#include <algorithm>
#include <cstring>

namespace scalio::storage {

namespace {
constexpr std::uint64_t kUnit = block::BlockDevice::kBufferAlignment;
constexpr std::uint64_t kMost = 1 << 20, kLeast = 16 << 10;
}  // namespace

RingReads RingReads::within(std::uint64_t memory, std::uint64_t piece, std::uint64_t ring) {
  RingReads reads;
  const std::uint64_t room = std::min(ring, memory - std::min(memory, round_up(piece, kUnit)));
  reads.size = std::clamp(room / reads.ahead / kUnit * kUnit, kLeast, kMost);
  return reads;
}

RingReader::RingReader(block::BlockDevice& device, const RingPlace& place, const RingReads& reads,
                       std::uint64_t piece)
    : device_(device),
      place_(place),
      reads_(reads),
      front_(round_up(piece, kUnit)),
      buffer_(front_ + reads.ahead * reads.size),
      begin_(front_),
      end_(front_) {
  SCALIO_ASSERT(reads.size % kUnit == 0 && reads.ahead > 0);
  SCALIO_ASSERT(place.begin < place.size && place.length <= place.size);
}

RingReader::~RingReader() { SCALIO_ASSERT(in_flight_.empty()); }

// A read that has been joined keeps its place until all of it was advanced over, or copied.
bool RingReader::slot_is_free(std::uint64_t read) const {
  if (read < reads_.ahead) return true;
  const std::uint64_t before = read - reads_.ahead;
  return before < first_ || begin_ >= slot_of(before) + reads_.size || begin_ == end_;
}

void RingReader::read_ahead() {
  while (requested_ < place_.length && in_flight_.size() < reads_.ahead && slot_is_free(issued_)) {
    const std::uint64_t at = (place_.begin + requested_) % place_.size;
    const std::uint64_t size =
        std::min({reads_.size, place_.size - at, place_.length - requested_});
    Read& read = in_flight_.emplace_back();
    read.size = size;
    const ByteSpan into(buffer_.data() + slot_of(issued_), size);
    read.io.emplace(device_, block::Io::Kind::read, place_.offset + at, into.data(), size,
                    block::Durability::cached);
    ++issued_;
    requested_ += size;
  }
}

// Adds the next read to what is there.
Task<Status> RingReader::join() {
  const std::uint64_t slot = slot_of(joined_);
  if (slot == front_ && end_ > begin_ && end_ != front_) {
    const std::uint64_t rest = end_ - begin_;
    SCALIO_ASSERT(rest <= front_);
    std::memmove(buffer_.data() + front_ - rest, buffer_.data() + begin_, rest);
    begin_ = front_ - rest;
    end_ = front_;
  }
  if (begin_ == end_) begin_ = end_ = slot;
  if (slot == front_) first_ = joined_;
  SCALIO_ASSERT(end_ == slot);
  read_ahead();
  SCALIO_ASSERT(!in_flight_.empty());
  block::Io& io = *in_flight_.front().io;
  Status s = co_await io;
  end_ += in_flight_.front().size;
  present_ += in_flight_.front().size;
  in_flight_.pop_front();
  ++joined_;
  co_return s;
}

Task<Status> RingReader::need(std::uint64_t bytes) {
  SCALIO_ASSERT(bytes <= front_);
  read_ahead();
  while (end_ - begin_ < bytes && present_ < place_.length) {
    // What is behind the ring's end does not follow what is before it.
    if (begin_ != end_ && (place_.begin + present_) % place_.size == 0) break;
    Status s = co_await join();
    if (!s.ok()) co_return s;
  }
  co_return Status();
}

void RingReader::advance(std::uint64_t bytes) {
  SCALIO_ASSERT(bytes <= end_ - begin_);
  begin_ += bytes;
  done_ += bytes;
}

Task<void> RingReader::drain() {
  for (; !in_flight_.empty(); in_flight_.pop_front()) {
    block::Io& io = *in_flight_.front().io;
    (void)co_await io;
  }
}

}  // namespace scalio::storage
