// The client of a Scalio store: the public interface.
//
//   auto client = scalio::Client::connect("unix:/run/scalio.sock");
//   if (!client.ok()) ...
//   auto put = (*client)->run((*client)->put("key", "value"));
//
// GETs are done by the client itself, with one-sided operations on the server's memory and reads of
// its SSDs; writes are requests to the server. Every operation is linearizable.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace scalio {

// How a client reads the server's SSDs.
enum class SsdAccess : std::uint8_t {
  // direct on the server's machine ("unix:" URIs) if they can be opened, else nvmf if the server
  // offers it.
  automatic,
  direct,  // the files or block devices themselves
  nvmf,    // through the NVMe-oF target that the server names
};

// How a client reads the hash block of a key over RDMA, where it is read by a NIC.
enum class BlockRead : std::uint8_t {
  whole,  // one READ of all its slots: one round trip
  // Two: the block's header, then the one slot that may have the key. For links that are full.
  two,
};

struct ClientOptions {
  SsdAccess ssd_access = SsdAccess::automatic;
  // Over unix: and tcp: `whole` brings no more than what is needed, in one round trip.
  BlockRead block_read = BlockRead::whole;
  // For direct access: where this machine sees the server's SSDs, one path per shard in the order
  // of `scalio stat`. Empty: the paths the server advertises (right on the server's own machine).
  std::vector<std::string> ssd_paths;
  // Who connects, to a server with users, and its secret. Both or neither.
  std::string user = {};
  std::string secret = {};
  // Bound on all of connect(), whatever the number of shards, and on any later attempt to connect.
  std::chrono::milliseconds connect_timeout{5000};
  // Bound on any one operation: when it has passed, the operation ends, whatever it waits for. Of a
  // large value it is the bound on each step of it.
  std::chrono::milliseconds operation_timeout{10000};
  // After a lost connection, how long to try to resume the session before writes in flight are
  // reported as unknown and everything else as unavailable.
  std::chrono::milliseconds resume_timeout{2000};
  // How long a wait may look for what it awaits before the thread sleeps: 1 ms at most. It takes a
  // core, and spares the time that waking takes. A wait does so only if the one before it was
  // short, and what was looked for has come in time of late. 0: it sleeps at once.
  std::chrono::microseconds spin{0};
  // For tls: URIs, names of files. tls_ca: the CA that has signed the server's certificate, in PEM;
  // beside it, where the server asks for one, this client's certificate and private key. Or, in
  // place of these, tls_psk: a line "identity:key in hexadecimal digits". Any other URI refuses
  // them.
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_psk;
  // For an NVMe-oF target that has hosts prove who they are (DH-HMAC-CHAP): a file with the line
  // "NQN SECRET", as which host this client connects to it and by what it proves that; or "NQN
  // SECRET CONTROLLER-SECRET": then the target proves itself as well, or is refused.
  std::string nvmf_dhchap;
};

// When a record ends, by the store's clock: the wall clock of its server, which never steps. The
// epoch stands for never.
using EndTime = std::chrono::time_point<std::chrono::system_clock,
                                        std::chrono::duration<std::int64_t, std::nano>>;

// What a write says of its record's end. From then on there is no such record, for all clients at
// once. It takes 8 bytes of what the store takes for key and value, or for the key of a large one.
struct Expiry {
  std::chrono::nanoseconds time{0};  // 0: never
  bool from_now = false;             // else since the epoch

  // What has passed already is as good as a deletion.
  static Expiry at(EndTime end) {
    return {std::max(end.time_since_epoch(), EndTime::duration(1)), false};
  }
  // From the moment on at which the server takes the write.
  static Expiry after(std::chrono::nanoseconds time) {
    return {std::max(time, std::chrono::nanoseconds(1)), true};
  }
  static Expiry never() { return {}; }
};

struct Record {
  std::string value;
  std::uint64_t version = 0;  // grows with every write of the key; never 0 for a key that exists
  EndTime end = {};
};

// What an append has left.
struct Appended {
  std::uint64_t version = 0;
  std::size_t size = 0;  // of the value, in bytes
  // The version that it was done to; 0: the key did not exist, and the value begins with it.
  std::uint64_t previous = 0;
};

// What an increment has left.
struct Incremented {
  std::uint64_t version = 0;
  std::int64_t value = 0;
  std::uint64_t previous = 0;  // as of Appended
};

