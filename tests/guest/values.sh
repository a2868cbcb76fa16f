# Values of 1 byte to 4 MiB over RDMA, with real queue pairs: written and read by several clients at
# once, and over a stop and a kill of the server.
source lib.sh
export SCALIO_TEST_DIR=/scratch

ok "values of all sizes" value_sizes_test --gtest_filter='*/Rdma' --gtest_brief=1
[[ ${output,,} != *skipped* ]] || { echo "FAIL the test was skipped"; failures=1; }
finish
