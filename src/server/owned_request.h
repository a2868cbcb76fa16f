// OwnedRequest: a request that was decoded, with the bytes that its key and value stand in.
#pragma once

#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/pool.h"
#include "layout/message.h"

namespace scalio::server {

class OwnedRequest {
 public:
  // `request` was decoded from `message`, which is copied.
  OwnedRequest(const layout::Request& request, ByteView message)
      : message_(static_cast<std::byte*>(pool::take(message.size())), GiveBack{message.size()}),
        request_(request) {
    copy_bytes(message, message_.get());
    request_.key = moved(request.key, message);
    request_.value = moved(request.value, message);
  }
  // The bytes stay where they are when their owner moves.
  OwnedRequest(OwnedRequest&&) = default;
  OwnedRequest& operator=(OwnedRequest&&) = default;

  const layout::Request& operator*() const { return request_; }
  const layout::Request* operator->() const { return &request_; }
  std::size_t size() const { return message_.get_deleter().size; }

 private:
  struct GiveBack {
    std::size_t size;
    void operator()(std::byte* memory) const { pool::give_back(memory, size); }
  };
  std::string_view moved(std::string_view part, ByteView from) const {
    if (part.empty()) return {};
    const auto at = reinterpret_cast<const std::byte*>(part.data()) - from.data();
    return as_string({message_.get() + at, part.size()});
  }

  std::unique_ptr<std::byte, GiveBack> message_;
  layout::Request request_;
};

}  // namespace scalio::server
