# In a virtual Arm machine: the unit tests of what needs io_uring, and a store over TCP.
set -u
failures=0
export SCALIO_TEST_DIR=/scratch/tests TMPDIR=/tmp

# ok NAME COMMAND...
ok() {
  local name=$1 began=$SECONDS
  shift
  if "$@" >/tmp/output 2>&1; then
    output=$(</tmp/output)
    echo "OK   $name ($((SECONDS - began)) s)"
  else
    echo "FAIL $name: exit status $?"
    output=$(</tmp/output)
    tail -n 60 /tmp/output
    failures=$((failures + 1))
  fi
}
same() { [[ $1 == "$2" ]] || { echo "$1 is not $2"; return 1; }; }

for layer in base task net fabric fabric_rdma block testing nvmf_kernel server cli; do
  ok "unit tests: $layer" ${layer}_test --gtest_brief=1
done
# Not those of hostile peers and of every option of the transport: no different on Arm, and slow
# here.
ok "unit tests: nvmf_host" nvmf_host_test --gtest_brief=1 --gtest_filter='InitiatorTest.*'
ok "unit tests: nvmf_target" nvmf_target_test --gtest_brief=1 \
  --gtest_filter='-*TargetTransports*:*Fuzz*'

readonly STORE=/scratch/store
export SCALIO_SERVER=tcp:127.0.0.1:7000
serve() {
  scalio serve --dir $STORE --cache 64K --listen $SCALIO_SERVER >/tmp/serve 2>&1 &
  server=$!
  local i
  for ((i = 0; i < 200; ++i)); do
    grep -q ready /tmp/serve && return
    sleep 0.1
  done
  cat /tmp/serve
  return 1
}

ok "format" scalio format --dir $STORE --ssds 2 --ssd-size 32M
ok "serve" serve
for ((i = 0; i < 8; ++i)); do ok "put $i" scalio put key-$i value-$i; done
ok "delete" scalio delete key-0
ok "get" same "$(scalio get key-3)" value-3
kill -9 $server
wait $server 2>/dev/null
ok "serve after kill -9" serve
for ((i = 1; i < 8; ++i)); do ok "get $i" same "$(scalio get key-$i)" value-$i; done
scalio get key-0 >/dev/null 2>&1
ok "what was deleted is gone" same $? 1

# Many clients on few keys, while the server is killed and started again: all that they saw must be
# linearizable.
clients=""
for ((i = 0; i < 3; ++i)); do
  scalio-stress-client $SCALIO_SERVER /tmp/history-$i client-$i $i 12 4 20 200 0 \
    >/tmp/client-$i 2>&1 &
  clients+=" $!"
done
for ((i = 0; i < 2; ++i)); do
  sleep 3
  kill -9 $server
  wait $server 2>/dev/null
  ok "serve after kill -9 under load" serve
done
for client in $clients; do ok "a client ends well" wait $client; done
cat /tmp/client-*
ok "all histories are linearizable" scalio-check-history /tmp/history-*
echo "$output"
kill $server
ok "the server ends well" wait $server
ok "check" scalio check $STORE
exit $((failures > 0))
