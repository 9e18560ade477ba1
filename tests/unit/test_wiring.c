/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of what must hold for a pod, on values alone: each entry broken once, and what must not be
 * called a fault.
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/gateway.h"
#include "lib/wiring.h"
#include "tests/unit/values.h"

#define DEV 7

/* A pod of both families, of which all is right. */
static struct wiring_pod right(void)
{
	struct wiring_pod p = {
		.addrs = {addr("10.66.0.1"), addr("fd66::1")},
		.n_addrs = 2,
		.link = {.index = DEV,
			.name = "roost0a420001",
			.up = true,
			.is_veth = true,
			.conf = {.has = {true, true},
				.proxy_arp = 1,
				.forwarding = 1,
				.rp_filter = 1,
				.forwarding6 = 1}},
		.has_gateway6 = true,
		.has_near6 = true,
	};
	memcpy(p.link.mac, gateway_mac, sizeof(p.link.mac));
	for (size_t i = 0; i < p.n_addrs; i++)
		p.routes[i] = (struct net_route){.dst = cidr_of_host(&p.addrs[i]), .dev = DEV};
	return p;
}

typedef void break_fn(struct wiring_pod *p);

#define BREAK(name, ...)                                                                           \
	static void name(struct wiring_pod *p)                                                     \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}
BREAK(nothing, (void)p)
BREAK(down, p->link.up = false)
BREAK(down_without_routes, p->link.up = false; memset(p->routes, 0, sizeof(p->routes));
	p->has_gateway6 = p->has_near6 = false)
BREAK(mac, p->link.mac[5] = 1)
BREAK(no_proxy_arp, p->link.conf.proxy_arp = 0)
BREAK(no_forwarding, p->link.conf.forwarding = 0)
BREAK(loose, p->link.conf.rp_filter = 2)
BREAK(redirects, p->link.conf.accept_redirects = 1)
BREAK(sends_redirects, p->link.conf.send_redirects = 1)
BREAK(no_ipv4_at_all, p->link.conf.has[IPV4] = false; p->link.conf.rp_filter = 0)
BREAK(always_advertised, p->link.conf.accept_ra = 2)
BREAK(advertised_and_forwards, p->link.conf.accept_ra = 1)
BREAK(advertised, p->link.conf.accept_ra = 1; p->link.conf.forwarding6 = 0)
BREAK(redirected6, p->link.conf.accept_redirects6 = 1; p->link.conf.forwarding6 = 0)
BREAK(no_ipv6, p->link.ipv6_disabled = true; p->has_gateway6 = p->has_near6 = false;
	p->routes[1].dev = 0)
BREAK(no_ipv6_for_ipv4, p->link.ipv6_disabled = true; p->has_gateway6 = p->has_near6 = false;
	p->n_addrs = 1)
BREAK(no_gateway, p->has_gateway6 = false)
BREAK(no_near, p->has_near6 = false)
BREAK(no_route4, p->routes[0] = (struct net_route){0})
BREAK(default_route, p->routes[0] = (struct net_route){.dst = cidr("0.0.0.0/0"), .dev = 2})
BREAK(hidden6, p->routes[1].dev = 2; p->routes[1].protocol = 4)
BREAK(silent, p->has_peer = true;
	p->neighs[0] = (struct net_neigh){.dst = p->addrs[0], .silent = true})
BREAK(silent_without_peer, p->neighs[0] = (struct net_neigh){.dst = p->addrs[0], .silent = true})
BREAK(permanent, p->has_peer = true;
	p->neighs[0] = (struct net_neigh){.dst = p->addrs[0], .permanent = true})
BREAK(permanent_of_another, p->has_peer = true; p->peer_mac[0] = 2;
	p->neighs[1] = (struct net_neigh){.dst = p->addrs[1], .permanent = true})

