#include "nvmf/target/controller.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/hash.h"
#include "base/text.h"
#include "nvmf/wire/log_page.h"

namespace scalio::nvmf {

namespace {

// How long a host may take for its next keep-alive is counted in these.
constexpr std::uint32_t kKeepAliveUnitMs = 100;
// Longer ones count as this: a day.
constexpr std::uint32_t kMaxKeepAliveMs = 24 * 3600 * 1000;
// Of a discovery controller whose host asks for none (Base 5.2.2: two minutes).
constexpr std::uint32_t kDiscoveryKeepAliveMs = 120'000;

// Identify (Base 5.17.2.1): fields that are sets of bits.
constexpr std::uint8_t kManyControllers = 1 << 1;     // CMIC
constexpr std::uint8_t kShared = 1 << 0;              // NMIC
constexpr std::uint32_t kLongHostId = 1 << 0;         // CTRATT
constexpr std::uint32_t kTrafficKeepsAlive = 1 << 6;  // CTRATT
constexpr std::uint8_t kEffectsLog = 1 << 1;          // LPA
constexpr std::uint8_t kLogOffsets = 1 << 2;          // LPA
constexpr std::uint32_t kSgls = 1 << 0;               // SGLS
constexpr std::uint32_t kSglOffsets = 1 << 20;        // SGLS
constexpr std::uint32_t kTransportSgls = 1 << 21;     // SGLS
constexpr std::uint16_t kSelectFeatures = 1 << 4;     // ONCS
constexpr std::uint32_t kSetFeaturesSave = 1U << 31;  // in cdw10
constexpr std::uint32_t kEverySet = 0xffffffff;       // the broadcast NSID
constexpr std::uint32_t kSmallestPage = 4096;         // CAP.MPSMIN

// Log pages (Base 5.16.1).
constexpr std::uint8_t kErrorLog = 0x01, kHealthLog = 0x02, kFirmwareLog = 0x03,
                       kCommandsLog = 0x05;

CommandResult failed(StatusCode code) { return {code}; }

Bytes page(std::size_t size) { return Bytes(size); }

// Commands Supported and Effects (Base 5.16.1.6): 256 admin commands, then 256 of I/O.
Bytes effects_log(bool writable) {
  constexpr std::uint32_t kSupported = 1 << 0, kChangesContent = 1 << 1;
  Bytes log = page(4096);
  const auto admin = [&](AdminOpcode opcode) {
    store(log.data() + 4 * static_cast<std::size_t>(opcode), kSupported);
  };
  for (const AdminOpcode opcode :
       {AdminOpcode::get_log_page, AdminOpcode::identify, AdminOpcode::abort,
        AdminOpcode::set_features, AdminOpcode::get_features,
        AdminOpcode::asynchronous_event_request, AdminOpcode::keep_alive}) {
    admin(opcode);
  }
  const auto io = [&](IoOpcode opcode, std::uint32_t effects) {
    store(log.data() + 1024 + 4 * static_cast<std::size_t>(opcode), effects);
  };
  io(IoOpcode::read, kSupported);
  io(IoOpcode::flush, kSupported);
  if (writable) io(IoOpcode::write, kSupported | kChangesContent);
  return log;
}

// SMART / Health (Base 5.16.1.3), of what is known: how much was read and written.
Bytes health_log(const block::Counters& all) {
  constexpr std::uint64_t kUnit = 512'000;
  constexpr std::size_t kUnitsRead = 32, kUnitsWritten = 48, kReads = 64, kWrites = 80,
                        kMediaErrors = 160;
  Bytes log = page(512);
  store(log.data() + kUnitsRead, (all.bytes_read + kUnit - 1) / kUnit);
  store(log.data() + kUnitsWritten, (all.bytes_written + kUnit - 1) / kUnit);
  store(log.data() + kReads, all.reads);
  store(log.data() + kWrites, all.writes);
  store(log.data() + kMediaErrors, all.errors);
  return log;
}

}  // namespace

Controller::Controller(const ControllerModel& model, ControllerType type, std::uint16_t id,
                       const ConnectData& host, std::uint32_t keep_alive_ms)
    : model_(model),
      type_(type),
      id_(id),
      host_(host),
      made_at_(model.loop.now()),
      keep_alive_(model.loop, [this] { on_keep_alive_timer(); }) {
  if (type_ == ControllerType::discovery && keep_alive_ms == 0)
    keep_alive_ms = kDiscoveryKeepAliveMs;
  start_keep_alive(keep_alive_ms);
}

// It may be any text.
std::string Controller::host_name() const { return printable(host_.host_nqn); }

Controller::~Controller() { SCALIO_ASSERT(queues_.empty()); }

bool Controller::attach(std::uint16_t queue_id, QueueConnection& queue) {
  used_ |= queue_id != 0;
  return queues_.emplace(queue_id, &queue).second;
}

void Controller::detach(std::uint16_t queue_id) { queues_.erase(queue_id); }

// The admin queue, number 0, goes last: the connections need no order, but its end ends the others.
void Controller::end_io_queues(const std::string& why) {
  while (!queues_.empty() && queues_.rbegin()->first != 0) queues_.rbegin()->second->end(why);
}

void Controller::end_all(const std::string& why) {
  const auto self = shared_from_this();  // its queues hold it
  while (!queues_.empty()) queues_.rbegin()->second->end(why);
}

// --- Properties ---

CommandResult Controller::on_property_get(const NvmeCommand& command) const {
  const PropertyAccess access = parse_property(command);
  std::uint64_t value = 0;
  switch (static_cast<Property>(access.offset)) {
    case Property::capabilities: {
      Capabilities c;
      c.max_queue_entries = model_.limits.queue_depth;
      c.ready_timeout_ms = 500;  // ready at once; 0 is not allowed
      value = encode(c);
      break;
    }
    case Property::version: value = kVersion1_4; break;
    case Property::configuration: value = configuration_; break;
    case Property::status: value = status_; break;
    default: return failed(StatusCode::invalid_field);
  }
  if (access.eight_bytes != (size_of(static_cast<Property>(access.offset)) == 8)) {
    return failed(StatusCode::invalid_field);
  }
  return {StatusCode::success, static_cast<std::uint32_t>(value),
          static_cast<std::uint32_t>(value >> 32)};
}

CommandResult Controller::on_property_set(const NvmeCommand& command) {
  const PropertyAccess access = parse_property(command);
  if (static_cast<Property>(access.offset) != Property::configuration || access.eight_bytes) {
    return failed(StatusCode::invalid_field);
  }
  configure(static_cast<std::uint32_t>(access.value));
  return {};
}

// A change of CC (Base 3.1.3.5). Nothing here takes time, so the status changes at once.
void Controller::configure(std::uint32_t value) {
  // Page size, command set and arbitration: only what CAP offers, which is 0.
  constexpr std::uint32_t kCommandSet = 7U << 4, kPageSize = 15U << 7, kArbitration = 7U << 11;
  constexpr std::uint32_t kEntrySizes = 0xffU << 16;
  const std::uint32_t before = std::exchange(configuration_, value);
  if ((value & kEnable) != 0 && (before & kEnable) == 0) {
    const bool sizes = type_ == ControllerType::discovery || (value & kEntrySizes) == kIoEntrySizes;
    const bool rest = (value & (kCommandSet | kPageSize | kArbitration)) == 0;
    status_ = sizes && rest ? kReady : kFatal;
  } else if ((value & kEnable) == 0 && (before & kEnable) != 0) {
    status_ = 0;
    end_io_queues("the host reset the controller");
  }
  if ((value & kShutdownMask) != 0) {
    status_ |= kShutdownComplete;
    spdlog::debug("controller {} of {}: shut down by its host", id_, host_name());
  }
  if ((value & kShutdownMask) == 0) status_ &= ~kShutdownStatusMask;
}

// --- Keep-alive ---

void Controller::start_keep_alive(std::uint32_t ms) {
  keep_alive_ms_ =
      static_cast<std::uint32_t>(round_up(std::min(ms, kMaxKeepAliveMs), kKeepAliveUnitMs));
  traffic_ = false;
  const Nanos bound =
      keep_alive_ms_ != 0 ? keep_alive_ms_ * kMillisecond : model_.limits.unused_timeout;
  keep_alive_.arm(model_.loop.now() + bound);
}

// A host that is silent is noticed after one to two of its keep-alive times, as with any
// traffic-based one. One that has asked for none may be silent for as long as it has I/O queues.
void Controller::on_keep_alive_timer() {
  const bool may_be_silent = keep_alive_ms_ == 0 && queues_.size() > 1;
  if (traffic_ || may_be_silent) return start_keep_alive(keep_alive_ms_);
  status_ |= kFatal;
  if (keep_alive_ms_ == 0) return end_all("it has no I/O queue, and nothing comes from its host");
  end_all(fmt::format("nothing from its host for {} ms, not even a keep-alive", keep_alive_ms_));
}

// --- Admin commands ---

CommandResult Controller::execute(const NvmeCommand& command, std::uint32_t room) {
  if (!ready()) return failed(StatusCode::command_sequence_error);
  CommandResult answer;
  switch (static_cast<AdminOpcode>(command.opcode)) {
    case AdminOpcode::keep_alive: return {};  // that it came is all
    case AdminOpcode::identify: answer = identify(command); break;
    case AdminOpcode::get_log_page: answer = get_log_page(command); break;
    case AdminOpcode::get_features: answer = get_features(command); break;
    case AdminOpcode::set_features: answer = set_features(command); break;
    default: return failed(StatusCode::invalid_opcode);
  }
  if (answer.data.size() > room) return failed(StatusCode::data_sgl_length_invalid);
  return answer;
}

CommandResult Controller::identify(const NvmeCommand& command) const {
  constexpr std::uint8_t kNvmCommandSet = 0;
  const auto cns = static_cast<Cns>(command.cdw10 & 0xff);
  const auto command_set = static_cast<std::uint8_t>(command.cdw11 >> 24);
  if (cns == Cns::controller) return identify_controller();
  if (type_ == ControllerType::discovery) return failed(StatusCode::invalid_field);
  CommandResult answer;
  answer.data = page(kIdentifySize);
  switch (cns) {
    case Cns::name_space: {
      // Numbers in between that nothing has are inactive, which reads as zeroes.
      if (command.nsid == 0 || command.nsid > model_.namespaces.largest_nsid()) {
        return failed(StatusCode::invalid_namespace_or_format);
      }
      const Namespace* n = model_.namespaces.find(command.nsid);
      if (n == nullptr) return answer;
      IdentifyNamespace i;
      i.blocks = n->blocks();
      i.block_size = n->device->block_size();
      i.multipath = kShared;
      i.write_protected = !n->writable;
      i.id = n->id;
      encode(i, answer.data);
      return answer;
    }
    case Cns::active_namespaces: {
      if (command.nsid >= kEverySet - 1) return failed(StatusCode::invalid_namespace_or_format);
      std::vector<std::uint32_t> nsids;
      for (const auto& n : model_.namespaces.all()) {
        if (n->nsid > command.nsid) nsids.push_back(n->nsid);
      }
      encode_namespace_list(nsids, answer.data);
      return answer;
    }
    case Cns::namespace_descriptors: {
      const Namespace* n = model_.namespaces.find(command.nsid);
      if (n == nullptr) return failed(StatusCode::invalid_namespace_or_format);
      encode(n->id, answer.data);
      return answer;
    }
    case Cns::command_set_namespace:
      if (command_set != kNvmCommandSet) return failed(StatusCode::invalid_field);
      if (model_.namespaces.find(command.nsid) == nullptr) {
        return failed(StatusCode::invalid_namespace_or_format);
      }
      return answer;  // no storage tags: zeroes
    case Cns::command_set_controller:
      if (command_set != kNvmCommandSet) return failed(StatusCode::invalid_field);
      return answer;  // no limits beyond MDTS: zeroes
    default: return failed(StatusCode::invalid_field);
  }
}

CommandResult Controller::identify_controller() const {
  const bool discovery = type_ == ControllerType::discovery;
  IdentifyController c;
  // One subsystem, one serial number; its name tells it from others.
  c.serial = fmt::format("{:016x}", checksum(as_bytes(model_.nqn), 0));
  c.model = "Scalio NVMe/TCP target";
  c.firmware = "1";
  c.controller_id = id_;
  c.version = kVersion1_4;
  c.type = type_;
  c.multipath = kManyControllers;
  c.attributes = kLongHostId | kTrafficKeepsAlive;
  c.log_attributes = kLogOffsets;
  c.async_event_limit = kMaxEventRequests - 1;
  c.keep_alive_granularity = kKeepAliveUnitMs / 100;
  c.max_commands = static_cast<std::uint16_t>(model_.limits.queue_depth);
  c.sgl_support = kSgls | kSglOffsets | kTransportSgls;
  c.subsystem_nqn = discovery ? std::string(kDiscoveryNqn) : model_.nqn;
  c.command_capsule =
      static_cast<std::uint32_t>((kCommandSize + (discovery ? 0 : kInCapsuleData)) / 16);
  c.response_capsule = kCompletionSize / 16;
  c.max_sgl_descriptors = 1;
  c.mdts = static_cast<std::uint8_t>(std::countr_zero(model_.limits.max_transfer / kSmallestPage));
  if (!discovery) {
    c.log_attributes |= kEffectsLog;
    c.commands_supported = kSelectFeatures;
    c.namespaces = model_.namespaces.largest_nsid();
    c.volatile_write_cache = model_.writable;
  }
  CommandResult answer;
  answer.data = page(kIdentifySize);
  encode(c, answer.data);
  return answer;
}

CommandResult Controller::get_log_page(const NvmeCommand& command) const {
  const LogPageRequest request = parse_get_log_page(command);
  Bytes log;
  if (type_ == ControllerType::discovery) {
    if (request.id != kDiscoveryLogPage) return failed(StatusCode::invalid_log_page);
    log = discovery_log_;
  } else {
    switch (request.id) {
      case kErrorLog: log = page(64); break;
      case kHealthLog: log = health_log(model_.threads.did()); break;
      case kFirmwareLog: log = page(512); break;
      case kCommandsLog: log = effects_log(model_.writable); break;
      default: return failed(StatusCode::invalid_log_page);
    }
  }
  if (request.size > model_.limits.max_transfer || request.offset > log.size() ||
      request.offset % 4 != 0) {
    return failed(StatusCode::invalid_field);
  }
  // Beyond its end a log page reads as zeroes.
  log.erase(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(request.offset));
  log.resize(request.size);
  CommandResult answer;
  answer.data = std::move(log);
  return answer;
}

// --- Features (Base 5.27; which are mandatory: Base 3.1.2) ---

std::optional<Controller::FeatureValue> Controller::feature(Feature id, std::uint32_t cdw11) const {
  constexpr std::uint32_t kNoLimit = 7;  // of the arbitration burst
  constexpr std::uint32_t kNeverTooHot = 0xffff;
  const bool discovery = type_ == ControllerType::discovery;
  const auto fixed = [](std::uint32_t value) { return FeatureValue{value, value}; };
  if (id == Feature::asynchronous_events) return FeatureValue{event_mask_, 0, true};
  if (id == Feature::keep_alive_timer) {
    return FeatureValue{keep_alive_ms_, discovery ? kDiscoveryKeepAliveMs : 0, true};
  }
  if (discovery) return std::nullopt;
  switch (id) {
    case Feature::arbitration: return fixed(kNoLimit);
    case Feature::power_management: return fixed(0);
    case Feature::temperature_threshold: {
      // There is no sensor; the composite temperature is always there.
      const std::uint32_t sensor = cdw11 >> 16 & 0xf, over_or_under = cdw11 >> 20 & 3;
      if (sensor != 0 || over_or_under > 1) return std::nullopt;
      return fixed(over_or_under == 0 ? kNeverTooHot : 0);
    }
    case Feature::error_recovery: return FeatureValue{.of_namespace = true};
    case Feature::volatile_write_cache:
      if (!model_.writable) return std::nullopt;
      return fixed(1);
    case Feature::number_of_queues: {
      // What is granted, whatever was asked; the host takes what it needs of it.
      const std::uint32_t queues = model_.limits.max_io_queues - 1U;
      return FeatureValue{queues << 16 | queues, queues << 16 | queues, true};
    }
    case Feature::write_atomicity: return fixed(0);
    default: return std::nullopt;
  }
}

CommandResult Controller::get_features(const NvmeCommand& command) const {
  enum : std::uint32_t { kCurrent, kDefault, kSaved, kCapabilities };
  constexpr std::uint32_t kOfNamespace = 1 << 1, kChangeable = 1 << 2;  // none can be saved
  const auto id = static_cast<Feature>(command.cdw10 & 0xff);
  CommandResult answer;
  if (id == Feature::host_identifier && type_ == ControllerType::io) {
    // Of 16 bytes: the only form over fabrics.
    if ((command.cdw11 & 1) == 0) return failed(StatusCode::invalid_field);
    answer.data.assign(host_.host_id.begin(), host_.host_id.end());
    return answer;
  }
  const std::optional<FeatureValue> value = feature(id, command.cdw11);
  if (!value) return failed(StatusCode::invalid_field);
  switch (command.cdw10 >> 8 & 7) {
    case kCurrent: answer.dw0 = value->now; break;
    case kDefault:
    case kSaved: answer.dw0 = value->initial; break;
    case kCapabilities:
      answer.dw0 = (value->of_namespace ? kOfNamespace : 0) | (value->changeable ? kChangeable : 0);
      break;
    default: return failed(StatusCode::invalid_field);
  }
  return answer;
}

CommandResult Controller::set_features(const NvmeCommand& command) {
  if ((command.cdw10 & kSetFeaturesSave) != 0) return failed(StatusCode::feature_not_saveable);
  const auto id = static_cast<Feature>(command.cdw10 & 0xff);
  // Connect has told it (Fabrics 3.3).
  if (id == Feature::host_identifier && type_ == ControllerType::io) {
    return failed(StatusCode::command_sequence_error);
  }
  const std::optional<FeatureValue> value = feature(id, command.cdw11);
  if (!value) return failed(StatusCode::invalid_field);
  if (command.nsid != 0 && command.nsid != kEverySet) {
    if (!value->of_namespace) return failed(StatusCode::feature_not_namespace_specific);
    if (model_.namespaces.find(command.nsid) == nullptr) {
      return failed(StatusCode::invalid_namespace_or_format);
    }
  }
  CommandResult answer;
  switch (id) {
    case Feature::number_of_queues: {
      constexpr std::uint32_t kNotAllowed = 0xffff;
      if ((command.cdw11 & 0xffff) == kNotAllowed || command.cdw11 >> 16 == kNotAllowed) {
        return failed(StatusCode::invalid_field);
      }
      if (queues_.size() > 1) return failed(StatusCode::command_sequence_error);
      answer.dw0 = value->now;
      break;
    }
    case Feature::asynchronous_events: event_mask_ = command.cdw11; break;
    case Feature::keep_alive_timer:
      start_keep_alive(command.cdw11);
      answer.dw0 = keep_alive_ms_;
      break;
    case Feature::temperature_threshold:
      if ((command.cdw11 & 0xffff) != value->now) return failed(StatusCode::feature_not_changeable);
      break;
    default:
      if (command.cdw11 != value->now) return failed(StatusCode::feature_not_changeable);
  }
  return answer;
}

}  // namespace scalio::nvmf
