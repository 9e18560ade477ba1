/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * roostctl node purge, from inside: what the two who remove things (cli/purge_kernel.h, cli/purge_files.h)
 * get and tell. Each thing is told before it is removed; in a dry run
 * it is only told.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cluster/agent_conf.h"
#include "lib/err.h"

struct purge {
	const struct agent_conf *conf;
	const char *root; /* in front of every path; "" none */
	bool dry_run;
	json_t *report; /* {"removed": [...], "left": [...]}; NULL: lines for people */
	size_t n_found; /* of what is removed, or would be */
	size_t n_failed;
};

/* One thing that goes now. Returns false in a dry run: the caller leaves it. */
bool purge_takes(struct purge *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What stays on purpose, and why. */
void purge_leaves(struct purge *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What could not be removed. The rest goes on. */
void purge_failed(struct purge *p, const struct err *e);
