/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following packets that do not arrive: both nodes count what passes them while the packets are sent
 * once more, and cli/conform/cause.c makes a sentence of it. One failure stands for all of its
 * kind between two nodes, and there is a limit, so that a broken cluster is told of within
 * seconds, too.
 */
#include <jansson.h>
#include <string.h>

#include "cli/conform/cause.h"
#include "cli/conform/run.h"
#include "lib/json.h"

#define FOLLOWED 24 /* failures at most */
#define TRIES 2
#define TRY_MS 300
#define SLACK_MS 10000

static void add_capture(struct conform_calls *calls, size_t member, const char *name,
	const char *what, const struct addr *peer, uint16_t port)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "op", "capture", "capture", name, "what", what,
		"peer", ADDR_STRING(peer));
	if (port)
		json_put(o, "port", json_integer(port));
	(void)conform_calls_add(calls, member, o, SLACK_MS);
}

static void add_captures(
	const struct conform_check *k, const struct conform_capture *w, struct conform_calls *calls)
{
	const size_t members[] = {k->t.from, k->t.to};
	size_t n = k->t.from == k->t.to ? 1 : 2;
	for (size_t i = 0; i < n; i++) {
		add_capture(calls, members[i], "inner", w->inner, &w->inner_peer, 0);
		if (*w->outer && w->outer_peer[i].family)
			add_capture(
				calls, members[i], "outer", w->outer, &w->outer_peer[i], w->port);
	}
}

/* The same calls, as their ends. Returns false when one could not be made. */
static bool add_ends(const struct conform_calls *begun, struct conform_calls *calls)
{
	bool all = true;
	for (size_t i = 0; i < begun->n; i++) {
		const struct conform_call *c = &begun->list[i];
		const char *name = json_string_value(json_object_get(c->request, "capture"));
		all = all && c->result == CONFORM_ANSWERED;
		(void)conform_calls_add(calls, c->probe,
			json_pack("{s:s,s:s}", "op", "captured", "capture", name), SLACK_MS);
	}
	return all;
}

static bool take_evidence(const struct conform_calls *ends, const struct conform_check *k,
	struct conform_evidence evidence[2])
{
	for (size_t i = 0; i < ends->n; i++) {
		const struct conform_call *c = &ends->list[i];
		const char *name = json_string_value(json_object_get(c->request, "capture"));
		struct conform_evidence *at = &evidence[c->probe == k->t.from ? 0 : 1];
		struct err e = {0};
		if (c->result != CONFORM_ANSWERED ||
			conform_counts_parse(c->answer,
				strcmp(name, "inner") == 0 ? &at->inner : &at->outer, &e) < 0)
			return false;
	}
	if (k->t.from == k->t.to)
		evidence[1] = evidence[0];
	return true;
}

static void follow_check(struct conform_run *r, struct conform_check *k)
{
	CLEANUP_CONFORM_CALLS struct conform_calls begun = {0};
	CLEANUP_CONFORM_CALLS struct conform_calls sent = {0};
	CLEANUP_CONFORM_CALLS struct conform_calls ends = {0};
	struct conform_capture w;
	struct conform_evidence evidence[2] = {0};
	conform_cause_capture(&r->cluster, k, &w);
	add_captures(k, &w, &begun);
	(void)conform_calls_add(
		&sent, k->t.from, conform_try_request(&k->t, TRIES, TRY_MS), TRY_MS + SLACK_MS);
	(void)conform_probes_run(&r->probes, &begun, CONFORM_WINDOW, "looking for the cause");
	(void)conform_probes_run(&r->probes, &sent, CONFORM_WINDOW, "looking for the cause");
	bool all = add_ends(&begun, &ends);
	(void)conform_probes_run(&r->probes, &ends, CONFORM_WINDOW, "looking for the cause");
	if (all && take_evidence(&ends, k, evidence))
		conform_cause(&r->cluster, &r->checks, &evidence[0], &evidence[1], k);
}

static bool is_to_explain(const struct conform_check *k)
{
	return k->verdict == CONFORM_FAILED && k->kind == CONFORM_REACH && !*k->cause;
}

static void hand_on(struct conform_run *r, size_t from)
{
	const struct conform_check *k = &r->checks.list[from];
	for (size_t i = from + 1; i < r->checks.n; i++) {
		struct conform_check *o = &r->checks.list[i];
		if (!is_to_explain(o) || !conform_cause_is_shared(k, o))
			continue;
		(void)memcpy(o->cause, k->cause, sizeof(o->cause));
		o->cause_is_wide = k->cause_is_wide;
	}
}

void conform_run_causes(struct conform_run *r)
{
	size_t followed = 0;
	for (size_t i = 0; i < r->checks.n && !r->probes.interrupted; i++) {
		struct conform_check *k = &r->checks.list[i];
		if (!is_to_explain(k))
			continue;
		if (!conform_cause_from_others(&r->cluster, &r->checks, k)) {
			if (followed == FOLLOWED || !conform_cause_is_followed(&r->cluster, k))
				continue;
			followed++;
			follow_check(r, k);
		}
		hand_on(r, i);
	}
}
