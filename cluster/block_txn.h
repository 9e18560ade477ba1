/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Changing who owns a block, in the cluster store. A block has one document, or none when it is free,
 * and every step of the protocol writes this one and compares what was read of it. A node uses a block
 * only after it has confirmed its own name there. docs/ARCHITECTURE.md has the protocol, and what a crash
 * after each step leaves; tests/model/blocks.pml is its model, whose steps have the names in brackets.
 */
#include <stdint.h>

#include "cluster/block.h"
#include "store/store.h"

/* A write, ready to be sent; it owns its texts and holds pointers into itself (never copy one). */
struct block_txn {
	struct store_write write;
	char key[STORE_KEY_MAX];
	char value[512];
};

/* [C2] Compares that there is no document. The block is pending then: nobody else can have it, but it
 * is not used before its pool was read afresh [C3] and block_txn_confirm() was committed. */
void block_txn_claim(struct block_txn *t, const struct cidr *block, const char *node);

/* The rest compares the document with what was read (b->revision). */
void block_txn_confirm(struct block_txn *t, const struct block *b); /* [C4, A2] it is owned */
void block_txn_return(struct block_txn *t, const struct block *b);  /* it becomes free */
void block_txn_quarantine(
	struct block_txn *t, const struct block *b); /* it keeps its node, and free_after_loans */
