/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/policy/cut.h with real connections between pods: what a policy forbids stops at once and goes on when it
 * is allowed again; the node's own connections and those of others are left alone.
 */
#include "tests/unit/values.h"

#include "agent/policy/cut.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/policy/writer.h"
#include "lib/mem.h"
#include "tests/netns/podnet.h"

#define WAIT_MS 5000
#define QUIET_MS 300

static struct podnet net;
static struct policy_cut *cut;
static struct policy_writer *writer;
static struct policy_world *world;
static struct policy_local locals[3];
static struct err e;

static void add_pod(size_t i)
{
	struct policy_pod pod = {.n_addrs = 2};
	struct policy_local *l = &locals[i];
	*l = (struct policy_local){.link = net.links[i], .n_addrs = 2};
	(void)snprintf(pod.namespace, sizeof(pod.namespace), "ns%zu", i);
	(void)snprintf(pod.name, sizeof(pod.name), "pod");
	(void)snprintf(l->namespace, sizeof(l->namespace), "ns%zu", i);
	(void)snprintf(l->name, sizeof(l->name), "pod");
	for (enum family f = IPV4; f < FAMILIES; f++)
		pod.addrs[f] = l->addrs[f] = net.addrs[i][f];
	struct policy_namespace n = {0};
	(void)snprintf(n.name, sizeof(n.name), "ns%zu", i);
	(void)policy_world_put_namespace(world, &n);
	(void)policy_world_put_pod(world, POLICY_FROM_PODS, &pod);
}

/* The table alone, which drops by the mark. */
static void write_table(void)
{
	const struct policy_writer_settings s = {.cut_mark = POLICY_CUT_MARK};
	struct policy_ruleset r = {.is_used = true};
	policy_writer_set(writer, &s);
	ok(policy_writer_sync(writer, &r, &e));
}

FIXTURE(setup)
{
	podnet_make(&net, 3);
	world = policy_world_new();
	for (size_t i = 0; i < 3; i++)
		add_pod(i);
	ok(policy_writer_open(&writer, &e));
	ok(policy_cut_open(POLICY_CUT_MARK, &cut, &e));
	write_table();
	return 0;
}

FIXTURE(teardown)
{
	policy_cut_close(cut);
	policy_writer_close(writer);
	policy_world_free(world);
	podnet_done(&net);
	return 0;
}

/* Nobody may reach pods of a namespace. */
static void put_isolation(const char *namespace, bool staged)
{
	struct policy *p = mem_new(1, sizeof(*p));
	p->staged = staged;
	(void)snprintf(p->namespace, sizeof(p->namespace), "%s", namespace);
	(void)snprintf(p->name, sizeof(p->name), "deny");
	(void)snprintf(p->tier, sizeof(p->tier), POLICY_TIER_DEFAULT);
	p->applies[POLICY_INGRESS] = true;
	(void)policy_world_put_policy(world, POLICY_FROM_NETWORK_POLICIES, p);
}

/* (Or may again.) */
static void isolate(const char *namespace, bool on)
{
	if (on)
		put_isolation(namespace, false);
	else
		(void)policy_world_drop_policy(world, POLICY_NETWORK, false, namespace, "deny");
}

static struct policy_cut_staged staged[POLICY_CUT_STAGED];
static size_t n_staged; /* that the last look met */

static void look(bool forgive)
{
	const struct addr *node = net.gateways;
	const struct policy_cut_view v = {.world = world,
		.locals = locals,
		.n_locals = 3,
		.node = node,
		.n_node = FAMILIES,
		.stages = true};
	n_staged = 0;
	policy_cut_begin(cut, forgive);
	for (int r = 1; r > 0;) {
		const struct policy_cut_staged *met;
		r = policy_cut_step(cut, &v, &e);
		ok(r);
		size_t n = policy_cut_staged(cut, &met);
		for (size_t i = 0; i < n && n_staged < POLICY_CUT_STAGED; i++)
			staged[n_staged++] = met[i];
	}
}

static socklen_t address_of(const struct addr *a, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	memcpy(&v4.sin_addr, a->bytes, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, a->bytes, sizeof(v6.sin6_addr));
	memset(out, 0, sizeof(*out));
	if (a->family == AF_INET)
		memcpy(out, &v4, sizeof(v4));
	else
		memcpy(out, &v6, sizeof(v6));
	return a->family == AF_INET ? sizeof(v4) : sizeof(v6);
}

/* A TCP connection from a pod (or the host) to another. */
struct connection {
	int listener, client, server;
};

static struct connection connect_pods(size_t from, size_t to, enum family f)
{
	struct sockaddr_storage a;
	struct connection c;
	socklen_t size = address_of(&net.addrs[to][f], 80, &a);
	c.listener = podnet_socket(&net, to, a.ss_family, SOCK_STREAM, 0);
	assert_int_equal(bind(c.listener, (void *)&a, size), 0);
	assert_int_equal(listen(c.listener, 1), 0);
	c.client = podnet_socket(&net, from, a.ss_family, SOCK_STREAM, 0);
	assert_int_equal(connect(c.client, (void *)&a, size), 0);
	c.server = accept(c.listener, NULL, NULL);
	assert_true(c.server >= 0);
	return c;
}

