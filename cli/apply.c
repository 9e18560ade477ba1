/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl apply and diff. Everything is read and judged first; then the documents are written, each by
 * itself, compared with what was read. Each round begins with a new look at the store, so a round that
 * somebody else's change has stopped is simply done again, and what an earlier round has written is
 * unchanged for the next.
 *
 * The order keeps the rules between resources at each moment, and lets nothing give addresses before all
 * that restricts it is there: pools that move go first, new pools come last, and between them
 * reservations, limits, nodes, filters and who names them. Policies come before all of these.
 *
 * Two people may write what does not go together at the same moment, as nothing spans two documents. So
 * what other documents may stand against is read afresh after it was written. As both write before they read,
 * one of them sees the other, takes back what it wrote, and begins anew: the look of the next round
 * refuses it, or finds that the other has done the same. Whoever is killed in between leaves both; then
 * the older pool counts, and agents name the other.
 *
 * A pool that gets another cidr or block size is held (disabled) for a round, see cli/commit.c; if
 * the blocks counted then forbid the change, it is put back as it was. Else it is deleted and made
 * anew: it is as young as what it covers now.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/commit.h"
#include "cli/difference.h"
#include "cli/manifest.h"
#include "cli/output.h"
#include "cli/plan.h"
#include "cli/rules.h"
#include "cli/config.h"
#include "cluster/document.h"
#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/yaml.h"

#define LOST_RACES_MAX 10
#define DIFF_TROUBLE 2 /* as of diff(1) and kubectl diff, of which 1 says that something differs */
#define HOLDS_MAX 64   /* pools that move in one apply */

/* What became of a manifest. */
struct outcome {
	enum plan_kind kind;
	json_t *before; /* what the store had; NULL: nothing, or a pool of another shape */
};

struct apply {
	const struct manifests *manifests;
	struct store *store;
	struct outcome *outcomes; /* of each manifest, as far as we are */
	bool *recheck;		  /* of each: plan_verify() looks at it again */
	struct commit_hold holds[HOLDS_MAX];
	size_t n_holds;
	size_t n_done; /* documents written, and not taken back */
	bool unknown;  /* whether the last one was */
};

static const char *const words[] = {
	[PLAN_UNCHANGED] = "unchanged",
	[PLAN_CREATE] = "created",
	[PLAN_CONFIGURE] = "configured",
};

static bool is_held(const struct apply *a, const char *key)
{
	for (size_t i = 0; i < a->n_holds; i++)
		if (strcmp(a->holds[i].key, key) == 0)
			return true;
	return false;
}

/* Disables the pools that move. How many there were; 0: go on. */
static int hold_pools(struct apply *a, const struct plan *p, struct err *e)
{
	int held = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_step *step = &p->steps[i];
		if (!step->moves || step->old->value->pool.disabled || is_held(a, step->old->key))
			continue;
		if (a->n_holds == HOLDS_MAX)
			return err_set(e, EINVAL, "more than %d pools get another cidr at once",
				HOLDS_MAX);
		int r = commit_hold(a->store, step->old, &a->holds[a->n_holds], e);
		a->unknown = r == -ETIMEDOUT;
		if (r < 0)
			return r;
		a->n_holds += r > 0;
		held++;
	}
	return held;
}

/* Gives pools back as they were, but for those whose change was committed. */
static void release_pools(struct apply *a)
{
	for (size_t i = 0; i < a->n_holds; i++) {
		struct err e = {0};
		if (commit_release(a->store, &a->holds[i], &e) < 0) {
			err_add(&e, "%s stays disabled", a->holds[i].key);
			(void)output_error(&e);
		}
		commit_hold_done(&a->holds[i]);
	}
	a->n_holds = 0;
}

static void drop_hold(struct apply *a, const char *key)
{
	for (size_t i = 0; i < a->n_holds; i++)
		if (strcmp(a->holds[i].key, key) == 0) {
			commit_hold_done(&a->holds[i]);
			a->holds[i] = a->holds[--a->n_holds];
			return;
		}
}

static void apply_note(struct apply *a, const struct plan_step *step)
{
	size_t i = (size_t)(step->manifest - a->manifests->list);
	bool stays = step->old && !step->moves;
	a->outcomes[i] = (struct outcome){
		.kind = step->kind, .before = stays ? json_incref(step->old->doc) : NULL};
	a->recheck[i] = step->recheck;
	a->n_done++;
}

