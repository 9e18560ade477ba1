/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node state against real LMDB files in a temporary folder. Each test has its own state
 * folder and its own hosts registry; children are forked before a state is open, since LMDB
 * wants one handle per process and file.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipam/db.h"
#include "ipam/hosts.h"
#include "ipam/node.h"
#include "lib/boot.h"
#include "lib/ns.h"

struct place {
	char root[64];
	char dir[96];	/* state folder; made by the first open */
	char other[96]; /* a second one */
	char hosts[96];
};

static int setup(void **state)
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

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
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

static struct node *open_in(const struct place *p, const char *dir, enum node_mode mode)
{
	struct err e;
	struct node *n = NULL;
	ok(node_open(&n, dir, mode, &e));
	node_use_hosts(n, p->hosts);
	return n;
}

static struct node *open_state(void **state)
{
	const struct place *p = *state;
	return open_in(p, p->dir, NODE_SHARED);
}

static struct addr A(const char *text) {
	struct err e;
	struct addr a;
	ok(addr_parse(text, &a, &e));
	return a;
}

static struct cidr
C(const char *text) {
	struct err e;
	struct cidr c;
	ok(cidr_parse(text, &c, &e));
	return c;
}

static struct pool
P(const char *cidr, uint8_t block_len, uint32_t cooldown_s) {
	return (struct pool){.cidr = C(cidr), .block_len = block_len, .cooldown_s = cooldown_s};
}

/* The attachment eth0 of a container in network "net". */
static struct owner
O(const char *container) {
	struct owner o = owner_of("net", container, "eth0");
	o.pod_namespace = "ns";
	o.pod_name = container;
	o.netns = 7;
	return o;
}

#define H(container) ((struct hash[]){O(container).hash}[0])

static struct node_want
W(const char *container, const struct pool *pools, size_t n) {
	return (struct node_want){.owner = O(container), .pools = pools, .n_pools = n};
}

static int
assign(struct node *n, const char *container, const struct pool *pools, size_t n_pools,
	struct node_leases *out, struct err *e)
{
	struct node_want w = W(container, pools, n_pools);
	return node_assign(n, &w, out, e);
}

static void gives(struct node *n, const char *container, const struct pool *pools, size_t n_pools,
	const char *addr)
{
	struct err e;
	struct node_leases l;
	ok(assign(n, container, pools, n_pools, &l, &e));
	char text[ADDR_TEXT];
	addr_format(&l.v[0].addr, text);
	assert_string_equal(text, addr);
}

static void gives_requested(
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

static int request(struct node *n, const char *container, const struct pool *p, const char *addr,
	struct err *e)
{
	struct addr a = A(addr);
	struct node_want w = W(container, p, 1);
	w.requested = &a;
	w.n_requested = 1;
	struct node_leases l;
	return node_assign(n, &w, &l, e);
}

static void release(struct node *n, const char *container, int addresses)
{
	struct err e;
	struct owner o = O(container);
	assert_int_equal(node_release(n, &o.hash, 1, &e), addresses);
}

/* The entry of an address in a fresh listing; state NODE_FREE when there is none. */
static enum node_addr_state state_of(struct node *n, const char *addr)
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

static void state_file(const char *dir, char out[256])
{
	struct err e;
	char boot[BOOT_ID_TEXT];
	ok(boot_id(boot, &e));
	snprintf(out, 256, "%s/node-%s.mdb", dir, boot);
}

static void a_pool_of_four_addresses_gives_four_pods(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/30", 30, 60);
	struct node_leases l;
	gives(n, "a", &p, 1, "100.66.0.0");
	gives(n, "b", &p, 1, "100.66.0.1");
	gives(n, "c", &p, 1, "100.66.0.2");
	ok(node_can_assign(n, &p, 1, &e));
	gives(n, "d", &p, 1, "100.66.0.3");
	refused(assign(n, "e", &p, 1, &l, &e), EAGAIN,
		"pool 100.66.0.0/30 is exhausted: 4 addresses, 4 used, 0 cooling, 0 reserved, 0 "
		"quarantined");
	assert_non_null(strstr(e.details, "roostctl ipam show"));
	refused(node_can_assign(n, &p, 1, &e), EAGAIN, "4 addresses, 4 used");
	node_close(n);
}

static void an_owner_gets_its_address_again(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 26, 60);
	struct node_leases l;
	gives(n, "a", &p, 1, "100.66.0.0");
	gives(n, "b", &p, 1, "100.66.0.1");
	ok(assign(n, "a", &p, 1, &l, &e));
	assert_int_equal(l.n, 1);
	assert_true(l.v[0].was_ours);
	assert_true(addr_equal(
		&l.v[0].addr, &(struct addr){.family = AF_INET, .bytes = {100, 66, 0, 0}}));
	assert_true(cidr_equal(&l.v[0].block, &(struct cidr){.addr = l.v[0].addr, .len = 26}));
	ok(node_unassign(n, &H("a"), &l, &e));
	struct node_leases found;
	assert_int_equal(node_find(n, &H("a"), &found, &e), 1);
	assert_int_equal(node_find(n, &H("nobody"), &found, &e), 0);
	node_close(n);
}

static void never_used_addresses_come_first_then_the_one_free_for_longest(void **state)
{
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/30", 30, 0);
	gives(n, "a", &p, 1, "100.66.0.0");
	gives(n, "b", &p, 1, "100.66.0.1");
	release(n, "b", 1);
	release(n, "a", 1);
	gives(n, "c", &p, 1, "100.66.0.2");
	gives(n, "d", &p, 1, "100.66.0.3");
	gives(n, "e", &p, 1, "100.66.0.1");
	gives(n, "f", &p, 1, "100.66.0.0");
	node_close(n);
}

