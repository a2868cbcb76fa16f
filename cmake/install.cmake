# What `cmake --install` puts where, beside the program: the public headers, libscalio.so with its
# scalio.pc for C, and the client library for C++ as the CMake package scalio, used as
#
#   find_package(scalio REQUIRED)
#   target_link_libraries(app PRIVATE scalio::client)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/scalio)

# The client and the layers below it. Their private headers stay behind: a user sees include/scalio/
# only.
foreach(folder base task net layout fabric ${transport_clients} fabric/transports block nvmf/wire
        nvmf/auth nvmf/host client)
  string(REPLACE / _ layer ${folder})
  set_target_properties(scalio_${layer} PROPERTIES EXPORT_NAME ${layer})
  install(TARGETS scalio_${layer} EXPORT scalio ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endforeach()
install(EXPORT scalio NAMESPACE scalio:: FILE scalio-targets.cmake DESTINATION ${package_dir})
install(DIRECTORY include/scalio DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)

install(TARGETS scalio_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
# Wherever the prefix is.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/scalio.pc.in scalio.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/scalio.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_package_config_file(cmake/scalio-config.cmake.in scalio-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(scalio-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/scalio-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/scalio-config-version.cmake
        DESTINATION ${package_dir})

if(SCALIO_TESTS)
  set(example_flags)
  if(SCALIO_SANITIZE)
    set(example_flags -fsanitize=${SCALIO_SANITIZE})
  endif()
  add_test(NAME install.example
           COMMAND ${CMAKE_SOURCE_DIR}/examples/test ${CMAKE_BINARY_DIR}
                   ${CMAKE_CXX_COMPILER} ${example_flags})
  set_tests_properties(install.example PROPERTIES LABELS house TIMEOUT 300
    SKIP_RETURN_CODE 77)
endif()
