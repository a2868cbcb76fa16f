#include "store/format_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/allocate_file.h"
#include "block/buffer.h"
#include "block/superblock.h"
#include "fabric/epoch.h"
#include "layout/bucket.h"
#include "layout/log.h"
#include "layout/superblock.h"
#include "layout/value_area.h"
#include "store/store_files.h"
#include "store/store_key.h"
#include "task/run_to_end.h"

namespace scalio::storage {

namespace fs = std::filesystem;
using layout::kSuperblockSize;
using layout::SsdGeometry;

namespace {
constexpr std::uint64_t kLargestDefaultLog = 1 << 30;
// Of the area for values of a slice: its segments are at most so large, and at least so many; where
// they would be as small as can be, a few do.
constexpr std::uint64_t kLargestSegment = 128 << 20;
constexpr std::uint64_t kLeastSegments = 16;
constexpr std::uint64_t kFewestSegments = 5;
// A smaller slice has none by default.
constexpr std::uint64_t kSmallestWithValues = 256 << 20;
constexpr std::uint64_t kZeroChunk = 4 << 20;
// Where something on a device that must not be overwritten shows: in the first and last bytes, or
// in one of so many samples between.
constexpr std::uint64_t kEdge = 1 << 20;
constexpr std::uint64_t kSamples = 64;

Status system_error(const std::string& what) {
  return Status(Code::io_error, fmt::format("{}: {}", what, std::strerror(errno)));
}

// Of a path that was given: at fault is the path, or else the machine, which has no room or is
// broken.
Status path_error(const std::string& path, const std::error_code& error) {
  const bool machine = error == std::errc::no_space_on_device || error == std::errc::io_error ||
                       error.value() == EDQUOT;
  return Status(machine ? Code::io_error : Code::invalid,
                fmt::format("{}: {}", path, error.message()));
}

// So that what was made, or given a name, in a directory is there after a power cut.
Status sync_directory(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error(path.string());
  Status s;
  // EINVAL: a filesystem that has nothing to sync for it.
  if (fsync(fd) != 0 && errno != EINVAL) s = system_error(fmt::format("sync of {}", path.string()));
  ::close(fd);
  return s;
}

template <class T>
Status randomize(T& value) {
  if (getrandom(&value, sizeof value, 0) != sizeof value) return system_error("getrandom");
  return Status();
}

Status create_file(const std::string& path, std::uint64_t size) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return system_error(path);
  Status s;
  // So that the room is there when it is needed.
  if (const int error = allocate_file(fd, size); error != 0) {
    s = Status(Code::io_error,
               fmt::format("making {} of {} bytes: {}", path, size, std::strerror(error)));
    ::unlink(path.c_str());
  }
  ::close(fd);
  return s;
}

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// Of a file everything is looked at but holes, of a device its ends and samples between.
Result<bool> is_blank_file(const std::string& path, const std::atomic<bool>* interrupted) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error(path);
  Bytes buffer(kEdge);
  bool blank = true;
  int error = 0;
  for (off_t at = 0; blank && error == 0;) {
    at = lseek(fd, at, SEEK_DATA);
    const ssize_t n = at < 0 ? -1 : pread(fd, buffer.data(), buffer.size(), at);
    if (n < 0) error = errno;
    if (n == 0) break;
    if (n > 0) blank = all_zero(ByteView(buffer).first(static_cast<std::size_t>(n)));
    at += n;
    if (interrupted != nullptr && *interrupted) break;
  }
  ::close(fd);
  // ENXIO: no more data behind.
  if (error != 0 && error != ENXIO) {
    return Status(Code::io_error, fmt::format("{}: {}", path, std::strerror(error)));
  }
  return blank;
}

Task<Result<bool>> is_blank_device(block::BlockDevice& device) {
  block::Buffer buffer(kEdge);
  const std::uint64_t size = device.size(),
                      step = std::max<std::uint64_t>(size / kSamples / 4096 * 4096, 4096);
  for (std::uint64_t at = 0; at < size; at += step) {
    const std::uint64_t length = at == 0 ? kEdge : 4096;
    ByteSpan bytes =
        buffer.first(std::min(length, (size - at) / device.block_size() * device.block_size()));
    Status s = co_await device.read(at, bytes);
    if (!s.ok()) co_return s;
    if (!all_zero(bytes)) co_return false;
  }
  const std::uint64_t tail = std::min(kEdge, size) / device.block_size() * device.block_size();
  Status s = co_await device.read(size - tail, buffer.first(tail));
  if (!s.ok()) co_return s;
  co_return all_zero(buffer.first(tail));
}

