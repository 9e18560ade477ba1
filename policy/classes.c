/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines and chains of policies are remembered by the policy, the direction and the pod's named ports where those
 * count, until the policy changes or no class uses them any more. NetworkPolicy never judges what a pod sends to its
 * own node; the other kinds do, with the same chains.
 *
 * Of a pod's policies those of its namespace and those of all namespaces are asked; places in the order of judgement,
 * sorted by namespace, are made anew with the first class behind a change of policies. A change of one policy is a
 * matter of the pods of its namespace, or of those that it selects or selected.
 *
 * A pod that reaches itself through a service is let be from the first NetworkPolicy of its class on: its packets
 * go out and in by one link. That is asked behind the policies that stand in a row with it, as few packets are such.
 */
#include "policy/classes.h"

#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"
#include "policy/lines.h"

#define LINES_COPIED 4 /* of a policy: a jump costs a packet more than they do */

struct class_made { /* the lines of a policy: few, or a chain; neither: it has none */
	enum policy_kind kind;
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME];
	struct policy_body *few; /* a reference */
	char chain[POLICY_OBJECT_NAME];
	bool needs_sets;
};

struct class_place { /* of a policy */
	const char *namespace;
	size_t at; /* in the order of judgement */
};

struct policy_classes {
	const struct policy_world *world;
	struct policy_members *members;
	struct policy_objects *objects;
	struct policy_table made;
	bool needs_sets;	    /* network sets stood in some class */
	struct class_place *places; /* sorted; NULL: to be made */
	size_t n_places;
};

struct class_writing {
	struct policy_classes *c;
	const struct policy_bearer *bearer;
	enum policy_way way;
	enum policy_direction direction;
	struct policy_draft draft;
};

struct policy_classes *policy_classes_new(
	const struct policy_world *w, struct policy_members *m, struct policy_objects *o)
{
	struct policy_classes *c = mem_new(1, sizeof(*c));
	c->world = w;
	c->members = m;
	c->objects = o;
	return c;
}

static void made_free(struct class_made *m)
{
	policy_body_unref(m->few);
	free(m);
}

void policy_classes_free(struct policy_classes *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->made.n; i++)
		made_free(c->made.v[i]);
	policy_table_done(&c->made);
	free(c->places);
	free(c);
}

/* Chains of policies */

static void made_drop(struct policy_classes *c, size_t at)
{
	made_free(c->made.v[at]);
	policy_table_remove(&c->made, at);
}

static void made_drop_of(struct policy_classes *c, const char *namespace, const char *name)
{
	for (size_t i = c->made.n; i-- > 0;) {
		const struct class_made *m = c->made.v[i];
		if (strcmp(m->name, name) == 0 && strcmp(m->namespace, namespace) == 0)
			made_drop(c, i);
	}
}

static void made_drop_with_sets(struct policy_classes *c)
{
	for (size_t i = c->made.n; i-- > 0;) {
		if (((struct class_made *)c->made.v[i])->needs_sets)
			made_drop(c, i);
	}
}

bool policy_classes_changed(
	struct policy_classes *c, const struct policy_change *changes, size_t n, bool everything)
{
	bool all = everything, policies = everything, sets = false;
	for (size_t i = c->made.n; everything && i-- > 0;)
		made_drop(c, i);
	for (size_t i = 0; i < n; i++) {
		const struct policy_change *change = &changes[i];
		if (change->what == POLICY_OBJECTS)
			made_drop_of(c, change->namespace, change->name);
		policies |= change->what == POLICY_OBJECTS;
		all |= change->what == POLICY_TIER;
		sets |= change->what == POLICY_NETSET || change->what == POLICY_NAMESPACE_OBJECT;
	}
	if (all || policies) {
		free(c->places);
		c->places = NULL;
	}
	if (!sets || !c->needs_sets)
		return all;
	made_drop_with_sets(c);
	return true;
}

void policy_classes_sweep(struct policy_classes *c)
{
	for (size_t i = c->made.n; i-- > 0;) {
		const struct class_made *m = c->made.v[i];
		bool stands =
			m->few ? policy_objects_have(c->objects, m->few)
			       : !m->chain[0] || policy_objects_has_chain(c->objects, m->chain);
		if (!stands)
			made_drop(c, i);
	}
}

