/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What network policy costs a packet: between two pods of a node through the kernel's table, with so many policies in
 * it and so many that select the receiving pod, in times of the same packets without the table. Connections are
 * tracked in any case. Only the last of the pod's policies lets the packets in; the others miss by their port (half of
 * them by the protocol) or, in the variants so called, have no port and miss by the peer alone.
 *
 *   established  UDP packets of one flow             new  each packet begins a flow
 *   tcp          connections opened and reset, one after another
 *   p99          of one packet of a flow, from being sent to being there; and of one connection
 *
 * Variants take turns. Of what is a rate the quickest batch counts: what else the machine does only makes batches
 * slower. A percentile is of the samples of a turn, and the least of all turns counts.
 *
 *   build/release/tests/bench/policy_path [TURNS]     (as root; in network namespaces of its own)
 */
#include "tests/unit/values.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/policy/writer.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "lib/nft.h"
#include "lib/nft_rule.h"
#include "policy/compile.h"
#include "tests/netns/podnet.h"

#define OTHERS 50	   /* pods that have the rest of the policies */
#define OTHER_LINK 1000000 /* interface indexes that nobody has */
#define MOST 50		   /* policies of one pod */
#define BATCH 100	   /* packets that are under way at once */
#define BATCHES 20	   /* of a turn, of each kind */
#define LOST_NS 1000000000 /* a batch that takes so long has lost packets, and does not count */
#define PORT 53
#define SAMPLES 200    /* of a turn, of each percentile */
#define CONNECTIONS 10 /* of a batch */

static const struct variant {
	size_t policies, of_pod;
	bool by_peer; /* the pod's other policies have no port */
} variants[] = {{0, 0, false}, {100, 1, false}, {100, 5, false}, {100, 50, false}, {1000, 1, false},
	{1000, 5, false}, {1000, 50, false}, {1000, 5, true}, {1000, 50, true}};

static struct podnet net;
static struct podnet_mouths mouths;
static struct podnet_ears ears;
static struct policy_writer *writer;
static struct err e;
static int client, server, listener;

struct compiled {
	struct policy_world *w;
	struct policy_compiler *c;
	struct policy_ruleset r;
	uint64_t established_ns, fresh_ns, tcp_ns; /* of the quickest batch */
	uint64_t packet_p99_ns, connection_p99_ns; /* of the quickest turn */
};

static struct policy_selector *selector(const char *text)
{
	struct policy_selector *s = NULL;
	ok(policy_selector_of_text(text, &s, &e));
	return s;
}

static struct policy *policy_of(size_t number, const struct variant *v)
{
	bool is_pods = number < v->of_pod, is_last = number + 1 == v->of_pod;
	char text[64];
	struct policy *p = mem_new(1, sizeof(*p));
	(void)snprintf(p->namespace, sizeof(p->namespace), "ns");
	(void)snprintf(p->name, sizeof(p->name), "p%04zu", number);
	(void)snprintf(p->tier, sizeof(p->tier), POLICY_TIER_DEFAULT);
	(void)snprintf(text, sizeof(text), is_pods ? "has(s%zu)" : "has(o%zu)",
		is_pods ? number : number % OTHERS);
	p->pods = selector(text);
	p->applies[POLICY_INGRESS] = true;
	p->rules[POLICY_INGRESS] = mem_new(1, sizeof(struct policy_rule));
	p->n_rules[POLICY_INGRESS] = 1;
	struct policy_rule *r = p->rules[POLICY_INGRESS];
	r->icmp = r->not_icmp = (struct policy_icmp){-1, -1};
	r->peers = mem_new(1, sizeof(*r->peers));
	r->n_peers = 1;
	(void)snprintf(r->peers->own, sizeof(r->peers->own), "ns");
	(void)snprintf(text, sizeof(text), "role == \"r%zu\"", number % 100);
	r->peers->pods = selector(is_last ? "role == \"client\"" : text);
	if (!is_last && !(is_pods && v->by_peer)) {
		r->ports = mem_new(1, sizeof(*r->ports));
		r->n_ports = 1;
		*r->ports = (struct policy_port){.proto = number % 2 ? IPPROTO_UDP : IPPROTO_TCP,
			.first = (uint16_t)(1000 + number),
			.last = (uint16_t)(1000 + number)};
	}
	return p;
}

static void put_pod(struct policy_world *w, const char *name, json_t *labels, const struct addr *a)
{
	struct policy_pod pod = {.n_addrs = 1, .addrs = {*a}};
	(void)snprintf(pod.namespace, sizeof(pod.namespace), "ns");
	(void)snprintf(pod.name, sizeof(pod.name), "%s", name);
	ok(policy_labels_read(labels, &pod.labels, &e));
	json_decref(labels);
	(void)policy_world_put_pod(w, POLICY_FROM_PODS, &pod);
}

