/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Many changes of one kind, sent to the kernel some at a time. An error does not end it: the first one
 * is kept, and what follows is still tried.
 */
#include <stddef.h>

#include "lib/err.h"
#include "lib/net.h"

struct batch {
	struct net *net;
	struct err *e;
	int changes;   /* so many, or the first error */
	size_t queued; /* messages that were not sent yet */
};

void batch_add(struct batch *b); /* after a message was queued: it counts as a change */
void batch_commit(struct batch *b);

/* What cannot be done at all, a list that the kernel refuses say. */
void batch_fail(struct batch *b, int r, const struct err *e);