// Zeros over what makes an SSD one of a store: both superblocks and the first batch of each log.
Task<Status> blank_ssd(block::BlockDevice& device, const SsdGeometry& g) {
  block::Buffer zeros(kSuperblockSize);
  const std::uint64_t second =
      (device.size() - kSuperblockSize) / kSuperblockSize * kSuperblockSize;
  std::vector<std::uint64_t> places = {0, second};
  for (std::uint32_t i = 0; i < g.slices; ++i) places.push_back(slice_of(g, i).log_offset);
  for (const std::uint64_t at : places) {
    Status s = co_await device.write(at, zeros.span(), block::Durability::cached);
    if (!s.ok()) co_return s;
  }
  co_return co_await device.flush();
}

// That of an area without values, and zeros in the place of its copy: no other store's is there.
Task<Status> write_segment_table(block::BlockDevice& device, const SsdGeometry& g) {
  Bytes table;
  layout::encode(table, layout::first_segment_table(g), g);
  block::Buffer bytes(round_up(table.size(), kSuperblockSize));
  Status s = co_await device.write(g.value_offset() + g.segment_size / 2, bytes.span(),
                                   block::Durability::cached);
  if (!s.ok()) co_return s;
  copy_bytes(table, bytes.data());
  co_return co_await device.write(g.value_offset(), bytes.span(), block::Durability::cached);
}

// A slice, formatted. A file is written over wholly: filesystems make the first write to each part
// of one much dearer than the later ones. On a device buckets need no formatting: one without the
// new store's identity is empty.
Task<Status> write_slice(block::BlockDevice& device, const SsdGeometry& g,
                         const layout::StoreKey& key, bool whole,
                         const std::atomic<bool>* interrupted,
                         const std::function<void(double)>& progress) {
  block::Buffer chunk(kZeroChunk);
  // The log is always written over, so that recovery reads no other store's.
  const std::uint64_t end = whole ? g.log_offset + g.slice_size() : g.bucket_offset;
  for (std::uint64_t at = g.log_offset; at < end; at += kZeroChunk) {
    ByteSpan bytes = chunk.first(std::min(kZeroChunk, end - at));
    Status s = co_await device.write(at, bytes, block::Durability::cached);
    if (!s.ok()) co_return s;
    progress(static_cast<double>(at - g.log_offset) / static_cast<double>(end - g.log_offset));
    if (interrupted != nullptr && *interrupted) {
      co_return Status(Code::unavailable, "interrupted: there is no store");
    }
  }
  const ByteView first = layout::first_batch(chunk.span(), layout::log_key_of(key, g.shard), g);
  Status s = co_await device.write(g.log_offset, first, block::Durability::cached);
  if (s.ok() && g.value_size > 0) s = co_await write_segment_table(device, g);
  co_return s;
}

// All but the superblocks.
Task<Status> write_ssd(block::BlockDevice& device, const SsdGeometry& g,
                       const layout::StoreKey& key, bool whole,
                       const std::atomic<bool>* interrupted,
                       const std::function<void(double)>& progress) {
  Status s = co_await blank_ssd(device, g);
  for (std::uint32_t i = 0; s.ok() && i < g.slices; ++i) {
    const std::function<void(double)> part = [&](double fraction) {
      progress((i + fraction) / g.slices);
    };
    s = co_await write_slice(device, slice_of(g, i), key, whole, interrupted, part);
  }
  if (s.ok()) s = co_await device.flush();
  co_return s;
}

// What format made, removed again unless it succeeds.
class Made {
 public:
  Made() = default;
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
  ~Made() {
    std::error_code ignored;
    for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) fs::remove(*path, ignored);
  }
  void add(fs::path path) { paths_.push_back(std::move(path)); }
  // Makes their names durable.
  Status sync() const {
    std::set<fs::path> directories;
    for (const fs::path& path : paths_) directories.insert(path.parent_path());
    for (const fs::path& directory : directories) {
      if (Status s = sync_directory(directory); !s.ok()) return s;
    }
    return Status();
  }
  void keep() { paths_.clear(); }

 private:
  std::vector<fs::path> paths_;
};

