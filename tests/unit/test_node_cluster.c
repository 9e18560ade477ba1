/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's side of the node state: the mirror, blocks that come and go, what is given from them
 * and what is not, the counts, tunnel addresses, and the agent's lock. The agent's part is played
 * by the tests.
 */
#include "tests/unit/node_place.h"

#include "ipam/agent_lock.h"
#include "ipam/node_cluster.h"

#define AT(text) ((struct addr[]){addr(text)})
#define CT(text) ((struct cidr[]){cidr(text)})

static struct mirror copy_of(const char *prefix, uint8_t block_len)
{
	struct mirror m = {.node = "node-a", .socket = "/run/roost/agent.sock", .n_pools = 1};
	m.pools[0] = (struct mirror_pool){
		.pool = P(prefix, block_len, 60), .name = "default", .assigns = true};
	return m;
}

static void put(struct node *n, const struct mirror *m)
{
	struct err e;
	ok(node_put_mirror(n, m, &e));
}

/* The state of the test with that mirror. */
static struct node *open_with(void **state, const struct mirror *m)
{
	struct node *n = open_state(state);
	put(n, m);
	return n;
}

static void add(struct node *n, const char *block, int expected)
{
	struct err e;
	struct cidr c = cidr(block);
	int r = node_add_block(n, &c, &e);
	if (r != expected)
		fail_msg("%s: %d %s", block, r, e.text);
}

static int ask(struct node *n, const char *container, const struct mirror *m, bool cooling,
	struct node_leases *out, struct err *e)
{
	struct pool pools[POOL_MAX];
	struct node_want w = {
		.owner = O(container),
		.pools = pools,
		.cluster = true,
		.cooling = cooling,
		.reserved = m->reserved,
		.n_reserved = m->n_reserved,
	};
	int r = mirror_pools(m, pools, &w.n_pools, e);
	return r < 0 ? r : node_assign(n, &w, out, e);
}

/* The container gets no address, and the sentence has that part. */
static void gets_none(struct node *n, const char *container, const struct mirror *m, bool cooling,
	const char *part)
{
	struct err e;
	struct node_leases l;
	refused(ask(n, container, m, cooling, &l, &e), EAGAIN, part);
}

static void gets(struct node *n, const char *container, const struct mirror *m, const char *address)
{
	struct err e;
	struct node_leases l;
	char text[ADDR_TEXT];
	ok(ask(n, container, m, false, &l, &e));
	addr_format(&l.v[0].addr, text);
	assert_string_equal(text, address);
}

static int wish(struct node *n, const char *container, const struct mirror *m, const char *address,
	struct err *e)
{
	struct addr a = addr(address);
	struct node_want w = W(container, &m->pools[0].pool, 1);
	struct node_leases l;
	w.cluster = true;
	w.requested = &a;
	w.n_requested = 1;
	return node_assign(n, &w, &l, e);
}

static void counts(struct node *n, uint64_t now_free, uint64_t cooling)
{
	struct err e;
	uint64_t f = 0, c = 0;
	ok(node_count_free(n, AF_INET, &f, &c, &e));
	assert_int_equal(f, now_free);
	assert_int_equal(c, cooling);
}

/* The view of a block; false when there is none. */
static bool find_block(struct node *n, const char *block, struct node_block *out)
{
	struct err e;
	struct node_view v;
	struct cidr c = cidr(block);
	bool found = false;
	ok(node_list(n, &v, &e));
	for (size_t i = 0; i < v.n_blocks; i++)
		if (cidr_equal(&v.blocks[i].cidr, &c)) {
			*out = v.blocks[i];
			found = true;
		}
	node_view_done(&v);
	return found;
}

