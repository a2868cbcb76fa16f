#!/usr/bin/env bash
# tools/check_layers finds the tree in order, and each of these faults in a copy of it.
# usage: check_layers.sh ROOT
set -euo pipefail
readonly root=$1
readonly check=$root/tools/check_layers
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

"$check" "$root"

# expect_fault TEXT COMMAND...: with COMMAND done to the copy, TEXT is among the faults.
expect_fault() {
  rm -rf "${copy:?}/"*
  cp -r "$root/src" "$root/cmake" "$root/CMakeLists.txt" "$copy"
  (cd "$copy" && "${@:2}")
  local faults=""
  if faults=$("$check" "$copy" 2>&1) || ! grep -qF -- "$1" <<<"$faults"; then
    printf 'not found: %s\nfound:\n%s\n' "$1" "$faults" >&2
    exit 1
  fi
}
line() { sed -i "1i $2" "$1"; }
folder() { mkdir "src/$1" && touch "src/$1/a.cc"; }

expect_fault "no row for net/" sed -i '/^| `net\/`/d' src/README.md
expect_fault "nowhere/ is no layer in CMake" \
  sed -i 's/^| `net\/`/| `nowhere\/` | | |\n&/' src/README.md
expect_fault "net/ is no layer in CMake" sed -i '/^scalio_layer(net /d' CMakeLists.txt
expect_fault "block/ uses layout, but links layout, task" \
  sed -i '/^| `block\/`/s/task, //' src/README.md
expect_fault "block/ uses layout, task, but links task" \
  sed -i '/^scalio_layer(block /s/ layout//' CMakeLists.txt
expect_fault "cli/ uses" sed -i 's/scalio_nvmf_kernel //' src/cli/CMakeLists.txt
expect_fault "src/nvmf/host/initiator.cc:1: nvmf/host/ may not use nvmf/target/" \
  line src/nvmf/host/initiator.cc '#include "nvmf/target/embedded_target.h"'
expect_fault "src/nvmf/target/embedded_target.h:1: nvmf/target/ may not use nvmf/host/" \
  line src/nvmf/target/embedded_target.h '#include "nvmf/host/initiator.h"'
expect_fault "src/client/client.cc:1: client/ may not use testing/" \
  line src/client/client.cc '#include "testing/loops.h"'
expect_fault "src/cli/main.cc:1: cli/ may not use testing/" \
  line src/cli/main.cc '#include "testing/loops.h"'
expect_fault "src/base/hash_test.cc:1: tests of base/ may not use server/" \
  line src/base/hash_test.cc '#include "server/server.h"'
expect_fault "src/testing/target_pair.h:1: tests of nvmf/host/ may not use server/" \
  line src/testing/target_pair.h '#include "server/server.h"'
expect_fault "there is no src/base/nothing.h" line src/base/hash.cc '#include "base/nothing.h"'
expect_fault "unlinked/ is no layer in CMake" folder unlinked
expect_fault "nvmf/host is not installed" sed -i 's/nvmf\/host//' cmake/install.cmake
expect_fault "nvmf/target is installed" sed -i 's/nvmf\/host/& nvmf\/target/' cmake/install.cmake
expect_fault "no row for fabric/new/server/" \
  sed -i '/^set(transports/s/rdma/& new/' CMakeLists.txt
expect_fault "fabric/rdma/ is no layer in CMake" \
  sed -i '/^set(transports/s/ rdma//' CMakeLists.txt
expect_fault "fabric/transports/ uses fabric/rdma, fabric/shm, fabric/tcp, but links" \
  sed -i '/^scalio_layer(fabric\/transports/s/\${.*}/fabric\/shm/' CMakeLists.txt
