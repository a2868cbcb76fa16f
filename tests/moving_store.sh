#!/usr/bin/env bash
# Runs the commands of docs/operations.md, "Moving a store", as they stand there, with directories
# and addresses of this test: every record arrives, in each way.
# usage: moving_store.sh ROOT SCALIO
set -euo pipefail
readonly root=$1 program=$2
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/scalio-moving.XXXXXX")
servers=()
stop_all() {
  ((${#servers[@]})) || return 0
  kill "${servers[@]}"
  wait "${servers[@]}"
  servers=()
}
trap 'stop_all || true; rm -rf "$dir"' EXIT
fail() { printf '%s\n' "$@" >&2; exit 1; }

free_port() {
  python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}
old_port=$(free_port) new_port=$(free_port)
mkdir "$dir/run"

# Commands of the document come here: a server is started, and is there when this returns.
scalio() {
  if [[ $1 != serve ]]; then "$program" "$@"; return; fi
  local ready=$dir/ready-${#servers[@]}
  : >"$ready"
  "$program" "$@" --nvmf none >"$ready" 2>>"$dir/log" &
  servers+=($!)
  for _ in {1..600}; do
    if grep -q ready "$ready"; then return; fi
    kill -0 "${servers[-1]}" || break
    sleep 0.05
  done
  fail "the server did not start: $*" "$(cat "$dir/log")"
}

# The blocks of commands of the section, each line with its number of the block before it.
commands=$(awk '/^## /{ inside = $0 == "## Moving a store"; next }
  !inside { next }
  /^ *$/ { ended = 1; next }
  /^    / { if (ended) block++; ended = 0; sub(/^ +/, ""); print block "\t" $0; next }
  { ended = 1 }' "$root/docs/operations.md" |
  sed "s|/var/lib/scalio|$dir|g; s|/run/scalio/|$dir/run/|g
       s|10\.0\.0\.1:7000|127.0.0.1:$old_port|g; s|10\.0\.0\.2:7000|127.0.0.1:$new_port|g")
# block TEXT: runs the block that has it.
block() {
  local number
  number=$(awk -F'\t' -v text="$1" 'index($0, text) { print $1; exit }' <<<"$commands")
  [[ $number ]] || fail "no block of the section has: $1"
  printf '%s\n' "$number" >>"$dir/blocks"
  eval "$(awk -F'\t' -v n="$number" '$1 == n { sub(/^[0-9]+\t/, ""); print }' <<<"$commands")"
}
# Each record of a store, a line each.
records() { "$program" scan --server "unix:$dir/run/$1.sock" --json --quiet | sort; }
without_versions() { sed 's/,"version":[0-9]*//' <<<"$1"; }

"$program" format --dir "$dir/old" --ssds 1 --ssd-size 64M --values 16M >/dev/null
scalio serve --dir "$dir/old" --cache 16M --listen "unix:$dir/run/old.sock" \
  --listen "tcp:127.0.0.1:$old_port"
"$program" bench ycsb --server "unix:$dir/run/old.sock" --load --records 5000 --operations 1000 \
  --workload a --quiet >/dev/null
"$program" put --server "unix:$dir/run/old.sock" -- "$(printf 'a\tkey\xff')" "$(printf '\x01\n')"
head -c 900000 /dev/urandom | "$program" put --server "unix:$dir/run/old.sock" large -
"$program" put --server "unix:$dir/run/old.sock" --ttl 3600 brief "for an hour"
had=$(records old)
[[ $(wc -l <<<"$had") == 5003 ]] || fail "the old store has $(wc -l <<<"$had") records"
[[ $(grep -c '"end_ms":' <<<"$had") == 1 ]] || fail "not one record has an end"

block "scalio format"
block "scalio export --server unix:$dir/run/old.sock - |"
counts=$(block "scalio count")
[[ $(sed -n 1p <<<"$counts") == *5003* && $(sort -u <<<"$counts" | wc -l) == 1 ]] ||
  fail "the counts are not the same:" "$counts"
[[ $(without_versions "$(records new)") == "$(without_versions "$had")" ]] ||
  fail "the new store has other records than the old one"

# Into a store that has nothing yet.
kill "${servers[-1]}"
wait "${servers[-1]}"
unset 'servers[-1]'
rm -r "$dir/new"
block "scalio format"
block "$dir/records.scalio"
[[ $(without_versions "$(records new)") == "$(without_versions "$had")" ]] ||
  fail "the new store has other records than the archive"

stop_all
block "cp -a"
[[ $(records copy) == "$had" ]] || fail "the copy has other records, or other versions"

missed=$(comm -13 <(sort -u "$dir/blocks") <(cut -f1 <<<"$commands" | sort -u))
[[ ! $missed ]] || fail "blocks of the section that were not run, by number: $missed"
