// TlsContext: whom this end of TLS connections is, and whom it believes. TLS 1.3 alone, by OpenSSL.
#pragma once

#include <scalio/status.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>

struct ssl_ctx_st;

namespace scalio::net {

// Names of files, in PEM but for the last.
struct TlsFiles {
  std::string cert;  // this end's certificate, with those between it and the CA
  std::string key;   // its private key
  std::string ca;    // who must have signed the other end's certificate
  // Lines "identity:key in hexadecimal digits", in place of all certificates. A client has one.
  std::string psk;

  bool empty() const { return cert.empty() && key.empty() && ca.empty() && psk.empty(); }
};

class TlsContext {
 public:
  enum class Role { client, server };

  // A server needs a certificate and its key, and asks clients for theirs if it has a CA; a client
  // needs a CA, and may have a certificate; or both have pre-shared keys. Failures, naming the file
  // and OpenSSL's reason: invalid.
  static Result<std::shared_ptr<const TlsContext>> load(Role role, const TlsFiles& files);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  Role role() const { return role_; }
  ssl_ctx_st* get() const { return context_; }
  // By identity; of a client one at most.
  const std::map<std::string, std::string, std::less<>>& keys() const { return keys_; }

 private:
  explicit TlsContext(Role role) : role_(role) {}
  Status create();
  Status use_certificates(const TlsFiles& files);
  Status use_keys(const std::string& path);
  Status take_key(std::string_view line);

  const Role role_;
  ssl_ctx_st* context_ = nullptr;
  std::map<std::string, std::string, std::less<>> keys_;
};

// What OpenSSL says of its last failure on this thread, and forgets then.
std::string tls_reason();

}  // namespace scalio::net
