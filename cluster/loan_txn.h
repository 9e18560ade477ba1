/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Changing a loan in the cluster store, always by comparing what was read of it. docs/ARCHITECTURE.md has the
 * protocol; tests/model/loans.pml is its model, whose steps have the names in brackets.
 */
#include <stdbool.h>

#include "cluster/loan.h"
#include "store/store.h"

/* A write, ready to be sent; it owns its texts and holds pointers into itself (never copy one). */
struct loan_txn {
	struct store_write write;
	char key[STORE_KEY_MAX];
	char value[1024];
};

/* The document says l->state from then on, when it is as it was read (l->revision; 0: there is none, which
 * is [L1]). false: no key can name this borrower's loans. */
bool loan_txn_put(struct loan_txn *t, const struct loan *l);
void loan_txn_end(struct loan_txn *t, const struct loan *l); /* [L4] it goes */
