#include "server/bucket_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <utility>

#include "base/hash.h"
#include "layout/rules.h"

namespace scalio::server {

using layout::Bucket;
using layout::BucketState;
using layout::RecordView;
using layout::SsdGeometry;

namespace {
// Bytes of buffers that are kept for the next operations: unless buckets are large, as many as
// merges run at once.
constexpr std::size_t kIdleBytes = 1 << 20;
constexpr std::size_t kMeasures = 4;

std::uint32_t bytes_of(const RecordView& r) { return BucketRoom::bytes_of(r); }
}  // namespace

struct BucketStore::Page {
  Page(std::uint64_t bucket, block::Buffer&& b)
      : number(bucket), buffer(std::move(b)), bucket_view(buffer.span()) {}
  std::uint64_t number;
  block::Buffer buffer;
  Bucket bucket_view;
  layout::BucketTotals logged;  // what it held at the last commit
  bool damaged = false;
  bool changed = false;
  bool lost = false;       // a record was moved out of it since the last commit
  std::uint32_t used = 0;  // on the SSD
};

// The buckets an operation has read: its home, which the caller locked, and neighbours, locked
// here.
struct BucketStore::Window {
  std::uint64_t home;
  Droppable* droppable = nullptr;
  std::list<Page, PoolAllocator<Page>> list = {};  // they stay where they are
  std::vector<Page*, PoolAllocator<Page*>> pages = {};

