/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending the packets of a plan. Three rounds, since one could disturb the other: what is to be
 * answered; what is too big, for which links of pods get a larger MTU for a moment; what is to arrive,
 * or not to arrive, without an answer, after which the other ends are asked.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/conform/judge.h"
#include "cli/conform/run.h"
#include "lib/json.h"

#define TRIES 3
#define TRY_MS 2000
#define AGAIN_MS 4000 /* of those that are tried again */
#define AGAIN_PART 10 /* one of so many at most; more of them are no accident */
#define AGAIN_WINDOW 16
#define SILENT_MS 300 /* nobody answers; the packet is through long before */
#define SLACK_MS 15000
#define SHORT_MS 10000

static bool is_open(const struct conform_run *r, size_t i, enum conform_kind kind)
{
	const struct conform_check *k = &r->checks.list[i];
	return k->kind == kind && k->verdict == CONFORM_OPEN;
}

/* One call for each open check of this kind, in the order of the checks; ms: how long an answer may
 * take. */
static void add_tries(struct conform_run *r, size_t first, enum conform_kind kind, int ms,
	struct conform_calls *calls)
{
	for (size_t i = first; i < r->checks.n; i++) {
		const struct conform_try *t = &r->checks.list[i].t;
		if (!is_open(r, i, kind))
			continue;
		bool silent = kind == CONFORM_REPEL || kind == CONFORM_ARRIVE;
		json_t *request = conform_try_request(t, silent ? 1 : TRIES, ms);
		if (kind == CONFORM_REPEL)
			json_put(request, "source", json_string(ADDR_STRING(&t->source)));
		(void)conform_calls_add(calls, t->from, request, ms + SLACK_MS);
	}
}

/* Whether the call has an outcome; else the check says why it was not tried. */
static bool take_outcome(
	const struct conform_call *c, struct conform_outcome *out, struct conform_check *k)
{
	struct err e = {0};
	if (c->result == CONFORM_ANSWERED && conform_outcome_parse(c->answer, out, &e) == 0)
		return true;
	conform_judge_untried(c->result == CONFORM_LOST, conform_call_why(c, &e), k);
	return false;
}

static void judge_call(struct conform_run *r, const struct conform_call *c, struct conform_check *k)
{
	struct conform_outcome o;
	if (r->probes.interrupted && c->result == CONFORM_LOST)
		return;
	if (take_outcome(c, &o, k))
		conform_judge(&r->cluster, &o, k);
}

/* The calls are those of add_tries() for the same kind. */
static void judge_all(struct conform_run *r, size_t first, enum conform_kind kind,
	const struct conform_calls *calls)
{
	size_t n = 0;
	for (size_t i = first; i < r->checks.n; i++)
		if (is_open(r, i, kind) && n < calls->n)
			judge_call(r, &calls->list[n++], &r->checks.list[i]);
}

static void try_reach(struct conform_run *r, size_t first, int ms, size_t window)
{
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	add_tries(r, first, CONFORM_REACH, ms, &calls);
	(void)conform_probes_run(&r->probes, &calls, window, "packets");
	judge_all(r, first, CONFORM_REACH, &calls);
}

/* Whether nothing came back, which on a slow machine may be our own doing: hundreds of packets were
 * under way at once. */
static bool is_unanswered(const struct conform_check *k)
{
	return k->kind == CONFORM_REACH && k->verdict == CONFORM_FAILED && k->is_unanswered;
}

/* A few that were not answered get a second chance, with fewer at once and more time. */
static void try_again(struct conform_run *r, size_t first)
{
	size_t n = 0, all = 0;
	for (size_t i = first; i < r->checks.n; i++) {
		n += is_unanswered(&r->checks.list[i]);
		all += r->checks.list[i].kind == CONFORM_REACH;
	}
	if (n == 0 || n > all / AGAIN_PART || r->probes.interrupted)
		return;
	for (size_t i = first; i < r->checks.n; i++)
		if (is_unanswered(&r->checks.list[i]))
			r->checks.list[i].verdict = CONFORM_OPEN;
	try_reach(r, first, AGAIN_MS, AGAIN_WINDOW);
	for (size_t i = first; i < r->checks.n; i++) {
		struct conform_check *k = &r->checks.list[i];
		size_t len = strlen(k->saw);
		if (k->is_unanswered && k->verdict == CONFORM_OK)
			(void)snprintf(
				k->saw + len, sizeof(k->saw) - len, ", at the second attempt");
	}
}

