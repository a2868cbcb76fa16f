// TlsSource: whom one that listens is now: its files are read again without a restart, so that a
// certificate can be renewed. What is connected goes on with what it has begun with. Any thread.
#pragma once

#include <memory>
#include <mutex>

#include "net/tls_context.h"

namespace scalio::net {

class TlsSource {
 public:
  // Failures: as TlsContext::load for a server.
  static Result<std::shared_ptr<TlsSource>> load(TlsFiles files);

  // For a new connection.
  std::shared_ptr<const TlsContext> current() const;
  // Reads the files again. A failure, as of load(), changes nothing.
  Status reload();

 private:
  TlsSource(TlsFiles files, std::shared_ptr<const TlsContext> context)
      : files_(std::move(files)), current_(std::move(context)) {}

  const TlsFiles files_;
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> current_;
};

}  // namespace scalio::net
