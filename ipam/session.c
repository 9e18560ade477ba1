/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard stands before the file is mapped, and says by a mark in the folder that it struck: the
 * next node_open() sets the state aside.
 */
#include "ipam/session.h"

#include <limits.h>

#include "lib/deadline.h"

int session_open(
	struct node **out, const char *dir, enum node_mode mode, const char *answer, struct err *e)
{
	char mark[PATH_MAX];
	node_fault_mark(dir, mark, sizeof(mark));
	deadline_guard_fault(answer, mark);
	return node_open(out, dir, mode, e);
}