static void the_copy_comes_back_as_it_was_put(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct mirror m = copy_of("100.66.0.0/16", 26);
	struct mirror back;
	assert_int_equal(node_get_mirror(n, &back, &e), 0);
	m.pools[1] = (struct mirror_pool){.pool = P("fd66::/64", 122, 5), .name = "six"};
	m.n_pools = 2;
	m.mtu[IPV4] = 1450;
	m.mtu[IPV6] = 1430;
	m.reserved[0] = cidr("100.66.0.0/30");
	m.reserved[1] = cidr("fd66::/126");
	m.n_reserved = 2;
	assert_int_equal(node_put_mirror(n, &m, &e), 1);
	assert_int_equal(node_put_mirror(n, &m, &e), 0);
	m.netns = UINT64_MAX; /* cookies are large: those of one half of the processors */
	assert_int_equal(node_put_mirror(n, &m, &e), 1);
	node_close(n);
	n = open_state(state);
	assert_int_equal(node_get_mirror(n, &back, &e), 1);
	assert_string_equal(back.node, "node-a");
	assert_string_equal(back.socket, "/run/roost/agent.sock");
	assert_int_equal(back.mtu[IPV4], 1450);
	assert_int_equal(back.mtu[IPV6], 1430);
	assert_int_equal(back.n_pools, 2);
	assert_string_equal(back.pools[1].name, "six");
	assert_false(back.pools[1].assigns);
	assert_int_equal(back.pools[1].pool.cooldown_s, 5);
	assert_int_equal(back.n_reserved, 2);
	assert_true(cidr_equal(&back.reserved[1], &m.reserved[1]));
	/* A shorter one leaves nothing of the longer. */
	m.n_pools = 1;
	m.n_reserved = 0;
	assert_int_equal(node_put_mirror(n, &m, &e), 1);
	assert_int_equal(node_get_mirror(n, &back, &e), 1);
	assert_int_equal(back.n_pools, 1);
	assert_int_equal(back.n_reserved, 0);
}

static void the_largest_copy_fits(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct mirror m = {.n_pools = POOL_MAX, .n_reserved = MIRROR_RESERVED};
	memset(m.node, 'n', sizeof(m.node) - 1);
	memset(m.socket, 's', sizeof(m.socket) - 1);
	for (size_t i = 0; i < POOL_MAX; i++) {
		m.pools[i] = (struct mirror_pool){.pool = P("10.0.0.0/24", 26, 86400)};
		m.pools[i].pool.cidr.addr.bytes[1] = (uint8_t)i;
		memset(m.pools[i].name, 'p', sizeof(m.pools[i].name) - 1);
	}
	for (size_t i = 0; i < MIRROR_RESERVED; i++) {
		m.reserved[i] = cidr("fd66::/128");
		m.reserved[i].addr.bytes[15] = (uint8_t)i;
	}
	struct mirror back;
	put(n, &m);
	assert_int_equal(node_get_mirror(n, &back, &e), 1);
	assert_int_equal(back.n_pools, POOL_MAX);
	assert_int_equal(back.n_reserved, MIRROR_RESERVED);
	assert_string_equal(back.node, m.node);
	assert_string_equal(back.pools[63].name, m.pools[63].name);
	assert_int_equal(back.reserved[255].addr.bytes[15], 255);
}

static void nothing_is_claimed_and_the_lacking_family_is_told(void **state)
{
	struct mirror m = copy_of("100.66.0.0/16", 31);
	m.pools[1] = (struct mirror_pool){
		.pool = P("fd66::/64", 127, 60), .name = "six", .assigns = true};
	m.n_pools = 2;
	CLEANUP_NODE struct node *n = open_with(state, &m);
	gets_none(n, "a", &m, false, "no free IPv4 address: 0 blocks");
	assert_int_equal(node_lacking(n), AF_INET);
	add(n, "100.66.0.6/31", 1);
	gets_none(n, "a", &m, false, "no free IPv6 address: 0 blocks");
	assert_int_equal(node_lacking(n), AF_INET6);
	counts(n, 2, 0);
	add(n, "fd66::8/127", 1);
	add(n, "fd66::8/127", 0);
	gets(n, "a", &m, "100.66.0.6");
	gets(n, "b", &m, "100.66.0.7");
	gets_none(n, "c", &m, true, "1 blocks of 100.66.0.0/16, 2 addresses used");
	counts(n, 0, 0);
}

static void the_order_is_fresh_then_free_then_the_agent_then_cooling(void **state)
{
	struct err e;
	struct node_leases l;
	struct mirror m = copy_of("100.66.0.0/16", 31);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.2/31", 1);
	gets(n, "a", &m, "100.66.0.2");
	release(n, "a", 1);
	gets(n, "b", &m, "100.66.0.3");
	counts(n, 0, 1);
	gets_none(n, "c", &m, false, "1 cooling");
	ok(ask(n, "c", &m, true, &l, &e));
	assert_true(addr_equal(&l.v[0].addr, AT("100.66.0.2")));
	release(n, "c", 1);
	m.pools[0].pool.cooldown_s = 0;
	put(n, &m);
	counts(n, 1, 0);
	gets(n, "d", &m, "100.66.0.2");
}

