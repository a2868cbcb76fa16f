// BucketImages: the images of buckets in the log. Each is durable before its buckets are written in
// place, and stays until they are: so a power cut in between tears nothing that recovery cannot put
// right.
#pragma once

#include <optional>
#include <set>

#include "server/bucket_store.h"
#include "server/log.h"

namespace scalio::server {

class BucketImages final : public BucketStore::ImageLog {
 public:
  BucketImages(const layout::SsdGeometry& geometry, Log& log) : geometry_(geometry), log_(log) {}

  Task<Status> log_image(const std::vector<layout::ImageBucket>& image,
                         std::uint64_t* token) override;
  void image_in_place(std::uint64_t token) override;

  // The LSN of the oldest image whose buckets are not in place, which the log must keep.
  std::optional<std::uint64_t> oldest() const;

 private:
  const layout::SsdGeometry& geometry_;
  Log& log_;
  std::multiset<std::uint64_t> not_in_place_;  // LSNs, which are the tokens
};

}  // namespace scalio::server