static json_t *numbered(const char *key, size_t n, size_t count)
{
	json_t *o = json_object();
	for (size_t i = n; i < n + count; i++) {
		char text[32];
		(void)snprintf(text, sizeof(text), "%s%zu", key, i);
		(void)json_object_set_new(o, text, json_string("y"));
	}
	return o;
}

static struct policy_local local_of(const char *name, int link, const struct addr *a)
{
	struct policy_local l = {.link = link, .n_addrs = 1, .addrs = {*a}};
	(void)snprintf(l.namespace, sizeof(l.namespace), "ns");
	(void)snprintf(l.name, sizeof(l.name), "%s", name);
	return l;
}

static struct compiled compiled_of(const struct variant *v)
{
	struct compiled out = {.w = policy_world_new(),
		.established_ns = UINT64_MAX,
		.fresh_ns = UINT64_MAX,
		.tcp_ns = UINT64_MAX,
		.packet_p99_ns = UINT64_MAX,
		.connection_p99_ns = UINT64_MAX};
	struct policy_local locals[OTHERS + 2];
	struct policy_namespace ns = {.name = "ns"};
	(void)policy_world_put_namespace(out.w, &ns);
	put_pod(out.w, "client", json_pack("{s:s}", "role", "client"), &net.addrs[0][IPV4]);
	put_pod(out.w, "server", numbered("s", 0, MOST), &net.addrs[1][IPV4]);
	locals[0] = local_of("client", net.links[0], &net.addrs[0][IPV4]);
	locals[1] = local_of("server", net.links[1], &net.addrs[1][IPV4]);
	for (size_t i = 0; i < OTHERS; i++) {
		struct addr a = addr("10.67.0.1");
		char name[32];
		a.bytes[3] = (uint8_t)(a.bytes[3] + i);
		(void)snprintf(name, sizeof(name), "other%zu", i);
		put_pod(out.w, name, numbered("o", i, 1), &a);
		locals[i + 2] = local_of(name, OTHER_LINK + (int)i, &a);
	}
	for (size_t i = 0; i < v->policies; i++)
		(void)policy_world_put_policy(out.w, POLICY_FROM_NETWORK_POLICIES, policy_of(i, v));
	out.c = policy_compiler_new(out.w);
	policy_compile(out.c, locals, OTHERS + 2, &out.r);
	return out;
}

static void open_flow(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)}, from = {0};
	socklen_t size = sizeof(from);
	char byte;
	memcpy(&to.sin_addr, net.addrs[1][IPV4].bytes, sizeof(to.sin_addr));
	server = podnet_socket(&net, 1, AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(server, (void *)&to, sizeof(to)), 0);
	client = podnet_socket(&net, 0, AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(connect(client, (void *)&to, sizeof(to)), 0);
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(recvfrom(server, &byte, 1, 0, (void *)&from, &size), 1);
	assert_int_equal(sendto(server, "x", 1, 0, (void *)&from, size), 1);
	assert_int_equal(recv(client, &byte, 1, 0), 1);
}

static void close_flow(void)
{
	(void)close(client);
	(void)close(server);
}

/* From the first packet of a batch being sent to the last one being there, for one packet. */
static uint64_t established_batch(void)
{
	char byte;
	uint64_t begun = boot_now_ns(), until = begun + LOST_NS;
	int heard = 0;
	for (int i = 0; i < BATCH; i++)
		(void)send(client, "x", 1, 0);
	while (heard < BATCH && boot_now_ns() < until)
		heard += recv(server, &byte, 1, MSG_DONTWAIT) == 1;
	return heard == BATCH ? (boot_now_ns() - begun) / BATCH : UINT64_MAX;
}

static uint64_t fresh_batch(void)
{
	static uint32_t number = 1;
	uint32_t first = number, heard = 0, got;
	uint64_t begun = boot_now_ns(), until = begun + LOST_NS;
	for (int i = 0; i < BATCH; i++, number++) {
		struct podnet_packet p = {.from = 0,
			.to = 1,
			.family = IPV4,
			.proto = IPPROTO_UDP,
			.sport = (uint16_t)(10000 + number % 50000),
			.dport = 54,
			.number = number};
		podnet_send(&net, &mouths, &p);
	}
	while (heard < BATCH && boot_now_ns() < until)
		heard += podnet_hear(&net, &ears, 1, &got) && got >= first;
	return heard == BATCH ? (boot_now_ns() - begun) / BATCH : UINT64_MAX;
}

static void take_least(uint64_t *least, uint64_t ns)
{
	*least = ns < *least ? ns : *least;
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static uint64_t p99(uint64_t samples[SAMPLES])
{
	qsort(samples, SAMPLES, sizeof(*samples), compare_ns);
	return samples[SAMPLES * 99 / 100];
}

static void sample_packets(struct compiled *x)
{
	uint64_t took[SAMPLES];
	char byte;
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t begun = boot_now_ns();
		assert_int_equal(send(client, "x", 1, 0), 1);
		assert_int_equal(recv(server, &byte, 1, 0), 1);
		took[i] = boot_now_ns() - begun;
	}
	take_least(&x->packet_p99_ns, p99(took));
}

