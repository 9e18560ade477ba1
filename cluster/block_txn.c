/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every change of an owner compares what was read: a claim that there is no document, the rest the
 * revision of the document. Both keys of a block, the one under blocks/ and the one under its
 * node, get the same text in the same transaction; the first one decides, the second one is an
 * index. The text has a nonce: when the answer to a commit is lost, the driver reads the document
 * and knows from its text whether it is the one that it sent.
 */
#include "cluster/block_txn.h"

#include <stdio.h>
#include <sys/random.h>

#include "cluster/keys.h"
#include "lib/boot.h"
#include "lib/hash.h"

/* The kernel's generator does not fail for so few bytes, once it is seeded. */
static void make_nonce(char out[33])
{
	struct hash h; /* 16 bytes that print as hexadecimal digits */
	if (getrandom(h.bytes, sizeof(h.bytes), 0) != sizeof(h.bytes))
		err_abort("the kernel gives no random numbers");
	hash_format(&h, out);
}

/* Names and times need no escapes. */
static void block_txn_format_value(struct block_txn *t, const char *node, enum block_state state)
{
	char now[32], nonce[33];
	boot_format_time(boot_wall_s(), now);
	make_nonce(nonce);
	(void)snprintf(t->value, sizeof(t->value),
		"{\"node\":\"%.*s\",\"state\":\"%s\",\"%s\":\"%s\",\"nonce\":\"%s\"}",
		RESOURCE_NAME - 1, node, block_state_name(state),
		state == BLOCK_OWNED ? "claimed" : "quarantined", now, nonce);
}

/* Both keys get value (NULL: go), if the block's document is still at revision. */
static void block_txn_change(struct block_txn *t, const struct cidr *block, const char *node,
	int64_t revision, const char *value)
{
	keys_block(block, t->keys[0]);
	keys_nodeblock(node, block, t->keys[1]);
	t->compares[0] = (struct store_compare){.key = t->keys[0], .revision = revision};
	t->changes[0] = (struct store_change){.key = t->keys[0], .value = value};
	t->changes[1] = (struct store_change){.key = t->keys[1], .value = value};
	t->txn = (struct store_txn){
		.compares = t->compares,
		.n_compares = 1,
		.changes = t->changes,
		.n_changes = 2,
	};
}

void block_txn_claim(struct block_txn *t, const struct cidr *block, const char *node,
	const char *pool_name, int64_t pool_revision)
{
	block_txn_format_value(t, node, BLOCK_OWNED);
	block_txn_change(t, block, node, 0, t->value);
	keys_resource(RESOURCE_IPPOOL, pool_name, t->keys[2]);
	t->compares[1] = (struct store_compare){.key = t->keys[2], .revision = pool_revision};
	t->txn.n_compares = 2;
}

void block_txn_return(struct block_txn *t, const struct block *b)
{
	block_txn_change(t, &b->cidr, b->node, b->revision, NULL);
}

void block_txn_quarantine(struct block_txn *t, const struct block *b)
{
	block_txn_format_value(t, b->node, BLOCK_QUARANTINED);
	block_txn_change(t, &b->cidr, b->node, b->revision, t->value);
}

void block_txn_take_back(struct block_txn *t, const struct block *b)
{
	block_txn_format_value(t, b->node, BLOCK_OWNED);
	block_txn_change(t, &b->cidr, b->node, b->revision, t->value);
}