static void a_cooling_address_comes_after_a_new_block(void **state)
{
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/30", 31, 3600);
	gives(n, "a", &p, 1, "100.66.0.0");
	gives(n, "b", &p, 1, "100.66.0.1");
	release(n, "b", 1);
	release(n, "a", 1);
	assert_int_equal(state_of(n, "100.66.0.1"), NODE_COOLING);
	gives(n, "c", &p, 1, "100.66.0.2");
	gives(n, "d", &p, 1, "100.66.0.3");
	gives(n, "e", &p, 1, "100.66.0.1");
	gives(n, "f", &p, 1, "100.66.0.0");
	node_close(n);
}

static void the_oldest_cooling_address_of_all_pools_is_taken(void **state)
{
	struct node *n = open_state(state);
	struct pool p[] = {P("100.66.0.0/32", 32, 3600), P("100.67.0.0/32", 32, 3600)};
	gives(n, "a", p, 2, "100.66.0.0");
	gives(n, "b", p, 2, "100.67.0.0");
	release(n, "b", 1);
	release(n, "a", 1);
	gives(n, "c", p, 2, "100.67.0.0");
	gives(n, "d", p, 2, "100.66.0.0");
	node_close(n);
}

static void pools_are_used_in_their_order_and_all_named_when_exhausted(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p[] = {P("100.66.0.2/31", 31, 0), P("100.65.0.0/32", 32, 0)};
	struct node_leases l;
	gives(n, "a", p, 2, "100.66.0.2");
	gives(n, "b", p, 2, "100.66.0.3");
	gives(n, "c", p, 2, "100.65.0.0");
	refused(assign(n, "d", p, 2, &l, &e), EAGAIN, "pool 100.65.0.0/32 is exhausted: 1 address");
	assert_non_null(strstr(e.text, "pool 100.66.0.2/31 is exhausted: 2 addresses, 2 used"));
	node_close(n);
}

static void only_usable_pools_are_used(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p[] = {P("100.66.0.0/30", 30, 0), P("100.67.0.0/30", 30, 0)};
	bool second[] = {false, true};
	bool none[] = {false, false};
	struct node_want w = W("a", p, 2);
	struct node_leases l;
	w.usable = second;
	ok(node_assign(n, &w, &l, &e));
	assert_int_equal(l.v[0].addr.bytes[1], 67);
	w.owner = O("b");
	w.usable = none;
	refused(node_assign(n, &w, &l, &e), EADDRNOTAVAIL, "none of the IPv4 pools");
	w.n_pools = 0;
	refused(node_assign(n, &w, &l, &e), EADDRNOTAVAIL, "no pool");
	node_close(n);
}

static void both_families_are_given_or_none(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p[] = {P("fd66::/64", 122, 0), P("100.66.0.0/32", 32, 0)};
	struct node_leases l;
	ok(assign(n, "a", p, 2, &l, &e));
	assert_int_equal(l.n, 2);
	assert_int_equal(l.v[0].addr.family, AF_INET);
	assert_int_equal(l.v[1].addr.family, AF_INET6);
	refused(assign(n, "b", p, 2, &l, &e), EAGAIN, "pool 100.66.0.0/32 is exhausted");
	assert_int_equal(state_of(n, "fd66::"), NODE_USED);
	assert_int_equal(state_of(n, "fd66::1"), NODE_FREE);
	release(n, "a", 2);
	ok(assign(n, "b", p, 2, &l, &e));
	assert_int_equal(l.n, 2);
	node_close(n);
}

static void a_family_without_pool_any_more_is_released(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p[] = {P("fd66::/64", 122, 60), P("100.66.0.0/24", 26, 60)};
	struct node_leases l;
	ok(assign(n, "a", p, 2, &l, &e));
	ok(assign(n, "a", p + 1, 1, &l, &e));
	assert_int_equal(l.n, 1);
	assert_int_equal(state_of(n, "fd66::"), NODE_COOLING);
	node_close(n);
}

static void gateways_stay_reserved(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("10.1.0.0/30", 30, 0);
	struct addr gateways[] = {A("10.1.0.0"), A("10.1.0.2"), A("192.168.0.1")};
	struct node_want w = W("a", &p, 1);
	struct node_leases l;
	w.gateways = gateways;
	w.n_gateways = 3;
	ok(node_assign(n, &w, &l, &e));
	assert_int_equal(l.v[0].addr.bytes[3], 1);
	w.owner = O("b");
	ok(node_assign(n, &w, &l, &e));
	assert_int_equal(l.v[0].addr.bytes[3], 3);
	w.owner = O("c");
	refused(node_assign(n, &w, &l, &e), EAGAIN, "2 used, 0 cooling, 2 reserved");
	assert_int_equal(state_of(n, "10.1.0.2"), NODE_RESERVED);
	refused(request(n, "c", &p, "10.1.0.2", &e), EADDRINUSE, "10.1.0.2 is reserved");
	gateways[2] = A("10.1.0.3");
	refused(node_assign(n, &w, &l, &e), EADDRINUSE, "10.1.0.3 is used by container b");
	node_close(n);
}