// A piece of a value that is read in parts. The view lives until the sink's task has ended.
struct PartView {
  std::string_view bytes;
  std::uint64_t offset = 0;  // of them in the value
  std::uint64_t length = 0;  // of the whole value
  std::uint64_t version = 0;
  EndTime end = {};  // of the record
};
// Takes a value, piece by piece in its order. A failure ends the reading.
using PartSink = std::function<Task<Status>(const PartView& part)>;
// Sets all of `part`, the next bytes of a value that is written. A failure ends the writing.
using PartSource = std::function<Task<Status>(std::span<char> part)>;

// One write of a batch; what is not of its kind is not looked at. The views stay valid until the
// batch has ended.
struct BatchWrite {
  enum class Kind : std::uint8_t { put, put_if, remove, remove_if };

  Kind kind = Kind::put;
  std::string_view key = {};
  std::string_view value = {};  // of puts
  std::uint64_t expected = 0;   // of put_if and remove_if
  Expiry expiry = {};           // of puts
};

// A record as a scan has found it. The views live as long as the page that it is in.
struct ScannedRecord {
  std::string_view key;
  std::string_view value;  // empty if it is large
  std::uint64_t version = 0;
  EndTime end = {};
  // A scan reads no large values. Whoever wants it gets it by its key: that, or what it is by then.
  bool large = false;
  std::uint64_t length = value.size();  // of the value
};

// A part of a store: what is between two places of it. They mean something in this store only, and
// as long as it is: in another process too, and after a restart of the server.
struct ScanRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool empty() const { return begin == end; }
};

// What one step of a scan has found.
struct ScanPage {
  std::vector<ScannedRecord> records;  // in no order
  ScanRange rest;                      // where the scan goes on; empty: it has ended
  std::shared_ptr<const void> memory;  // which the records are in; copies of a page share it
};

// What this client has done since it connected. Counts, never estimates.
struct ClientCounters {
  std::uint64_t gets = 0;
  // GETs whose record was in the server's memory. Of a large value that is its pointer: its bytes
  // were read from an SSD nevertheless (large_gets, parts_read).
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;  // GETs that looked for their record on an SSD
  std::uint64_t fills = 0;   // misses that left in the cache what they found, or that there is none
  std::uint64_t bypasses = 0;      // misses that did not try to, or gave up
  std::uint64_t steals = 0;        // slots taken over from a client that stopped
  std::uint64_t writes = 0;        // puts, deletes, appends and increments sent
  std::uint64_t large_gets = 0;    // of the GETs, those of large values
  std::uint64_t large_writes = 0;  // of the writes, likewise
  std::uint64_t parts_read = 0;    // of large values, from an SSD
  std::uint64_t parts_written = 0;
  std::uint64_t region_reads = 0;  // one-sided operations, by kind
  std::uint64_t region_writes = 0;
  std::uint64_t region_cas = 0;
  std::uint64_t region_bytes_read = 0;
  // One-sided operations given to a NIC, counted at the queue pairs; 0 where there is no NIC.
  std::uint64_t nic_operations = 0;
  std::uint64_t ssd_reads = 0;  // counted by the devices
  std::uint64_t ssd_bytes_read = 0;

  ClientCounters& operator+=(const ClientCounters& o);
};

namespace client {
class ClientLoop;
}

namespace detail {
// Awaits a task that has begun and not ended, in place of whoever awaited it.
template <class T>
struct Begun {
  Task<T>& task;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiter) noexcept { task.resume_instead(awaiter); }
  T await_resume() { return task.await_resume(); }
};
}  // namespace detail

