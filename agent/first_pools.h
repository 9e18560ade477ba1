/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The pools of a cluster that has none yet: made once, from a file, by whichever agent comes first. When it
 * is done the IPAMConfiguration "default" is made as the mark of it, so that a pool that people change or
 * delete later stays as they want it.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/replica.h"
#include "lib/err.h"
#include "lib/problems.h"
#include "store/store.h"

struct first_pools { /* zeroed: nothing is under way */
	uint64_t commit;
	int64_t retry_ms; /* boot time */
	char what[300];	  /* that the commit is about */
	char trouble[256];
};

/* The document that is to be made next, of an array of IPPools in their stored form; NULL: none. *key:
 * where. Pure; the caller's. */
json_t *first_pools_next(const struct replica *r, const json_t *pools, char key[STORE_KEY_MAX]);

/* What a file holds: an array of IPPools, checked. -EBADMSG, -EINVAL, and what opening gives. */
int first_pools_read(const char *file, json_t **out, struct err *e);

/* Makes the next one, unless a commit is under way. file "": none are wanted. r is whole. Returns after how
 * many ms to call again, 0: when something happens. */
int64_t first_pools_sync(struct first_pools *f, const char *file, const struct replica *r,
	struct store *s, struct problems *problems);

/* true: the event was about it. */
bool first_pools_take(struct first_pools *f, const struct store_event *ev);
