// WrongSecrets: how often secrets may be guessed from one place: a few at once, then one a second.
// Nobody else is kept out by who guesses.
#pragma once

#include <map>
#include <string>

#include "task/executor.h"

namespace scalio::fabric {

class WrongSecrets {
 public:
  static constexpr unsigned kAtOnce = 10;
  static constexpr Nanos kOneIn = kSecond;
  // Of places that are remembered. If there are more, the one that has waited most is forgotten.
  static constexpr std::size_t kMostPlaces = 4096;

  // Of a connection's name for logs: the host of "tcp 10.0.0.7:5000"; all Unix sockets are one.
  static std::string place_of(const std::string& connection);

  bool may_try(const std::string& place, Nanos now) const;
  // One was wrong.
  void count(const std::string& place, Nanos now);

 private:
  std::map<std::string, Nanos> clear_at_;  // when nothing is held against it any more
};

}  // namespace scalio::fabric
