/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As with blocks every write compares a revision, and a nonce tells a writer whose answer was lost whether the
 * document is his.
 */
#include "cluster/loan_txn.h"

#include <stdio.h>

#include "cluster/keys.h"
#include "cluster/nonce.h"
#include "lib/boot.h"

bool loan_txn_put(struct loan_txn *t, const struct loan *l)
{
	char now[32], nonce[NONCE_TEXT], instead[ADDR_TEXT + 16] = "";
	boot_format_time(boot_wall_s(), now);
	nonce_make(nonce);
	if (l->state == LOAN_REFUSED && l->instead.family)
		(void)snprintf(
			instead, sizeof(instead), "\"instead\":\"%s\",", ADDR_STRING(&l->instead));
	(void)snprintf(t->value, sizeof(t->value),
		"{\"borrower\":\"%.*s\",\"lender\":\"%.*s\",\"address\":\"%s\",\"state\":\"%s\",%s"
		"\"since\":\"%s\",\"nonce\":\"%s\"}",
		RESOURCE_NAME - 1, l->borrower, RESOURCE_NAME - 1, l->lender,
		ADDR_STRING(&l->addr.addr), loan_state_name(l->state), instead, now, nonce);
	t->write = (struct store_write){.key = t->key, .value = t->value, .revision = l->revision};
	return keys_loan(l->borrower, &l->addr, t->key);
}

void loan_txn_end(struct loan_txn *t, const struct loan *l)
{
	(void)keys_loan(l->borrower, &l->addr, t->key); /* it was read under this key */
	t->write = (struct store_write){.key = t->key, .revision = l->revision};
}
