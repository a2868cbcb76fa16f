# libscalio.so: the C API, with all that it needs of ours, and of that it shows the functions of
# include/scalio/scalio.h alone. A version of a symbol is that of the library that it came with
# (cmake/libscalio.map); the number in the SONAME grows when one changes or goes.
add_library(scalio_shared SHARED $<TARGET_OBJECTS:scalio_c_api>)
target_link_libraries(scalio_shared PRIVATE scalio_client)
set_target_properties(scalio_shared PROPERTIES OUTPUT_NAME scalio LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION 0 LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib
  LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/libscalio.map)
target_link_options(scalio_shared
  PRIVATE LINKER:--version-script=${CMAKE_SOURCE_DIR}/cmake/libscalio.map)
if(NOT SCALIO_SANITIZE)
  # A sanitizer's own functions are the program's.
  target_link_options(scalio_shared PRIVATE LINKER:-z,defs)
endif()
target_include_directories(scalio_shared INTERFACE ${CMAKE_SOURCE_DIR}/include)
