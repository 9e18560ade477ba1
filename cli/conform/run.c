/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run from the first probe to the last. Each phase asks all probes at once and waits for all of
 * them; a node whose probe or pod does not work is one failed check and is left out of the rest.
 *
 * Routes to a block that was claimed for this run take a moment to reach the other nodes. So before
 * anything is judged the run waits until the routes are right, or until the time for that is over and
 * what is wrong is wrong.
 *
 * Whatever happens in between, the end is the same: pods are deleted, what is left is looked at, the
 * probes end. After a signal the probes delete their pods themselves and nobody looks.
 */
#include "cli/conform/run.h"

#include <stdio.h>
#include <string.h>

#include "cli/conform/pairs.h"
#include "cli/conform/plan.h"
#include "cli/conform/static.h"
#include "lib/json.h"
#include "cli/output.h"
#include "lib/boot.h"
#include "lib/family.h"
#include "lib/text.h"

#define PROTOCOL 1
#define HELLO_MS 90000 /* the connection; DELs for probes that died */
#define LOOK_MS 25000
#define ADD_MS 130000 /* a chain of plugins, 30 s each */
#define DEL_MS 130000
#define SERVE_MS 10000
#define GONE_MS 5000 /* until links of deleted pods are gone */
#define STEP_MS 100

static struct conform_member *member(struct conform_run *r, size_t i)
{
	return &r->cluster.members[i];
}

/* A check of one node or pod; group is what it is about. */
static struct conform_check *run_add(
	struct conform_run *r, const char *group, size_t i, size_t pod, const char *expected)
{
	struct conform_check *k = conform_checks_add(&r->checks, CONFORM_FACT, group, 0);
	(void)snprintf(k->what, sizeof(k->what), "%s  %.60s", group,
		CONFORM_PLACE_STRING(member(r, i), pod));
	(void)snprintf(k->expected, sizeof(k->expected), "%s", expected);
	return k;
}

/* ---- Probes ---- */

static const struct conform_host *run_host(const struct conform_run *r, size_t i)
{
	return i < r->file->n_nodes ? &r->file->nodes[i] : &r->file->outside;
}

static void set_name(struct conform_run *r, size_t i, const char *name)
{
	char clean[CONFORM_NAME];
	output_clean(clean, sizeof(clean), name);
	if (*clean)
		(void)text_copy(member(r, i)->name, CONFORM_NAME, clean);
}

static void run_start(struct conform_run *r)
{
	for (size_t i = 0; i < r->cluster.n; i++) {
		char name[32] = "outside";
		member(r, i)->is_outside = i >= r->file->n_nodes;
		if (!member(r, i)->is_outside)
			(void)snprintf(name, sizeof(name), "nodes[%zu]", i);
		set_name(r, i, name);
		set_name(r, i, run_host(r, i)->name);
		conform_probes_start(&r->probes, i, member(r, i)->name, run_host(r, i)->arguments);
	}
}

/* A call of each probe, or of those that live. */
static void ask_all(struct conform_run *r, bool alive, const char *op, int ms,
	struct conform_calls *calls, const char *what)
{
	for (size_t i = 0; i < r->cluster.n; i++)
		if (!alive || member(r, i)->alive)
			(void)conform_calls_add(calls, i, json_pack("{s:s}", "op", op), ms);
	(void)conform_probes_run(&r->probes, calls, 1, what);
}

/* What probes left that were killed on this node earlier, and this one could not delete. */
static void note_troubles(struct conform_run *r, const struct conform_call *c)
{
	const json_t *troubles = json_object_get(c->answer, "troubles");
	const char *first = json_string_value(json_array_get(troubles, 0));
	char clean[280];
	if (!first)
		return;
	output_clean(clean, sizeof(clean), first);
	conform_check_set(run_add(r, "left", c->probe, CONFORM_NODE,
				  "what an earlier probe left to be deleted"),
		CONFORM_FAILED, "%s", clean);
}

static bool judge_hello(struct conform_run *r, const struct conform_call *c)
{
	struct conform_check *k =
		run_add(r, "probe", c->probe, CONFORM_NODE, "a probe that answers");
	if (c->result != CONFORM_ANSWERED) {
		conform_check_set(k, CONFORM_FAILED, "%.300s", c->problem);
		return false;
	}
	const json_t *protocol = json_object_get(c->answer, "protocol");
	const char *version = json_string_value(json_object_get(c->answer, "version"));
	const char *name = json_string_value(json_object_get(c->answer, "hostname"));
	char clean[40];
	output_clean(clean, sizeof(clean), version ? version : "of no version");
	if (json_integer_value(protocol) != PROTOCOL) {
		conform_check_set(k, CONFORM_FAILED,
			"roostctl %s, whose probe speaks another protocol", clean);
		return false;
	}
	conform_check_set(k, CONFORM_OK, "roostctl %s", clean);
	if (!*run_host(r, c->probe)->name && !member(r, c->probe)->is_outside && name)
		set_name(r, c->probe, name);
	note_troubles(r, c);
	return true;
}

