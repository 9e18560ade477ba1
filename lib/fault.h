/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading a file that is mapped. When it is cut, or its disk fails, the kernel answers a look at the
 * map with a signal, and a file whose bytes are nonsense can lead its reader anywhere. Within a
 * section both are an answer like any other, in whatever process, so that it goes on:
 *
 *	int rc = FAULT_TRY(mdb_get(txn, dbi, &key, &value), MDB_PANIC);
 *
 * Outside of sections a fault is a crash, as it should be.
 */
#include <setjmp.h>
#include <stdbool.h>

/* gcc fears for variables of the function around a section that live in registers. A section only
 * writes what it has the address of, and that lies in memory. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wclobbered"
#endif

/* Installs the handlers. Before the first section, and with each opening of a map, as others may have
 * installed their own meanwhile. */
void fault_install(void);

/* One section; they nest. For FAULT_TRY alone. */
struct fault_section {
	sigjmp_buf back;
	struct fault_section *outer;
	bool struck;
};
void fault_enter(struct fault_section *s);
bool fault_leave(struct fault_section *s); /* whether a page of the map was missing */

/* The value of an expression that reads a map, or otherwise (of its type, without side effects) when
 * that met a fault: then nothing that the expression wrote counts. It is left in its middle at worst,
 * so it holds nothing that only its end would give back. */
#define FAULT_TRY(expression, otherwise)                                                           \
	__extension__({                                                                            \
		struct fault_section section_;                                                     \
		__typeof__(otherwise) volatile value_ = (otherwise);                               \
		if (sigsetjmp(section_.back, 0) == 0) {                                            \
			fault_enter(&section_);                                                    \
			__typeof__(otherwise) got_ = (expression);                                 \
			if (!fault_leave(&section_))                                               \
				value_ = got_;                                                     \
		}                                                                                  \
		value_;                                                                            \
	})

/* A fault that a library's own check found (an assertion): leaves the innermost section, which
 * must be there. */
_Noreturn void fault_raise(void);
