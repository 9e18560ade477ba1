/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving addresses: order, requests, gateways, changed pools, and giving back, against real LMDB
 * files in a temporary folder.
 */
#include "tests/unit/node_place.h"

static void a_pool_of_four_addresses_gives_four_pods(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
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
	assert_says(e.details, "roostctl ipam show");
	refused(node_can_assign(n, &p, 1, &e), EAGAIN, "4 addresses, 4 used");
}

static void an_owner_gets_its_address_again(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
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
}

static void never_used_addresses_come_first_then_the_one_free_for_longest(void **state)
{
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/30", 30, 0);
	gives(n, "a", &p, 1, "100.66.0.0");
	gives(n, "b", &p, 1, "100.66.0.1");
	release(n, "b", 1);
	release(n, "a", 1);
	gives(n, "c", &p, 1, "100.66.0.2");
	gives(n, "d", &p, 1, "100.66.0.3");
	gives(n, "e", &p, 1, "100.66.0.1");
	gives(n, "f", &p, 1, "100.66.0.0");
}

static void a_cooling_address_comes_after_a_new_block(void **state)
{
	CLEANUP_NODE struct node *n = open_state(state);
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
}

static void the_oldest_cooling_address_of_all_pools_is_taken(void **state)
{
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p[] = {P("100.66.0.0/32", 32, 3600), P("100.67.0.0/32", 32, 3600)};
	gives(n, "a", p, 2, "100.66.0.0");
	gives(n, "b", p, 2, "100.67.0.0");
	release(n, "b", 1);
	release(n, "a", 1);
	gives(n, "c", p, 2, "100.67.0.0");
	gives(n, "d", p, 2, "100.66.0.0");
}

static void pools_are_used_in_their_order_and_all_named_when_exhausted(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p[] = {P("100.66.0.2/31", 31, 0), P("100.65.0.0/32", 32, 0)};
	struct node_leases l;
	gives(n, "a", p, 2, "100.66.0.2");
	gives(n, "b", p, 2, "100.66.0.3");
	gives(n, "c", p, 2, "100.65.0.0");
	refused(assign(n, "d", p, 2, &l, &e), EAGAIN, "pool 100.65.0.0/32 is exhausted: 1 address");
	assert_says(e.text, "pool 100.66.0.2/31 is exhausted: 2 addresses, 2 used");
}

static void only_usable_pools_are_used(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
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
}

static void both_families_are_given_or_none(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
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
}

static void a_family_without_pool_any_more_is_released(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p[] = {P("fd66::/64", 122, 60), P("100.66.0.0/24", 26, 60)};
	struct node_leases l;
	ok(assign(n, "a", p, 2, &l, &e));
	ok(assign(n, "a", p + 1, 1, &l, &e));
	assert_int_equal(l.n, 1);
	assert_int_equal(state_of(n, "fd66::"), NODE_COOLING);
}

static void gateways_stay_reserved(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p = P("10.1.0.0/30", 30, 0);
	struct addr gateways[] = {addr("10.1.0.0"), addr("10.1.0.2"), addr("192.168.0.1")};
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
	gateways[2] = addr("10.1.0.3");
	refused(node_assign(n, &w, &l, &e), EADDRINUSE, "10.1.0.3 is used by container b");
}

static void requested_addresses_are_given_or_refused_by_name(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
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
	struct addr two[] = {addr("100.66.0.1"), addr("100.66.0.2")};
	struct node_want w = W("d", &p, 1);
	struct node_leases l;
	w.requested = two;
	w.n_requested = 2;
	refused(node_assign(n, &w, &l, &e), EINVAL, "more than one IPv4");
}

static void never_used_addresses_skip_what_was_requested(void **state)
{
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/30", 30, 0);
	gives_requested(n, "a", &p, "100.66.0.0");
	gives_requested(n, "b", &p, "100.66.0.1");
	gives_requested(n, "c", &p, "100.66.0.3");
	gives(n, "d", &p, 1, "100.66.0.2");
}

static void unassign_makes_the_address_what_it_was(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
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
}

static void release_by_wrong_owner_changes_nothing(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 26, 60);
	gives(n, "a", &p, 1, "100.66.0.0");
	release(n, "b", 0);
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_USED);
	struct hash owners[] = {O("x").hash, O("a").hash, O("a").hash};
	assert_int_equal(node_release(n, owners, 3, &e), 1);
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_COOLING);
}

static void an_address_is_released_by_hand(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 26, 60);
	struct addr a = addr("100.66.0.0"), never = addr("100.66.0.9"), outside = addr("1.2.3.4");
	struct node_leases found;
	gives(n, "a", &p, 1, "100.66.0.0");
	ok(node_release_addr(n, &a, &e));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_COOLING);
	assert_int_equal(node_find(n, &H("a"), &found, &e), 0);
	refused(node_release_addr(n, &a, &e), ENOENT, "released already");
	refused(node_release_addr(n, &never, &e), ENOENT, "100.66.0.9 is not taken");
	refused(node_release_addr(n, &outside, &e), ENOENT, "in no block of this node");
}

static void a_changed_block_size_is_refused_while_blocks_exist(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
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
	assert_true(cidr_equal(blocks, &(struct cidr){.addr = addr("100.66.0.0"), .len = 26}));
	free(blocks);
	ok(assign(n, "b", &smaller, 1, &l, &e));
	assert_int_equal(l.v[0].block.len, 28);
}

static void an_overlapping_pool_is_refused_while_blocks_exist(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/24", 26, 0);
	struct pool wider = P("100.66.0.0/16", 26, 0);
	struct pool inside = P("100.66.0.128/25", 26, 0);
	struct node_leases l;
	gives(n, "a", &p, 1, "100.66.0.0");
	refused(assign(n, "b", &wider, 1, &l, &e), EINVAL,
		"pool 100.66.0.0/16 overlaps pool 100.66.0.0/24, of which this node owns block");
	refused(assign(n, "b", &inside, 1, &l, &e), EINVAL, "pool 100.66.0.128/25 overlaps");
}

static void a_pool_recorded_in_vain_makes_way(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
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
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p = P("fd66::/32", 64, 60);
	gives(n, "a", &p, 1, "fd66::");
	gives_requested(n, "b", &p, "fd66:0:ffff:ffff:ffff:ffff:ffff:ffff");
	gives(n, "c", &p, 1, "fd66::1");
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.blocks[0].size, UINT64_MAX);
	assert_int_equal(v.pools[0].max_blocks, UINT64_C(1) << 32);
	node_view_done(&v);
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
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p = P("10.1.0.0/30", 30, 0);
	struct addr gateway = addr("10.1.0.1");
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
}

static void idle_blocks_are_given_back(void **state)
{
	CLEANUP_NODE struct node *n = open_state(state);
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
}

static void what_was_given_back_leaves_nothing(void **state)
{
	struct err e;
	const struct place *place = *state;
	CLEANUP_NODE struct node *n = open_state(state);
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
}

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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