  Bucket& home_bucket() { return pages[0]->bucket_view; }
  bool beyond_home() const {
    return std::any_of(pages.begin() + 1, pages.end(), [](const Page* p) { return p->changed; });
  }
  bool moves_a_record() const {
    return std::any_of(pages.begin(), pages.end(), [](const Page* p) { return p->lost; });
  }
};

BucketStore::BucketStore(Executor& executor, block::BlockDevice& device,
                         const SsdGeometry& geometry, ImageLog& images, BucketRoom& room,
                         MoveCounts& moves)
    : executor_(executor),
      device_(device),
      geometry_(geometry),
      store_id_(geometry.store_id()),
      images_(images),
      room_(room),
      moves_(moves),
      measures_(executor, kMeasures) {}

Task<void> BucketStore::lock(std::uint64_t bucket) {
  while (!try_lock(bucket)) co_await locks_.find(bucket)->second.wait();
}

void BucketStore::unlock(std::uint64_t bucket) {
  auto it = locks_.find(bucket);
  SCALIO_ASSERT(it != locks_.end());
  it->second.wake_all();
  locks_.erase(it);
}

Task<Status> BucketStore::read_page(std::uint64_t number, Page& page) {
  Status s = co_await device_.read(geometry_.bucket_at(number), page.buffer.span());
  if (!s.ok()) co_return s;
  switch (page.bucket_view.verify(store_id_, number)) {
    case BucketState::ok: break;
    case BucketState::unwritten: page.bucket_view.clear(store_id_); break;
    // Nobody writes it meanwhile: that is what the lock is for.
    case BucketState::corrupt: page.damaged = true; break;
  }
  page.used = page.bucket_view.used();
  page.logged = page.bucket_view.totals();
  co_return Status();
}

// Reads the buckets up to home + reach, in ascending order.
Task<Status> BucketStore::load(Window& w, std::uint32_t reach) {
  SCALIO_ASSERT(reach <= SsdGeometry::kMaxReach);
  while (w.pages.size() <= reach) {
    const std::uint64_t number = w.home + w.pages.size();
    if (number != w.home && !try_lock(number)) co_await lock(number);
    w.pages.push_back(&w.list.emplace_back(number, take_buffer()));
    Status s = co_await read_page(number, *w.pages.back());
    if (!s.ok()) co_return s;
  }
  for (std::uint32_t i = 0;
       i <= (w.pages[0]->damaged ? 0 : std::min(reach, w.home_bucket().reach())); ++i) {
    if (!w.pages[i]->damaged) continue;
    co_return damaged(w.pages[i]->number);
  }
  co_return Status();
}

Status BucketStore::damaged(std::uint64_t bucket) const {
  return Status(Code::corrupt, fmt::format("bucket {} at offset {} of {} fails its checksum; its "
                                           "records cannot be read, all others are served",
                                           bucket, geometry_.bucket_at(bucket), device_.name()));
}

block::Buffer BucketStore::take_buffer() {
  if (idle_buffers_.empty()) return block::Buffer(geometry_.bucket_size);
  block::Buffer buffer = std::move(idle_buffers_.back());
  idle_buffers_.pop_back();
  return buffer;
}

void BucketStore::release(Window& w) {
  for (std::size_t i = 1; i < w.pages.size(); ++i) unlock(w.pages[i]->number);
  for (Page& page : w.list) {
    if (idle_buffers_.size() * geometry_.bucket_size < kIdleBytes)
      idle_buffers_.push_back(std::move(page.buffer));
  }
}

// Finds the page that holds the key's record; null if none does.
Task<Status> BucketStore::locate(Window& w, std::string_view key, Page** page) {
  *page = nullptr;
  Status s;
  if (w.pages.empty()) s = co_await load(w, 0);
  for (std::uint32_t i = 0; s.ok() && i <= w.home_bucket().reach(); ++i) {
    if (i > 0) s = co_await load(w, i);
    const auto found = s.ok() ? w.pages[i]->bucket_view.find(key) : std::nullopt;
    if (!found) continue;
    *page = w.pages[i];
    co_return s;
  }
  co_return s;
}

Task<Result<BucketStore::Found>> BucketStore::find(std::string_view key, std::uint64_t point) {
  const std::uint64_t home = geometry_.home_bucket(point);
  co_await lock(home);
  Window w{home};
  Page* page = nullptr;
  Status s = co_await locate(w, key, &page);
  Found found;
  if (s.ok()) {
    found.applied = w.home_bucket().applied();
    if (page) {
      const RecordView record = *page->bucket_view.find(key);
      found.version = record.version;
      found.value = record.value;
      found.end = record.end;
      found.bytes = bytes_of(record);
      found.kind = record.kind;
    }
  }
  release(w);
  unlock(home);
  if (!s.ok()) co_return s;
  co_return found;
}

Task<Result<bool>> BucketStore::has_room(std::string_view key, std::uint64_t point,
                                         std::uint32_t bytes) {
  const std::uint64_t home = geometry_.home_bucket(point);
  co_await lock(home);
  Window w{home};
  Page* old = nullptr;
  Status s = co_await locate(w, key, &old);
  bool room = s.ok() && old &&
              old->used - bytes_of(*old->bucket_view.find(key)) + bytes <= geometry_.bucket_size;
  for (std::uint32_t i = 0; s.ok() && !room && i <= SsdGeometry::kMaxReach; ++i) {
    s = co_await load(w, i);
    room = s.ok() && !w.pages[i]->damaged && w.pages[i]->used + bytes <= geometry_.bucket_size;
  }
  release(w);
  unlock(home);
  if (!s.ok()) co_return s;
  co_return room;
}

Task<Result<std::vector<BucketStore::Ended>>> BucketStore::find_ended(std::uint64_t home,
                                                                      std::uint64_t time) {
  co_await lock(home);
  Window w{home};
  std::vector<Ended> found;
  Status s;
  for (std::uint32_t i = 0; s.ok() && i <= SsdGeometry::kMaxReach; ++i) {
    s = co_await load(w, i);
    if (!s.ok() || w.pages[i]->damaged) continue;
    w.pages[i]->bucket_view.for_each([&](const RecordView& r) {
      if (r.ended_at(time)) found.push_back({std::string(r.key), r.version});
    });
  }
  release(w);
  unlock(home);
  if (!s.ok()) co_return s;
  co_return found;
}

Task<Status> BucketStore::measure(std::uint64_t stretch) {
  const std::uint64_t first = stretch * BucketRoom::kStretch,
                      end = std::min(first + BucketRoom::kStretch, geometry_.all_buckets());
  co_await measures_.acquire();
  for (std::uint64_t i = first; i < end; ++i) {
    if (!try_lock(i)) co_await lock(i);
  }
  Status s;
  // Somebody else may have done it meanwhile.
  if (!room_.measured(stretch)) {
    block::Buffer buffer((end - first) * geometry_.bucket_size);
    s = co_await device_.read(geometry_.bucket_at(first), buffer.span());
    std::uint64_t usable = 0;
    for (std::uint64_t i = first; s.ok() && i < end; ++i) {
      const Bucket bucket(
          buffer.span().subspan((i - first) * geometry_.bucket_size, geometry_.bucket_size));
      const BucketState state = bucket.verify(store_id_, i);
      if (state == BucketState::ok) usable += room_.usable(bucket.used());
      if (state == BucketState::unwritten) usable += room_.usable(layout::kBucketHeader);
    }
    if (s.ok()) room_.set_usable(stretch, usable);
  }
  for (std::uint64_t i = first; i < end; ++i) unlock(i);
  measures_.release();
  co_return s;
}

// A record that is about to be overwritten or removed.
void BucketStore::drop(const RecordView& record) {
  if (record.kind == layout::Kind::pointer) images_.pointer_dropped(record);
}

Task<Status> BucketStore::remove(Window& w, Change& change) {
  Page* page = nullptr;
  Status s = co_await locate(w, change.record.key, &page);
  if (!s.ok() || !page) co_return s;
  if (page->bucket_view.find(change.record.key)->version >= change.record.version) co_return s;
  s = co_await load(w, w.home_bucket().reach());
  if (!s.ok()) co_return s;
  drop(*page->bucket_view.find(change.record.key));
  page->bucket_view.erase(change.record.key);
  page->changed = change.freed = true;
  shrink(w);
  co_return s;
}

// After a removal: fetches one spilled record back into the home if it fits now, and nobody counts
// on that room (not more, so that the images of one change stay few), and lets the reach end at the
// last bucket that still has one.
void BucketStore::shrink(Window& w) {
  Bucket& home = w.home_bucket();
  if (home.reach() == 0) return;
  std::uint32_t farthest = 0;
  bool moved = w.beyond_home();
  for (std::uint32_t i = 1; i <= home.reach(); ++i) {
    Bucket& from = w.pages[i]->bucket_view;
    std::optional<RecordView> fitting;
    std::uint32_t ours = 0;
    from.for_each([&](const RecordView& r) {
      if (geometry_.home_bucket(geometry_.point_of(r.key)) != w.home) return;
      ++ours;
      if (!moved && !fitting && home.fits(payload_size(r)) && room_.may_move(w.home, bytes_of(r)))
        fitting = r;
    });
    if (fitting) {
      home.append(*fitting);
      home.count_move();
      const std::string key(fitting->key);  // the view dies with the erasure
      from.erase(key);
      w.pages[i]->changed = w.pages[i]->lost = true;
      moved = true;
      --ours;
    }
    if (ours > 0) farthest = i;
  }
  home.set_reach(farthest);
  w.pages[0]->changed = true;
}

Task<Status> BucketStore::place(Window& w, Change& change) {
  const RecordView& record = change.record;
  Page* old = nullptr;
  Status s = co_await locate(w, record.key, &old);
  if (!s.ok()) co_return s;
  if (old) {
    const RecordView stored = *old->bucket_view.find(record.key);
    // A value that was moved has its version still. What comes from a slot was logged later than
    // what is here.
    const bool moved = record.kind == layout::Kind::pointer && stored.value != record.value &&
                       kept(Rule::move_is_newer);
    if (stored.version > record.version || (stored.version == record.version && !moved))
      co_return s;
    if (old->bucket_view.used() - bytes_of(stored) + bytes_of(record) <= geometry_.bucket_size) {
      change.freed = bytes_of(record) < bytes_of(stored);
      drop(stored);
      old->bucket_view.erase(record.key);
      old->bucket_view.append(record);
      old->changed = true;
      co_return s;
    }
  }
  // A new record, or one that has grown out of its bucket: the nearest bucket with room.
  for (std::uint32_t i = 0; i <= SsdGeometry::kMaxReach; ++i) {
    if (i > 0) s = co_await load(w, i);
    if (!s.ok()) co_return s;
    Page& page = *w.pages[i];
    if (&page == old || page.damaged || !page.bucket_view.fits(payload_size(record))) continue;
    page.bucket_view.append(record);
    page.changed = true;
    if (old) {
      drop(*old->bucket_view.find(record.key));
      old->bucket_view.erase(record.key);
      old->changed = old->lost = change.freed = true;
      w.home_bucket().count_move();
      w.pages[0]->changed = true;
    }
    if (i > w.home_bucket().reach()) {
      w.home_bucket().set_reach(i);
      w.pages[0]->changed = true;
    }
    co_return s;
  }
  // It may have been here before, and its room another's since it was dropped: where a bucket could
  // not be read, recovery brings back what was merged.
  if (old == nullptr && w.droppable != nullptr && w.droppable->has_ended(record)) co_return s;
  // Room that was counted on may have been in a bucket that is damaged now.
  for (const Page* page : w.pages) {
    if (page->damaged) co_return damaged(page->number);
  }
  change.full = true;
  co_return s;
}

Task<Status> BucketStore::apply(std::uint64_t home, Changes& changes, std::uint64_t applied,
                                Droppable* droppable) {
  Window w{home};
  w.droppable = droppable;
  Status s = co_await load(w, 0);
  bool all = true;
  for (std::size_t i = 0; s.ok() && i < changes.size(); ++i) {
    if (changes[i].record.kind == layout::Kind::tombstone) {
      s = co_await remove(w, changes[i]);
    } else {
      s = co_await place(w, changes[i]);
    }
    all &= !changes[i].full;
    if (s.ok() && all && i + 1 == changes.size() && applied > w.home_bucket().applied()) {
      w.home_bucket().set_applied(applied);
      w.pages[0]->changed = true;
    }
    // At most one record moves between buckets in one commit: the order of writes below is right
    // for one.
    if (s.ok() && w.beyond_home()) s = co_await commit(w);
  }
  if (s.ok()) s = co_await commit(w);
  release(w);
  co_return s;
}

// Records of a neighbour's home stay: that is not locked, and a write of one may count on its room.
// Those that lie in buckets that are not written anyway stay, too: their images have no space set
// aside in the log.
void BucketStore::drop_ended(Window& w, Page& page) {
  if (w.droppable == nullptr) return;
  std::vector<std::string> ended;
  page.bucket_view.for_each([&](const RecordView& r) {
    if (r.end == 0 || geometry_.home_bucket(geometry_.point_of(r.key)) != w.home) return;
    if (!w.droppable->may_drop(r)) return;
    drop(r);
    ended.emplace_back(r.key);
  });
  for (const std::string& key : ended) page.bucket_view.erase(key);
}

// Writes what has changed: the images to the log, then in place.
Task<Status> BucketStore::commit(Window& w) {
  layout::ImageBuckets image;
  layout::BucketTotals change;
  for (Page* page : w.pages) {
    if (!page->changed) continue;
    drop_ended(w, *page);
    page->bucket_view.seal(page->number);
    image.push_back({page->number, page->buffer.span()});
    change += page->bucket_view.totals();
    change -= std::exchange(page->logged, page->bucket_view.totals());
  }
  if (image.empty()) co_return Status();
  // After a failed write what was read may be older than its image. Logged now, it would be newer.
  if (!failure_.ok()) co_return failure_;
  SCALIO_ASSERT(image.size() <= layout::kMaxImageBuckets);
  std::uint64_t token = 0;
  Status s;
  if (kept(Rule::bucket_images)) s = co_await images_.log_image(image, change, &token);
  if (!s.ok()) co_return s;
  const bool moves = w.moves_a_record();
  if (moves && kept(Rule::move_counted)) moves_.begin(w.home);
  s = co_await write_in_place(w);
  // A failed write may have torn the bucket: its image must stay in the log, so it is never
  // reported in place. The shard stops writing.
  if (!s.ok()) {
    failure_ = s;
    co_return s;
  }
  if (moves && !kept(Rule::move_counted)) moves_.begin(w.home);
  if (moves) moves_.end(w.home);
  if (kept(Rule::bucket_images)) images_.image_in_place(token);
  for (Page* page : w.pages) {
    if (page->changed) room_.changed(page->number, page->used, page->bucket_view.used());
    page->used = page->bucket_view.used();
    page->changed = page->lost = false;
  }
  co_return Status();
}

// A client may be reading these buckets, home first. So a record that moved is written where it
// goes before the home tells of the move, and removed where it was only after that: whoever misses
// it finds the home changed, and starts over.
Task<Status> BucketStore::write_in_place(Window& w) {
  auto rank = [&](const Page& p) { return &p == w.pages[0] ? 1 : p.lost ? 2 : 0; };
  for (int phase = 0; phase <= 2; ++phase) {
    for (Page* page : w.pages) {
      if (!page->changed || rank(*page) != phase) continue;
      Status s = co_await device_.write(geometry_.bucket_at(page->number), page->buffer.span(),
                                        block::Durability::cached);
      if (!s.ok()) co_return s;
    }
  }
  co_return Status();
}

Task<Status> BucketStore::restore(layout::ImageBucket image) {
  block::Buffer buffer(geometry_.bucket_size);
  std::copy(image.bytes.begin(), image.bytes.end(), buffer.data());
  co_return co_await device_.write(geometry_.bucket_at(image.number), buffer.span(),
                                   block::Durability::cached);
}

}  // namespace scalio::server
