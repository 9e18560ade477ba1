# What every target is compiled and linked with. Include paths start at the repository root, so that each
# include line shows the layer it reaches into.
include_directories(${CMAKE_SOURCE_DIR})
add_compile_definitions(_GNU_SOURCE ROOST_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes
	-Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wwrite-strings)
# Cutting is what the fixed buffers are for; text_copy() says when it happens.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	add_compile_options(-Wno-format-truncation)
endif()
add_link_options(-Wl,--as-needed)

if(ROOST_WERROR)
	add_compile_options(-Werror)
endif()

if(ROOST_SANITIZE)
	add_compile_options(-fsanitize=${ROOST_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
	add_link_options(-fsanitize=${ROOST_SANITIZE})
endif()

if(ROOST_FUZZ)
	add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# A CNI executable is started for every pod: each shared library costs time in every ADD, and the dynamic
# linker itself a third of what starting costs. Debian ships these two libraries as archives, too.
if(ROOST_STATIC)
	find_library(JANSSON_ARCHIVE libjansson.a REQUIRED)
	find_library(LMDB_ARCHIVE liblmdb.a REQUIRED)
	set_target_properties(PkgConfig::JANSSON PROPERTIES INTERFACE_LINK_LIBRARIES ${JANSSON_ARCHIVE})
	set_target_properties(PkgConfig::LMDB PROPERTIES INTERFACE_LINK_LIBRARIES ${LMDB_ARCHIVE})
endif()

# An executable that is started for every pod: libc is inside, too (and still at a random address). The linker
# warns of what libc can do with shared libraries alone: users, groups, host names.
function(roost_started_often target)
	if(ROOST_STATIC)
		target_link_options(${target} PRIVATE -static-pie -Wl,--fatal-warnings)
	endif()
endfunction()

if(ROOST_HARDEN)
	add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-clash-protection
		-fstack-protector-strong -fcf-protection=full
		-fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing
		-ffunction-sections -fdata-sections)
	add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--gc-sections)
	set(CMAKE_POSITION_INDEPENDENT_CODE ON)
	add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)
endif()
