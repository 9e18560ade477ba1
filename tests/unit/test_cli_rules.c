/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules between resources, on small sets: what a change breaks is held against it, what was wrong
 * before is not.
 */
#include "tests/unit/values.h"

#include <errno.h>

#include "cli/rules.h"
#include "lib/text.h"

static struct resource pool_of(const char *name, const char *prefix, uint8_t block_len)
{
	struct resource r = {.kind = RESOURCE_IPPOOL};
	(void)text_copy(r.name, sizeof(r.name), name);
	r.pool.pool = (struct pool){.cidr = cidr(prefix), .block_len = block_len};
	return r;
}

static struct resource node_of(const char *name, const char *addr4, const char *addr6)
{
	struct resource r = {.kind = RESOURCE_NODE};
	(void)text_copy(r.name, sizeof(r.name), name);
	if (addr4)
		r.node.addr[IPV4] = cidr(addr4);
	if (addr6)
		r.node.addr[IPV6] = cidr(addr6);
	return r;
}

static struct block block_of(const char *prefix, const char *node)
{
	struct block b = {.cidr = cidr(prefix)};
	(void)text_copy(b.node, sizeof(b.node), node);
	return b;
}

/* What is said of the first item of the set; NULL: nothing. */
static void expect(
	const struct rules_set *s, const char *expected_where, const char *expected_sentence)
{
	struct err e = {0};
	const char *where = NULL;
	int r = rules_check(s, 0, &where, &e);
	assert_int_equal(r, expected_sentence ? -EINVAL : 0);
	if (!expected_sentence)
		return;
	assert_string_equal(e.text, expected_sentence);
	assert_string_equal(where, expected_where);
}