/* Limits of 8 Mbit/s received and 16 sent, in place on the link and on the device 9. */
#define LIMITED                                                                                    \
	p->limits = (struct bandwidths){{8000000, 100000}, {16000000, 200000}};                    \
	p->shape = (struct shape)                                                                  \
	{                                                                                          \
		.link = {1000000, 100000}, .ifb = {.index = 9, .up = true},                        \
		.sent = {2000000, 200000}, .redirect = {                                           \
			.has_queue = true,                                                         \
			.to = 9                                                                    \
		}                                                                                  \
	}
BREAK(limited, LIMITED)
BREAK(burst_as_time, LIMITED; p->shape.link.burst = 99900)
BREAK(burst_of_no_time, LIMITED; p->limits.ingress = (struct bandwidth){1000000000000000, 65536};
	p->shape.link = (struct net_rate){125000000000000, 0})
BREAK(burst_of_an_hour, LIMITED; p->limits.ingress = (struct bandwidth){1000, 0x7fffffff};
	p->shape.link = (struct net_rate){125, 1})
BREAK(more_than_asked, LIMITED; p->limits.egress.rate = 0)
BREAK(receives_freely, LIMITED; p->shape.link = (struct net_rate){0})
BREAK(receives_more, LIMITED; p->shape.link.rate = 5000000)
BREAK(bursts_more, LIMITED; p->shape.link.burst = 200000)
BREAK(sends_past, LIMITED; p->shape.redirect = (struct net_redirect){0})
BREAK(sends_elsewhere, LIMITED; p->shape.redirect.to = 8)
BREAK(sends_freely, LIMITED; p->shape.sent = (struct net_rate){0})
BREAK(sends_less, LIMITED; p->shape.sent.rate = 1000)
BREAK(ifb_down, LIMITED; p->shape.ifb.up = false)
BREAK(ifb_gone, LIMITED; p->shape.ifb.index = 0; p->shape.redirect.to = 0;
	p->shape.sent = (struct net_rate){0})