// A connection to all shards of one store. One thread at a time uses a Client (it has its own event
// loop and is not thread-safe); a thread may have many operations in flight on it. An operation on
// a Client that another thread runs ends the process, with a message: SharedClient is for many
// threads. Keys are 1 to 255 bytes.
//
// A Client may be kept anywhere, also in a static or thread_local variable. It shares nothing with
// others.
//
// Values whose bytes and the key's together are over the inline limit are large: up to 64 MiB, if
// the store has room for such values. They are read and written by the same operations, and are
// always whole and of one version. Their bytes are on the SSD alone: a GET reads them there. Of an
// SSD's large values a client reads at most 32 parts of 64 KiB at once, and sends 16, of 16 values
// that are put whole; they take turns part by part. An SSD that hangs holds up those of no other.
// There may be as many at once as memory has room for: each has the operation timeout for a step
// from its turn on, and waits for its turn for that long, and for as long as others get on.
//
// Arguments passed as string_view or span must stay valid until the operation's task has ended.
//
// Failures common to all operations: unavailable, timed_out, io_error, corrupt; denied, if the user
// is not let in any more when the client connects again. What the system refuses (descriptors,
// memory maps, threads) is unavailable, and says what to raise.
//
// Tasks take turns. An operation that completes at once, as a GET from shared memory does, leaves
// the turn to the same task, but only so often in a row: then others go on, and what has arrived is
// handled. A task that does other work for long calls yield() now and then; time in which it does
// not counts for the timeouts of all the others.
//
// fork(): a Client belongs to the process that connected it. In a child every operation fails with
// unavailable, what was in flight goes on in the parent alone, wait_all() returns at once, and
// destroying the Client does nothing: its descriptors stay open and its memory in use until the
// child ends or runs another program. A child that connects a Client of its own may use that.
// (run() of a task that waits for one begun before the fork could never end: it ends the child.)
class Client {
 public:
  // `uri`: "unix:/path" (same machine), "tcp:host:port", "tls:host:port" or "rdma:host:port".
  // Blocks until connected to every shard and SSD; an SSD that is not reached fails it only if the
  // options say how to. Failures: invalid (URI, way to the SSDs, a user that cannot be), denied
  // (the user, its secret), unavailable, timed_out, busy (too many clients).
  static Result<std::unique_ptr<Client>> connect(std::string_view uri, ClientOptions options = {});

  // Every operation must have ended. Takes a few seconds at most, also if the server is silent; a
  // local SSD that does not answer a read is waited for. Called by a task, as exit() in one does
  // for a static Client, it leaves everything to the end of the process.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The key's value and version. A miss needs the SSD, and fails without. Failures: not_found.
  Task<Result<Record>> get(std::string_view key);

  // The value from byte `from` on, in pieces of at most 64 KiB, each checked and all of one
  // version; at least one, which is empty if there is nothing behind `from`. Returns the version.
  // Takes 512 KiB of memory, whatever the value's size; each step, but what the sink does, has the
  // operation timeout. Failures: as get; the sink's; conflict, if the value was overwritten or
  // deleted, and its place used again, when the sink had a part of it already.
  Task<Result<std::uint64_t>> get_parts(std::string_view key, PartSink sink,
                                        std::uint64_t from = 0);

  // Each key's get, all in flight together; results in the order of the keys. Over tcp: up to 128
  // of them leave in one system call for each lane; over unix: a hit sends nothing.
  Task<std::vector<Result<Record>>> multi_get(std::span<const std::string_view> keys);

  // Durably sets the key's value and returns its new version. Failures: too_large, full; read_only;
  // denied, if the client's user may not write; unknown if it was sent and no answer came in time,
  // or ever: then it may or may not happen.
  Task<Result<std::uint64_t>> put(std::string_view key, std::string_view value, Expiry expiry = {});

  // The same with a value of `length` bytes that comes in pieces of at most 64 KiB, each asked for
  // when there is room for it. The key has the value when it is whole. Takes 1 MiB of memory; each
  // step, but what the source does, has the operation timeout; a source that takes 30 s for a piece
  // is too slow. Failures: those of put and the source's.
  Task<Result<std::uint64_t>> put_parts(std::string_view key, std::uint64_t length,
                                        PartSource source, Expiry expiry = {});
  Task<Result<std::uint64_t>> put_parts_if(std::string_view key, std::uint64_t length,
                                           PartSource source, std::uint64_t expected,
                                           Expiry expiry = {});

  // The same if the key's version is `expected` (0: if the key does not exist). Failures: conflict,
  // and those of put. Of a record that ends just then it may still be done, if nobody else writes
  // the key.
  Task<Result<std::uint64_t>> put_if(std::string_view key, std::string_view value,
                                     std::uint64_t expected, Expiry expiry = {});

  // Durably gives the key's record another end, or none; the value stays, and the version that is
  // returned is new. A large value is written once more by the server. One that is not large, but
  // would be with the end, becomes large: this client reads it, and puts it if it has not changed
  // meanwhile, else begins again; too_large if the store takes no large value with this key. With
  // `expected` other than 0 only if that is the key's version. Failures: not_found, conflict, and
  // those of put_if and get.
  Task<Result<std::uint64_t>> set_end(std::string_view key, Expiry expiry,
                                      std::uint64_t expected = 0);

