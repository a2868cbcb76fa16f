#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/expiry_flags.h"
#include "cli/json_bytes.h"
#include "cli/transfer_progress.h"
#include "client/client_loop.h"

namespace scalio::cli {
namespace {

struct GetFlags {
  ClientFlags client;
  std::string key;
  bool json = false;
  bool trace = false;
};

double us(Nanos time) { return static_cast<double>(time) / kMicrosecond; }

std::string outcome_of(const Result<Record>& record) {
  if (record.ok())
    return fmt::format("found: {} bytes, version {}", record->value.size(), record->version);
  return record.code() == Code::not_found ? "there is no such key" : record.status().to_string();
}

std::string text_of(const client::GetTrace& trace, Nanos ended, const Result<Record>& record) {
  std::string out = "      at us    took us\n";
  for (const client::GetTrace::Step& step : trace.steps()) {
    out += fmt::format("{:11.1f} {:10.1f}  {}: {}\n", us(step.began - trace.began()),
                       us(step.ended - step.began), printable(step.did), printable(step.found));
  }
  if (trace.left_out() > 0) out += fmt::format("{:22}  {} steps more\n", "", trace.left_out());
  return out + fmt::format("{:11} {:10.1f}  {}\n", "in all", us(ended - trace.began()),
                           printable(outcome_of(record)));
}

std::string json_of(const client::GetTrace& trace, Nanos ended, const std::string& key,
                    const Result<Record>& record) {
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (const client::GetTrace::Step& step : trace.steps()) {
    steps.push_back({{"at_us", us(step.began - trace.began())},
                     {"us", us(step.ended - step.began)},
                     {"did", step.did},
                     {"found", step.found}});
  }
  const nlohmann::ordered_json none;
  nlohmann::ordered_json json;
  add_bytes(json, "key", key);
  json["outcome"] = to_string(record.code());
  json["bytes"] = record.ok() ? nlohmann::ordered_json(record->value.size()) : none;
  json["version"] = record.ok() ? nlohmann::ordered_json(record->version) : none;
  json["us"] = us(ended - trace.began());
  json["steps"] = std::move(steps);
  json["steps_left_out"] = trace.left_out();
  return json_text(json) + "\n";
}

int fail_to_get(const GetFlags& flags, const Status& status) {
  if (status.code() == Code::not_found)
    return fail({Code::not_found, fmt::format("no key '{}'", flags.key)});
  return fail({status.code(), fmt::format("get '{}': {}", flags.key, status.to_string())});
}

int trace_get(const GetFlags& flags, Client& client) {
  EventLoop& loop = client::ClientLoop::of(client);
  client::GetTrace trace(loop.now());
  const Result<Record> record =
      client.run(client::ClientLoop::traced_get(client, flags.key, trace));
  const Nanos ended = loop.now();
  const int status =
      print(flags.json ? json_of(trace, ended, flags.key, record) : text_of(trace, ended, record));
  if (status != kSuccess || record.ok()) return status;
  return record.code() == Code::not_found ? kNotFound : fail_to_get(flags, record.status());
}

int get_json(Client& client, const GetFlags& flags) {
  const Result<Record> record = client.run(client.get(flags.key));
  if (!record.ok()) return fail_to_get(flags, record.status());
  nlohmann::ordered_json json;
  add_bytes(json, "key", flags.key);
  add_bytes(json, "value", record->value);
  json["bytes"] = record->value.size();
  json["version"] = record->version;
  if (record->end != EndTime()) json["end_ms"] = end_ms(record->end);
  return print(json_text(json) + "\n");
}

// Prints the value as it comes.
int get(const GetFlags& flags) {
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  if (flags.trace) return trace_get(flags, **client);
  if (flags.json) return get_json(**client, flags);
  TransferProgress progress("get");
  int printed = kSuccess;
  const PartSink sink = [&](const PartView& part) -> Task<Status> {
    printed = print(part.bytes);
    if (printed != kSuccess) co_return Status(Code::io_error, "stdout");
    progress.update(part.offset + part.bytes.size(), part.length);
    co_return Status();
  };
  const Result<std::uint64_t> version = (*client)->run((*client)->get_parts(flags.key, sink));
  progress.finish();
  if (printed != kSuccess) return printed;
  return version.ok() ? kSuccess : fail_to_get(flags, version.status());
}

}  // namespace

Subcommand add_get(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("get", "Print the value of a key");
  auto flags = std::make_shared<GetFlags>();
  app->add_option("KEY", flags->key, "1 to 255 bytes")->required();
  flags->client.add_to(*app);
  app->add_flag(
      "--json", flags->json,
      "Print key, value, its size in bytes, its version, and when it ends, if it does; as "
      "key_base64 or value_base64 what is not UTF-8");
  app->add_flag("--trace", flags->trace,
                "Print what the GET did instead of the value: each READ, CAS, WRITE and read of an "
                "SSD, how long it took and what it found");
  app->footer(
      "Prints the value's bytes and nothing else. Exit status 1 if there is no such key. Of a "
      "large "
      "value that cannot be read to its end, its beginning is printed: then the exit status is "
      "3.\n\n"
      "Examples:\n"
      "  scalio get --server unix:/run/scalio.sock user42\n"
      "  scalio get --server tcp:10.0.0.2:7000 --json user42      with its version, for put "
      "--if-version\n"
      "  scalio get --server tcp:10.0.0.2:7000 --trace user42     why it was slow");
  return {app, [flags] { return get(*flags); }};
}

}  // namespace scalio::cli
