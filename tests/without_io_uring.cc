// Runs a program from which a seccomp filter keeps io_uring, as those of containers do.
//
// usage: scalio-without-io-uring setup|missing|enter PROGRAM [ARGUMENT...]
//
// setup: no ring can be made (EPERM); missing: as on a kernel without it (ENOSYS); enter: rings can
// be made and not be used (EPERM).
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <string_view>

namespace {

bool install(unsigned call, unsigned error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(filter), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view how = argc > 2 ? argv[1] : "";
  const bool known = how == "setup" || how == "missing" || how == "enter";
  if (!known) {
    std::fputs("usage: scalio-without-io-uring setup|missing|enter PROGRAM [ARGUMENT...]\n",
               stderr);
    return 2;
  }
  if (!install(how == "enter" ? SYS_io_uring_enter : SYS_io_uring_setup,
               how == "missing" ? ENOSYS : EPERM)) {
    std::perror("seccomp");
    return 1;
  }
  execv(argv[2], argv + 2);
  std::perror(argv[2]);
  return 1;
}
