/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which address becomes the node's, as tables: a host's links and addresses, a method, the answer.
 */
#include "tests/unit/values.h"

#include "agent/detect.h"

#include <errno.h>
#include <stdio.h>

/* A host with everything on it. Addresses are in the order that the facts promise. */
static struct facts_link links[] = {
	{.index = 1, .name = "lo", .up = true, .running = true, .loopback = true},
	{.index = 2, .name = "eth1", .up = true, .running = false},
	{.index = 3, .name = "eth2", .up = true, .running = true},
	{.index = 4, .name = "eth0", .up = true, .running = true},
	{.index = 5, .name = "docker0", .kind = "bridge", .up = true, .running = true},
	{.index = 6, .name = "wg0", .kind = "wireguard", .up = true, .running = true},
	{.index = 7, .name = "veth0", .kind = "veth", .up = true, .running = true},
	{.index = 8, .name = "roost12", .kind = "veth", .up = true, .running = true},
	{.index = 9, .name = "vxlan.roost", .kind = "vxlan", .up = true, .running = true},
	{.index = 10, .name = "eth3", .up = false, .running = false},
	{.index = 11, .name = "uplink", .kind = "veth", .up = true, .running = true},
	{.index = 12, .name = "br-ex", .kind = "bridge", .up = true, .running = true},
};

static const struct {
	const char *addr;
	int link;
	bool usable;
} addresses[] = {
	{"127.0.0.1/8", 1, false},
	{"192.0.2.77/32", 1, true},
	{"10.1.0.5/24", 2, true},
	{"10.2.0.5/24", 3, true},
	{"fd02::5/64", 3, true},
	{"10.4.0.9/24", 4, false},
	{"10.3.0.5/24", 4, true},
	{"10.4.0.5/24", 4, true},
	{"fe80::1/64", 4, false},
	{"fd04::5/64", 4, true},
	{"172.17.0.1/16", 5, true},
	{"10.6.0.5/24", 6, true},
	{"10.7.0.5/24", 7, true},
	{"10.8.0.5/32", 8, true},
	{"100.64.0.5/32", 9, true},
	{"10.10.0.5/24", 10, true},
	{"10.11.0.5/24", 11, true},
	{"10.12.0.5/24", 12, true},
	{"fd12::5/64", 12, true},
};

static struct facts host(struct facts_addr out[COUNT(addresses)])
{
	for (size_t i = 0; i < COUNT(addresses); i++)
		out[i] = (struct facts_addr){.addr = cidr(addresses[i].addr),
			.link = addresses[i].link,
			.usable = addresses[i].usable};
	return (struct facts){
		.links = links,
		.n_links = COUNT(links),
		.addrs = out,
		.n_addrs = COUNT(addresses),
		.defaults = {{.via = addr("10.4.0.1"), .link = 4}},
	};
}

/* "10.4.0.5/24 on 4", or the error. */
static void find(const char *how, uint8_t family, const struct detect_want *more, char out[600])
{
	struct facts_addr addrs[COUNT(addresses)];
	struct facts f = host(addrs);
	struct detect d;
	struct err e = {0};
	ok(detect_parse(how, family, &d, &e));
	struct detect_want w = more ? *more : (struct detect_want){0};
	w.how = &d;
	w.family = family;
	struct cidr found = {0};
	int link = -1;
	int r = detect_find(&w, &f, &found, &link, &e);
	if (r < 0) {
		assert_int_equal(r, -EADDRNOTAVAIL);
		(void)snprintf(out, 600, "%s", e.text);
		return;
	}
	char text[CIDR_TEXT] = "none";
	if (found.addr.family)
		cidr_format(&found, text);
	(void)snprintf(out, 600, "%s on %d", text, link);
}

