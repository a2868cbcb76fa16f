#include "nvmf/host/discovery.h"

#include <fmt/format.h>

#include <algorithm>

#include "nvmf/host/association.h"
#include "nvmf/wire/log_page.h"

namespace scalio::nvmf {

namespace {

constexpr int kTries = 4;

Task<Result<DiscoveryHeader>> read_header(Association& association) {
  Bytes bytes(kDiscoveryHeader);
  Result<Completion> done =
      co_await association.admin(make_get_log_page(kDiscoveryLogPage, kDiscoveryHeader, 0), bytes);
  if (!done.ok()) co_return done.status();
  co_return decode_discovery_header(bytes);
}

Task<Result<std::vector<DiscoveryEntry>>> read_log(Association& association) {
  for (int i = 0; i < kTries; ++i) {
    Result<DiscoveryHeader> before = co_await read_header(association);
    if (!before.ok()) co_return before.status();
    const std::uint64_t records = std::min(before->records, kMostDiscoveryEntries);
    std::vector<DiscoveryEntry> entries;
    Bytes bytes(kDiscoveryEntry);
    while (entries.size() < records) {
      const std::uint64_t at = kDiscoveryHeader + entries.size() * kDiscoveryEntry;
      Result<Completion> done = co_await association.admin(
          make_get_log_page(kDiscoveryLogPage, kDiscoveryEntry, at), bytes);
      if (!done.ok()) co_return done.status();
      Result<DiscoveryEntry> entry = decode_discovery_entry(bytes);
      if (!entry.ok()) co_return entry.status();
      entries.push_back(*std::move(entry));
    }
    // It may have changed while it was read in pieces.
    Result<DiscoveryHeader> after = co_await read_header(association);
    if (!after.ok()) co_return after.status();
    if (after->generation == before->generation && after->records == before->records)
      co_return entries;
  }
  co_return Status(Code::unavailable,
                   fmt::format("the discovery log at {} keeps changing", association.name()));
}

}  // namespace

Task<Result<std::vector<DiscoveryEntry>>> discover(EventLoop& loop, QueueTransport& transport,
                                                   const InitiatorOptions& options) {
  Association association(loop, transport, options, [](const Status&) {});
  Status status = co_await association.connect(std::string(kDiscoveryNqn), options.connect_timeout);
  if (!status.ok()) co_return status;
  Result<std::vector<DiscoveryEntry>> entries = co_await read_log(association);
  co_await association.shut_down();
  co_return entries;
}

}  // namespace scalio::nvmf
