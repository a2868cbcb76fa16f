# Scalio over RDMA, with real queue pairs: the verbs fabric by itself; a whole store, with clients
# and the server killed; and a store whose misses are read from the kernel's NVMe/RDMA target.
source lib.sh
export SCALIO_TEST_DIR=/scratch

ok "every transport's tests" fabric_test --gtest_filter='Transport.*/rdma' --gtest_brief=1
ok "verbs fabric" fabric_rdma_test --gtest_brief=1
ok "store over RDMA" rdma_test --gtest_brief=1
grep -E "RDMA operations|histor" <<<"$output"
[[ ${output,,} != *skipped* ]] || { echo "FAIL tests were skipped"; failures=1; }

modprobe nvmet-rdma
ok "format" scalio format --dir /scratch/nvmf --ssd /dev/nvme0n1 --ssd /dev/nvme1n1
ok "the kernel's target for its SSDs" scalio target configure --dir /scratch/nvmf \
  --listen rdma:$ADDRESS:4420 --allow-host any
scalio serve --dir /scratch/nvmf --cache 256K --listen rdma:$ADDRESS:7000 \
  --insecure --nvmf-target rdma:$ADDRESS:4420 >/tmp/serve 2>&1 &
ok "serve" soon grep -q ready /tmp/serve
ok "ycsb" scalio bench ycsb --server rdma:$ADDRESS:7000 --workload B --records 500 \
  --operations 1000 --load --threads 2 --depth 4
echo "$output"
ok "put" scalio put --server rdma:$ADDRESS:7000 a-key a-value
ok "get" same "$(scalio get --server rdma:$ADDRESS:7000 a-key)" a-value
kill %1
wait %1
ok "the server ends well" same $? 0
not_ok "RDMA beside TCP is refused" "compare-and-swap" scalio serve --dir /scratch/nvmf --cache 1M \
  --insecure --listen rdma:$ADDRESS:7001 --listen tcp:$ADDRESS:7002
ok "the target goes" scalio target remove --dir /scratch/nvmf
finish