/* The largest MTU that a check needs for the pod; 0: another check of that pod says it. */
static uint32_t raised(const struct conform_run *r, size_t first, size_t check)
{
	const struct conform_try *t = &r->checks.list[check].t;
	uint32_t most = 0;
	for (size_t i = first; i < r->checks.n; i++) {
		const struct conform_try *o = &r->checks.list[i].t;
		if (!is_open(r, i, CONFORM_TOO_BIG) || o->from != t->from ||
			o->from_pod != t->from_pod)
			continue;
		if (i < check)
			return 0;
		most = o->raised > most ? o->raised : most;
	}
	return most;
}

static void set_mtus(struct conform_run *r, size_t first, bool raise)
{
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	for (size_t i = first; i < r->checks.n; i++) {
		const struct conform_try *t = &r->checks.list[i].t;
		uint32_t mtu = is_open(r, i, CONFORM_TOO_BIG) ? raised(r, first, i) : 0;
		if (!mtu)
			continue;
		if (!raise)
			mtu = r->cluster.members[t->from].pods[t->from_pod].mtu;
		(void)conform_calls_add(&calls, t->from,
			json_pack("{s:s,s:s,s:I}", "op", "pod-mtu", "name",
				CONFORM_POD_NAME(t->from_pod), "mtu", (json_int_t)mtu),
			SHORT_MS);
	}
	(void)conform_probes_run(&r->probes, &calls, 1, "MTUs");
}

static void try_too_big(struct conform_run *r, size_t first)
{
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	add_tries(r, first, CONFORM_TOO_BIG, TRY_MS, &calls);
	if (!calls.n)
		return;
	set_mtus(r, first, true);
	(void)conform_probes_run(&r->probes, &calls, CONFORM_WINDOW, "packets that are too big");
	set_mtus(r, first, false);
	judge_all(r, first, CONFORM_TOO_BIG, &calls);
}

static void add_received(
	struct conform_run *r, size_t first, enum conform_kind kind, struct conform_calls *calls)
{
	for (size_t i = first; i < r->checks.n; i++) {
		const struct conform_try *t = &r->checks.list[i].t;
		if (!is_open(r, i, kind))
			continue;
		(void)conform_calls_add(calls, t->to,
			json_pack("{s:s,s:s,s:s}", "op", "received", "place",
				CONFORM_POD_NAME(t->to_pod), "nonce", t->nonce),
			SHORT_MS);
	}
}

/* A packet that was not sent at all nobody can have heard. */
static void judge_heard(struct conform_run *r, const struct conform_call *sent,
	const struct conform_call *heard, struct conform_check *k)
{
	struct conform_outcome o;
	struct conform_heard h;
	struct err e = {0};
	if (r->probes.interrupted || !take_outcome(sent, &o, k))
		return;
	if (heard->result == CONFORM_ANSWERED && conform_heard_parse(heard->answer, &h, &e) == 0)
		conform_judge_heard(&r->cluster, &h, k);
	else
		conform_judge_untried(
			heard->result == CONFORM_LOST, conform_call_why(heard, &e), k);
}

static void try_silent(
	struct conform_run *r, size_t first, enum conform_kind kind, const char *what)
{
	CLEANUP_CONFORM_CALLS struct conform_calls sent = {0};
	CLEANUP_CONFORM_CALLS struct conform_calls heard = {0};
	add_tries(r, first, kind, SILENT_MS, &sent);
	add_received(r, first, kind, &heard);
	(void)conform_probes_run(&r->probes, &sent, CONFORM_WINDOW, what);
	(void)conform_probes_run(&r->probes, &heard, CONFORM_WINDOW, what);
	size_t n = 0;
	for (size_t i = first; i < r->checks.n; i++) {
		if (!is_open(r, i, kind) || n >= sent.n)
			continue;
		judge_heard(r, &sent.list[n], &heard.list[n], &r->checks.list[i]);
		n++;
	}
}

void conform_run_tries(struct conform_run *r, size_t first)
{
	try_reach(r, first, TRY_MS, CONFORM_WINDOW);
	try_again(r, first);
	conform_progress_print(stdout, &r->progress, &r->checks);
	try_too_big(r, first);
	try_silent(r, first, CONFORM_ARRIVE, "packets one way");
	try_silent(r, first, CONFORM_REPEL, "pretended sources");
	conform_progress_print(stdout, &r->progress, &r->checks);
}