static void a_pool_that_does_not_assign_keeps_its_pods_and_gives_nothing(void **state)
{
	struct err e;
	struct mirror m = copy_of("100.66.0.0/16", 26);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.64/26", 1);
	gets(n, "a", &m, "100.66.0.64");
	ok(node_can_assign_mirror(n, &m, &e));
	m.pools[0].assigns = false;
	put(n, &m);
	counts(n, 0, 0);
	gets_none(
		n, "b", &m, true, "no pool of the cluster gives addresses to pods of node node-a");
	refused(node_can_assign_mirror(n, &m, &e), EAGAIN, "default (100.66.0.0/16)");
	assert_int_equal(state_of(n, "100.66.0.64"), NODE_USED);
	m.pools[0].assigns = true;
	put(n, &m);
	gets(n, "b", &m, "100.66.0.65");
}

static void a_pool_that_leaves_the_copy_leaves_its_blocks(void **state)
{
	struct err e;
	struct node_block b;
	struct mirror m = copy_of("100.66.0.0/16", 26);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.64/26", 1);
	gets(n, "a", &m, "100.66.0.64");
	struct mirror none = {.node = "node-a"};
	put(n, &none);
	gets_none(n, "b", &none, true, "the cluster has no pool");
	assert_true(find_block(n, "100.66.0.64/26", &b));
	assert_int_equal(b.used, 1);
	assert_int_equal(node_drain_block(n, &b.cidr, true, &e), -EBUSY);
	release(n, "a", 1);
	ok(node_drain_block(n, &b.cidr, true, &e));
	ok(node_drop_block(n, &b.cidr, &e));
	assert_false(find_block(n, "100.66.0.64/26", &b));
}

static void blocks_that_fit_no_pool_are_refused(void **state)
{
	struct err e;
	struct mirror m = copy_of("100.66.0.0/16", 26);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	struct cidr other = cidr("100.67.0.0/26"), size = cidr("100.66.0.0/27"),
		    big = cidr("100.66.0.0/25");
	refused(node_add_block(n, &other, &e), EINVAL, "of no pool that the cluster has");
	refused(node_add_block(n, &size, &e), EINVAL, "100.66.0.0/27 is of no pool");
	add(n, "100.66.0.0/26", 1);
	refused(node_add_block(n, &big, &e), EINVAL, "overlaps 100.66.0.0/26");
	struct mirror cut = copy_of("100.66.0.0/16", 27);
	refused(node_put_mirror(n, &cut, &e), EINVAL, "cut with blockSize 26");
	struct mirror back;
	ok(node_get_mirror(n, &back, &e));
	assert_int_equal(back.pools[0].pool.block_len, 26);
}

static void reserved_addresses_are_given_to_nobody(void **state)
{
	struct err e;
	struct node_leases l;
	struct mirror m = copy_of("100.66.0.0/16", 29);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/29", 1);
	gets(n, "a", &m, "100.66.0.0");
	m.reserved[0] = cidr("100.66.0.0/30"); /* one of them is used */
	m.reserved[1] = cidr("100.66.0.15/32");
	m.n_reserved = 2;
	put(n, &m);
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_USED);
	assert_int_equal(state_of(n, "100.66.0.3"), NODE_RESERVED);
	counts(n, 4, 0);
	gets(n, "b", &m, "100.66.0.4");
	refused(wish(n, "c", &m, "100.66.0.2", &e), EADDRINUSE, "is reserved");
	add(n, "100.66.0.8/29", 1);
	assert_int_equal(state_of(n, "100.66.0.15"), NODE_RESERVED);
	/* The used one is put aside when its turn comes. */
	release(n, "a", 1);
	for (int i = 0; i < 10; i++) {
		char name[] = {'m', (char)('0' + i), '\0'};
		ok(ask(n, name, &m, true, &l, &e));
	}
	gets_none(n, "z", &m, true, "");
	m.n_reserved = 1;
	put(n, &m);
	gets(n, "z", &m, "100.66.0.15");
	m.n_reserved = 0;
	put(n, &m);
	counts(n, 4, 0);
}

