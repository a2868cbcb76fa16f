# Cross-building for 64-bit Arm, such as the cores of a DPU, with Debian's compiler and its arm64
# libraries, which stand beside this machine's own (tools/setup, setup_arm). What is built runs
# under qemu-aarch64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)

# Debian keeps what depends on the architecture in a folder of its name, and the rest with
# everybody's. What cannot stand there beside this machine's own is unpacked in the build directory.
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(unpacked ${CMAKE_CURRENT_LIST_DIR}/../build-arm/packages/usr/lib/aarch64-linux-gnu/pkgconfig)
set(ENV{PKG_CONFIG_LIBDIR} ${unpacked}:/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