TEST(a_new_pool_must_not_meet_anything)
{
	struct resource other = pool_of("other", "10.1.0.0/16", 26);
	struct resource node = node_of("n", "192.168.0.1/24", "fd00::1/64");
	struct resource bare = node_of("bare", NULL, NULL);
	struct block block = block_of("10.9.0.0/26", "n");
	static const struct {
		const char *cidr;
		uint8_t block_len;
		const char *sentence;
	} table[] = {
		{"10.2.0.0/16", 26, NULL},
		{"10.9.0.0/16", 26, NULL},
		{"fd01::/64", 122, NULL},
		{"10.0.0.0/8", 26, "10.0.0.0/8 overlaps 10.1.0.0/16 of IPPool other"},
		{"10.1.2.0/24", 26, "10.1.2.0/24 overlaps 10.1.0.0/16 of IPPool other"},
		{"192.168.0.0/28", 28,
			"the address 192.168.0.1 of Node n is inside 192.168.0.0/28 of IPPool new"},
		{"fd00::/48", 122,
			"the address fd00::1 of Node n is inside fd00::/48 of IPPool new"},
		{"10.9.0.0/16", 27,
			"the block 10.9.0.0/26 of node n is in use, and is no /27 of this pool"},
		{"10.9.0.0/28", 28,
			"the block 10.9.0.0/26 of node n is in use, and is no /28 of this pool"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct resource new = pool_of("new", table[i].cidr, table[i].block_len);
		const struct rules_item items[] = {{.now = &new}, {.now = &other, .before = &other},
			{.now = &node, .before = &node}, {.now = &bare, .before = &bare}};
		const struct rules_set set = {items, 4, &block, 1};
		expect(&set, "spec.cidr", table[i].sentence);
	}
}

TEST(a_pool_moves_only_without_blocks)
{
	struct resource before = pool_of("p", "10.1.0.0/16", 26);
	struct resource smaller = pool_of("p", "10.1.0.0/16", 27);
	struct resource elsewhere = pool_of("p", "10.2.0.0/16", 26);
	struct resource same = before;
	struct block blocks[] = {block_of("10.1.0.0/26", "a"), block_of("10.3.0.0/26", "b")};
	struct rules_item item = {.now = &smaller, .before = &before};
	struct rules_set set = {&item, 1, blocks, 2};
	same.pool.disabled = true;
	expect(&set, "spec.blockSize",
		"cidr and blockSize cannot change while the pool has 1 block in use (a: 1)");
	item.now = &elsewhere;
	expect(&set, "spec.cidr",
		"cidr and blockSize cannot change while the pool has 1 block in use (a: 1)");
	item.now = &same;
	expect(&set, "", NULL);
	set.blocks = blocks + 1;
	set.n_blocks = 1;
	item.now = &elsewhere;
	expect(&set, "", NULL);
}

TEST(what_was_wrong_before_is_no_obstacle)
{
	struct resource a = pool_of("a", "10.1.0.0/16", 26), b = pool_of("b", "10.1.0.0/17", 26);
	struct resource disabled = a;
	struct resource n = node_of("n", "10.1.0.1/24", NULL), drained = n;
	disabled.pool.disabled = true;
	drained.node.drain = true;
	struct rules_item items[] = {{.now = &disabled, .before = &a}, {.now = &b, .before = &b},
		{.now = &n, .before = &n}};
	const struct rules_set set = {items, 3, NULL, 0};
	expect(&set, "", NULL);
	items[0] = (struct rules_item){.now = &drained, .before = &n};
	items[2] = (struct rules_item){.now = &a, .before = &a};
	expect(&set, "", NULL);
}

TEST(a_node_s_new_address_is_its_own_and_in_no_pool)
{
	struct resource pool = pool_of("p", "10.1.0.0/16", 26);
	struct resource pool6 = pool_of("q", "fd01::/64", 122);
	struct resource other = node_of("other", "192.168.0.1/24", "fd00::1/64");
	static const struct {
		const char *addr4, *addr6, *where, *sentence;
	} table[] = {
		{"192.168.0.2/24", "fd00::2/64", "", NULL},
		{NULL, NULL, "", NULL},
		{"192.168.0.1/16", NULL, "spec.bgp.ipv4Address",
			"192.168.0.1 is the address of Node other"},
		{"192.168.0.2/24", "fd00::1/64", "spec.bgp.ipv6Address",
			"fd00::1 is the address of Node other"},
		{"10.1.7.7/24", NULL, "spec.bgp.ipv4Address",
			"the address 10.1.7.7 of Node new is inside 10.1.0.0/16 of IPPool p"},
		{NULL, "fd01::7/64", "spec.bgp.ipv6Address",
			"the address fd01::7 of Node new is inside fd01::/64 of IPPool q"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct resource new = node_of("new", table[i].addr4, table[i].addr6);
		const struct rules_item items[] = {{.now = &new}, {.now = &pool, .before = &pool},
			{.now = &pool6, .before = &pool6}, {.now = &other, .before = &other}};
		const struct rules_set set = {items, 4, NULL, 0};
		expect(&set, table[i].where, table[i].sentence);
	}
}

TEST(only_addresses_are_looked_at_again)
{
	struct resource pool = pool_of("p", "10.1.0.0/16", 26),
			moved = pool_of("p", "10.1.0.0/17", 26);
	struct resource off = pool, bare = node_of("n", NULL, NULL),
			node = node_of("n", "1.0.0.1/8", NULL);
	struct resource drained = node, peer = {.kind = RESOURCE_BGPPEER};
	off.pool.disabled = true;
	drained.node.drain = true;
	assert_true(rules_needs_recheck(NULL, &pool));
	assert_true(rules_needs_recheck(&pool, &moved));
	assert_false(rules_needs_recheck(&pool, &off));
	assert_true(rules_needs_recheck(NULL, &node));
	assert_true(rules_needs_recheck(&bare, &node));
	assert_false(rules_needs_recheck(NULL, &bare));
	assert_false(rules_needs_recheck(&node, &drained));
	assert_false(rules_needs_recheck(NULL, &peer));
}

TEST(blocks_are_counted_by_node)
{
	struct block blocks[7];
	char text[256];
	struct cidr all = cidr("10.0.0.0/8"), none = cidr("11.0.0.0/8");
	for (size_t i = 0; i < 7; i++) {
		char cidr[32], name[8];
		(void)snprintf(cidr, sizeof(cidr), "10.0.%zu.0/26", i);
		(void)snprintf(name, sizeof(name), "n%zu", i / 2 + (i == 6 ? 2 : 0));
		blocks[i] = block_of(cidr, name);
	}
	assert_int_equal(rules_count_blocks(blocks, 7, &all, text), 7);
	assert_string_equal(text, "7 blocks in use (n0: 2, n1: 2, n2: 2, n5: 1)");
	for (size_t i = 0; i < 7; i++)
		(void)snprintf(blocks[i].node, sizeof(blocks[i].node), "n%zu", i);
	assert_int_equal(rules_count_blocks(blocks, 7, &all, text), 7);
	assert_string_equal(text, "7 blocks in use (n0: 1, n1: 1, n2: 1, n3: 1, other nodes: 3)");
	assert_int_equal(rules_count_blocks(blocks, 7, &none, text), 0);
}

TEST(an_exit_is_not_inside_a_pool)
{
	static const struct {
		const char *exit, *sentence;
	} table[] = {
		{"0.0.0.0/0", NULL},
		{"10.0.0.0/8", NULL},
		{"10.2.0.0/16", NULL},
		{"10.1.0.0/16", "the exit 10.1.0.0/16 of BGPConfiguration default is inside "
				"10.1.0.0/16 of IPPool p"},
		{"10.1.2.0/24", "the exit 10.1.2.0/24 of BGPConfiguration default is inside "
				"10.1.0.0/16 of IPPool p"},
	};
	struct resource pool = pool_of("p", "10.1.0.0/16", 26);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct resource_exit exits[2] = {{.cidrs = {cidr("::/0")}, .n_cidrs = 1},
			{.cidrs = {cidr(table[i].exit)}, .n_cidrs = 1}};
		struct resource bgp = {.kind = RESOURCE_BGPCONFIGURATION, .name = "default"};
		bgp.bgp.exits = (struct resource_exits){.list = exits, .n = 2};
		const struct rules_item new_exit[] = {
			{.now = &bgp}, {.now = &pool, .before = &pool}};
		const struct rules_item new_pool[] = {
			{.now = &pool}, {.now = &bgp, .before = &bgp}};
		const struct rules_item old[] = {
			{.now = &bgp, .before = &bgp}, {.now = &pool, .before = &pool}};
		expect(&(struct rules_set){.items = new_exit, .n_items = 2}, "spec.exits",
			table[i].sentence);
		expect(&(struct rules_set){.items = new_pool, .n_items = 2}, "spec.cidr",
			table[i].sentence);
		expect(&(struct rules_set){.items = old, .n_items = 2}, "", NULL);
	}
}

TEST(what_a_router_gives_as_exits_is_not_inside_a_pool)
{
	struct resource pool = pool_of("p", "10.1.0.0/16", 26);
	struct resource peer = {.kind = RESOURCE_BGPPEER, .name = "r"};
	peer.peer.exits[peer.peer.n_exits++] = cidr("10.1.0.0/20");
	const struct rules_item items[] = {{.now = &peer}, {.now = &pool, .before = &pool}};
	expect(&(struct rules_set){.items = items, .n_items = 2}, "spec.exits",
		"the exit 10.1.0.0/20 of BGPPeer r is inside 10.1.0.0/16 of IPPool p");
}

static struct resource bgp_of(const char *external)
{
	struct resource r = {.kind = RESOURCE_BGPCONFIGURATION};
	(void)text_copy(r.name, sizeof(r.name), "default");
	r.bgp.services.cidrs[SERVICE_EXTERNAL][0] = cidr(external);
	r.bgp.services.n[SERVICE_EXTERNAL] = 1;
	return r;
}

TEST(services_prefixes_and_pods_pools_are_apart)
{
	struct resource bgp = bgp_of("10.96.0.0/12");
	struct resource pods = pool_of("pods", "10.100.0.0/16", 26);
	struct resource services = pool_of("public", "10.100.0.0/16", 26);
	struct resource far = pool_of("far", "10.1.0.0/16", 26);
	static const char overlaps[] =
		"the services' prefix 10.96.0.0/12 of BGPConfiguration default "
		"overlaps 10.100.0.0/16 of IPPool pods, which is for pods";
	services.pool.balancer = true;
	const struct rules_item sets[][2] = {{{.now = &pods}, {&bgp, &bgp}},
		{{.now = &bgp}, {&pods, &pods}}, {{&bgp, &bgp}, {&pods, &pods}},
		{{&pods, &pods}, {&bgp, &bgp}}, {{.now = &services}, {&bgp, &bgp}},
		{{.now = &bgp}, {&services, &services}}, {{.now = &far}, {&bgp, &bgp}}};
	static const struct {
		const char *where, *sentence;
	} expected[] = {{"spec.cidr", overlaps}, {"spec.serviceExternalIPs", overlaps}};
	for (size_t i = 0; i < COUNT(sets); i++)
		expect(&(struct rules_set){.items = sets[i], .n_items = 2},
			i < 2 ? expected[i].where : NULL, i < 2 ? expected[i].sentence : NULL);
}

TEST(a_pool_with_blocks_stays_for_pods)
{
	struct resource before = pool_of("p", "10.1.0.0/16", 26);
	struct resource now = before;
	struct block block = block_of("10.1.0.0/26", "n");
	now.pool.balancer = true;
	const struct rules_item item = {.now = &now, .before = &before};
	struct rules_set s = {.items = &item, .n_items = 1};
	expect(&s, NULL, NULL);
	s.blocks = &block;
	s.n_blocks = 1;
	expect(&s, "spec.allowedUses",
		"allowedUses cannot change while the pool has 1 block in use (n: 1)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exit_is_not_inside_a_pool),
		cmocka_unit_test(what_a_router_gives_as_exits_is_not_inside_a_pool),
		cmocka_unit_test(a_new_pool_must_not_meet_anything),
		cmocka_unit_test(a_pool_moves_only_without_blocks),
		cmocka_unit_test(what_was_wrong_before_is_no_obstacle),
		cmocka_unit_test(a_node_s_new_address_is_its_own_and_in_no_pool),
		cmocka_unit_test(only_addresses_are_looked_at_again),
		cmocka_unit_test(blocks_are_counted_by_node),
		cmocka_unit_test(services_prefixes_and_pods_pools_are_apart),
		cmocka_unit_test(a_pool_with_blocks_stays_for_pods),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