static void made_key(
	const struct policy *p, const struct class_writing *w, bool ports, struct text *key)
{
	const struct policy_pod *pod = w->bearer->pod;
	text_add(key, "%d %d %s/%s", w->direction, p->kind, p->namespace, p->name);
	for (size_t i = 0; ports && i < pod->n_ports; i++)
		text_add(key, "\n%u %u %s", pod->ports[i].proto, pod->ports[i].first,
			pod->ports[i].name);
}

static struct policy_lines_for lines_for(const struct class_writing *w, const struct policy *p)
{
	return (struct policy_lines_for){.world = w->c->world,
		.members = w->c->members,
		.objects = w->c->objects,
		.policy = p,
		.direction = w->direction,
		.pod = w->bearer->pod};
}

static const struct class_made *made_of_policy(
	const struct class_writing *w, const struct policy *p)
{
	CLEANUP_TEXT struct text key = {0};
	made_key(p, w, policy_lines_need_ports(p, w->direction), &key);
	size_t at = policy_table_find(&w->c->made, key.buf, key.len);
	if (at != POLICY_TABLE_NONE)
		return w->c->made.v[at];
	struct class_made *m = mem_new(1, sizeof(*m));
	struct policy_draft draft = {0};
	const struct policy_lines_for l = lines_for(w, p);
	m->kind = p->kind;
	(void)text_copy(m->namespace, sizeof(m->namespace), p->namespace);
	(void)text_copy(m->name, sizeof(m->name), p->name);
	m->needs_sets = policy_lines_need_sets(p, w->direction);
	policy_lines_add(&l, &draft);
	if (draft.n > LINES_COPIED)
		policy_objects_chain(w->c->objects, 'p', &draft, m->chain);
	else if (draft.n > 0)
		m->few = policy_draft_body(&draft);
	policy_draft_done(&draft);
	(void)policy_table_add(&w->c->made, key.buf, key.len, m);
	return m;
}

/* Classes */

static int compare_places(const void *a, const void *b)
{
	const struct class_place *x = a, *y = b;
	int order = strcmp(x->namespace, y->namespace);
	return order ? order : (x->at > y->at) - (x->at < y->at);
}

static void places_make(struct policy_classes *c)
{
	size_t n;
	const struct policy *const *policies = policy_world_policies(c->world, &n);
	c->places = mem_new(n, sizeof(*c->places));
	c->n_places = n;
	for (size_t i = 0; i < n; i++)
		c->places[i] = (struct class_place){.namespace = policies[i]->namespace, .at = i};
	qsort(c->places, n, sizeof(*c->places), compare_places);
}

/* The policies of a namespace; "": of all. */
static const struct class_place *places_of(
	const struct policy_classes *c, const char *namespace, size_t *n)
{
	const struct class_place first = {.namespace = namespace};
	size_t begin =
		search_lower_bound(c->places, c->n_places, sizeof(first), &first, compare_places);
	size_t end = begin;
	while (end < c->n_places && strcmp(c->places[end].namespace, namespace) == 0)
		end++;
	*n = end - begin;
	return c->places + begin;
}

static bool selector_matches(const struct policy_selector *s, const struct policy_labels *l)
{
	return !s || policy_selector_matches(s, l);
}

static bool policy_selects_bearer(const struct policy *p, const struct policy_bearer *b)
{
	return !p->staged && selector_matches(p->pods, &b->pod->labels) &&
	       selector_matches(p->namespaces, &b->namespace) &&
	       selector_matches(p->accounts, &b->account);
}

/* Those that select the pod, in order. */
static const struct policy **class_policies(
	const struct policy_classes *c, const struct policy_bearer *b, size_t *n)
{
	size_t all, n_own, n_wide, i = 0, k = 0;
	const struct policy *const *policies = policy_world_policies(c->world, &all);
	const struct class_place *own = places_of(c, b->pod->namespace, &n_own);
	const struct class_place *wide = places_of(c, "", &n_wide);
	const struct policy **out = mem_new(n_own + n_wide, sizeof(struct policy *));
	*n = 0;
	while (i < n_own || k < n_wide) {
		bool is_own = k == n_wide || (i < n_own && own[i].at < wide[k].at);
		const struct policy *p = policies[is_own ? own[i++].at : wide[k++].at];
		if (policy_selects_bearer(p, b))
			out[(*n)++] = p;
	}
	return out;
}

