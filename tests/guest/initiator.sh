# Scalio's NVMe-oF initiators against the kernel's target over an emulated SSD: either side reads
# what the other wrote, and what is written under load is there when the target has gone away and
# come back.
source lib.sh
modprobe -a nvmet-tcp nvmet-rdma
cd /sys/kernel/config/nvmet

# kernel_target NUMBER TRANSPORT DEVICE: the port 4420 + NUMBER with one subsystem of one namespace.
kernel_target() {
  local subsystem=subsystems/nqn.$2 port=ports/$1
  mkdir $subsystem $subsystem/namespaces/1 $port
  echo 1 >$subsystem/attr_allow_any_host
  echo $3 >$subsystem/namespaces/1/device_path
  echo 1 >$subsystem/namespaces/1/enable
  echo $2 >$port/addr_trtype
  echo ipv4 >$port/addr_adrfam
  echo $ADDRESS >$port/addr_traddr
  echo $((4420 + $1)) >$port/addr_trsvcid
  come $1 $2
}
come() { ln -s /sys/kernel/config/nvmet/subsystems/nqn.$2 ports/$1/subsystems/; }
go_away() { rm ports/$1/subsystems/nqn.$2; }

# both_ways NAME DEVICE OPTION...
both_ways() {
  local name=$1 device=$2
  shift 2
  dd if=/dev/urandom of=/tmp/random bs=64k count=64 2>/dev/null
  ok "$name: writes" scalio-nvme-check "$@" write /tmp/random
  ok "$name: the SSD has what was written" same "$(md5sum </tmp/random)" "$(md5 $device 0 64)"
  dd if=/dev/urandom of=$device bs=64k count=64 oflag=direct 2>/dev/null
  ok "$name: reads" scalio-nvme-check "$@" read /tmp/read $((64 * 65536))
  ok "$name: what the SSD has was read" same "$(md5sum </tmp/read)" "$(md5 $device 0 64)"
}

# away_and_back NAME NUMBER TRANSPORT OPTION...
away_and_back() {
  local name=$1 number=$2 transport=$3 load
  shift 3
  scalio-nvme-check "$@" --queues 3 --reconnects 2 load 8 >/tmp/load 2>&1 &
  load=$!
  local i
  for i in 1 2; do
    sleep 2
    go_away $number $transport
    sleep 0.5
    come $number $transport
  done
  ok "$name: the target goes away and comes back, twice, under load" wait $load
  cat /tmp/load
}

for transport in tcp rdma; do
  case $transport in
    tcp) number=1 device=/dev/nvme0n1 ;;
    rdma) number=2 device=/dev/nvme1n1 ;;
  esac
  address="--address $transport:$ADDRESS:$((4420 + number))"
  target=($address --nqn nqn.$transport)
  ok "$transport: kernel's target" kernel_target $number $transport $device
  both_ways $transport $device "${target[@]}"
  ok "$transport: 4 queues" scalio-nvme-check "${target[@]}" --queues 4 load 2
  echo "$output"
  if [[ $transport == tcp ]]; then
    both_ways "tcp, digests" $device "${target[@]}" --digests
    ok "tcp, digests: 4 queues" scalio-nvme-check "${target[@]}" --digests --queues 4 load 2
  fi
  away_and_back $transport $number $transport "${target[@]}"
  not_ok "$transport: no such subsystem" "nqn.none" scalio-nvme-check $address \
    --nqn nqn.none read /tmp/read 4096
  echo "$output"
  not_ok "$transport: no such namespace" "namespace" scalio-nvme-check "${target[@]}" \
    --nsid 7 read /tmp/read 4096
  echo "$output"
done
finish
