#include "layout/log_key.h"

#include <sodium.h>

#include "base/assert.h"

namespace scalio::layout {

namespace {
static_assert(sizeof(StoreKey) == crypto_kdf_KEYBYTES);
static_assert(sizeof(Mac) == crypto_shorthash_siphashx24_KEYBYTES);
static_assert(sizeof(Mac) == crypto_shorthash_siphashx24_BYTES);

// What is derived, as the KDF's context.
constexpr char kHeaderContext[crypto_kdf_CONTEXTBYTES + 1] = "logheads";
constexpr char kRecordContext[crypto_kdf_CONTEXTBYTES + 1] = "logrecds";
constexpr char kProofContext[crypto_kdf_CONTEXTBYTES + 1] = "keyproof";

Mac derive(const StoreKey& key, const char* context, std::uint64_t number) {
  // The library chooses its code for this CPU once.
  static const bool ready = sodium_init() >= 0;
  Mac out{};
  const bool derived =
      crypto_kdf_derive_from_key(out.data(), out.size(), number, context, key.data()) == 0;
  SCALIO_ASSERT(ready && derived);
  return out;
}
}  // namespace

LogKey log_key_of(const StoreKey& key, std::uint32_t shard) {
  return {derive(key, kHeaderContext, shard), derive(key, kRecordContext, shard)};
}

Mac proof_of(const StoreKey& key) { return derive(key, kProofContext, 0); }

Mac mac(const Mac& key, ByteView bytes) {
  Mac out{};
  crypto_shorthash_siphashx24(out.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                              bytes.size(), key.data());
  return out;
}

}  // namespace scalio::layout
