/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which routes are in the way of pods, and how they are named, on values alone.
 */
#include "tests/unit/values.h"

#include <linux/rtnetlink.h>

#include "lib/poolroute.h"

#define FINE POOLROUTE_FINE
#define HIDES POOLROUTE_HIDES
#define DEAD POOLROUTE_UNREACHABLE
enum { UNICAST = RTN_UNICAST, BLACKHOLE = RTN_BLACKHOLE, NOWHERE = RTN_UNREACHABLE };
enum { KERNEL = 2, BOOT = 3, STATIC = 4, BIRD = POOLROUTE_PROTO_BIRD, ZEBRA = 11, OURS = 82 };

static struct net_detail_route route(
	const char *dst, uint8_t type, uint8_t protocol, uint32_t metric)
{
	return (struct net_detail_route){.dst = cidr(dst),
		.type = type,
		.protocol = protocol,
		.metric = metric,
		.table = RT_TABLE_MAIN};
}

static struct poolroute_query world(void)
{
	static struct poolroute_pool pools[2];
	static struct cidr own[3];
	pools[0] = (struct poolroute_pool){cidr("100.66.0.0/16"), 26};
	pools[1] = (struct poolroute_pool){cidr("fd66::/48"), 122};
	own[0] = cidr("100.66.1.0/26");
	own[1] = cidr("fd66::40/122");
	return (struct poolroute_query){.pools = pools, .n_pools = 2, .own = own, .n_own = 2};
}

struct judged {
	const char *dst;
	uint8_t type, protocol;
	uint32_t metric;
	enum poolroute_kind main, earlier;
};

TEST(routes_in_front_of_pods_hide_them_and_others_do_not)
{
	static const struct judged cases[] = {
		/* BIRD's own, and what an earlier one left */
		{"100.66.2.0/26", UNICAST, BIRD, 32, FINE, HIDES},
		{"100.66.2.0/26", NOWHERE, BIRD, 32, DEAD, HIDES},
		{"100.66.2.0/26", BLACKHOLE, BIRD, 0, HIDES, HIDES},
		{"fd66::80/122", BLACKHOLE, BIRD, 20, HIDES, HIDES},
		{"fd66::80/122", NOWHERE, BIRD, 32, DEAD, HIDES},
		{"100.66.2.0/26", BLACKHOLE, BIRD, 100, FINE, HIDES}, /* behind */
		/* somebody else's */
		{"100.66.2.0/26", UNICAST, STATIC, 10, HIDES, HIDES},
		{"100.66.2.0/26", UNICAST, STATIC, 33, FINE, HIDES},
		{"fd66::80/122", UNICAST, BOOT, 1024, FINE, HIDES},
		{"100.66.2.128/28", UNICAST, KERNEL, 0, HIDES, HIDES}, /* a container network */
		{"100.66.2.7/32", UNICAST, ZEBRA, 600, HIDES, HIDES},
		{"100.66.0.0/16", UNICAST, STATIC, 0, FINE, HIDES}, /* blocks are longer */
		{"100.64.0.0/10", UNICAST, STATIC, 0, FINE, HIDES},
		{"0.0.0.0/0", UNICAST, STATIC, 0, FINE, HIDES},
		{"10.0.0.0/24", UNICAST, KERNEL, 0, FINE, FINE},
		/* blocks of this host */
		{"100.66.1.0/26", BLACKHOLE, OURS, 0, FINE, FINE},
		{"100.66.1.7/32", UNICAST, OURS, 0, FINE, FINE},
		{"100.66.1.0/26", UNICAST, STATIC, 0, HIDES, HIDES},
		{"100.66.1.0/26", UNICAST, STATIC, 1, FINE, HIDES},
		{"fd66::40/122", UNICAST, BOOT, 1024, HIDES, HIDES},
		{"100.66.1.0/26", UNICAST, KERNEL, 0, FINE, HIDES},  /* a bridge's */
		{"100.66.1.9/32", UNICAST, BOOT, 0, FINE, HIDES},    /* ptp's */
		{"fd66::41/128", UNICAST, KERNEL, 256, FINE, HIDES}, /* a tunnel's address */
		{"fd66::41/128", BLACKHOLE, BOOT, 5, HIDES, HIDES},
		{"100.66.1.9/32", UNICAST, BIRD, 0, HIDES, HIDES},
	};
	const struct poolroute_query q = world();
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct judged *c = &cases[i];
		const struct net_detail_route r = route(c->dst, c->type, c->protocol, c->metric);
		if (poolroute_judge(&r, 0, &q) != c->main ||
			poolroute_judge(&r, 100, &q) != c->earlier)
			fail_msg("%s type %u protocol %u metric %u: %d, behind a rule %d", c->dst,
				c->type, c->protocol, c->metric, (int)poolroute_judge(&r, 0, &q),
				(int)poolroute_judge(&r, 100, &q));
	}
	const struct net_detail_route on = route("100.66.0.0/16", RTN_THROW, STATIC, 0);
	assert_int_equal(poolroute_judge(&on, 100, &q), FINE); /* the search goes on */
}

TEST(a_route_is_written_as_ip_route_del_takes_it)
{
	struct net_detail_route r = route("100.66.2.0/26", BLACKHOLE, BIRD, 0);
	assert_string_equal(POOLROUTE_STRING(&r, ""), "blackhole 100.66.2.0/26 proto bird");
	r = route("fd66::80/122", UNICAST, ZEBRA, 20);
	r.table = 100;
	r.hops[r.n_hops++].via = addr("fe80::1");
	assert_string_equal(POOLROUTE_STRING(&r, "eth0"),
		"fd66::80/122 via fe80::1 dev eth0 proto 11 metric 20 table 100");
	r.hops[r.n_hops++].via = addr("fe80::2"); /* all of them go */
	assert_string_equal(
		POOLROUTE_STRING(&r, "eth0"), "fd66::80/122 proto 11 metric 20 table 100");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_in_front_of_pods_hide_them_and_others_do_not),
		cmocka_unit_test(a_route_is_written_as_ip_route_del_takes_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
