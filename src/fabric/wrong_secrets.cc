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

// No name has a blank.
std::string entry_of(const std::string& place, const std::string& user) {
  return place + ' ' + user;
}
}  // namespace

bool WrongSecrets::within(const Times& clear_at, const std::string& entry, Nanos bound) {
  const auto found = clear_at.find(entry);
  return found == clear_at.end() || found->second <= bound;
}

bool WrongSecrets::may_try(const std::string& place, const std::string& user, Nanos now) const {
  const std::string entry = entry_of(place, user);
  const std::lock_guard lock(mutex_);
  if (!within(of_name_at_place_, entry, now + (kAtOnce - 1) * kOneIn)) return false;
  return right_at_.contains(entry) || within(of_name_, user, now + (kAllAtOnce - 1) * kAllOneIn);
}

Nanos WrongSecrets::due(const std::string& place, Nanos now) const {
  const std::lock_guard lock(mutex_);
  const auto found = of_place_.find(place);
  constexpr Nanos kBefore = (kOfPlaceAtOnce - 1) * kOfPlaceOneIn;
  if (found == of_place_.end() || found->second <= now + kBefore) return now;
  return found->second - kBefore;
}

void WrongSecrets::add(Times& clear_at, const std::string& entry, Nanos each, Nanos now) {
  if (clear_at.size() >= kMost && !clear_at.contains(entry)) {
    std::erase_if(clear_at, [now](const auto& other) { return other.second <= now; });
    make_room(clear_at, entry);
  }
  Nanos& at = clear_at[entry];
  at = std::max(at, now) + each;
}

// What comes at one time from one place, before the first was found wrong, is beyond what the place
// may: it does not count against all others as well.
void WrongSecrets::count(const std::string& place, const std::string& user, Nanos now) {
  const std::string entry = entry_of(place, user);
  const std::lock_guard lock(mutex_);
  const bool might = within(of_name_at_place_, entry, now + (kAtOnce - 1) * kOneIn);
  add(of_name_at_place_, entry, kOneIn, now);
  add(of_place_, place, kOfPlaceOneIn, now);
  if (might) add(of_name_, user, kAllOneIn, now);
}

void WrongSecrets::right(const std::string& place, const std::string& user, Nanos now) {
  const std::string entry = entry_of(place, user);
  const std::lock_guard lock(mutex_);
  make_room(right_at_, entry);
  right_at_[entry] = now;
}

}  // namespace scalio::fabric
