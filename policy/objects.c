/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three tables by name: sets (of fixed content, or of a group of members), chains, counters. Each entry has the
 * number of the compilation that used it last. Whoever keeps the name of a chain (compile.c does, of each policy's) must let
 * it go when a compilation did not use it, as the sweep does here.
 */
#include "policy/objects.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "policy/table.h"

struct object_group {
	struct policy_group *group;
	bool opens, closes;
	unsigned int users; /* sets of it that stand in the table */
};
struct object_set {
	struct policy_set set; /* elements: NULL in the set of a group */
	struct object_group *of;
	uint64_t used;
};
struct object_chain {
	struct policy_chain chain;
	uint64_t used;
};
struct object_counter {
	char name[POLICY_OBJECT_NAME];
	char *text;
	uint64_t used;
};

struct policy_objects {
	struct policy_members *members;
	struct policy_table sets, chains, counters;
	uint64_t now; /* the compilation at hand */
	bool has_hairpin;
};

static void *object_find(const struct policy_table *t, const char *name)
{
	size_t at = policy_table_find(t, name, strlen(name));
	return at == POLICY_TABLE_NONE ? NULL : t->v[at];
}

static void object_put(struct policy_table *t, const char *name, void *value)
{
	(void)policy_table_add(t, name, strlen(name), value);
}

struct policy_objects *policy_objects_new(struct policy_members *m)
{
	struct policy_objects *o = mem_new(1, sizeof(*o));
	o->members = m;
	return o;
}

/* A group whose last set went goes, too. */
static void set_free(struct policy_objects *o, struct object_set *s)
{
	policy_elements_unref(s->set.elements);
	if (s->of && --s->of->users == 0) {
		policy_members_drop(o->members, s->of->group);
		free(s->of);
	}
	free(s);
}

static void chain_free(struct object_chain *c)
{
	policy_body_unref(c->chain.body);
	free(c);
}

static void counter_free(struct object_counter *c)
{
	free(c->text);
	free(c);
}

void policy_objects_free(struct policy_objects *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->sets.n; i++)
		set_free(o, o->sets.v[i]);
	for (size_t i = 0; i < o->chains.n; i++)
		chain_free(o->chains.v[i]);
	for (size_t i = 0; i < o->counters.n; i++)
		counter_free(o->counters.v[i]);
	policy_table_done(&o->sets);
	policy_table_done(&o->chains);
	policy_table_done(&o->counters);
	free(o);
}

/* Takes the elements. */
static void set_of_content(struct policy_objects *o, const char *kind, const struct policy_set *set,
	char out[POLICY_OBJECT_NAME])
{
	const struct policy_elements *e = set->elements;
	policy_object_name(kind, e->bytes, e->n * e->stride, out);
	if (object_find(&o->sets, out)) {
		policy_elements_unref(set->elements);
		return;
	}
	struct object_set *s = mem_new(1, sizeof(*s));
	s->set = *set;
	(void)text_copy(s->set.name, sizeof(s->set.name), out);
	object_put(&o->sets, out, s);
}

void policy_objects_nets(struct policy_objects *o, enum family f, struct policy_elements *e,
	char out[POLICY_OBJECT_NAME])
{
	struct policy_set set = {.kind = POLICY_SET_NETS, .family = f, .elements = e};
	set_of_content(o, f == IPV4 ? "b4" : "b6", &set, out);
}

void policy_objects_ports(
	struct policy_objects *o, struct policy_elements *e, char out[POLICY_OBJECT_NAME])
{
	struct policy_set set = {.kind = POLICY_SET_PORTS, .elements = e};
	set_of_content(o, "q", &set, out);
}

void policy_objects_chain(struct policy_objects *o, char kind, const struct policy_draft *d,
	char out[POLICY_OBJECT_NAME])
{
	policy_draft_name(d, kind, out);
	if (object_find(&o->chains, out))
		return;
	struct object_chain *c = mem_new(1, sizeof(*c));
	c->chain.body = policy_draft_body(d);
	c->chain.rules = c->chain.body->rules;
	c->chain.n = c->chain.body->n;
	(void)text_copy(c->chain.name, sizeof(c->chain.name), out);
	object_put(&o->chains, out, c);
}

bool policy_objects_has_chain(const struct policy_objects *o, const char *chain)
{
	return object_find(&o->chains, chain) != NULL;
}

void policy_objects_group(struct policy_objects *o, struct policy_group *g, bool opens, bool closes)
{
	struct object_set *known = object_find(&o->sets, policy_group_name(g, IPV4));
	struct object_group *of = known ? known->of : mem_new(1, sizeof(*of));
	of->group = g;
	of->opens |= opens;
	of->closes |= closes;
	for (int f = IPV4; !known && f < FAMILIES; f++) {
		struct object_set *s = mem_new(1, sizeof(*s));
		s->set.kind = policy_group_kind(g);
		s->set.family = (enum family)f;
		s->of = of;
		of->users++;
		(void)text_copy(
			s->set.name, sizeof(s->set.name), policy_group_name(g, (enum family)f));
		object_put(&o->sets, s->set.name, s);
	}
}

void policy_objects_counter(struct policy_objects *o, const char *name, const char *text)
{
	if (object_find(&o->counters, name))
		return;
	struct object_counter *c = mem_new(1, sizeof(*c));
	(void)text_copy(c->name, sizeof(c->name), name);
	c->text = mem_strdup(text);
	object_put(&o->counters, name, c);
}

const char *policy_objects_explain(const struct policy_objects *o, const char *counter)
{
	const struct object_counter *c = object_find(&o->counters, counter);
	return c ? c->text : NULL;
}

