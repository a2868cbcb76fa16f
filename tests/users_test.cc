// Users and their rights, attacked over sockets by hand: nothing here that attacks uses the
// library, but for what reads a process's output.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <scalio/shared_client.h>
#include <signal.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/store.h"
#include "testing/tls_files.h"

namespace scalio::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

constexpr int kFailure = 3;  // an exit status
constexpr uid_t kNobody = 65534;

// Kinds of frames, as docs/formats.md has them.
enum : unsigned char {
  kHello = 1,
  kWelcome = 2,
  kRefused = 3,
  kRequest = 4,
  kReply = 5,
  kRead = 6,
  kReadDone = 7,
  kWrite = 8,
  kWriteDone = 9,
  kCas = 10,
  kCasDone = 11,
  kClose = 12,
  kLogin = 15,
  kChallenge = 16,
  kProof = 17,
  kProven = 18,
};

// Kinds of requests, likewise; 0x80 says that there is an end, 0x40 that it is relative.
enum : unsigned char {
  kPut = 1,
  kRemove = 2,
  kPutIf = 3,
  kStat = 4,
  kReport = 5,
  kShardHello = 6,
  kRemoveIf = 7,
  kValueBegin = 8,
  kValuePart = 9,
  kValueCommit = 10,
  kValueCommitIf = 11,
  kValueAbandon = 12,
  kSetEnd = 13,
  kAppend = 14,
  kIncrement = 15,
  kStoreTime = 16,
  kHasEnd = 0x80,
  kEndIsRelative = 0x40,
};
constexpr char kDenied = 13;  // a reply's code

template <class T>
std::string raw(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

struct RawFrame {
  unsigned char kind = 0;  // 0: the connection ended, or nothing came in time
  std::string payload;
};

std::string hello_to(std::uint32_t lane) {
  return raw<std::uint64_t>(0x314f494c41435301) + raw<std::uint32_t>(3) + raw(lane) +
         raw<std::uint64_t>(0);
}

// A request to shard 0. `sequence` is a write's in its session; an end, if the kind has one, is
// far.
std::string request(unsigned char kind, std::uint64_t sequence, const std::string& key,
                    const std::string& value) {
  const bool has_end = (kind & 0x80) != 0;
  return std::string(1, static_cast<char>(kind)) + raw<std::uint32_t>(0) + raw(sequence) +
         raw<std::uint64_t>(0) + raw<std::uint64_t>(0) +
         (has_end ? raw(std::uint64_t{1} << 60) : "") +
         raw(static_cast<std::uint32_t>(key.size())) + key +
         raw(static_cast<std::uint32_t>(value.size())) + value;
}

// A request of kind hello to shard 0, that goes on with `session`.
std::string shard_hello(std::uint64_t session) { return request(kShardHello, 0, "", raw(session)); }

struct FreeTls {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* session) const { SSL_free(session); }
};

