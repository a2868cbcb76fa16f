#!/usr/bin/env bash
# libscalio.so shows the functions of scalio.h, each with a version, and nothing else; the linker
# script names the same.
# usage: c_symbols.sh ROOT LIBRARY
set -euo pipefail
readonly root=$1 library=$2
declared=$(sed -nE 's/^[a-z].*\b(scalio_[a-z_]+)\(.*/\1/p' "$root/include/scalio/scalio.h" | sort)
scripted=$(sed -nE 's/^ +(scalio_[a-z_]+);$/\1/p' "$root/cmake/libscalio.map" | sort)
shown=$(nm -D --defined-only "$library" | awk '$2 != "A" {print $3}' | sort)
[[ $declared ]]
diff <(echo "$declared") <(echo "$scripted")
diff <(echo "$declared" | sed 's/$/@@SCALIO_0.1/') <(echo "$shown")
readelf -d "$library" | grep -q 'SONAME.*\[libscalio\.so\.0\]'
