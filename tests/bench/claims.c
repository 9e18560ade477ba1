/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many nodes that claim blocks of one pool at the same time.
 *
 *	claims URL PREFIX NODES EACH POOL BLOCK_LEN [alike]
 *
 * One process a node, as far as possible like an agent: it watches blocks/, keeps a sorted list of
 * what is taken, picks a candidate by block_pick() and claims it with the transaction of
 * cluster/block.h; a block that somebody else took is passed over from then on. All begin at
 * once. With "alike" every process picks as if it had the first one's name, which is what
 * a fixed starting point would be: the storm that starting points of their own avoid.
 *
 * One line of JSON: claims and conflicts of all, the time from the start until the last one ended,
 * the number of distinct blocks in the store afterwards (a difference would be a block with two
 * owners), microseconds of a claim (median, 95th percentile).
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster/block_txn.h"
#include "cluster/keys.h"
#include "cluster/pools.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "tests/overwrite.h"

#define NODES_MAX 64
#define EACH_MAX 4096

struct plan {
	struct store_options store;
	struct pool pool;
	size_t nodes, each;
	bool alike;
};

/* What the processes tell their parent, in shared memory. */
struct result {
	size_t claims, conflicts;
	uint64_t ended_ns;
	double us[EACH_MAX];
};

/* What one node knows. */
struct node {
	struct store *store;
	char name[RESOURCE_NAME];
	const char *walks_as;
	struct cidr *taken, *tried;
	size_t n_taken, room_taken, n_tried, room_tried;
	uint64_t watch;
	bool current;
	uint64_t step; /* what is waited for */
	struct store_event ended;
	struct pools_read pools; /* that were read */
};

_Noreturn static void die(const char *what, const struct err *e)
{
	fprintf(stderr, "claims: %s: %s\n", what, e ? e->text : strerror(errno));
	exit(1);
}

static void take(struct node *n, const struct cidr *block)
{
	size_t at = n->n_taken;
	while (at > 0 && cidr_compare(&n->taken[at - 1], block) > 0)
		at--;
	if (at > 0 && cidr_equal(&n->taken[at - 1], block))
		return;
	n->taken = mem_grow(n->taken, &n->room_taken, n->n_taken, sizeof(*n->taken));
	memmove(&n->taken[at + 1], &n->taken[at], (n->n_taken - at) * sizeof(*n->taken));
	n->taken[at] = *block;
	n->n_taken++;
}

static void read_events(struct node *n)
{
	struct store_event ev;
	struct cidr block;
	while (store_next(n->store, &ev)) {
		if (ev.id == n->step && ev.kind == STORE_PUT) {
			pools_read_add(&n->pools, ev.value);
		} else if (ev.id == n->step && ev.kind != STORE_RESTART) {
			n->ended = ev;
			n->step = 0;
		}
		if (ev.id != n->watch)
			continue;
		if (ev.kind == STORE_CURRENT)
			n->current = true;
		else if (ev.kind == STORE_PUT && keys_parse_block(ev.key, &block))
			take(n, &block);
	}
}

static void wait_for_events(struct node *n)
{
	struct pollfd p = {.fd = store_fd(n->store), .events = POLLIN};
	if (poll(&p, 1, 10000) != 1)
		die("the store is silent", NULL);
	read_events(n);
}

static void wait_until_current(struct node *n)
{
	while (!n->current)
		wait_for_events(n);
}

/* How a step of a claim ended. */
static enum store_event_kind finish(struct node *n, uint64_t step)
{
	n->step = step;
	while (n->step)
		wait_for_events(n);
	if (n->ended.kind == STORE_FAILED)
		die("a step of a claim", NULL);
	return n->ended.kind;
}

/* The three steps of the agent (agent/block_steps.c). false: somebody else has the block. */
static bool claim_block(struct node *n, const struct cidr *block)
{
	struct block_txn t;
	struct block mine = {.cidr = *block};
	char key[STORE_KEY_MAX];
	bool meets;
	memcpy(mine.node, n->name, sizeof(mine.node));
	block_txn_claim(&t, block, n->name);
	if (finish(n, store_start_write(n->store, &t.write, 0)) != STORE_DONE)
		return false;
	mine.revision = n->ended.revision;
	keys_resource(RESOURCE_IPPOOL, "", key);
	(void)finish(n, store_start_list(n->store, key));
	bool gives = pools_read_give(&n->pools, "bench", block, &meets);
	pools_read_done(&n->pools);
	if (!gives || meets)
		die("the pool is not good", NULL);
	block_txn_confirm(&t, &mine);
	if (finish(n, store_start_write(n->store, &t.write, 0)) != STORE_DONE)
		die("a pending block was changed", NULL);
	return true;
}

/* One claim; the blocks that were in vain are counted. false: the pool is full. */
static bool claim(struct node *n, const struct plan *p, size_t *conflicts)
{
	for (;;) {
		struct cidr block;
		read_events(n);
		struct block_taken taken = {.sorted = n->taken,
			.n = n->n_taken,
			.stride = sizeof(*n->taken),
			.tried = n->tried,
			.n_tried = n->n_tried};
		if (!block_pick(&p->pool, n->walks_as, &taken, &block))
			return false;
		bool ours = claim_block(n, &block);
		n->tried = mem_grow(n->tried, &n->room_tried, n->n_tried, sizeof(*n->tried));
		n->tried[n->n_tried++] = block;
		if (ours)
			return true;
		++*conflicts;
	}
}

/* The two pipes of a start: nodes write that they are ready, and read until the other end closes. */
struct start {
	int ready[2], go[2];
};