// One connection, by hand.
class Attacker {
 public:
  explicit Attacker(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    begin(reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  explicit Attacker(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof to.sun_path - 1);
    begin(reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  ~Attacker() {
    for (int fd : received) close(fd);
    close(fd_);
  }
  Attacker(const Attacker&) = delete;
  Attacker& operator=(const Attacker&) = delete;

  bool connected() const { return connected_; }
  // From now on under TLS, whoever it is that it speaks to.
  bool encrypt() {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    tls_.reset(SSL_new(context_.get()));
    SSL_set_fd(tls_.get(), fd_);
    return SSL_connect(tls_.get()) == 1;
  }
  void send(unsigned char kind, const std::string& payload, std::uint64_t id = 0) {
    const std::string frame = raw(static_cast<std::uint32_t>(payload.size())) +
                              std::string{static_cast<char>(kind), 0, 0, 0} + raw(id) + payload;
    if (tls_) {
      SSL_write(tls_.get(), frame.data(), static_cast<int>(frame.size()));
    } else {
      [[maybe_unused]] auto sent = ::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL);
    }
  }
  RawFrame receive() {
    const std::string header = take(16);
    if (header.size() < 16) return {};
    std::uint32_t size = 0;
    std::memcpy(&size, header.data(), sizeof size);
    return {static_cast<unsigned char>(header[4]), take(size)};
  }

  // Says who it is; the challenge.
  std::string say_login(const std::string& user) {
    std::string nonce(32, '\0');
    randombytes_buf(nonce.data(), nonce.size());
    login = nonce + user;
    send(kLogin, login);
    const RawFrame challenge = receive();
    EXPECT_EQ(challenge.kind, kChallenge) << challenge.payload;
    return challenge.payload;
  }
  // The whole login. The answer to the proof.
  RawFrame log_in(const std::string& user, const std::string& secret) {
    return prove(say_login(user), secret);
  }
  RawFrame prove(const std::string& challenge, const std::string& secret) {
    if (challenge.size() != 49) return {};
    unsigned char salted[32], client[32], stored[32], signature[32];
    const auto* salt = reinterpret_cast<const unsigned char*>(challenge.data()) + 1;
    if (crypto_pwhash(salted, sizeof salted, secret.data(), secret.size(), salt, 2, 64 << 20,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
      return {};
    }
    hmac(client, "Client Key", salted);
    crypto_hash_sha256(stored, client, sizeof client);
    hmac(signature, "scalio login 1" + login + challenge, stored);
    proof.clear();
    for (int i = 0; i < 32; ++i) proof += static_cast<char>(client[i] ^ signature[i]);
    send(kProof, proof);
    return receive();
  }

  // And then hello to lane 0, and to shard 0.
  bool begin_as(const std::string& user, const std::string& secret) {
    if (log_in(user, secret).kind != kProven) return false;
    send(kHello, hello_to(0));
    return receive().kind == kWelcome && ask(shard_hello(0)).code == 0;
  }
  // The reply to a request; its code is -1 if there was none.
  struct Answer {
    int code = -1;
    std::uint64_t version = 0;
    std::string text;
  };
  Answer ask(const std::string& message) {
    send(kRequest, message, ++calls_);
    const RawFrame reply = receive();
    if (reply.kind != kReply || reply.payload.size() < 13) return {};
    Answer answer{reply.payload[0], 0, reply.payload.substr(13)};
    std::memcpy(&answer.version, reply.payload.data() + 1, sizeof answer.version);
    return answer;
  }

  std::string login, proof;   // as they were said
  std::vector<int> received;  // descriptors

 private:
  static void hmac(unsigned char* out, const std::string& text, const unsigned char* key) {
    crypto_auth_hmacsha256(out, reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                           key);
  }
  void begin(const sockaddr* to, socklen_t size) {
    const timeval bound{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    connected_ = sodium_init() >= 0 && connect(fd_, to, size) == 0;
  }
  std::string take(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (tls_ && have < size) {
      const int n = SSL_read(tls_.get(), bytes.data() + have, static_cast<int>(size - have));
      if (n <= 0) return {};
      have += static_cast<std::size_t>(n);
    }
    while (have < size) {
      iovec part{bytes.data() + have, size - have};
      alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      const ssize_t n = recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
      if (n <= 0) return {};
      for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
          int fd = -1;
          std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
          received.push_back(fd);
        }
      }
      have += static_cast<std::size_t>(n);
    }
    return bytes;
  }

  const int fd_;
  std::unique_ptr<SSL_CTX, FreeTls> context_;
  std::unique_ptr<SSL, FreeTls> tls_;
  bool connected_ = false;
  std::uint64_t calls_ = 0;
};

class UsersTest : public ::testing::Test {
 protected:
  static constexpr char kReaderSecret[] = "the reader's secret";
  static constexpr char kFillerSecret[] = "the filler's secret";
  static constexpr char kWriterSecret[] = "the writer's secret";

  void SetUp() override {
    add("reader", kReaderSecret, {"--right", "read"});
    add("filler", kFillerSecret, {"--right", "read+fill"});
    add("writer", kWriterSecret, {"--right", "read+fill", "--right", "write"});
    store_.emplace(scratch_, StoreOptions{.ssds = 1,
                                          .ssd_size = "64M",
                                          .format = {"--values", "16M"},
                                          .cache = "8M",
                                          .serve = {"--users", file_, "--threads", "1", "--nvmf",
                                                    "127.0.0.1:0", "--listen", "tls:127.0.0.1:0",
                                                    "--tls-cert", tls_files().path("server"),
                                                    "--tls-key", tls_files().path("server-key")}});
    ASSERT_TRUE(store_->start());
  }

  std::string secret_file(const std::string& user) {
    return (scratch_ / (user + ".secret")).string();
  }
  void add(const std::string& user, const std::string& secret, std::vector<std::string> rights) {
    std::ofstream(secret_file(user)) << secret << '\n';
    chmod(secret_file(user).c_str(), 0600);
    std::vector<std::string> args = {"user", "add",           file_,
                                     user,   "--secret-file", secret_file(user)};
    args.insert(args.end(), rights.begin(), rights.end());
    const Finished added = scalio(scratch_, args);
    ASSERT_EQ(added.status, 0) << added.err;
  }
  Finished as(const std::string& user, std::vector<std::string> args, const std::string& uri) {
    args.insert(args.end(), {"--server", uri});
    if (!user.empty())
      args.insert(args.end(), {"--user", user, "--secret-file", secret_file(user)});
    return scalio(scratch_, args);
  }
  // Has the server read the users' file again, of which its log says `said`.
  void reload(const std::string& said) {
    ASSERT_EQ(kill(store_->pid(), SIGHUP), 0);
    while (store_->running() && store_->log().find(said) == std::string::npos)
      std::this_thread::yield();
  }
  int tls_port() const {
    const std::string before = "listening on tls:127.0.0.1:", log = store_->log();
    const std::size_t at = log.find(before);
    EXPECT_NE(at, std::string::npos) << log;
    return at == std::string::npos ? 0 : std::stoi(log.substr(at + before.size()));
  }
  Finished as(const std::string& user, std::vector<std::string> args) {
    return as(user, std::move(args), store_->tcp_uri());
  }

  Scratch scratch_{"users"};
  const std::string file_ = (scratch_ / "users.toml").string();
  std::optional<Store> store_;
};

TEST_F(UsersTest, EachMayWhatItsRightsSay) {
  EXPECT_EQ(as("writer", {"put", "key", "value"}).status, 0);
  EXPECT_EQ(as("writer", {"put", "key", "value"}, store_->unix_uri()).status, 0);
  // Reading by misses, which it does not cache, and then a hit.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(as("reader", {"get", "key"}).out, "value");
  EXPECT_EQ(as("writer", {"get", "key"}).out, "value");
  EXPECT_EQ(as("reader", {"get", "key"}).out, "value");
  for (const std::vector<std::string>& write : {std::vector<std::string>{"put", "key", "other"},
                                                {"delete", "key"},
                                                {"put", "large", std::string(20'000, 'x')},
                                                {"append", "key", "x"},
                                                {"increment", "number"}}) {
    const Finished refused = as("reader", write);
    EXPECT_EQ(refused.status, kFailure) << write[0];
    EXPECT_THAT(refused.err, HasSubstr("user reader may not write")) << write[0];
  }
  EXPECT_EQ(as("reader", {"get", "key"}).out, "value");
  EXPECT_EQ(as("reader", {"stat"}).status, 0);
}

// The certificate says which server it is, the secret who the client is.
TEST_F(UsersTest, TheyLogInUnderTls) {
  const std::string uri = "tls:127.0.0.1:" + std::to_string(tls_port());
  const std::vector<std::string> ca = {"--tls-ca", tls_files().path("ca")};
  const auto encrypted = [&](const std::string& user, std::vector<std::string> args) {
    args.insert(args.end(), ca.begin(), ca.end());
    return as(user, args, uri);
  };
  EXPECT_EQ(encrypted("writer", {"put", "key", "value"}).status, 0);
  EXPECT_EQ(encrypted("reader", {"get", "key"}).out, "value");
  EXPECT_THAT(encrypted("reader", {"put", "key", "x"}).err, HasSubstr("may not write"));
  EXPECT_THAT(encrypted("", {"get", "key"}).err, HasSubstr("this server has users"));

  Attacker stranger(tls_port()), guesser(tls_port()), reader(tls_port()), heard(tls_port()),
      replay(tls_port());
  for (Attacker* attacker : {&stranger, &guesser, &reader, &heard, &replay}) {
    ASSERT_TRUE(attacker->encrypt());
  }
  stranger.send(kHello, hello_to(0));
  EXPECT_EQ(stranger.receive().kind, kRefused);
  EXPECT_EQ(guesser.log_in("writer", "not the secret").kind, kRefused);
  ASSERT_EQ(heard.log_in("writer", kWriterSecret).kind, kProven);
  replay.send(kLogin, heard.login);
  ASSERT_EQ(replay.receive().kind, kChallenge);
  replay.send(kProof, heard.proof);
  EXPECT_EQ(replay.receive().kind, kRefused);
  ASSERT_TRUE(reader.begin_as("reader", kReaderSecret));
  EXPECT_EQ(reader.ask(request(kPut, 1, "key", "other")).code, kDenied);
  reader.send(kWrite, raw<std::uint64_t>(0) + std::string(8, 'x'));
  EXPECT_EQ(reader.receive().kind, kClose);
  EXPECT_EQ(encrypted("reader", {"get", "key"}).out, "value");
}

TEST_F(UsersTest, EveryThreadOfASharedClientLogsIn) {
  SharedClientOptions options;
  options.threads = 2;
  options.client.user = "writer";
  options.client.secret = kWriterSecret;
  for (const std::string& uri : {store_->unix_uri(), store_->tcp_uri()}) {
    Result<std::unique_ptr<SharedClient>> client = SharedClient::connect(uri, options);
    ASSERT_TRUE(client.ok()) << client.status().to_string();
    std::vector<std::future<Result<std::uint64_t>>> puts;
    for (int i = 0; i < 8; ++i) puts.push_back((*client)->put("key-" + std::to_string(i), "value"));
    for (auto& put : puts) EXPECT_TRUE(put.get().ok());
  }
  options.client.secret = "not the secret";
  const Status refused = SharedClient::connect(store_->tcp_uri(), options).status();
  EXPECT_EQ(refused.code(), Code::denied);
  EXPECT_THAT(refused.message(), HasSubstr("there is no user writer with this secret"));
}

TEST_F(UsersTest, AStrangerIsOfferedNothing) {
  Attacker over_tcp(store_->port()), over_unix(store_->unix_path());
  for (Attacker* stranger : {&over_tcp, &over_unix}) {
    ASSERT_TRUE(stranger->connected());
    stranger->send(kHello, hello_to(0));
    const RawFrame answer = stranger->receive();
    EXPECT_EQ(answer.kind, kRefused);
    EXPECT_THAT(answer.payload, HasSubstr("this server has users"));
    EXPECT_TRUE(stranger->received.empty());
  }
  // Nor to who skips the hello, or the proof.
  Attacker rude(store_->port());
  rude.send(kRead, raw<std::uint64_t>(0) + raw<std::uint32_t>(64));
  EXPECT_NE(rude.receive().kind, kReadDone);
  Attacker hasty(store_->port());
  hasty.say_login("writer");
  hasty.send(kHello, hello_to(0));
  EXPECT_EQ(hasty.receive().kind, kRefused);
  // The library says it to programs, which have no options of a command line.
  const Status denied = Client::connect(store_->unix_uri()).status();
  EXPECT_EQ(denied.code(), Code::denied);
  EXPECT_THAT(denied.message(), HasSubstr("this server has users"));
  EXPECT_THAT(denied.message(), Not(HasSubstr("--")));
  EXPECT_THAT(as("", {"get", "key"}).err,
              AllOf(HasSubstr("this server has users"), HasSubstr("--user and --secret-file")));
}

// Whether the user is there or not: a stranger cannot tell.
TEST_F(UsersTest, AWrongSecretIsRefused) {
  for (const std::string& user : {std::string("writer"), std::string("nobody")}) {
    Attacker guesser(store_->port());
    const RawFrame answer = guesser.log_in(user, "not the secret");
    EXPECT_EQ(answer.kind, kRefused);
    EXPECT_THAT(answer.payload, HasSubstr("there is no user " + user + " with this secret"));
  }
  Attacker again(store_->port());
  EXPECT_EQ(again.log_in("writer", kWriterSecret).kind, kProven);
}

// A proof that is looked at takes no Argon2id, neither of who guesses nor of the server.
TEST_F(UsersTest, WhoGuessesKeepsNoOtherUserOut) {
  const auto guess = [](Attacker& guesser, const std::string& user) {
    guesser.say_login(user);
    guesser.send(kProof, std::string(32, 'x'));
    return guesser.receive().payload;
  };
  for (const bool local : {false, true}) {
    std::string answer;
    for (int tries = 0; tries < 1000 && answer.find("too many") == std::string::npos; ++tries) {
      std::optional<Attacker> guesser;
      if (local) {
        guesser.emplace(store_->unix_path());
      } else {
        guesser.emplace(store_->port());
      }
      answer = guess(*guesser, "nobody");
    }
    EXPECT_THAT(answer, HasSubstr("too many wrong secrets of user nobody"));
  }
  Attacker over_tcp(store_->port()), over_unix(store_->unix_path());
  EXPECT_EQ(over_tcp.log_in("writer", kWriterSecret).kind, kProven);
  EXPECT_EQ(over_unix.log_in("writer", kWriterSecret).kind, kProven);
}

// A name that nobody has keeps its salt over a restart, as a user's does.
TEST_F(UsersTest, ARestartTellsNothingOfWhichUsersThereAre) {
  const auto salt_of = [this](const std::string& user) {
    return Attacker(store_->port()).say_login(user).substr(1, 16);
  };
  const std::string nobody = salt_of("nobody"), other = salt_of("other"),
                    reader = salt_of("reader");
  EXPECT_NE(nobody, other);
  // Nor does another user.
  add("another", "another secret", {"--right", "read"});
  store_->stop();
  ASSERT_TRUE(store_->start());
  EXPECT_EQ(salt_of("nobody"), nobody);
  EXPECT_EQ(salt_of("other"), other);
  EXPECT_EQ(salt_of("reader"), reader);
}

TEST_F(UsersTest, AReplayedLoginIsWorthless) {
  Attacker heard(store_->port());
  ASSERT_EQ(heard.log_in("writer", kWriterSecret).kind, kProven);
  Attacker replay(store_->port());
  replay.send(kLogin, heard.login);
  ASSERT_EQ(replay.receive().kind, kChallenge);
  replay.send(kProof, heard.proof);
  EXPECT_EQ(replay.receive().kind, kRefused);
}

TEST_F(UsersTest, AReaderCannotWriteTheRegionByFrames) {
  Attacker writer(store_->port());
  ASSERT_EQ(writer.log_in("writer", kWriterSecret).kind, kProven);
  writer.send(kHello, hello_to(0));
  ASSERT_EQ(writer.receive().kind, kWelcome);
  const std::string offset = raw<std::uint64_t>(0);
  const std::string read = offset + raw<std::uint32_t>(8);
  writer.send(kRead, read);
  const RawFrame before = writer.receive();
  ASSERT_EQ(before.kind, kReadDone);
  ASSERT_EQ(before.payload.size(), 8U);
  const std::string other(8, '\x55');
  for (const auto& [kind, payload] :
       {std::pair(kWrite, offset + other), std::pair(kCas, offset + before.payload + other)}) {
    Attacker reader(store_->port());
    ASSERT_EQ(reader.log_in("reader", kReaderSecret).kind, kProven);
    reader.send(kHello, hello_to(0));
    ASSERT_EQ(reader.receive().kind, kWelcome);
    reader.send(kRead, read);
    EXPECT_EQ(reader.receive().payload, before.payload);
    reader.send(kind, payload);
    const RawFrame answer = reader.receive();
    EXPECT_EQ(answer.kind, kClose);
    EXPECT_THAT(answer.payload, HasSubstr("user reader may not write the region"));
    writer.send(kRead, read);
    EXPECT_EQ(writer.receive().payload, before.payload) << "nothing has reached the region";
    // The frame is one that does write.
    writer.send(kind, payload);
    EXPECT_EQ(writer.receive().kind, kind == kWrite ? kWriteDone : kCasDone);
    writer.send(kWrite, offset + before.payload);
    EXPECT_EQ(writer.receive().kind, kWriteDone);
  }
}

// Everything that a process can try with the descriptor that it was given. 0, or which has worked.
int attack_region(int region, std::size_t size, pid_t server) {
  void* const view = mmap(nullptr, size, PROT_READ, MAP_SHARED, region, 0);
  if (view == MAP_FAILED) return 1;
  if (mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, region, 0) != MAP_FAILED) return 2;
  if (mprotect(view, size, PROT_READ | PROT_WRITE) == 0) return 3;
  const std::string own = "/proc/self/fd/" + std::to_string(region);
  const std::string servers = "/proc/" + std::to_string(server);
  if (open(own.c_str(), O_RDWR) >= 0 || open(own.c_str(), O_WRONLY) >= 0) return 4;
  if (pwrite(region, "x", 1, 0) == 1 || ftruncate(region, 0) == 0) return 5;
  if (fallocate(region, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0) return 6;
  if (fchmod(region, 0666) == 0) return 7;
  if (fcntl(region, F_ADD_SEALS, F_SEAL_WRITE) == 0) return 8;
  if (open((servers + "/mem").c_str(), O_RDWR) >= 0) return 9;
  for (int fd = 0; fd < 100; ++fd) {
    if (open((servers + "/fd/" + std::to_string(fd)).c_str(), O_RDWR) >= 0) return 10;
  }
  return 0;
}

TEST_F(UsersTest, AReaderOnThisMachineCannotWriteTheRegion) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can run a client as another user of the system";
  const std::string path = store_->unix_path();
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  ASSERT_EQ(chmod(fs::path(path).parent_path().c_str(), 0755), 0);
  const pid_t child = fork();
  if (child == 0) {
    // Without being dumpable it could not open what is its own either.
    if (setresgid(kNobody, kNobody, kNobody) != 0 || setresuid(kNobody, kNobody, kNobody) != 0 ||
        prctl(PR_SET_DUMPABLE, 1) != 0) {
      _exit(100);
    }
    Attacker reader(path);
    if (reader.log_in("reader", kReaderSecret).kind != kProven) _exit(101);
    reader.send(kHello, hello_to(0));
    const RawFrame welcome = reader.receive();
    if (welcome.kind != kWelcome || reader.received.size() != 2) _exit(102);
    std::uint64_t size = 0;
    std::memcpy(&size, welcome.payload.data(), sizeof size);
    _exit(attack_region(reader.received[0], size, store_->pid()));
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "see attack_region()";
}

// It could open the region again, by /proc: the server refuses what it cannot keep.
TEST_F(UsersTest, AReaderWhoIsTheServersUserOfTheSystemIsRefusedSharedMemory) {
  Attacker reader(store_->unix_path());
  ASSERT_EQ(reader.log_in("reader", kReaderSecret).kind, kProven);
  reader.send(kHello, hello_to(0));
  const RawFrame answer = reader.receive();
  EXPECT_EQ(answer.kind, kRefused);
  EXPECT_THAT(answer.payload, HasSubstr("user reader may read only"));
  EXPECT_TRUE(reader.received.empty());
}

TEST_F(UsersTest, ASessionIsItsUsers) {
  Attacker writer(store_->port()), reader(store_->port()), resumed(store_->port());
  ASSERT_EQ(writer.log_in("writer", kWriterSecret).kind, kProven);
  ASSERT_EQ(reader.log_in("reader", kReaderSecret).kind, kProven);
  ASSERT_EQ(resumed.log_in("writer", kWriterSecret).kind, kProven);
  for (Attacker* client : {&writer, &reader, &resumed}) {
    client->send(kHello, hello_to(0));
    ASSERT_EQ(client->receive().kind, kWelcome);
  }
  const Attacker::Answer mine = writer.ask(shard_hello(0));
  ASSERT_EQ(mine.code, 0) << mine.text;
  std::uint64_t session = 0;
  std::memcpy(&session, mine.text.data(), sizeof session);
  ASSERT_NE(session, 0U);
  const Attacker::Answer refused = reader.ask(shard_hello(session));
  EXPECT_GT(refused.code, 0);
  EXPECT_THAT(refused.text, HasSubstr("this session is another user's"));
  // Its own user goes on with it.
  EXPECT_EQ(resumed.ask(shard_hello(session)).text.substr(0, 8), raw(session));
}

// All kinds of requests that there are, and that there are not, with and without an end.
TEST_F(UsersTest, WhoMayNotWriteIsRefusedEveryRequestThatWrites) {
  ASSERT_EQ(as("writer", {"put", "key", "value"}).status, 0);
  Attacker reader(store_->port()), filler(store_->port());
  ASSERT_TRUE(reader.begin_as("reader", kReaderSecret));
  ASSERT_TRUE(filler.begin_as("filler", kFillerSecret));
  std::uint64_t sequence = 0;
  for (int kind = 0; kind < 256; ++kind) {
    if (kind == kStat || kind == kReport || kind == kShardHello || kind == kStoreTime) continue;
    const std::string message =
        request(static_cast<unsigned char>(kind), ++sequence, "key", raw<std::uint64_t>(1));
    for (Attacker* client : {&reader, &filler}) {
      const Attacker::Answer answer = client->ask(message);
      ASSERT_EQ(answer.code, kDenied) << kind << ": " << answer.text;
      ASSERT_THAT(answer.text, HasSubstr("may not write")) << kind;
    }
  }
  EXPECT_EQ(reader.ask(request(kStat, 0, "", "")).code, 0) << "it is connected still";
  EXPECT_EQ(as("writer", {"get", "key"}).out, "value");
  // The same message is one that does write.
  Attacker writer(store_->port());
  ASSERT_TRUE(writer.begin_as("writer", kWriterSecret));
  EXPECT_EQ(writer.ask(request(kPut, 1, "key", "12345678")).code, 0);
  EXPECT_EQ(as("writer", {"get", "key"}).out, "12345678");
}

// Nor do the requests about large values, with all that a writer's have to be right.
TEST_F(UsersTest, WhoMayNotWriteHasNoPartInAnUpload) {
  constexpr std::uint32_t kSize = 20'000;
  Attacker writer(store_->port()), other(store_->port());
  ASSERT_TRUE(writer.begin_as("writer", kWriterSecret));
  ASSERT_TRUE(other.begin_as("writer", kWriterSecret));
  const Attacker::Answer begun = writer.ask(request(kValueBegin, 0, "key", raw(kSize)));
  ASSERT_EQ(begun.code, 0) << begun.text;
  ASSERT_EQ(begun.text.size(), 8U);
  const std::string part =
      request(kValuePart, 0, "key", begun.text + raw<std::uint32_t>(0) + std::string(kSize, 'x'));
  const std::vector<std::string> steps = {
      request(kValueBegin, 0, "key", raw(kSize)), part, request(kValueCommit, 1, "key", begun.text),
      request(kValueCommitIf, 1, "key", begun.text), request(kValueAbandon, 0, "key", begun.text)};
  for (const auto& [user, secret] :
       {std::pair("reader", kReaderSecret), std::pair("filler", kFillerSecret)}) {
    Attacker client(store_->port());
    ASSERT_TRUE(client.begin_as(user, secret));
    for (const std::string& step : steps) {
      EXPECT_EQ(client.ask(step).code, kDenied) << user << ' ' << int{step[0]};
    }
  }
  // Who may write may not either, in a session of its own.
  EXPECT_THAT(other.ask(part).text, HasSubstr("there is no such upload"));
  EXPECT_THAT(other.ask(steps.back()).text, HasSubstr("there is no such upload"));
  EXPECT_EQ(writer.ask(part).code, 0);
  EXPECT_EQ(writer.ask(request(kValueCommit, 1, "key", begun.text)).code, 0);
  EXPECT_EQ(as("reader", {"get", "key"}).out, std::string(kSize, 'x'));
}

// Every kind of request that writes, with a key that is not its own.
TEST_F(UsersTest, AUserWritesOnlyKeysThatBeginWithItsPrefixes) {
  constexpr char kShopSecret[] = "the shop's secret";
  add("shop", kShopSecret,
      {"--right", "read", "--right", "write", "--prefix", "a:", "--prefix", "c"});
  reload("4 users");
  EXPECT_THAT(store_->log(), HasSubstr("shop may read all records"));
  ASSERT_EQ(as("writer", {"put", "b:1", "value"}).status, 0);
  Attacker shop(store_->port());
  ASSERT_TRUE(shop.begin_as("shop", kShopSecret));
  constexpr int kKinds[] = {kPut,
                            kPut | kHasEnd,
                            kPut | kHasEnd | kEndIsRelative,
                            kRemove,
                            kPutIf,
                            kPutIf | kHasEnd,
                            kRemoveIf,
                            kValueBegin,
                            kValuePart,
                            kValueCommit,
                            kValueCommit | kHasEnd,
                            kValueCommitIf,
                            kValueAbandon,
                            kSetEnd,
                            kSetEnd | kHasEnd,
                            kAppend,
                            kIncrement};
  std::uint64_t sequence = 0;
  for (const int kind : kKinds) {
    for (const std::string& key : {std::string("b:1"), std::string("a"), std::string("A:1"),
                                   std::string(), std::string("\0a:", 3)}) {
      const Attacker::Answer answer = shop.ask(
          request(static_cast<unsigned char>(kind), ++sequence, key, raw<std::uint64_t>(20'000)));
      ASSERT_EQ(answer.code, kDenied) << kind << ' ' << key << ": " << answer.text;
      ASSERT_THAT(answer.text, HasSubstr("only keys that begin with 'a:' or 'c'"));
    }
  }
  EXPECT_EQ(as("writer", {"get", "b:1"}).out, "value");
  // Its own it writes, in the session that the others were asked for in.
  EXPECT_EQ(shop.ask(request(kPut, ++sequence, "a:1", "12345678")).code, 0);
  EXPECT_EQ(shop.ask(request(kPut, ++sequence, "c", "12345678")).code, 0);
  EXPECT_EQ(as("writer", {"get", "a:1"}).out, "12345678");
  const Finished refused = as("shop", {"put", "b:1", "other"});
  EXPECT_EQ(refused.status, kFailure);
  EXPECT_THAT(refused.err, HasSubstr("user shop may not write 'b:1'"));
  // Reading is not bound.
  EXPECT_EQ(as("shop", {"get", "b:1"}).out, "value");
}

// What was begun for one key becomes no other's value.
TEST_F(UsersTest, AnUploadLeadsToNoKeyBeyondThePrefixes) {
  constexpr char kShopSecret[] = "the shop's secret";
  constexpr std::uint32_t kSize = 20'000;
  add("shop", kShopSecret, {"--right", "read", "--right", "write", "--prefix", "a:"});
  reload("4 users");
  Attacker shop(store_->port()), writer(store_->port());
  ASSERT_TRUE(shop.begin_as("shop", kShopSecret));
  ASSERT_TRUE(writer.begin_as("writer", kWriterSecret));
  const std::string own = shop.ask(request(kValueBegin, 0, "a:1", raw(kSize))).text,
                    others = writer.ask(request(kValueBegin, 0, "b:1", raw(kSize))).text;
  ASSERT_EQ(own.size(), 8U);
  ASSERT_EQ(others.size(), 8U);
  const std::string part = raw<std::uint32_t>(0) + std::string(kSize, 'x');
  ASSERT_EQ(shop.ask(request(kValuePart, 0, "a:1", own + part)).code, 0);
  EXPECT_EQ(shop.ask(request(kValueCommit, 1, "b:1", own)).code, kDenied);
  EXPECT_EQ(shop.ask(request(kValueCommitIf, 2, "b:1", own)).code, kDenied);
  for (const Attacker::Answer& answer : {shop.ask(request(kValuePart, 0, "a:1", others + part)),
                                         shop.ask(request(kValueCommit, 3, "a:1", others)),
                                         shop.ask(request(kValueAbandon, 0, "a:1", others)),
                                         shop.ask(request(kValueCommit, 4, "a:2", own))}) {
    EXPECT_THAT(answer.text, HasSubstr("there is no such upload"));
  }
  EXPECT_EQ(as("writer", {"get", "b:1"}).status, 1) << "it is not there";
  EXPECT_EQ(shop.ask(request(kValueCommit, 5, "a:1", own)).code, 0);
  EXPECT_EQ(as("writer", {"get", "a:1"}).out, std::string(kSize, 'x'));
}

// Who fills the cache writes there what it likes, of any key.
TEST_F(UsersTest, AServerRefusesPrefixesOfWhoFills) {
  add("both", "the secret of both", {"--right", "read+fill", "--prefix", "a:"});
  reload("the users stay as they are");
  EXPECT_THAT(store_->log(), HasSubstr("user both has prefixes of keys and the right read+fill"));
  EXPECT_EQ(as("reader", {"stat"}).status, 0);
  const Finished refused =
      scalio(scratch_, {"serve", "--dir", store_->dir(), "--cache", "8M", "--listen",
                        "unix:" + (scratch_.sockets() / "other").string(), "--users", file_});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("user both has prefixes of keys and the right read+fill"));
}

// The right to administrate opens nothing at a server.
TEST_F(UsersTest, WhoAdministersMayNotWrite) {
  add("keeper", "the keeper's secret", {"--right", "read", "--right", "admin"});
  reload("4 users");
  EXPECT_THAT(scalio(scratch_, {"user", "list", file_}).out, HasSubstr("keeper read admin\n"));
  EXPECT_THAT(as("keeper", {"put", "key", "x"}).err, HasSubstr("user keeper may not write"));
  EXPECT_EQ(as("keeper", {"stat"}).status, 0);
  const Finished both =
      scalio(scratch_, {"user", "add", file_, "both", "--right", "read", "--right", "admin",
                        "--prefix", "a:", "--secret-file", secret_file("keeper")});
  EXPECT_EQ(both.status, 2);
  EXPECT_THAT(both.err, HasSubstr("user both: prefixes of keys and the right admin"));
}

TEST_F(UsersTest, UsersAreTakenOnAgainBySighup) {
  EXPECT_EQ(as("writer", {"put", "key", "value"}).status, 0);
  EXPECT_EQ(scalio(scratch_, {"user", "list", file_}).out,
            "filler read+fill\nreader read\nwriter read+fill write\n");
  ASSERT_EQ(scalio(scratch_, {"user", "remove", file_, "writer"}).status, 0);
  EXPECT_EQ(as("writer", {"get", "key"}).out, "value") << "not yet";
  reload("2 users");
  const Finished removed = as("writer", {"get", "key"});
  EXPECT_EQ(removed.status, kFailure);
  EXPECT_THAT(removed.err, HasSubstr("there is no user writer with this secret"));
  EXPECT_EQ(as("reader", {"get", "key"}).out, "value");
}

// What it is challenged by is of users that are no more.
TEST_F(UsersTest, WhoIsRemovedBeforeItsProofIsRefused) {
  ASSERT_EQ(scalio(scratch_, {"user", "remove", file_, "writer"}).status, 0);
  Attacker removed(store_->port());
  const std::string challenge = removed.say_login("writer");
  reload("2 users");
  const RawFrame answer = removed.prove(challenge, kWriterSecret);
  EXPECT_EQ(answer.kind, kRefused);
  EXPECT_THAT(answer.payload, HasSubstr("there is no user writer with this secret"));
}

// A queue pair reaches the region before its user has said anything.
TEST_F(UsersTest, AreNotServedOverRdma) {
  const Finished refused = scalio(scratch_, {"serve", "--dir", store_->dir(), "--cache", "8M",
                                             "--listen", "rdma:127.0.0.1:0", "--users", file_});
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.err, HasSubstr("a store with users cannot be served over rdma:"));
}

TEST_F(UsersTest, AFileThatOthersMayReadOrThatIsWrongIsRefused) {
  const auto list = [this] { return scalio(scratch_, {"user", "list", file_}); };
  ASSERT_EQ(chmod(file_.c_str(), 0644), 0);
  EXPECT_THAT(list().err, HasSubstr("everybody may use"));
  ASSERT_EQ(chmod(secret_file("reader").c_str(), 0644), 0);
  EXPECT_THAT(as("reader", {"stat"}).err, HasSubstr("everybody may use"));
  ASSERT_EQ(chmod(secret_file("reader").c_str(), 0600), 0);
  // It stays whose it is.
  ASSERT_EQ(chmod(file_.c_str(), 0640), 0);
  const uid_t owner = geteuid() == 0 ? kNobody : geteuid();  // only root gives files away
  ASSERT_EQ(chown(file_.c_str(), owner, static_cast<gid_t>(-1)), 0);
  add("another", "another secret", {"--right", "read"});
  struct stat st {};
  ASSERT_EQ(stat(file_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0640U);
  EXPECT_EQ(st.st_uid, owner);
  ASSERT_EQ(list().status, 0);
  for (const char* wrong : {"reader = 1\n", "[reader]\nrights = [\"read\"]\n",
                            "[reader]\nrights = [\"all\"]\nsecret = \"x\"\n", "[reader\n"}) {
    std::ofstream(file_) << wrong;
    EXPECT_NE(list().status, 0) << wrong;
  }
  {
    // Another changes it.
    const int held = open(file_.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(flock(held, LOCK_EX | LOCK_NB), 0);
    EXPECT_THAT(scalio(scratch_, {"user", "remove", file_, "reader"}).err,
                HasSubstr("another process is changing it"));
    close(held);
  }
  EXPECT_THAT(scalio(scratch_, {"user", "add", file_ + "2", "x", "--right", "write",
                                "--secret-file", secret_file("reader")})
                  .err,
              HasSubstr("user x: it has neither read nor read+fill"));
}

}  // namespace
}  // namespace scalio::testing
