#include "base/byte_vector.h"

#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "base/random.h"

namespace scalio {
namespace {

using Model = std::vector<std::byte>;

std::byte byte_of(std::uint64_t n) { return static_cast<std::byte>(n & 0xff); }

void expect_equal(const Bytes& bytes, const Model& model) {
  ASSERT_EQ(bytes.size(), model.size());
  ASSERT_EQ(Model(bytes.begin(), bytes.end()), model);
  ASSERT_EQ(bytes.empty(), model.empty());
  ASSERT_GE(bytes.capacity(), bytes.size());
}

TEST(ByteVector, IsAVector) {
  Random random(1);
  Bytes bytes;
  Model model;
  const auto some = [&](std::uint64_t most) {
    Model made(random.below(most + 1));
    for (std::byte& b : made) b = byte_of(random.below(256));
    return made;
  };
  for (int step = 0; step < 20'000; ++step) {
    const auto at = static_cast<std::ptrdiff_t>(random.below(model.size() + 1));
    const Model more = some(200);
    switch (random.below(10)) {
      case 0:
        bytes.insert(bytes.begin() + at, more.begin(), more.end());
        model.insert(model.begin() + at, more.begin(), more.end());
        break;
      case 1:
        bytes.insert(bytes.begin() + at, 3, byte_of(7));
        model.insert(model.begin() + at, 3, byte_of(7));
        break;
      case 2:
        bytes.push_back(byte_of(static_cast<std::uint64_t>(step)));
        model.push_back(byte_of(static_cast<std::uint64_t>(step)));
        break;
      case 3:
        bytes.erase(bytes.begin() + at, bytes.end());
        model.erase(model.begin() + at, model.end());
        break;
      case 4:
        bytes.erase(bytes.begin(), bytes.begin() + at);
        model.erase(model.begin(), model.begin() + at);
        break;
      case 5: {
        const std::size_t size = random.below(3000);
        bytes.resize(size);
        model.resize(size);
        break;
      }
      case 6:
        bytes.assign(more.begin(), more.end());
        model = more;
        break;
      case 7: {
        Bytes copy = bytes;
        expect_equal(copy, model);
        Bytes moved = std::move(copy);
        EXPECT_TRUE(copy.empty());  // NOLINT(bugprone-use-after-move): it says so
        EXPECT_EQ(moved, bytes);
        bytes = std::move(moved);
        break;
      }
      case 8:
        bytes.reserve(random.below(3000));
        bytes.insert(bytes.end(), more.begin(), more.end());
        model.insert(model.end(), more.begin(), more.end());
        break;
      default:
        if (!model.empty()) {
          bytes.pop_back();
          model.pop_back();
        }
        bytes.shrink_to_fit();
        EXPECT_LT(bytes.capacity() - bytes.size(), pool::kUnit);
    }
    expect_equal(bytes, model);
    if (HasFatalFailure()) return;
  }
}

TEST(ByteVector, IsComparedAsOne) {
  const Bytes a{byte_of(1), byte_of(2)}, longer{byte_of(1), byte_of(2), byte_of(0)},
      greater{byte_of(1), byte_of(200)};
  EXPECT_EQ(a, Bytes(a));
  EXPECT_NE(a, longer);
  EXPECT_LT(a, longer);
  EXPECT_LT(longer, greater);
  EXPECT_EQ(Bytes(), Bytes());
  EXPECT_EQ(Bytes(3), (Bytes{byte_of(0), byte_of(0), byte_of(0)}));
}

TEST(ByteVector, IsASpan) {
  Bytes bytes(2, byte_of(9));
  const std::span<const std::byte> view(bytes);
  EXPECT_EQ(view.size(), 2u);
  EXPECT_EQ(std::span<std::byte>(bytes).data(), bytes.data());
}

// Of nothing, nowhere: no pointer is made of null.
TEST(ByteVector, CanBeEmpty) {
  Bytes none;
  none.insert(none.end(), none.begin(), none.end());
  none.erase(none.begin(), none.end());
  none.assign(none.begin(), none.end());
  none.resize(0);
  none.shrink_to_fit();
  EXPECT_TRUE(Bytes(none).empty());
  none = Bytes(none);
  EXPECT_TRUE(none.empty());
}

}  // namespace
}  // namespace scalio
