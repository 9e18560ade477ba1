/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The block registry: which state folder of this host holds which block, so that two folders never
 * give away the same addresses, and so that a lost state is noticed. One folder per boot and
 * network namespace, one symbolic link per block ("100.66.0.0-26"), its text says who holds it.
 * Files only; never called inside a transaction.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/boot.h"
#include "lib/err.h"
#include "lib/text.h"

#define REGISTRY_ROOT "/run/roost/hosts"

/* Who asks. */
struct registry_self {
	const char *root; /* REGISTRY_ROOT; another one in tests */
	const char *boot; /* boot id */
	const char *dir;  /* state folder, absolute */
	uint64_t id;	  /* of the state in it: an earlier one in the same folder had another */
};

enum registry_holder {
	REGISTRY_FREE,	/* nobody */
	REGISTRY_OURS,	/* this very state; it may not know yet (a claim that was killed) */
	REGISTRY_LOST,	/* a state that is gone, in our folder or another: pods may still use it */
	REGISTRY_OTHER, /* a living state in another folder */
};

/* An entry's name, "100.66.0.0-26", and the block it is about; false: it names none, whoever made it. */
void registry_name_format(const struct cidr *block, char out[CIDR_TEXT]);
bool registry_name_parse(const char *name, struct cidr *out);

/* Claims a block for us: REGISTRY_OURS (it may be used), REGISTRY_LOST (unchanged; see
 * registry_take()), or -EBUSY, naming pool and holder. pool NULL: the cluster's, whose blocks
 * several folders may hold. */
int registry_claim(const struct registry_self *self, const struct cidr *block,
	const struct cidr *pool, struct err *e);

/* The same answers (REGISTRY_OURS also when it could be claimed), changing nothing. */
int registry_check(const struct registry_self *self, const struct cidr *block,
	const struct cidr *pool, struct err *e);

/* Takes over the entry of a lost block, after our state has recorded it as quarantined. */
int registry_take(const struct registry_self *self, const struct cidr *block, struct err *e);

/* Removes entries of ours; others and missing ones are left alone. */
int registry_drop(
	const struct registry_self *self, const struct cidr *blocks, size_t n, struct err *e);

/* Every entry. Heap array, the caller frees *out. */
struct registry_entry {
	struct cidr block;
	enum registry_holder holder;
	bool here; /* holder is in our folder */
};
int registry_list(
	const struct registry_self *self, struct registry_entry **out, size_t *n, struct err *e);

/* The blocks that other living state folders of this host hold, for whoever looks at a folder
 * without a state. Heap array, the caller frees *out. */
int registry_list_others(const char *dir, struct cidr **out, size_t *n, struct err *e);
/* The folders of these states, a line each, added to a growing text. */
int registry_name_others(const char *dir, struct text *lines, struct err *e);