static void open_listener(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	memcpy(&at.sin_addr, net.addrs[1][IPV4].bytes, sizeof(at.sin_addr));
	listener = podnet_socket(&net, 1, AF_INET, SOCK_STREAM, 0);
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(bind(listener, (void *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 8), 0);
}

/* A connection opened, taken and reset. */
static uint64_t connect_once(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	const struct linger reset = {.l_onoff = 1};
	memcpy(&to.sin_addr, net.addrs[1][IPV4].bytes, sizeof(to.sin_addr));
	int from = podnet_socket(&net, 0, AF_INET, SOCK_STREAM, 0);
	uint64_t begun = boot_now_ns();
	assert_int_equal(connect(from, (void *)&to, sizeof(to)), 0);
	int there = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(there >= 0);
	uint64_t took = boot_now_ns() - begun;
	(void)setsockopt(from, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	(void)close(from);
	(void)close(there);
	return took;
}

static void sample_connections(struct compiled *x)
{
	uint64_t took[SAMPLES], sum = 0;
	for (int i = 0; i < SAMPLES; i++) {
		took[i] = connect_once();
		sum += took[i];
		if (i % CONNECTIONS == CONNECTIONS - 1) {
			take_least(&x->tcp_ns, sum / CONNECTIONS);
			sum = 0;
		}
	}
	take_least(&x->connection_p99_ns, p99(took));
}

static void take_turn(struct compiled *x)
{
	ok(policy_writer_sync(writer, &x->r, &e));
	podnet_forget_connections();
	open_flow();
	for (int i = 0; i < BATCHES; i++)
		take_least(&x->established_ns, established_batch());
	sample_packets(x);
	close_flow();
	sample_connections(x);
	podnet_listen(&net, &ears);
	for (int i = 0; i < BATCHES; i++)
		take_least(&x->fresh_ns, fresh_batch());
	podnet_deafen(&net, &ears);
}

static unsigned int turns = 30;

static void report(struct compiled *all)
{
	(void)printf(
		"                            rates, of none = 1            p99, of none = 1\n"
		"policies  of the pod  miss  established   new   tcp       packet  connection\n");
	for (size_t i = 0; i < COUNT(variants); i++) {
		struct compiled *x = &all[i];
		(void)printf(
			"%8zu %11zu  %s %12.2f %5.2f %5.2f %12.2f %11.2f  (%llu, %llu, %llu ns)\n",
			variants[i].policies, variants[i].of_pod,
			variants[i].by_peer ? "peer" : "port",
			(double)all[0].established_ns / (double)x->established_ns,
			(double)all[0].fresh_ns / (double)x->fresh_ns,
			(double)all[0].tcp_ns / (double)x->tcp_ns,
			(double)x->packet_p99_ns / (double)all[0].packet_p99_ns,
			(double)x->connection_p99_ns / (double)all[0].connection_p99_ns,
			(unsigned long long)x->established_ns, (unsigned long long)x->fresh_ns,
			(unsigned long long)x->tcp_ns);
	}
}

TEST(packets_cost)
{
	struct compiled all[COUNT(variants)];
	for (size_t i = 0; i < COUNT(variants); i++)
		all[i] = compiled_of(&variants[i]);
	for (unsigned int turn = 0; turn < turns; turn++)
		for (size_t i = 0; i < COUNT(variants); i++)
			take_turn(&all[i]);
	report(all);
	for (size_t i = 0; i < COUNT(variants); i++) {
		policy_ruleset_done(&all[i].r);
		policy_compiler_free(all[i].c);
		policy_world_free(all[i].w);
	}
}

/* A node tracks connections in any case: kube-proxy has it do so. */
static void track_connections(void)
{
	const enum nft_type type = NFT_MARK;
	const struct nft_chain base = {
		.type = "filter", .hook = NF_INET_FORWARD, .policy = NF_ACCEPT};
	struct nft_table *t = nft_table_new(NFPROTO_INET, "tracks");
	struct nft_rule *r = nft_chain_rule(nft_table_chain(t, "forward", &base));
	struct nft *nft;
	(void)nft_table_set(t, "none", 0, &type, 1);
	nft_load_ct(r, NFT_CT_MARK);
	nft_lookup(r, &t->sets[0], false);
	nft_rule_verdict(r, NF_DROP, NULL);
	ok(nft_open(&nft, &e));
	ok(nft_replace(nft, t, &e));
	nft_close(nft);
	nft_table_free(t);
}

FIXTURE(setup)
{
	podnet_make(&net, 2);
	track_connections();
	podnet_open_mouths(&net, &mouths);
	open_listener();
	return policy_writer_open(&writer, &e);
}

FIXTURE(teardown)
{
	(void)close(listener);
	policy_writer_close(writer);
	podnet_close_mouths(&net, &mouths);
	podnet_done(&net);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(packets_cost, setup, teardown)};
	if (argc > 1)
		turns = (unsigned int)strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