// The SSDs of a new store, open and locked.
struct NewSsds {
  std::vector<std::unique_ptr<block::UringDevice>> devices;
  std::vector<SsdGeometry> geometries;
};

// A device or file of --ssd.
struct GivenSsd {
  // As it was given, absolute: a link under /dev/disk names a device whatever its number.
  std::string name;
  std::string path;  // what it leads to, without links
};

// The name may be an entry of the store's own directory, which is about to be replaced: then what
// that says.
Result<GivenSsd> resolve(const std::string& given, const fs::path& dir) {
  std::error_code error;
  const fs::path path = fs::canonical(given, error);
  if (error) return path_error(given, error);
  fs::path name = fs::absolute(given, error);
  while (fs::weakly_canonical(name.parent_path(), error) == dir && fs::is_symlink(name, error)) {
    name = name.parent_path() / fs::read_symlink(name, error);
  }
  // A descriptor's name (/dev/fd/3) means nothing to another process.
  if (fs::weakly_canonical(name.parent_path(), error).native().starts_with("/proc/")) name = path;
  if (path.parent_path() == dir) {
    return Status(Code::invalid,
                  fmt::format("{} is in the store's own directory; keep it elsewhere, or make "
                              "files there with --ssds and --ssd-size",
                              path.string()));
  }
  return GivenSsd{name.string(), path.string()};
}

Result<std::vector<GivenSsd>> resolve(const FormatOptions& o) {
  std::vector<GivenSsd> ssds;
  std::error_code error;
  const fs::path dir = fs::weakly_canonical(o.dir, error);
  for (const std::string& given : o.ssd_paths) {
    Result<GivenSsd> ssd = resolve(given, dir);
    if (!ssd.ok()) return ssd.status();
    for (const GivenSsd& other : ssds) {
      if (ssd->path == other.path) return Status(Code::invalid, ssd->path + " is given twice");
    }
    ssds.push_back(*std::move(ssd));
  }
  return ssds;
}

// What the directory has of an older store, to be removed. Until then nobody can begin to serve it.
struct OldStore {
  std::vector<std::string> paths;
  std::vector<std::unique_ptr<block::UringDevice>> locked;
};

// `taken` are opened already. Changes nothing.
Result<OldStore> old_store(EventLoop& loop, const FormatOptions& o,
                           const std::vector<std::string>& taken) {
  std::error_code error;
  OldStore old;
  if (!fs::exists(o.dir, error) || fs::is_empty(o.dir, error)) return old;
  Result<std::vector<unsigned>> found = list_ssds(o.dir);
  if (!found.ok()) return found.status();
  if (!o.force) {
    return Status(
        Code::invalid,
        found->empty()
            ? fmt::format(
                  "{} is not empty, and has no store; --force makes one beside what is there",
                  o.dir)
            : fmt::format("{} is not empty; --force overwrites the store in it", o.dir));
  }
  for (unsigned i : *found) old.paths.push_back(ssd_path(o.dir, i));
  std::set<std::string> targets;
  for (const std::string& path : old.paths) {
    if (fs::is_directory(fs::symlink_status(path, error))) {
      return Status(Code::invalid, path + " is a directory");
    }
    targets.insert(fs::canonical(path, error).string());
  }
  if (auto places = find_ssds(o.dir); places.ok()) {
    for (const SsdPlace& place : *places) targets.insert(place.path);
  }
  for (const std::string& target : targets) {
    if (std::find(taken.begin(), taken.end(), target) != taken.end()) continue;
    // A running server holds the device's lock. One that cannot be opened for another reason is in
    // no use.
    auto device = block::UringDevice::open(loop, target, block::Access::exclusive);
    if (device.code() == Code::busy) return device.status();
    if (device.ok()) old.locked.push_back(*std::move(device));
  }
  for (const std::string& path : {uuid_path(o.dir), key_path(o.dir)}) {
    if (fs::exists(path, error)) old.paths.push_back(path);
  }
  return old;
}

