/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of lib/net.h holds a few messages more than are sent at once here.
 */
#include "agent/kernel/batch.h"

#define AT_ONCE 40

void batch_fail(struct batch *b, int r, const struct err *e)
{
	if (b->changes < 0)
		return;
	b->changes = r;
	*b->e = *e;
}

void batch_commit(struct batch *b)
{
	struct err e;
	int r = b->queued ? net_commit(b->net, NULL, &e) : 0;
	b->queued = 0;
	if (r < 0)
		batch_fail(b, r, &e);
}

void batch_add(struct batch *b)
{
	if (b->changes >= 0)
		b->changes++;
	if (++b->queued == AT_ONCE)
		batch_commit(b);
}
