// Stores to measure: made and loaded once, then served as each figure wants it.
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "layout/geometry.h"
#include "measured_process.h"

namespace scalio::bench {

// The records of all figures: 16 B keys, 64 B values.
constexpr std::uint64_t kKeySize = 16;
constexpr std::uint64_t kValueSize = 64;
constexpr std::uint64_t kMiB = 1 << 20;

// `scalio serve` as a child process, so that what the operating system says of it is of the server
// alone.
class Server {
 public:
  // Serves the store in `dir`; `options` are further ones of the command line.
  Server(const std::filesystem::path& dir, std::uint64_t cache_bytes,
         const std::vector<std::string>& options);
  // Stops it cleanly: everything is merged into the buckets.
  ~Server();
  // Ends it at once, with what is in the log.
  void kill();

  std::unique_ptr<Client> connect(ClientOptions options = {}) const;
  const Process& process() const { return process_; }
  const std::string& uri() const { return uri_; }

 private:
  const std::string uri_;
  Process process_;
  bool killed_ = false;
};

// On one SSD that is a file, with buckets of 1 KiB.
class Store {
 public:
  // Makes a store in `dir`, which `records` records fill by `full` (0 to 1), and loads them.
  Store(std::filesystem::path dir, std::uint64_t records, double full);

  std::unique_ptr<Server> serve(std::uint64_t cache_bytes,
                                const std::vector<std::string>& options = {}) const;

  std::uint64_t records() const { return records_; }
  // How full of records the buckets are, as counted by `scalio check`.
  double full() const { return full_; }
  const layout::SsdGeometry& ssd() const { return ssd_; }
  // For a row's note: the store, and how full it was loaded.
  std::string shape(std::uint64_t cache_bytes) const;
  std::filesystem::path ssd_path() const { return dir_ / "ssd-0"; }

 private:
  void load() const;

  const std::filesystem::path dir_;
  const std::uint64_t records_;
  layout::SsdGeometry ssd_;
  double full_ = 0;
};

// Makes each store once.
class StoreCache {
 public:
  explicit StoreCache(std::filesystem::path dir) : dir_(std::move(dir)) {}
  // Loaded with the records 0 .. records-1, 70 % full.
  const Store& with(std::uint64_t records);
  // Where else a figure may put files.
  const std::filesystem::path& dir() const { return dir_; }

 private:
  const std::filesystem::path dir_;
  std::map<std::uint64_t, std::unique_ptr<Store>> stores_;
};

layout::SsdGeometry read_geometry(const std::filesystem::path& ssd);

// What figures of writes depend on, for a row's note: SSDs, logs, buckets and the server's cache.
std::string shape_of(const layout::SsdGeometry& ssd, std::uint64_t cache_bytes);

// What the server says of itself (`scalio stat --json`).
nlohmann::json stat(Client& client);

}  // namespace scalio::bench