// Whether the filesystem has room for the files, with that of the old ones.
Status check_room(const FormatOptions& o, const std::vector<std::string>& old) {
  std::error_code error;
  fs::path place = fs::absolute(o.dir, error);
  while (!fs::exists(place, error) && place.has_relative_path()) place = place.parent_path();
  struct statvfs fs_stat;
  if (statvfs(place.c_str(), &fs_stat) != 0) return system_error(place.string());
  std::uint64_t room = std::uint64_t{fs_stat.f_bavail} * fs_stat.f_frsize;
  struct stat st;
  for (const std::string& path : old) {
    if (lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode))
      room += std::uint64_t(st.st_blocks) * 512;
  }
  if (o.ssd_size <= room / o.ssds) return Status();
  return Status(Code::full, fmt::format("no space left for {} x {} MiB in {}: {} MiB are free",
                                        o.ssds, o.ssd_size >> 20, o.dir, room >> 20));
}

// The block size that files in the directory have. Failures also: no direct I/O there.
Result<std::uint32_t> block_size_in(EventLoop& loop, const std::string& dir) {
  const std::string path = dir + "/format-probe";
  if (Status s = create_file(path, kSuperblockSize); !s.ok()) return s;
  Made made;
  made.add(path);
  auto device = block::UringDevice::open(loop, path, block::Access::exclusive);
  if (!device.ok()) return device.status();
  return (*device)->block_size();
}

// Makes a directory and those above it that are not there. Nobody else may put files there,
// whatever the umask says: who may has the store.
Status make_directories(const std::string& dir, Made& made) {
  std::error_code error;
  std::vector<fs::path> missing;
  for (fs::path path = fs::absolute(dir, error); !fs::exists(path, error);
       path = path.parent_path()) {
    missing.push_back(path);
  }
  for (auto path = missing.rbegin(); path != missing.rend(); ++path) {
    if (::mkdir(path->c_str(), 0755) == 0) {
      made.add(*path);
    } else if (errno != EEXIST) {
      return path_error(path->string(), std::error_code(errno, std::generic_category()));
    }
  }
  return Status();
}

// Takes the old store away, and makes the directory if it is not there.
Status prepare_directory(const FormatOptions& o, const std::vector<std::string>& old, Made& made) {
  std::error_code error;
  if (Status s = make_directories(o.dir, made); !s.ok()) return s;
  if (fs::exists(epoch_path(o.dir), error)) {
    // Rule 9, for clients of the old store's last server. The file stays: they look at it.
    auto epoch = fabric::EpochFile::open(epoch_path(o.dir));
    if (!epoch.ok()) return epoch.status();
    if (const auto next = (*epoch)->advance(); !next.ok()) return next.status();
  }
  for (const std::string& path : old) {
    fs::remove(path, error);
    if (error) return Status(Code::io_error, fmt::format("{}: {}", path, error.message()));
  }
  return Status();
}

// The area for values of a slice that has so much room for it: segments are so few that large
// values fit, and so many that cleaning goes in small steps.
void plan_values(SsdGeometry& g, std::uint64_t room) {
  const std::uint64_t segment =
      std::clamp(std::bit_floor(std::max<std::uint64_t>(room / kLeastSegments, 1)),
                 layout::kMinSegment, kLargestSegment);
  if (room / segment < kFewestSegments) return;
  g.segment_size = segment;
  g.value_size = room / segment * segment;
}

// Makes one store, in the order of run()'s steps. The loop outlives it.
class Formatter {
 public:
  Formatter(const FormatOptions& options, std::uint32_t ssds, EventLoop& loop)
      : o_(options), on_devices_(!options.ssd_paths.empty()), count_(ssds), loop_(loop) {}

  Result<FormatSummary> run(const std::function<void(double)>& progress) {
    // Everything that can be wrong is found before anything is touched.
    Status s = choose_identity();
    if (s.ok()) s = check_files_fit(kSmallestBlock);
    if (s.ok()) s = open_given();
    if (s.ok()) s = look_at_directory();
    // From here on there is no old store, and what is made is removed again unless all succeeds.
    if (s.ok()) s = prepare_directory(o_, old_.paths, made_);
    old_.locked.clear();
    if (s.ok()) s = create_files();
    if (s.ok()) s = write(progress);
    if (!s.ok()) return s;
    made_.keep();
    progress(1);
    return std::move(summary_);
  }

 private:
  static constexpr std::uint32_t kSmallestBlock = 512;

