# What makes a build shorter: what nearly all files include is compiled once, and tests and command
# lines are not optimized. The layers that they use are, as ever.
#
# With CMAKE_DISABLE_PRECOMPILE_HEADERS=ON every file reads its own headers: compiler caches need
# it, and clang-tidy, which so finds what a file has forgotten to include.

set(scalio_common_headers <algorithm> <array> <atomic> <chrono> <coroutine> <cstdint> <deque>
  <filesystem> <fstream> <functional> <future> <map> <memory> <optional> <set> <span> <string>
  <string_view> <thread> <variant> <vector> <fmt/format.h>)

# Optimizing takes g++ half as long again, and twice as long with sanitizers.
function(scalio_unoptimized target)
  if(SCALIO_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  else()
    target_compile_options(${target} PRIVATE -Og)
  endif()
endfunction()

# scalio_headers(NAME header...): what other targets, compiled alike, take their headers from.
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/no_code.cc CONTENT "")
function(scalio_headers name)
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/no_code.cc)
  target_link_libraries(${name} PRIVATE fmt::fmt)
  target_precompile_headers(${name} PRIVATE ${scalio_common_headers} ${ARGN})
endfunction()

scalio_headers(scalio_layer_headers)
if(SCALIO_TESTS)
  find_package(GTest REQUIRED)
  scalio_headers(scalio_test_headers <gtest/gtest.h>)
  target_link_libraries(scalio_test_headers PRIVATE GTest::gtest)
  # As programs are compiled.
  set_target_properties(scalio_test_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(scalio_test_headers PRIVATE -fPIE)
  scalio_unoptimized(scalio_test_headers)
endif()

# A program of tests. What it tests is built as ever.
function(scalio_test_program target)
  scalio_unoptimized(${target})
  target_precompile_headers(${target} REUSE_FROM scalio_test_headers)
endfunction()

# A library of command lines: it waits for people, and its own libraries are all headers.
function(scalio_command_library target)
  scalio_unoptimized(${target})
  target_precompile_headers(${target} PRIVATE ${scalio_common_headers} <CLI/CLI.hpp>
    <nlohmann/json.hpp> <spdlog/spdlog.h>)
endfunction()
