/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: documents in the cluster store. The input is "KEY NUL VALUE"; it is read as a block, as a
 * loan, as a status, and its key as any key. What comes out is written again to the same text.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "cluster/block_txn.h"
#include "cluster/keys.h"
#include "cluster/loan_txn.h"
#include "cluster/status.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

static void try_block(const char *key, const char *value)
{
	struct block b;
	struct err e = {0};
	char again[STORE_KEY_MAX];
	if (block_parse(key, value, 1, &b, &e) < 0) {
		CHECK(*e.text);
		return;
	}
	CHECK(text_is_dns_name(b.node) && !cidr_has_host_bits(&b.cidr));
	keys_block(&b.cidr, again);
	CHECK(strcmp(again, key) == 0);
	struct block_txn t;
	struct block back;
	block_txn_confirm(&t, &b);
	CHECK(block_parse(t.key, t.value, 1, &back, &e) == 0);
}

static void try_loan(const char *key, const char *value)
{
	struct loan l, back;
	struct loan_txn t;
	struct err e = {0};
	if (loan_parse(key, value, 1, &l, &e) < 0) {
		CHECK(*e.text);
		return;
	}
	CHECK(text_is_dns_name(l.borrower) && text_is_dns_name(l.lender));
	CHECK(loan_txn_put(&t, &l) && strcmp(t.key, key) == 0);
	CHECK(loan_parse(t.key, t.value, 1, &back, &e) == 0 && back.state == l.state);
}

static void try_status(const char *value)
{
	struct status s;
	struct err e = {0};
	if (status_parse(value, &s, &e) < 0) {
		CHECK(*e.text);
		return;
	}
	CHECK(json_is_utf8(s.bird) && json_is_utf8(s.store) && json_is_utf8(s.version));
	CLEANUP_JSON json_t *doc = status_format(&s);
	CLEANUP_FREE char *text = json_text(doc);
	struct status back;
	CHECK(status_parse(text, &back, &e) == 0 && back.n_blocks == s.n_blocks);
	status_done(&back);
	status_done(&s);
}

static void try_key(const char *key)
{
	enum resource_kind kind;
	char name[RESOURCE_NAME], again[STORE_KEY_MAX];
	if (keys_parse_resource(key, &kind, name)) {
		keys_resource(kind, name, again);
		CHECK(strcmp(again, key) == 0);
	}
	if (keys_parse_status(key, name)) {
		keys_status(name, again);
		CHECK(strcmp(again, key) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = mem_new(size + 2, 1);
	if (size)
		memcpy(text, data, size);
	const char *value = text + strlen(text) + 1;
	try_key(text);
	try_block(text, value);
	try_loan(text, value);
	try_status(value);
	return 0;
}
