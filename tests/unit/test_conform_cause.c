/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Causes: what two nodes counted, and what they have, into a sentence. The world is two nodes with a
 * pod each, whose packets go through VXLAN; each row of the table says at which station they were
 * seen, and what is broken.
 */
#include "tests/unit/values.h"

#include <stdio.h>

#include "cli/conform/cause.h"

struct world {
	struct conform_member members[2];
	struct conform_route routes[2][2];
	struct conform_link links[2][3]; /* eth0, vxlan.roost, the pod's */
	struct conform_cluster c;
	struct conform_check k;
	struct conform_evidence seen[2];
};

static const struct conform_checks none;

static struct conform_route route(const char *dst, const char *dev)
{
	struct conform_route r = {.type = "unicast"};
	r.dst = cidr(dst);
	(void)snprintf(r.dev, sizeof(r.dev), "%s", dev);
	return r;
}

static void make_node(struct world *w, size_t i)
{
	static const char *const names[] = {"one", "two"};
	static const char *const addresses[] = {"10.0.0.1", "10.0.0.2"};
	static const char *const pods[] = {"100.66.1.1", "100.66.2.1"};
	static const char *const own[] = {"100.66.1.1/32", "100.66.2.1/32"};
	static const char *const others[] = {"100.66.2.0/26", "100.66.1.0/26"};
	struct conform_member *m = &w->members[i];
	(void)snprintf(m->name, sizeof(m->name), "%s", names[i]);
	m->alive = true;
	m->addr[0] = addr(addresses[i]);
	m->n_pods = 1;
	m->pods[0].ip[0] = addr(pods[i]);
	(void)snprintf(m->pods[0].link, CONFORM_IFNAME, "pod");
	w->routes[i][0] = route(own[i], "pod");
	w->routes[i][1] = route(others[i], "vxlan.roost");
	w->links[i][0] = (struct conform_link){.name = "eth0", .up = true, .mtu = 1500};
	w->links[i][1] = (struct conform_link){.name = "vxlan.roost",
		.kind = "vxlan",
		.up = true,
		.local = m->addr[0],
		.vni = 7,
		.port = 4789};
	w->links[i][2] = (struct conform_link){.name = "pod", .kind = "veth", .up = true};
	m->facts = (struct conform_facts){.routes = w->routes[i],
		.n_routes = 2,
		.links = w->links[i],
		.n_links = 3,
		.tunnels = &w->links[i][1],
		.n_tunnels = 1,
		.ip_forward = 1,
		.ipv6_forwarding = 1};
}

static void make(struct world *w)
{
	*w = (struct world){.c = {.members = w->members, .n = 2}};
	make_node(w, 0);
	make_node(w, 1);
	w->k = (struct conform_check){.kind = CONFORM_REACH,
		.verdict = CONFORM_FAILED,
		.family = 4,
		.group = "udp",
		.t = {.from = 0,
			.to = 1,
			.type = "udp",
			.source = w->members[0].pods[0].ip[0],
			.target = w->members[1].pods[0].ip[0]}};
}

static void saw(struct conform_counts *c, const char *link, uint64_t in, uint64_t out)
{
	(void)snprintf(c->links[c->n].link, CONFORM_IFNAME, "%s", link);
	c->links[c->n].in = in;
	c->links[c->n++].out = out;
}

/* The packets got past that many stations: out of the pod, into the tunnel, onto the wire, off the
 * wire, out of the tunnel, to the pod, back out of it, and so on. */
static void let_pass(struct world *w, int stations)
{
	struct conform_evidence *a = &w->seen[0], *b = &w->seen[1];
	const int n = stations;
	saw(&a->inner, "pod", n > 0, n > 11);
	saw(&a->inner, "vxlan.roost", n > 10, n > 1);
	saw(&a->outer, "eth0", n > 9, n > 2);
	saw(&b->outer, "eth0", n > 3, n > 8);
	saw(&b->inner, "vxlan.roost", n > 4, n > 7);
	saw(&b->inner, "pod", n > 6, n > 5);
}

