// The short run of a fuzz target, for any compiler: its seeds, and mutations of them, always the
// same.
//
//   fuzz-NAME [RUNS]             default 20000
//   fuzz-NAME --seeds DIR        writes the seeds as files, for libFuzzer
//   fuzz-NAME --file FILE        one input
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "target.h"

namespace {

using scalio::Bytes;
using scalio::ByteView;

class Mutator {
 public:
  explicit Mutator(const std::vector<Bytes>& seeds) : seeds_(seeds) {}

  Bytes next() {
    Bytes input = seeds_[below(seeds_.size())];
    for (std::size_t n = 1 + below(4); n > 0; --n) change(input);
    return input;
  }

 private:
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  void change(Bytes& input) {
    constexpr std::size_t kMost = 1 << 16;
    if (input.empty()) return input.push_back(std::byte(below(256)));
    const std::size_t at = below(input.size());
    const auto here = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(6)) {
      case 0: *here ^= std::byte(1 << below(8)); break;
      case 1: *here = std::byte(below(256)); break;
      case 2: input.resize(at); break;
      case 3: {  // the extremes of a number of up to 8 bytes
        const std::byte with = below(2) == 0 ? std::byte{0} : std::byte{0xff};
        std::fill_n(here, std::min<std::size_t>(std::size_t{1} << below(4), input.size() - at),
                    with);
        break;
      }
      case 4: {  // a piece of another input
        const Bytes& other = seeds_[below(seeds_.size())];
        if (other.empty() || input.size() > kMost) break;
        const std::size_t from = below(other.size());
        input.insert(here, other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
        break;
      }
      default:
        input.erase(here, here + static_cast<std::ptrdiff_t>(
                                     1 + below(std::min<std::size_t>(16, input.size() - at))));
    }
  }

  const std::vector<Bytes>& seeds_;
  std::mt19937_64 random_{1};
};

int write_seeds(const std::string& directory) {
  const std::vector<Bytes> seeds = scalio::fuzz::seeds();
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    std::ofstream file(fmt::format("{}/seed-{}", directory, i), std::ios::binary);
    file.write(reinterpret_cast<const char*>(seeds[i].data()),
               static_cast<std::streamsize>(seeds[i].size()));
    if (!file.flush()) return 1;
  }
  return 0;
}

int run_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  scalio::fuzz::run(scalio::as_bytes(text));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "--seeds") return write_seeds(argv[2]);
  if (arguments.size() == 2 && arguments[0] == "--file") return run_file(argv[2]);
  const unsigned long runs = arguments.empty() ? 20'000 : std::strtoul(argv[1], nullptr, 10);
  const std::vector<Bytes> seeds = scalio::fuzz::seeds();
  for (const Bytes& seed : seeds) scalio::fuzz::run(seed);
  Mutator mutator(seeds);
  for (unsigned long i = 0; i < runs; ++i) {
    const Bytes input = mutator.next();
    // In a buffer of exactly its size, so that AddressSanitizer sees the first byte beyond.
    const std::unique_ptr<std::byte[]> exact(new std::byte[input.size()]);
    std::copy(input.begin(), input.end(), exact.get());
    scalio::fuzz::run({exact.get(), input.size()});
  }
  fmt::print("{} inputs\n", seeds.size() + runs);
}