/* 1 done, 0 somebody else was faster, -errno. */
static int write_doc(
	struct apply *a, const char *key, int64_t revision, const json_t *doc, struct err *e)
{
	int r = commit_write(a->store, key, revision, doc, e);
	a->unknown = r == -ETIMEDOUT;
	return r;
}

/* A pool that moves, which is held: it goes. */
static int delete_moved(struct apply *a, const struct plan_step *step, struct err *e)
{
	int r = write_doc(a, step->old->key, step->old->revision, NULL, e);
	if (r > 0)
		drop_hold(a, step->old->key);
	return r;
}

static int write_step(struct apply *a, const struct plan_step *step, struct err *e)
{
	char key[STORE_KEY_MAX];
	bool anew = !step->old || step->moves;
	keys_resource(step->value.kind, step->value.name, key);
	int r = write_doc(a, key, anew ? 0 : step->old->revision, step->doc, e);
	if (r < 0 && step->moves)
		err_details(e, "it was deleted, to be made anew with its other cidr or blockSize: "
			       "apply it again");
	if (r < 0)
		err_add(e, "%s", LABEL_STRING(step->value.kind, step->value.name));
	if (r > 0)
		apply_note(a, step);
	return r;
}

static int write_steps(struct apply *a, const struct plan *p, struct err *e)
{
	static const enum resource_kind order[] = {RESOURCE_TIER, RESOURCE_GLOBALNETWORKSET,
		RESOURCE_NETWORKSET, RESOURCE_GLOBALNETWORKPOLICY, RESOURCE_NETWORKPOLICY,
		RESOURCE_STAGEDGLOBALNETWORKPOLICY, RESOURCE_STAGEDNETWORKPOLICY,
		RESOURCE_STAGEDKUBERNETESNETWORKPOLICY, RESOURCE_IPRESERVATION,
		RESOURCE_IPAMCONFIGURATION, RESOURCE_NODE, RESOURCE_BGPFILTER,
		RESOURCE_BGPCONFIGURATION, RESOURCE_BGPPEER, RESOURCE_IPPOOL};
	_Static_assert(sizeof(order) / sizeof(order[0]) == RESOURCE_KINDS, "all kinds");
	int r = 1;
	for (size_t i = 0; i < p->n && r > 0; i++)
		if (p->steps[i].moves)
			r = delete_moved(a, &p->steps[i], e);
	for (size_t k = 0; k < RESOURCE_KINDS; k++)
		for (size_t i = 0; i < p->n && r > 0; i++)
			if (p->steps[i].value.kind == order[k] &&
				p->steps[i].kind != PLAN_UNCHANGED)
				r = write_step(a, &p->steps[i], e);
	return r;
}

enum round { ROUND_AGAIN, ROUND_LOST, ROUND_COMPLETE };

/* One look and the writes of it: an enum round, or -errno; -EINVAL without a sentence when complaints
 * were made. */
static int run_round(struct apply *a, struct err *e)
{
	CLEANUP_PLAN struct plan p = {0};
	int r = plan_make(a->store, a->manifests, &p, e);
	if (r != 0)
		return r > 0 ? -EINVAL : r;
	r = hold_pools(a, &p, e);
	if (r != 0)
		return r > 0 ? ROUND_AGAIN : r;
	r = write_steps(a, &p, e);
	if (r > 0)
		plan_warn(&p);
	return r < 0 ? r : r > 0 ? ROUND_COMPLETE : ROUND_LOST;
}

/* The pool is disabled, at this revision. */
static int delete_unused(
	struct apply *a, const struct inventory_item *item, int64_t revision, struct err *e)
{
	CLEANUP_INVENTORY struct inventory now = {0};
	char in_use[256];
	int r = inventory_blocks(a->store, &now, e);
	if (r < 0)
		return r;
	if (rules_count_blocks(now.blocks, now.n_blocks, &item->value->pool.pool.cidr, in_use) == 0)
		return write_doc(a, item->key, revision, NULL, e);
	(void)err_set(e, EBUSY,
		"somebody applied at the same moment what it does not go together with, and it "
		"has %s: it stays, disabled",
		in_use);
	err_details(e,
		"roostctl get all names what it meets; delete one of them when its blocks have "
		"come back");
	return -EBUSY;
}

