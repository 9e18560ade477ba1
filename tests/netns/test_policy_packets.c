/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator against the kernel: random clusters and policies (tests/policy/random.h), compiled, written into
 * this process's namespace, and real packets between all pairs of pods, of two strangers and the node itself, of both
 * families and of every protocol: what arrives must be what the evaluator lets pass. The world changes step by step
 * under one compiler and one writer, so that what is tested is what changes made, too.
 *
 *   test_policy_packets --cases 4000 --first 1 --jobs 16
 *
 * Jobs are processes, each with networks of its own, that take the next case from one number: behind a batch the
 * kernel may make one wait (RCU). A disagreement is printed as the smallest case. Who was interrupted goes on with
 * the --first that was said last.
 */
#include "tests/unit/values.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/policy/writer.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "policy/compile.h"
#include "policy/judge.h"
#include "tests/netns/podnet.h"
#include "tests/policy/random.h"

#define STEPS 2
#define PROBES 4 /* of each pair of addresses */
#define STRANGERS 2
#define SLOTS (RANDOM_PODS + STRANGERS)
#define SAY 100		 /* cases */
#define ENDS (SLOTS + 1) /* the last one is the node */
#define ROUND_PACKETS (ENDS * ENDS * FAMILIES * PROBES)
#define WAIT_MS 3000  /* for what shall arrive */
#define SHRINK_MS 250 /* the same, when it is known that something is lost */
#define AGAIN_MS 200
#define GRACE_MS 2 /* for what shall not, behind it: the kernel forwards while it is being sent */

static unsigned int n_cases = 10, n_jobs = 4;
static unsigned long first_case = 1;
/* Of all jobs together. */
static struct shared {
	atomic_ulong next, let_pass, dropped, passed_to_node, dropped_to_node;
	atomic_bool stop;
} * shared;
static struct podnet net;
static struct podnet_ears ears;
static struct podnet_mouths mouths;
static uint32_t next_number = 1;
static int64_t wait_ms = WAIT_MS;
static struct text first_wrong; /* as it was seen first */

/* A case in the making. */
struct trial {
	struct random_case at;
	struct policy_world *w;
	struct policy_compiler *compiler;
	struct policy_writer *writer;
	struct policy_local locals[RANDOM_PODS];
	size_t n_locals;
	struct text *why; /* may be NULL */
};

struct probe {
	struct podnet_packet packet;
	struct policy_flow flow;
	bool wanted, arrived;
};

/* Of one round: packets that are under way at the same time. */
static struct probe probes[ROUND_PACKETS];
static size_t n_probes;

FIXTURE(setup)
{
	struct addr ends[RANDOM_ENDS];
	struct addr addrs[SLOTS][FAMILIES] = {0};
	struct random_case none = {0};
	(void)random_ends(&none, ends);
	for (size_t i = 0; i < RANDOM_PODS; i++)
		for (enum family f = IPV4; f < FAMILIES; f++)
			addrs[i][f] = ends[2 * i + f];
	addrs[RANDOM_PODS][IPV4] = addr("192.0.2.1");
	addrs[RANDOM_PODS][IPV6] = addr("2001:db8::1");
	addrs[RANDOM_PODS + 1][IPV4] = addr("10.0.0.77");
	addrs[RANDOM_PODS + 1][IPV6] = addr("fd00::77");
	podnet_make_at(&net, addrs, SLOTS);
	podnet_listen(&net, &ears);
	podnet_open_mouths(&net, &mouths);
	return 0;
}

FIXTURE(teardown)
{
	podnet_deafen(&net, &ears);
	podnet_close_mouths(&net, &mouths);
	podnet_done(&net);
	return 0;
}

static size_t slot_of(const struct addr *a)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (addr_equal(&net.addrs[i][family_of(a->family)], a))
			return i;
	fail_msg("%s is nobody's", ADDR_STRING(a));
	return 0;
}

static int compare_locals(const void *a, const void *b)
{
	return ((const struct policy_local *)a)->link - ((const struct policy_local *)b)->link;
}

/* Pods of this node have the links that their addresses lead to. */
static void find_locals(struct trial *t)
{
	t->n_locals = random_locals(&t->at, t->w, t->locals);
	for (size_t i = 0; i < t->n_locals; i++)
		t->locals[i].link = net.links[slot_of(&t->locals[i].addrs[0])];
	if (t->n_locals)
		qsort(t->locals, t->n_locals, sizeof(*t->locals), compare_locals);
	size_t n = 0; /* of two pods that have one address each of a slot's one is here */
	for (size_t i = 0; i < t->n_locals; i++)
		if (n == 0 || t->locals[n - 1].link != t->locals[i].link)
			t->locals[n++] = t->locals[i];
	t->n_locals = n;
}

/* A link with a pod sends and gets that pod's packets alone. */
static bool is_possible(const struct trial *t, size_t slot, enum family f)
{
	for (size_t i = 0; slot < net.n && i < t->n_locals; i++) {
		const struct policy_local *l = &t->locals[i];
		bool has = false;
		for (size_t k = 0; k < l->n_addrs; k++)
			has = has || addr_equal(&l->addrs[k], &net.addrs[slot][f]);
		if (l->link == net.links[slot])
			return has;
	}
	return true;
}

