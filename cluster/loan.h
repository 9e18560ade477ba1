/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A single address of a block that another node owns, lent while that node's agent lives: the document.
 * It says nothing about who owns the block. The writes that change it are in cluster/loan_txn.h.
 */
#include <stdbool.h>
#include <stdint.h>

#include "cluster/resource.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/schema.h"

enum loan_state {
	LOAN_ASKED,	  /* the borrower would have it */
	LOAN_REFUSED,	  /* the lender does not give it, but perhaps another one */
	LOAN_LENT,	  /* no pod of the lender gets it, whatever happens */
	LOAN_USED,	  /* the borrower has it */
	LOAN_QUARANTINED, /* the borrower was removed by force: nobody has it */
};
const char *loan_state_name(enum loan_state s);

struct loan {
	struct cidr addr; /* a host's prefix */
	char borrower[RESOURCE_NAME], lender[RESOURCE_NAME];
	enum loan_state state;
	struct addr instead; /* REFUSED: one that is free; family 0: there is none */
	int64_t revision;
};

/* {"borrower": "n2", "lender": "n1", "address": "100.66.0.5", "state": "used", "since": "2026-...",
 * "nonce": "..."}; unknown keys are fine. key is without the store's prefix. -EINVAL, -EBADMSG. */
int loan_parse(
	const char *key, const char *value, int64_t revision, struct loan *out, struct err *e);

const struct schema *loan_schema(void); /* for the test that holds deploy/crds/ against it */