TEST(each_entry_of_the_list_is_found_alone_and_says_what_it_is)
{
	static const struct {
		break_fn *fn;
		const char *says; /* NULL: nothing */
	} cases[] = {
		{nothing, NULL},
		{down, "host interface roost0a420001 is down"},
		{down_without_routes, "host interface roost0a420001 is down"},
		{mac, "host interface roost0a420001 has MAC ee:ee:ee:ee:ee:01"},
		{no_proxy_arp, "net.ipv4.conf.roost0a420001.proxy_arp is 0 and has to be 1"},
		{no_forwarding, "net.ipv4.conf.roost0a420001.forwarding is 0 and has to be 1"},
		{loose, "net.ipv4.conf.roost0a420001.rp_filter is 2 and has to be 1"},
		{redirects, "net.ipv4.conf.roost0a420001.accept_redirects is 1 and has to be 0"},
		{sends_redirects,
			"net.ipv4.conf.roost0a420001.send_redirects is 1 and has to be 0"},
		{no_ipv4_at_all, NULL},
		{always_advertised, "net.ipv6.conf.roost0a420001.accept_ra is 2 and has to be 0"},
		{advertised_and_forwards, NULL},
		{advertised, "net.ipv6.conf.roost0a420001.accept_ra is 1 and has to be 0"},
		{redirected6, "net.ipv6.conf.roost0a420001.accept_redirects is 1 and has to be 0"},
		{no_ipv6, "net.ipv6.conf.roost0a420001.disable_ipv6 is 1, and the pod has IPv6"},
		{no_ipv6_for_ipv4, NULL},
		{no_gateway, "has lost the address fe80::ecee:eeff:feee:eeee"},
		{no_near, "the host's route fe80::/64 via roost0a420001 is missing"},
		{no_route4, "the host's route to 10.66.0.1 via roost0a420001 is missing"},
		{default_route, "the host's route to 10.66.0.1 via roost0a420001 is missing"},
		{hidden6,
			"route to fd66::1 via roost0a420001 is hidden by another one (protocol 4)"},
		{silent, "the pod does not answer for 10.66.0.1 on roost0a420001 (arp_ignore"},
		{silent_without_peer, NULL},
		{permanent, NULL},
		{permanent_of_another,
			"the neighbour fd66::1 of roost0a420001 has MAC 00:00:00:00:00:00"},
		{limited, NULL},
		{burst_as_time, NULL},
		{burst_of_no_time, NULL},
		{burst_of_an_hour, NULL},
		{more_than_asked, NULL},
		{receives_freely, "the limit of what the pod receives is missing on roost0a420001"},
		{receives_more,
			"the limit of what the pod receives is 40000000 bits a second, "
			"burst 100000 bytes, on roost0a420001, and has to be 8000000 and 100000"},
		{bursts_more, "receives is 8000000 bits a second, burst 200000 bytes"},
		{sends_past, "the limit of what the pod sends is missing on roost0a420001"},
		{sends_elsewhere, "the limit of what the pod sends is missing on roost0a420001"},
		{sends_freely, "the limit of what the pod sends is missing on ifb-"},
		{sends_less, "the limit of what the pod sends is 8000 bits a second"},
		{ifb_down, "the limit of what the pod sends is missing on ifb-"},
		{ifb_gone, "the limit of what the pod sends is missing on ifb-"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wiring_pod p = right();
		struct wiring_faults f = {0};
		cases[i].fn(&p);
		wiring_compare(&p, &f);
		if (f.n != (cases[i].says != NULL) || (f.n && !strstr(f.v[0].is, cases[i].says)))
			fail_msg("case %zu: %zu faults, the first: %s", i, f.n, f.v[0].is);
		if (f.n)
			assert_true(*f.v[0].must);
	}
}

TEST(everything_broken_at_once_finds_room)
{
	struct wiring_pod p = right();
	struct wiring_faults f = {0};
	p.n_addrs = OWNED_ADDRS;
	p.link.conf = (struct net_link_conf){
		.has = {true, true}, .accept_redirects = 1, .send_redirects = 1, .accept_ra = 2};
	p.link.mac[0] = 0;
	p.has_gateway6 = p.has_near6 = false;
	p.has_peer = true;
	for (size_t i = 0; i < OWNED_ADDRS; i++) {
		p.addrs[i] = addr("fd66::1");
		p.addrs[i].bytes[15] = (uint8_t)i;
		p.routes[i] = (struct net_route){0};
		p.neighs[i] = (struct net_neigh){.dst = p.addrs[i], .silent = true};
	}
	wiring_compare(&p, &f);
	assert_int_equal(f.n, 1 + WIRING_CONF4S + 1 + 2 + 2 * OWNED_ADDRS);
	assert_true(f.n < WIRING_FAULTS - 4); /* the host's */
}

TEST(the_host_forwards_the_families_of_its_pods_and_drops_spoofed_sources)
{
	struct wiring_host h = {.has = {true, false},
		.forwards = {true, false},
		.prefixes = {{.text = "roost", .has_rule = true},
			{.text = "cali", .has_rule = true}},
		.n_prefixes = 2};
	struct wiring_faults f = {0};
	wiring_compare_host(&h, &f);
	assert_int_equal(f.n, 0);
	h.has[IPV6] = true;
	h.prefixes[1].has_rule = false;
	wiring_compare_host(&h, &f);
	assert_int_equal(f.n, 2);
	assert_non_null(strstr(f.v[0].is, "net.ipv6.conf.all.forwarding is 0"));
	assert_non_null(strstr(f.v[1].is, "table inet roost, chain antispoof-cali"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_entry_of_the_list_is_found_alone_and_says_what_it_is),
		cmocka_unit_test(everything_broken_at_once_finds_room),
		cmocka_unit_test(
			the_host_forwards_the_families_of_its_pods_and_drops_spoofed_sources),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
