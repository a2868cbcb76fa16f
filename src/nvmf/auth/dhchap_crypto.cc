#include "nvmf/auth/dhchap_crypto.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>

#include <atomic>
#include <utility>

#include "base/assert.h"

namespace scalio::nvmf {

namespace {

template <auto kFree>
struct FreeBy {
  template <class T>
  void operator()(T* p) const {
    kFree(p);
  }
};
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeBy<&EVP_PKEY_CTX_free>>;
using BigNumber = std::unique_ptr<BIGNUM, FreeBy<&BN_clear_free>>;

const unsigned char* raw(ByteView b) { return reinterpret_cast<const unsigned char*>(b.data()); }
unsigned char* raw(Bytes& b) { return reinterpret_cast<unsigned char*>(b.data()); }

const EVP_MD* function_of(AuthHash hash) {
  switch (hash) {
    case AuthHash::sha256: return EVP_sha256();
    case AuthHash::sha384: return EVP_sha384();
    case AuthHash::sha512: return EVP_sha512();
  }
  SCALIO_ASSERT(false);  // it was checked where it came in
}

Bytes hash_of(AuthHash hash, ByteView text) {
  Bytes out(size_of(hash));
  const int done =
      EVP_Digest(text.data(), text.size(), raw(out), nullptr, function_of(hash), nullptr);
  SCALIO_ASSERT(done == 1);
  return out;
}

Bytes hmac_of(AuthHash hash, ByteView key, ByteView text) {
  Bytes out(size_of(hash));
  const unsigned char* const done =
      HMAC(function_of(hash), key.data(), static_cast<int>(key.size()), raw(text), text.size(),
           raw(out), nullptr);
  SCALIO_ASSERT(done != nullptr);
  return out;
}

const char* name_of(DhGroup group) {
  switch (group) {
    case DhGroup::ffdhe2048: return "ffdhe2048";
    case DhGroup::ffdhe3072: return "ffdhe3072";
    case DhGroup::ffdhe4096: return "ffdhe4096";
    case DhGroup::ffdhe6144: return "ffdhe6144";
    case DhGroup::ffdhe8192: return "ffdhe8192";
    case DhGroup::none: break;
  }
  SCALIO_ASSERT(false);
}

Status no_key(std::string_view what) {
  return {Code::unavailable, fmt::format("OpenSSL cannot {}", what)};
}

// As EVP has it: a key of the group that has a public part alone. Null if it is none.
EVP_PKEY* key_of_peer(DhGroup group, ByteView public_key) {
  const BigNumber number(BN_bin2bn(raw(public_key), static_cast<int>(public_key.size()), nullptr));
  const std::unique_ptr<OSSL_PARAM_BLD, FreeBy<&OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
  if (!number || !builder) return nullptr;
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, name_of(group),
                                      0) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, number.get()) != 1) {
    return nullptr;
  }
  const std::unique_ptr<OSSL_PARAM, FreeBy<&OSSL_PARAM_free>> parameters(
      OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return key;
}

}  // namespace

Bytes response_key(const DhchapSecret& secret, std::string_view nqn) {
  if (!secret.transform) return secret.key;
  const std::string text = std::string(nqn) + "NVMe-over-Fabrics";
  return hmac_of(*secret.transform, secret.key, as_bytes(text));
}

Bytes response_to(const ChallengeTerms& terms, ByteView key) {
  SCALIO_ASSERT(terms.challenge.size() == size_of(terms.hash));
  Bytes text;
  ByteWriter w(text);
  if (terms.shared.empty()) {
    w.bytes(terms.challenge);
  } else {
    w.bytes(hmac_of(terms.hash, hash_of(terms.hash, terms.shared), terms.challenge));
  }
  w.put(terms.sequence);
  w.put(terms.transaction);
  w.put(std::uint8_t{0});  // SC_C: no secure channel
  w.bytes(as_bytes(terms.end == AuthEnd::host ? "HostHost" : "Controller"));
  w.bytes(as_bytes(terms.own_nqn));
  w.put(std::uint8_t{0});
  w.bytes(as_bytes(terms.other_nqn));
  return hmac_of(terms.hash, key, text);
}

bool same_secretly(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::uint32_t next_sequence_number() {
  static std::atomic<std::uint32_t> last = [] {
    std::uint32_t first = 0;
    const int done = RAND_bytes(reinterpret_cast<unsigned char*>(&first), sizeof first);
    SCALIO_ASSERT(done == 1);
    return first;
  }();
  std::uint32_t number = 0;
  do number = ++last;
  while (number == 0);
  return number;
}

Result<Bytes> unpredictable_bytes(std::size_t size) {
  Bytes out(size);
  if (RAND_bytes(raw(out), static_cast<int>(size)) != 1) return no_key("give random bytes");
  return out;
}

void DhKey::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

Result<DhKey> DhKey::make(DhGroup group) {
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
  EVP_PKEY* key = nullptr;
  // OpenSSL does not write to it.
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                       const_cast<char*>(name_of(group)), 0),
      OSSL_PARAM_construct_end()};
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_params(context.get(), parameters) != 1 ||
      EVP_PKEY_generate(context.get(), &key) != 1) {
    return no_key(fmt::format("make a key of {}", name_of(group)));
  }
  DhKey made(group, key);
  BIGNUM* number = nullptr;
  const int got = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PUB_KEY, &number);
  const BigNumber public_key(number);
  made.public_key_.resize(size_of(group));
  const int size = static_cast<int>(made.public_key_.size());
  if (got != 1 || BN_bn2binpad(public_key.get(), raw(made.public_key_), size) != size)
    return no_key("tell a public key");
  return made;
}

Result<Bytes> DhKey::shared_with(ByteView public_key) const {
  const Status wrong(Code::invalid, "the public key is none of the group");
  if (public_key.empty() || public_key.size() > size_of(group_)) return wrong;
  const std::unique_ptr<EVP_PKEY, Free> peer(key_of_peer(group_, public_key));
  if (!peer) return wrong;
  const KeyContext peers(EVP_PKEY_CTX_new(peer.get(), nullptr));
  const KeyContext context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  // That it is more than 1 and less than the group's prime less 1 is enough in these groups, whose
  // primes are safe. What is checked unasked is a power of it: 100 times the work.
  if (!peers || EVP_PKEY_public_check_quick(peers.get()) != 1) return wrong;
  // With leading zeroes, as all do: its hash is a key.
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_dh_pad(context.get(), 1) != 1 ||
      EVP_PKEY_derive_set_peer_ex(context.get(), peer.get(), 0) != 1) {
    return wrong;
  }
  Bytes shared(size_of(group_));
  std::size_t size = shared.size();
  if (EVP_PKEY_derive(context.get(), raw(shared), &size) != 1 || size != shared.size())
    return wrong;
  return shared;
}

}  // namespace scalio::nvmf