  // Durably removes the key, whether or not it exists; returns the deletion's version. Failures: as
  // put.
  Task<Result<std::uint64_t>> remove(std::string_view key);

  // The same if the key's version is `expected`. Failures: conflict (also if the key does not
  // exist), invalid (0, which is no key's version), and those of put.
  Task<Result<std::uint64_t>> remove_if(std::string_view key, std::uint64_t expected);

  // Durably appends to the key's value; where the key does not exist, to an empty one. Done by the
  // server, once, between any two other writes of the key. An end stays. Failures: as put;
  // too_large, if key and value would have more than inline_limit() bytes: it neither makes a value
  // large nor changes one that is. Who needs that reads it and puts it by put_if.
  Task<Result<Appended>> append(std::string_view key, std::string_view text);

  // Likewise adds to the key's value: a decimal number of 64 bits with its sign, 0 where the key
  // does not exist. Failures: invalid, if the value is no such number, or the sum is none; and
  // those of put.
  Task<Result<Incremented>> increment(std::string_view key, std::int64_t by = 1);

  // Each write of the batch, all in flight together, as far as a session's 240 for each shard go:
  // so up to 128 leave in one system call for each lane, and share batches of the server's log.
  // Each is done or not by itself, in any order, also those of one key. Results are in the order of
  // the batch, each as of put, put_if, remove or remove_if.
  Task<std::vector<Result<std::uint64_t>>> write(std::span<const BatchWrite> batch);

  // Divides the store into ranges of about equal size, as many as `parts`, or fewer if it is small.
  // Scans of them may run beside each other, of one client or of many. `parts` is at least 1.
  std::vector<ScanRange> scan_ranges(std::size_t parts) const;

  // The records of the first part of a range, about 256 KiB of its SSD, and what is left of it. Of
  // large values it is their length, not their bytes.
  // What exists throughout a scan is found once, with a value that it had meanwhile; what is
  // written or deleted during it may be found, or not; nothing is that never existed. Reads the
  // SSDs and the server's memory, and costs the server no CPU. An empty range gives an empty page.
  // Failures: invalid (no range of this store).
  Task<Result<ScanPage>> scan(ScanRange range);

  // The server's statistics as JSON text (docs/operations.md lists the fields).
  Task<Result<std::string>> stat();

  // Lets the other tasks that are ready go on first, and handles what has arrived.
  Task<void> yield();
  // Ends after this time, for tasks that pace themselves; other tasks go on meanwhile, also if it
  // is 0 or less. In a forked child it ends at once.
  Task<void> sleep(std::chrono::nanoseconds time);

  // The blocking form: runs the event loop until the task has ended. Not from inside a task.
  template <class T>
  T run(Task<T> task) {
    const Use use(*this);
    // What ends at once, as a GET from shared memory does, needs no turn of the loop.
    if (!task.await_suspend(std::noop_coroutine())) return task.await_resume();
    std::optional<T> out;
    auto rest = [](Task<T> t, std::optional<T>* result) -> Task<void> {
      result->emplace(co_await detail::Begun<T>{t});
    };
    run_to_end(rest(std::move(task), &out));
    return std::move(*out);
  }
  void run(Task<void> task) {
    const Use use(*this);
    run_to_end(std::move(task));
  }

  // Starts a task that runs beside others whenever run() runs. wait_all() runs until all have
  // ended.
  void spawn(Task<void> task);
  void wait_all();

  // The largest key + value, in bytes, that is not large.
  std::size_t inline_limit() const;
  // The largest value, in bytes, that the store takes with a key of this size.
  std::size_t value_limit(std::size_t key_size) const;
  ClientCounters counters() const;

 private:
  friend class client::ClientLoop;
  struct Impl;
  // While this thread runs the client, others may not use it.
  class Use {
   public:
    explicit Use(Client& client);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Impl& impl_;
    const char* before_;  // this thread too, if it is there, or none
  };
  explicit Client(std::unique_ptr<Impl> impl);
  void run_to_end(Task<void> task);

  std::unique_ptr<Impl> impl_;
};

}  // namespace scalio