  // What all SSDs of the store have in common.
  Status choose_identity() {
    base_.slices = o_.slices;
    base_.shards = count_ * o_.slices;
    base_.partitions = layout::usual_partitions(base_.shards);
    base_.bucket_size = o_.bucket_size;
    base_.inline_limit = o_.inline_limit;
    for (Status s : {randomize(base_.uuid), randomize(base_.hash_seed)}) {
      if (!s.ok()) return s;
    }
    Result<layout::StoreKey> key = make_store_key();
    if (!key.ok()) return key.status();
    key_ = *key;
    base_.key_proof = layout::proof_of(key_);
    // RFC 4122, version 4.
    base_.uuid[6] = static_cast<std::uint8_t>((base_.uuid[6] & 0x0f) | 0x40);
    base_.uuid[8] = static_cast<std::uint8_t>((base_.uuid[8] & 0x3f) | 0x80);
    summary_.uuid = layout::to_string(base_.uuid);
    return Status();
  }

  Result<SsdGeometry> plan(std::uint32_t ssd, std::uint64_t size, std::uint32_t block_size) const {
    SsdGeometry g = base_;
    g.shard = ssd * g.slices;
    g.block_size = std::max(base_.block_size, block_size);
    std::uint64_t log = o_.log_size;
    if (log == 0) log = std::min(kLargestDefaultLog, size / 8) / g.slices;
    log = log / kSuperblockSize * kSuperblockSize;
    if (o_.log_size != 0 && log == 0) {
      return Status(Code::invalid, fmt::format("--log-size {}: a log has {} bytes or more",
                                               o_.log_size, layout::min_log_size(g)));
    }
    if (o_.log_size == 0) log = std::max(log, layout::min_log_size(g));
    const std::uint64_t slice = size / g.slices, rest = slice - std::min(slice, log),
                        share = slice < kSmallestWithValues ? 0 : rest / 2;
    plan_values(g, o_.value_size ? *o_.value_size / g.slices : share);
    if (o_.value_size.value_or(0) > 0 && g.value_size == 0) {
      return Status(Code::invalid,
                    fmt::format("--values {}: of each slice {} bytes or more, or 0", *o_.value_size,
                                kFewestSegments * layout::kMinSegment));
    }
    return layout::plan_ssd(g, size, log);
  }

  // Whether files of the size that is asked for can be SSDs.
  Status check_files_fit(std::uint32_t block_size) const {
    return on_devices_ ? Status() : plan(0, o_.ssd_size, block_size).status();
  }

  // Opens and locks an SSD: it is the next of the store.
  Status open_ssd(const std::string& path) {
    auto device = block::UringDevice::open(loop_, path, block::Access::exclusive);
    if (!device.ok()) return device.status();
    auto g = plan(static_cast<std::uint32_t>(ssds_.devices.size()), (*device)->size(),
                  (*device)->block_size());
    if (!g.ok()) return Status(g.code(), fmt::format("{}: {}", path, g.status().message()));
    summary_.paths.push_back(path);
    summary_.buckets += g->slices * g->buckets;
    summary_.log_bytes += g->slices * g->log_size;
    summary_.record_capacity_bytes +=
        g->slices * g->buckets * (g->bucket_size - layout::kBucketHeader);
    summary_.value_bytes += g->slices * g->value_size;
    if (g->value_size > 0) summary_.largest_value = layout::largest_value(*g);
    ssds_.geometries.push_back(*g);
    ssds_.devices.push_back(std::move(*device));
    return Status();
  }

  // Opens the devices and files of --ssd. They are blank, unless --force says that it does not
  // matter.
  // Before anything is changed.
  Status go_on() const {
    if (o_.interrupted == nullptr || !*o_.interrupted) return Status();
    return Status(Code::unavailable, "interrupted: nothing was changed");
  }

  Status open_given() {
    Result<std::vector<GivenSsd>> given = resolve(o_);
    if (!given.ok()) return given.status();
    given_ = *std::move(given);
    for (const GivenSsd& ssd : given_) {
      if (Status s = open_ssd(ssd.path); !s.ok()) return s;
      if (o_.force) continue;
      std::error_code error;
      Result<bool> blank = fs::is_regular_file(ssd.path, error)
                               ? is_blank_file(ssd.path, o_.interrupted)
                               : run_to_end(loop_, is_blank_device(*ssds_.devices.back()));
      if (!blank.ok()) return blank.status();
      if (Status s = go_on(); !s.ok()) return s;
      if (*blank) continue;
      return Status(Code::invalid,
                    fmt::format("{} is not empty; --force overwrites what is on it", ssd.path));
    }
    return Status();
  }

