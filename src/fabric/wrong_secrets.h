// WrongSecrets: how often the secret of one user may be guessed: from one place a few times at
// once, then once a second; from all places together ten times as often, because places are cheap.
// Who guesses keeps out nobody of a place that has said the secret, and of its own place only who
// says the same name. It counts for names that nobody has too, so that it tells nothing of them.
// What is wrong at one place, of all names, is counted beside: who has ever new names has a limit
// by that.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "task/executor.h"

namespace scalio::fabric {

// For any thread.
class WrongSecrets {
 public:
  static constexpr unsigned kAtOnce = 10;
  static constexpr Nanos kOneIn = kSecond;
  // Of one name, from all places.
  static constexpr unsigned kAllAtOnce = 100;
  static constexpr Nanos kAllOneIn = kSecond / 10;
  // Of all names that are said at one place.
  static constexpr unsigned kOfPlaceAtOnce = 100;
  static constexpr Nanos kOfPlaceOneIn = kSecond;
  // Of names, of places, and of names at places: so many are remembered. If there are more, the one
  // that has the least against it is forgotten.
  static constexpr std::size_t kMost = 4096;

  // `place`: as a listener names it; `user`: as it is said.
  bool may_try(const std::string& place, const std::string& user, Nanos now) const;
  // When a name that nobody has may be said at this place again: now, or later if too many were
  // wrong there.
  Nanos due(const std::string& place, Nanos now) const;
  // One was wrong.
  void count(const std::string& place, const std::string& user, Nanos now);
  // One was right: what others guess does not keep this place out.
  void right(const std::string& place, const std::string& user, Nanos now);

 private:
  using Times = std::map<std::string, Nanos>;
  static bool within(const Times& clear_at, const std::string& entry, Nanos bound);
  static void add(Times& clear_at, const std::string& entry, Nanos each, Nanos now);

  mutable std::mutex mutex_;
  // When nothing is held against them any more. Apart, so that what costs a stranger little, many
  // names at many places, does not displace what limits the guesses at one name.
  Times of_name_at_place_;
  Times of_name_;   // at all places
  Times of_place_;  // of all names
  Times right_at_;  // when a name was last right at a place
};

}  // namespace scalio::fabric