TEST(the_first_station_without_a_packet_names_the_place)
{
	static const char *const causes[] = {
		"the packets do not come out of the link of the pod on one",
		"one gets the packets and does not pass them on: a firewall there drops them "
		"(chain forward)",
		"UDP 4789 (VXLAN) does not leave one: a firewall there drops it (chain output)",
		"UDP 4789 (VXLAN) leaves one and does not arrive at two: something between them "
		"drops it",
		"UDP 4789 (VXLAN) arrives at two and is not taken: a firewall there drops it "
		"(chain input)",
		"two gets the packets and does not pass them on: a firewall there drops them "
		"(chain forward)",
		"the packets reach the pod on two, and it does not answer",
		"two gets the answers and does not pass them on: a firewall there drops them "
		"(chain forward)",
		"UDP 4789 (VXLAN) does not leave two: a firewall there drops it (chain output)",
		"UDP 4789 (VXLAN) leaves two and does not arrive at one: something between them "
		"drops it",
		"UDP 4789 (VXLAN) arrives at one and is not taken: a firewall there drops it "
		"(chain input)",
		"one gets the answers and does not pass them on: a firewall there drops them "
		"(chain forward)",
		"", /* all of it arrives: nobody knows */
	};
	for (int i = 0; i < 13; i++) {
		struct world w;
		make(&w);
		let_pass(&w, i);
		conform_cause(&w.c, &none, &w.seen[0], &w.seen[1], &w.k);
		assert_string_equal(w.k.cause, causes[i]);
	}
}

static void break_forwarding(struct world *w)
{
	w->members[1].facts.ip_forward = 0;
}

static void break_route(struct world *w)
{
	w->members[0].facts.n_routes = 1;
}

static void break_block(struct world *w)
{
	(void)snprintf(w->routes[1][0].type, 16, "blackhole");
}

static void break_device(struct world *w)
{
	w->links[0][1].up = false;
}

static void break_tunnel(struct world *w)
{
	w->members[1].facts.n_tunnels = 0;
}

static void break_tunnel_link(struct world *w)
{
	w->links[1][1].up = false;
}

static void break_vni(struct world *w)
{
	w->links[1][1].vni = 8;
}

static void break_way_back(struct world *w)
{
	w->members[1].facts.rp_filter = 1;
	w->members[1].facts.n_routes = 1;
}

static void make_ipip(struct world *w)
{
	for (size_t i = 0; i < 2; i++)
		(void)snprintf(w->links[i][1].kind, 16, "ipip");
}

TEST(what_the_nodes_have_names_the_reason)
{
	static const struct {
		void (*breaks)(struct world *w);
		int stations;
		const char *cause;
		bool is_wide;
	} table[] = {
		{break_forwarding, 5,
			"two gets the packets and does not pass them on: forwarding is off there "
			"(net.ipv4.ip_forward)",
			true},
		{break_route, 1,
			"one gets the packets and does not pass them on: it has no route to "
			"100.66.2.1",
			true},
		{break_block, 5,
			"two gets the packets and does not pass them on: its route to 100.66.2.1 "
			"is a blackhole: it does not know where that is",
			true},
		{break_device, 1,
			"one gets the packets and does not pass them on: its route to 100.66.2.1 "
			"goes through vxlan.roost, which is down",
			true},
		{break_tunnel, 4,
			"UDP 4789 (VXLAN) arrives at two and is not taken: it has no vxlan device",
			true},
		{break_tunnel_link, 4,
			"UDP 4789 (VXLAN) arrives at two and is not taken: its device vxlan.roost "
			"is down",
			true},
		{break_vni, 4,
			"UDP 4789 (VXLAN) arrives at two and is not taken: its device vxlan.roost "
			"has VNI 8 and port 4789, that of one 7 and 4789",
			true},
		{break_way_back, 5,
			"two gets the packets and does not pass them on: its reverse path filter "
			"is strict, and its route back to the sender is another one",
			true},
		{make_ipip, 3,
			"protocol 4 (IPIP) leaves one and does not arrive at two: something "
			"between them drops it",
			true},
		{make_ipip, 1,
			"one gets the packets and does not pass them on: a firewall there drops "
			"them (chain forward)",
			false},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct world w;
		make(&w);
		table[i].breaks(&w);
		let_pass(&w, table[i].stations);
		conform_cause(&w.c, &none, &w.seen[0], &w.seen[1], &w.k);
		assert_string_equal(w.k.cause, table[i].cause);
		assert_int_equal(w.k.cause_is_wide, table[i].is_wide);
	}
}

TEST(both_nodes_capture_the_tunnel_of_the_other)
{
	struct world w;
	struct conform_capture x;
	make(&w);
	conform_cause_capture(&w.c, &w.k, &x);
	assert_string_equal(x.inner, "udp");
	assert_string_equal(x.outer, "vxlan");
	assert_int_equal(x.port, 4789);
	assert_true(addr_equal(&x.inner_peer, &w.k.t.source));
	assert_true(addr_equal(&x.outer_peer[0], &w.members[1].addr[0]));
	assert_true(addr_equal(&x.outer_peer[1], &w.members[0].addr[0]));
	make_ipip(&w);
	w.links[0][1].local = (struct addr){0}; /* tunl0 */
	conform_cause_capture(&w.c, &w.k, &x);
	assert_string_equal(x.outer, "ipip");
	assert_true(addr_equal(&x.outer_peer[0], &w.members[1].addr[0]));
	assert_true(addr_equal(&x.outer_peer[1], &w.members[0].addr[0]));
	w.members[0].facts.n_routes = 1;
	w.k.t.type = "icmp";
	conform_cause_capture(&w.c, &w.k, &x);
	assert_string_equal(x.inner, "icmp4");
	assert_string_equal(x.outer, "");
}

