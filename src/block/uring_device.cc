#include "block/uring_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "base/error_text.h"
#include "base/lock_holder.h"
#include "block/count.h"

namespace scalio::block {

namespace {

constexpr std::uint32_t kSmallestBlock = 512;
// The kernel transfers at most 2 GiB less a page at once; longer operations go in parts of this
// size.
constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;
// EAGAIN and EINTR are passing shortages; a device that reports them this often in a row is broken.
constexpr unsigned kMostRetries = 16;
// How often, and at what distance, to try for the lock of an exclusive device: 2 s in all.
constexpr int kMostLockTries = 100;
constexpr std::chrono::milliseconds kLockWait{20};

bool writable(Access access) { return access == Access::read_write || access == Access::exclusive; }

Status open_failure(const std::string& path, const std::string& what) {
  return Status(Code::invalid, fmt::format("{}: {}", path, what));
}

Status open_failure(const std::string& path, int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM: return Status(Code::unavailable, fmt::format("{}: {}", path, error_text(error)));
    case EBUSY:
      return Status(Code::busy, path + " is in use: mounted, or opened by another process");
    case EINVAL:
      return open_failure(
          path,
          "its filesystem has no direct I/O (O_DIRECT); use a block device, or a file on "
          "ext4, XFS or btrfs");
    case EIO:
    case ENXIO:
    case ENODEV:
    case ENOMEDIUM:
      return Status(Code::io_error, fmt::format("{}: {}", path, std::strerror(error)));
    default: return open_failure(path, std::strerror(error));
  }
}

struct Geometry {
  std::uint64_t size;
  std::uint32_t block_size;
};

Result<Geometry> device_geometry(int fd, const std::string& path) {
  std::uint64_t size = 0;
  int block_size = 0;
  if (ioctl(fd, BLKGETSIZE64, &size) < 0 || ioctl(fd, BLKSSZGET, &block_size) < 0) {
    return open_failure(path, errno);
  }
  return Geometry{size, static_cast<std::uint32_t>(block_size)};
}

Result<Geometry> file_geometry(int fd, const std::string& path) {
  struct stat st;
  if (fstat(fd, &st) < 0) return open_failure(path, errno);
  const auto size = static_cast<std::uint64_t>(st.st_size);
#ifdef STATX_DIOALIGN
  struct statx sx;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
      (sx.stx_mask & STATX_DIOALIGN) != 0) {
    if (sx.stx_dio_offset_align == 0) {
      return open_failure(
          path, "its filesystem has no direct I/O for it (is it encrypted or compressed?)");
    }
    return Geometry{size, std::max(sx.stx_dio_offset_align, kSmallestBlock)};
  }
#endif
  // Not told. No disk in use has larger logical blocks, and a multiple of the real one always
  // works.
  return Geometry{size, 4096};
}

}  // namespace

// One Io with the kernel, over as many submissions as it takes.
class UringDevice::Operation final : public RingHandler {
 public:
  explicit Operation(UringDevice& device) : device_(&device) {}

  void begin(Io& io) {
    io_ = &io;
    done_ = 0;
    retries_ = 0;
    submit();
  }

  Io& io() { return *io_; }

  void on_completion(int result, unsigned) override {
    if ((result == -EAGAIN || result == -EINTR) && retries_ < kMostRetries) {
      ++retries_;
      submit();
    } else if (result < 0) {
      device_->finish(*this, device_->failure(*io_, std::strerror(-result)));
    } else if (io_->kind == Io::Kind::flush) {
      device_->finish(*this, Status());
    } else {
      advance(static_cast<std::size_t>(result));
    }
  }

 private:
  // Direct I/O goes on at whole blocks only. Less than one is the end of the file.
  void advance(std::size_t transferred) {
    const std::size_t whole = transferred - transferred % device_->block_size_;
    done_ += whole;
    if (done_ == io_->size) {
      device_->finish(*this, Status());
    } else if (whole == 0) {
      device_->finish(*this, device_->failure(*io_, "it ends before that; was it truncated?"));
    } else {
      retries_ = 0;
      submit();
    }
  }

