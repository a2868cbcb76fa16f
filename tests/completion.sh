#!/usr/bin/env bash
# What bash offers behind `scalio`, by the function that the packages install.
# usage: completion.sh ROOT SCALIO
set -euo pipefail
export LC_ALL=C
readonly root=$1 program=$2
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/scalio-completion.XXXXXX")
trap 'rm -rf "$dir"' EXIT
fail() { printf '%s\n' "$@" >&2; exit 1; }

scalio() { "$program" "$@"; }
source "$root/debian/completions/scalio"
mkdir "$dir/here"
cd "$dir/here"
touch a-file

# offered WORD...: what is offered for the last one, which may be empty, a line each and sorted.
offered() {
  COMP_WORDS=(scalio "$@") COMP_CWORD=$# COMPREPLY=()
  _scalio || true
  ((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}" | sort
}

# expect WANTED WORD...: just this is offered.
expect() {
  local found
  found=$(offered "${@:2}" | paste -sd ' ')
  [[ $found == "$1" ]] || fail "scalio ${*:2}: '$found' is offered, not '$1'"
}

# The commands, and no words of the examples that follow them.
offered "" >../commands
[[ $(wc -l <../commands) -ge 20 ]] || fail "few commands:" "$(<../commands)"
while read -r command; do
  "$program" "$command" --help >/dev/null 2>&1 || fail "no command: $command"
done <../commands
expect "get" ge
expect "add list remove" user ""
expect "--secret-file" user add --sec
# The top has no options but these; those in its examples are of commands.
expect "--help --version" --
# Each has a line of its own.
offered get -- >../options
for option in --json --trace --server --tls-psk; do
  grep -qx -e "$option" ../options || fail "get: no $option in" "$(<../options)"
done
! grep -qx -e --if-version ../options || fail "get: an option of put, which its help speaks of"
# Here --json is a flag, and behind it stands a key; there it takes a file.
expect "" get --json ""
expect "a-file" bench ycsb --json ""
expect "a-file" get --secret-file ""
expect "a-file" serve --dir a
expect "a-file" check ""
expect "" get --server ""
expect "" get ""
