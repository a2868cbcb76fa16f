#include "c_api/c_options.h"

#include <chrono>
#include <new>

using std::chrono::milliseconds;

scalio_options* scalio_options_new() { return new (std::nothrow) scalio_options(); }

void scalio_options_free(scalio_options* options) { delete options; }

void scalio_options_set_threads(scalio_options* options, unsigned threads) {
  if (options) options->value.threads = threads;
}

void scalio_options_set_in_flight(scalio_options* options, size_t operations) {
  if (options) options->value.in_flight = operations;
}

void scalio_options_set_submit_timeout(scalio_options* options, uint32_t ms) {
  if (options) options->value.submit_timeout = milliseconds(ms);
}

void scalio_options_set_connect_timeout(scalio_options* options, uint32_t ms) {
  if (options) options->value.client.connect_timeout = milliseconds(ms);
}

void scalio_options_set_operation_timeout(scalio_options* options, uint32_t ms) {
  if (options) options->value.client.operation_timeout = milliseconds(ms);
}

void scalio_options_set_resume_timeout(scalio_options* options, uint32_t ms) {
  if (options) options->value.client.resume_timeout = milliseconds(ms);
}

scalio_code scalio_options_add_ssd_path(scalio_options* options, const char* path) {
  if (!options || !path) return SCALIO_INVALID;
  try {
    options->value.client.ssd_paths.emplace_back(path);
  } catch (...) {
    return SCALIO_UNAVAILABLE;
  }
  return SCALIO_OK;
}

scalio_code scalio_options_set_tls(scalio_options* options, const char* ca, const char* cert,
                                   const char* key, const char* psk) {
  if (!options) return SCALIO_INVALID;
  const auto text = [](const char* given) { return given ? given : ""; };
  scalio::ClientOptions& client = options->value.client;
  try {
    client.tls_ca = text(ca);
    client.tls_cert = text(cert);
    client.tls_key = text(key);
    client.tls_psk = text(psk);
  } catch (...) {
    return SCALIO_UNAVAILABLE;
  }
  return SCALIO_OK;
}

scalio_code scalio_options_set_nvmf_dhchap(scalio_options* options, const char* path) {
  if (!options || !path) return SCALIO_INVALID;
  try {
    options->value.client.nvmf_dhchap = path;
  } catch (...) {
    return SCALIO_UNAVAILABLE;
  }
  return SCALIO_OK;
}

scalio_code scalio_options_set_user(scalio_options* options, const char* user, const char* secret) {
  if (!options || !user || !secret) return SCALIO_INVALID;
  try {
    options->value.client.user = user;
    options->value.client.secret = secret;
  } catch (...) {
    return SCALIO_UNAVAILABLE;
  }
  return SCALIO_OK;
}
