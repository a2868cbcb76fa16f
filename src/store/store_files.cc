#include "store/store_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <tuple>
#include <utility>

#include "base/read_file.h"
#include "base/shortage.h"
#include "block/superblock.h"
#include "layout/superblock.h"
#include "task/run_to_end.h"

namespace scalio::storage {

namespace fs = std::filesystem;
using layout::SsdGeometry;
using layout::Uuid;

std::string ssd_path(const std::string& dir, unsigned index) {
  return fmt::format("{}/ssd-{}", dir, index);
}
std::string epoch_path(const std::string& dir) { return dir + "/epoch"; }
std::string uuid_path(const std::string& dir) { return dir + "/uuid"; }

Result<std::vector<unsigned>> list_ssds(const std::string& dir) {
  std::vector<unsigned> found;
  std::error_code error;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    unsigned index = 0;
    if (!name.starts_with("ssd-")) continue;
    std::from_chars(name.data() + 4, name.data() + name.size(), index);
    if (ssd_path(dir, index) == fmt::format("{}/{}", dir, name)) found.push_back(index);
  }
  if (error) {
    return Status(is_shortage(error.value()) ? Code::unavailable : Code::invalid,
                  fmt::format("{}: {}", dir, error.message()));
  }
  std::sort(found.begin(), found.end());
  return found;
}

namespace {
constexpr std::size_t kMostOfAUuid = 64;  // bytes of its file

// The store's UUID as its directory notes it; nothing if it does not.
Result<std::optional<Uuid>> noted_uuid(const std::string& dir) {
  const std::string path = uuid_path(dir);
  std::error_code error;
  const fs::file_status there = fs::status(path, error);
  if (!fs::exists(there)) {
    if (there.type() == fs::file_type::not_found) return std::optional<Uuid>();
    return Status(Code::invalid, fmt::format("{}: {}", path, error.message()));
  }
  std::string line;
  const Result<std::string> text = read_regular_file(path, kMostOfAUuid);
  if (text.code() == Code::io_error) {
    return Status(is_shortage(errno) ? Code::unavailable : Code::invalid, text.status().message());
  }
  if (text.ok()) line = text->substr(0, text->find('\n'));
  if (const auto uuid = layout::parse_uuid(line)) return uuid;
  return Status(Code::corrupt,
                fmt::format("{} does not hold a UUID; write that of the store into it, or, if "
                            "the SSDs in {} are surely those of the store, remove it",
                            path, dir));
}

// Which device or file it is, whatever its name.
using Identity = std::tuple<bool, std::uint64_t, std::uint64_t>;
Identity identity(const fs::path& path) {
  struct stat st {};
  stat(path.c_str(), &st);
  if (S_ISBLK(st.st_mode)) return {true, st.st_rdev, 0};
  return {false, st.st_dev, st.st_ino};
}

bool is_block_device(const fs::path& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode);
}

// A part of a larger one (a path of a multipath device, a disk of a RAID): whoever reads it alone
// reads a part, or what is another device's.
bool is_part_of_another(const fs::path& path) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return false;
  const std::string holders =
      fmt::format("/sys/dev/block/{}:{}/holders", major(st.st_rdev), minor(st.st_rdev));
  std::error_code error;
  return fs::exists(holders, error) && !fs::is_empty(holders, error);
}

// Finds all SSDs of a store, once.
class Finder {
 public:
  Finder(EventLoop& loop, std::string dir) : loop_(loop), dir_(std::move(dir)) {}

  Result<std::vector<SsdPlace>> find(const std::vector<unsigned>& entries) {
    for (unsigned i : entries) look_in_place(i);
    if (Status s = learn_store(); !s.ok()) return s;
    for (unsigned i = 0; i < ssds_; ++i) {
      if (entries_.contains(i)) continue;
      return Status(Code::invalid,
                    fmt::format("{} is missing (the store has {} SSDs)", ssd_path(dir_, i), ssds_));
    }
    if (entries.back() >= ssds_) {
      return Status(Code::invalid, fmt::format("{} does not belong there: the store has {} SSDs",
                                               ssd_path(dir_, entries.back()), ssds_));
    }
    std::vector<SsdPlace> places;
    for (unsigned i = 0; i < ssds_; ++i) {
      Result<SsdPlace> place = find_one(i);
      if (!place.ok()) return place.status();
      places.push_back(*std::move(place));
    }
    return places;
  }

