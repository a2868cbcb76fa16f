#include "sim/sim_fabric.h"

#include <algorithm>
#include <bit>

#include "layout/hash_block.h"
#include "layout/rules.h"

namespace scalio::sim {

using fabric::Op;
using layout::WriteState;
using layout::WriteWord;

namespace {
constexpr Nanos kNic = 2 * kMicrosecond;
constexpr Nanos kBetweenParts = 3 * kMicrosecond;
constexpr Nanos kMessage = 10 * kMicrosecond;
constexpr Nanos kNotice = 2 * kMillisecond;  // until an end learns that the other is gone
constexpr std::uint64_t kTornPerMillion = 200'000;
constexpr std::size_t kWord = 8, kLine = 64;
constexpr std::uint64_t kMisplacedPerMillion = 200'000;
constexpr std::uint64_t kSplitPerMillion = 300'000;
constexpr Nanos kResent = 2 * kMillisecond;
constexpr std::uint64_t kLosePerMillion = 150;
constexpr std::uint64_t kDamagePerMillion = 10'000;
// The byte of a write-slot word that is 0 in all that a server stores, and in no damaged one: so
// what is there says whether the server has put it right.
constexpr std::uint32_t kUnusedByte = 1;
constexpr std::uint64_t kInterleavePerMillion = 300'000;
constexpr int kHelloPolls = 200;
constexpr Nanos kHelloPoll = kMillisecond;
}  // namespace

const layout::RegionGeometry& Host::blocks_of(std::uint32_t shard) const {
  const auto part = std::ranges::find(parts, shard, &Part::shard);
  SCALIO_ASSERT(part != parts.end());
  return part->blocks;
}

std::optional<Host::Block> Host::damage(World& world) {
  Random& random = world.random();
  const auto& [shard, blocks] = parts[random.below(parts.size())];
  const std::uint64_t number = random.below(blocks.blocks);
  const auto i = static_cast<std::uint32_t>(random.below(blocks.write_slots));
  std::byte* block = region.data() + blocks.block_at(number);
  if (random.coin()) {
    const bool in_body = random.chance(700'000);
    std::byte* at = in_body ? block + blocks.body(blocks.read_slots + i) +
                                  kWord * random.below(blocks.slot_size / kWord)
                            : block + blocks.upper_checksum(i);
    store(at, load<std::uint32_t>(at) ^
                  static_cast<std::uint32_t>(random.between(1, ~std::uint32_t{0})));
    hit_bodies_.insert({{shard, number}, i});
    world.note("a stray WRITE hits the body of write slot {} of block {} of shard {}", i, number,
               shard);
    return std::nullopt;
  }
  std::byte* at = block + blocks.write_word(i);
  WriteWord w = WriteWord::unpack(load<std::uint64_t>(at));
  // Where the word may come back as it was, readers would believe such a body.
  if (random.coin() && w.readable() && kept(Rule::repair_kill) && at[kUnusedByte] == std::byte{0})
    forge_body(world, {shard, number}, i);
  switch (random.below(6)) {
    case 0:
    case 1: w.state = WriteState::empty; break;
    case 2: w.state = static_cast<WriteState>(random.below(4)); break;
    case 3: w.tag ^= 1; break;
    case 4: --w.generation; break;
    default: w = WriteWord::unpack(random.next()); break;
  }
  store(at, w.pack());
  at[kUnusedByte] = static_cast<std::byte>(random.between(1, 255));
  world.note("a stray WRITE hits the word of write slot {} of block {} of shard {}: {:016x}", i,
             number, shard, load<std::uint64_t>(at));
  return Block{shard, number};
}

// Makes another value of what is published in a slot whose word will be damaged, too: a body that
// fits the word that the server has stored there. Clients that could read it are promised nothing
// meanwhile, and the server must not take it for its own.
void Host::forge_body(World& world, Block of, std::uint32_t i) {
  const auto [shard, number] = of;
  const layout::RegionGeometry& blocks = blocks_of(shard);
  const ByteSpan block = region.subspan(blocks.block_at(number), blocks.block_size());
  const std::uint32_t slot = blocks.read_slots + i;
  const ByteSpan body = block.subspan(blocks.body(slot), blocks.slot_size);
  const auto w = WriteWord::unpack(load<std::uint64_t>(block.data() + blocks.write_word(i)));
  const Bytes before(body.begin(), body.end());
  auto record = layout::unchecked_record(before);
  if (!record || record->kind != layout::Kind::value) return;
  const std::string value(record->value.size(), '?');
  record->value = value;
  const std::uint32_t upper =
      layout::encode_slot(body, *record, layout::slot_place(number, slot, w.generation));
  store(block.data() + blocks.upper_checksum(i), upper);
  hit_bodies_.insert({of, i});
  world.note("a client forges the body of write slot {} of block {} of shard {}", i, number, shard);
}

bool Host::word_damaged(Block block, std::uint32_t slot) const {
  const layout::RegionGeometry& blocks = blocks_of(block.first);
  return region[blocks.block_at(block.second) + blocks.write_word(slot) + kUnusedByte] !=
         std::byte{0};
}

bool Host::body_damaged(Block of, std::uint32_t i) const {
  if (!hit_bodies_.contains({of, i})) return false;
  const auto [shard, number] = of;
  const layout::RegionGeometry& blocks = blocks_of(shard);
  const ByteView block = ByteView(region).subspan(blocks.block_at(number), blocks.block_size());
  const auto w = WriteWord::unpack(load<std::uint64_t>(block.data() + blocks.write_word(i)));
  const std::uint32_t slot = blocks.read_slots + i;
  return w.readable() &&
         !layout::decode_slot(block.subspan(blocks.body(slot), blocks.slot_size),
                              layout::slot_place(number, slot, w.generation),
                              load<std::uint32_t>(block.data() + blocks.upper_checksum(i)));
}

bool Host::misleads(Block block) const {
  for (std::uint32_t i = 0; i < blocks_of(block.first).write_slots; ++i) {
    if (word_damaged(block, i)) return true;
  }
  return false;
}

bool Host::damaged(Block block) const {
  for (std::uint32_t i = 0; i < blocks_of(block.first).write_slots; ++i) {
    if (word_damaged(block, i) || body_damaged(block, i)) return true;
  }
  return false;
}

// The client's end.
class SimChannel::End final : public fabric::Connection {
 public:
  explicit End(std::shared_ptr<SimChannel> channel) : channel_(std::move(channel)) {}
  ~End() override { channel_->lose("closed by the client"); }
  bool alive() const override { return !channel_->lost(); }
  Status lost() const override { return channel_->lost_; }
  std::uint64_t region_size() const override { return channel_->host_->region.size(); }
  const Bytes& hello() const override { return channel_->hello_; }
  Executor& executor() override { return channel_->client_; }

 protected:
  void start(Op& op) override { channel_->post(op); }
  void start(fabric::Call& call, ByteView request) override { channel_->post(call, request); }

 private:
  const std::shared_ptr<SimChannel> channel_;
};

Task<Result<std::unique_ptr<fabric::Connection>>> SimChannel::connect(Endpoint& endpoint,
                                                                      SimProcess& client,
                                                                      Bytes hello) {
  co_await client.sleep(endpoint.world.delay(kMessage));
  if (!endpoint.host) co_return Status(Code::unavailable, "nobody listens");
  auto channel = std::make_shared<SimChannel>(endpoint, endpoint.host, client);
  std::optional<Result<Bytes>> answer;
  auto* answer_to = &answer;
  channel->host_->channels.push_back(channel);
  channel->host_->process.deliver(
      endpoint.world.delay(kMessage), [channel, answer_to, hello = std::move(hello)] {
        if (channel->lost() || !channel->client_.alive()) return;
        Result<Bytes> reply = channel->host_->service.on_hello(*channel, hello);
        channel->greeted_ = reply.ok();
        *answer_to = std::move(reply);
      });
  for (int i = 0; i < kHelloPolls && !answer && !channel->lost(); ++i)
    co_await client.sleep(kHelloPoll);
  if (channel->lost()) co_return channel->lost_;
  if (!answer || !answer->ok()) {
    channel->lose("not accepted");
    co_return answer ? answer->status() : Status(Code::timed_out, "no answer to the hello");
  }
  channel->hello_ = std::move(**answer);
  std::unique_ptr<fabric::Connection> end = std::make_unique<End>(channel);
  co_return end;
}

void SimChannel::post(Op& op) {
  auto posted = std::make_shared<Posted>();
  posted->op = &op;
  posted->offset = op.offset;
  open_.push_back(posted);
  if (lost()) {
    happened(posted);
    return;
  }
  if (world_.strikes(Fault::lose_connection, kLosePerMillion)) {
    world_.after(world_.random().below(kMillisecond),
                 [self = shared_from_this()] { self->lose("cable cut"); });
  }
  const bool part = op.kind == Op::Kind::read_block && endpoint_.reads_parts;
  posted->chosen = !part;
  posted->parts.push_back({0, part ? op.blocks->header_end() : op.size});
  if (op.reads() && world_.strikes(Fault::torn_read, kTornPerMillion)) tear(*posted);
  if (op.kind == Op::Kind::write && world_.strikes(Fault::torn_write, kTornPerMillion))
    tear(*posted);
  if (op.kind == Op::Kind::write) misplace(*posted);
  if (op.kind == Op::Kind::cas && world_.strikes(Fault::split_cas, kSplitPerMillion))
    posted->parts.push_back({0, 0});
  queue_.push_back(std::move(posted));
  schedule();
}

// Into parts that happen at different moments. Words are whole: transports see to that, and NICs
// read and write cache lines.
void SimChannel::tear(Posted& posted) {
  Random& random = world_.random();
  auto& parts = posted.parts;
  const std::size_t size = parts[0].second;
  if (parts[0].first == 0 && size >= 2 * kLine && random.coin()) {
    // The packet with one cache line is lost and sent again: often one of those with the words.
    const std::size_t lines = size / kLine, begin = kLine * random.below(random.coin() ? 2 : lines);
    const std::size_t end = std::min(begin + kLine, size);
    parts = {{0, begin}, {end, size}, {begin, end}};
    posted.resent = true;
    return;
  }
  for (std::uint64_t cuts = random.between(1, 3); cuts > 0; --cuts) {
    auto& part = parts[random.below(parts.size())];
    const std::size_t words = (part.second - part.first) / kWord;
    if (words < 2) continue;
    const std::size_t cut = part.first + kWord * random.between(1, words - 1);
    const std::size_t end = part.second;
    part.second = cut;
    parts.push_back({cut, end});
  }
  for (std::size_t i = parts.size() - 1; i > 0; --i)
    std::swap(parts[i], parts[random.below(i + 1)]);
}

// The header of the block is there: the bodies that it tells of, each at a moment of its own, or
// when read slots were filled, on which nothing depends.
void SimChannel::choose_bodies(Posted& posted) {
  const Op& op = *posted.op;
  const layout::RegionGeometry& g = *op.blocks;
  const std::byte* const block = host_->region.data() + op.offset;
  posted.chosen = true;
  posted.resent = false;
  layout::SlotSet slots = layout::readable_slots(g, op.data, op.tag);
  for (std::uint32_t i = 0; slots == 0 && i < g.read_slots; ++i) {
    const std::uint32_t at = g.body(i) + layout::kFilled;
    std::copy_n(block + at, sizeof(std::uint16_t), op.data + at);
    posted.result += sizeof(std::uint16_t);
  }
  for (; slots != 0; slots &= slots - 1) {
    const std::size_t body = g.body(static_cast<std::uint32_t>(std::countr_zero(slots)));
    posted.parts.push_back({body, body + g.slot_size});
  }
  if (!posted.parts.empty() && world_.strikes(Fault::torn_read, kTornPerMillion)) tear(posted);
}

// The body of a read slot, to the place of another one's. Read-slot words are not protected against
// that; for what the server writes there is a fault of its own.
void SimChannel::misplace(Posted& posted) {
  const auto of = std::ranges::find_if(host_->parts, [&](const Host::Part& part) {
    const std::uint64_t base = part.blocks.base;
    return posted.offset >= base && posted.offset - base < part.blocks.size();
  });
  if (of == host_->parts.end()) return;
  const layout::RegionGeometry& g = of->blocks;
  const std::uint64_t in_block = (posted.offset - g.base) % g.block_size();
  const bool is_body = in_block >= g.body(0) && in_block < g.body(g.read_slots);
  if (!is_body || !world_.strikes(Fault::misplaced_write, kMisplacedPerMillion)) return;
  const std::uint64_t block = world_.random().below(g.blocks);
  posted.offset =
      g.block_at(block) + g.body(static_cast<std::uint32_t>(world_.random().below(g.read_slots)));
}

void SimChannel::schedule() {
  if (scheduled_ || queue_.empty()) return;
  scheduled_ = true;
  const Posted& next = *queue_.front();
  const bool begun = next.swap_read || next.parts.size() > 1;
  Nanos delay = world_.delay(begun ? kBetweenParts : kNic);
  if (next.resent && next.parts.size() == 1) delay = world_.random().below(kResent);
  world_.after(delay, [self = shared_from_this()] {
    self->scheduled_ = false;
    self->step();
    self->schedule();
  });
}

bool SimChannel::step() {
  if (queue_.empty()) return false;
  // A dead server's region is gone, but for who has it mapped.
  if (!endpoint_.shared_memory && !host_->process.alive()) return false;
  const std::shared_ptr<Posted> posted = queue_.front();
  Op& op = *posted->op;
  std::byte* memory = host_->region.data() + posted->offset;
  if (op.kind == Op::Kind::cas) {
    if (!posted->swap_read) {
      if (!host_->swapping.insert(op.offset).second) return false;
      posted->result = load<std::uint64_t>(memory);
      posted->swap_read = true;
      if (posted->parts.size() > 1) return true;
    }
    if (posted->result == op.expected) store(memory, op.desired);
    host_->swapping.erase(op.offset);
    world_.note("{} CAS {:#x}: {:016x}, {}", name_, op.offset, posted->result,
                posted->result == op.expected ? fmt::format("now {:016x}", op.desired) : "failed");
  } else {
    const auto [begin, end] = posted->parts.front();
    posted->parts.erase(posted->parts.begin());
    posted->result += end - begin;
    if (op.reads()) {
      std::copy(memory + begin, memory + end, op.data + begin);
    } else {
      std::copy(op.data + begin, op.data + end, memory + begin);
    }
    world_.note("{} {} {:#x}, bytes {} to {} of {}", name_, op.reads() ? "READ" : "WRITE",
                posted->offset, begin, end, op.size);
    if (posted->parts.empty() && !posted->chosen) choose_bodies(*posted);
    if (!posted->parts.empty()) return true;
    if (op.kind == Op::Kind::write && world_.strikes(Fault::damage_write_slot, kDamagePerMillion)) {
      if (const auto block = host_->damage(world_)) ++endpoint_.damages[*block];
    }
  }
  queue_.pop_front();
  // Rule 9. A real transport does this over shared memory (fabric/shm/shm_connection.cc).
  if (kept(Rule::epoch) && host_->epoch != endpoint_.epoch) {
    lose("the server was restarted");
  }
  happened(posted);
  return true;
}

// Tells the client, in the order of the operations.
void SimChannel::happened(const std::shared_ptr<Posted>& posted) {
  const bool ok = !lost();
  last_completion_ = std::max(last_completion_, world_.now() + world_.delay(kNic));
  client_.deliver(last_completion_ - world_.now(), [self = shared_from_this(), posted, ok] {
    if (posted->done) return;
    posted->done = true;
    std::erase(self->open_, posted);
    posted->op->complete(self->client_, ok ? Code::ok : Code::unavailable, posted->result);
  });
}

void SimChannel::post(fabric::Call& call, ByteView request) {
  const std::uint64_t id = ++last_call_;
  calls_[id] = &call;
  if (lost()) {
    client_.deliver(0, [self = shared_from_this(), id] {
      auto node = self->calls_.extract(id);
      if (node) node.mapped()->complete(self->client_, self->lost_);
    });
    return;
  }
  host_->process.deliver(world_.delay(kMessage), [self = shared_from_this(), id,
                                                  bytes = Bytes(request.begin(), request.end())] {
    if (!self->lost()) self->host_->service.on_request(*self, id, bytes);
  });
}

void SimChannel::reply(std::uint64_t call, ByteView payload) {
  client_.deliver(
      world_.delay(kMessage),
      [self = shared_from_this(), call, bytes = Bytes(payload.begin(), payload.end())]() mutable {
        if (self->lost()) return;
        auto node = self->calls_.extract(call);
        if (node) node.mapped()->complete(self->client_, std::move(bytes));
      });
}

void SimChannel::lose(const std::string& why) {
  if (lost()) return;
  world_.note("the connection of {} is lost: {}", name_, why);
  for (std::uint64_t steps = world_.random().below(2 * queue_.size() + 1); steps > 0; --steps)
    step();
  if (lost()) return;  // the steps have met a new epoch
  lost_ = Status(Code::unavailable, why);
  if (!queue_.empty() && queue_.front()->swap_read)
    host_->swapping.erase(queue_.front()->op->offset);
  queue_.clear();
  client_.deliver(world_.delay(kNotice), [self = shared_from_this()] {
    const auto open = std::exchange(self->open_, {});
    for (const auto& posted : open) {
      if (posted->done) continue;
      posted->done = true;
      posted->op->complete(self->client_, Code::unavailable);
    }
    auto calls = std::exchange(self->calls_, {});
    for (auto& [id, call] : calls) call->complete(self->client_, self->lost_);
  });
  host_->process.deliver(world_.delay(kNotice), [self = shared_from_this()] {
    if (std::exchange(self->greeted_, false)) self->host_->service.on_disconnect(*self);
    std::erase(self->host_->channels, self);
  });
}

void SimChannel::server_died() {
  // Over shared memory the socket's hangup may be noticed late.
  const Nanos notice =
      world_.random().below(endpoint_.shared_memory ? 300 * kMillisecond : kNotice);
  world_.after(notice, [self = shared_from_this()] { self->lose("the server has died"); });
}

void interleave(World& world, Host& host) {
  while (!host.channels.empty() && world.random().chance(kInterleavePerMillion)) {
    const auto channel = host.channels[world.random().below(host.channels.size())];
    channel->step();
  }
}

}  // namespace scalio::sim
