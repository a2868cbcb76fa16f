#include "fabric/wrong_secrets.h"

#include <algorithm>

namespace scalio::fabric {

namespace {
// Makes room for an entry that may be new: forgets the one with the least time.
void make_room(std::map<std::string, Nanos>& entries, const std::string& entry) {
  if (entries.size() < WrongSecrets::kMost || entries.contains(entry)) return;
  entries.erase(
      std::ranges::min_element(entries, {}, [](const auto& other) { return other.second; }));
}
}  // namespace

// No name has a blank.
std::string WrongSecrets::entry_of(const std::string& place, const std::string& user) {
  return place + ' ' + user;
}

bool WrongSecrets::within(const std::string& entry, Nanos bound) const {
  const auto found = clear_at_.find(entry);
  return found == clear_at_.end() || found->second <= bound;
}

bool WrongSecrets::may_try(const std::string& place, const std::string& user, Nanos now) const {
  const std::string entry = entry_of(place, user);
  const std::lock_guard lock(mutex_);
  if (!within(entry, now + (kAtOnce - 1) * kOneIn)) return false;
  return right_at_.contains(entry) ||
         within(entry_of("", user), now + (kAllAtOnce - 1) * kAllOneIn);
}

// The place itself is the entry of the name that is none.
Nanos WrongSecrets::due(const std::string& place, Nanos now) const {
  const std::lock_guard lock(mutex_);
  const auto found = clear_at_.find(entry_of(place, {}));
  constexpr Nanos kBefore = (kOfPlaceAtOnce - 1) * kOfPlaceOneIn;
  if (found == clear_at_.end() || found->second <= now + kBefore) return now;
  return found->second - kBefore;
}

void WrongSecrets::add(const std::string& entry, Nanos each, Nanos now) {
  if (clear_at_.size() >= kMost && !clear_at_.contains(entry)) {
    std::erase_if(clear_at_, [now](const auto& other) { return other.second <= now; });
    make_room(clear_at_, entry);
  }
  Nanos& clear_at = clear_at_[entry];
  clear_at = std::max(clear_at, now) + each;
}

// What comes at one time from one place, before the first was found wrong, is beyond what the place
// may: it does not count against all others as well.
void WrongSecrets::count(const std::string& place, const std::string& user, Nanos now) {
  const std::string entry = entry_of(place, user);
  const std::lock_guard lock(mutex_);
  const bool might = within(entry, now + (kAtOnce - 1) * kOneIn);
  add(entry, kOneIn, now);
  add(entry_of(place, {}), kOfPlaceOneIn, now);
  if (might) add(entry_of("", user), kAllOneIn, now);
}

void WrongSecrets::right(const std::string& place, const std::string& user, Nanos now) {
  const std::string entry = entry_of(place, user);
  const std::lock_guard lock(mutex_);
  make_room(right_at_, entry);
  right_at_[entry] = now;
}

}  // namespace scalio::fabric