static bool policy_concerns(const struct class_writing *w, const struct policy *p)
{
	return p->applies[w->direction] &&
	       (w->way != POLICY_WAY_TO_HOST || p->kind != POLICY_NETWORK);
}

static void draft_jump(struct policy_draft *d, const char *chain)
{
	struct policy_chain_rule rule = {.verdict = POLICY_VERDICT_JUMP};
	if (!chain[0])
		return;
	(void)text_copy(rule.chain, sizeof(rule.chain), chain);
	policy_draft_add(d, &rule, NULL);
}

static void draft_hairpin(struct policy_draft *d)
{
	struct policy_term_tests tests = {
		.n = 1, .v = {{.kind = POLICY_TEST_HAIRPIN, .set = POLICY_HAIRPIN_SET}}};
	policy_draft_add(d, &(struct policy_chain_rule){.verdict = POLICY_VERDICT_ACCEPT}, &tests);
}

/* The drop at the end of a tier, counted by what isolates. */
static void draft_isolation(const struct class_writing *w, const struct policy *const *policies,
	size_t n, struct policy_draft *d)
{
	static const char *const ways[POLICY_WAYS] = {"in", "out", "host"};
	struct policy_chain_rule rule = {.verdict = POLICY_VERDICT_DROP};
	CLEANUP_TEXT struct text who = {0};
	const char kind[] = {POLICY_COUNTS_ISOLATED, '\0'};
	text_add(&who, "%s", ways[w->way]);
	for (size_t i = 0; i < n; i++)
		text_add(&who, "\n%s", POLICY_STRING(policies[i]));
	policy_object_name(kind, who.buf, who.len, rule.counter);
	policy_objects_counter(w->c->objects, rule.counter, who.buf);
	struct text log = TEXT_ON(rule.log);
	text_add(&log, "%s %s", ways[w->way], rule.counter);
	policy_draft_add(d, &rule, NULL);
}

static void draft_policy(
	const struct class_writing *w, const struct policy *p, struct policy_draft *d)
{
	const struct class_made *m = made_of_policy(w, p);
	if (m->few)
		policy_draft_append(d, m->few);
	else
		draft_jump(d, m->chain);
}

/* Of NetworkPolicies that stand in a row the order does not count: they only allow. */
static bool is_last_of_run(const struct policy *const *policies, size_t n, size_t at)
{
	return at + 1 == n || policies[at + 1]->kind != POLICY_NETWORK;
}

static void tier_add(struct class_writing *w, const struct policy *const *policies, size_t n,
	struct policy_draft *d)
{
	bool is_hairpin_out = false;
	for (size_t i = 0; i < n; i++) {
		const struct policy *p = policies[i];
		w->c->needs_sets |= policy_lines_need_sets(p, w->direction);
		if (policy_lines_pass(p, w->direction)) {
			const struct policy_lines_for l = lines_for(w, p);
			policy_lines_add(&l, d);
		} else {
			draft_policy(w, p, d);
		}
		if (p->kind == POLICY_NETWORK && !is_hairpin_out &&
			is_last_of_run(policies, n, i)) {
			draft_hairpin(d);
			is_hairpin_out = true;
		}
	}
}

static bool tier_passes(
	const struct class_writing *w, const struct policy *const *policies, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (policy_lines_pass(policies[i], w->direction))
			return true;
	}
	return false;
}

static bool tier_denies(const struct policy_world *w, const char *name)
{
	size_t n;
	const struct policy_tier *tiers = policy_world_tiers(w, &n);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(tiers[i].name, name) == 0)
			return tiers[i].end == POLICY_DENY;
	}
	return true; /* a tier that is not described */
}

