/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the two sources behind ipam/mirror.h share: mirror.c (the copy, the agent's lock) and
 * mirror_block.c (blocks and addresses). Within a transaction.
 */
#include "ipam/ledger.h"
#include "ipam/mirror.h"

/* The copy: 1, or 0 when there is none. */
int mirror_read(struct db *db, struct mirror *out, struct err *e);

/* Free addresses of a block inside reserved prefixes become reserved. Writes. */
int mirror_hold_reserved(
	struct db *db, const struct ledger_block *b, const struct mirror *m, struct err *e);
