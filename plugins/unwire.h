/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one way in which an attachment's wiring goes, in DEL and in an ADD that failed or begins again: what
 * leads to the pod first, then what it has in its own namespace, then its link with its routes. Doing it
 * twice is fine.
 */
#include <stdbool.h>

#include "lib/err.h"
#include "lib/owned.h"
#include "plugins/call.h"

struct unwire {
	struct hash owner;
	const struct owned_hints *hints; /* may be NULL */
	enum owned_how how;
	bool may_have_ports; /* false: a record says that it has none */
	bool is_there;	     /* its interface may be in the namespace of the call */
};

/* Does every step, then tells the first error; else how many links went. The socket of the host is open; the
 * pod's namespace may be. */
int unwire(struct call *c, const struct unwire *u, struct err *e);
