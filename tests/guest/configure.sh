# `scalio target configure` and `remove` with the real nvmet: hosts reach the SSDs under the names
# that clients expect, and afterwards configfs is as it was.
source lib.sh
readonly STORE=/scratch/store
modprobe -a nvmet-tcp nvmet-rdma

# Somebody else's target, which must stay as it is.
cd /sys/kernel/config/nvmet
mkdir subsystems/nqn.other hosts/nqn.other-host ports/1
ln -s /sys/kernel/config/nvmet/hosts/nqn.other-host subsystems/nqn.other/allowed_hosts/
echo tcp >ports/1/addr_trtype
echo ipv4 >ports/1/addr_adrfam
echo $ADDRESS >ports/1/addr_traddr
echo 4420 >ports/1/addr_trsvcid
ln -s /sys/kernel/config/nvmet/subsystems/nqn.other ports/1/subsystems/
cd /

# All there is in nvmet's directory: paths, where links lead, what files say.
snapshot() {
  local path
  for path in $(find /sys/kernel/config/nvmet | sort); do
    if [[ -L $path ]]; then echo "$path -> $(readlink "$path")"; else
      echo "$path $(cat "$path" 2>/dev/null)"
    fi
  done
}
as_before() { diff <(echo "$before") <(snapshot); }
configure() { scalio target configure --dir $STORE "$@"; }
remove() { scalio target remove --dir $STORE; }
# superblock NSID: that of the SSD stands at the start of the namespace as well.
same_superblock() {
  same "$(md5 /dev/nvme$(($2 - 1))n1 0 1)" "$(md5 "$(kernel_device $1 $2)" 0 1)"
}

ok "format" scalio format --dir $STORE --ssd /dev/nvme0n1 --ssd /dev/nvme1n1
before=$(snapshot)

ok "tcp: configure" configure --listen tcp:$ADDRESS:4421 --allow-host $HOST_NQN
nqn=$(sed -n 's/^subsystem //p' <<<"$output")
ok "tcp: says why there is no offload" says "every --listen is rdma:"
ok "tcp: connect" nvme_connect tcp 4421 "$nqn"
ok "tcp: both namespaces appear" soon kernel_device tcp 2
ok "tcp: namespace 1 is SSD 0" same_superblock tcp 1
ok "tcp: namespace 2 is SSD 1" same_superblock tcp 2
ok "tcp: disconnect" nvme disconnect -n "$nqn"
not_ok "another host is refused" "" nvme connect -t tcp -a $ADDRESS -s 4421 -n "$nqn" \
  -q nqn.other-host
not_ok "configured twice" "configured already" configure --listen tcp:$ADDRESS:4422 \
  --allow-host $HOST_NQN
ok "tcp: remove" remove
ok "tcp: configfs is as before" as_before
ok "remove once more" remove

ok "rdma: configure" configure --listen rdma:$ADDRESS:4421 --allow-host $HOST_NQN \
  --allow-host nqn.other-host
ok "rdma: says that the kernel offers no offload" says "off: this kernel does not offer it"
ok "rdma: connect" nvme_connect rdma 4421 "$nqn"
ok "rdma: both namespaces appear" soon kernel_device rdma 2
ok "rdma: namespace 2 is SSD 1" same_superblock rdma 2
ok "rdma: remove while connected" remove
ok "rdma: configfs is as before" as_before
nvme disconnect-all

scalio serve --dir $STORE --cache 1M --listen unix:/tmp/socket >/tmp/serve 2>&1 &
ok "serve" soon grep -q ready /tmp/serve
ok "configure for any host" configure --listen tcp:$ADDRESS:4421 --listen rdma:$ADDRESS:4423 \
  --allow-host any
ok "remove" remove
ok "configfs is as before" as_before
kill %1
wait

not_ok "a port of somebody else's target" "nvmet/ports/1" configure --listen tcp:$ADDRESS:4420 \
  --allow-host any
nc -l -p 4430 >/dev/null &
ok "something listens" soon grep -q ":114E " /proc/net/tcp /proc/net/tcp6
not_ok "a port that is in use" "choose another port" configure --listen tcp:$ADDRESS:4431 \
  --listen tcp:$ADDRESS:4430 --allow-host any
kill %1
ok "configfs is as before" as_before
not_ok "an address of nobody" "no interface" configure --listen tcp:10.9.9.9:4421 --allow-host any
ok "configfs is as before" as_before

# kill -9 at moments all over. Not by the function: that would be a shell of its own, and the kill
# the shell's, while its scalio goes on.
for ((i = 1; i <= 6; ++i)); do
  scalio target configure --dir $STORE --listen tcp:$ADDRESS:4421 --allow-host $HOST_NQN \
    >/dev/null 2>&1 &
  sleep 0.$((RANDOM % 8))
  kill -9 $! 2>/dev/null
  wait $! 2>/dev/null
  ok "remove after kill $i" remove
done
ok "killed at any moment, remove leaves configfs as before" as_before

ok "the dry run" configure --listen tcp:$ADDRESS:4421 --allow-host $HOST_NQN --dry-run
echo "$output" >/tmp/script
ok "changes nothing" as_before
ok "is a script that does it" bash -e /tmp/script
ok "connect" nvme_connect tcp 4421 "$nqn"
nvme disconnect-all >/dev/null
not_ok "and what was made by hand is not taken for ours" "by hand" configure \
  --listen tcp:$ADDRESS:4422 --allow-host any

finish