  // What is in the directory, and whether there is room for the new files.
  Status look_at_directory() {
    Result<OldStore> old = old_store(loop_, o_, summary_.paths);
    if (!old.ok()) return old.status();
    old_ = *std::move(old);
    if (on_devices_) return Status();
    if (Status s = check_room(o_, old_.paths); !s.ok()) return s;
    if (old_.paths.empty()) return Status();
    Result<std::uint32_t> block_size = block_size_in(loop_, o_.dir);
    return block_size.ok() ? check_files_fit(*block_size) : block_size.status();
  }

  Status create_files() {
    for (std::uint32_t i = 0; !on_devices_ && i < count_; ++i) {
      const std::string path = ssd_path(o_.dir, i);
      if (Status s = create_file(path, o_.ssd_size); !s.ok()) return s;
      made_.add(path);
      if (Status s = open_ssd(path); !s.ok()) return s;
    }
    return Status();
  }

  // The superblocks come last, when everything else is durable: until they are there, there is no
  // store. On a failure there are none.
  Status write(const std::function<void(double)>& progress) {
    const auto n = static_cast<double>(ssds_.devices.size());
    Status s;
    std::size_t begun = 0;
    while (s.ok() && begun < ssds_.devices.size()) {
      const auto done = static_cast<double>(begun);
      const std::function<void(double)> part = [&](double fraction) {
        progress((done + fraction) / n);
      };
      s = run_to_end(loop_, write_ssd(*ssds_.devices[begun], ssds_.geometries[begun], key_,
                                      !on_devices_, o_.interrupted, part));
      ++begun;
    }
    if (s.ok()) s = name_ssds();
    for (std::size_t i = 0; s.ok() && i < ssds_.devices.size(); ++i) {
      s = run_to_end(loop_, block::write_superblocks(*ssds_.devices[i], ssds_.geometries[i]));
    }
    // As far as it can be done: what is reported is the failure before.
    for (std::size_t i = 0; !s.ok() && i < begun; ++i) {
      (void)run_to_end(loop_, blank_ssd(*ssds_.devices[i], ssds_.geometries[i]));
    }
    return s;
  }

  // Gives the SSDs their names in the directory, and leaves the store's key and UUID there.
  Status name_ssds() {
    std::error_code error;
    for (std::uint32_t i = 0; i < given_.size(); ++i) {
      const std::string link = ssd_path(o_.dir, i);
      fs::create_symlink(given_[i].name, link, error);
      if (error) return Status(Code::io_error, fmt::format("{}: {}", link, error.message()));
      made_.add(link);
    }
    // Before it is written, so that a part of it is removed too.
    made_.add(key_path(o_.dir));
    if (Status s = write_store_key(o_.dir, key_); !s.ok()) return s;
    made_.add(uuid_path(o_.dir));
    if (Status s = note_uuid(o_.dir, base_.uuid); !s.ok()) return s;
    return made_.sync();
  }

  const FormatOptions& o_;
  const bool on_devices_;      // else on files in the directory
  const std::uint32_t count_;  // of SSDs
  EventLoop& loop_;
  SsdGeometry base_;
  layout::StoreKey key_{};
  FormatSummary summary_;
  NewSsds ssds_;
  std::vector<GivenSsd> given_;
  OldStore old_;
  Made made_;
};
}  // namespace

Result<FormatSummary> format_store(const FormatOptions& o, std::function<void(double)> progress) {
  const auto ssds = static_cast<std::uint32_t>(o.ssd_paths.empty() ? o.ssds : o.ssd_paths.size());
  if (ssds == 0) return Status(Code::invalid, "a store needs at least one SSD");
  if (o.slices == 0 || o.slices > layout::kMaxSlices ||
      std::uint64_t{ssds} * o.slices > layout::kMaxShards) {
    return Status(Code::invalid,
                  fmt::format("{} SSDs with {} slices each: an SSD has 1 to {}, a store {} at most",
                              ssds, o.slices, layout::kMaxSlices, layout::kMaxShards));
  }
  if (o.dir.empty()) return Status(Code::invalid, "the store's directory has no name");
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  return Formatter(o, ssds, **loop).run(progress);
}

}  // namespace scalio::storage
