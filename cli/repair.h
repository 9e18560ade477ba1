/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Does what an audit offers to do. The state is held exclusively by the caller, so that no ADD or
 * DEL is half way through.
 */
#include "cli/audit.h"

struct repair {
	struct node *node;
	struct net *net;
	const struct audit_input *in; /* the look the problems came from */
};

/* Mends one problem (its fix is not AUDIT_FIX_NONE). What was done is added by the audit
 * that follows: a problem is repaired when it is not seen again. */
int repair_one(const struct repair *r, const struct audit_problem *p, struct err *e);

/* "released", "route added", ...: for people. */
const char *repair_text(enum audit_fix fix);
