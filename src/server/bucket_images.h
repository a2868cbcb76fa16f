// BucketImages: the images of buckets in the log. Each is durable before its buckets are written in
// place, and stays until they are: so a power cut in between tears nothing that recovery cannot put
// right.
#pragma once

#include <optional>

#include "server/bucket_store.h"
#include "server/log.h"
#include "server/outstanding.h"
#include "server/segments.h"

namespace scalio::server {

class BucketImages final : public BucketStore::ImageLog {
 public:
  BucketImages(const layout::SsdGeometry& geometry, Log& log, Segments& segments)
      : geometry_(geometry), log_(log), segments_(segments) {}

  Task<Status> log_image(const layout::ImageBuckets& image, const layout::BucketTotals& change,
                         std::uint64_t* token) override;
  void image_in_place(std::uint64_t token) override;
  void pointer_dropped(const layout::RecordView& record) override;

  // The LSN of the oldest image whose buckets are not in place, which the log must keep.
  std::optional<std::uint64_t> oldest() const { return not_in_place_.oldest(); }

 private:
  const layout::SsdGeometry& geometry_;
  Log& log_;
  Segments& segments_;
  Outstanding not_in_place_;  // the LSNs are the tokens
  Bytes body_;                // of the image that is being added
};

}  // namespace scalio::server
