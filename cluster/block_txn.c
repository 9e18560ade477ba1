/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every write compares what was read: a claim that there is no document, the rest the revision of the
 * document. The text has a nonce: when the answer to a write is lost, the driver reads the document
 * and knows from its text whether it is the one that it sent; and a document that was written anew has
 * another revision, so that nothing that was sent earlier can be carried out any more.
 */
#include "cluster/block_txn.h"

#include <stdio.h>
#include <string.h>

#include "cluster/keys.h"
#include "cluster/nonce.h"
#include "lib/boot.h"
#include "lib/text.h"

/* Names and times need no escapes. */
static void block_txn_format_value(
	struct block_txn *t, const struct block *b, enum block_state state)
{
	char now[32], nonce[NONCE_TEXT];
	boot_format_time(boot_wall_s(), now);
	nonce_make(nonce);
	(void)snprintf(t->value, sizeof(t->value),
		"{\"node\":\"%.*s\",\"cidr\":\"%s\",\"state\":\"%s\",\"since\":\"%s\","
		"%s\"nonce\":\"%s\"}",
		RESOURCE_NAME - 1, b->node, CIDR_STRING(&b->cidr), block_state_name(state), now,
		state == BLOCK_QUARANTINED && b->free_after_loans ? "\"freeAfterLoans\":true," : "",
		nonce);
}

/* value NULL: the document goes. */
static void block_txn_write(
	struct block_txn *t, const struct cidr *block, int64_t revision, const char *value)
{
	keys_block(block, t->key);
	t->write = (struct store_write){.key = t->key, .value = value, .revision = revision};
}

void block_txn_claim(struct block_txn *t, const struct cidr *block, const char *node)
{
	struct block b = {.cidr = *block};
	(void)text_copy(b.node, sizeof(b.node), node);
	block_txn_format_value(t, &b, BLOCK_PENDING);
	block_txn_write(t, block, 0, t->value);
}

void block_txn_confirm(struct block_txn *t, const struct block *b)
{
	block_txn_format_value(t, b, BLOCK_OWNED);
	block_txn_write(t, &b->cidr, b->revision, t->value);
}

void block_txn_return(struct block_txn *t, const struct block *b)
{
	block_txn_write(t, &b->cidr, b->revision, NULL);
}

void block_txn_quarantine(struct block_txn *t, const struct block *b)
{
	block_txn_format_value(t, b, BLOCK_QUARANTINED);
	block_txn_write(t, &b->cidr, b->revision, t->value);
}
