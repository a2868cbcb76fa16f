#include "block/salvage_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace scalio::block {

namespace {
// A page, which is what an SSD loses at least.
constexpr std::uint64_t kPiece = 4096;
}  // namespace

bool SalvageDevice::is_lost(std::uint64_t offset, std::uint64_t size) const {
  const auto behind = lost_.lower_bound(offset + size);
  return behind != lost_.begin() && std::prev(behind)->second > offset;
}

void SalvageDevice::start(Io& io) {
  SCALIO_ASSERT(io.kind == Io::Kind::read);
  ++in_flight_;
  executor_.spawn(run(io));
}

Task<void> SalvageDevice::run(Io& io) {
  const ByteSpan into(io.data, io.size);
  Status s(Code::io_error, "");
  if (!is_lost(io.offset, io.size)) s = co_await inner_.read(io.offset, into);
  if (s.code() == Code::io_error) s = co_await read_pieces(io.offset, into);
  --in_flight_;
  io.complete(executor_, std::move(s));
}

Task<Status> SalvageDevice::read_pieces(std::uint64_t offset, ByteSpan into) {
  while (!into.empty()) {
    const std::uint64_t size = std::min<std::uint64_t>(kPiece - offset % kPiece, into.size());
    const ByteSpan piece = into.first(size);
    if (!is_lost(offset, size)) {
      Status s = co_await inner_.read(offset, piece);
      if (!s.ok() && s.code() != Code::io_error) co_return s;
      if (!s.ok()) lose(offset, size);
      if (lost_.size() > kMostLost) {
        co_return Status(Code::io_error,
                         fmt::format("more than {} places of {} cannot be read, the last: {}",
                                     kMostLost, name(), s.message()));
      }
    }
    if (is_lost(offset, size)) std::ranges::fill(piece, std::byte{0});
    offset += size;
    into = into.subspan(size);
  }
  co_return Status();
}

void SalvageDevice::lose(std::uint64_t offset, std::uint64_t size) {
  auto place = lost_.emplace(offset, offset + size).first;
  const auto next = std::next(place);
  if (next != lost_.end() && next->first == place->second) {
    place->second = next->second;
    lost_.erase(next);
  }
  if (place == lost_.begin()) return;
  const auto before = std::prev(place);
  if (before->second != place->first) return;
  before->second = place->second;
  lost_.erase(place);
}

}  // namespace scalio::block
