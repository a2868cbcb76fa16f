// TlsTestFiles: certificates, made anew by each process of tests: a CA and what it has signed, and
// another one's; and pre-shared keys. Whatever is wrong with one is in its name.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <memory>
#include <string>

#include "net/tls_source.h"
#include "testing/loops.h"

namespace scalio {

class TlsTestFiles {
 public:
  TlsTestFiles() {
    const Signed ca = make("ca", "a CA", {}, nullptr, kDay);
    const Signed stranger = make("stranger", "another CA", {}, nullptr, kDay);
    const std::string here = "DNS:localhost,IP:127.0.0.1,IP:::1";
    make("server", "server", here, &ca, kDay);
    make("client", "client", {}, &ca, kDay);
    make("expired", "server", here, &ca, -kDay);
    make("elsewhere", "server", "DNS:elsewhere.example,IP:192.0.2.1", &ca, kDay);
    make("foreign", "server", here, &stranger, kDay);
    write("psk", "alice:" + std::string(64, 'a') + "\n");
    write("wrong-psk", "alice:" + std::string(64, 'b') + "\n");
    write("unknown-psk", "mallory:" + std::string(64, 'a') + "\n");
    write("psks", "# two of them\n\nbob:" + std::string(32, 'c') +
                      "\nalice:" + std::string(64, 'a') + "\n");
  }

  // "server" is the certificate's file; its key's is "server-key".
  std::string path(const std::string& name) const { return dir_.path() + "/" + name + ".pem"; }
  net::TlsFiles of(const std::string& name, const std::string& ca = {}) const {
    return {path(name), path(name + "-key"), ca.empty() ? "" : path(ca), ""};
  }
  net::TlsFiles trusting(const std::string& ca) const { return {"", "", path(ca), ""}; }
  net::TlsFiles keyed(const std::string& name) const { return {"", "", "", path(name)}; }
  void write(const std::string& name, const std::string& text) const {
    std::FILE* f = open(name);
    std::fputs(text.c_str(), f);
    std::fclose(f);
  }

 private:
  static constexpr long kDay = 24 * 3600;
  struct Free {
    void operator()(X509* x) const { X509_free(x); }
    void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
  };
  struct Signed {
    std::unique_ptr<X509, Free> certificate;
    std::unique_ptr<EVP_PKEY, Free> key;
  };

  std::FILE* open(const std::string& name) const {
    std::FILE* f = std::fopen(path(name).c_str(), "w");
    EXPECT_NE(f, nullptr) << path(name);
    chmod(path(name).c_str(), 0600);
    return f;
  }
  static void extend(X509* x, int nid, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    EXPECT_NE(extension, nullptr) << value;
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
  }
  // By itself, if there is no CA. It ends so many seconds from now.
  Signed make(const std::string& file, const std::string& name, const std::string& hosts,
              const Signed* ca, long seconds) const {
    static long serial = 0;
    Signed made{std::unique_ptr<X509, Free>(X509_new()),
                std::unique_ptr<EVP_PKEY, Free>(EVP_EC_gen("P-256"))};
    X509* x = made.certificate.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -30 * kDay);
    X509_gmtime_adj(X509_getm_notAfter(x), seconds);
    X509_set_pubkey(x, made.key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(ca ? ca->certificate.get() : x));
    if (ca == nullptr) extend(x, NID_basic_constraints, "critical,CA:TRUE");
    if (!hosts.empty()) extend(x, NID_subject_alt_name, hosts);
    EXPECT_GT(X509_sign(x, (ca ? ca->key : made.key).get(), EVP_sha256()), 0);
    std::FILE* f = open(file);
    PEM_write_X509(f, x);
    std::fclose(f);
    f = open(file + "-key");
    PEM_write_PrivateKey(f, made.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(f);
    return made;
  }

  TempDir dir_;
};

// Of the process: made once.
inline const TlsTestFiles& tls_files() {
  static const TlsTestFiles files;
  return files;
}

inline std::shared_ptr<const net::TlsContext> load_tls(net::TlsContext::Role role,
                                                       const net::TlsFiles& files) {
  Result<std::shared_ptr<const net::TlsContext>> context = net::TlsContext::load(role, files);
  EXPECT_TRUE(context.ok()) << context.status().to_string();
  return context.ok() ? *context : nullptr;
}

// What ends of transports have that a test does not say more about.
inline std::shared_ptr<net::TlsSource> tls_source(const net::TlsFiles& files) {
  const Result<std::shared_ptr<net::TlsSource>> source = net::TlsSource::load(files);
  EXPECT_TRUE(source.ok()) << source.status().to_string();
  return source.ok() ? *source : nullptr;
}
inline std::shared_ptr<const net::TlsSource> server_tls() {
  static const auto source = tls_source(tls_files().of("server"));
  return source;
}
inline std::shared_ptr<const net::TlsContext> client_tls() {
  static const auto context = load_tls(net::TlsContext::Role::client, tls_files().trusting("ca"));
  return context;
}

}  // namespace scalio