static void requested_addresses_are_given_or_refused_by_name(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/16", 26, 3600);
	gives_requested(n, "a", &p, "100.66.9.9");
	refused(request(n, "b", &p, "100.66.9.9", &e), EADDRINUSE,
		"address 100.66.9.9 is used by container a, interface eth0, network net (pod "
		"ns/a)");
	refused(request(n, "b", &p, "100.99.0.1", &e), EADDRNOTAVAIL,
		"100.99.0.1 is in no pool that may be used here (IPv4 pools: 100.66.0.0/16)");
	refused(request(n, "b", &p, "fd66::1", &e), EADDRNOTAVAIL, "IPv6 pools: none");
	gives_requested(n, "a", &p, "100.66.9.9");
	/* Another one: the old one is released. */
	gives_requested(n, "a", &p, "100.66.9.10");
	assert_int_equal(state_of(n, "100.66.9.9"), NODE_COOLING);
	gives_requested(n, "c", &p, "100.66.9.9");
	struct addr two[] = {A("100.66.0.1"), A("100.66.0.2")};
	struct node_want w = W("d", &p, 1);
	struct node_leases l;
	w.requested = two;
	w.n_requested = 2;
	refused(node_assign(n, &w, &l, &e), EINVAL, "more than one IPv4");
	node_close(n);
}

static void never_used_addresses_skip_what_was_requested(void **state)
{
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/30", 30, 0);
	gives_requested(n, "a", &p, "100.66.0.0");
	gives_requested(n, "b", &p, "100.66.0.1");
	gives_requested(n, "c", &p, "100.66.0.3");
	gives(n, "d", &p, 1, "100.66.0.2");
	node_close(n);
}

static void unassign_makes_the_address_what_it_was(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/30", 30, 0);
	struct node_leases l;
	gives(n, "a", &p, 1, "100.66.0.0");
	ok(assign(n, "b", &p, 1, &l, &e));
	ok(node_unassign(n, &H("other"), &l, &e)); /* not his: nothing changes */
	assert_int_equal(state_of(n, "100.66.0.1"), NODE_USED);
	ok(node_unassign(n, &H("b"), &l, &e));
	assert_int_equal(state_of(n, "100.66.0.1"), NODE_FREE);
	gives(n, "c", &p, 1, "100.66.0.1");
	gives(n, "d", &p, 1, "100.66.0.2");
	gives(n, "e", &p, 1, "100.66.0.3");
	release(n, "c", 1);
	release(n, "d", 1);
	ok(assign(n, "f", &p, 1, &l, &e));
	assert_int_equal(l.v[0].addr.bytes[3], 1);
	ok(node_unassign(n, &H("f"), &l, &e));
	ok(node_unassign(n, &H("f"), &l, &e)); /* twice is once */
	gives(n, "g", &p, 1, "100.66.0.1");
	gives(n, "h", &p, 1, "100.66.0.2");
	node_close(n);
}

static void release_by_wrong_owner_changes_nothing(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 26, 60);
	gives(n, "a", &p, 1, "100.66.0.0");
	release(n, "b", 0);
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_USED);
	struct hash owners[] = {O("x").hash, O("a").hash, O("a").hash};
	assert_int_equal(node_release(n, owners, 3, &e), 1);
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_COOLING);
	node_close(n);
}

static void an_address_is_released_by_hand(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 26, 60);
	struct addr a = A("100.66.0.0"), never = A("100.66.0.9"), outside = A("1.2.3.4");
	struct node_leases found;
	gives(n, "a", &p, 1, "100.66.0.0");
	ok(node_release_addr(n, &a, &e));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_COOLING);
	assert_int_equal(node_find(n, &H("a"), &found, &e), 0);
	refused(node_release_addr(n, &a, &e), ENOENT, "released already");
	refused(node_release_addr(n, &never, &e), ENOENT, "100.66.0.9 is not taken");
	refused(node_release_addr(n, &outside, &e), ENOENT, "in no block of this node");
	node_close(n);
}

static void a_changed_block_size_is_refused_while_blocks_exist(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 26, 0);
	struct pool smaller = P("100.66.0.0/24", 28, 0);
	struct node_leases l;
	gives(n, "a", &p, 1, "100.66.0.0");
	refused(assign(n, "b", &smaller, 1, &l, &e), EINVAL,
		"pool 100.66.0.0/24 has blockSize 28, but this node owns block 100.66.0.0/26");
	refused(node_can_assign(n, &smaller, 1, &e), EINVAL, "blockSize 28");
	release(n, "a", 1);
	struct cidr *blocks;
	size_t count;
	ok(node_return_blocks(n, false, &blocks, &count, &e));
	assert_int_equal(count, 1);
	assert_true(cidr_equal(blocks, &(struct cidr){.addr = A("100.66.0.0"), .len = 26}));
	free(blocks);
	ok(assign(n, "b", &smaller, 1, &l, &e));
	assert_int_equal(l.v[0].block.len, 28);
	node_close(n);
}

static void an_overlapping_pool_is_refused_while_blocks_exist(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 26, 0);
	struct pool wider = P("100.66.0.0/16", 26, 0);
	struct pool inside = P("100.66.0.128/25", 26, 0);
	struct node_leases l;
	gives(n, "a", &p, 1, "100.66.0.0");
	refused(assign(n, "b", &wider, 1, &l, &e), EINVAL,
		"pool 100.66.0.0/16 overlaps pool 100.66.0.0/24, of which this node owns block");
	refused(assign(n, "b", &inside, 1, &l, &e), EINVAL, "pool 100.66.0.128/25 overlaps");
	node_close(n);
}

static void a_pool_recorded_in_vain_makes_way(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p[] = {P("100.66.0.0/24", 26, 0), P("100.77.0.0/24", 26, 0)};
	struct pool wider = P("100.77.0.0/16", 28, 9);
	struct node_leases l;
	gives(n, "a", p, 2, "100.66.0.0");
	ok(assign(n, "b", &wider, 1, &l, &e));
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_pools, 2);
	assert_int_equal(v.pools[1].pool.cidr.len, 16);
	assert_int_equal(v.pools[1].pool.cooldown_s, 9);
	node_view_done(&v);
	node_close(n);
}

