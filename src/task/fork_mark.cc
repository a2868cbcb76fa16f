#include "task/fork_mark.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/error_text.h"

namespace scalio {

namespace {
std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }
}  // namespace

Result<ForkMark> ForkMark::create() {
  void* page =
      mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return Status(Code::unavailable, "mmap: " + error_text(errno));
  ForkMark mark(static_cast<char*>(page));
  if (madvise(page, page_size(), MADV_WIPEONFORK) != 0) {
    return Status(Code::unavailable, "madvise(MADV_WIPEONFORK): " + error_text(errno));
  }
  *mark.page_ = 1;
  return mark;
}

ForkMark::~ForkMark() {
  if (page_ != nullptr) munmap(const_cast<char*>(page_), page_size());
}

}  // namespace scalio
