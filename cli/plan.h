/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What applying manifests would change in the store: manifests and an inventory side by side.
 */
#include <jansson.h>
#include <stdbool.h>

#include "cli/manifest.h"
#include "cli/inventory.h"

enum plan_kind { PLAN_UNCHANGED, PLAN_CREATE, PLAN_CONFIGURE };

struct plan_step { /* one for each manifest, in their order */
	const struct manifest *manifest;
	const struct inventory_item *old; /* NULL: there is none */
	json_t *doc;			  /* as it shall be */
	struct resource value;		  /* of doc */
	enum plan_kind kind;
	bool recheck; /* to be looked at again when it is written (rules_needs_recheck()) */
	bool moves; /* a pool gets another cidr or blockSize: the old one goes, a new one is made */
};

struct plan {
	struct inventory inventory;
	struct plan_step *steps;
	size_t n;
};

/* Takes the inventory and compares. Returns how many complaints were made on stderr, -errno when the
 * store does not answer. */
int plan_make(struct store *s, const struct manifests *m, struct plan *out, struct err *e);
/* Looks at the store afresh after manifests were written. Each that was recheck, is as it was written, and
 * has something against it now is lost: lost[i] of manifest i. Returns how many, or -errno. */
int plan_verify(struct store *s, const struct manifests *m, const bool *recheck, bool *lost,
	struct plan *out, struct err *e);
/* Says on stderr what may surprise of it. */
void plan_warn(const struct plan *p);
void plan_done(struct plan *p);
#define CLEANUP_PLAN __attribute__((cleanup(plan_done)))