static void the_listing_has_pools_blocks_and_entries(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p[] = {P("100.66.0.0/24", 30, 60), P("fd66::/64", 126, 60)};
	struct node_leases l;
	const char *names[] = {"a", "b", "c", "d", "e"};
	for (size_t i = 0; i < 5; i++)
		ok(assign(n, names[i], p, 2, &l, &e));
	release(n, "b", 2);
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_pools, 2);
	assert_int_equal(v.n_blocks, 4);
	assert_int_equal(v.n_entries, 10);
	assert_int_equal(v.pools[0].blocks, 2);
	assert_int_equal(v.pools[0].max_blocks, 64);
	assert_int_equal(v.pools[0].used, 4);
	assert_int_equal(v.pools[0].cooling, 1);
	assert_int_equal(v.pools[0].free, 251);
	assert_int_equal(v.blocks[0].used, 3);
	assert_int_equal(v.blocks[0].cooling, 1);
	assert_int_equal(v.blocks[1].free, 3);
	assert_int_equal(v.blocks[3].pool.len, 64);
	assert_int_equal(v.entries[1]->state, NODE_COOLING);
	assert_in_range(v.entries[1]->cooling_s, 50, 60);
	assert_string_equal(v.entries[0]->owner.container, "a");
	assert_string_equal(v.entries[0]->owner.pod_namespace, "ns");
	assert_int_equal(v.entries[0]->owner.netns, 7);
	assert_int_equal(v.entries[9]->addr.family, AF_INET6);
	assert_in_range(v.entries[9]->since_s, boot_wall_s() - 60, boot_wall_s());
	node_view_done(&v);
	node_close(n);
	assert_string_equal(node_state_text(NODE_QUARANTINED), "quarantined");
}

static void a_huge_pool_is_no_trouble(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("fd66::/32", 64, 60);
	gives(n, "a", &p, 1, "fd66::");
	gives_requested(n, "b", &p, "fd66:0:ffff:ffff:ffff:ffff:ffff:ffff");
	gives(n, "c", &p, 1, "fd66::1");
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.blocks[0].size, UINT64_MAX);
	assert_int_equal(v.pools[0].max_blocks, UINT64_C(1) << 32);
	node_view_done(&v);
	node_close(n);
}

static void assign_many(struct node *n, char prefix, int count, const struct pool *p)
{
	for (int i = 0; i < count; i++) {
		struct err e;
		struct node_leases l;
		char name[] = {prefix, (char)('0' + i), '\0'};
		ok(assign(n, name, p, 1, &l, &e));
	}
}

static void release_many(struct node *n, char prefix, int count)
{
	for (int i = 0; i < count; i++) {
		char name[] = {prefix, (char)('0' + i), '\0'};
		release(n, name, 1);
	}
}

static void returns(struct node *n, bool cold, size_t expected)
{
	struct err e;
	struct cidr *blocks = NULL;
	size_t count = 0;
	ok(node_return_blocks(n, cold, &blocks, &count, &e));
	assert_int_equal(count, expected);
	free(blocks);
}

static void reserved_addresses_do_not_keep_a_block(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("10.1.0.0/30", 30, 0);
	struct addr gateway = A("10.1.0.1");
	struct node_want w = W("a", &p, 1);
	struct node_leases l;
	w.gateways = &gateway;
	w.n_gateways = 1;
	ok(node_assign(n, &w, &l, &e));
	returns(n, true, 0);
	release(n, "a", 1);
	returns(n, true, 1);
	ok(node_assign(n, &w, &l, &e));
	assert_int_equal(state_of(n, "10.1.0.1"), NODE_RESERVED);
	node_close(n);
}

static void idle_blocks_are_given_back(void **state)
{
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 30, 3600);
	assign_many(n, 'p', 9, &p);
	release_many(n, 'p', 8);
	returns(n, false, 0); /* they cool down */
	returns(n, true, 2);
	/* Claimed again from the lowest on, once the last block is full. */
	assign_many(n, 'q', 3, &p);
	gives(n, "r", &p, 1, "100.66.0.0");
	release_many(n, 'q', 3);
	release(n, "r", 1);
	release(n, "p8", 1);
	returns(n, true, 2);
	node_close(n);
}

static void what_was_given_back_leaves_nothing(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 30, 3600);
	struct node_view v;
	assign_many(n, 'p', 9, &p);
	release_many(n, 'p', 9);
	returns(n, true, 3);
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_pools + v.n_blocks + v.n_entries, 0);
	node_view_done(&v);
	node_close(n);
	/* Nothing is left in the registry either: another folder may have the pool. */
	assert_int_equal(rmdir(place->hosts), 0);
	n = open_in(place, place->other, NODE_SHARED);
	gives(n, "a", &p, 1, "100.66.0.0");
	node_close(n);
}

static void looking_needs_a_state(void **state)
{
	struct err e;
	const struct place *p = *state;
	struct node *n = NULL;
	refused(node_open(&n, p->dir, NODE_READ, &e), ENOENT, "no node state in");
	assert_int_equal(mkdir(p->dir, 0700), 0);
	refused(node_open(&n, p->dir, NODE_READ, &e), ENOENT, "no node state in");
	node_close(open_in(p, p->dir, NODE_EXCLUSIVE));
	n = open_in(p, p->dir, NODE_READ);
	struct pool pool = P("100.66.0.0/30", 30, 0);
	ok(node_can_assign(n, &pool, 1, &e));
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_pools, 0);
	node_view_done(&v);
	node_close(n);
	node_close(NULL);
}

