// What the tests of this layer share.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "block/buffer.h"
#include "nvmf/host/initiator.h"
#include "nvmf/target/embedded_target.h"
#include "testing/loops.h"
#include "testing/memory_device.h"

namespace scalio::nvmf {

// Bytes that depend on their place and on a seed, so that a block at a wrong place is noticed.
inline void fill(ByteSpan bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) store(bytes.data() + i, random());
}
inline block::Buffer filled(std::size_t size, std::uint64_t seed) {
  block::Buffer buffer(size);
  fill(buffer.span(), seed);
  return buffer;
}
inline bool equal(ByteView a, ByteView b) { return std::ranges::equal(a, b); }

// A namespace in memory, which is filled with fill(seed = its number) at first.
inline TargetNamespace memory_namespace(std::uint64_t size, std::uint32_t block_size = 512) {
  static std::atomic<int> count{0};
  const int number = ++count;
  TargetNamespace made;
  made.path = "memory-" + std::to_string(number);
  made.open = [=,
               path = made.path](EventLoop& loop) -> Result<std::unique_ptr<block::BlockDevice>> {
    auto device = std::make_unique<block::MemoryDevice>(loop, path, size, block_size);
    fill(device->contents(), 1);
    return std::unique_ptr<block::BlockDevice>(std::move(device));
  };
  return made;
}

// Options of a target at a port of its own with one namespace in memory.
inline TargetOptions memory_target_options(std::uint64_t size, std::uint32_t block_size = 512) {
  TargetOptions options;
  options.listen = {net::Uri{net::kTcp, "", "127.0.0.1", 0}};
  options.namespaces = {memory_namespace(size, block_size)};
  options.writable = true;
  return options;
}

inline std::unique_ptr<EmbeddedTarget> start_target(TargetOptions options) {
  Result<std::unique_ptr<EmbeddedTarget>> target = EmbeddedTarget::start(std::move(options));
  if (!target.ok()) {
    ADD_FAILURE() << target.status().to_string();
    std::abort();
  }
  return *std::move(target);
}

inline NamespaceAddress address_of(const EmbeddedTarget& target) {
  return {target.addresses().front(), target.nqn(), target.offers().front().nsid};
}

// Bounds that are short where tests wait for them to pass.
inline InitiatorOptions test_options() {
  InitiatorOptions options;
  options.identity = identity_for("nqn.2024-01.io.scalio:test-host");
  return options;
}

}  // namespace scalio::nvmf
