#!/usr/bin/env bash
# An installed client library, and a program that is linked with it, bring nothing of the servers:
# of the store's and of its SSDs', of the fabric's server side, of the NVMe-oF targets. No object
# file of these layers is in the archives, and no symbol of their classes in archives or program.
# Of the baselines there is nothing in scalio either.
# usage: client_symbols.sh ROOT PREFIX PROGRAM
#   ROOT: the sources; PREFIX: where they were installed; PROGRAM: linked with scalio::client
set -euo pipefail
readonly root=$1 prefix=$2 program=$3
failed=""
fail() {
  echo "client_symbols: $*" >&2
  failed=1
}

# Folders whose code stays out: "server" of a store and of each transport among them.
folders() {
  printf '%s\n' store nvmf/target nvmf/kernel
  find "$root/src" -path "$root/src/baseline" -prune -o -type d -name server -printf '%P\n'
}

# An expression for the symbols of the classes that the headers of a folder declare.
symbols_of() { # FOLDER
  local headers=("$root/src/$1"/*.h) space names
  space=$(sed -nE 's/^namespace (scalio[a-z_:]*) \{$/\1/p' "${headers[@]}" | sort -u |
    paste -sd '|')
  names=$(sed -nE 's/^(class|struct) ([A-Z]\w*)( final)?( : .*)? \{$/\2/p' "${headers[@]}" |
    paste -sd '|')
  [[ $space && $names ]] && echo "\\b($space)::($names)(::|\\b)"
}

for file in "$program" "$prefix/bin/scalio"; do
  [[ -f $file ]] || fail "there is no $file"
done
[[ ! $failed ]] || exit 1
# Of object files without any nm says so, which is no news.
defined() { nm -C --defined-only "$@" 2>/dev/null; }

mapfile -t archives < <(find "$prefix" -name 'libscalio_*.a')
((${#archives[@]} > 0)) || fail "no archive in $prefix"
members=$(for archive in "${archives[@]}"; do ar t "$archive"; done)
client=$(defined "${archives[@]}" "$program")
everything=$(defined "$prefix/bin/scalio")
grep -q 'scalio::Client::' <<<"$client" || fail "no symbol of the client in the archives"

for folder in $(folders); do
  for source in "$root/src/$folder"/*.cc; do
    # Formats give their name to the files of several layers: their symbols tell.
    [[ $(find "$root/src" -name "$(basename "$source")" | wc -l) == 1 ]] || continue
    if grep -qxF "$(basename "$source").o" <<<"$members"; then
      fail "src/$folder/$(basename "$source") is in an installed archive"
    fi
  done
  symbols=$(symbols_of "$folder") || { fail "no class in src/$folder"; continue; }
  # What finds nothing in the program that has it all would find nothing anywhere.
  grep -qE "$symbols" <<<"$everything" || fail "scalio has no symbol of src/$folder: $symbols"
  if grep -m 3 -E "$symbols" <<<"$client" >&2; then
    fail "a client has these symbols, and others, of src/$folder"
  fi
done

mapfile -t baselines < <(find "$root/src/baseline" -name '*.h' -printf 'baseline/%P\n' |
  xargs -n 1 dirname | sort -u)
((${#baselines[@]} > 0)) || fail "no baseline in src/baseline"
for folder in "${baselines[@]}"; do
  symbols=$(symbols_of "$folder") || { fail "no class in src/$folder"; continue; }
  if grep -m 3 -E "$symbols" <<<"$client"$'\n'"$everything" >&2; then
    fail "scalio or a client has these symbols, and others, of src/$folder"
  fi
done
[[ ! $failed ]]
