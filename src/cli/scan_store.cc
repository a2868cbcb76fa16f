#include "cli/scan_store.h"

#include <fmt/format.h>

namespace scalio::cli {

namespace {
// Enough to keep the SSDs busy; each has a step in memory, twice its size at most.
constexpr std::size_t kAtOnce = 16;
constexpr std::size_t kParts = 256;

using Take = std::function<Task<Status>(ScanRange part, const ScanPage& page)>;

class StoreScan {
 public:
  StoreScan(Client& client, std::vector<ScanRange> parts, ProgressLine& progress,
            std::string_view title, const Take& take)
      : client_(client),
        parts_(std::move(parts)),
        progress_(progress),
        title_(title),
        take_(take) {}

  Status run() {
    for (std::size_t i = 0; i < kAtOnce; ++i) client_.spawn(work());
    client_.wait_all();
    return failed_;
  }

 private:
  Task<void> work() {
    while (next_ < parts_.size() && failed_.ok()) {
      ScanRange rest = parts_[next_++];
      while (!rest.empty() && failed_.ok()) {
        const Result<ScanPage> page = co_await client_.scan(rest);
        Status s = page.status();
        if (s.ok()) s = co_await take_({rest.begin, page->rest.begin}, *page);
        if (!s.ok()) {
          if (failed_.ok()) failed_ = std::move(s);
          co_return;
        }
        records_ += page->records.size();
        rest = page->rest;
      }
      ++done_;
      progress_.update(title_, static_cast<double>(done_) / static_cast<double>(parts_.size()),
                       fmt::format("{} records", records_));
    }
  }

  Client& client_;
  const std::vector<ScanRange> parts_;
  ProgressLine& progress_;
  const std::string_view title_;
  const Take& take_;
  std::size_t next_ = 0, done_ = 0;
  std::uint64_t records_ = 0;
  Status failed_;
};

}  // namespace

std::vector<ScanRange> parts_of(const Client& client) { return client.scan_ranges(kParts); }

Status scan_store(Client& client, std::vector<ScanRange> parts, ProgressLine& progress,
                  std::string_view title, const Take& take) {
  return StoreScan(client, std::move(parts), progress, title, take).run();
}

}  // namespace scalio::cli