/* Agents may have claimed of it already, so it goes as any other pool. */
static int take_back_pool(struct apply *a, const struct inventory_item *item, struct err *e)
{
	struct commit_hold hold = {.revision = 0};
	if (item->value->pool.disabled)
		return delete_unused(a, item, item->revision, e);
	int r = commit_hold(a->store, item, &hold, e);
	if (r > 0)
		r = delete_unused(a, item, hold.revision, e);
	commit_hold_done(&hold);
	return r;
}

/* What was lost goes, or is as before, unless somebody has changed it since. */
static int take_back(struct apply *a, const struct plan_step *step, struct err *e)
{
	struct outcome *o = &a->outcomes[step->manifest - a->manifests->list];
	int r = step->value.kind == RESOURCE_IPPOOL
			? take_back_pool(a, step->old, e)
			: write_doc(a, step->old->key, step->old->revision, o->before, e);
	if (r < 0)
		err_add(e, "%s", LABEL_STRING(step->value.kind, step->value.name));
	if (r > 0) {
		json_decref(o->before);
		*o = (struct outcome){.kind = PLAN_UNCHANGED};
		a->n_done--;
	}
	return r;
}

/* What was written is looked at afresh. 0: some of it was taken back. */
static int verify(struct apply *a, struct err *e)
{
	CLEANUP_PLAN struct plan p = {0};
	CLEANUP_FREE bool *lost = mem_new(a->manifests->n, sizeof(*lost));
	bool any = false;
	for (size_t i = 0; i < a->manifests->n; i++)
		any = any || a->recheck[i];
	int n = any ? plan_verify(a->store, a->manifests, a->recheck, lost, &p, e) : 0;
	int r = n;
	for (size_t i = 0; i < p.n && r >= 0 && n > 0; i++)
		if (lost[p.steps[i].manifest - a->manifests->list])
			r = take_back(a, &p.steps[i], e);
	if (n < 0)
		err_details(e, "whether what was applied goes together with what others applied at "
			       "the same moment is not known: apply it again");
	return r < 0 ? r : n == 0;
}

static int run_rounds(struct apply *a, struct err *e)
{
	int lost = 0;
	for (;;) {
		int r = run_round(a, e);
		if (r == ROUND_COMPLETE) {
			r = verify(a, e);
			if (r > 0)
				return 0;
			r = r < 0 ? r : ROUND_LOST;
		}
		if (r < 0)
			return r;
		lost += r == ROUND_LOST;
		if (lost > LOST_RACES_MAX)
			return err_set(
				e, EAGAIN, "somebody else keeps changing the same resources");
	}
}

/* After a failure the manifests that were not reached, or taken back, are not told of. */
static void print_results(const struct apply *a, bool json, bool failed)
{
	json_t *list = json ? json_array() : NULL;
	for (size_t i = 0; i < a->manifests->n; i++)
		if (!failed || a->outcomes[i].kind != PLAN_UNCHANGED)
			commit_report(list, a->manifests->list[i].resource.kind,
				a->manifests->list[i].resource.name, words[a->outcomes[i].kind]);
	if (list)
		output_json(list);
}

static int complain_failed(const struct apply *a)
{
	if (a->n_done == 0)
		return output_complain(a->unknown ? "whether something was changed is unknown"
						  : "nothing was changed");
	return output_complain("%s applied before that, %s: apply it again",
		COUNT_STRING(a->n_done, "resource was", "resources were"),
		a->unknown ? "of the next one it is unknown" : "the rest was not");
}