static void run_greet(struct conform_run *r)
{
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	ask_all(r, false, "hello", HELLO_MS, &calls, "probes");
	for (size_t i = 0; i < calls.n && !r->probes.interrupted; i++)
		member(r, i)->alive = judge_hello(r, &calls.list[i]);
}

/* Asks all nodes anew what they have. say: a node that cannot say it is a failed check. */
static void ask_facts(struct conform_run *r, bool say)
{
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	ask_all(r, true, "look", LOOK_MS, &calls, "looking at the nodes");
	for (size_t i = 0; i < calls.n && !r->probes.interrupted; i++) {
		const struct conform_call *c = &calls.list[i];
		struct conform_member *m = member(r, c->probe);
		struct conform_facts seen;
		struct err e = {0};
		m->alive = c->result == CONFORM_ANSWERED &&
			   conform_facts_parse(c->answer, &seen, &e) == 0;
		if (m->alive) {
			conform_facts_done(&m->facts);
			m->facts = seen;
		} else if (say) {
			conform_check_set(run_add(r, "look", c->probe, CONFORM_NODE,
						  "to hear what the node has"),
				CONFORM_FAILED, "%.300s", conform_call_why(c, &e));
		}
	}
}

static void run_meet(struct conform_run *r)
{
	run_greet(r);
	ask_facts(r, true);
	for (size_t i = 0; i < r->cluster.n; i++) {
		struct conform_member *m = member(r, i);
		if (m->alive && !*run_host(r, i)->name && !m->is_outside)
			set_name(r, i, m->facts.node);
		if (m->alive)
			conform_member_find_addresses(m);
	}
}

/* ---- Pods ---- */

static json_t *pod_request(const struct conform_run *r, size_t i, size_t pod)
{
	const struct conform_host *h = run_host(r, i);
	json_t *o = json_pack("{s:s,s:s}", "op", "pod-add", "name", CONFORM_POD_NAME(pod));
	if (h->conf_dir)
		json_put(o, "confDir", json_string(h->conf_dir));
	if (h->network)
		json_put(o, "network", json_string(h->network));
	if (h->cni_path)
		json_put(o, "cniPath", json_incref(h->cni_path));
	if (pod == 0)
		json_put(o, "portMappings",
			json_pack("[{s:i,s:i,s:s}]", "hostPort", (int)r->file->host_port,
				"containerPort", 7007, "protocol", "tcp"));
	return o;
}

static void take_pod(struct conform_run *r, const struct conform_call *c, size_t pod)
{
	struct conform_member *m = member(r, c->probe);
	struct conform_check *k = run_add(r, "pod", c->probe, pod, "to start");
	struct err e = {0};
	if (c->result != CONFORM_ANSWERED || conform_pod_parse(c->answer, &m->pods[pod], &e) < 0) {
		conform_check_set(k, CONFORM_FAILED, "%.300s", conform_call_why(c, &e));
		return;
	}
	const struct addr *ip = m->pods[pod].ip;
	conform_check_set(k, CONFORM_OK, "%s%s%s", ip[IPV4].family ? ADDR_STRING(&ip[IPV4]) : "",
		ip[IPV4].family && ip[IPV6].family ? " and " : "",
		ip[IPV6].family ? ADDR_STRING(&ip[IPV6]) : "");
	m->n_pods = pod + 1;
	if (pod == 0 && m->pods[0].has_portmap)
		m->host_port = r->file->host_port;
}

/* One pod a node at a time: the names stay those of their places. */
static void start_pods(struct conform_run *r)
{
	for (size_t pod = 0; pod < r->file->pods && !r->probes.interrupted; pod++) {
		CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
		for (size_t i = 0; i < conform_cluster_nodes(&r->cluster); i++)
			if (member(r, i)->alive && member(r, i)->n_pods == pod)
				(void)conform_calls_add(&calls, i, pod_request(r, i, pod), ADD_MS);
		(void)conform_probes_run(&r->probes, &calls, 1, "pods");
		for (size_t i = 0; i < calls.n && !r->probes.interrupted; i++)
			take_pod(r, &calls.list[i], pod);
	}
}

static void start_servers(struct conform_run *r)
{
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	ask_all(r, true, "serve", SERVE_MS, &calls, "servers");
	for (size_t i = 0; i < calls.n && !r->probes.interrupted; i++) {
		const struct conform_call *c = &calls.list[i];
		struct conform_member *m = member(r, c->probe);
		struct err e = {0};
		m->alive = c->result == CONFORM_ANSWERED &&
			   conform_ports_parse(c->answer, &m->ports, &e) == 0;
		if (!m->alive)
			conform_check_set(
				run_add(r, "serve", c->probe, CONFORM_NODE, "servers on the node"),
				CONFORM_FAILED, "%.300s", conform_call_why(c, &e));
	}
}

