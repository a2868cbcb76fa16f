#include "server/bucket_images.h"

namespace scalio::server {

Task<Status> BucketImages::log_image(const layout::ImageBuckets& image,
                                     const layout::BucketTotals& change, std::uint64_t* token) {
  co_await log_.room(0, layout::image_body_size(image.size(), geometry_.bucket_size) +
                            Segments::log_room(geometry_));
  if (!log_.failure().ok()) co_return log_.failure();
  body_.clear();
  layout::encode_image(body_, image, change);
  const Log::Ticket t = log_.add(layout::LogKind::image, 0, "", body_);
  log_.count(change);
  segments_.log_counts(log_);
  *token = t.lsn;
  not_in_place_.add(t.lsn);
  co_return co_await log_.durable(t.batch);
}

void BucketImages::image_in_place(std::uint64_t token) { not_in_place_.remove(token); }

void BucketImages::pointer_dropped(const layout::RecordView& record) {
  segments_.remove_live(as_bytes(record.value), record.key.size());
}

}  // namespace scalio::server
