/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is known of a block beside the store and the node states: a transaction under way, or how one
 * ended while the watch has not shown it yet. The block plan reads the list, whoever takes its steps
 * writes it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

enum pending_kind {
	PENDING_CLAIM, /* these three: a transaction of ours is under way */
	PENDING_TAKE_BACK,
	PENDING_RETURN,
	PENDING_CONFLICT, /* one was in vain; not to be tried again until then */
	PENDING_CLAIMED,  /* one succeeded; the watch will show it */
	PENDING_TAKEN,	  /* a TAKE_BACK succeeded: no earlier RETURN can be carried out any more */
	PENDING_HOME,	  /* it was in that state folder before a restart */
};

struct pending {
	struct cidr block;
	size_t dir; /* index of its state folder */
	enum pending_kind kind;
	uint64_t id;	 /* of the store's request, of a transaction */
	int64_t until_s; /* boot time: void after; 0: never */
};

struct pending_list {
	struct pending *v; /* heap */
	size_t n, room;
};
void pending_done(struct pending_list *l);

void pending_add(struct pending_list *l, const struct pending *p);
void pending_forget(struct pending_list *l, const struct cidr *block); /* all that is known of it */
void pending_expire(struct pending_list *l, int64_t now_s);

/* Whether a transaction is under way. */
bool pending_is_under_way(const struct pending *p);

/* NULL: there is none. */
const struct pending *pending_find(
	const struct pending_list *l, const struct cidr *block, enum pending_kind kind);
struct pending *pending_find_commit(const struct pending_list *l, uint64_t id);
