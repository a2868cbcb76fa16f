#include "store/format_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/command.h"
#include "cli/progress_line.h"
#include "cli/size.h"
#include "cli/stop_signals.h"

namespace scalio::cli {
namespace {

struct FormatFlags {
  storage::FormatOptions options;
  std::uint64_t value_size = 0;
  bool json = false;
};

int format(FormatFlags& flags) {
  if (flags.options.ssds == 0 && flags.options.ssd_paths.empty()) {
    return fail({Code::invalid, "--ssds and --ssd-size, or --ssd, are required"});
  }
  // What was begun is removed. The thread of the signals may outlive the command.
  auto interrupted = std::make_shared<StopRequest>();
  Status watched = on_stop_signal([interrupted](int signal) { interrupted->set(signal); });
  if (!watched.ok()) return fail(watched);
  flags.options.interrupted = &interrupted->asked;
  ProgressLine progress(flags.json);
  Result<storage::FormatSummary> made = storage::format_store(
      flags.options, [&](double fraction) { progress.update("format", fraction, ""); });
  progress.finish();
  if (!made.ok()) {
    const int status = fail(made.status());
    return interrupted->asked ? kSignalled + interrupted->signal : status;
  }
  if (flags.json) {
    nlohmann::ordered_json json = {{"uuid", made->uuid},
                                   {"ssds", made->paths},
                                   {"buckets", made->buckets},
                                   {"log_bytes", made->log_bytes},
                                   {"record_capacity_bytes", made->record_capacity_bytes},
                                   {"value_bytes", made->value_bytes},
                                   {"largest_value", made->largest_value}};
    return print(json_text(json, 2) + "\n");
  }
  const auto size = [](std::uint64_t bytes) {
    return bytes < 1 << 20 ? fmt::format("{} KiB", bytes >> 10)
                           : fmt::format("{} MiB", bytes >> 20);
  };
  const std::string values = made->value_bytes == 0
                                 ? "no values over the inline limit"
                                 : fmt::format("{} of values over the inline limit, each up to {}",
                                               size(made->value_bytes), size(made->largest_value));
  return print(fmt::format(
      "store {} in {}\n"
      "  SSDs      {}\n"
      "  buckets   {} of {} bytes\n"
      "  log       {}\n"
      "  capacity  {} of records, {}\n",
      made->uuid, flags.options.dir, fmt::join(made->paths, " "), made->buckets,
      flags.options.bucket_size, size(made->log_bytes), size(made->record_capacity_bytes), values));
}

}  // namespace

Subcommand add_format(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("format", "Make a new, empty store");
  auto flags = std::make_shared<FormatFlags>();
  storage::FormatOptions& o = flags->options;
  app->add_option("--dir", o.dir, "The store's directory; made if it is not there")
      ->type_name("DIR")
      ->required();
  CLI::Option* ssds =
      app->add_option("--ssds", o.ssds, "Make this many files in the directory to serve as SSDs")
          ->type_name("N")
          ->check(CLI::Range(1, 1024));
  CLI::Option* ssd_size =
      as_size(app->add_option("--ssd-size", o.ssd_size, "The size of each of these files"));
  app->add_option("--ssd", o.ssd_paths,
                  "Use this device or file as an SSD, all of it; once for each SSD")
      ->type_name("PATH")
      ->allow_extra_args(false)
      ->excludes(ssds)
      ->excludes(ssd_size);
  ssds->needs(ssd_size);
  ssd_size->needs(ssds);
  as_size(
      app->add_option("--bucket-size", o.bucket_size,
                      "Bytes of a bucket, which a GET miss reads: a multiple of the block size"))
      ->capture_default_str();
  as_size(app->add_option("--inline-limit", o.inline_limit,
                          "Most bytes of a key and its value together"))
      ->capture_default_str();
  as_size(app->add_option(
      "--log-size", o.log_size,
      "Bytes of the log of each slice; default: an eighth of it, at most 1G an SSD"));
  CLI::Option* values = as_size(app->add_option(
      "--values", flags->value_size,
      "Bytes of each SSD for values over the inline limit, 0 for none; default: half "
      "of what the logs leave, if a slice has 256M or more"));
  app->add_option(
         "--slices", o.slices,
         "Cut each SSD into this many slices, each a shard, so that more threads can serve it")
      ->type_name("N")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app->add_flag("--force", o.force,
                "Overwrite a store, or whatever else the devices and files hold");
  app->add_flag("--json", flags->json, "Print what was made as JSON");
  app->footer(
      "Sizes are in bytes or with a unit: 512, 64K, 64M, 1G, 1GiB, all binary.\n"
      "Nothing that holds data is overwritten without --force. Files are read wholly for that; of "
      "a device, "
      "the first and last MiB and 64 places between.\n\n"
      "Examples:\n"
      "  scalio format --dir /var/lib/scalio --ssds 4 --ssd-size 1G\n"
      "  scalio format --dir /var/lib/scalio/main --ssd /dev/nvme0n1 --ssd /dev/nvme1n1 "
      "--bucket-size 4K --inline-limit 1K");
  return {app, [flags, values] {
            flags->options.value_size =
                values->count() > 0 ? std::optional(flags->value_size) : std::nullopt;
            return format(*flags);
          }};
}

}  // namespace scalio::cli
