#include "baseline/paper/paper_client.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalio::paper {

using leed::OperationKind;

namespace {
constexpr std::size_t kMostCalls = 256;  // in flight to an SSD
}  // namespace

PaperClient::PaperClient(Executor& executor, std::vector<SsdAccess> ssds,
                         PaperClientOptions options)
    : executor_(executor),
      options_(options),
      ssds_(std::move(ssds)),
      random_(options.seed),
      background_(executor),
      flush_(executor, [this] { send_ready(); }) {}

PaperClient::~PaperClient() {
  for (const SsdAccess& s : ssds_) SCALIO_ASSERT(s.ready.empty() && s.calls == 0);
}

Task<void> PaperClient::close() { co_await background_.wait(); }

Task<Result<std::unique_ptr<PaperClient>>> PaperClient::connect(Executor& executor,
                                                                Connector connector, Opener opener,
                                                                PaperClientOptions options) {
  if (options.batch_max == 0 || options.batch_max > leed::kMaxBatch) {
    co_return Status(Code::invalid, fmt::format("a batch has 1 to {} writes", leed::kMaxBatch));
  }
  std::vector<SsdAccess> all;
  std::uint32_t ssds = 1;  // the first one says how many there are
  for (std::uint32_t number = 0; number < ssds; ++number) {
    SsdAccess ssd;
    auto made = co_await connector(number, encode_paper_hello_request());
    if (!made.ok()) co_return made.status();
    ssd.connection = *std::move(made);
    const std::optional<PaperHello> hello = decode_paper_hello(ssd.connection->hello());
    if (!hello || hello->ssd != number || (number > 0 && hello->ssds != ssds) ||
        hello->shape.size() > ssd.connection->region_size()) {
      co_return Status(Code::unavailable, "what answers is no server of the paper's Scalio");
    }
    ssd.hello = *hello;
    ssds = hello->ssds;
    auto opened = co_await opener(number);
    if (!opened.ok()) co_return opened.status();
    ssd.device = *std::move(opened);
    if (ssd.device->block_size() != kBlock || ssd.device->size() < hello->geometry.size()) {
      co_return Status(Code::invalid, ssd.device->name() + " is not the server's SSD");
    }
    all.push_back(std::move(ssd));
  }
  co_return std::unique_ptr<PaperClient>(new PaperClient(executor, std::move(all), options));
}

PaperClient::SsdAccess& PaperClient::ssd_of(std::string_view key) {
  return ssds_[leed::ssd_of(key, static_cast<std::uint32_t>(ssds_.size()))];
}

Status PaperClient::check(const SsdAccess& ssd, std::string_view key,
                          std::size_t value_size) const {
  if (key.empty()) return Status(Code::invalid, "a key has at least one byte");
  const std::uint32_t most = ssd.hello.geometry.most_value();
  if (key.size() > kMaxKey || value_size > most) {
    return Status(Code::too_large,
                  fmt::format("a key has at most {} bytes, and a value {}", kMaxKey, most));
  }
  return Status();
}

Status PaperClient::lost(const SsdAccess& ssd) {
  const Status why = ssd.connection->lost();
  return Status(Code::unavailable, "the connection to the server was lost: " + why.message());
}

// --- GET
// ------------------------------------------------------------------------------------------