/* Marks */

void policy_objects_begin(struct policy_objects *o)
{
	o->now++;
	o->has_hairpin = false;
}

static void use_set(struct policy_objects *o, const char *name)
{
	struct object_set *s = object_find(&o->sets, name);
	if (s)
		s->used = o->now;
	else if (strcmp(name, POLICY_HAIRPIN_SET) == 0)
		o->has_hairpin = true;
}

/* What a counter or the prefix of a log ("in d_...") names. */
static void use_counter(struct policy_objects *o, const char *name)
{
	struct object_counter *c = object_find(&o->counters, name);
	if (c)
		c->used = o->now;
}

/* Chains refer to chains: class, tier, policy; no deeper, and never in a circle, as names are of content. */
void policy_objects_use(struct policy_objects *o, const char *chain)
{
	struct object_chain *c = chain[0] ? object_find(&o->chains, chain) : NULL;
	if (!c || c->used == o->now)
		return;
	c->used = o->now;
	for (size_t i = 0; i < c->chain.n; i++) {
		const struct policy_chain_rule *r = &c->chain.rules[i];
		const char *logged = strchr(r->log, ' ');
		for (size_t k = 0; k < r->n_tests; k++) {
			if (r->tests[k].set[0])
				use_set(o, r->tests[k].set);
		}
		use_counter(o, r->counter);
		if (logged)
			use_counter(o, logged + 1);
		policy_objects_use(o, r->chain);
	}
}

static bool has_all_of(const struct policy_objects *o, const struct policy_chain_rule *r)
{
	const char *logged = strchr(r->log, ' ');
	for (size_t i = 0; i < r->n_tests; i++) {
		if (r->tests[i].set[0] && !object_find(&o->sets, r->tests[i].set))
			return false;
	}
	return (!r->counter[0] || object_find(&o->counters, r->counter)) &&
	       (!logged || object_find(&o->counters, logged + 1));
}

bool policy_objects_have(const struct policy_objects *o, const struct policy_body *lines)
{
	for (size_t i = 0; i < lines->n; i++) {
		if (!has_all_of(o, &lines->rules[i]))
			return false;
	}
	return true;
}

/* What was used */

static int compare_names(const void *a, const void *b) /* each begins with its name */
{
	return strcmp(a, b);
}

static void emit_sets(const struct policy_objects *o, struct policy_ruleset *out)
{
	out->sets = mem_new(o->sets.n + 1, sizeof(*out->sets)); /* and the hairpin set */
	for (size_t i = 0; i < o->sets.n; i++) {
		const struct object_set *s = o->sets.v[i];
		if (s->used != o->now)
			continue;
		struct policy_set *set = &out->sets[out->n_sets++];
		*set = s->set;
		set->elements = policy_elements_ref(
			s->of ? policy_group_elements(s->of->group, set->family) : s->set.elements);
	}
	qsort(out->sets, out->n_sets, sizeof(*out->sets), compare_names);
}

static void emit_chains(const struct policy_objects *o, struct policy_ruleset *out)
{
	out->chains = mem_new(o->chains.n, sizeof(*out->chains));
	for (size_t i = 0; i < o->chains.n; i++) {
		const struct object_chain *c = o->chains.v[i];
		if (c->used != o->now)
			continue;
		out->chains[out->n_chains] = c->chain;
		out->chains[out->n_chains++].body = policy_body_ref(c->chain.body);
	}
	qsort(out->chains, out->n_chains, sizeof(*out->chains), compare_names);
}

bool policy_objects_emit(const struct policy_objects *o, struct policy_ruleset *out)
{
	emit_sets(o, out);
	emit_chains(o, out);
	out->counters = mem_new(o->counters.n, sizeof(*out->counters));
	for (size_t i = 0; i < o->counters.n; i++) {
		const struct object_counter *c = o->counters.v[i];
		if (c->used == o->now)
			memcpy(out->counters[out->n_counters++], c->name, sizeof(c->name));
	}
	qsort(out->counters, out->n_counters, sizeof(*out->counters), compare_names);
	return o->has_hairpin;
}

bool policy_objects_forbid(const struct policy_objects *o)
{
	for (size_t i = 0; i < o->sets.n; i++) {
		const struct object_set *s = o->sets.v[i];
		if (s->of && s->used == o->now &&
			((s->of->opens && policy_group_lost(s->of->group)) ||
				(s->of->closes && policy_group_gained(s->of->group))))
			return true;
	}
	return false;
}

static bool group_is_used(const struct policy_objects *o, const struct object_set *s)
{
	if (!s->of)
		return false;
	for (int f = IPV4; f < FAMILIES; f++) {
		const struct object_set *set =
			object_find(&o->sets, policy_group_name(s->of->group, (enum family)f));
		if (set && set->used == o->now)
			return true;
	}
	return false;
}

void policy_objects_sweep(struct policy_objects *o)
{
	for (size_t i = o->sets.n; i-- > 0;) {
		struct object_set *s = o->sets.v[i];
		if (s->used == o->now || group_is_used(o, s))
			continue;
		policy_table_remove(&o->sets, i);
		set_free(o, s);
	}
	for (size_t i = o->chains.n; i-- > 0;) {
		struct object_chain *c = o->chains.v[i];
		if (c->used == o->now)
			continue;
		policy_table_remove(&o->chains, i);
		chain_free(c);
	}
	for (size_t i = o->counters.n; i-- > 0;) {
		struct object_counter *c = o->counters.v[i];
		if (c->used == o->now)
			continue;
		policy_table_remove(&o->counters, i);
		counter_free(c);
	}
}
