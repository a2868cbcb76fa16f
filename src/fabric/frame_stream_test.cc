#include "fabric/frame_stream.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <random>
#include <string>

#include "task/io_thread.h"
#include "testing/loops.h"
#include "testing/sanitizer.h"
#include "testing/tls_files.h"

namespace scalio::fabric {
namespace {

TEST(SendBuffer, IsAQueueOfBytes) {
  std::mt19937 random(1);
  net::SendBuffer::Pool pool;
  net::SendBuffer buffer(pool);
  std::string model;
  char next = 0;
  for (int i = 0; i < 2000; ++i) {
    if (random() % 2 == 0) {
      ByteSpan room = buffer.append(random() % 3000);
      for (std::byte& b : room) {
        b = static_cast<std::byte>(next);
        model.push_back(next++);
      }
    } else {
      const std::size_t n = random() % (buffer.size() + 1);
      buffer.consume(n);
      model.erase(0, n);
    }
    ASSERT_EQ(buffer.size(), model.size());
    ASSERT_EQ(as_string(buffer.bytes()), model);
  }
}

// One end of a pair of streams; keeps what it hears.
struct StreamEnd final : FrameStream::Handler {
  void on_frame(const Frame& frame) override {
    heard.push_back(std::string(to_string(frame.kind)) + " " + std::to_string(frame.id) + " " +
                    std::string(as_string(frame.payload)));
    if (when_heard) when_heard();
  }
  void on_lost(const Status& why) override {
    EXPECT_FALSE(lost.has_value());
    lost = why;
  }
  void on_sent() override { ++sent; }
  void on_pause() override { ++pauses; }