/* false: nothing goes on behind this tier. */
static bool class_add_tier(struct class_writing *w, const struct policy *const *policies, size_t n)
{
	bool denies = tier_denies(w->c->world, policies[0]->tier);
	bool passes = tier_passes(w, policies, n);
	struct policy_draft apart = {0};
	struct policy_draft *d = passes ? &apart : &w->draft;
	char chain[POLICY_OBJECT_NAME];
	tier_add(w, policies, n, d);
	if (denies)
		draft_isolation(w, policies, n, d);
	if (!passes)
		return !denies;
	policy_objects_chain(w->c->objects, 't', &apart, chain);
	policy_draft_done(&apart);
	draft_jump(&w->draft, chain);
	return true;
}

/* One way, of the policies that select the pod. */
static void class_make(struct class_writing *w, const struct policy *const *selecting,
	size_t n_selecting, char out[POLICY_OBJECT_NAME])
{
	CLEANUP_FREE const struct policy **policies = mem_new(n_selecting, sizeof(struct policy *));
	size_t n = 0, begin = 0;
	bool goes_on = true;
	for (size_t i = 0; i < n_selecting; i++) {
		if (policy_concerns(w, selecting[i]))
			policies[n++] = selecting[i];
	}
	while (goes_on && begin < n) {
		size_t end = begin + 1;
		while (end < n && strcmp(policies[end]->tier, policies[begin]->tier) == 0)
			end++;
		goes_on = class_add_tier(w, &policies[begin], end - begin);
		begin = end;
	}
	out[0] = '\0';
	if (w->draft.n > 0 && goes_on)
		policy_draft_add(&w->draft,
			&(struct policy_chain_rule){.verdict = POLICY_VERDICT_ACCEPT}, NULL);
	if (w->draft.n > 0)
		policy_objects_chain(w->c->objects, 'c', &w->draft, out);
	policy_draft_done(&w->draft);
}

/* A hash that two names share costs a class that is made anew in vain. */
static uint32_t wide_id(const char *name)
{
	const struct hash h = hash_of(name, strlen(name));
	uint32_t id;
	memcpy(&id, &h, sizeof(id));
	return id;
}

static void class_remember(struct policy_class *c, const struct policy *const *policies, size_t n)
{
	c->wide.n = 0;
	for (size_t i = 0; i < n; i++) {
		if (policies[i]->namespace[0])
			continue;
		c->wide.v = mem_grow(c->wide.v, &c->wide.room, c->wide.n, sizeof(*c->wide.v));
		c->wide.v[c->wide.n++] = wide_id(policies[i]->name);
	}
}

void policy_class_done(struct policy_class *c)
{
	free(c->wide.v);
	*c = (struct policy_class){0};
}

void policy_classes_make(
	struct policy_classes *c, const struct policy_bearer *b, struct policy_class *out)
{
	size_t n;
	if (!c->places)
		places_make(c);
	CLEANUP_FREE const struct policy **policies = class_policies(c, b, &n);
	class_remember(out, policies, n);
	for (int way = 0; way < POLICY_WAYS; way++) {
		struct class_writing w = {.c = c,
			.bearer = b,
			.way = (enum policy_way)way,
			.direction = way == POLICY_WAY_IN ? POLICY_INGRESS : POLICY_EGRESS};
		class_make(&w, policies, n, out->names[way]);
	}
}

/* A policy of all namespaces: it selected the pod, or does now. */
static bool is_touched_by_wide(const struct policy_classes *c, const char *name,
	const struct policy_bearer *b, const struct policy_class *was)
{
	size_t n;
	const struct policy *const *policies = policy_world_policies_of(c->world, "", &n);
	uint32_t id = wide_id(name);
	for (size_t i = 0; i < was->wide.n; i++) {
		if (was->wide.v[i] == id)
			return true;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(policies[i]->name, name) == 0 && policy_selects_bearer(policies[i], b))
			return true;
	}
	return false;
}

bool policy_classes_touched(const struct policy_classes *c, const struct policy_change *change,
	const struct policy_bearer *b, const struct policy_class *was)
{
	const char *own = b->pod->namespace;
	if (change->what == POLICY_NAMESPACE_OBJECT)
		return strcmp(change->name, own) == 0;
	if (change->what == POLICY_ACCOUNT)
		return strcmp(change->namespace, own) == 0;
	if (change->what != POLICY_OBJECTS)
		return false;
	return change->namespace[0] ? strcmp(change->namespace, own) == 0
				    : is_touched_by_wide(c, change->name, b, was);
}
