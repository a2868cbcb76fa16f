#include "support/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include "testing/lasting_port.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

}  // namespace

Finished scalio(const Scratch& scratch, const std::vector<std::string>& args, milliseconds bound) {
  static int count = 0;
  std::vector<std::string> argv = {SCALIO_PROGRAM};
  argv.insert(argv.end(), args.begin(), args.end());
  return run(argv, scratch / ("command-" + std::to_string(++count)), bound);
}

Store::Store(const Scratch& scratch, StoreOptions options)
    : scratch_(scratch),
      options_(std::move(options)),
      dir_(scratch / "store"),
      port_(lasting_port()) {
  std::vector<std::string> args = {
      "format",     "--dir",          dir_.string(), "--ssds", std::to_string(options_.ssds),
      "--ssd-size", options_.ssd_size};
  args.insert(args.end(), options_.format.begin(), options_.format.end());
  const Finished format = scalio(scratch, args);
  EXPECT_EQ(format.status, 0) << format.out << format.err;
}

std::filesystem::path Store::ssd(int index) const {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
    if (entry.is_regular_file() && entry.file_size() > 1024 * 1024) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files.at(static_cast<std::size_t>(index));
}

std::vector<std::string> Store::serve_command() const {
  std::vector<std::string> argv = {SCALIO_PROGRAM, "serve",   "--dir",
                                   dir_.string(),  "--cache", options_.cache};
  if (!options_.rdma.empty()) argv.emplace_back("--insecure");
  const std::vector<std::string> all =
      options_.rdma.empty() ? std::vector{unix_uri(), tcp_uri()} : std::vector{rdma_uri()};
  for (const std::string& uri : all) {
    argv.push_back("--listen");
    argv.push_back(uri);
  }
  argv.insert(argv.end(), options_.serve.begin(), options_.serve.end());
  return argv;
}

bool Store::start() {
  constexpr seconds kBound{60};
  server_ = std::make_unique<Process>(serve_command(),
                                      scratch_ / ("server-" + std::to_string(++starts_)));
  const auto deadline = steady_clock::now() + kBound;
  while (("\n" + server_->out()).find("\nready") == std::string::npos) {
    if (server_->wait(milliseconds(5))) {
      ADD_FAILURE() << "the server ended instead of getting ready:\n" << log();
      return false;
    }
    if (steady_clock::now() > deadline) {
      ADD_FAILURE() << "the server was not ready after " << kBound.count() << " s:\n" << log();
      return false;
    }
  }
  return true;
}

void Store::stop() {
  server_->signal(SIGTERM);
  const std::optional<ProcessEnd> exit = server_->wait(seconds(60));
  ASSERT_TRUE(exit) << "the server did not stop on SIGTERM:\n" << log();
  EXPECT_FALSE(exit->signaled) << "the server was ended by signal " << exit->code << ":\n" << log();
  EXPECT_EQ(exit->code, 0) << log();
}

void Store::kill() {
  EXPECT_TRUE(running()) << "the server had ended by itself:\n" << log();
  server_->kill();
}

int setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : otherwise;
}

}  // namespace scalio::testing
