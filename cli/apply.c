/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl apply and diff. Everything is read and judged first; then the changes are committed, in
 * one transaction when they fit, else in several, in the order of the files. Each round begins with
 * a new look at the store, so a round that somebody else's change has stopped is simply done again,
 * and what an earlier round has written is unchanged for the next.
 *
 * A pool that gets another cidr or block size is held (disabled) for a round, see cli/commit.c; if
 * the blocks counted then forbid the change, it is put back as it was.
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
#include "cli/config.h"
#include "cluster/document.h"
#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/yaml.h"

#define LOST_RACES_MAX 10
#define HOLDS_MAX 64 /* pools that move in one apply */

struct apply {
	const struct manifests *manifests;
	struct store *store;
	enum plan_kind *results; /* of each manifest, as far as we are */
	struct commit_hold holds[HOLDS_MAX];
	size_t n_holds;
	size_t n_done; /* changes committed */
	bool unknown;  /* whether the last ones were */
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

/* As many changes as fit into one transaction; *end is behind the last one. */
static size_t apply_fill(struct commit *c, const struct plan *p, size_t *end)
{
	size_t changes = 0;
	bool guarded = false;
	for (*end = 0; *end < p->n; (*end)++) {
		const struct plan_step *step = &p->steps[*end];
		char key[STORE_KEY_MAX];
		if (step->kind == PLAN_UNCHANGED)
			continue;
		keys_resource(step->value.kind, step->value.name, key);
		if (!commit_add(c, key, step->old ? step->old->revision : 0, step->doc))
			break;
		guarded = guarded || step->guarded;
		changes++;
	}
	if (guarded)
		commit_add_guard(c, p->inventory.guard);
	return changes;
}

static void apply_note(struct apply *a, const struct plan *p, size_t end)
{
	for (size_t i = 0; i < end; i++) {
		const struct plan_step *step = &p->steps[i];
		if (step->kind == PLAN_UNCHANGED)
			continue;
		a->results[step->manifest - a->manifests->list] = step->kind;
		a->n_done++;
		if (step->old)
			drop_hold(a, step->old->key);
	}
}

enum round { ROUND_AGAIN, ROUND_LOST, ROUND_COMPLETE };

/* One look and one transaction: an enum round, or -errno; -EINVAL without a sentence when complaints
 * were made. */
static int run_round(struct apply *a, struct err *e)
{
	CLEANUP_PLAN struct plan p = {0};
	CLEANUP_COMMIT struct commit c = {.n = 0};
	size_t end = 0;
	int r = plan_make(a->store, a->manifests, &p, e);
	if (r != 0)
		return r > 0 ? -EINVAL : r;
	r = hold_pools(a, &p, e);
	if (r != 0)
		return r > 0 ? ROUND_AGAIN : r;
	if (apply_fill(&c, &p, &end) == 0) {
		plan_warn(&p);
		return ROUND_COMPLETE;
	}
	r = commit_run(&c, a->store, e);
	a->unknown = r == -ETIMEDOUT;
	if (r <= 0)
		return r < 0 ? r : ROUND_LOST;
	apply_note(a, &p, end);
	if (end == p.n)
		plan_warn(&p);
	return end < p.n ? ROUND_AGAIN : ROUND_COMPLETE;
}

static int run_rounds(struct apply *a, struct err *e)
{
	int lost = 0;
	for (;;) {
		int r = run_round(a, e);
		if (r < 0 || r == ROUND_COMPLETE)
			return r < 0 ? r : 0;
		lost += r == ROUND_LOST;
		if (lost > LOST_RACES_MAX)
			return err_set(
				e, EAGAIN, "somebody else keeps changing the same resources");
	}
}

static void print_results(const struct apply *a, bool json, bool failed)
{
	json_t *list = json ? json_array() : NULL;
	for (size_t i = 0; i < a->manifests->n; i++)
		if (!failed || a->results[i] != PLAN_UNCHANGED)
			commit_report(list, a->manifests->list[i].resource.kind,
				a->manifests->list[i].resource.name, words[a->results[i]]);
	if (list)
		output_json(list);
}

static int apply_manifests(const struct options *o, const struct manifests *m)
{
	CLEANUP_STORE struct store *store = NULL;
	CLEANUP_FREE enum plan_kind *results = mem_new(m->n, sizeof(*results));
	struct err e = {0};
	int r = config_make_store(o, &store, &e);
	if (r < 0)
		return output_error(&e);
	struct apply a = {.manifests = m, .store = store, .results = results};
	r = run_rounds(&a, &e);
	release_pools(&a);
	if (r == 0 || a.n_done > 0)
		print_results(&a, o->json, r < 0);
	if (r == 0)
		return 0;
	if (*e.text)
		(void)output_error(&e);
	if (a.n_done > 0)
		return output_complain(
			"%zu resources were applied before that, the rest was not", a.n_done);
	return output_complain(
		a.unknown ? "whether something was changed is unknown" : "nothing was changed");
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

/* Both sides of a change, as they may be shown. before is null when there is nothing. */
struct sides {
	json_t *before, *after;
};

static struct sides show_sides(const struct plan_step *step, bool secrets)
{
	json_t *old = step->old ? step->old->doc : NULL;
	if (secrets)
		return (struct sides){old ? json_incref(old) : json_null(), json_incref(step->doc)};
	return (struct sides){
		old ? document_hide(old, NULL) : json_null(), document_hide(step->doc, old)};
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
	int status = read_manifests(o, &m);
	if (status >= 0)
		return status;
	int r = config_open_store(o, &store, &e);
	if (r == 0)
		r = plan_make(store, &m, &p, &e);
	if (r < 0)
		return output_error(&e);
	if (r > 0)
		return 1;
	plan_warn(&p);
	return print_diff(&p, o);
}
