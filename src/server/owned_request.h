// OwnedRequest: a request that was decoded, with the bytes that its key and value stand in.
#pragma once

#include <utility>

#include "base/bytes.h"
#include "layout/message.h"

namespace scalio::server {

class OwnedRequest {
 public:
  // `request` was decoded from `message`, which is copied.
  OwnedRequest(const layout::Request& request, ByteView message)
      : message_(message.begin(), message.end()), request_(request) {
    request_.key = moved(request.key, message);
    request_.value = moved(request.value, message);
  }
  // The bytes stay where they are when their owner moves.
  OwnedRequest(OwnedRequest&&) = default;
  OwnedRequest& operator=(OwnedRequest&&) = default;

  const layout::Request& operator*() const { return request_; }
  const layout::Request* operator->() const { return &request_; }
  std::size_t size() const { return message_.size(); }

 private:
  std::string_view moved(std::string_view part, ByteView from) const {
    if (part.empty()) return {};
    const auto at = reinterpret_cast<const std::byte*>(part.data()) - from.data();
    return as_string(message_).substr(static_cast<std::size_t>(at), part.size());
  }

  Bytes message_;
  layout::Request request_;
};

}  // namespace scalio::server
