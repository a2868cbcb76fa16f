// NamespaceTable: the SSDs that a target offers, each as a namespace with names that stay the same.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "block/block_device.h"
#include "nvmf/target/target_options.h"
#include "nvmf/wire/identify.h"

namespace scalio::nvmf {

struct Namespace {
  std::uint32_t nsid = 0;  // from 1 on
  NamespaceId id;
  std::unique_ptr<block::BlockDevice> device;
  bool writable = false;
  // Of a store's SSD, the logs of its slices: no client reads them, and they have what nobody may
  // be told any more.
  struct Range {
    std::uint64_t offset = 0, size = 0;  // bytes
  };
  std::vector<Range> withheld;

  std::uint64_t blocks() const { return device->size() / device->block_size(); }
  // Whether anything of these bytes is withheld.
  bool withholds(std::uint64_t offset, std::uint64_t size) const;
};

class NamespaceTable {
 public:
  // Opens the devices, on the thread of `loop`, where they are used and destroyed.
  //
  // If they are SSDs of one store, their NSID is SSD + 1 and they are named after the store; else
  // they are numbered in the order given and named after the file (filesystem and inode) or device.
  // What a superblock says of a device holds for as long as it is offered.
  // Failures: as UringDevice::open; invalid (two are the same).
  static Task<Result<NamespaceTable>> open(EventLoop& loop, std::vector<TargetNamespace> sources,
                                           bool writable);

  // Null if there is none of this number.
  const Namespace* find(std::uint32_t nsid) const {
    return nsid >= 1 && nsid <= by_nsid_.size() ? by_nsid_[nsid - 1] : nullptr;
  }
  // In ascending order of their numbers; at least one.
  const std::vector<std::unique_ptr<Namespace>>& all() const { return all_; }
  std::uint32_t largest_nsid() const { return static_cast<std::uint32_t>(by_nsid_.size()); }
  // What the subsystem is called if nobody says otherwise.
  const std::string& default_nqn() const { return default_nqn_; }

 private:
  std::vector<std::unique_ptr<Namespace>> all_;
  std::vector<const Namespace*> by_nsid_;
  std::string default_nqn_;
};

}  // namespace scalio::nvmf