static const struct policy_pod *local_of(const struct trial *t, size_t slot)
{
	for (size_t i = 0; slot < net.n && i < t->n_locals; i++)
		if (t->locals[i].link == net.links[slot])
			return policy_world_pod(t->w, t->locals[i].namespace, t->locals[i].name);
	return NULL;
}

static bool is_allowed(const struct trial *t, const struct probe *p)
{
	const struct policy_pod *from = local_of(t, p->packet.from),
				*to = local_of(t, p->packet.to);
	struct policy_question q = {.flow = &p->flow, .direction = POLICY_EGRESS, .pod = from};
	if (from && policy_judge(t->w, &q, NULL, NULL) == POLICY_DENY)
		return false;
	q.direction = POLICY_INGRESS;
	q.pod = to;
	return !to || policy_judge(t->w, &q, NULL, NULL) == POLICY_ALLOW;
}

static void add_probe(const struct trial *t, size_t from, size_t to, enum family f, unsigned int n)
{
	if (!is_possible(t, from, f) || !is_possible(t, to, f))
		return;
	const struct addr *source = from == net.n ? &net.gateways[f] : &net.addrs[from][f];
	const struct addr *target = to == net.n ? &net.gateways[f] : &net.addrs[to][f];
	struct probe *p = &probes[n_probes++];
	*p = (struct probe){.flow = random_flow(&t->at, n, source, target)};
	p->flow.from_node = from == net.n;
	p->flow.to_node = to == net.n;
	p->packet = (struct podnet_packet){.from = from,
		.to = to,
		.family = f,
		.proto = p->flow.proto,
		.sport = p->flow.sport,
		.dport = p->flow.dport,
		.icmp_type = (uint8_t)p->flow.icmp_type,
		.icmp_code = (uint8_t)p->flow.icmp_code,
		.number = next_number + (uint32_t)(p - probes)};
	p->wanted = is_allowed(t, p);
}

/* Of each pair one direction: the other one would be an answer in the kernel's eyes. */
static void make_round(const struct trial *t, bool up)
{
	n_probes = 0;
	for (size_t to = 0; to < ENDS; to++)
		for (size_t from = 0; from < ENDS; from++)
			for (unsigned int n = 0; n < FAMILIES * PROBES; n++)
				if (up ? to > from : to < from)
					add_probe(t, from, to, n % FAMILIES,
						(unsigned int)(to * ENDS + from) * FAMILIES *
								PROBES +
							n);
}

/* Takes what has arrived. A number of an earlier round is a packet that came late. */
static size_t hear_all(void)
{
	size_t heard = 0;
	uint32_t number;
	for (size_t i = 0; i <= net.n; i++)
		while (podnet_hear(&net, &ears, i, &number)) {
			size_t at = number - next_number;
			if (at >= n_probes)
				fail_msg("packet %u came late at end %zu", number, i);
			if (probes[at].packet.to != i || probes[at].arrived)
				continue; /* an answer that bears it */
			probes[at].arrived = true;
			heard += probes[at].wanted;
		}
	return heard;
}

/* Those that shall arrive and have not: a busy kernel may lose one on its way. */
static void send_again(void)
{
	for (size_t i = 0; i < n_probes; i++)
		if (probes[i].wanted && !probes[i].arrived)
			podnet_send(&net, &mouths, &probes[i].packet);
}

static void run_round(const struct trial *t, bool up)
{
	size_t wanted = 0, heard = 0;
	next_number += (uint32_t)n_probes;
	podnet_forget_connections();
	make_round(t, up);
	for (size_t i = 0; i < n_probes; i++) {
		podnet_send(&net, &mouths, &probes[i].packet);
		wanted += probes[i].wanted;
	}
	int64_t now = boot_now_ms(), until = now + wait_ms, again = now + AGAIN_MS;
	while ((heard += hear_all()) < wanted && (now = boot_now_ms()) < until) {
		if (now >= again) {
			send_again();
			again = now + AGAIN_MS;
		}
		podnet_wait(&ears, AGAIN_MS);
	}
	(void)poll(NULL, 0, GRACE_MS);
	(void)hear_all();
}

static void say_probe(const struct probe *p, struct text *out)
{
	text_add(out, "%s -> %s proto %u ports %u -> %u icmp %d/%d: %s, shall be %s\n",
		ADDR_STRING(&p->flow.source), ADDR_STRING(&p->flow.destination), p->flow.proto,
		p->flow.sport, p->flow.dport, p->flow.icmp_type, p->flow.icmp_code,
		p->arrived ? "arrived" : "lost", p->wanted ? "let pass" : "dropped");
}

/* What the evaluator says of each end. */
static void explain_probe(const struct trial *t, const struct probe *p)
{
	struct policy_question q = {.flow = &p->flow};
	for (int in = 0; in < 2; in++) {
		struct policy_trail trail = {0};
		q.direction = in ? POLICY_INGRESS : POLICY_EGRESS;
		q.pod = local_of(t, in ? p->packet.to : p->packet.from);
		if (q.pod)
			(void)policy_judge(t->w, &q, NULL, &trail);
		for (size_t i = 0; i < trail.n; i++)
			text_add(t->why, "  %s: %s\n", in ? "in" : "out", trail.v[i].text);
		policy_trail_done(&trail);
	}
}