TEST(the_first_internal_address_that_is_here_is_taken)
{
	static const struct {
		const char *within[3];
		uint8_t family;
		const char *preferred, *expected;
	} table[] = {
		{{"10.2.0.5/32"}, AF_INET, NULL, "10.2.0.5/24 on 3"},
		{{"10.2.0.5/32", "10.4.0.5/32"}, AF_INET, NULL, "10.2.0.5/24 on 3"},
		{{"10.99.0.5/32", "10.4.0.5/32"}, AF_INET, NULL, "10.4.0.5/24 on 4"},
		{{"10.2.0.5/32", "10.4.0.5/32"}, AF_INET, "10.4.0.5/24", "10.4.0.5/24 on 4"},
		{{"10.6.0.5/32"}, AF_INET, NULL, "10.6.0.5/24 on 6"},	  /* a tunnel is fine */
		{{"192.0.2.77/32"}, AF_INET, NULL, "192.0.2.77/32 on 1"}, /* and loopback */
		{{"fd04::5/128"}, AF_INET6, NULL, "fd04::5/64 on 4"},
		{{"10.99.0.5/32"}, AF_INET, NULL,
			"kubernetes: the Node has the IPv4 InternalIP 10.99.0.5, which no link of "
			"this host that is up has: set kubelet's --node-ip to an address of this "
			"host, or address.ipv4 in roostd.json"},
		{{NULL}, AF_INET, NULL,
			"kubernetes: this machine's Node has no IPv4 InternalIP yet: kubelet "
			"registers it; the name of this node must be that of kubelet (NODE_NAME)"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char seen[600], text[CIDR_TEXT];
		struct facts_addr addrs[COUNT(addresses)];
		struct facts f = host(addrs);
		struct detect d;
		struct err e = {0};
		struct cidr found = {0};
		int link = -1;
		ok(detect_parse("kubernetes", table[i].family, &d, &e));
		for (size_t j = 0; j < 3 && table[i].within[j]; j++)
			d.within[d.n_within++] = cidr(table[i].within[j]);
		struct detect_want w = {.how = &d, .family = table[i].family};
		if (table[i].preferred)
			w.preferred = cidr(table[i].preferred);
		if (detect_find(&w, &f, &found, &link, &e) < 0) {
			assert_string_equal(e.text, table[i].expected);
			continue;
		}
		cidr_format(&found, text);
		(void)snprintf(seen, sizeof(seen), "%s on %d", text, link);
		assert_string_equal(seen, table[i].expected);
	}
}

TEST(the_address_is_found_as_told)
{
	static const struct {
		const char *how;
		uint8_t family;
		int route_dev;
		const char *expected;
	} table[] = {
		{"none", AF_INET, 0, "none on 0"},
		{"first-found", AF_INET, 0, "10.4.0.5/24 on 4"},
		{"first-found", AF_INET6, 0, "fd02::5/64 on 3"},
		{"skip-interface=eth0", AF_INET, 0, "10.2.0.5/24 on 3"},
		{"skip-interface=^eth,^up", AF_INET, 0, "10.12.0.5/24 on 12"}, /* nothing else */
		{"skip-interface=^eth", AF_INET6, 0, "fd12::5/64 on 12"},
		{"interface=eth2", AF_INET, 0, "10.2.0.5/24 on 3"},
		{"interface=eth.*", AF_INET, 0, "10.4.0.5/24 on 4"},
		{"interface=eth1,eth2", AF_INET, 0, "10.1.0.5/24 on 2"},
		{"interface=nothing,eth2", AF_INET6, 0, "fd02::5/64 on 3"},
		{"interface=^w", AF_INET, 0, "10.6.0.5/24 on 6"},
		{"interface=veth0", AF_INET, 0, "10.7.0.5/24 on 7"},
		{"interface=docker[0-9]{1}", AF_INET, 0, "172.17.0.1/16 on 5"},
		{"interface=eth0$", AF_INET, 0, "10.4.0.5/24 on 4"},
		{"interface=link", AF_INET, 0, "10.11.0.5/24 on 11"},
		{"interface=br-ex", AF_INET, 0, "10.12.0.5/24 on 12"},
		{"can-reach=10.2.0.77", AF_INET, 3, "10.2.0.5/24 on 3"},
		{"can-reach=10.3.0.77", AF_INET, 4, "10.3.0.5/24 on 4"},
		{"can-reach=8.8.8.8", AF_INET, 4, "10.4.0.5/24 on 4"},
		{"can-reach=10.6.0.77", AF_INET, 6, "10.6.0.5/24 on 6"},
		{"can-reach=10.7.0.77", AF_INET, 7, "10.7.0.5/24 on 7"},
		{"can-reach=172.17.0.9", AF_INET, 5, "172.17.0.1/16 on 5"},
		{"can-reach=fd12::1", AF_INET6, 12, "fd12::5/64 on 12"},
		{"cidr=10.2.0.0/16", AF_INET, 0, "10.2.0.5/24 on 3"},
		{"cidr=10.9.0.0/16,10.6.0.0/16", AF_INET, 0, "10.6.0.5/24 on 6"},
		{"cidr=10.0.0.0/8", AF_INET, 0, "10.4.0.5/24 on 4"},
		{"cidr=10.4.0.3/24", AF_INET, 0, "10.4.0.5/24 on 4"},
		{"cidr=10.7.0.0/16", AF_INET, 0, "10.7.0.5/24 on 7"},
		{"cidr=10.12.0.0/24", AF_INET, 0, "10.12.0.5/24 on 12"},
		{"cidr=172.17.0.0/16", AF_INET, 0, "172.17.0.1/16 on 5"},
		{"10.1.0.5", AF_INET, 0, "10.1.0.5/24 on 2"},
		{"10.12.0.5", AF_INET, 0, "10.12.0.5/24 on 12"},
		{"192.0.2.77", AF_INET, 0, "192.0.2.77/32 on 1"},
		{"fd04::5", AF_INET6, 0, "fd04::5/64 on 4"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char seen[600];
		struct detect_want w = {.route_dev = table[i].route_dev};
		find(table[i].how, table[i].family, &w, seen);
		if (strcmp(seen, table[i].expected) != 0)
			fail_msg("%s: expected %s, saw %s", table[i].how, table[i].expected, seen);
	}
}

TEST(what_is_not_there_is_said)
{
	static const struct {
		const char *how;
		int route_dev;
		const char *words;
	} table[] = {
		{"interface=eth3", 0, "interface=eth3: no such link is up"},
		{"interface=roost", 0, "interface=roost: no such link"},
		{"interface=^lo$", 0, "no such link"},
		{"can-reach=8.8.8.8", 0, "can-reach=8.8.8.8: there is no route to it"},
		{"can-reach=10.8.0.9", 8, "the link towards it has no usable IPv4 address"},
		{"cidr=10.8.0.0/16", 0, "no link that is up has a usable IPv4 address in it"},
		{"cidr=10.10.0.0/16", 0, "no link that is up"},
		{"10.4.0.9", 0, "10.4.0.9 is not a usable address of this host"},
		{"100.64.0.5", 0, "is not a usable address"},
		{"203.0.113.1", 0, "is not a usable address"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char seen[600];
		struct detect_want w = {.route_dev = table[i].route_dev};
		find(table[i].how, AF_INET, &w, seen);
		if (!strstr(seen, table[i].words))
			fail_msg("%s: expected %s, saw %s", table[i].how, table[i].words, seen);
	}
	struct facts empty = {0};
	struct detect d;
	struct err e;
	struct cidr found;
	int link;
	assert_int_equal(detect_parse("first-found", AF_INET6, &d, &e), 0);
	const struct detect_want w = {.how = &d, .family = AF_INET6};
	refused(detect_find(&w, &empty, &found, &link, &e), EADDRNOTAVAIL, "usable IPv6 address");
}

TEST(the_link_with_the_default_route_is_found_whatever_its_name)
{
	static const struct {
		const char *name, *kind;
		bool alone, with_default; /* whether it is found */
	} table[] = {
		{"br-ex", "bridge", true, true},
		{"br-0123456789ab", "bridge", false, true},
		{"br-0123456789", "bridge", true, true},
		{"docker0", "bridge", false, true},
		{"virbr0", "bridge", false, true},
		{"veth7", "veth", false, true},
		{"ovn0", "", false, true},
		{"wg0", "wireguard", false, false},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct facts_link l = {.index = 2, .up = true, .running = true};
		(void)snprintf(l.name, sizeof(l.name), "%s", table[i].name);
		(void)snprintf(l.kind, sizeof(l.kind), "%s", table[i].kind);
		struct facts_addr own = {.addr = cidr("10.12.0.5/24"), .link = 2, .usable = true};
		struct facts f = {.links = &l, .n_links = 1, .addrs = &own, .n_addrs = 1};
		struct detect d;
		struct err e;
		struct cidr found;
		int link;
		ok(detect_parse("first-found", AF_INET, &d, &e));
		struct detect_want w = {.how = &d, .family = AF_INET};
		if ((detect_find(&w, &f, &found, &link, &e) == 0) != table[i].alone)
			fail_msg("%s without the default route", table[i].name);
		f.defaults[IPV6].link = 2; /* of either family */
		if ((detect_find(&w, &f, &found, &link, &e) == 0) != table[i].with_default)
			fail_msg("%s with the default route", table[i].name);
	}
}

TEST(an_address_in_a_vrf_is_not_taken_and_said_to_be_there)
{
	struct facts_link uplinks[] = {
		{.index = 2, .name = "eth0", .master = 4, .up = true, .running = true},
		{.index = 3, .name = "eth1", .up = true, .running = true},
		{.index = 4, .name = "mgmt", .kind = "vrf", .up = true, .running = true},
		{.index = 5, .name = "br0", .kind = "bridge", .up = true, .running = true},
	};
	struct facts_addr own[] = {{.addr = cidr("10.2.0.5/24"), .link = 2, .usable = true},
		{.addr = cidr("10.4.0.5/32"), .link = 4, .usable = true},
		{.addr = cidr("10.3.0.5/24"), .link = 3, .usable = true}};
	struct facts f = {.links = uplinks, .n_links = 4, .addrs = own, .n_addrs = 3};
	static const char *const hows[] = {"first-found", "interface=eth.*", "cidr=10.0.0.0/8"};
	struct detect d;
	struct err e;
	struct cidr found;
	int link = 0;
	struct detect_want w = {.how = &d, .family = AF_INET};
	for (size_t i = 0; i < COUNT(hows); i++) {
		ok(detect_parse(hows[i], AF_INET, &d, &e));
		ok(detect_find(&w, &f, &found, &link, &e));
		assert_int_equal(link, 3);
	}
	f.n_addrs = 2;
	for (size_t i = 0; i < COUNT(hows); i++) {
		ok(detect_parse(hows[i], AF_INET, &d, &e));
		refused(detect_find(&w, &f, &found, &link, &e), EADDRNOTAVAIL,
			": 10.2.0.5 is on eth0 in the VRF mgmt, whose routing table has no pods");
	}
	ok(detect_parse("10.4.0.5", AF_INET, &d, &e));
	refused(detect_find(&w, &f, &found, &link, &e), EADDRNOTAVAIL, "on mgmt in the VRF mgmt");
	uplinks[0].master = 5; /* a port of a bridge */
	ok(detect_parse("first-found", AF_INET, &d, &e));
	ok(detect_find(&w, &f, &found, &link, &e));
	assert_int_equal(link, 2);
}

TEST(a_tunnel_with_the_default_route_is_named)
{
	struct facts_link uplinks[] = {
		{.index = 2, .name = "docker0", .kind = "bridge", .up = true, .running = true},
		{.index = 3, .name = "gre1", .kind = "gre", .up = true, .running = true},
	};
	struct facts_addr own[] = {{.addr = cidr("10.12.0.5/24"), .link = 2, .usable = true},
		{.addr = cidr("fd12::5/64"), .link = 3, .usable = true}};
	struct facts f = {.links = uplinks, .n_links = 2, .addrs = own, .n_addrs = 2};
	struct detect d;
	struct err e;
	struct cidr found;
	int link;
	ok(detect_parse("first-found", AF_INET, &d, &e));
	struct detect_want w = {.how = &d, .family = AF_INET};
	refused(detect_find(&w, &f, &found, &link, &e), EADDRNOTAVAIL, "usable IPv4 address");
	assert_null(strstr(e.text, "skipped"));
	f.defaults[IPV6].link = 3;
	refused(detect_find(&w, &f, &found, &link, &e), EADDRNOTAVAIL, "usable IPv4 address");
	w.family = AF_INET6;
	refused(detect_find(&w, &f, &found, &link, &e), EADDRNOTAVAIL,
		"(gre1, which has the default route, is skipped as it is a tunnel; interface=gre1 "
		"asks for it)");
}

TEST(the_address_that_peers_know_is_kept_while_it_fits)
{
	char seen[600];
	struct detect_want w = {.preferred = cidr("10.1.0.5/16")};
	find("first-found", AF_INET, &w, seen);
	assert_string_equal(seen, "10.1.0.5/24 on 2");
	find("cidr=10.2.0.0/16", AF_INET, &w, seen);
	assert_string_equal(seen, "10.2.0.5/24 on 3");
	w.preferred = cidr("10.10.0.5/24"); /* of a link that is down */
	find("first-found", AF_INET, &w, seen);
	assert_string_equal(seen, "10.4.0.5/24 on 4");
}

TEST(no_address_of_a_pool_is_taken)
{
	char seen[600];
	const struct cidr pools[] = {cidr("10.4.0.0/16"), cidr("10.3.0.0/16")};
	struct detect_want w = {
		.avoid = pools, .n_avoid = COUNT(pools), .preferred = cidr("10.4.0.5/24")};
	find("first-found", AF_INET, &w, seen);
	assert_string_equal(seen, "10.2.0.5/24 on 3"); /* eth1 has no carrier */
	find("10.4.0.5", AF_INET, &w, seen);
	assert_says(seen, "is inside a pool");
}

TEST(wrong_words_are_refused_with_a_reason)
{
	static const struct {
		const char *how;
		uint8_t family;
		const char *words;
	} table[] = {
		{"", AF_INET, "is no way to find"},
		{"eth0", AF_INET, "eth0 is no way to find the node's IPv4 address"},
		{"interface=", AF_INET, "empty regular expression"},
		{"skip-interface=", AF_INET, "empty regular expression"},
		{"skip-interface=(", AF_INET, "the regular expression ( is wrong"},
		{"interface=a,,b", AF_INET, "empty regular expression"},
		{"interface=(", AF_INET, "the regular expression ( is wrong"},
		{"interface=a{2}{200}", AF_INET, "too complex"},
		{"interface=(a)\\1", AF_INET, "too complex"},
		{"can-reach=example.org", AF_INET, "example.org"},
		{"can-reach=::1", AF_INET, "::1 is not an IPv4 address"},
		{"cidr=10.0.0.0", AF_INET, "10.0.0.0"},
		{"cidr=fd00::/8", AF_INET, "fd00::/8 is not an IPv4 network"},
		{"cidr=1.0.0.0/8,2.0.0.0/8,3.0.0.0/8,4.0.0.0/8,5.0.0.0/8,6.0.0.0/8,7.0.0.0/8,"
		 "8.0.0.0/8,9.0.0.0/8",
			AF_INET, "more than 8 networks"},
		{"10.0.0.1", AF_INET6, "10.0.0.1 is not an IPv6 address"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct detect d;
		struct err e = {0};
		assert_int_equal(detect_parse(table[i].how, table[i].family, &d, &e), -EINVAL);
		if (!strstr(e.text, table[i].words))
			fail_msg("%s: expected %s, saw %s", table[i].how, table[i].words, e.text);
	}
	char longest[400];
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	struct detect d;
	struct err e;
	refused(detect_parse(longest, AF_INET, &d, &e), EINVAL, "longer than");
}

TEST(links_are_found_by_index_and_name)
{
	struct facts_addr addrs[COUNT(addresses)];
	struct facts f = host(addrs);
	for (int i = 1; i <= 12; i++)
		assert_int_equal(facts_link(&f, i)->index, i);
	assert_null(facts_link(&f, 0));
	assert_null(facts_link(&f, 13));
	assert_int_equal(facts_named(&f, "wg0")->index, 6);
	assert_null(facts_named(&f, "wg"));
	struct facts none = {0};
	assert_null(facts_link(&none, 1));
	assert_null(facts_named(&none, "lo"));
}

TEST(any_difference_makes_facts_unequal)
{
	struct facts_addr a1[COUNT(addresses)], a2[COUNT(addresses)];
	struct facts_link copy[COUNT(links)];
	memcpy(copy, links, sizeof(copy));
	struct facts a = host(a1), b = host(a2);
	b.links = copy;
	assert_true(facts_equal(&a, &b));
	copy[3].mtu++;
	assert_false(facts_equal(&a, &b));
	copy[3].mtu--;
	copy[3].running = false;
	assert_false(facts_equal(&a, &b));
	copy[3].running = true;
	a2[0].usable = true;
	assert_false(facts_equal(&a, &b));
	a2[0].usable = false;
	copy[3].master = 2;
	assert_false(facts_equal(&a, &b));
	copy[3].master = 0;
	b.defaults[0].link = 3;
	assert_false(facts_equal(&a, &b));
	b.defaults[0].link = 4;
	b.forwards[IPV6] = true;
	assert_false(facts_equal(&a, &b));
	b.forwards[IPV6] = false;
	copy[3].strict = true;
	assert_false(facts_equal(&a, &b));
	copy[3].strict = false;
	a.routes[0] = b.routes[0] = (struct facts_route){.dst = cidr("10.9.0.0/16"), .link = 4};
	a.n_routes = 1;
	assert_false(facts_equal(&a, &b));
	b.n_routes = 1;
	assert_true(facts_equal(&a, &b));
	b.routes[0].via = addr("10.4.0.1");
	assert_false(facts_equal(&a, &b));
	a.n_routes = b.n_routes = 0;
	b.n_addrs--;
	assert_false(facts_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_internal_address_that_is_here_is_taken),
		cmocka_unit_test(the_address_is_found_as_told),
		cmocka_unit_test(what_is_not_there_is_said),
		cmocka_unit_test(the_link_with_the_default_route_is_found_whatever_its_name),
		cmocka_unit_test(an_address_in_a_vrf_is_not_taken_and_said_to_be_there),
		cmocka_unit_test(a_tunnel_with_the_default_route_is_named),
		cmocka_unit_test(the_address_that_peers_know_is_kept_while_it_fits),
		cmocka_unit_test(no_address_of_a_pool_is_taken),
		cmocka_unit_test(wrong_words_are_refused_with_a_reason),
		cmocka_unit_test(links_are_found_by_index_and_name),
		cmocka_unit_test(any_difference_makes_facts_unequal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
