/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the tests of the node state share: a place with a state folder and a block registry of its
 * own for each test, values in short form, and the usual steps with their checks. Include it first.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static __attribute__((unused)) int setup(void **state)
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

static __attribute__((unused)) int remove_one(
	const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static __attribute__((unused)) int teardown(void **state)
{
	struct place *p = *state;
	nftw(p->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

#define ok(call)                                                                                   \
	do {                                                                                       \
		int ok_result = (call);                                                            \
		if (ok_result < 0)                                                                 \
			fail_msg("%s: %d %s", #call, ok_result, e.text);                           \
	} while (0)

#define refused(call, error, part)                                                                 \
	do {                                                                                       \
		e.text[0] = '\0';                                                                  \
		int refused_result = (call);                                                       \
		if (refused_result != -(error) || !strstr(e.text, part))                           \
			fail_msg("%s: %d \"%s\"", #call, refused_result, e.text);                  \
	} while (0)

static __attribute__((unused)) struct node *open_in(
	const struct place *p, const char *dir, enum node_mode mode)
{
	struct err e;
	struct node *n = NULL;
	ok(node_open(&n, dir, mode, &e));
	n->registry_root = p->hosts;
	return n;
}

static __attribute__((unused)) struct node *open_state(void **state)
{
	const struct place *p = *state;
	return open_in(p, p->dir, NODE_SHARED);
}

static __attribute__((unused)) struct addr A(const char *text) {
	struct err e;
	struct addr a;
	ok(addr_parse(text, &a, &e));
	return a;
}

static __attribute__((unused)) struct cidr
C(const char *text) {
	struct err e;
	struct cidr c;
	ok(cidr_parse(text, &c, &e));
	return c;
}

static __attribute__((unused)) struct pool
P(const char *cidr, uint8_t block_len, uint32_t cooldown_s) {
	return (struct pool){.cidr = C(cidr), .block_len = block_len, .cooldown_s = cooldown_s};
}

/* The attachment eth0 of a container in network "net". */
static __attribute__((unused)) struct owner
O(const char *container) {
	struct owner o = owner_of("net", container, "eth0");
	o.pod_namespace = "ns";
	o.pod_name = container;
	o.netns = 7;
	return o;
}

#define H(container) ((struct hash[]){O(container).hash}[0])

static __attribute__((unused)) struct node_want
W(const char *container, const struct pool *pools, size_t n) {
	return (struct node_want){.owner = O(container), .pools = pools, .n_pools = n};
}

static __attribute__((unused)) int
assign(struct node *n, const char *container, const struct pool *pools, size_t n_pools,
	struct node_leases *out, struct err *e)
{
	struct node_want w = W(container, pools, n_pools);
	return node_assign(n, &w, out, e);
}

static __attribute__((unused)) void gives(struct node *n, const char *container,
	const struct pool *pools, size_t n_pools, const char *addr)
{
	struct err e;
	struct node_leases l;
	ok(assign(n, container, pools, n_pools, &l, &e));
	char text[ADDR_TEXT];
	addr_format(&l.v[0].addr, text);
	assert_string_equal(text, addr);
}

static __attribute__((unused)) void gives_requested(
	struct node *n, const char *container, const struct pool *p, const char *addr)
{
	struct err e;
	struct addr a = A(addr);
	struct node_want w = W(container, p, 1);
	w.requested = &a;
	w.n_requested = 1;
	struct node_leases l;
	ok(node_assign(n, &w, &l, &e));
	assert_true(addr_equal(&l.v[0].addr, &a));
}

static __attribute__((unused)) int request(struct node *n, const char *container,
	const struct pool *p, const char *addr, struct err *e)
{
	struct addr a = A(addr);
	struct node_want w = W(container, p, 1);
	w.requested = &a;
	w.n_requested = 1;
	struct node_leases l;
	return node_assign(n, &w, &l, e);
}

static __attribute__((unused)) void release(struct node *n, const char *container, int addresses)
{
	struct err e;
	struct owner o = O(container);
	assert_int_equal(node_release(n, &o.hash, 1, &e), addresses);
}

/* The entry of an address in a fresh listing; state NODE_FREE when there is none. */
static __attribute__((unused)) enum node_addr_state state_of(struct node *n, const char *addr)
{
	struct err e;
	struct node_view v;
	struct addr a = A(addr);
	enum node_addr_state s = NODE_FREE;
	ok(node_list(n, &v, &e));
	for (size_t i = 0; i < v.n_entries; i++)
		if (addr_equal(&v.entries[i]->addr, &a))
			s = v.entries[i]->state;
	node_view_done(&v);
	return s;
}

static __attribute__((unused)) void state_file(const char *dir, char out[256])
{
	struct err e;
	char boot[BOOT_ID_TEXT];
	ok(boot_id(boot, &e));
	snprintf(out, 256, "%s/node-%s.mdb", dir, boot);
}

#define node_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
