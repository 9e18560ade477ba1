/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of routes inside the pools, and since when, on values alone.
 */
#include "tests/unit/values.h"

#include <linux/rtnetlink.h>
#include <stdio.h>

#include "agent/poolroutes.h"

static char node_name[] = "n2";
static struct replica_node node;
static struct replica_block block;
static struct facts_link link = {.index = 7, .name = "docker0"};
static struct replica replica;
static struct facts facts;

static struct poolroutes_input world(const struct poolroute *seen, size_t n, int64_t now_ms)
{
	node = (struct replica_node){.name = node_name};
	node.spec.addr[IPV4] = cidr("10.0.0.2/24");
	block = (struct replica_block){.cidr = cidr("100.66.2.0/26"), .node = node_name};
	replica = (struct replica){.nodes = &node, .n_nodes = 1, .blocks = &block, .n_blocks = 1};
	facts = (struct facts){.links = &link, .n_links = 1};
	return (struct poolroutes_input){
		.seen = seen, .n_seen = n, .replica = &replica, .facts = &facts, .now_ms = now_ms};
}

static struct poolroute hiding(const char *dst)
{
	struct poolroute p = {.kind = POOLROUTE_HIDES,
		.route = {.dst = cidr(dst), .type = RTN_UNICAST, .protocol = 2, .table = 254}};
	p.route.hops[p.route.n_hops++].dev = 7;
	return p;
}

TEST(a_route_in_the_way_is_named_with_the_command_that_deletes_it)
{
	struct poolroutes p = {0};
	const struct poolroute seen[] = {hiding("100.66.2.16/28"), hiding("100.66.9.0/26")};
	const struct poolroutes_input in = world(seen, 2, 1000);
	poolroutes_judge(&p, &in);
	assert_int_equal(p.problems.total, 2);
	assert_string_equal(p.problems.text[0],
		"a route of others hides the way to pods of node n2: ip route del 100.66.2.16/28 "
		"dev docker0 proto kernel");
	assert_string_equal(p.problems.text[1],
		"a route of others hides the way to pods: ip route del 100.66.9.0/26 dev docker0 "
		"proto kernel");
	const struct poolroutes_input none = world(NULL, 0, 2000);
	poolroutes_judge(&p, &none);
	assert_int_equal(p.problems.total, 0);
	poolroutes_done(&p);
}

TEST(a_table_that_is_asked_earlier_is_named_by_its_rule)
{
	struct poolroutes p = {0};
	struct poolroute seen = hiding("100.66.0.0/16");
	seen.rule = 99;
	seen.route.table = 100;
	const struct poolroutes_input in = world(&seen, 1, 1000);
	poolroutes_judge(&p, &in);
	assert_string_equal(p.problems.text[0],
		"a route of others, in a table that rule 99 asks before the main one, takes "
		"packets "
		"to pods: ip route del 100.66.0.0/16 dev docker0 proto kernel table 100");
	poolroutes_done(&p);
}

TEST(a_route_without_next_hop_is_a_problem_only_after_a_moment)
{
	struct poolroutes p = {0};
	const struct poolroute seen[] = {{.kind = POOLROUTE_UNREACHABLE,
		.route = {.dst = cidr("100.66.2.0/26"), .type = RTN_UNREACHABLE, .protocol = 12}}};
	struct poolroutes_input in = world(seen, 1, 1000);
	poolroutes_judge(&p, &in);
	assert_int_equal(p.problems.total, 0);
	assert_int_equal(p.again_ms, 1000 + POOLROUTES_MOMENT_MS);
	in.now_ms = p.again_ms;
	poolroutes_judge(&p, &in);
	assert_int_equal(p.problems.total, 1);
	assert_int_equal(p.again_ms, 0);
	assert_string_equal(p.problems.text[0], "100.66.2.0/26 of node n2 is unreachable: BIRD "
						"knows no next hop for it (roostctl node "
						"list; ip route get 10.0.0.2: a tunnel without an "
						"end there, or a route of this host "
						"that BIRD cannot use)");
	in.n_seen = 0; /* over, and begun anew */
	poolroutes_judge(&p, &in);
	assert_int_equal(p.problems.total, 0);
	in.n_seen = 1;
	poolroutes_judge(&p, &in);
	assert_int_equal(p.problems.total, 0);
	poolroutes_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_route_in_the_way_is_named_with_the_command_that_deletes_it),
		cmocka_unit_test(a_table_that_is_asked_earlier_is_named_by_its_rule),
		cmocka_unit_test(a_route_without_next_hop_is_a_problem_only_after_a_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
