# The kernel's initiator against `scalio nvmf-target`: discovery, identify, reading with and without
# digests, and no way to write.
source lib.sh
readonly NQN=nqn.2014-08.org.nvmexpress:uuid:99999999-8888-7777-6666-555555555555
dd if=/dev/urandom of=/dev/nvme0n1 bs=64k count=256 oflag=direct 2>/dev/null
dd if=/dev/urandom of=/scratch/file bs=64k count=128 2>/dev/null
sync

start_target() {
  scalio nvmf-target --listen $ADDRESS:4420 --insecure --ns /dev/nvme0n1 /scratch/file --nqn $NQN \
    "$@" >/tmp/target 2>&1 &
  target=$!
  soon grep -q ready /tmp/target
}
stop_target() {
  kill $target
  wait $target
}
# size DEVICE BYTES
size() { same "$(blockdev --getsize64 "$1")" "$2"; }
connected() { kernel_device tcp 2; }

ok "target starts" start_target
ok "nvme discover" nvme discover -t tcp -a $ADDRESS -s 4420 -q $HOST_NQN -I $HOST_ID
ok "discovery names the subsystem" grep -q $NQN <<<"$output"
ok "nvme connect" nvme_connect tcp 4420 $NQN
ok "both namespaces appear" soon connected
one=$(kernel_device tcp 1) two=$(kernel_device tcp 2)
ok "nvme id-ctrl" nvme id-ctrl ${one%n1}
echo "$output" | grep -E '^(mn|fr|cntlid|mdts|ver|oacs|nn|ioccsz|sgls|subnqn) '
ok "nvme id-ns" nvme id-ns $one
ok "nvme list-ns" nvme list-ns ${one%n1}
ok "nvme smart-log" nvme smart-log ${one%n1}
ok "nvme get-property" nvme get-property ${one%n1} --offset=8 -H
echo "$output"
ok "the size of a device" size $one $((256 << 20))
ok "the size of a file" size $two $((128 * 65536))
ok "the device's data" same "$(md5 /dev/nvme0n1 0 256)" "$(md5 $one 0 256)"
ok "the file's data" same "$(md5 /scratch/file)" "$(md5 $two)"

# With the kernel's help (it knows that the namespace is read-only) and without.
not_ok "dd cannot write" "" dd if=/dev/zero of=$one bs=4k count=1 oflag=direct
for command in write write-zeroes dsm; do
  case $command in
    write) arguments=(-z 4096 -c 7 -d /dev/zero) ;;
    write-zeroes) arguments=(-c 7) ;;
    dsm) arguments=(-d -b 8 -s 0) ;;
  esac
  not_ok "nvme $command is refused with the status for it" "Namespace is Write Protected" \
    nvme $command $one -n 1 "${arguments[@]}"
done
not_ok "nvme format is refused" "" nvme format $one -n 1 -f
ok "nothing was written" same "$(md5 /dev/nvme0n1 0 256)" "$(md5 $one 0 256)"
ok "nvme flush" nvme flush $one -n 1
ok "nvme read" nvme read $one -s 3 -c 0 -z 512
ok "disconnect" nvme disconnect -n $NQN

ok "connect with digests" nvme_connect tcp 4420 $NQN --hdr-digest --data-digest
ok "both namespaces appear" soon connected
one=$(kernel_device tcp 1)
ok "the device's data, with digests" same "$(md5 /dev/nvme0n1 0 96)" "$(md5 $one 0 96)"

# The target dies under load, and another takes its place: the kernel waits and goes on.
dd if=$one of=/tmp/read bs=4k count=1536 iflag=direct 2>/tmp/dd &
reader=$!
sleep 0.3
kill -9 $target
wait $target 2>/dev/null
ok "target starts again" start_target
ok "the kernel connects again and reads on" wait $reader
ok "what it read is right" same "$(md5sum </tmp/read)" "$(md5 /dev/nvme0n1 0 96)"
ok "disconnect" nvme disconnect -n $NQN
ok "SIGTERM ends the target" stop_target

ok "target for one host starts" start_target --allow-host $HOST_NQN
not_ok "another host is refused" "" nvme connect -t tcp -a $ADDRESS -s 4420 -n $NQN \
  -q nqn.other-host
ok "this host is not" nvme_connect tcp 4420 $NQN
ok "disconnect" nvme disconnect -n $NQN
ok "SIGTERM ends the target" stop_target
finish