static void be_node(size_t number, const struct plan *p, const struct start *s, struct result *out)
{
	struct node n = {.walks_as = n.name};
	struct err e;
	char byte;
	(void)snprintf(n.name, sizeof(n.name), "worker-%05zu.example.com", number);
	if (p->alike)
		n.walks_as = "worker-00000.example.com";
	if (store_open(&n.store, &p->store, &e) < 0)
		die("open", &e);
	n.watch = store_start_watch(n.store, KEYS_BLOCKS);
	wait_until_current(&n);
	(void)close(s->go[1]);
	if (write(s->ready[1], "", 1) != 1 || read(s->go[0], &byte, 1) != 0)
		die("wait", NULL);
	for (size_t i = 0; i < p->each; i++) {
		uint64_t began = boot_now_ns();
		if (!claim(&n, p, &out->conflicts))
			break;
		out->us[out->claims++] = (double)(boot_now_ns() - began) / 1000;
	}
	out->ended_ns = boot_now_ns();
	store_close(n.store);
	free(n.taken);
	free(n.tried);
}

/* The pool's document: claims read it. */
static void make_pool(struct store *s, const struct plan *p)
{
	char key[STORE_KEY_MAX], cidr[CIDR_TEXT], value[512];
	struct err e;
	keys_resource(RESOURCE_IPPOOL, "bench", key);
	cidr_format(&p->pool.cidr, cidr);
	(void)snprintf(value, sizeof(value),
		"{\"kind\":\"IPPool\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{"
		"\"name\":\"bench\"},\"spec\":{\"cidr\":\"%s\",\"blockSize\":%u}}",
		cidr, p->pool.block_len);
	if (overwrite(s, key, value, &e) != 1)
		die("the pool", &e);
}

static size_t count_blocks(struct store *s, const char *prefix)
{
	struct store_doc *docs;
	size_t n;
	struct err e;
	if (store_list(s, prefix, &docs, &n, &e) < 0)
		die("list", &e);
	store_docs_free(docs, n);
	return n;
}

static int compare_us(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;
	return (x > y) - (x < y);
}

static void report(
	const struct plan *p, const struct result *results, uint64_t began_ns, size_t blocks)
{
	size_t claims = 0, conflicts = 0;
	uint64_t ended_ns = began_ns;
	double *us = mem_new(p->nodes * p->each + 1, sizeof(*us));
	for (size_t i = 0; i < p->nodes; i++) {
		const struct result *r = &results[i];
		memcpy(&us[claims], r->us, r->claims * sizeof(*us));
		claims += r->claims;
		conflicts += r->conflicts;
		if (r->ended_ns > ended_ns)
			ended_ns = r->ended_ns;
	}
	qsort(us, claims, sizeof(*us), compare_us);
	printf("{\"claims\": %zu, \"conflicts\": %zu, \"ms\": %.1f, \"blocks\": %zu, "
	       "\"median_us\": %.1f, \"p95_us\": %.1f}\n",
		claims, conflicts, (double)(ended_ns - began_ns) / 1e6, blocks, us[claims / 2],
		us[claims * 95 / 100]);
	free(us);
}

static void start_nodes(const struct plan *p, const struct start *s, struct result *results)
{
	for (size_t i = 0; i < p->nodes; i++) {
		pid_t child = fork();
		if (child < 0)
			die("fork", NULL);
		if (child > 0)
			continue;
		be_node(i, p, s, &results[i]);
		exit(0);
	}
	(void)close(s->ready[1]);
	for (size_t i = 0; i < p->nodes; i++) {
		char byte;
		if (read(s->ready[0], &byte, 1) != 1)
			die("a node ended before the start", NULL);
	}
}

static bool wait_for_nodes(const struct plan *p)
{
	bool fine = true;
	for (size_t i = 0; i < p->nodes; i++) {
		int status;
		fine &= wait(&status) > 0 && status == 0;
	}
	return fine;
}

static bool read_plan(int argc, char **argv, struct plan *p)
{
	struct err e;
	if (argc != 7 && !(argc == 8 && strcmp(argv[7], "alike") == 0))
		return false;
	p->store = (struct store_options){.url = argv[1], .prefix = argv[2], .timeout_ms = 10000};
	p->nodes = strtoul(argv[3], NULL, 10);
	p->each = strtoul(argv[4], NULL, 10);
	p->pool.block_len = (uint8_t)strtoul(argv[6], NULL, 10);
	p->alike = argc == 8;
	return p->nodes && p->nodes <= NODES_MAX && p->each && p->each <= EACH_MAX &&
	       cidr_parse(argv[5], &p->pool.cidr, &e) == 0;
}

int main(int argc, char **argv)
{
	struct plan p = {0};
	struct store *store;
	struct err e;
	struct start start;
	if (!read_plan(argc, argv, &p)) {
		fprintf(stderr, "claims URL PREFIX NODES EACH POOL BLOCK_LEN [alike]\n");
		return 2;
	}
	struct result *results = mmap(NULL, p.nodes * sizeof(*results), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED || pipe(start.ready) < 0 || pipe(start.go) < 0)
		die("start", NULL);
	if (store_open(&store, &p.store, &e) < 0)
		die("open", &e);
	make_pool(store, &p);
	store_close(store); /* a store is not for a process and its children */
	start_nodes(&p, &start, results);
	uint64_t began = boot_now_ns();
	(void)close(start.go[1]);
	if (!wait_for_nodes(&p)) {
		fprintf(stderr, "claims: a node ended before it was done\n");
		return 1;
	}
	if (store_open(&store, &p.store, &e) < 0)
		die("open", &e);
	report(&p, results, began, count_blocks(store, KEYS_BLOCKS));
	store_close(store);
	return 0;
}
