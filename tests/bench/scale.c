/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a large cluster costs an agent's processor and memory, without a store, a kernel or a BIRD:
 *
 *	scale NODES BLOCKS MODE ROUNDS
 *
 * The documents of a made-up cluster (crowd.h; one of its nodes is ours) go into a replica as a
 * list of the store would put them there; then the desired state, BIRD's text and the plan for
 * blocks are computed ROUNDS times, the text compared with the one before, as every pass does.
 * One line of JSON: medians in microseconds, sizes in bytes, heap in KiB.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/config.h"
#include "agent/block_plan.h"
#include "agent/desired/desired.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "tests/bench/crowd.h"

#define ROUNDS_MAX 1000
#define OURS "worker-00000.example.com"
#define UPLINK 2

static struct replica replica;
static struct agent_conf conf = {
	.node = OURS, .vxlan_port = 4789, .vxlan_vni = 4096, .vxlan_device = "vxlan.roost"};

static double us_since(uint64_t began_ns)
{
	return (double)(boot_now_ns() - began_ns) / 1000;
}

static size_t heap_kib(void)
{
	struct mallinfo2 m = mallinfo2();
	return (m.uordblks + m.hblkhd) / 1024;
}

static void feed(int part, enum store_event_kind kind, const char *key, const char *value)
{
	static int64_t revision;
	struct store_event ev = {.kind = kind, .key = key, .value = value, .revision = ++revision};
	(void)replica_take(&replica, part, &ev);
}

static void feed_all(const struct crowd *c)
{
	char key[STORE_KEY_MAX], value[CROWD_VALUE];
	feed(REPLICA_RESOURCES, STORE_RESTART, NULL, NULL);
	for (size_t i = 0; i < crowd_resources(c); i++) {
		crowd_resource(c, i, key, value);
		feed(REPLICA_RESOURCES, STORE_PUT, key, value);
	}
	feed(REPLICA_RESOURCES, STORE_CURRENT, NULL, NULL);
	feed(REPLICA_BLOCKS, STORE_RESTART, NULL, NULL);
	for (size_t i = 0; i < c->blocks; i++) {
		crowd_block(c, i, key, value);
		feed(REPLICA_BLOCKS, STORE_PUT, key, value);
	}
	feed(REPLICA_BLOCKS, STORE_CURRENT, NULL, NULL);
	feed(REPLICA_LOANS, STORE_RESTART, NULL, NULL);
	feed(REPLICA_LOANS, STORE_CURRENT, NULL, NULL);
}

static int compare_us(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *us, size_t n)
{
	qsort(us, n, sizeof(*us), compare_us);
	return us[n / 2];
}

/* This node as its kernel would show it: one uplink, a default route, the blocks it owns. */
struct here {
	struct facts facts;
	struct facts_link link;
	struct facts_addr addr;
	struct desired_self self;
	struct node_states states;
	struct pending_list pending; /* all blocks are confirmed */
};

static void look_around(struct here *h)
{
	const struct replica_node *own = replica_node(&replica, OURS);
	size_t n = 0;
	h->link = (struct facts_link){
		.index = UPLINK, .name = "eth0", .mtu = 1500, .up = true, .running = true};
	h->addr = (struct facts_addr){.addr = own->spec.addr[IPV4], .link = UPLINK, .usable = true};
	h->facts = (struct facts){.links = &h->link, .n_links = 1, .addrs = &h->addr, .n_addrs = 1};
	h->facts.defaults[IPV4] = (struct facts_route){
		.dst.addr.family = AF_INET, .via = own->spec.addr[IPV4].addr, .link = UPLINK};
	h->facts.defaults[IPV4].via.bytes[3] = 1;
	struct cidr *blocks = mem_new(replica.n_blocks, sizeof(*blocks));
	h->states.blocks = mem_new(replica.n_blocks, sizeof(*h->states.blocks));
	for (size_t i = 0; i < replica.n_blocks; i++) {
		if (strcmp(replica.blocks[i].node, OURS) != 0)
			continue;
		/* The first one has room for more than the headroom. */
		uint64_t used = n ? 64 : 32;
		h->states.blocks[n] = (struct node_states_block){
			.in = {.cidr = replica.blocks[i].cidr, .used = used, .free = 64 - used},
			.empty_since_s = -1};
		pending_add(&h->pending, &(struct pending){.block = replica.blocks[i].cidr,
						 .kind = PENDING_CONFIRMED});
		blocks[n++] = replica.blocks[i].cidr;
	}
	h->states.n_blocks = n;
	h->states.n_dirs = 1;
	h->states.dirs[0] = (struct node_states_dir){.free = {32}, .used = 64 * n - 32};
	h->self = (struct desired_self){.addr = {own->spec.addr[IPV4]},
		.link = {UPLINK},
		.vxlan = {own->spec.vxlan[IPV4]},
		.announced = blocks,
		.n_announced = n};
}

