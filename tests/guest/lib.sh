# Sourced by the scripts of this folder, which run in the guest (tools/guest): counting what is
# right, and finding the kernel's NVMe devices.
set -u
failures=0
modprobe -a nvme-tcp nvme-rdma

# ok NAME COMMAND...: it must end well. What it printed stays in $output.
ok() {
  local name=$1
  shift
  if "$@" >/tmp/output 2>&1; then
    output=$(tr -d '\0' </tmp/output)
    echo "OK   $name"
  else
    echo "FAIL $name: exit status $?"
    output=$(tr -d '\0' </tmp/output)
    tail -n 40 /tmp/output
    failures=$((failures + 1))
  fi
}

# not_ok NAME TEXT COMMAND...: it must fail, and print TEXT.
not_ok() {
  local name=$1 text=$2
  shift 2
  if "$@" >/tmp/output 2>&1; then
    echo "FAIL $name: it succeeded"
  elif output=$(tr -d '\0' </tmp/output) && [[ $output != *"$text"* ]]; then
    echo "FAIL $name: it did not say \"$text\""
  else
    echo "OK   $name"
    return
  fi
  tail -n 40 /tmp/output
  failures=$((failures + 1))
}

# says TEXT: the command of the `ok' before printed it.
says() { [[ $output == *"$1"* ]]; }

# soon COMMAND...: waits until it succeeds, 20 s at most.
soon() {
  local i
  for ((i = 0; i < 200; ++i)); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  echo "not within 20 s: $*"
  return 1
}

# The script's last command.
finish() {
  ((failures == 0)) || dmesg | tail -n 60
  exit $((failures > 0))
}

readonly ADDRESS=10.0.0.1
readonly HOST_ID=11111111-2222-3333-4444-555555555555
readonly HOST_NQN=nqn.2014-08.org.nvmexpress:uuid:$HOST_ID

# nvme_connect TRANSPORT PORT NQN [OPTION...]: connects the kernel's initiator, which reports
# failures at once.
nvme_connect() {
  nvme connect -t "$1" -a $ADDRESS -s "$2" -n "$3" -q $HOST_NQN -I $HOST_ID -i 2 \
    --reconnect-delay 1 "${@:4}"
}

# kernel_device TRANSPORT NSID: the block device that the kernel made of a connected namespace.
kernel_device() {
  local controller
  for controller in /sys/class/nvme/nvme*; do
    if [[ $(<"$controller/transport") == "$1" ]]; then
      device=/dev/$(basename "$controller")n$2
      [[ -b $device ]] && echo "$device"
      return
    fi
  done
  return 1
}

# md5 DEVICE [BLOCK COUNT]: the checksum of what stands there, in blocks of 64 KiB, read around the
# page cache.
md5() { dd if="$1" bs=64k skip="${2:-0}" count="${3:-4096}" iflag=direct 2>/dev/null | md5sum; }

same() { [[ $1 == "$2" ]] || { echo "$1 is not $2"; return 1; }; }