static void a_state_folder_that_cannot_be_is_refused(void **state)
{
	struct err e;
	const struct place *p = *state;
	struct node *n;
	char path[8192];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	refused(node_open(&n, path, NODE_SHARED, &e), ENAMETOOLONG, "too long");
	close(open(p->dir, O_CREAT | O_WRONLY, 0600));
	assert_true(node_open(&n, p->dir, NODE_SHARED, &e) == -ENOTDIR);
}

static void damage(const char *dir, const char *how)
{
	char path[256];
	state_file(dir, path);
	if (strcmp(how, "garbage") == 0) {
		int fd = open(path, O_WRONLY | O_TRUNC);
		assert_int_equal(write(fd, "this is not a database at all", 29), 29);
		close(fd);
	} else if (strcmp(how, "truncated") == 0) {
		assert_int_equal(truncate(path, 8192), 0);
	} else if (strcmp(how, "version") == 0) {
		uint32_t two = 2;
		int fd = open(path, O_WRONLY);
		assert_int_equal(pwrite(fd, &two, 4, 20), 4);
		close(fd);
	} else if (strcmp(how, "foreign") == 0) {
		struct err e;
		struct record_meta meta = {.boot = "00000000-0000-0000-0000-000000000000"};
		unlink(path);
		ok(db_create(path, &meta, &e));
	} else if (strcmp(how, "folder") == 0) {
		unlink(path);
		assert_int_equal(mkdir(path, 0700), 0);
	} else if (strcmp(how, "record") == 0) {
		struct err e;
		struct db *db;
		struct record_meta meta;
		char mark[256];
		node_fault_mark(dir, mark, sizeof(mark));
		ok(db_open(&db, path, mark, false, &meta, &e));
		ok(db_begin(db, true, &e));
		struct record_key k = {.kind = RECORD_ADDR, .addr = A("100.66.0.0")};
		struct db_value v = {.bytes = {9}, .len = 1};
		ok(db_put(db, &k, &v, &e));
		ok(db_commit(db, &e));
		db_close(db);
	} else {
		char mark[256];
		node_fault_mark(dir, mark, sizeof(mark));
		close(open(mark, O_CREAT | O_WRONLY, 0600));
	}
}

static void a_damaged_state_is_set_aside_and_begun_anew(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/24", 26, 60);
	static const char *const how[] = {
		"garbage", "truncated", "version", "foreign", "folder", "mark"};
	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		struct node *n = open_state(state);
		struct node_leases l;
		ok(node_adopt(n, NULL, &e));
		ok(assign(n, "a", &p, 1, &l, &e));
		assert_null(node_set_aside(n));
		node_close(n);
		damage(place->dir, how[i]);
		refused(node_open(&n, place->dir, NODE_READ, &e), EUCLEAN, "damaged");
		n = open_state(state);
		assert_non_null(node_set_aside(n));
		assert_non_null(strstr(node_set_aside(n), ".mdb.damaged-"));
		assert_int_equal(access(node_set_aside(n), F_OK), 0);
		assert_true(node_needs_adoption(n, false));
		/* The blocks of the lost states are quarantined: each time another one. */
		ok(node_adopt(n, NULL, &e));
		assert_int_equal(state_of(n, "100.66.0.0"), NODE_QUARANTINED);
		struct node_view v;
		ok(node_list(n, &v, &e));
		assert_true(v.n_blocks >= 1);
		node_view_done(&v);
		ok(node_return_blocks(n, true, &(struct cidr *){NULL}, &(size_t){0}, &e));
		node_close(n);
		n = open_state(state);
		assert_null(node_set_aside(n));
		node_close(n);
		damage(place->dir, "mark"); /* the next round begins empty */
		char registry[512];
		snprintf(registry, sizeof(registry), "%s", place->hosts);
		nftw(registry, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		node_close(open_state(state));
	}
}

static void a_malformed_record_is_reported_and_mended_by_the_next(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/24", 26, 60);
	struct node_view v;
	struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	node_close(n);
	damage(place->dir, "record");
	n = open_state(state);
	refused(node_list(n, &v, &e), EUCLEAN, "the node state is damaged");
	struct node_leases l;
	refused(node_find(n, &H("a"), &l, &e), EUCLEAN, "damaged");
	node_close(n);
	n = open_state(state);
	assert_non_null(node_set_aside(n));
	node_close(n);
}

static void an_empty_file_is_a_new_state(void **state)
{
	const struct place *p = *state;
	struct node *n;
	char path[256];
	state_file(p->dir, path);
	assert_int_equal(mkdir(p->dir, 0700), 0);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	n = open_state(state);
	assert_null(node_set_aside(n));
	node_close(n);
}

