/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the documents of a large cluster into a store.
 *
 *	fill URL PREFIX NODES BLOCKS MODE
 *
 * MODE is one of crowd.h. It keeps as many writes under way as a store takes, and prints how long it took as
 * a line of JSON.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "tests/bench/crowd.h"

#define UNDER_WAY 64 /* writes at a time */

struct batch {
	struct store *store;
	size_t under_way, written;
};

/* Until no more than so many writes are under way. */
static void wait_for(struct batch *b, size_t most)
{
	struct store_event ev;
	while (b->under_way > most) {
		struct pollfd p = {.fd = store_fd(b->store), .events = POLLIN};
		(void)poll(&p, 1, -1);
		while (store_next(b->store, &ev)) {
			if (ev.kind != STORE_DONE) {
				fprintf(stderr, "fill: %s\n",
					ev.kind == STORE_FAILED ? ev.what : "a document is there");
				exit(1);
			}
			b->under_way--;
			b->written++;
		}
	}
}

static void put(struct batch *b, const char *key, const char *value)
{
	const struct store_write w = {.key = key, .value = value};
	(void)store_start_write(b->store, &w, 60000);
	b->under_way++;
	wait_for(b, UNDER_WAY - 1);
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
	wait_for(b, 0);
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
