#include "server/bucket_images.h"

namespace scalio::server {

Task<Status> BucketImages::log_image(const std::vector<layout::ImageBucket>& image,
                                     std::uint64_t* token) {
  Bytes body;
  body.reserve(layout::image_body_size(image.size(), geometry_.bucket_size));
  layout::encode_image(body, image);
  co_await log_.room(0, static_cast<std::uint32_t>(body.size()));
  if (!log_.failure().ok()) co_return log_.failure();
  const Log::Ticket t = log_.add(layout::LogKind::image, 0, "", body);
  *token = t.lsn;
  not_in_place_.insert(t.lsn);
  co_return co_await log_.durable(t.batch);
}

void BucketImages::image_in_place(std::uint64_t token) {
  auto it = not_in_place_.find(token);
  SCALIO_ASSERT(it != not_in_place_.end());
  not_in_place_.erase(it);
}

std::optional<std::uint64_t> BucketImages::oldest() const {
  if (not_in_place_.empty()) return std::nullopt;
  return *not_in_place_.begin();
}

}  // namespace scalio::server