 private:
  struct Entry {
    std::string path;  // where it leads: absolute, links resolved; empty if nowhere
    Result<SsdGeometry> superblock;
    bool other;  // something else may have taken the name of the SSD that was meant
  };

  Result<SsdGeometry> superblock_of(const std::string& path) {
    auto device = block::UringDevice::open(loop_, path, block::Access::read_only);
    if (!device.ok()) return device.status();
    return run_to_end(loop_, block::read_superblock(**device));
  }

  void look_in_place(unsigned index) {
    const std::string name = ssd_path(dir_, index);
    std::error_code error;
    std::string path = fs::canonical(name, error).string();
    if (error) {
      const Status why(Code::invalid, fmt::format("{}: {}", name, error.message()));
      entries_.insert({index, {"", why, error == std::errc::no_such_file_or_directory}});
      return;
    }
    Result<SsdGeometry> superblock = superblock_of(path);
    // Not the SSD itself, damaged: what is found elsewhere would be an older copy.
    const bool other = superblock.ok() || superblock.code() == Code::invalid;
    entries_.insert({index, {std::move(path), std::move(superblock), other}});
  }

  // Which store it is, and how many SSDs it has: any intact superblock tells. One at its right
  // place goes first, for a directory without a note.
  Status learn_store() {
    Result<std::optional<Uuid>> noted = noted_uuid(dir_);
    if (!noted.ok()) return noted.status();
    noted_ = noted->has_value();
    uuid_ = *noted;
    ssds_ = entries_.rbegin()->first + 1;
    for (bool in_place : {true, false}) {
      for (const auto& [index, entry] : entries_) {
        const Result<SsdGeometry>& g = entry.superblock;
        if (!g.ok() || (in_place && g->ssd() != index) || (uuid_ && *uuid_ != g->uuid)) continue;
        uuid_ = g->uuid;
        ssds_ = g->ssds();
        return Status();
      }
    }
    return Status();
  }

  bool is_wanted(const Result<SsdGeometry>& superblock, unsigned index) const {
    return superblock.ok() && superblock->uuid == uuid_ && superblock->ssd() == index;
  }

  Result<SsdPlace> find_one(unsigned index) {
    const Entry& entry = entries_.at(index);
    if (is_wanted(entry.superblock, index)) return SsdPlace{entry.path, *entry.superblock, ""};
    if (!uuid_ || !entry.other) return entry.superblock.status();
    std::map<Identity, SsdPlace> found;
    for (const auto& [other, e] : entries_) {
      if (is_wanted(e.superblock, index))
        found.insert({identity(e.path), {e.path, *e.superblock, ""}});
    }
    const bool look_further = found.empty() && may_have_moved(index);
    if (look_further) {
      look_at_devices();
      for (const auto& [id, place] : devices_) {
        if (place.geometry.ssd() == index) found.insert({id, place});
      }
    }
    if (found.empty()) return not_found(index, look_further);
    if (found.size() > 1) {
      return Status(
          Code::invalid,
          fmt::format(
              "{}; {} and {} are both SSD {} of store {}, so one is a copy: make {} a link to "
              "the right one",
              in_place(index), found.begin()->second.path, std::next(found.begin())->second.path,
              index, layout::to_string(*uuid_), ssd_path(dir_, index)));
    }
    SsdPlace place = found.begin()->second;
    place.moved = fmt::format("{}; SSD {} of the store is {}, as its superblock says",
                              in_place(index), index, place.path);
    return place;
  }

  // A device may get another number at every boot; a file is where somebody has put it. Whose
  // devices they are only the note tells for sure.
  bool may_have_moved(unsigned index) const {
    std::error_code error;
    return noted_ && fs::is_symlink(ssd_path(dir_, index), error);
  }