static double time_blocks(const struct here *h, const struct mirror *m)
{
	struct block_plan_input in = {.node = OURS,
		.replica = &replica,
		.mirror = m,
		.states = &h->states,
		.pending = &h->pending,
		.headroom = 16};
	struct block_plan plan;
	uint64_t began = boot_now_ns();
	block_plan_make(&in, &plan);
	double us = us_since(began);
	if (plan.n_steps) {
		fprintf(stderr, "scale: a settled node plans %zu steps\n", plan.n_steps);
		exit(1);
	}
	block_plan_done(&plan);
	return us;
}

static void run(const struct here *h, size_t rounds)
{
	static double desired_us[ROUNDS_MAX], text_us[ROUNDS_MAX], same_us[ROUNDS_MAX],
		blocks_us[ROUNDS_MAX];
	CLEANUP_FREE char *before = NULL;
	size_t sessions = 0, hops = 0, remote = 0, vxlan = 0;
	for (size_t i = 0; i < rounds; i++) {
		struct desired d;
		uint64_t began = boot_now_ns();
		desired_make(&conf, &replica, &h->facts, &h->self, &d);
		desired_us[i] = us_since(began);
		began = boot_now_ns();
		char *text = bird_config_text(&d.bird);
		text_us[i] = us_since(began);
		began = boot_now_ns();
		if (before && strcmp(before, text) != 0) {
			fprintf(stderr, "scale: the same cluster gave another text\n");
			exit(1);
		}
		same_us[i] = us_since(began);
		blocks_us[i] = time_blocks(h, &d.mirror);
		free(before);
		before = text;
		sessions = d.bird.n_peers;
		hops = d.bird.family[IPV4].n_hops[0];
		remote = d.bird.family[IPV4].n_remote;
		vxlan = d.kernel.vxlan[0].n_peers;
		desired_done(&d);
	}
	printf("\"desired_us\": %.1f, \"text_us\": %.1f, \"same_us\": %.1f, \"blocks_us\": %.1f, "
	       "\"text_bytes\": %zu, \"sessions\": %zu, \"hops\": %zu, \"remote\": %zu, "
	       "\"vxlan_peers\": %zu",
		median(desired_us, rounds), median(text_us, rounds), median(same_us, rounds),
		median(blocks_us, rounds), strlen(before), sessions, hops, remote, vxlan);
}

int main(int argc, char **argv)
{
	struct crowd c = {0};
	struct here h = {0};
	size_t rounds = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
	if (argc != 5 || !crowd_parse_mode(argv[3], &c) || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "scale NODES BLOCKS MODE ROUNDS\n");
		return 2;
	}
	c.nodes = strtoul(argv[1], NULL, 10);
	c.blocks = strtoul(argv[2], NULL, 10);
	size_t before_kib = heap_kib();
	replica_init(&replica, OURS);
	uint64_t began = boot_now_ns();
	feed_all(&c);
	double feed_us = us_since(began);
	size_t replica_kib = heap_kib() - before_kib;
	if (!replica_is_whole(&replica) || replica.n_problems || replica.n_nodes != c.nodes ||
		replica.n_blocks != c.blocks) {
		fprintf(stderr, "scale: of %zu nodes and %zu blocks, %zu and %zu were taken; %s\n",
			c.nodes, c.blocks, replica.n_nodes, replica.n_blocks,
			replica.n_problems ? replica.problems[0].text : "");
		return 1;
	}
	look_around(&h);
	printf("{\"nodes\": %zu, \"blocks\": %zu, \"feed_us\": %.1f, \"replica_kib\": %zu, ",
		c.nodes, c.blocks, feed_us, replica_kib);
	run(&h, rounds);
	printf("}\n");
	free((void *)h.self.announced);
	free(h.states.blocks);
	replica_done(&replica);
	return 0;
}
