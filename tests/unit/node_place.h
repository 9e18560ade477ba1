/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the tests of the node state share: a place with a state folder and a block registry of its
 * own for each test, values in short form, and the usual steps with their checks. Include it first.
 */
#include "tests/unit/folder.h"
#include "tests/unit/values.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipam/db.h"
#include "ipam/registry.h"
#include "ipam/node_impl.h"
#include "lib/boot.h"
#include "lib/ns.h"

struct place {
	char root[64];
	char dir[96];	/* state folder; made by the first open */
	char other[96]; /* a second one */
	char hosts[96];
};

static inline int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	snprintf(p->root, sizeof(p->root), "/tmp/roost-test-node-XXXXXX");
	assert_non_null(mkdtemp(p->root));
	snprintf(p->dir, sizeof(p->dir), "%s/state", p->root);
	snprintf(p->other, sizeof(p->other), "%s/other", p->root);
	snprintf(p->hosts, sizeof(p->hosts), "%s/hosts", p->root);
	*state = p;
	return 0;
}

static inline int teardown(void **state)
{
	struct place *p = *state;
	folder_remove(p->root);
	free(p);
	return 0;
}

static inline void close_node(struct node **n)
{
	node_close(*n);
}

/* A node state that is closed where its block ends. */
#define CLEANUP_NODE __attribute__((cleanup(close_node)))

static inline struct node *open_in(const struct place *p, const char *dir, enum node_mode mode)
{
	struct err e;
	struct node *n = NULL;
	ok(node_open(&n, dir, mode, &e));
	n->registry_root = p->hosts;
	return n;
}

static inline struct node *open_state(void **state)
{
	const struct place *p = *state;
	return open_in(p, p->dir, NODE_SHARED);
}

static inline struct pool P(const char *prefix, uint8_t block_len, uint32_t cooldown_s) {
	return (struct pool){
		.cidr = cidr(prefix), .block_len = block_len, .cooldown_s = cooldown_s};
}

/* The attachment eth0 of a container in network "net". */
static inline struct owner
O(const char *container) {
	struct owner o = owner_of("net", container, "eth0");
	o.pod_namespace = "ns";
	o.pod_name = container;
	o.netns = 7;
	return o;
}

#define H(container) ((struct hash[]){O(container).hash}[0])

static inline struct node_want
W(const char *container, const struct pool *pools, size_t n) {
	return (struct node_want){.owner = O(container), .pools = pools, .n_pools = n};
}

static inline int
assign(struct node *n, const char *container, const struct pool *pools, size_t n_pools,
	struct node_leases *out, struct err *e)
{
	struct node_want w = W(container, pools, n_pools);
	return node_assign(n, &w, out, e);
}

static inline void gives(struct node *n, const char *container, const struct pool *pools,
	size_t n_pools, const char *address)
{
	struct err e;
	struct node_leases l;
	ok(assign(n, container, pools, n_pools, &l, &e));
	char text[ADDR_TEXT];
	addr_format(&l.v[0].addr, text);
	assert_string_equal(text, address);
}

static inline void gives_requested(
	struct node *n, const char *container, const struct pool *p, const char *address)
{
	struct err e;
	struct addr a = addr(address);
	struct node_want w = W(container, p, 1);
	w.requested = &a;
	w.n_requested = 1;
	struct node_leases l;
	ok(node_assign(n, &w, &l, &e));
	assert_true(addr_equal(&l.v[0].addr, &a));
}

static inline int request(struct node *n, const char *container, const struct pool *p,
	const char *address, struct err *e)
{
	struct addr a = addr(address);
	struct node_want w = W(container, p, 1);
	w.requested = &a;
	w.n_requested = 1;
	struct node_leases l;
	return node_assign(n, &w, &l, e);
}

static inline void release(struct node *n, const char *container, int addresses)
{
	struct err e;
	struct owner o = O(container);
	assert_int_equal(node_release(n, &o.hash, 1, &e), addresses);
}

/* The entry of an address in a fresh listing; state NODE_FREE when there is none. */
static inline enum node_addr_state state_of(struct node *n, const char *address)
{
	struct err e;
	struct node_view v;
	struct addr a = addr(address);
	enum node_addr_state s = NODE_FREE;
	ok(node_list(n, &v, &e));
	for (size_t i = 0; i < v.n_entries; i++)
		if (addr_equal(&v.entries[i]->addr, &a))
			s = v.entries[i]->state;
	node_view_done(&v);
	return s;
}

static inline void state_file(const char *dir, char out[256])
{
	struct err e;
	char boot[BOOT_ID_TEXT];
	ok(boot_id(boot, &e));
	snprintf(out, 256, "%s/node-%s.mdb", dir, boot);
}

#define node_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