  // All devices of this machine that are of the store, whatever their names.
  void look_at_devices() {
    if (std::exchange(looked_at_devices_, true)) return;
    std::error_code error;
    for (fs::directory_iterator entry("/dev", error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string path = entry->path().string();
      if (!is_block_device(path) || is_part_of_another(path)) continue;
      if (access(path.c_str(), R_OK) != 0) ++unreadable_;
      const Result<SsdGeometry> g = superblock_of(path);
      if (g.ok() && g->uuid == uuid_) devices_.insert({identity(path), {path, *g, ""}});
    }
  }

  std::string in_place(unsigned index) const {
    const Entry& entry = entries_.at(index);
    if (!entry.superblock.ok()) return entry.superblock.status().message();
    return fmt::format("{} is {}, which is SSD {} of store {}", ssd_path(dir_, index), entry.path,
                       entry.superblock->ssd(), layout::to_string(entry.superblock->uuid));
  }

  Status not_found(unsigned index, bool looked_at_devices) const {
    std::string what = fmt::format("{}; SSD {} of store {} is at no other ssd-N in {}",
                                   in_place(index), index, layout::to_string(*uuid_), dir_);
    if (looked_at_devices) what += " and on no block device in /dev";
    if (looked_at_devices && unreadable_ > 0)
      what += fmt::format(" ({} may not be read)", unreadable_);
    const Result<SsdGeometry>& g = entries_.at(index).superblock;
    if (noted_ && g.ok() && g->uuid != *uuid_) {
      what += fmt::format("; if {} is to have the other store from now on, remove {}", dir_,
                          uuid_path(dir_));
    }
    return Status(Code::invalid, std::move(what));
  }

  EventLoop& loop_;
  const std::string dir_;
  std::map<unsigned, Entry> entries_;
  std::optional<Uuid> uuid_;  // of the store; nothing if neither note nor SSD tells
  bool noted_ = false;        // in the directory
  unsigned ssds_ = 0;
  bool looked_at_devices_ = false;
  std::map<Identity, SsdPlace> devices_;
  unsigned unreadable_ = 0;
};
}  // namespace

Status note_uuid(const std::string& dir, const Uuid& uuid) {
  const std::string path = uuid_path(dir), line = layout::to_string(uuid) + "\n";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  const auto failed = [&] {
    return Status(Code::io_error, fmt::format("{}: {}", path, std::strerror(errno)));
  };
  if (fd < 0) return failed();
  errno = ENOSPC;  // of a write that is short
  Status s;
  if (::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size()) || fsync(fd) != 0)
    s = failed();
  if (::close(fd) != 0 && s.ok()) s = failed();
  return s;
}

Result<std::vector<SsdPlace>> find_ssds(const std::string& dir) {
  Result<std::vector<unsigned>> entries = list_ssds(dir);
  if (!entries.ok()) return entries.status();
  if (entries->empty()) {
    return Status(Code::invalid,
                  fmt::format("{} has no store (no {}); make one with `scalio format`", dir,
                              ssd_path(dir, 0)));
  }
  auto loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  return Finder(**loop, dir).find(*entries);
}

Result<std::vector<OpenSsd>> open_ssds(const std::string& dir, const std::vector<EventLoop*>& loops,
                                       block::Access access) {
  Result<std::vector<SsdPlace>> places = find_ssds(dir);
  if (!places.ok()) return places.status();
  std::vector<OpenSsd> ssds;
  for (SsdPlace& place : *places) {
    EventLoop& loop = *loops[std::min(ssds.size(), loops.size() - 1)];
    auto device = block::UringDevice::open(loop, place.path, access);
    if (!device.ok()) return device.status();
    // Once more: what was there before it was locked may have been another.
    Result<SsdGeometry> g = run_to_end(loop, block::read_superblock(**device));
    if (!g.ok()) return g.status();
    if (g->uuid != place.geometry.uuid || g->ssd() != place.geometry.ssd()) {
      return Status(Code::busy, fmt::format("{} has become another SSD just now", place.path));
    }
    if (!ssds.empty() && !layout::same_store(*g, ssds[0].geometry)) {
      return Status(
          Code::corrupt,
          fmt::format(
              "the superblocks of {} and {} contradict each other: hash seed, slices, partitions, "
              "bucket size and inline limit are the same on all SSDs of a store",
              place.path, ssds[0].path));
    }
    ssds.push_back({*std::move(device), *g, std::move(place.path), std::move(place.moved)});
  }
  return ssds;
}

}  // namespace scalio::storage
