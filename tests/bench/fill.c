/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the documents of a large cluster into a store.
 *
 *	fill URL PREFIX NODES BLOCKS MODE
 *
 * MODE is one of crowd.h. It uses transactions of as many changes as one may have, and prints how
 * long it took as a line of JSON.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "tests/bench/crowd.h"

/* Changes that wait for their transaction. */
struct batch {
	struct store *store;
	struct store_change changes[STORE_TXN_MAX];
	char keys[STORE_TXN_MAX][STORE_KEY_MAX];
	char values[STORE_TXN_MAX][CROWD_VALUE];
	size_t n, written;
};

static void flush(struct batch *b)
{
	struct err e;
	struct store_txn t = {.changes = b->changes, .n_changes = b->n};
	if (b->n && store_commit(b->store, &t, &e) != 1) {
		fprintf(stderr, "fill: %s\n", e.text);
		exit(1);
	}
	b->written += b->n;
	b->n = 0;
}

static void put(struct batch *b, const char *key, const char *value)
{
	size_t i = b->n++;
	(void)snprintf(b->keys[i], sizeof(b->keys[i]), "%s", key);
	(void)snprintf(b->values[i], sizeof(b->values[i]), "%s", value);
	b->changes[i] = (struct store_change){.key = b->keys[i], .value = b->values[i]};
	if (b->n == STORE_TXN_MAX)
		flush(b);
}

static void fill(struct batch *b, const struct crowd *c)
{
	char key[STORE_KEY_MAX], value[CROWD_VALUE];
	for (size_t i = 0; i < crowd_resources(c); i++) {
		crowd_resource(c, i, key, value);
		put(b, key, value);
	}
	for (size_t i = 0; i < c->blocks; i++) {
		crowd_block(c, i, key, value);
		put(b, key, value);
	}
	flush(b);
}

int main(int argc, char **argv)
{
	static struct batch b;
	struct crowd c = {0};
	struct err e;
	if (argc != 6 || !crowd_parse_mode(argv[5], &c)) {
		fprintf(stderr, "fill URL PREFIX NODES BLOCKS MODE\n");
		return 2;
	}
	c.nodes = strtoul(argv[3], NULL, 10);
	c.blocks = strtoul(argv[4], NULL, 10);
	struct store_options o = {.url = argv[1], .prefix = argv[2], .timeout_ms = 10000};
	if (store_open(&b.store, &o, &e) < 0) {
		fprintf(stderr, "fill: %s\n", e.text);
		return 1;
	}
	uint64_t began = boot_now_ns();
	fill(&b, &c);
	printf("{\"documents\": %zu, \"ms\": %.1f}\n", b.written,
		(double)(boot_now_ns() - began) / 1e6);
	store_close(b.store);
	return 0;
}