static void disconnect(const struct connection *c)
{
	(void)close(c->listener);
	(void)close(c->client);
	(void)close(c->server);
}

static bool arrives(int fd, int ms)
{
	char byte;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, ms) == 1 && read(fd, &byte, 1) == 1;
}

static void say(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void flows_both_ways(const struct connection *c)
{
	say(c->client);
	assert_true(arrives(c->server, WAIT_MS));
	say(c->server);
	assert_true(arrives(c->client, WAIT_MS));
}

static void cut_and_restored(enum family f)
{
	struct connection c = connect_pods(0, 1, f);
	flows_both_ways(&c);
	look(false);
	assert_int_equal(policy_cut_numbers(cut).cut, 0);
	isolate("ns1", true);
	look(false);
	assert_int_equal(policy_cut_numbers(cut).cut, 1);
	say(c.client);
	say(c.server);
	assert_false(arrives(c.server, QUIET_MS));
	assert_false(arrives(c.client, QUIET_MS));
	look(false); /* nothing is to be done twice */
	assert_int_equal(policy_cut_numbers(cut).cut, 1);
	isolate("ns1", false);
	look(false);
	assert_int_equal(policy_cut_numbers(cut).restored, 1);
	assert_true(arrives(c.server, WAIT_MS)); /* sent again */
	assert_true(arrives(c.client, WAIT_MS));
	flows_both_ways(&c);
	disconnect(&c);
}

TEST(a_forbidden_connection_stops_and_lives_on_when_allowed)
{
	cut_and_restored(IPV4);
}

TEST(so_does_one_of_ipv6)
{
	cut_and_restored(IPV6);
}

TEST(the_node_reaches_its_pods_whatever_policies_say)
{
	struct connection c = connect_pods(net.n, 1, IPV4), other = connect_pods(0, 2, IPV4);
	isolate("ns1", true);
	look(false);
	assert_int_equal(policy_cut_numbers(cut).cut, 0);
	flows_both_ways(&c);
	flows_both_ways(&other);
	disconnect(&c);
	disconnect(&other);
}

TEST(all_is_forgiven_when_connections_shall_not_be_cut)
{
	struct connection c = connect_pods(0, 1, IPV4);
	isolate("ns1", true);
	look(false);
	say(c.client);
	assert_false(arrives(c.server, QUIET_MS));
	look(true);
	assert_int_equal(policy_cut_numbers(cut).restored, 1);
	assert_true(arrives(c.server, WAIT_MS));
	flows_both_ways(&c);
	disconnect(&c);
}

/* An address that is no pod's of this node any more loses the bit: it may be another's. */
TEST(entries_of_nobody_lose_the_mark)
{
	struct connection c = connect_pods(0, 1, IPV4);
	isolate("ns1", true);
	look(false);
	assert_int_equal(policy_cut_numbers(cut).cut, 1);
	locals[0].n_addrs = locals[1].n_addrs = 0;
	look(false);
	assert_int_equal(policy_cut_numbers(cut).restored, 1);
	disconnect(&c);
}

TEST(what_a_staged_policy_would_deny_is_noted_and_flows)
{
	struct connection c = connect_pods(0, 1, IPV4), other = connect_pods(0, 2, IPV4);
	look(false);
	assert_int_equal(n_staged, 0);
	put_isolation("ns1", true);
	look(false);
	assert_int_equal(policy_cut_numbers(cut).cut, 0);
	assert_int_equal(n_staged, 1);
	assert_int_equal(staged[0].direction, POLICY_INGRESS);
	assert_true(addr_equal(&staged[0].flow.source, &net.addrs[0][IPV4]));
	assert_true(addr_equal(&staged[0].flow.destination, &net.addrs[1][IPV4]));
	assert_int_equal(staged[0].flow.dport, 80);
	flows_both_ways(&c);
	isolate("ns1", true); /* what is denied already is no news of the staged one */
	look(false);
	assert_int_equal(policy_cut_numbers(cut).cut, 1);
	assert_int_equal(n_staged, 0);
	disconnect(&c);
	disconnect(&other);
}

TEST(thousands_of_flows_are_looked_through_in_parts)
{
	struct podnet_mouths mouths;
	const uint32_t flows = 5000;
	podnet_open_mouths(&net, &mouths);
	for (uint32_t i = 0; i < flows; i++) {
		struct podnet_packet x = {.from = 0,
			.to = 1,
			.family = i % 2 ? IPV6 : IPV4,
			.proto = IPPROTO_UDP,
			.sport = (uint16_t)(20000 + i),
			.dport = 53};
		podnet_send(&net, &mouths, &x);
	}
	isolate("ns1", true);
	look(false);
	assert_int_equal(policy_cut_numbers(cut).cut, flows);
	isolate("ns1", false);
	look(false);
	assert_int_equal(policy_cut_numbers(cut).restored, flows);
	podnet_close_mouths(&net, &mouths);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_forbidden_connection_stops_and_lives_on_when_allowed),
		EACH(so_does_one_of_ipv6),
		EACH(the_node_reaches_its_pods_whatever_policies_say),
		EACH(all_is_forgiven_when_connections_shall_not_be_cut),
		EACH(entries_of_nobody_lose_the_mark),
		EACH(what_a_staged_policy_would_deny_is_noted_and_flows),
		EACH(thousands_of_flows_are_looked_through_in_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
