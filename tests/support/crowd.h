// Many stress clients (tests/stress_client.cc) at work on one store, and the check of what they all
// saw.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/scratch.h"

namespace scalio::testing {

struct CrowdOptions {
  int seconds = 10;  // until the clients end by themselves
  int depth = 8;     // operations in flight, each
  int keys = 40;
  int rate = 4000;          // operations a second, each, at most
  std::size_t largest = 0;  // bytes of filler of half of the values, at most; 0: all are small
};

class Crowd {
 public:
  Crowd(const Scratch& scratch, CrowdOptions options) : scratch_(scratch), options_(options) {}

  // Starts one more client, and waits until it can be told to stop.
  void start(const std::string& uri);
  std::size_t size() const { return clients_.size(); }
  Process& client(std::size_t i) { return clients_[i].process; }
  // kill -9, and another client in its place.
  void replace(std::size_t i);
  // Waits until all have ended; each must have ended well.
  void join();
  // The same, but they end now.
  void stop();
  // Every history so far, also of clients that were killed, must be linearizable; prints their
  // figures. `least`: fails if fewer operations than this were ok.
  void check(std::size_t least);
  // Every operation of the i-th client that was started ended with an answer from the store.
  void check_undisturbed(std::size_t i);

 private:
  struct Member {
    Process process;
    std::string uri;
  };
  Process launch(const std::string& uri);

  const Scratch& scratch_;
  const CrowdOptions options_;
  std::vector<Member> clients_;
  std::vector<std::string> histories_;
};

}  // namespace scalio::testing
