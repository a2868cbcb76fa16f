#include "net/tls_source.h"

#include <utility>

namespace scalio::net {

Result<std::shared_ptr<TlsSource>> TlsSource::load(TlsFiles files) {
  auto context = TlsContext::load(TlsContext::Role::server, files);
  if (!context.ok()) return context.status();
  return std::shared_ptr<TlsSource>(new TlsSource(std::move(files), *std::move(context)));
}

std::shared_ptr<const TlsContext> TlsSource::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

Status TlsSource::reload() {
  auto context = TlsContext::load(TlsContext::Role::server, files_);
  if (!context.ok()) return context.status();
  std::lock_guard lock(mutex_);
  current_ = *std::move(context);
  return Status();
}

}  // namespace scalio::net
