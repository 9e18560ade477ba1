/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of compiling network policy at the size of a large cluster: how long the first compilation takes, and
 * each kind of change afterwards, in times of what a compiler that begins anew needs for the same world.
 *
 *   build/release/tests/bench/policy [PODS [POLICIES [LOCAL PODS [CLUSTER-WIDE POLICIES]]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "policy/compile.h"

#define ROUNDS 50

static size_t n_pods = 10000, n_policies = 1000, n_locals = 250, n_wide = 0;

static double now_ms(void) /* of processor time: other work on the machine does not count */
{
	struct timespec t;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static struct policy_selector *selector(const char *key, size_t value)
{
	struct policy_selector *s = NULL;
	struct err e;
	char text[100];
	struct text t = TEXT_ON(text);
	text_add(&t, "%s == \"v%zu\"", key, value);
	if (policy_selector_of_text(text, &s, &e) < 0)
		abort();
	return s;
}

static struct policy_labels labels(size_t app, size_t role)
{
	json_t *o = json_pack("{s:o, s:o, s:s}", "app", json_sprintf("v%zu", app), "role",
		json_sprintf("v%zu", role), "pod-template-hash", "5d4f8c7b9");
	struct policy_labels l = {0};
	struct err e;
	if (policy_labels_read(o, &l, &e) < 0)
		abort();
	json_decref(o);
	return l;
}

static size_t n_namespaces(void)
{
	return n_policies;
}

static void put_pod(struct policy_world *w, size_t i, size_t app)
{
	struct policy_pod p = {.labels = labels(app, i % 5), .n_addrs = 2};
	struct text namespace = TEXT_ON(p.namespace), name = TEXT_ON(p.name), uid = TEXT_ON(p.uid);
	text_add(&namespace, "ns%zu", i % n_namespaces());
	text_add(&name, "pod%zu", i);
	text_add(&uid, "u%zu", i);
	p.addrs[0] =
		(struct addr){AF_INET, {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
	p.addrs[1] = (struct addr){
		AF_INET6, {0xfd, [13] = (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
	(void)policy_world_put_pod(w, POLICY_FROM_PODS, &p);
}

static void put_namespace(struct policy_world *w, size_t i, size_t team)
{
	struct policy_namespace n = {.labels = labels(team, i % 3)};
	struct text name = TEXT_ON(n.name);
	text_add(&name, "ns%zu", i);
	(void)policy_world_put_namespace(w, &n);
}

static void peer(struct policy_rule *r, const char *own, const char *key, size_t value)
{
	struct policy_end *e = &r->peers[r->n_peers++];
	if (own)
		(void)text_copy(e->own, sizeof(e->own), own);
	else
		e->namespaces = selector("app", value);
	e->pods = selector(key, value % 5);
}

/* A NetworkPolicy as people write them: from pods of the own namespace and of a team's, at a port. */
static void put_policy(struct policy_world *w, size_t i, uint16_t port)
{
	struct policy *p = mem_new(1, sizeof(*p));
	struct text namespace = TEXT_ON(p->namespace), name = TEXT_ON(p->name);
	text_add(&namespace, "ns%zu", i % n_namespaces());
	text_add(&name, "p%zu", i);
	(void)text_copy(p->tier, sizeof(p->tier), POLICY_TIER_DEFAULT);
	p->order = POLICY_ORDER_LAST;
	p->applies[POLICY_INGRESS] = true;
	p->n_rules[POLICY_INGRESS] = 1;
	struct policy_rule *r = p->rules[POLICY_INGRESS] = mem_new(1, sizeof(*r));
	r->icmp = r->not_icmp = (struct policy_icmp){-1, -1};
	r->peers = mem_new(2, sizeof(*r->peers));
	peer(r, p->namespace, "role", i);
	peer(r, NULL, "role", i % 20);
	r->n_ports = 1;
	r->ports = mem_new(1, sizeof(*r->ports));
	*r->ports = (struct policy_port){.proto = 6, .first = port, .last = port};
	(void)policy_world_put_policy(w, POLICY_FROM_NETWORK_POLICIES, p);
}

/* A ClusterNetworkPolicy: of pods of a role in the namespaces of a team; from another team it denies a port. */
static void put_wide(struct policy_world *w, size_t i, uint16_t port)
{
	struct policy *p = mem_new(1, sizeof(*p));
	struct text name = TEXT_ON(p->name);
	text_add(&name, "wide%zu", i);
	p->kind = POLICY_CLUSTER;
	(void)text_copy(p->tier, sizeof(p->tier), POLICY_TIER_ADMIN);
	p->order = (double)i;
	p->namespaces = selector("app", i % 20);
	p->pods = selector("role", i % 5);
	p->applies[POLICY_INGRESS] = true;
	p->n_rules[POLICY_INGRESS] = 1;
	struct policy_rule *r = p->rules[POLICY_INGRESS] = mem_new(1, sizeof(*r));
	r->action = POLICY_DENY;
	r->icmp = r->not_icmp = (struct policy_icmp){-1, -1};
	r->peers = mem_new(1, sizeof(*r->peers));
	peer(r, NULL, "role", (i + 1) % 20);
	r->n_ports = 1;
	r->ports = mem_new(1, sizeof(*r->ports));
	*r->ports = (struct policy_port){.proto = 6, .first = port, .last = port};
	(void)policy_world_put_policy(w, POLICY_FROM_CLUSTER_POLICIES, p);
}

static struct policy_local *locals_make(const struct policy_world *w)
{
	struct policy_local *l = mem_new(n_locals, sizeof(*l));
	size_t n;
	const struct policy_pod *const *pods = policy_world_pods(w, &n);
	for (size_t i = 0; i < n_locals; i++) {
		const struct policy_pod *p =
			pods[i * (n / n_locals) + i % (n / n_locals)]; /* of many namespaces */
		l[i].link = (int)i + 10;
		(void)text_copy(l[i].namespace, sizeof(l[i].namespace), p->namespace);
		(void)text_copy(l[i].name, sizeof(l[i].name), p->name);
		memcpy(l[i].addrs, p->addrs, sizeof(l[i].addrs));
		l[i].n_addrs = p->n_addrs;
	}
	return l;
}

static double compile_ms(struct policy_compiler *c, const struct policy_local *l, bool say)
{
	struct policy_ruleset r;
	double begin = now_ms();
	policy_compile(c, l, n_locals, &r);
	double took = now_ms() - begin;
	size_t elements = 0;
	for (size_t i = 0; i < r.n_sets; i++)
		elements += r.sets[i].elements->n;
	if (say)
		printf("%zu sets with %zu elements, %zu chains, %zu links\n", r.n_sets, elements,
			r.n_chains, r.n_dispatch);
	policy_ruleset_done(&r);
	return took;
}

typedef void (*change)(struct policy_world *w, size_t round);

static void one_pod(struct policy_world *w, size_t round)
{
	put_pod(w, round * 7, 1000 + round);
}

static void hundred_pods(struct policy_world *w, size_t round)
{
	for (size_t i = 0; i < 100; i++)
		put_pod(w, i * 3, 2000 + round);
}

static void one_policy(struct policy_world *w, size_t round)
{
	put_policy(w, 0, (uint16_t)(5000 + round));
}

static void one_wide(struct policy_world *w, size_t round)
{
	if (n_wide > 0)
		put_wide(w, round % n_wide, (uint16_t)(6000 + round));
}

static void one_namespace(struct policy_world *w, size_t round)
{
	put_namespace(w, 0, round % 20);
}

static void nothing(struct policy_world *w, size_t round)
{
	(void)w;
	(void)round;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		change change;
	} changes[] = {{"nothing changed", nothing}, {"a pod relabelled", one_pod},
		{"a hundred pods relabelled", hundred_pods}, {"a policy edited", one_policy},
		{"a cluster-wide policy edited", one_wide},
		{"a namespace relabelled", one_namespace}};
	size_t *const sizes[] = {&n_pods, &n_policies, &n_locals, &n_wide};
	for (int i = 1; i < argc && i <= 4; i++)
		*sizes[i - 1] = strtoull(argv[i], NULL, 10);
	struct policy_world *w = policy_world_new();
	for (size_t i = 0; i < n_namespaces(); i++)
		put_namespace(w, i, i % 20);
	for (size_t i = 0; i < n_pods; i++)
		put_pod(w, i, i % 20);
	for (size_t i = 0; i < n_policies; i++)
		put_policy(w, i, 80);
	for (size_t i = 0; i < n_wide; i++)
		put_wide(w, i, 443);
	struct policy_local *l = locals_make(w);
	struct policy_compiler *c = policy_compiler_new(w);
	double first = compile_ms(c, l, true);
	printf("anew: %.1f ms\n", first);
	for (size_t k = 0; k < sizeof(changes) / sizeof(changes[0]); k++) {
		double took[ROUNDS];
		for (size_t i = 0; i < ROUNDS; i++) {
			changes[k].change(w, i);
			took[i] = compile_ms(c, l, false);
		}
		qsort(took, ROUNDS, sizeof(took[0]), compare_doubles);
		printf("%s: %.4f of it at the median, %.4f at most (%.2f ms, %.2f ms)\n",
			changes[k].name, took[ROUNDS / 2] / first, took[ROUNDS - 1] / first,
			took[ROUNDS / 2], took[ROUNDS - 1]);
	}
	struct rusage use;
	(void)getrusage(RUSAGE_SELF, &use);
	printf("world and compiler: %ld MiB\n", use.ru_maxrss / 1024);
	policy_compiler_free(c);
	policy_world_free(w);
	free(l);
	return 0;
}