Task<Result<std::string>> PaperClient::get(std::string_view key) {
  constexpr int kLooks = 4;  // more is no accident
  SsdAccess& ssd = ssd_of(key);
  Status s = check(ssd, key, 0);
  if (!s.ok()) co_return s;
  ++counters_.gets;
  const CacheShape& shape = ssd.hello.shape;
  const std::uint64_t seed = ssd.hello.geometry.hash_seed;
  const std::uint64_t hash = ssd.hello.geometry.hash_of(key);
  const std::uint32_t number = shape.block_of(hash);
  const std::uint64_t at = shape.block_at(number);
  leed::IoBuffer buffer = pool_.take((shape.block_size() + kBlock - 1) / kBlock);
  const ByteSpan bytes = buffer.first(buffer.blocks()).first(shape.block_size());
  const BlockCopy copy{shape, bytes};
  for (int look = 0; look < kLooks; ++look) {
    count_one_sided(bytes.size());
    fabric::Op read = ssd.connection->read(at, bytes);
    const Code outcome = co_await read;
    if (outcome != Code::ok) co_return lost(ssd);
    const CacheLookup found = look_up(copy, key, hash, number, seed);
    if (found.is == CacheLookup::Is::hit) {
      ++counters_.hits;
      if (ranked(copy.order(), 0) != found.slot) {
        note_use(ssd, at, used_now(copy.order(), found.slot));
      }
      co_return std::string(found.value);
    }
    if (found.is == CacheLookup::Is::unclear) {
      ++paper_counters_.unclear;
      continue;
    }
    Result<FoundRecord> record = co_await read_record(*ssd.device, ssd.hello.geometry, pool_, key);
    if (!record.ok()) co_return record.status();
    if (record->moved) {
      ++paper_counters_.moved;
      continue;
    }
    if (!record->value) co_return Status(Code::not_found, "the key has no value");
    start_fill(ssd, hash, copy, key, *record->value);
    co_return *std::move(record->value);
  }
  ++paper_counters_.asked;
  Request request;
  request.operation = {OperationKind::get, key, {}};
  s = co_await ask(ssd, request);
  if (!s.ok()) co_return s;
  co_return std::move(request.value);
}

Detached PaperClient::note_use(SsdAccess& ssd, std::uint64_t at, std::uint64_t order) {
  background_.add();
  std::array<std::byte, 8> bytes;
  store(bytes.data(), order);
  count_one_sided(bytes.size());
  fabric::Op write = ssd.connection->write(at + 8, bytes);
  co_await write;  // a hint: who has lost the connection notices it elsewhere
  background_.done();
}

void PaperClient::start_fill(SsdAccess& ssd, std::uint64_t hash, const BlockCopy& copy,
                             std::string_view key, std::string_view value) {
  const CacheShape& shape = copy.shape;
  if (!options_.fill || !shape.fits(key, value)) return;
  const std::optional<std::uint32_t> slot = copy.victim();
  if (!slot) return;
  const std::uint32_t block = shape.block_of(hash);
  const std::uint64_t place = slot_place(ssd.hello.geometry.hash_seed, block, *slot);
  Fill f{ssd, shape.block_at(block), copy.version(), *slot, copy.word(*slot), 0, {}};
  f.word = word_of(BlockWord::State::valid, tag_of(hash), key, value, place).pack();
  f.body.resize(key.size() + value.size());
  copy_bytes(as_bytes(value), copy_bytes(as_bytes(key), f.body.data()));
  background_.spawn(fill(std::move(f)));
}

// The order of steps is what makes it right. The slot is claimed, so that the server sees that it
// has to kill it. Then the words are read, to see what was published before it could see the claim;
// and the version, to see whether the SSD has got that since it was read.
Task<void> PaperClient::fill(Fill f) {
  fabric::Connection& connection = *f.ssd.connection;
  const CacheShape& shape = f.ssd.hello.shape;
  const std::uint8_t tag = BlockWord::unpack(f.word).tag;
  const std::uint64_t word_at = f.at + shape.word_at(f.slot);
  const std::uint64_t mine = filling_word(tag, random_.next());
  std::array<std::byte, kMostOfTheWords> bytes;
  const ByteSpan words = ByteSpan(bytes).first(shape.bodies_at());
  count_one_sided(8);
  count_one_sided(words.size());
  fabric::Op claim = connection.cas(word_at, f.victim, mine);
  fabric::Op look = connection.read(f.at, words);
  const Code claimed = co_await claim;
  const Code looked = co_await look;
  if (claimed != Code::ok || looked != Code::ok) co_return;
  if (claim.previous() != f.victim) {
    ++paper_counters_.lost_fills;
    co_return;
  }
  const BlockCopy copy{shape, words};
  if (copy.version() != f.version || copy.has_dirty(tag)) {
    ++paper_counters_.lost_fills;
    count_one_sided(8);
    fabric::Op give_back = connection.cas(word_at, mine, 0);
    co_await give_back;
    co_return;
  }
  std::array<std::byte, 8> order;
  store(order.data(), used_now(copy.order(), f.slot));
  count_one_sided(f.body.size());
  count_one_sided(8);
  count_one_sided(8);
  fabric::Op body = connection.write(f.at + shape.body_at(f.slot), f.body);
  fabric::Op complete = connection.cas(word_at, mine, f.word);
  fabric::Op use = connection.write(f.at + 8, order);
  co_await body;
  const Code completed = co_await complete;
  co_await use;
  const bool filled = completed == Code::ok && complete.previous() == mine;
  ++(filled ? paper_counters_.fills : paper_counters_.lost_fills);
}

