#include "sim/sim_load.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/hash.h"
#include "client/record_end.h"
#include "task/wait_group.h"

namespace scalio::sim {

using history::Operation;
using layout::RequestKind;

namespace {
constexpr std::uint64_t kKillPerMillion = 100;
constexpr std::uint64_t kMisroutedPerMillion = 100'000;
// Additions of one key: what its value can tell of (linearizability/additions.h), or hold.
constexpr std::uint32_t kMostAppends = 8, kMostIncrements = 31;
constexpr std::uint32_t kSmallestLarge = 80;  // over the inline limit with any key
// Writes of so many per million are for a time, of this length at most.
constexpr std::uint64_t kForATimePerMillion = 250'000;
constexpr Nanos kLongestTime = 20 * kMillisecond;
// Shorter than additions to one key go on, so that some find that it has ended.
constexpr Nanos kLongestTimeOfAdditions = 4 * kMillisecond;
// Before such an end passes it may be changed, and the key is looked at for twice as long.
constexpr Nanos kLastMoment = 200 * kMicrosecond;
// Of what a client asks for, where it does so, this is many operations in one call: mostly a few,
// sometimes more than a session begins with places for (server/sessions.h).
constexpr std::uint64_t kManyPerMillion = 100'000;
constexpr std::uint64_t kFew = 8, kMost = 20;
constexpr Nanos kThink = 20 * kMicrosecond;
constexpr Nanos kNextClient = 10 * kMillisecond;
constexpr Nanos kReadAllPause = 100 * kMillisecond;  // more than any fill timeout

// Behind the name in the bytes of a large value.
constexpr std::string_view kNameEnd = "|";

// The bytes of a large value. The history has its name alone, which says how long it is; no two
// places in it are alike, or the same place of two values.
std::string bytes_of(const std::string& name, std::size_t size) {
  std::string bytes(size, '\0');
  std::uint64_t word = hash_key(name, 0);
  for (std::size_t at = 0; at < size; at += sizeof word) {
    word = mix(word + at);
    std::memcpy(bytes.data() + at, &word, std::min(sizeof word, size - at));
  }
  bytes.replace(0, name.size(), name);
  bytes.replace(name.size(), kNameEnd.size(), kNameEnd);
  return bytes;
}
std::size_t size_of(std::string_view name) {
  const std::size_t at = name.rfind('+');
  return at == std::string_view::npos ? 0 : std::strtoull(name.data() + at + 1, nullptr, 10);
}
// What the history has of a value that was read: of a large one that is not what was written
// something that nobody has written.
std::string told_of(std::string value) {
  const std::size_t end = value.find(kNameEnd);
  if (end == std::string::npos) return value;
  std::string name = value.substr(0, end);
  if (size_of(name) == value.size() && bytes_of(name, value.size()) == value) return name;
  return fmt::format("{}, damaged", name);
}

history::Time time_of(Nanos t) { return static_cast<history::Time>(t); }

Operation::Outcome outcome_of(Code code, bool is_write) {
  switch (code) {
    case Code::ok: return Operation::Outcome::ok;
    case Code::not_found: return Operation::Outcome::not_found;
    case Code::conflict: return Operation::Outcome::conflict;
    case Code::unknown: return is_write ? Operation::Outcome::unknown : Operation::Outcome::error;
    default: return Operation::Outcome::error;
  }
}

Operation::Kind operation_of(RequestKind write) {
  switch (write) {
    case RequestKind::remove: return Operation::Kind::remove;
    case RequestKind::put_if: return Operation::Kind::put_if;
    case RequestKind::remove_if: return Operation::Kind::remove_if;
    default: return Operation::Kind::put;
  }
}

}  // namespace

SimLoad::SimLoad(World& world, SimServer& server, SimServer::Shards& shards, const LoadShape& shape)
    : world_(world), server_(server), shards_(shards), shape_(shape) {
  options_.operation_timeout = std::chrono::milliseconds(shape.operation_timeout / kMillisecond);
  options_.resume_timeout = std::chrono::milliseconds(shape.resume_timeout / kMillisecond);
  options_.block_read = shape.block_read;
}

void SimLoad::start() {
  for (std::uint32_t i = 0; i < shape_.clients; ++i) {
    SimClient& client = add_client();
    start_tasks(client);
  }
}

SimLoad::SimClient& SimLoad::add_client() {
  auto owned = std::make_unique<SimClient>();
  SimClient& client = *owned;
  clients_.push_back(std::move(owned));
  client.process = std::make_unique<SimProcess>(world_, fmt::format("c{}", clients_.size()),
                                                Fault::freeze_client,
                                                [this, c = &client] { consider_fate(*c); });
  client.versions.resize(shape_.keys);
  client.lanes = std::make_unique<client::Lanes>(
      *client.process, [this, c = &client](std::uint32_t lane, Bytes hello, Nanos) {
        const bool again = c->lanes->shards() > 0;
        return server_.connect(where(lane, again), *c->process, std::move(hello));
      });
  for (std::uint32_t i = 0; i < shards_.size(); ++i) {
    SimClient::Shard& s = client.shards.emplace_back();
    s.link = std::make_unique<client::ShardLink>(
        *client.process,
        [c = &client, i](Bytes hello, Nanos bound) {
          return c->lanes->join(i, std::move(hello), bound);
        },
        options_);
    s.client = std::make_unique<client::ShardClient>(
        *client.process, *s.link,
        [process = client.process.get(),
         disk = &shards_[i]->disk()](layout::HelloReply) -> Task<Result<client::OpenedSsd>> {
          auto device = co_await open_disk(*process, *disk);
          co_return client::OpenedSsd{*std::move(device)};
        },
        options_);
    s.scan =
        std::make_unique<client::ShardScan>(*client.process, *s.link, s.client->ssd(), options_);
  }
  return client;
}

// The lane that a client of `lane` reaches. Who connects for the first time knows whom it asks for;
// later it is told by what it knew before.
std::uint32_t SimLoad::where(std::uint32_t lane, bool again) {
  if (!again || server_.lanes() == 1 || !world_.strikes(Fault::misrouted, kMisroutedPerMillion)) {
    return lane;
  }
  return static_cast<std::uint32_t>(world_.random().below(server_.lanes()));
}

void SimLoad::start_tasks(SimClient& client) {
  for (std::uint32_t i = 0; i < shape_.tasks; ++i) {
    ++client.running;
    ++running_;
    client.process->spawn(task(client));
  }
}

Task<void> SimLoad::task(SimClient& client) {
  Random& random = world_.random();
  while (asked_ < shape_.operations) {
    if (shape_.batches && random.chance(kManyPerMillion)) {
      co_await do_many(client);
    } else {
      co_await do_one(client);
    }
    if (random.coin()) co_await client.process->sleep(world_.delay(kThink));
  }
  --client.running;
  --running_;
  if (client.running == 0) collect(client);
}

// A few keys get most of the load.
std::uint32_t SimLoad::some_key() {
  Random& random = world_.random();
  return static_cast<std::uint32_t>(std::min(random.below(shape_.keys), random.below(shape_.keys)));
}

Task<void> SimLoad::do_one(SimClient& client) {
  ++asked_;
  const std::uint32_t key = some_key();
  const std::uint64_t dice = world_.random().below(100);
  if (shape_.many_scans && dice < 50) {
    co_await scan(client);
  } else if (dice < 53) {
    co_await get(client, key);
  } else if (dice < 55) {
    co_await scan(client);
  } else if (dice < 60) {
    co_await add(client);
  } else if (dice < 64) {
    co_await set_end(client, key);
  } else if (dice < 76) {
    co_await write(client, RequestKind::put, key);
  } else if (dice < 90) {
    co_await write(client, RequestKind::put_if, key);
  } else if (dice < 96) {
    co_await write(client, RequestKind::remove, key);
  } else {
    co_await write(client, RequestKind::remove_if, key);
  }
}

// As Client::write and Client::multi_get: all in flight together, each by itself.
Task<void> SimLoad::do_many(SimClient& client) {
  Random& random = world_.random();
  const std::uint64_t size =
      random.below(3) > 0 ? random.between(2, kFew) : random.between(kFew + 1, kMost);
  asked_ += size;
  if (random.below(3) > 0) {
    co_await batch(client, size);
  } else {
    co_await multi_get(client, size);
  }
}

// One value of it may be large: so no more are on their way than tasks.
Task<void> SimLoad::batch(SimClient& client, std::uint64_t size) {
  constexpr std::array kKinds{RequestKind::put,    RequestKind::put,    RequestKind::put_if,
                              RequestKind::put_if, RequestKind::remove, RequestKind::remove_if};
  world_.note("{} asks for {} writes in one call", client.process->name(), size);
  ++counts_.batches;
  counts_.batched_writes += size;
  WaitGroup group(*client.process);
  for (std::uint64_t i = 0; i < size; ++i) {
    const std::uint32_t key = some_key();
    const RequestKind kind = kKinds[world_.random().below(kKinds.size())];
    group.spawn(write(client, kind, key, i == 0));
  }
  co_await group.wait();
}

Task<void> SimLoad::multi_get(SimClient& client, std::uint64_t size) {
  world_.note("{} asks for {} keys in one call", client.process->name(), size);
  ++counts_.multi_gets;
  WaitGroup group(*client.process);
  for (std::uint64_t i = 0; i < size; ++i) group.spawn(get(client, some_key()));
  co_await group.wait();
}

SimShard& SimLoad::shard_of(const std::string& key, std::uint64_t* point) {
  const layout::SsdGeometry& ssd = shards_[0]->ssd();
  const std::uint64_t hash = hash_key(key, ssd.hash_seed);
  if (point != nullptr) *point = ssd.placement().point_of(hash);
  return *shards_[ssd.placement().shard_of(hash)];
}

Task<void> SimLoad::get(SimClient& client, std::uint32_t number) {
  const std::string key = name_of(number);
  std::uint64_t point = 0;
  SimShard& shard = shard_of(key, &point);
  Operation operation;
  operation.client = client.process->name();
  operation.kind = Operation::Kind::get;
  operation.key = key;
  operation.called = time_of(world_.now());
  const std::uint64_t block = shard.blocks().block_of(point);
  const Host::Block of{shard.ssd().shard, block};
  const std::uint64_t damages = server_.damages(of);
  const bool misled = shard.misleads(block);
  const std::uint64_t began = server_.store_time(shard.ssd().shard);
  Result<Record> record = co_await client.shards[shard.ssd().shard].client->get(key, point);
  operation.outcome = outcome_of(record.code(), false);
  std::uint64_t end = 0;
  if (record.ok()) {
    operation.value = told_of(std::move(record->value));
    operation.version = record->version;
    end = client::end_of(record->end);
    if (end != 0 && end <= began) ++late_records_;
  } else {
    world_.note("{}: {}", key, record.status().to_string());
    // Buckets that are read wrongly, or of another SSD, are damaged just the same.
    const bool astray = world_.enabled(Fault::misdirected_read) ||
                        world_.enabled(Fault::stale_read) || world_.enabled(Fault::replaced_ssd);
    if (record.code() == Code::corrupt && shape_.largest > 0 && !astray) ++lost_values_;
  }
  take(client, number, std::move(operation), misled || server_.damages(of) != damages, end);
}

// Until now nobody could know that what had not ended by the servers' clocks has ended.
void SimLoad::look_at_the_time() {
  std::erase_if(living_, [&](const Living& w) {
    const std::uint64_t told = server_.told_time(w.shard);
    Operation& asked = history_[w.write];
    if (told != 0 && told < w.end) asked.ends = time_of(world_.now());
    // Who asks from now on finds nothing. Of records that tell their end late_records() says so.
    if (told >= w.end && w.exact) asked.gone = time_of(world_.now());
    return told >= w.end;
  });
}

// What a read has found. `misled`: a write slot's word was damaged meanwhile, and nothing is
// promised: as if it had not been asked.
void SimLoad::take(SimClient& client, std::uint32_t number, Operation operation, bool misled,
                   std::uint64_t end) {
  look_at_the_time();
  operation.returned = time_of(world_.now());
  if (misled) {
    operation.outcome = Operation::Outcome::error;
  } else if (operation.outcome == Operation::Outcome::ok) {
    if (number < shape_.keys) client.versions[number] = operation.version;
    shard_of(operation.key).acknowledged(operation.key, operation.version, false, end);
    read_ends_[history_.size()] = end;
  }
  world_.digest(operation.version + static_cast<std::uint64_t>(operation.outcome));
  world_.note("{}", history::to_string(operation, 0));
  history_.push_back(std::move(operation));
}

// All of the store, in steps.
Task<void> SimLoad::scan(SimClient& client) {
  ++client.scanning;
  ++scanning_;
  for (std::uint32_t shard = 0; shard < shards_.size(); ++shard) {
    const std::uint64_t buckets = shards_[shard]->ssd().buckets;
    const std::uint64_t step = world_.random().between(1, buckets);
    for (std::uint64_t first = 0; first < buckets; first += step) {
      co_await scan(client, shard, first, std::min(first + step, buckets));
    }
  }
  --client.scanning;
  --scanning_;
}

// What a step of a scan promises of each key whose home is in it is what a GET promises that takes
// as long: a value that it had meanwhile, and "none" only if it was not there at some moment.
Task<void> SimLoad::scan(SimClient& client, std::uint32_t index, std::uint64_t first,
                         std::uint64_t end) {
  struct Asked {
    std::uint32_t number;
    Host::Block block;
    std::uint64_t damages;
    bool misled;
    Operation operation;
  };
  SimShard& shard = *shards_[index];
  std::vector<Asked> asked;
  for (std::uint32_t number = 0; number < shape_.keys; ++number) {
    std::uint64_t point = 0;
    const std::string key = name_of(number);
    if (&shard_of(key, &point) != &shard) continue;
    const std::uint64_t home = shard.ssd().home_bucket(point);
    if (home < first || home >= end) continue;
    const std::uint64_t block = shard.blocks().block_of(point);
    const Host::Block of{index, block};
    Asked& a =
        asked.emplace_back(Asked{number, of, server_.damages(of), shard.misleads(block), {}});
    a.operation.client = client.process->name();
    a.operation.kind = Operation::Kind::get;
    a.operation.key = key;
    a.operation.called = time_of(world_.now());
  }
  const std::uint64_t began = server_.store_time(index);
  Result<ScanPage> page = co_await client.shards[index].scan->read(first, end);
  if (!page.ok()) world_.note("scan: {}", page.status().to_string());
  std::size_t found = 0;
  for (Asked& a : asked) {
    Operation& operation = a.operation;
    std::uint64_t ends = 0;
    operation.outcome = page.ok() ? Operation::Outcome::not_found : Operation::Outcome::error;
    if (page.ok()) {
      const auto record = std::ranges::find(page->records, operation.key, &ScannedRecord::key);
      if (record != page->records.end()) {
        ++found;
        operation.outcome = Operation::Outcome::ok;
        operation.value = record->value;
        operation.version = record->version;
        ends = client::end_of(record->end);
        if (ends != 0 && ends <= began) ++late_records_;
        if (record->large) co_await find_large(client, *record, operation);
      }
    }
    const bool misled = a.misled || server_.damages(a.block) != a.damages;
    if (!operation.client.empty()) take(client, a.number, std::move(operation), misled, ends);
  }
  if (!page.ok()) co_return;
  const auto others = std::ranges::count_if(page->records, [](const ScannedRecord& r) {
    return r.key == kOthersKey || r.key.starts_with("list-") || r.key.starts_with("sum-");
  });
  strange_records_ += page->records.size() - found - static_cast<std::size_t>(others);
}

// Of a large value a scan has the version. If it is still there, it tells which value that was.
Task<void> SimLoad::find_large(SimClient& client, const ScannedRecord& record,
                               Operation& operation) {
  std::uint64_t point = 0;
  SimShard& shard = shard_of(operation.key, &point);
  Result<Record> got = co_await client.shards[shard.ssd().shard].client->get(operation.key, point);
  if (got.ok() && got->version == record.version) {
    operation.value = told_of(std::move(got->value));
  } else {
    // Nothing is told of it.
    operation.client.clear();
  }
}

std::string SimLoad::new_value(const SimClient& client, bool may_be_large) {
  Random& random = world_.random();
  std::string name = fmt::format("{}.{}", client.process->name(), ++values_);
  if (shape_.largest == 0 || !may_be_large || random.coin())
    return name.append(random.below(30), 'x');
  if (shape_.bulky)
    return fmt::format("{}+{}", name, random.between(shape_.largest / 2, shape_.largest));
  const std::uint64_t most = random.coin() ? shape_.largest : std::min(shape_.largest, 1024U);
  return fmt::format("{}+{}", name, random.between(kSmallestLarge, most));
}

// The request of an operation in the history.
Task<Result<std::uint64_t>> SimLoad::send(SimClient& client, RequestKind kind,
                                          const Operation& asked, Until until) {
  const std::string key = asked.key, name = asked.value.value_or("");
  const std::uint64_t expected = asked.expected;
  client::ShardClient& c = *client.shards[shard_of(key).ssd().shard].client;
  const std::size_t size = is_removal(kind) ? 0 : size_of(name);
  if (size == 0) {
    const Result<client::WriteReply> done =
        co_await c.write(layout::Request{.kind = kind,
                                         .expected = expected,
                                         .key = key,
                                         .value = name,
                                         .end = until.from_now != 0 ? until.from_now : until.end,
                                         .end_is_relative = until.from_now != 0});
    if (!done.ok()) co_return done.status();
    co_return done->version;
  }
  client::LargeWrite write{key, static_cast<std::uint32_t>(size), std::nullopt};
  if (until.from_now != 0) {
    write.expiry = Expiry::after(std::chrono::nanoseconds(until.from_now));
  } else if (until.end != 0) {
    write.expiry = Expiry::at(client::end_of(until.end));
  }
  if (kind == RequestKind::put_if) write.expected = expected;
  const std::string value = bytes_of(name, size);
  co_return co_await c.write_large(write, value);
}

SimLoad::Until SimLoad::choose_until(std::uint32_t shard) {
  if (!world_.random().chance(kForATimePerMillion)) return {};
  const Nanos time = world_.random().between(1, kLongestTime);
  return {server_.store_time(shard) + time, world_.random().coin() ? time : 0};
}

// In the history from the start: the client may die, and the write happen all the same.
std::size_t SimLoad::begin_write(SimClient& client, Operation operation, std::uint32_t shard,
                                 std::uint64_t end, bool exact) {
  const std::size_t at = history_.size();
  operation.client = client.process->name();
  operation.called = time_of(world_.now());
  if (end != 0) {
    operation.ends = operation.called;
    living_.push_back({at, shard, end, exact});
  }
  if (end != 0 || operation.kind == Operation::Kind::remove ||
      operation.kind == Operation::Kind::remove_if) {
    shards_[shard]->removal_begins(operation.key, end);
  }
  world_.note("{} asks", history::to_string(operation, 0));
  history_.push_back(std::move(operation));
  return at;
}

void SimLoad::end_write(SimClient& client, std::uint32_t number, std::size_t at,
                        const Result<std::uint64_t>& version, std::uint64_t end) {
  look_at_the_time();
  Operation& operation = history_[at];
  SimShard& shard = shard_of(operation.key);
  const bool removal = !history::is_put(operation.kind);
  operation.outcome = outcome_of(version.code(), true);
  operation.returned = time_of(world_.now());
  if (version.ok()) {
    operation.version = *version;
    client.versions[number] = removal ? 0 : *version;
    shard.acknowledged(operation.key, *version, removal, end);
  }
  if ((removal || end != 0) && operation.outcome != Operation::Outcome::unknown)
    shard.removal_ends(operation.key, end);
  world_.digest(operation.version + static_cast<std::uint64_t>(operation.outcome));
  world_.note("{}{}", history::to_string(operation, 0),
              version.ok() ? "" : ": " + version.status().message());
}

Task<void> SimLoad::write(SimClient& client, RequestKind kind, std::uint32_t number,
                          bool may_be_large) {
  Operation operation;
  operation.kind = operation_of(kind);
  operation.key = name_of(number);
  const std::uint32_t shard = shard_of(operation.key).ssd().shard;
  const Until until = is_removal(kind) ? Until() : choose_until(shard);
  if (!is_removal(kind)) operation.value = new_value(client, may_be_large);
  // Mostly what is current, as far as this client knows.
  if (kind == RequestKind::put_if) {
    operation.expected = world_.random().below(10) < 3 ? 0 : client.versions[number];
  } else if (kind == RequestKind::remove_if) {
    // One that no write has, if it knows none: the checker takes it that whoever expects a
    // version has been told of it.
    operation.expected =
        client.versions[number] != 0 ? client.versions[number] : layout::kMaxVersion;
  }
  const std::size_t at = begin_write(client, std::move(operation), shard, until.end);
  const Operation asked = history_[at];
  const Result<std::uint64_t> version = co_await send(client, kind, asked, until);
  if (asked.value && size_of(*asked.value) > 0) {
    counts_.refused += version.code() == Code::full ? 1 : 0;
    counts_.taken_again += version.ok() && counts_.refused > 0 ? 1 : 0;
  }
  end_write(client, number, at, version, until.end);
}

// Of the record that this client has seen last. In the history it is a put of another value.
Task<void> SimLoad::set_end(SimClient& client, std::uint32_t number) {
  if (client.versions[number] == 0) {
    co_await get(client, number);
    co_return;
  }
  const std::string key = name_of(number);
  const std::uint32_t shard = shard_of(key).ssd().shard;
  std::uint64_t end = 0;
  if (world_.random().below(4) > 0)
    end = server_.store_time(shard) + world_.random().between(1, kLongestTime);
  const std::uint64_t expected = client.versions[number];
  Operation operation;
  operation.kind = Operation::Kind::put_if;
  operation.key = key;
  operation.value = fmt::format("{}.{}", client.process->name(), ++values_);
  operation.expected = expected;
  const std::size_t at = begin_write(client, std::move(operation), shard, end);
  new_ends_[at] = end;
  world_.note("that is a change of its end, to {}", end);
  const Result<client::WriteReply> done =
      co_await client.shards[shard].client->write(layout::Request{
          .kind = RequestKind::set_end, .expected = expected, .key = key, .value = {}, .end = end});
  end_write(client, number, at,
            done.ok() ? Result<std::uint64_t>(done->version) : Result<std::uint64_t>(done.status()),
            end);
}

std::vector<Operation> SimLoad::history_of_puts() const {
  std::vector<Operation> out = history_;
  if (new_ends_.empty()) return out;
  // What each version of a key had for a value: those who wrote or read it say so.
  std::map<std::pair<std::string_view, std::uint64_t>, std::string_view> values;
  for (std::size_t i = 0; i < history_.size(); ++i) {
    const Operation& o = history_[i];
    if (o.outcome == Operation::Outcome::ok && o.value && !new_ends_.contains(i))
      values.emplace(std::pair(std::string_view(o.key), o.version), *o.value);
  }
  // In the order of versions, so that what is changed again is known.
  std::map<std::pair<std::string_view, std::uint64_t>, std::size_t> changes;
  for (const auto& [at, end] : new_ends_) {
    const Operation& o = history_[at];
    if (o.outcome == Operation::Outcome::ok) changes[{o.key, o.version}] = at;
  }
  for (const auto& [of, at] : changes) {
    const auto before = values.find({of.first, history_[at].expected});
    if (before != values.end()) values.emplace(of, before->second);
  }
  for (const auto& [at, end] : read_ends_) {
    Operation& read = out[at];
    if (read.outcome != Operation::Outcome::ok) continue;
    const auto same_value = [&](std::size_t change) {
      const auto before = values.find({read.key, history_[change].expected});
      return before != values.end() && before->second == *read.value;
    };
    if (const auto done = changes.find({read.key, read.version}); done != changes.end()) {
      if (same_value(done->second)) read.value = history_[done->second].value;
      continue;
    }
    // Of unknown outcome: its end tells it, and that no version of the value is between.
    const Operation* found = nullptr;
    for (const auto& [change, until] : new_ends_) {
      const Operation& o = history_[change];
      if (o.key != read.key || o.outcome != Operation::Outcome::unknown || until != end) continue;
      if (o.expected >= read.version || !same_value(change)) continue;
      if (found == nullptr || o.expected > found->expected) found = &o;
    }
    if (found != nullptr) read.value = found->value;
  }
  return out;
}

// One more addition to a list or a sum, and now and then a look at it.
Task<void> SimLoad::add(SimClient& client) {
  const bool list = world_.random().coin();
  const std::uint32_t n = list ? appends_++ : increments_++;
  const std::uint32_t of_one = list ? kMostAppends : kMostIncrements;
  const std::uint32_t number = shape_.keys + 2 * (n / of_one) + (list ? 0 : 1);
  const std::string key = name_of(number);
  const std::int64_t by = std::int64_t{1} << (2 * (n % of_one));
  SimShard& shard = shard_of(key);
  const std::size_t at = history_.size();
  const std::string text = list ? fmt::format("{};", ++values_) : std::to_string(by);
  history_.push_back({.client = client.process->name(),
                      .kind = list ? Operation::Kind::append : Operation::Kind::increment,
                      .key = key,
                      .value = text,
                      .called = time_of(world_.now())});
  world_.note("{} asks", history::to_string(history_[at], 0));
  std::array<std::byte, sizeof by> operand;
  store(operand.data(), by);
  const auto kind = list ? RequestKind::append : RequestKind::increment;
  const Result<client::WriteReply> done = co_await client.shards[shard.ssd().shard].client->write(
      {.kind = kind, .key = key, .value = list ? std::string_view(text) : as_string(operand)});
  Operation& operation = history_[at];
  operation.outcome = outcome_of(done.code(), true);
  operation.returned = time_of(world_.now());
  if (done.ok()) {
    operation.version = done->version;
    operation.number = done->update.number;
    shard.acknowledged(key, done->version, false);
    if (done->update.previous == 0 && ended_additions_.contains(number)) ++counts_.begun_anew;
  }
  world_.digest(operation.version + static_cast<std::uint64_t>(operation.outcome));
  world_.note("{}{}", history::to_string(operation, 0),
              done.ok() ? "" : ": " + done.status().message());
  if (world_.random().coin()) co_await get(client, number);
  if (shape_.additions_end && world_.random().below(3) == 0)
    co_await end_additions(client, number, done.ok() ? done->version : 0);
}

// Gives what is added to an end: in three of four cases, else it lasts from now on. Of the version
// that this client knows, or of any. Sometimes another one, when that is about to pass.
Task<void> SimLoad::end_additions(SimClient& client, std::uint32_t number, std::uint64_t version) {
  Random& random = world_.random();
  const std::uint64_t expected = random.coin() ? version : 0;
  const Nanos time = random.below(4) > 0 ? random.between(1, kLongestTimeOfAdditions) : 0;
  const std::uint32_t shard = shard_of(name_of(number)).ssd().shard;
  const std::uint64_t end = time != 0 ? server_.store_time(shard) + time : 0;
  co_await change_end(client, number, expected, end, time != 0 && random.coin() ? time : 0);
  if (end == 0 || !random.coin()) co_return;
  const std::uint64_t now = server_.store_time(shard), before = random.below(kLastMoment);
  if (now + before < end) co_await client.process->sleep(end - before - now);
  WaitGroup group(*client.process);
  group.spawn(change_end(client, number, 0, end + kLongestTimeOfAdditions, 0));
  for (Nanos wait = 0; wait < 2 * kLastMoment; wait += kLastMoment / 4)
    group.spawn(get_later(client, number, wait));
  co_await group.wait();
}

Task<void> SimLoad::get_later(SimClient& client, std::uint32_t number, Nanos wait) {
  co_await client.process->sleep(wait);
  co_await get(client, number);
}

// From now on, or to what that is by the time at which it is asked for.
Task<void> SimLoad::change_end(SimClient& client, std::uint32_t number, std::uint64_t expected,
                               std::uint64_t end, Nanos from_now) {
  Operation operation;
  operation.kind = Operation::Kind::set_end;
  operation.key = name_of(number);
  operation.expected = expected;
  const std::string key = operation.key;
  const std::uint32_t shard = shard_of(key).ssd().shard;
  const std::size_t at = begin_write(client, std::move(operation), shard, end, from_now == 0);
  const Result<client::WriteReply> done = co_await client.shards[shard].client->write(
      layout::Request{.kind = RequestKind::set_end,
                      .expected = expected,
                      .key = key,
                      .value = {},
                      .end = from_now != 0 ? from_now : end,
                      .end_is_relative = from_now != 0});
  end_change(number, at, done, end);
}

void SimLoad::end_change(std::uint32_t number, std::size_t at,
                         const Result<client::WriteReply>& done, std::uint64_t end) {
  look_at_the_time();
  Operation& operation = history_[at];
  SimShard& shard = shard_of(operation.key);
  operation.outcome = outcome_of(done.code(), true);
  operation.returned = time_of(world_.now());
  if (done.ok()) {
    operation.version = done->version;
    shard.acknowledged(operation.key, done->version, false, end);
    ++counts_.end_changes;
    if (end != 0) ended_additions_.insert(number);
  } else if (end != 0 && operation.outcome != Operation::Outcome::unknown) {
    // Else it may end then as long as it is added to: an addition keeps the end, and does not tell.
    shard.removal_ends(operation.key, end);
  }
  world_.digest(operation.version + static_cast<std::uint64_t>(operation.outcome));
  world_.note("{}{}", history::to_string(operation, 0),
              done.ok() ? "" : ": " + done.status().message());
}

void SimLoad::consider_fate(SimClient& client) {
  if (client.running > 0 && world_.strikes(Fault::kill_client, kKillPerMillion)) kill(client);
}

void SimLoad::kill(SimClient& client) {
  world_.note("{} is killed", client.process->name());
  client.process->kill();
  running_ -= client.running;
  client.running = 0;
  scanning_ -= client.scanning;
  client.scanning = 0;
  collect(client);
  for (const auto& endpoint : server_.endpoints()) {
    if (!endpoint->host) continue;
    for (const auto& channel : endpoint->host->channels) {
      if (&channel->client() != client.process.get()) continue;
      world_.after(world_.delay(kMillisecond), [channel] { channel->lose("its client has died"); });
    }
  }
  // Another one takes its place.
  world_.after(world_.delay(kNextClient), [this] {
    if (asked_ >= shape_.operations) return;
    SimClient& next = add_client();
    start_tasks(next);
  });
}

void SimLoad::kill_all() {
  for (std::size_t i = clients_.size(); i > 0; --i) {
    if (clients_[i - 1]->running > 0) kill(*clients_[i - 1]);
  }
}

void SimLoad::start_reading_all() {
  SimClient& client = add_client();
  client.running = 1;
  ++running_;
  client.process->spawn(read_all(client));
}

// Each key three times, farther apart than the fill timeout: slots that were left incomplete are
// taken over. And once more at once: that must be a hit, also of a key that does not exist.
Task<void> SimLoad::read_all(SimClient& client) {
  for (std::uint32_t key = 0; key < shape_.keys; ++key) {
    std::uint64_t moved = 0;
    for (int i = 0; i < 3; ++i) {
      co_await get(client, key);
      moved = server_.moved();
      co_await client.process->sleep(kReadAllPause);
    }
    const std::string name = name_of(key);
    client::ShardClient& c = *client.shards[shard_of(name).ssd().shard].client;
    co_await get(client, key);
    const std::uint64_t misses = c.counters().misses;
    co_await get(client, key);
    // A value that is moved leaves its read slot, as one that is overwritten does.
    if (history_.back().outcome != Operation::Outcome::error && server_.moved() == moved) {
      rereads_that_missed_ += c.counters().misses - misses;
    }
  }
  const std::uint32_t lists = (appends_ + kMostAppends - 1) / kMostAppends,
                      sums = (increments_ + kMostIncrements - 1) / kMostIncrements;
  for (std::uint32_t i = 0; i < lists; ++i) co_await get(client, shape_.keys + 2 * i);
  for (std::uint32_t i = 0; i < sums; ++i) co_await get(client, shape_.keys + 2 * i + 1);
  co_await scan(client);
  client.running = 0;
  --running_;
  collect(client);
}

void SimLoad::collect(SimClient& client) {
  for (const auto& s : client.shards) {
    counters_ += s.client->counters();
    counters_ += s.scan->counters();
    counts_.taken_at_once += s.scan->spilled_homes().taken_at_once;
    counts_.read_again += s.scan->spilled_homes().read_again;
  }
}

}  // namespace scalio::sim
