// WrongSecrets: how often the secret of one user may be guessed from one place: a few times at
// once, then once a second. Who guesses keeps out nobody of another place, and of its own only who
// says the same name. It counts for names that nobody has too, so that it tells nothing of them.
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
  // Of places and names that are remembered. If there are more, the one that has the least against
  // it is forgotten.
  static constexpr std::size_t kMost = 4096;

  // `place`: as a listener names it; `user`: as it is said.
  bool may_try(const std::string& place, const std::string& user, Nanos now) const;
  // One was wrong.
  void count(const std::string& place, const std::string& user, Nanos now);

 private:
  static std::string entry_of(const std::string& place, const std::string& user);

  mutable std::mutex mutex_;
  std::map<std::string, Nanos> clear_at_;  // when nothing is held against it any more
};

}  // namespace scalio::fabric
