/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/policy/denied.h with packets that a real table drops: which lines they become, and how few.
 */
#include "tests/unit/values.h"

#include "agent/policy/denied.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/policy/writer.h"
#include "lib/mem.h"
#include "tests/netns/podnet.h"

static struct podnet net;
static struct podnet_mouths mouths;
static struct policy_denied *denied;
static struct policy_writer *writer;
static struct err e;

/* Whatever goes to pod 1 is dropped and told of. */
static void write_table(void)
{
	const struct policy_writer_settings s = {.log = true};
	struct policy_body *b = policy_body_new(1, 0);
	struct policy_chain chain = {.name = "in_x", .rules = b->rules, .n = 1, .body = b};
	struct policy_dispatch link = {.link = net.links[1], .ingress = "in_x"};
	char counter[POLICY_OBJECT_NAME] = "d_x";
	struct policy_ruleset r = {.is_used = true,
		.chains = &chain,
		.n_chains = 1,
		.dispatch = &link,
		.n_dispatch = 1,
		.counters = &counter,
		.n_counters = 1};
	b->rules[0] = (struct policy_chain_rule){
		.counter = "d_x", .log = "in d_x", .verdict = POLICY_VERDICT_DROP};
	policy_writer_set(writer, &s);
	ok(policy_writer_sync(writer, &r, &e));
	policy_body_unref(b);
}

FIXTURE(setup)
{
	podnet_make(&net, 2);
	podnet_open_mouths(&net, &mouths);
	ok(policy_writer_open(&writer, &e));
	write_table();
	ok(policy_denied_open(POLICY_LOG_GROUP, &denied, &e));
	return 0;
}

FIXTURE(teardown)
{
	policy_denied_close(denied);
	policy_writer_close(writer);
	podnet_close_mouths(&net, &mouths);
	podnet_done(&net);
	return 0;
}

static void send_one(enum family f, uint8_t proto, uint16_t sport, uint16_t dport)
{
	struct podnet_packet x = {.from = 0,
		.to = 1,
		.family = f,
		.proto = proto,
		.sport = sport,
		.dport = dport,
		.icmp_type = f == IPV4 ? 8 : 128};
	podnet_send(&net, &mouths, &x);
}

/* The line of the next packet, for which the kernel may take a while. "": none came, or it was no news. */
static const char *line(int64_t now_ms, int wait_ms)
{
	static char out[512];
	static const char *const who[2] = {"ns/a", ""};
	struct text text = TEXT_ON(out);
	struct policy_denied_packet p;
	struct pollfd fd = {.fd = policy_denied_fd(denied), .events = POLLIN};
	out[0] = '\0';
	int r = policy_denied_next(denied, now_ms, &p, &e);
	while (r == 0 && poll(&fd, 1, wait_ms) > 0)
		r = policy_denied_next(denied, now_ms, &p, &e);
	ok(r);
	if (r > 0 && p.is_news)
		policy_denied_describe(&p, who, "NetworkPolicy ns/x", &text);
	return out;
}

TEST(each_protocol_has_its_line)
{
	send_one(IPV4, IPPROTO_TCP, 40000, 5432);
	assert_string_equal(line(0, 3000), "denied in: ns/a 10.66.0.1:40000 -> 10.66.0.2:5432 TCP, "
					   "isolated by NetworkPolicy ns/x");
	send_one(IPV6, IPPROTO_UDP, 40000, 53);
	assert_string_equal(line(0, 3000),
		"denied in: ns/a fd66::1:40000 -> fd66::2:53 UDP, isolated by NetworkPolicy ns/x");
	send_one(IPV4, IPPROTO_ICMP, 0, 0);
	assert_string_equal(line(0, 3000), "denied in: ns/a 10.66.0.1 -> 10.66.0.2 ICMP type 8, "
					   "isolated by NetworkPolicy ns/x");
	send_one(IPV4, 253, 0, 0);
	assert_string_equal(line(0, 3000), "denied in: ns/a 10.66.0.1 -> 10.66.0.2 protocol 253, "
					   "isolated by NetworkPolicy ns/x");
}

TEST(what_repeats_is_told_once_in_a_while)
{
	for (uint16_t i = 0; i < 4; i++)
		send_one(IPV4, IPPROTO_TCP, (uint16_t)(40000 + i), 80);
	assert_says(line(0, 3000), ":80 TCP");
	for (int i = 0; i < 4; i++)
		assert_string_equal(line(0, 500), "");
	send_one(IPV4, IPPROTO_TCP, 50000, 80);
	assert_says(line(20000, 3000), "(and 3 more since it was last told)");
}

TEST(a_group_has_one_listener)
{
	struct policy_denied *other = NULL;
	refused(policy_denied_open(POLICY_LOG_GROUP, &other, &e), EPERM,
		"log group 8266 of NFLOG is another process's");
}

TEST(reasons_are_told_apart)
{
	static const char *const who[2] = {"", "ns/b"};
	static const struct {
		const char *prefix, *why, *says;
	} cases[] = {
		{"out x_1", "GlobalNetworkPolicy g",
			"denied out: 10.0.0.1 -> ns/b 10.0.0.2 protocol 0, by GlobalNetworkPolicy "
			"g"},
		{"in l_1", "NetworkPolicy ns/x",
			"logged in: 10.0.0.1 -> ns/b 10.0.0.2 protocol 0, by NetworkPolicy ns/x"},
		{"in pending", "",
			"denied in: 10.0.0.1 -> ns/b 10.0.0.2 protocol 0, the pod's policies are "
			"not known yet"},
		{"in d_9", "", "denied in: 10.0.0.1 -> ns/b 10.0.0.2 protocol 0"},
		{"", "", "denied : 10.0.0.1 -> ns/b 10.0.0.2 protocol 0"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP_TEXT struct text out = {0};
		struct policy_denied_packet p = {.icmp_type = -1,
			.source = addr("10.0.0.1"),
			.destination = addr("10.0.0.2")};
		(void)snprintf(p.prefix, sizeof(p.prefix), "%s", cases[i].prefix);
		policy_denied_describe(&p, who, cases[i].why, &out);
		assert_string_equal(out.buf, cases[i].says);
	}
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(each_protocol_has_its_line),
		EACH(what_repeats_is_told_once_in_a_while),
		EACH(a_group_has_one_listener),
		cmocka_unit_test(reasons_are_told_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