TEST(other_checks_may_say_enough)
{
	struct world w;
	make(&w);
	struct conform_check list[3] = {w.k, w.k, w.k};
	const struct conform_checks all = {.list = list, .n = 3};
	list[0].verdict = CONFORM_OK; /* a small packet of the same kind */
	list[1].t.size = 1450;
	list[2].t.from_pod = list[2].t.to_pod = CONFORM_NODE; /* between the nodes */
	assert_true(conform_cause_from_others(&w.c, &all, &list[1]));
	assert_says(list[1].cause, "small packets pass, those of full size do not");
	list[0].verdict = CONFORM_FAILED;
	assert_true(conform_cause_from_others(&w.c, &all, &list[0]));
	assert_string_equal(
		list[0].cause, "one does not reach two itself: not a matter of the pods");
	list[2].verdict = CONFORM_OK;
	assert_false(conform_cause_from_others(&w.c, &all, &list[0]));
	w.members[1].is_outside = true;
	list[0].t.to_pod = CONFORM_NODE;
	assert_true(conform_cause_from_others(&w.c, &all, &list[0]));
	assert_memory_equal(list[0].cause, "one itself reaches two: ", 24);
}

TEST(what_is_taken_as_icmp_alone_has_a_wrong_checksum)
{
	static const struct {
		int stations;
		const char *cause;
	} table[] = {
		{6, "the packets reach the pod on two, which takes ICMP alone: the network card of "
		    "one,"},
		{7, "two gets the answers and does not pass them on"},
		{12, "the answers reach the pod on one, which takes ICMP alone: the network card "
		     "of two,"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct world w;
		make(&w);
		struct conform_check icmp = w.k;
		const struct conform_checks all = {.list = &icmp, .n = 1};
		icmp.t.type = "icmp";
		icmp.verdict = CONFORM_OK;
		let_pass(&w, table[i].stations);
		conform_cause(&w.c, &all, &w.seen[0], &w.seen[1], &w.k);
		assert_says(w.k.cause, table[i].cause);
		icmp.t.size = 1450; /* of another size it says nothing */
		w.k.cause[0] = '\0';
		conform_cause(&w.c, &all, &w.seen[0], &w.seen[1], &w.k);
		assert_null(strstr(w.k.cause, "ICMP"));
	}
}

TEST(full_size_that_passes_by_icmp_is_no_matter_of_the_mtu)
{
	struct world w;
	make(&w);
	struct conform_check list[3] = {w.k, w.k, w.k};
	const struct conform_checks all = {.list = list, .n = 3};
	list[0].verdict = CONFORM_OK; /* a small packet of the same kind */
	list[1].t.size = list[2].t.size = 1450;
	list[2].t.type = "icmp";
	assert_true(conform_cause_from_others(&w.c, &all, &list[1]));
	assert_says(list[1].cause, "small packets pass, those of full size do not");
	list[2].verdict = CONFORM_OK;
	assert_true(conform_cause_from_others(&w.c, &all, &list[1]));
	assert_says(list[1].cause, "the network card of one or of two, or its driver");
}

TEST(a_wide_cause_is_that_of_every_kind_of_packet)
{
	struct world w;
	make(&w);
	struct conform_check other = w.k;
	other.t.type = "tcp";
	assert_false(conform_cause_is_shared(&w.k, &other));
	w.k.cause_is_wide = true;
	assert_true(conform_cause_is_shared(&w.k, &other));
	other.t.from_pod = CONFORM_NODE;
	assert_true(conform_cause_is_shared(&w.k, &other));
	other.t.to_pod = CONFORM_NODE;
	assert_false(conform_cause_is_shared(&w.k, &other));
	other = w.k;
	other.t.from = 1;
	assert_false(conform_cause_is_shared(&w.k, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_station_without_a_packet_names_the_place),
		cmocka_unit_test(what_the_nodes_have_names_the_reason),
		cmocka_unit_test(both_nodes_capture_the_tunnel_of_the_other),
		cmocka_unit_test(other_checks_may_say_enough),
		cmocka_unit_test(what_is_taken_as_icmp_alone_has_a_wrong_checksum),
		cmocka_unit_test(full_size_that_passes_by_icmp_is_no_matter_of_the_mtu),
		cmocka_unit_test(a_wide_cause_is_that_of_every_kind_of_packet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