static void a_draining_block_gives_nothing_until_it_is_added_again(void **state)
{
	struct err e;
	struct node_block b;
	struct mirror m = copy_of("100.66.0.0/16", 31);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/31", 1);
	struct cidr block = cidr("100.66.0.0/31"), unknown = cidr("100.66.0.2/31");
	gets(n, "a", &m, "100.66.0.0");
	refused(node_drain_block(n, &block, true, &e), EBUSY, "not empty");
	release(n, "a", 1);
	refused(node_drain_block(n, &block, false, &e), EBUSY, "not empty"); /* it cools */
	refused(node_drain_block(n, &unknown, true, &e), ENOENT, "no block of this node");
	ok(node_drain_block(n, &block, true, &e));
	ok(node_drain_block(n, &block, true, &e));
	assert_true(find_block(n, "100.66.0.0/31", &b) && b.draining && b.cluster && !b.disowned);
	counts(n, 0, 0);
	gets_none(n, "b", &m, true, "");
	refused(wish(n, "b", &m, "100.66.0.1", &e), EADDRNOTAVAIL, "being given back");
	add(n, "100.66.0.0/31", 0);
	counts(n, 1, 1);
	gets(n, "b", &m, "100.66.0.1");
	release(n, "b", 1);
	ok(node_drain_block(n, &block, true, &e));
	ok(node_drop_block(n, &block, &e));
	ok(node_drop_block(n, &block, &e));
	assert_false(find_block(n, "100.66.0.0/31", &b));
	add(n, "100.66.0.0/31", 1);
	gets(n, "c", &m, "100.66.0.0");
	refused(node_drop_block(n, &block, &e), EBUSY, "not empty");
}

static void a_disowned_block_keeps_its_pods_and_gives_nothing(void **state)
{
	struct err e;
	struct node_block b;
	struct mirror m = copy_of("100.66.0.0/16", 30);
	m.pools[0].pool.cooldown_s = 0;
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/30", 1);
	gets(n, "a", &m, "100.66.0.0");
	gets(n, "b", &m, "100.66.0.1");
	release(n, "b", 1);
	struct cidr block = cidr("100.66.0.0/30");
	ok(node_disown_block(n, &block, &e));
	ok(node_disown_block(n, &block, &e));
	assert_true(find_block(n, "100.66.0.0/30", &b) && b.disowned && b.used == 1);
	counts(n, 0, 0);
	gets_none(n, "c", &m, true, "");
	refused(wish(n, "c", &m, "100.66.0.2", &e), EADDRNOTAVAIL, "does not say");
	release(n, "a", 1); /* what is released there is given to nobody */
	gets_none(n, "c", &m, true, "");
	add(n, "100.66.0.0/30", 0);
	counts(n, 4, 0);
	gets(n, "c", &m, "100.66.0.2");
	ok(node_disown_block(n, &block, &e));
	/* The same attachment again: its old address may be somebody else's now. */
	add(n, "100.66.0.4/30", 1);
	gets(n, "c", &m, "100.66.0.4");
}

static void requested_addresses_must_be_in_a_block_of_this_node(void **state)
{
	struct err e;
	struct mirror m = copy_of("100.66.0.0/16", 26);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.64/26", 1);
	refused(wish(n, "a", &m, "100.66.1.1", &e), EADDRNOTAVAIL, "not in a block of this node");
	refused(wish(n, "a", &m, "10.0.0.1", &e), EADDRNOTAVAIL, "in no pool");
	ok(wish(n, "a", &m, "100.66.0.99", &e));
	refused(wish(n, "b", &m, "100.66.0.99", &e), EADDRINUSE, "container a");
}

static void a_configuration_cannot_claim_in_a_pool_of_the_cluster(void **state)
{
	struct err e;
	struct node_leases l;
	CLEANUP_NODE struct node *n = open_state(state);
	struct mirror m = copy_of("100.66.0.0/16", 26);
	struct pool same = P("100.66.0.0/16", 26, 60), own = P("10.5.0.0/16", 26, 60);
	gives(n, "e", &own, 1, "10.5.0.0");
	put(n, &m);
	refused(assign(n, "a", &same, 1, &l, &e), EINVAL, "100.66.0.0/16 is the cluster's");
	gives(n, "f", &own, 1, "10.5.0.1"); /* pools of its own as ever */
	struct mirror late = copy_of("10.5.0.0/16", 26);
	refused(node_put_mirror(n, &late, &e), EINVAL,
		"contains block 10.5.0.0/26, which a network");
	struct cidr block = cidr("10.5.0.0/26");
	refused(node_drain_block(n, &block, true, &e), EINVAL, "claimed by a network");
}