static void files_of_other_boots_are_removed_unopened(void **state)
{
	const struct place *p = *state;
	char path[256];
	assert_int_equal(mkdir(p->dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/node-00000000-0000-0000-0000-000000000000.mdb", p->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	node_close(open_state(state));
	assert_int_equal(access(path, F_OK), -1);
	struct stat st;
	assert_int_equal(stat(p->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	state_file(p->dir, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* What the kernel shows: one link of owner "a" with two addresses, and a block. */
static struct owned kernel_with(struct owned_link *link, struct cidr *block, const char *addr)
{
	*link = (struct owned_link){.label = {.owner = O("a").hash,
					    .network = "net",
					    .ifname = "eth0",
					    .container = "a",
					    .pod = "ns/a"}};
	link->addrs[0] = A(addr);
	link->n_addrs = 1;
	return (struct owned){.links = link, .n_links = 1, .blocks = block, .n_blocks = 1};
}

static void a_lost_state_is_rebuilt_from_the_kernel(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/16", 26, 0);
	struct owned_link link;
	struct cidr block = C("100.66.0.64/26");
	struct owned kernel = kernel_with(&link, &block, "100.66.0.70");
	assert_true(node_needs_adoption(n, false));
	ok(node_adopt(n, &kernel, &e));
	assert_false(node_needs_adoption(n, true));
	ok(node_adopt(n, &kernel, &e));
	assert_int_equal(state_of(n, "100.66.0.70"), NODE_USED);
	assert_int_equal(state_of(n, "100.66.0.71"), NODE_QUARANTINED);
	gives(n, "b", &p, 1, "100.66.0.0"); /* a new block */
	refused(request(n, "c", &p, "100.66.0.71", &e), EADDRINUSE, "100.66.0.71 is quarantined");
	struct addr q = A("100.66.0.72");
	ok(node_release_addr(n, &q, &e));
	release(n, "a", 1);
	gives_requested(n, "c", &p, "100.66.0.72");
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_pools, 1);
	assert_int_equal(v.pools[0].blocks, 2);
	assert_int_equal(v.blocks[1].quarantined, 62);
	assert_int_equal(v.blocks[1].used, 1);
	assert_int_equal(v.blocks[1].free, 1);
	assert_int_equal(v.n_entries, 64);
	node_view_done(&v);
	/* The released one, then new blocks; never a quarantined one. */
	for (int i = 0; i < 63; i++) {
		char name[16];
		struct node_leases l;
		snprintf(name, sizeof(name), "n%d", i);
		ok(assign(n, name, &p, 1, &l, &e));
		assert_int_equal(l.v[0].addr.bytes[3], i + 1);
	}
	gives(n, "x", &p, 1, "100.66.0.70");
	gives(n, "y", &p, 1, "100.66.0.128");
	node_close(n);
}

static void who_cannot_look_leaves_the_rest_to_who_can(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/16", 26, 0);
	struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	node_close(n);
	damage(place->dir, "garbage");
	n = open_state(state);
	ok(node_adopt(n, NULL, &e));
	assert_false(node_needs_adoption(n, false));
	assert_true(node_needs_adoption(n, true));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_QUARANTINED);
	gives(n, "b", &p, 1, "100.66.0.64");
	struct owned_link link;
	struct cidr block = C("100.66.0.64/26");
	struct owned kernel = kernel_with(&link, &block, "100.66.0.0");
	ok(node_adopt(n, &kernel, &e));
	assert_false(node_needs_adoption(n, true));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_USED);
	assert_int_equal(state_of(n, "100.66.0.1"), NODE_QUARANTINED);
	gives(n, "c", &p, 1, "100.66.0.65");
	node_close(n);
	n = open_state(state);
	assert_false(node_needs_adoption(n, true));
	node_close(n);
}

static void a_loose_block_of_another_size_is_named(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct owned_link link;
	struct cidr block = C("100.66.0.0/28");
	struct owned kernel = kernel_with(&link, &block, "100.66.0.1");
	struct pool p = P("100.66.0.0/24", 26, 0);
	struct pool inside = P("100.66.0.0/30", 30, 0);
	struct node_leases l;
	link.n_addrs = 0;
	ok(node_adopt(n, &kernel, &e));
	refused(assign(n, "a", &p, 1, &l, &e), EINVAL,
		"has blockSize 26, but this node owns block");
	refused(assign(n, "a", &inside, 1, &l, &e), EINVAL, "100.66.0.0/28");
	node_close(n);
}

static void an_adopted_pod_outside_of_known_blocks_is_kept(void **state)
{
	struct err e;
	struct node *n = open_state(state);
	struct owned_link link;
	struct owned kernel = kernel_with(&link, NULL, "100.66.0.1");
	struct pool p = P("100.66.0.0/24", 32, 0);
	struct node_leases l;
	kernel.n_blocks = 0;
	link.addrs[1] = A("100.66.0.2"); /* a second one of the same family */
	link.n_addrs = 2;
	ok(node_adopt(n, &kernel, &e));
	gives(n, "b", &p, 1, "100.66.0.0");
	gives(n, "c", &p, 1, "100.66.0.3");
	ok(assign(n, "a", &p, 1, &l, &e));
	assert_true(l.v[0].was_ours);
	assert_int_equal(l.v[0].addr.bytes[3], 1);
	node_close(n);
}

static void a_second_state_folder_of_the_host_is_refused(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/16", 26, 0);
	struct pool other_size = P("100.66.0.0/16", 24, 0);
	struct node_leases l;
	struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	node_close(n);
	n = open_in(place, place->other, NODE_SHARED);
	refused(assign(n, "b", &p, 1, &l, &e), EBUSY,
		"pool 100.66.0.0/16 is in use by another state folder of this host");
	assert_non_null(strstr(e.text, place->dir));
	assert_non_null(strstr(e.details, "ipam release --idle-blocks"));
	refused(node_can_assign(n, &p, 1, &e), EBUSY, place->dir);
	refused(assign(n, "b", &other_size, 1, &l, &e), EBUSY, place->dir);
	/* A blackhole of the other folder's is not ours. */
	struct owned_link link;
	struct cidr block = C("100.66.0.0/26");
	struct owned kernel = kernel_with(&link, &block, "100.66.0.0");
	ok(node_adopt(n, &kernel, &e));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_FREE);
	node_close(n);
}

static void the_block_of_a_vanished_state_folder_is_quarantined(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/25", 26, 0);
	struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	node_close(n);
	nftw(place->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	n = open_in(place, place->other, NODE_SHARED);
	ok(node_can_assign(n, &p, 1, &e));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_FREE);
	gives(n, "b", &p, 1, "100.66.0.64");
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_QUARANTINED);
	node_close(n);
}

static void a_claim_that_was_killed_is_simply_used(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/25", 26, 0);
	struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	/* As if killed between the entry and the commit: an entry of this state for the next
	 * block. */
	char dir[512], from[1024], to[1024], target[512], boot[BOOT_ID_TEXT];
	ok(boot_id(boot, &e));
	snprintf(dir, sizeof(dir), "%s/%s-%llu", place->hosts, boot,
		(unsigned long long)ns_own_cookie());
	snprintf(from, sizeof(from), "%s/100.66.0.0-26", dir);
	snprintf(to, sizeof(to), "%s/100.66.0.64-26", dir);
	ssize_t len = readlink(from, target, sizeof(target) - 1);
	assert_true(len > 0);
	target[len] = '\0';
	assert_int_equal(symlink(target, to), 0);
	gives_requested(n, "b", &p, "100.66.0.64");
	assert_int_equal(state_of(n, "100.66.0.65"), NODE_FREE);
	release(n, "b", 1);
	release(n, "a", 1);
	struct cidr *blocks;
	size_t count;
	ok(node_return_blocks(n, true, &blocks, &count, &e));
	free(blocks);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(symlink(target, to), 0);
	ok(node_return_blocks(n, true, &blocks, &count, &e)); /* takes the vain entry away */
	free(blocks);
	assert_int_equal(readlink(to, target, sizeof(target)), -1);
	node_close(n);
}

/* What must be true of a state, said in another way than it is kept. */
#define MODEL_OWNERS 30
struct model {
	bool has[MODEL_OWNERS];
	struct addr addr[MODEL_OWNERS];
	size_t used;
};

static void model_check(struct node *n, const struct model *m)
{
	struct err e;
	struct node_view v;
	size_t used = 0, found = 0;
	ok(node_list(n, &v, &e));
	for (size_t i = 0; i < v.n_pools; i++)
		used += v.pools[i].used;
	for (size_t i = 0; i < v.n_entries; i++)
		for (size_t k = 0; k < MODEL_OWNERS; k++)
			found += v.entries[i]->state == NODE_USED && m->has[k] &&
				 addr_equal(&v.entries[i]->addr, &m->addr[k]);
	for (size_t i = 0; i + 1 < v.n_entries; i++)
		assert_true(addr_compare(&v.entries[i]->addr, &v.entries[i + 1]->addr) < 0);
	assert_int_equal(used, m->used);
	assert_int_equal(found, m->used);
	node_view_done(&v);
}

static void model_assign(struct node *n, struct model *m, const struct pool *p, size_t who)
{
	struct err e;
	char name[16];
	snprintf(name, sizeof(name), "m%zu", who);
	struct node_want w = W(name, p, 2);
	struct addr wish = addr_plus(&p[0].cidr.addr, (uint64_t)(rand() % 16));
	struct node_leases l;
	bool wished = rand() % 4 == 0, taken = false;
	for (size_t k = 0; k < MODEL_OWNERS; k++)
		taken |= k != who && m->has[k] && addr_equal(&m->addr[k], &wish);
	w.requested = &wish;
	w.n_requested = wished;
	int r = node_assign(n, &w, &l, &e);
	if (wished && taken) {
		assert_int_equal(r, -EADDRINUSE);
		return;
	}
	if (r == -EAGAIN) {
		assert_int_equal(m->used, 24);
		return;
	}
	ok(r);
	for (size_t k = 0; k < MODEL_OWNERS; k++)
		assert_false(k != who && m->has[k] && addr_equal(&m->addr[k], &l.v[0].addr));
	if (m->has[who] && !wished)
		assert_true(addr_equal(&m->addr[who], &l.v[0].addr));
	if (!m->has[who] && rand() % 3 == 0) {
		ok(node_unassign(n, &w.owner.hash, &l, &e));
		return;
	}
	m->used += !m->has[who];
	m->has[who] = true;
	m->addr[who] = l.v[0].addr;
}

static void model_step(struct node *n, struct model *m, const struct pool *p)
{
	struct err e;
	size_t who = (size_t)rand() % MODEL_OWNERS;
	char name[16];
	snprintf(name, sizeof(name), "m%zu", who);
	int what = rand() % 100;
	struct cidr *blocks = NULL;
	size_t count;
	if (what < 50) {
		model_assign(n, m, p, who);
		return;
	}
	if (what < 90)
		release(n, name, m->has[who]);
	else if (what < 97 && m->has[who])
		ok(node_release_addr(n, &m->addr[who], &e));
	else if (what >= 97)
		ok(node_return_blocks(n, what == 98, &blocks, &count, &e));
	free(blocks);
	if (what < 97) {
		m->used -= m->has[who];
		m->has[who] = false;
	}
}

static void any_sequence_keeps_the_state_true(void **state)
{
	struct pool p[] = {P("10.0.0.0/28", 30, 0), P("10.1.0.0/29", 32, 3600)};
	struct node *n = open_state(state);
	struct model m = {0};
	srand(1);
	for (int i = 0; i < 4000; i++) {
		model_step(n, &m, p);
		model_check(n, &m);
	}
	node_close(n);
}

/* Child i of the stress: assigns and releases; what it holds at the end stays. */
static void work(const struct place *place, int i, unsigned char *held, int rounds)
{
	struct pool p = P("100.66.0.0/24", 28, 0);
	for (int k = 0; k < rounds; k++) {
		char name[16];
		struct err e;
		struct node_leases l;
		struct node *n = NULL;
		snprintf(name, sizeof(name), "w%d", i);
		if (node_open(&n, place->dir, NODE_SHARED, &e) < 0)
			_exit(1);
		node_use_hosts(n, place->hosts);
		if (assign(n, name, &p, 1, &l, &e) < 0)
			_exit(2);
		unsigned char *slot = &held[l.v[0].addr.bytes[3]];
		if (__atomic_add_fetch(slot, 1, __ATOMIC_SEQ_CST) != 1)
			_exit(3); /* somebody else has it */
		node_close(n);
		if (k == rounds - 1)
			_exit(0);
		if (node_open(&n, place->dir, k % 7 ? NODE_SHARED : NODE_EXCLUSIVE, &e) < 0)
			_exit(4);
		__atomic_sub_fetch(slot, 1, __ATOMIC_SEQ_CST);
		struct owner o = O(name);
		if (node_release(n, &o.hash, 1, &e) != 1)
			_exit(5);
		node_close(n);
	}
}

static void thirty_processes_never_share_an_address(void **state)
{
	struct err e;
	const struct place *place = *state;
	unsigned char *held =
		mmap(NULL, 256, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(held, MAP_FAILED);
	pid_t pids[30];
	for (int i = 0; i < 30; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			work(place, i, held, 20);
			_exit(9);
		}
	}
	for (int i = 0; i < 30; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	struct node *n = open_state(state);
	struct node_view v;
	ok(node_list(n, &v, &e));
	size_t used = 0;
	for (size_t i = 0; i < v.n_entries; i++)
		used += v.entries[i]->state == NODE_USED;
	assert_int_equal(used, 30);
	node_view_done(&v);
	node_close(n);
	munmap(held, 256);
}

static void a_killed_process_leaves_a_sound_state(void **state)
{
	struct err e;
	const struct place *place = *state;
	unsigned char held[256];
	for (int i = 0; i < 60; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			memset(held, 0, sizeof(held));
			work(place, i % 5, held, 100000);
			_exit(0);
		}
		usleep((useconds_t)(i * 397 % 9000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		struct node *n = open_state(state);
		assert_null(node_set_aside(n));
		struct node_view v;
		ok(node_list(n, &v, &e));
		for (size_t k = 0; k < v.n_entries; k++)
			assert_int_not_equal(v.entries[k]->state, NODE_QUARANTINED);
		node_view_done(&v);
		node_close(n);
	}
	struct node *n = open_state(state);
	for (int i = 0; i < 5; i++) {
		struct node_leases l;
		char name[16];
		snprintf(name, sizeof(name), "w%d", i);
		struct pool p = P("100.66.0.0/24", 28, 0);
		ok(assign(n, name, &p, 1, &l, &e));
		release(n, name, 1);
	}
	struct cidr *blocks;
	size_t count;
	ok(node_return_blocks(n, true, &blocks, &count, &e));
	free(blocks);
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_blocks, 0);
	node_view_done(&v);
	node_close(n);
}

#define node_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(a_pool_of_four_addresses_gives_four_pods),
		node_test(an_owner_gets_its_address_again),
		node_test(never_used_addresses_come_first_then_the_one_free_for_longest),
		node_test(a_cooling_address_comes_after_a_new_block),
		node_test(the_oldest_cooling_address_of_all_pools_is_taken),
		node_test(pools_are_used_in_their_order_and_all_named_when_exhausted),
		node_test(only_usable_pools_are_used),
		node_test(both_families_are_given_or_none),
		node_test(a_family_without_pool_any_more_is_released),
		node_test(gateways_stay_reserved),
		node_test(reserved_addresses_do_not_keep_a_block),
		node_test(requested_addresses_are_given_or_refused_by_name),
		node_test(never_used_addresses_skip_what_was_requested),
		node_test(unassign_makes_the_address_what_it_was),
		node_test(release_by_wrong_owner_changes_nothing),
		node_test(an_address_is_released_by_hand),
		node_test(a_changed_block_size_is_refused_while_blocks_exist),
		node_test(an_overlapping_pool_is_refused_while_blocks_exist),
		node_test(a_pool_recorded_in_vain_makes_way),
		node_test(the_listing_has_pools_blocks_and_entries),
		node_test(a_huge_pool_is_no_trouble),
		node_test(idle_blocks_are_given_back),
		node_test(what_was_given_back_leaves_nothing),
		node_test(looking_needs_a_state),
		node_test(a_state_folder_that_cannot_be_is_refused),
		node_test(a_damaged_state_is_set_aside_and_begun_anew),
		node_test(a_malformed_record_is_reported_and_mended_by_the_next),
		node_test(an_empty_file_is_a_new_state),
		node_test(files_of_other_boots_are_removed_unopened),
		node_test(a_lost_state_is_rebuilt_from_the_kernel),
		node_test(who_cannot_look_leaves_the_rest_to_who_can),
		node_test(a_loose_block_of_another_size_is_named),
		node_test(an_adopted_pod_outside_of_known_blocks_is_kept),
		node_test(a_second_state_folder_of_the_host_is_refused),
		node_test(the_block_of_a_vanished_state_folder_is_quarantined),
		node_test(a_claim_that_was_killed_is_simply_used),
		node_test(any_sequence_keeps_the_state_true),
		node_test(thirty_processes_never_share_an_address),
		node_test(a_killed_process_leaves_a_sound_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