static void count_probe(const struct probe *p)
{
	(void)atomic_fetch_add(p->arrived ? &shared->let_pass : &shared->dropped, 1);
	if (p->flow.to_node)
		(void)atomic_fetch_add(
			p->arrived ? &shared->passed_to_node : &shared->dropped_to_node, 1);
}

static bool round_is_wrong(const struct trial *t)
{
	for (size_t i = 0; i < n_probes; i++) {
		const struct probe *p = &probes[i];
		count_probe(p);
		if (p->arrived == p->wanted)
			continue;
		say_probe(p, t->why ? t->why : &first_wrong);
		if (t->why)
			explain_probe(t, p);
		return true;
	}
	return false;
}

/* The world of the step as the kernel holds it. */
static bool step_is_wrong(struct trial *t)
{
	struct policy_ruleset r;
	struct err e;
	random_tell(&t->at, t->w);
	find_locals(t);
	policy_compile(t->compiler, t->locals, t->n_locals, &r);
	ok(policy_writer_sync(t->writer, &r, &e));
	bool wrong = policy_writer_agrees(t->writer, &e) != 1;
	if (wrong && t->why)
		text_add(t->why, "the kernel's table is another than was written\n");
	for (int up = 0; up < 2 && !wrong; up++) {
		run_round(t, up);
		wrong = round_is_wrong(t);
	}
	if (wrong && t->why)
		policy_ruleset_describe(&r, t->why);
	policy_ruleset_done(&r);
	return wrong;
}

static bool case_is_wrong(const struct random_case *c, void *why)
{
	struct trial t = {.at = *c, .w = policy_world_new(), .why = why};
	struct err e;
	t.compiler = policy_compiler_new(t.w);
	ok(policy_writer_open(&t.writer, &e));
	bool wrong = false;
	for (t.at.step = 0; t.at.step <= c->step && !wrong; t.at.step++)
		wrong = step_is_wrong(&t);
	policy_writer_close(t.writer);
	policy_compiler_free(t.compiler);
	policy_world_free(t.w);
	return wrong;
}

static void say_smallest(struct random_case *c)
{
	CLEANUP_TEXT struct text why = {0};
	print_message(
		"case %llu is wrong, looking for the smallest one\n", (unsigned long long)c->seed);
	atomic_store(&shared->stop, true); /* the others' packets would be late */
	wait_ms = SHRINK_MS;
	random_shrink(c, case_is_wrong, NULL);
	random_describe(c, &why);
	(void)case_is_wrong(c, &why);
	(void)puts(why.buf); /* longer than cmocka prints */
	fail_msg("case %llu", (unsigned long long)c->seed);
}

TEST(the_kernel_lets_pass_what_the_evaluator_does)
{
	unsigned long i;
	while ((i = atomic_fetch_add(&shared->next, 1)) < n_cases && !atomic_load(&shared->stop)) {
		struct random_case c = {.seed = first_case + i, .step = STEPS};
		if (i && i % SAY == 0)
			print_message("--first %lu\n", first_case + (i > n_jobs ? i - n_jobs : 0));
		if (case_is_wrong(&c, NULL))
			say_smallest(&c);
	}
}

static bool read_options(int argc, char **argv)
{
	static const struct option options[] = {{"cases", required_argument, NULL, 'c'},
		{"first", required_argument, NULL, 'f'}, {"jobs", required_argument, NULL, 'j'},
		{0}};
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
		if (o == 'c')
			n_cases = (unsigned int)strtoul(optarg, NULL, 10);
		else if (o == 'f')
			first_case = strtoul(optarg, NULL, 10);
		else if (o == 'j')
			n_jobs = (unsigned int)strtoul(optarg, NULL, 10);
		else
			return false;
	}
	return optind == argc && n_cases && n_jobs;
}

/* What all jobs saw together. */
static bool summary_is_right(void)
{
	unsigned long passed = shared->let_pass, dropped = shared->dropped;
	unsigned long to_node = shared->passed_to_node, not_to_node = shared->dropped_to_node;
	(void)printf("%u cases: %lu packets passed and %lu were dropped, of those to the node %lu "
		     "and %lu\n",
		n_cases, passed, dropped, to_node, not_to_node);
	return passed && dropped && to_node && not_to_node;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_kernel_lets_pass_what_the_evaluator_does, setup, teardown),
	};
	if (!read_options(argc, argv)) {
		(void)fprintf(stderr, "usage: %s [--cases N] [--first N] [--jobs N]\n", argv[0]);
		return 2;
	}
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	for (unsigned int i = 0; i < n_jobs; i++) {
		pid_t pid = fork();
		if (pid == 0)
			return cmocka_run_group_tests(tests, NULL, NULL);
		if (pid < 0)
			return 1;
	}
	int bad = 0, status;
	while (wait(&status) > 0)
		bad |= status;
	return bad || !summary_is_right();
}
