// TlsSession: one TLS connection between bytes and bytes. It touches no socket: what has come is
// given to it, what is to go is taken from it. Belongs to one thread at a time.
//
// What it holds is bounded: of what has come a part of one record (17 KiB), of what is to go what
// one send() made, or a handshake, or answers to kMostOverhead of what has come. So is what the
// other end can have it do for nothing: records that bring no data, such as updates of keys, may
// have kMostOverhead bytes more than a stream of data would need for its records.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "net/tls_context.h"

struct ssl_st;

namespace scalio::net {

class TlsSession {
 public:
  // `peer`: of a client, the host that the server's certificate must name, if it shows one. A
  // client's handshake begins with the first send() or receive().
  TlsSession(std::shared_ptr<const TlsContext> context, const std::string& peer);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  static constexpr std::size_t kMostOverhead = 64 << 10;

  // Decrypts what has come, and takes it off, until `into` is full or all of it is taken. How many
  // bytes there are in `into`. Then, if that is 0, it may have ended or failed.
  std::size_t receive(ByteView& come, ByteSpan into);
  // Encrypts. How many bytes it took: none before the handshake is over.
  std::size_t send(ByteView plain);
  // Says close_notify, if a handshake was made.
  void close();

  // What is to go to the other end, and how much of it has gone.
  ByteView unsent() const { return ByteView(out_).subspan(gone_); }
  void sent(std::size_t bytes);

  bool established() const { return established_; }
  // The other end has said close_notify: nothing more comes.
  bool ended() const { return ended_; }
  bool failed() const { return !failure_.empty(); }
  // "TLS: " and why.
  const std::string& failure() const { return failure_; }

  // For OpenSSL's calls.
  std::size_t take(ByteSpan into);
  void give(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

 private:
  bool check(int result);
  void count_overhead(std::size_t taken, std::size_t data);

  const std::shared_ptr<const TlsContext> context_;
  ssl_st* ssl_ = nullptr;
  ByteView come_;             // during receive()
  std::size_t overhead_ = 0;  // bytes that have come and are no data, less what data may have
  Bytes out_;
  std::size_t gone_ = 0;  // of it
  bool established_ = false;
  bool ended_ = false;
  std::string failure_;
};

}  // namespace scalio::net