static void only_the_agent_returns_blocks_of_the_cluster(void **state)
{
	struct err e;
	struct node_block b;
	CLEANUP_NODE struct node *n = open_state(state);
	struct mirror m = copy_of("100.66.0.0/16", 26);
	struct pool own = P("10.5.0.0/16", 26, 60);
	gives(n, "e", &own, 1, "10.5.0.0");
	release(n, "e", 1);
	put(n, &m);
	add(n, "100.66.0.0/26", 1);
	struct cidr *blocks = NULL;
	size_t count = 0;
	ok(node_return_blocks(n, true, &blocks, &count, &e));
	assert_int_equal(count, 1);
	assert_true(cidr_equal(&blocks[0], CT("10.5.0.0/26")));
	free(blocks);
	assert_true(find_block(n, "100.66.0.0/26", &b));
}

/* The state file of the folder is gone; what the registry has stays. */
static void lose(const struct place *p)
{
	char path[256];
	state_file(p->dir, path);
	assert_int_equal(unlink(path), 0);
}

static void a_block_of_a_lost_state_comes_back_quarantined(void **state)
{
	struct err e;
	struct node_block b;
	const struct place *place = *state;
	struct mirror m = copy_of("100.66.0.0/16", 30);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/30", 1);
	gets(n, "a", &m, "100.66.0.0");
	node_close(n);
	lose(place);
	n = open_state(state);
	assert_int_equal(node_get_mirror(n, &m, &e), 0);
	m = copy_of("100.66.0.0/16", 30);
	put(n, &m);
	add(n, "100.66.0.0/30", 1);
	assert_true(find_block(n, "100.66.0.0/30", &b));
	assert_int_equal(b.quarantined, 4);
	counts(n, 0, 0);
	gets_none(n, "b", &m, true, "4 reserved or quarantined");
	ok(node_release_addr(n, AT("100.66.0.2"), &e));
	counts(n, 0, 1);
}

static void an_adopted_block_waits_for_the_store_s_word(void **state)
{
	struct err e;
	struct node_block b;
	const struct place *place = *state;
	struct node *n = open_state(state);
	struct mirror m = copy_of("100.66.0.0/16", 30);
	m.pools[0].pool.cooldown_s = 0;
	put(n, &m);
	add(n, "100.66.0.0/30", 1);
	node_close(n);
	for (int late = 0; late < 2; late++) { /* the mirror before adoption, or after */
		lose(place);
		n = open_state(state);
		if (late)
			put(n, &m);
		ok(node_adopt(n, NULL, &e));
		if (!late)
			put(n, &m);
		assert_true(find_block(n, "100.66.0.0/30", &b) && b.disowned && !b.cluster);
		ok(node_release_addr(n, AT("100.66.0.1"), &e));
		gets_none(n, "a", &m, true, "");
		add(n, "100.66.0.0/30", 0);
		assert_true(find_block(n, "100.66.0.0/30", &b) && !b.disowned && b.cluster);
		gets(n, "a", &m, "100.66.0.1");
		node_close(n);
	}
}

static void blocks_of_one_pool_can_be_in_several_state_folders(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct mirror m = copy_of("100.66.0.0/16", 26);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/26", 1);
	node_close(n);
	n = open_in(place, place->other, NODE_SHARED);
	put(n, &m);
	add(n, "100.66.0.64/26", 1);
	struct cidr taken = cidr("100.66.0.0/26");
	refused(node_add_block(n, &taken, &e), EBUSY, "held by another state folder");
	gets(n, "a", &m, "100.66.0.64");
	node_close(n);
	n = open_state(state);
	ok(node_drain_block(n, &taken, true, &e));
	ok(node_drop_block(n, &taken, &e));
	node_close(n);
	n = open_in(place, place->other, NODE_SHARED);
	add(n, "100.66.0.0/26", 1);
}