static int apply_manifests(const struct options *o, const struct manifests *m)
{
	CLEANUP_STORE struct store *store = NULL;
	CLEANUP_FREE struct outcome *outcomes = mem_new(m->n, sizeof(*outcomes));
	CLEANUP_FREE bool *recheck = mem_new(m->n, sizeof(*recheck));
	struct err e = {0};
	int r = config_make_store(o, &store, &e);
	if (r < 0)
		return output_error(&e);
	struct apply a = {.manifests = m, .store = store, .outcomes = outcomes, .recheck = recheck};
	r = run_rounds(&a, &e);
	if (r < 0 && *e.text)
		(void)output_error(&e);
	release_pools(&a);
	if (r == 0)
		commit_drop_guard(store);
	else if (a.n_done > 0 && verify(&a, &e) < 0)
		(void)output_error(&e);
	if (r == 0 || a.n_done > 0)
		print_results(&a, o->json, r < 0);
	for (size_t i = 0; i < m->n; i++)
		json_decref(outcomes[i].before);
	return r < 0 ? complain_failed(&a) : 0;
}

/* The files of the command line, judged; the exit status when that is all, else -1. */
static int read_manifests(const struct options *o, struct manifests *m)
{
	if (o->n_files == 0)
		return output_usage(o->command, "%s needs a file: -f FILE", o->command);
	if (manifests_read(o, m) > 0)
		return output_complain("nothing was changed");
	if (m->n == 0)
		return output_complain("no resource is in the files");
	return -1;
}

int apply_files(const struct options *o)
{
	CLEANUP_MANIFESTS struct manifests m = {0};
	int status = read_manifests(o, &m);
	return status >= 0 ? status : apply_manifests(o, &m);
}

/* Both sides of a change, as they may be shown, without what the store adds. before is null when there is
 * nothing. */
struct sides {
	json_t *before, *after;
};

static struct sides show_sides(const struct plan_step *step, bool secrets)
{
	json_t *old = step->old ? step->old->doc : NULL;
	bool good = step->old && step->old->value;
	CLEANUP_JSON json_t *before = good ? document_stored(old) : json_incref(old);
	CLEANUP_JSON json_t *after = document_stored(step->doc);
	if (secrets)
		return (struct sides){
			before ? json_incref(before) : json_null(), json_incref(after)};
	return (struct sides){
		before ? document_hide(before, NULL) : json_null(), document_hide(after, before)};
}

static void sides_done(struct sides *s)
{
	json_decref(s->before);
	json_decref(s->after);
}

static json_t *describe_step(const struct plan_step *step, const struct sides *s)
{
	const struct resource *r = &step->value;
	json_t *one = json_pack("{s:s, s:s, s:s}", "kind", resource_kind_text(r->kind), "name",
		r->name, "change", step->kind == PLAN_CREATE ? "create" : "configure");
	(void)json_object_set(one, "before", s->before);
	(void)json_object_set(one, "after", s->after);
	return one;
}

static void print_step(const struct plan_step *step, const struct sides *s)
{
	char before[INVENTORY_LABEL + 16];
	CLEANUP_FREE char *old = json_is_null(s->before) ? mem_strdup("") : yaml_text(s->before);
	CLEANUP_FREE char *new = yaml_text(s->after);
	(void)snprintf(before, sizeof(before), "store/%s",
		LABEL_STRING(step->value.kind, step->value.name));
	difference_print(stdout, step->old ? before : "/dev/null", old, step->manifest->file, new);
}

static int print_diff(const struct plan *p, const struct options *o)
{
	CLEANUP_JSON json_t *list = json_array();
	size_t changes = 0;
	for (size_t i = 0; i < p->n; i++) {
		if (p->steps[i].kind == PLAN_UNCHANGED)
			continue;
		struct sides s = show_sides(&p->steps[i], o->given & OPTION_SHOW_SECRETS);
		changes++;
		if (o->json)
			json_append(list, describe_step(&p->steps[i], &s));
		else
			print_step(&p->steps[i], &s);
		sides_done(&s);
	}
	if (o->json)
		output_json(json_incref(list));
	return changes > 0;
}

int diff_files(const struct options *o)
{
	CLEANUP_MANIFESTS struct manifests m = {0};
	CLEANUP_STORE struct store *store = NULL;
	CLEANUP_PLAN struct plan p = {0};
	struct err e = {0};
	if (read_manifests(o, &m) >= 0)
		return DIFF_TROUBLE;
	int r = config_open_store(o, &store, &e);
	if (r == 0)
		r = plan_make(store, &m, &p, &e);
	if (r < 0)
		(void)output_error(&e);
	if (r != 0)
		return DIFF_TROUBLE;
	plan_warn(&p);
	return print_diff(&p, o);
}