/* Asks for facts until nothing is wrong with them, or time is up. */
static void settle(struct conform_run *r, int64_t timeout_ms, bool say,
	void (*judge)(const struct conform_cluster *c, struct conform_checks *out))
{
	int64_t end = boot_now_ms() + timeout_ms;
	for (;;) {
		CLEANUP_CONFORM_CHECKS struct conform_checks found = {0};
		ask_facts(r, say);
		judge(&r->cluster, &found);
		if (!conform_checks_sum(&found).failed || boot_now_ms() >= end ||
			conform_probes_pause(&r->probes, STEP_MS) < 0)
			return;
	}
}

/* ---- The end ---- */

static void delete_pods(struct conform_run *r)
{
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	for (size_t i = 0; i < conform_cluster_nodes(&r->cluster); i++) {
		for (size_t pod = 0; pod < member(r, i)->n_pods; pod++) {
			(void)conform_calls_add(&calls, i,
				json_pack("{s:s,s:s}", "op", "pod-del", "name",
					CONFORM_POD_NAME(pod)),
				DEL_MS);
		}
	}
	(void)conform_probes_run(&r->probes, &calls, 1, "deleting the pods");
	size_t n = 0;
	for (size_t i = 0; i < conform_cluster_nodes(&r->cluster) && !r->probes.interrupted; i++) {
		for (size_t pod = 0; pod < member(r, i)->n_pods; pod++, n++) {
			const struct conform_call *c = &calls.list[n];
			bool lost = c->result == CONFORM_LOST;
			if (c->result == CONFORM_ANSWERED)
				continue;
			member(r, i)->alive = member(r, i)->alive && !lost;
			conform_check_set(run_add(r, "pod", i, pod, "to be deleted"),
				CONFORM_FAILED, "%.300s", c->problem);
		}
	}
}

/* An agent deletes links of deleted pods within a tenth of a second. */
static void check_leftovers(struct conform_run *r)
{
	settle(r, GONE_MS, false, conform_leftovers);
	if (!r->probes.interrupted)
		conform_leftovers(&r->cluster, &r->checks);
}

static void run_finish(struct conform_run *r)
{
	CLEANUP_CONFORM_CALLS struct conform_calls ends = {0};
	r->facts.interrupted = r->probes.interrupted;
	conform_probes_end(&r->probes, &ends);
	for (size_t i = 0; i < ends.n; i++)
		if (ends.list[i].result != CONFORM_ANSWERED)
			conform_check_set(run_add(r, "probe", ends.list[i].probe, CONFORM_NODE,
						  "to end and leave nothing"),
				CONFORM_FAILED, "%.300s", ends.list[i].problem);
	conform_progress_print(stdout, &r->progress, &r->checks);
}

static void run_count(struct conform_run *r)
{
	for (size_t i = 0; i < conform_cluster_nodes(&r->cluster); i++) {
		r->facts.nodes += member(r, i)->alive;
		r->facts.pods += member(r, i)->n_pods;
	}
	r->facts.all_pairs = conform_pairs_are_all(&r->cluster);
	r->facts.seed = r->cluster.seed;
}

int conform_run_execute(struct conform_run *r, struct err *e)
{
	int64_t began = boot_now_ms();
	conform_progress_open(&r->progress, r->format);
	int error = conform_probes_open(&r->probes, r->cluster.n, &r->progress, e);
	if (error < 0)
		return error;
	run_start(r);
	run_meet(r);
	start_pods(r);
	start_servers(r);
	conform_progress_print(stdout, &r->progress, &r->checks);
	settle(r, (int64_t)r->file->settle_s * 1000, true, conform_routes);
	run_count(r);
	if (!r->probes.interrupted) {
		conform_addresses(&r->cluster, &r->checks);
		conform_routes(&r->cluster, &r->checks);
		conform_progress_print(stdout, &r->progress, &r->checks);
		size_t first = r->checks.n;
		conform_plan(&r->cluster, &r->checks);
		conform_run_tries(r, first);
		conform_run_causes(r);
	}
	if (!r->probes.interrupted) {
		delete_pods(r);
		check_leftovers(r);
	}
	run_finish(r);
	r->facts.duration_ms = (uint64_t)(boot_now_ms() - began);
	return 0;
}

void conform_run_done(struct conform_run *r)
{
	conform_probes_close(&r->probes);
	conform_checks_done(&r->checks);
	conform_cluster_done(&r->cluster);
}