static void a_tunnel_s_address_is_the_same_each_time(void **state)
{
	struct err e;
	struct addr a, again, six;
	CLEANUP_NODE struct node *n = open_state(state);
	struct mirror m = copy_of("100.66.0.0/16", 31);
	m.pools[1] = (struct mirror_pool){
		.pool = P("fd66::/64", 127, 60), .name = "six", .assigns = true};
	m.n_pools = 2;
	refused(node_assign_tunnel(n, "vxlan", AF_INET, &a, &e), EADDRNOTAVAIL, "no IPv4 pool");
	put(n, &m);
	assert_int_equal(node_assign_tunnel(n, "vxlan", AF_INET, &a, &e), -EAGAIN);
	add(n, "100.66.0.0/31", 1);
	add(n, "fd66::/127", 1);
	ok(node_assign_tunnel(n, "vxlan", AF_INET, &a, &e));
	ok(node_assign_tunnel(n, "vxlan", AF_INET6, &six, &e));
	ok(node_assign_tunnel(n, "vxlan", AF_INET, &again, &e));
	assert_true(addr_equal(&a, &again));
	/* Also when its pool gives nothing new any more. */
	m.pools[0].assigns = false;
	put(n, &m);
	ok(node_assign_tunnel(n, "vxlan", AF_INET, &again, &e));
	assert_true(addr_equal(&a, &again));
	m.pools[0].assigns = true;
	put(n, &m);
	struct cidr block = cidr("100.66.0.0/31");
	refused(node_drain_block(n, &block, true, &e), EBUSY, "not empty");
	/* Another one when its block is not ours any more. */
	add(n, "100.66.0.8/31", 1);
	ok(node_disown_block(n, &block, &e));
	ok(node_assign_tunnel(n, "vxlan", AF_INET, &again, &e));
	assert_true(addr_equal(&again, AT("100.66.0.8")));
	ok(node_release_tunnel(n, "vxlan", AF_INET, &e));
	ok(node_release_tunnel(n, "vxlan", AF_INET, &e));
	assert_int_equal(state_of(n, "100.66.0.8"), NODE_COOLING);
	assert_int_equal(state_of(n, "fd66::"), NODE_USED);
}

static void the_agent_s_lock_is_seen_and_lost_with_its_process(void **state)
{
	struct err e;
	const struct place *place = *state;
	assert_int_equal(agent_lock_find(place->dir), AGENT_LOCK_NONE);
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		int fd = agent_lock_take(place->dir, &e);
		(void)!write(ready[1], fd >= 0 ? "y" : "n", 1);
		pause();
		_exit(0);
	}
	char answer = 0;
	assert_int_equal(read(ready[0], &answer, 1), 1);
	assert_int_equal(answer, 'y');
	assert_true(agent_lock_is_held(place->dir));
	assert_true(agent_lock_is_held(place->dir)); /* asking takes nothing */
	refused(agent_lock_take(place->dir, &e), EBUSY, "another agent looks after");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(agent_lock_find(place->dir), AGENT_LOCK_LEFT);
	int fd = agent_lock_take(place->dir, &e);
	ok(fd);
	assert_true(agent_lock_is_held(place->dir));
	close(fd);
	assert_false(agent_lock_is_held(place->dir));
	close(ready[0]);
	close(ready[1]);
}

static void counts_follow_requests_and_quarantine(void **state)
{
	struct err e;
	struct mirror m = copy_of("100.66.0.0/16", 29);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/29", 1);
	add(n, "100.66.0.16/29", 1);
	counts(n, 16, 0);
	ok(wish(n, "a", &m, "100.66.0.5", &e));
	ok(wish(n, "b", &m, "100.66.0.20", &e));
	counts(n, 14, 0);
	gets(n, "c", &m, "100.66.0.0");
	release(n, "a", 1);
	counts(n, 13, 1);
	uint64_t f = 1, c = 1;
	ok(node_count_free(n, AF_INET6, &f, &c, &e));
	assert_int_equal(f + c, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(the_copy_comes_back_as_it_was_put),
		node_test(the_largest_copy_fits),
		node_test(nothing_is_claimed_and_the_lacking_family_is_told),
		node_test(the_order_is_fresh_then_free_then_the_agent_then_cooling),
		node_test(a_pool_that_does_not_assign_keeps_its_pods_and_gives_nothing),
		node_test(a_pool_that_leaves_the_copy_leaves_its_blocks),
		node_test(blocks_that_fit_no_pool_are_refused),
		node_test(reserved_addresses_are_given_to_nobody),
		node_test(a_draining_block_gives_nothing_until_it_is_added_again),
		node_test(a_disowned_block_keeps_its_pods_and_gives_nothing),
		node_test(requested_addresses_must_be_in_a_block_of_this_node),
		node_test(a_configuration_cannot_claim_in_a_pool_of_the_cluster),
		node_test(only_the_agent_returns_blocks_of_the_cluster),
		node_test(a_block_of_a_lost_state_comes_back_quarantined),
		node_test(an_adopted_block_waits_for_the_store_s_word),
		node_test(blocks_of_one_pool_can_be_in_several_state_folders),
		node_test(a_tunnel_s_address_is_the_same_each_time),
		node_test(the_agent_s_lock_is_seen_and_lost_with_its_process),
		node_test(counts_follow_requests_and_quarantine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
