// Hash blocks, as a client reads them from a region that other clients write.
#include <algorithm>
#include <string>

#include "base/hash.h"
#include "client/block_view.h"
#include "fabric/block_part.h"
#include "target.h"

namespace scalio::fuzz {

using namespace layout;

namespace {
constexpr std::string_view kKey = "key";
const RegionGeometry kGeometry{1, 4, 2, 56};
const std::uint64_t kHash = hash_key(kKey, 1);
}  // namespace

void run(ByteView input) {
  Bytes bytes(kGeometry.block_size());
  std::copy_n(input.begin(), std::min<std::size_t>(input.size(), bytes.size()), bytes.begin());
  client::BlockView view(kGeometry, 0, bytes);
  const client::BlockView::Found found = view.look_up(kKey, tag_of(kHash));
  if (found == client::BlockView::Found::record) {
    require(view.record().key == kKey && view.slot() < kGeometry.slots());
    require(view.record().value.size() <= kGeometry.slot_size);
    require(view.record().kind != Kind::pointer || view.record().value.size() == kPointerSize);
  }
  for (std::uint32_t i = 0; i < kGeometry.read_slots; ++i) (void)view.age(i, 12345);

  // The part that a read_block brings says the same.
  Bytes part(bytes.size(), std::byte{0x5a});
  fabric::copy_block_part(kGeometry, tag_of(kHash), part.data(), [&](auto offset, auto size) {
    require(offset + size <= bytes.size());
    std::copy_n(bytes.begin() + offset, size, part.begin() + offset);
  });
  client::BlockView part_view(kGeometry, 0, part);
  require(part_view.look_up(kKey, tag_of(kHash)) == found);
  if (found == client::BlockView::Found::record) require(part_view.slot() == view.slot());
  for (std::uint32_t i = 0; part_view.has_fill_times() && i < kGeometry.read_slots; ++i) {
    require(part_view.age(i, 12345) == view.age(i, 12345));
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  const std::string pointer(kPointerSize, 'p');
  for (const RecordView& record :
       {RecordView{kKey, "value", 9}, RecordView{kKey, "value", 9, Kind::value, 77},
        RecordView{kKey, pointer, 9, Kind::pointer}}) {
    for (const bool written : {false, true}) {
      Bytes bytes(kGeometry.block_size());
      const std::uint32_t slot = written ? kGeometry.read_slots : 1;
      const std::uint32_t upper =
          encode_slot(ByteSpan(bytes).subspan(kGeometry.body(slot), kGeometry.slot_size), record,
                      slot_place(0, slot, 3));
      if (written) {
        store(bytes.data() + kGeometry.upper_checksum(0), upper);
        store(bytes.data() + kGeometry.write_word(0),
              WriteWord{WriteState::dirty, 3, tag_of(kHash)}.pack());
      } else {
        store(bytes.data() + kGeometry.read_word(1), ReadWord{true, true, 3, tag_of(kHash)}.pack());
      }
      out.push_back(bytes);
    }
  }
  return out;
}

}  // namespace scalio::fuzz
