#include "eval/scalio_session.h"

namespace scalio::eval {

Task<Result<std::string>> ScalioKvClient::get(std::string_view key) {
  Result<Record> record = co_await client_.get(key);
  if (!record.ok()) co_return record.status();
  co_return std::move(record->value);
}

Task<Status> ScalioKvClient::put(std::string_view key, std::string_view value) {
  const Result<std::uint64_t> version = co_await client_.put(key, value);
  co_return version.status();
}

Task<Status> ScalioKvClient::remove(std::string_view key) {
  const Result<std::uint64_t> version = co_await client_.remove(key);
  co_return version.status();
}

baseline::KvCounters ScalioKvClient::counters() const {
  const ClientCounters c = client_.counters();
  return {.gets = c.gets,
          .hits = c.hits,
          .ssd_reads = c.ssd_reads,
          .ssd_bytes = c.ssd_bytes_read,
          .one_sided = c.region_reads + c.region_writes + c.region_cas,
          .one_sided_bytes = c.region_bytes_read,
          .messages = c.writes};
}

Result<std::unique_ptr<KvSession>> ScalioSession::connect(const std::string& uri,
                                                          const ClientOptions& options) {
  Result<std::unique_ptr<Client>> client = Client::connect(uri, options);
  if (!client.ok()) return client.status();
  return std::unique_ptr<KvSession>(new ScalioSession(*std::move(client)));
}

void ScalioSession::run(std::vector<Task<void>> tasks) {
  for (Task<void>& task : tasks) client_->spawn(std::move(task));
  client_->wait_all();
}

}  // namespace scalio::eval
