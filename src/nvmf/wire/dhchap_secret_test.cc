#include "nvmf/wire/dhchap_secret.h"

#include <gtest/gtest.h>

#include <string>

#include "testing/test_bytes.h"

namespace scalio::nvmf {
namespace {

using layout::hex;

// The specification's example (Base 8.13.5.8): a key of 32 bytes, used as it is.
constexpr std::string_view kExample = "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:";

TEST(DhchapSecret, TheSpecificationsExampleIsRead) {
  const Result<DhchapSecret> secret = parse_dhchap_secret(kExample);
  ASSERT_TRUE(secret.ok()) << secret.status().to_string();
  EXPECT_FALSE(secret->transform.has_value());
  EXPECT_EQ(hex(secret->key), "89aeb31a874eaf84841b46736b0dfdf2ba58d30aa2a545a3e235a3521e07594c");
}

// Made by Python's base64 and zlib.crc32, of the bytes 0, 1, 2, ...
TEST(DhchapSecret, KeysOfAllSizesAreRead) {
  struct Case {
    std::string_view text;
    AuthHash transform;
    std::size_t size;
  };
  for (const Case& c :
       {Case{"DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:", AuthHash::sha256, 32},
        Case{"DHHC-1:02:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcSEgBQ==:",
             AuthHash::sha384, 48},
        Case{"DHHC-1:03:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1"
             "Njc4OTo7PD0+P4zODhA=:",
             AuthHash::sha512, 64}}) {
    const Result<DhchapSecret> secret = parse_dhchap_secret(c.text);
    ASSERT_TRUE(secret.ok()) << secret.status().to_string();
    EXPECT_EQ(secret->transform, c.transform);
    ASSERT_EQ(secret->key.size(), c.size);
    for (std::size_t i = 0; i < c.size; ++i) EXPECT_EQ(secret->key[i], static_cast<std::byte>(i));
  }
}

TEST(DhchapSecret, WhatIsNoneIsRefusedAndNotShown) {
  const std::string good(kExample);
  const auto refused = [](std::string_view text) {
    const Result<DhchapSecret> secret = parse_dhchap_secret(text);
    EXPECT_EQ(secret.code(), Code::invalid) << text;
    EXPECT_EQ(secret.status().message().find("ia6z"), std::string::npos);
    return secret.status().message();
  };
  for (std::size_t size = 0; size < good.size(); ++size) refused(good.substr(0, size));
  for (const std::string_view other :
       {"DHHC-2:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:",
        "DHHC-1:04:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:",
        "DHHC-1:1:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:", "DHHC-1:00:ia6z God:",
        "DHHC-1:00:ia6=Godt:", "DHHC-1:00::",
        // Bits behind the last byte.
        "DHHC-1:02:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcSEgBR==:"}) {
    refused(other);
  }
  // Keys of 16, 31 and 33 bytes, with right checksums.
  for (const std::string_view size :
       {"DHHC-1:00:AAECAwQFBgcICQoLDA0OD4jizs4=:",
        "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHndteE0=:",
        "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gBYOQ5A==:"}) {
    EXPECT_NE(refused(size).find("neither 32 nor 48 nor 64 bytes"), std::string::npos);
  }
  std::string changed = good;
  changed[20] = changed[20] == 'A' ? 'B' : 'A';
  EXPECT_NE(refused(changed).find("checksum"), std::string::npos);
  refused(good + std::string(1000, 'A') + ":");
}

}  // namespace
}  // namespace scalio::nvmf
