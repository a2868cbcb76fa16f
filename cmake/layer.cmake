# scalio_layer(NAME [DEPENDS layer...] [LIBRARIES target...] [TEST_DEPENDS layer...]
#              [LABELS label...])
#
# One folder of src/ as the static library scalio_NAME, a slash in NAME written as _. Its *_test.cc
# files, which stand beside what they test, become the program NAME_test, whose tests have the
# LABELS in ctest; main.cc belongs to a program.
function(scalio_layer folder)
  cmake_parse_arguments(arg "" "" "DEPENDS;LIBRARIES;TEST_DEPENDS;LABELS" ${ARGN})
  string(REPLACE / _ name ${folder})
  foreach(list arg_DEPENDS arg_TEST_DEPENDS)
    list(TRANSFORM ${list} REPLACE / _)
    list(TRANSFORM ${list} PREPEND scalio_)
  endforeach()
  set(dir ${CMAKE_SOURCE_DIR}/src/${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  file(GLOB tests CONFIGURE_DEPENDS ${dir}/*_test.cc)
  list(REMOVE_ITEM sources ${tests} ${dir}/main.cc)
  if(NOT sources)
    add_library(scalio_${name} INTERFACE)
    set(scope INTERFACE)
  else()
    add_library(scalio_${name} STATIC ${sources})
    target_precompile_headers(scalio_${name} REUSE_FROM scalio_layer_headers)
    set(scope PUBLIC)
  endif()
  target_include_directories(scalio_${name} ${scope}
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(scalio_${name} ${scope} cxx_std_20)
  target_link_libraries(scalio_${name} ${scope} ${arg_DEPENDS} ${arg_LIBRARIES})
  if(SCALIO_TESTS AND tests)
    find_package(GTest REQUIRED)
    include(GoogleTest)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE scalio_${name} ${arg_TEST_DEPENDS} scalio_testing
      GTest::gtest_main)
    scalio_test_program(${name}_test)
    set(properties)
    if(arg_LABELS)
      set(properties PROPERTIES LABELS "${arg_LABELS}")
    endif()
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60 ${properties})
  endif()
endfunction()
