#include "server/owned_request.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace scalio::server {
namespace {

TEST(OwnedRequestTest, NeedsNeitherTheMessageNorItsPlace) {
  for (const std::string_view value : {"value", ""}) {
    Bytes message;
    layout::encode(message,
                   layout::Request{layout::RequestKind::put_if, 7, 5, 3, "the key", value});
    std::vector<OwnedRequest> moved;
    moved.emplace_back(*layout::decode_request(message), message);
    std::fill(message.begin(), message.end(), std::byte{0});
    const OwnedRequest request = std::move(moved[0]);
    moved.clear();
    EXPECT_EQ(request.size(), message.size());
    EXPECT_EQ(request->kind, layout::RequestKind::put_if);
    EXPECT_EQ(request->sequence, 7u);
    EXPECT_EQ(request->acknowledged, 5u);
    EXPECT_EQ(request->expected, 3u);
    EXPECT_EQ(request->key, "the key");
    EXPECT_EQ((*request).value, value);
  }
}

}  // namespace
}  // namespace scalio::server