// --- Writes, and what the server is asked for
// -----------------------------------------------------

Task<Status> PaperClient::put(std::string_view key, std::string_view value) {
  SsdAccess& ssd = ssd_of(key);
  Status s = check(ssd, key, value.size());
  if (!s.ok()) co_return s;
  Request request;
  request.operation = {OperationKind::set, key, value};
  co_return co_await ask(ssd, request);
}

Task<Status> PaperClient::remove(std::string_view key) {
  SsdAccess& ssd = ssd_of(key);
  Status s = check(ssd, key, 0);
  if (!s.ok()) co_return s;
  Request request;
  request.operation = {OperationKind::remove, key, {}};
  co_return co_await ask(ssd, request);
}

Task<Status> PaperClient::ask(SsdAccess& ssd, Request& request) {
  struct Sent {
    PaperClient& client;
    Request& request;
    SsdAccess& ssd;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      request.waiter = h;
      ssd.ready.push_back(&request);
      client.flush_.schedule();
    }
    void await_resume() const {}
  };
  Sent sent{*this, request, ssd};
  co_await sent;
  co_return std::move(request.status);
}

void PaperClient::send_ready() {
  for (SsdAccess& ssd : ssds_) send_ready(ssd);
}

// Writes go together; a GET, whose reply has a value, goes alone.
void PaperClient::send_ready(SsdAccess& ssd) {
  while (!ssd.ready.empty() && ssd.calls < kMostCalls) {
    leed::BatchWriter writer;
    std::vector<Request*> batch;
    bool alone = false;
    while (!ssd.ready.empty() && batch.size() < options_.batch_max && !alone) {
      Request& next = *ssd.ready.front();
      alone = next.operation.kind == OperationKind::get;
      const bool fits = writer.size() + leed::operation_size(next.operation) <= fabric::kMaxMessage;
      if (!batch.empty() && (alone || !fits)) break;
      ssd.ready.pop_front();
      writer.add(next.operation);
      batch.push_back(&next);
    }
    ++ssd.calls;
    ++counters_.messages;
    executor_.spawn(send(ssd, std::move(batch), writer.finish()));
  }
}

Task<void> PaperClient::send(SsdAccess& ssd, std::vector<Request*> batch, Bytes message) {
  fabric::Call call = ssd.connection->call(message);
  message = Bytes();
  Result<Bytes> reply = co_await call;
  --ssd.calls;
  finish(batch, reply);
  if (!ssd.ready.empty()) flush_.schedule();
}

void PaperClient::finish(const std::vector<Request*>& batch, const Result<Bytes>& reply) {
  std::optional<leed::BatchReply> answer;
  if (reply.ok()) answer = leed::decode_replies(*reply);
  const bool good = answer && answer->replies.size() == batch.size();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Request& request = *batch[i];
    if (good) {
      const leed::OperationReply& r = answer->replies[i];
      request.status = r.code == Code::ok ? Status() : Status(r.code, std::string(r.text));
      if (r.code == Code::ok) request.value = r.text;
    } else {
      request.status = reply.ok() ? Status(Code::unavailable, "the server's reply is malformed")
                                  : reply.status();
    }
    executor_.post(request.waiter);
  }
}

baseline::KvCounters PaperClient::counters() const {
  baseline::KvCounters c = counters_;
  for (const SsdAccess& ssd : ssds_) c.ssd_reads += ssd.device->counters().reads;
  return c;
}

}  // namespace scalio::paper