  void submit() {
    io_uring_sqe* sqe = device_->loop_.prepare(this);
    const int fd = device_->fd_;
    std::byte* data = io_->data + done_;
    const std::uint64_t offset = io_->offset + done_;
    const auto size = static_cast<unsigned>(std::min(io_->size - done_, kLargestTransfer));
    switch (io_->kind) {
      case Io::Kind::read: io_uring_prep_read(sqe, fd, data, size, offset); break;
      case Io::Kind::write:
        io_uring_prep_write(sqe, fd, data, size, offset);
        // The kernel sends this as FUA where the device has it, and else flushes after it.
        if (io_->durability == Durability::stable) sqe->rw_flags = RWF_DSYNC;
        break;
      case Io::Kind::flush: io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC); break;
    }
    // Somebody waits for each stable write, so it does not wait for the other work of this turn.
    if (io_->durability == Durability::stable) device_->loop_.submit();
  }

  UringDevice* device_;
  Io* io_ = nullptr;
  std::size_t done_ = 0;
  unsigned retries_ = 0;
};

Result<std::unique_ptr<UringDevice>> UringDevice::open(EventLoop& loop, const std::string& path,
                                                       Access access) {
  // Asked before opening, which can block (a FIFO) or act (a tape rewinds).
  struct stat st;
  if (stat(path.c_str(), &st) < 0) return open_failure(path, errno);
  const bool is_device = S_ISBLK(st.st_mode);
  if (!is_device && !S_ISREG(st.st_mode)) {
    return open_failure(path, "is neither a regular file nor a block device");
  }

  const bool locked = access == Access::exclusive || access == Access::shared;
  int flags = O_DIRECT | O_CLOEXEC | (writable(access) ? O_RDWR : O_RDONLY);
  if (is_device && locked) flags |= O_EXCL;
  const int fd = ::open(path.c_str(), flags);
  if (fd < 0) return open_failure(path, errno);
  std::unique_ptr<UringDevice> device(new UringDevice(loop, path, access, fd));

  // The kernel lets go of a killed process's files only when its io_uring requests have ended.
  const int lock = (access == Access::exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  for (int tries = 0; locked && flock(fd, lock) < 0; ++tries) {
    if (errno != EWOULDBLOCK) return open_failure(path, errno);
    if (tries == kMostLockTries) {
      const std::string who = lock_holder(fd);
      return Status(Code::busy, fmt::format("{} is in use by {}; end that first", path,
                                            who.empty() ? "another process" : who));
    }
    std::this_thread::sleep_for(kLockWait);
  }

  Result<Geometry> geometry = is_device ? device_geometry(fd, path) : file_geometry(fd, path);
  if (!geometry.ok()) return geometry.status();
  const std::uint32_t block_size = geometry->block_size;
  if (!std::has_single_bit(block_size) || block_size > kBufferAlignment) {
    return open_failure(path, fmt::format("has blocks of {} bytes; {} at most are supported",
                                          block_size, kBufferAlignment));
  }
  if (geometry->size < block_size) {
    return open_failure(
        path, fmt::format("has {} bytes, less than one block of {}", geometry->size, block_size));
  }
  device->block_size_ = block_size;
  device->size_ = geometry->size - geometry->size % block_size;
  return device;
}

UringDevice::UringDevice(EventLoop& loop, std::string path, Access access, int fd)
    : loop_(loop),
      path_(std::move(path)),
      access_(access),
      fd_(fd),
      operations_(kInFlight, Operation(*this)) {
  idle_.reserve(kInFlight);
  for (Operation& operation : operations_) idle_.push_back(&operation);
}

UringDevice::~UringDevice() {
  SCALIO_ASSERT(idle_.size() == operations_.size() && waiting_.empty());
  close(fd_);
}

void UringDevice::start(Io& io) {
  if (io.kind == Io::Kind::write && !writable(access_)) {
    Status status(Code::invalid, failure(io, "it is open for reading only").message());
    count(counters_, io, status);
    io.complete(loop_, std::move(status));
  } else if (idle_.empty()) {
    waiting_.push_back(&io);
  } else {
    begin(io);
  }
}

void UringDevice::begin(Io& io) {
  Operation* operation = idle_.back();
  idle_.pop_back();
  operation->begin(io);
}

void UringDevice::finish(Operation& operation, Status status) {
  Io& io = operation.io();
  count(counters_, io, status);
  idle_.push_back(&operation);
  io.complete(loop_, std::move(status));
  if (!waiting_.empty()) {
    Io& next = *waiting_.front();
    waiting_.pop_front();
    begin(next);
  }
}

Status UringDevice::failure(const Io& io, const std::string& reason) const {
  if (io.kind == Io::Kind::flush) {
    return Status(Code::io_error, fmt::format("flush of {}: {}", path_, reason));
  }
  return Status(Code::io_error, fmt::format("{} of {} bytes at offset {} of {}: {}",
                                            io.kind == Io::Kind::read ? "read" : "write", io.size,
                                            io.offset, path_, reason));
}

}  // namespace scalio::block