  std::vector<std::string> heard;
  std::function<void()> when_heard;
  std::optional<Status> lost;
  int sent = 0, pauses = 0;
  std::shared_ptr<FrameStream> stream;
};

class FrameStreamTest : public testing::Test {
 protected:
  FrameStreamTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    a_.stream = FrameStream::create(*loop_, net::UniqueFd(fds[0]), a_, StreamLimits{});
    b_.stream = FrameStream::create(*loop_, net::UniqueFd(fds[1]), b_, StreamLimits{});
  }
  ~FrameStreamTest() override {
    a_.stream->stop();
    b_.stream->stop();
    for (int i = 0; i < 4; ++i) loop_->turn(false);
  }
  LoopPtr loop_ = make_loop();
  StreamEnd a_, b_;
};

TEST_F(FrameStreamTest, FramesArriveInOrderAndOfOneTurnTogether) {
  a_.stream->send(FrameKind::request, 1, as_bytes("one two"));
  a_.stream->send(FrameKind::request, 2, {});
  const ByteSpan room = a_.stream->send_space(FrameKind::reply, 3, 1);
  room[0] = std::byte{'x'};
  EXPECT_GT(a_.stream->queued(), 0u);
  turn_until(*loop_, [&] { return b_.heard.size() == 3; });
  EXPECT_EQ(b_.heard, (std::vector<std::string>{"request 1 one two", "request 2 ", "reply 3 x"}));
  EXPECT_EQ(b_.pauses, 1);
  EXPECT_EQ(a_.sent, 1);
  EXPECT_EQ(a_.stream->queued(), 0u);
}

TEST_F(FrameStreamTest, FailTellsThePeerWhyAndTheOwnerLater) {
  a_.stream->send(FrameKind::request, 1, {});
  a_.stream->fail(Status(Code::invalid, "no good"));
  EXPECT_FALSE(a_.lost.has_value());
  EXPECT_FALSE(a_.stream->open());
  a_.stream->send(FrameKind::request, 2, {});
  turn_until(*loop_, [&] { return a_.lost && b_.lost; });
  EXPECT_EQ(a_.lost->code(), Code::invalid);
  EXPECT_EQ(b_.lost->code(), Code::unavailable);
  EXPECT_EQ(b_.lost->message(), "closed by the peer: no good");
  EXPECT_EQ(b_.heard.size(), 1u);
  EXPECT_EQ(b_.pauses, 1) << "what came before the end is dealt with";
}

TEST_F(FrameStreamTest, AStoppedStreamCallsBackNoMore) {
  b_.when_heard = [&] { b_.stream->stop(); };
  a_.stream->send(FrameKind::request, 1, {});
  a_.stream->send(FrameKind::request, 2, {});
  turn_until(*loop_, [&] { return a_.lost.has_value(); });
  EXPECT_EQ(b_.heard.size(), 1u);
  EXPECT_FALSE(b_.lost.has_value());
}

TEST_F(FrameStreamTest, ASocketIsReleasedOnlyWhenNothingIsLeftInIt) {
  std::optional<Result<net::StreamSocket>> socket;
  b_.when_heard = [&] { socket = b_.stream->release(); };
  a_.stream->send(FrameKind::hello, 1, {});
  turn_until(*loop_, [&] { return socket.has_value(); });
  EXPECT_TRUE(socket->ok());
  EXPECT_FALSE(a_.lost.has_value());

  b_.stream = FrameStream::create(*loop_, std::move(**socket), b_, StreamLimits{});
  socket.reset();
  a_.stream->send(FrameKind::hello, 1, {});
  a_.stream->send(FrameKind::request, 2, {});
  turn_until(*loop_, [&] { return socket.has_value(); });
  EXPECT_EQ(socket->code(), Code::invalid);
  turn_until(*loop_, [&] { return a_.lost.has_value(); });
}

TEST_F(FrameStreamTest, DescriptorsTravelToWhoExpectsThem) {
  net::UniqueFd file(memfd_create("x", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(file.get(), 12345), 0);
  b_.stream->expect_descriptors();
  a_.stream->attach({file.get(), file.get()});
  a_.stream->send(FrameKind::welcome, 0, {});
  turn_until(*loop_, [&] { return b_.heard.size() == 1; });
  const Result<std::vector<net::UniqueFd>> got = b_.stream->take_descriptors();
  ASSERT_TRUE(got.ok());
  ASSERT_EQ(got->size(), 2u);
  struct stat st {};
  ASSERT_EQ(fstat((*got)[1].get(), &st), 0);
  EXPECT_EQ(st.st_size, 12345);
}

TEST_F(FrameStreamTest, DescriptorsThatFindNoRoomAreAFailure) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs descriptors of its own";
  net::UniqueFd file(memfd_create("x", MFD_CLOEXEC));
  for (int room = 0; room < 2; ++room) {
    b_.heard.clear();
    b_.stream->expect_descriptors();
    a_.stream->attach({file.get(), file.get()});
    a_.stream->send(FrameKind::welcome, 0, {});
    const net::UniqueFd next(dup(file.get()));
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit few{static_cast<rlim_t>(next.get() + 1 + room), before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    turn_until(*loop_, [&] { return b_.heard.size() == 1; });
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    const Result<std::vector<net::UniqueFd>> got = b_.stream->take_descriptors();
    EXPECT_EQ(got.code(), Code::unavailable);
    EXPECT_NE(got.status().message().find("Too many open files"), std::string::npos);
  }
}

TEST(FrameStream, WhoDoesNotEndAFrameIsGivenUp) {
  const LoopPtr loop = make_loop();
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  const net::UniqueFd peer(fds[1]);
  StreamEnd end;
  StreamLimits limits;
  limits.stall_timeout = kMillisecond;
  end.stream = FrameStream::create(*loop, net::UniqueFd(fds[0]), end, limits);
  // A whole frame, and the half of another.
  Bytes bytes(2 * kFrameHeader + 1);
  put_header(bytes.data(), FrameKind::request, 1, 0);
  put_header(bytes.data() + kFrameHeader, FrameKind::request, 2, 2);
  ASSERT_EQ(send(peer.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  turn_until(*loop, [&] { return end.lost.has_value(); });
  EXPECT_EQ(end.lost->code(), Code::timed_out);
  EXPECT_EQ(end.heard.size(), 1U);
  end.stream->stop();
  for (int i = 0; i < 4; ++i) loop->turn(false);
}

// TLS takes nothing before its handshake is over, though the socket would.
TEST(FrameStreamUnderTls, ASilentPeerIsGivenUp) {
  const LoopPtr loop = make_loop();
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  const net::UniqueFd silent(fds[1]);
  StreamEnd end;
  StreamLimits limits;
  limits.stall_timeout = kMillisecond;
  end.stream = FrameStream::create(
      *loop, net::StreamSocket(net::UniqueFd(fds[0]), client_tls(), "localhost"), end, limits);
  end.stream->send(FrameKind::request, 1, {});
  turn_until(*loop, [&] { return end.lost.has_value(); });
  EXPECT_EQ(end.lost->code(), Code::timed_out);
  EXPECT_EQ(end.sent, 0);
  end.stream->stop();
  for (int i = 0; i < 4; ++i) loop->turn(false);
}

TEST(IoThread, RunsWhatItIsGivenAndItsPostedWork) {
  Result<std::unique_ptr<IoThread>> io = IoThread::start("test");
  ASSERT_TRUE(io.ok());
  EventLoop& loop = (*io)->loop();
  int steps = 0;
  auto body = [](EventLoop& l, int* count) -> Task<void> {
    ++*count;
    co_await l.yield();
    ++*count;
  };
  run_and_wait(loop, [&] { loop.spawn(body(loop, &steps)); });
  EXPECT_EQ(steps, 2);
  (*io)->stop();
  EXPECT_GT((*io)->cpu_time(), 0u);
}

}  // namespace
}  // namespace scalio::fabric
