/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compilation takes the changes of the world to those who keep something by it (members, classes), gives every
 * local pod its classes, settles the members, and writes down the objects in use.
 *
 *   members  which addresses are of which selectors   (policy/members.h, terms and index in policy/term.h)
 *   lines    rules of policies as rules of chains     (policy/lines.h, arithmetic in policy/ranges.h)
 *   classes  policies of a pod as a chain             (policy/classes.h)
 *   objects  sets and chains by name, what is in use  (policy/objects.h)
 *
 * Of each local pod a copy is kept, so that it is judged as it was when its object is gone and its link is not. Its classes
 * are made anew when the copy changes, or the labels of its namespace or account, or a policy that selects it or did.
 */
#include "policy/compile.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/search.h"
#include "policy/classes.h"
#include "policy/members.h"
#include "policy/objects.h"
#include "policy/table.h"
#include "policy/term.h"

#define TITLES_TOLD 4 /* policies of a counter that people are told of */

struct local_pod {
	struct policy_local local;
	struct policy_pod pod; /* the copy */
	bool is_known;	       /* there is one */
	bool is_made;	       /* classes are right */
	struct policy_class classes;
	uint64_t seen; /* the compilation that had it */
};

struct local_gates {		 /* what ADD has to know */
	struct policy_closed *v; /* sorted */
	size_t n;
	bool is_made;
};

struct policy_compiler {
	struct policy_world *world;
	struct policy_members *members;
	struct policy_objects *objects;
	struct policy_classes *classes;
	struct policy_table locals;
	uint64_t now;
	struct policy_dispatch *last; /* the dispatch of the last rule set */
	size_t n_last;
	struct policy_elements *hairpin;
	struct local_gates gates;
	bool forbids;
};

struct policy_compiler *policy_compiler_new(struct policy_world *w)
{
	struct policy_compiler *c = mem_new(1, sizeof(*c));
	c->world = w;
	c->members = policy_members_new(w);
	c->objects = policy_objects_new(c->members);
	c->classes = policy_classes_new(w, c->members, c->objects);
	return c;
}

/* The copy of a pod */

static void copy_done(struct policy_pod *p)
{
	free((void *)p->labels.v);
	free(p->ports);
	*p = (struct policy_pod){0};
}

/* In one block, as labels of a world are. */
static struct policy_labels copy_labels(const struct policy_labels *l)
{
	size_t bytes = l->n * sizeof(*l->v);
	for (size_t i = 0; i < l->n; i++)
		bytes += strlen(l->v[i].key) + strlen(l->v[i].value) + 2;
	struct policy_label *v = mem_new(1, bytes + 1);
	char *at = (char *)&v[l->n];
	for (size_t i = 0; i < l->n; i++) {
		size_t key = strlen(l->v[i].key) + 1, value = strlen(l->v[i].value) + 1;
		v[i].key = memcpy(at, l->v[i].key, key);
		v[i].value = memcpy(at + key, l->v[i].value, value);
		at += key + value;
	}
	return (struct policy_labels){.v = v, .n = l->n};
}

static void copy_pod(const struct policy_pod *from, struct policy_pod *to)
{
	copy_done(to);
	*to = *from;
	to->labels = copy_labels(&from->labels);
	to->ports = mem_new(from->n_ports, sizeof(*from->ports));
	if (from->n_ports > 0)
		memcpy(to->ports, from->ports, from->n_ports * sizeof(*from->ports));
}

/* In what classes depend on. */
static bool copy_is_of(const struct policy_pod *copy, const struct policy_pod *pod)
{
	if (strcmp(copy->account, pod->account) != 0 || copy->labels.n != pod->labels.n ||
		copy->n_ports != pod->n_ports)
		return false;
	for (size_t i = 0; i < pod->labels.n; i++) {
		if (strcmp(copy->labels.v[i].key, pod->labels.v[i].key) != 0 ||
			strcmp(copy->labels.v[i].value, pod->labels.v[i].value) != 0)
			return false;
	}
	for (size_t i = 0; i < pod->n_ports; i++) {
		if (copy->ports[i].proto != pod->ports[i].proto ||
			copy->ports[i].first != pod->ports[i].first ||
			strcmp(copy->ports[i].name, pod->ports[i].name) != 0)
			return false;
	}
	return true;
}

/* Local pods */

static void local_free(struct local_pod *l)
{
	copy_done(&l->pod);
	policy_class_done(&l->classes);
	free(l);
}

/* A link is known by its index, a staged pod by its uid. */
static struct local_pod *local_place(struct policy_compiler *c, const struct policy_local *local)
{
	char key[sizeof(local->uid) + sizeof(local->name) + sizeof(local->namespace) + 16];
	struct text t = TEXT_ON(key);
	text_add(&t, "%d %s/%s %s", local->link, local->namespace, local->name, local->uid);
	size_t at = policy_table_find(&c->locals, key, t.len);
	if (at != POLICY_TABLE_NONE)
		return c->locals.v[at];
	struct local_pod *l = mem_new(1, sizeof(*l));
	(void)policy_table_add(&c->locals, key, t.len, l);
	return l;
}

/* The pod's object: NULL when there is none, or it is another pod of that name. */
static const struct policy_pod *local_object(
	const struct policy_compiler *c, const struct policy_local *local)
{
	const struct policy_pod *pod = policy_world_pod(c->world, local->namespace, local->name);
	if (!pod || pod->on_host)
		return NULL;
	bool is_other = local->uid[0] && pod->uid[0] && strcmp(local->uid, pod->uid) != 0;
	return is_other ? NULL : pod;
}

static void local_look(struct policy_compiler *c, struct local_pod *l)
{
	const struct policy_pod *pod = local_object(c, &l->local);
	if (!pod || (l->is_known && copy_is_of(&l->pod, pod)))
		return;
	copy_pod(pod, &l->pod);
	l->is_known = true;
	l->is_made = false;
}

static void locals_look(struct policy_compiler *c, const struct policy_local *locals, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct local_pod *l = local_place(c, &locals[i]);
		l->local = locals[i];
		l->seen = c->now;
		local_look(c, l);
	}
	for (size_t i = c->locals.n; i-- > 0;) {
		struct local_pod *l = c->locals.v[i];
		if (l->seen == c->now)
			continue;
		policy_table_remove(&c->locals, i);
		local_free(l);
	}
}

/* Addresses that this node gave out. */
static void locals_give(struct policy_compiler *c)
{
	struct policy_given *given = NULL;
	size_t n = 0, room = 0;
	for (size_t i = 0; i < c->locals.n; i++) {
		const struct policy_local *l = &((struct local_pod *)c->locals.v[i])->local;
		for (size_t k = 0; k < l->n_addrs; k++) {
			given = mem_grow(given, &room, n, sizeof(*given));
			struct policy_given *g = &given[n++];
			g->addr = l->addrs[k];
			(void)text_copy(g->namespace, sizeof(g->namespace), l->namespace);
			(void)text_copy(g->name, sizeof(g->name), l->name);
			(void)text_copy(g->uid, sizeof(g->uid), l->uid);
		}
	}
	policy_members_give(c->members, given, n);
	free(given);
}

/* Classes that these changes touch. */
static void locals_spoil(
	struct policy_compiler *c, const struct policy_change *changes, size_t n, bool all)
{
	for (size_t i = 0; i < c->locals.n; i++) {
		struct local_pod *l = c->locals.v[i];
		struct policy_bearer b = policy_bearer_of(c->world, &l->pod);
		l->is_made &= !all;
		for (size_t k = 0; k < n && l->is_made; k++)
			l->is_made =
				!policy_classes_touched(c->classes, &changes[k], &b, &l->classes);
	}
}

static void locals_make(struct policy_compiler *c)
{
	for (size_t i = 0; i < c->locals.n; i++) {
		struct local_pod *l = c->locals.v[i];
		struct policy_bearer b = policy_bearer_of(c->world, &l->pod);
		if (l->is_known && !l->is_made)
			policy_classes_make(c->classes, &b, &l->classes);
		for (int way = 0; l->is_known && way < POLICY_WAYS; way++)
			policy_objects_use(c->objects, l->classes.names[way]);
		l->is_made = l->is_known;
	}
}

/* What ADD has to know */

static int compare_closed(const void *a, const void *b) /* each begins with its namespace */
{
	return strcmp(a, b);
}

static void closed_join(bool to[POLICY_WAYS], const bool ways[POLICY_WAYS])
{
	for (int way = 0; way < POLICY_WAYS; way++)
		to[way] |= ways[way];
}

static void closed_add(struct policy_table *t, const char *namespace, const bool ways[POLICY_WAYS])
{
	size_t len = strlen(namespace);
	size_t at = policy_table_find(t, namespace, len);
	struct policy_closed *of = at < t->n ? t->v[at] : NULL;
	if (!of) {
		of = mem_new(1, sizeof(*of));
		(void)text_copy(of->namespace, sizeof(of->namespace), namespace);
		(void)policy_table_add(t, namespace, len, of);
	}
	closed_join(of->ways, ways);
}

/* What pods send to their own node is judged by all kinds but Kubernetes' own. */
static void closed_by(const struct policy *p, bool ways[POLICY_WAYS])
{
	ways[POLICY_WAY_IN] |= p->applies[POLICY_INGRESS];
	ways[POLICY_WAY_OUT] |= p->applies[POLICY_EGRESS];
	ways[POLICY_WAY_TO_HOST] |= p->applies[POLICY_EGRESS] && p->kind != POLICY_NETWORK;
}

/* The table's values, sorted, in place of what was there. */
static void closed_take(struct policy_table *t, struct local_gates *g)
{
	free(g->v);
	*g = (struct local_gates){.v = mem_new(t->n, sizeof(*g->v)), .n = t->n, .is_made = true};
	for (size_t i = 0; i < t->n; i++) {
		g->v[i] = *(struct policy_closed *)t->v[i];
		free(t->v[i]);
	}
	policy_table_done(t);
	qsort(g->v, g->n, sizeof(*g->v), compare_closed);
}

/* Policies of all namespaces: what of this one they may select, of which nothing is in out before. labels NULL: one
 * that is not known, which may have any. */
static void closed_by_wide(const struct policy *const *wide, size_t n_wide,
	const struct policy_labels *labels, bool out[POLICY_WAYS])
{
	for (size_t i = 0; i < n_wide && !(out[POLICY_WAY_IN] && out[POLICY_WAY_TO_HOST]); i++) {
		const struct policy *p = wide[i];
		bool is_news = false;
		for (int d = 0; d < POLICY_DIRECTIONS; d++)
			is_news |= p->applies[d] && !out[d];
		if (!is_news || (labels && p->namespaces &&
					!policy_selector_matches(p->namespaces, labels)))
			continue;
		closed_by(p, out);
	}
}

static void closed_make(const struct policy_world *w, struct local_gates *g)
{
	bool unknown[POLICY_WAYS] = {false};
	size_t n, n_namespaces, n_wide = 0;
	const struct policy *const *policies = policy_world_policies(w, &n);
	const struct policy_namespace *const *namespaces =
		policy_world_namespaces(w, &n_namespaces);
	CLEANUP_FREE const struct policy **wide = mem_new(n, sizeof(struct policy *));
	struct policy_table t = {0};
	for (size_t i = 0; i < n; i++) {
		bool ways[POLICY_WAYS] = {false};
		closed_by(policies[i], ways);
		if (!policies[i]->staged && !policies[i]->namespace[0])
			wide[n_wide++] = policies[i];
		else if (!policies[i]->staged)
			closed_add(&t, policies[i]->namespace, ways);
	}
	closed_by_wide(wide, n_wide, NULL, unknown);
	if (unknown[POLICY_WAY_IN] || unknown[POLICY_WAY_OUT]) {
		for (size_t i = 0; i < n_namespaces; i++)
			closed_add(&t, namespaces[i]->name, (bool[POLICY_WAYS]){false});
		for (size_t i = 0; i < t.n; i++) {
			struct policy_closed *of = t.v[i];
			const struct policy_namespace *known =
				policy_world_namespace(w, of->namespace);
			bool ways[POLICY_WAYS] = {false};
			closed_by_wide(wide, n_wide, known ? &known->labels : NULL, ways);
			closed_join(of->ways, ways);
		}
		closed_add(&t, "", unknown);
	}
	closed_take(&t, g);
}

static void closed_look(
	struct policy_compiler *c, const struct policy_change *changes, size_t n, bool everything)
{
	bool stale = everything;
	for (size_t i = 0; i < n; i++)
		stale |= changes[i].what == POLICY_OBJECTS ||
			 changes[i].what == POLICY_NAMESPACE_OBJECT;
	if (stale || !c->gates.is_made)
		closed_make(c->world, &c->gates);
}

/* The rule set */

static int compare_dispatch(const void *a, const void *b)
{
	const struct policy_dispatch *x = a, *y = b;
	return (x->link > y->link) - (x->link < y->link);
}

static int compare_staged(const void *a, const void *b) /* each begins with its uid */
{
	return strcmp(a, b);
}

static void name_copy(char out[POLICY_OBJECT_NAME], const char *name)
{
	(void)text_copy(out, POLICY_OBJECT_NAME, name);
}

static void emit_dispatch(const struct policy_compiler *c, struct policy_ruleset *out)
{
	out->dispatch = mem_new(c->locals.n, sizeof(*out->dispatch));
	out->staged = mem_new(c->locals.n, sizeof(*out->staged));
	for (size_t i = 0; i < c->locals.n; i++) {
		const struct local_pod *l = c->locals.v[i];
		if (!l->is_known)
			continue;
		if (l->local.link > 0) {
			struct policy_dispatch *d = &out->dispatch[out->n_dispatch++];
			d->link = l->local.link;
			name_copy(d->egress, l->classes.names[POLICY_WAY_OUT]);
			name_copy(d->ingress, l->classes.names[POLICY_WAY_IN]);
			name_copy(d->to_host, l->classes.names[POLICY_WAY_TO_HOST]);
		} else if (l->local.uid[0]) {
			struct policy_staged *s = &out->staged[out->n_staged++];
			(void)text_copy(s->uid, sizeof(s->uid), l->local.uid);
			name_copy(s->egress, l->classes.names[POLICY_WAY_OUT]);
			name_copy(s->ingress, l->classes.names[POLICY_WAY_IN]);
			name_copy(s->to_host, l->classes.names[POLICY_WAY_TO_HOST]);
		}
	}
	qsort(out->dispatch, out->n_dispatch, sizeof(*out->dispatch), compare_dispatch);
	qsort(out->staged, out->n_staged, sizeof(*out->staged), compare_staged);
}

static int compare_pairs(const void *a, const void *b)
{
	return memcmp(a, b, 2 * sizeof(int));
}

/* Every link of the dispatch with itself. */
static void emit_hairpin(struct policy_compiler *c, struct policy_ruleset *out)
{
	struct policy_elements *e = policy_elements_new(out->n_dispatch, 2 * sizeof(int));
	for (size_t i = 0; i < e->n; i++) {
		const int pair[] = {out->dispatch[i].link, out->dispatch[i].link};
		memcpy(e->bytes + i * sizeof(pair), pair, sizeof(pair));
	}
	qsort(e->bytes, e->n, e->stride, compare_pairs);
	if (c->hairpin && c->hairpin->n == e->n &&
		memcmp(c->hairpin->bytes, e->bytes, e->n * e->stride) == 0) {
		policy_elements_unref(e);
	} else {
		policy_elements_unref(c->hairpin);
		c->hairpin = e;
	}
	const struct policy_set set = {.name = POLICY_HAIRPIN_SET,
		.kind = POLICY_SET_LINK_PAIRS,
		.elements = policy_elements_ref(c->hairpin)};
	size_t at = 0;
	while (at < out->n_sets && strcmp(out->sets[at].name, set.name) < 0)
		at++;
	memmove(&out->sets[at + 1], &out->sets[at], (out->n_sets - at) * sizeof(set));
	out->sets[at] = set;
	out->n_sets++;
}

/* Two links of one index cannot be; a record that is behind its time would make them. The later one counts. */
static void dispatch_settle(struct policy_ruleset *out)
{
	size_t n = 0;
	for (size_t i = 0; i < out->n_dispatch; i++) {
		if (n > 0 && out->dispatch[n - 1].link == out->dispatch[i].link)
			n--;
		out->dispatch[n++] = out->dispatch[i];
	}
	out->n_dispatch = n;
}

static bool is_narrower(const char *before, const char *now)
{
	return now[0] && strcmp(before, now) != 0;
}

static bool dispatch_forbids(const struct policy_compiler *c, const struct policy_ruleset *now)
{
	static const struct policy_dispatch open;
	for (size_t i = 0; i < now->n_dispatch; i++) {
		const struct policy_dispatch *d = &now->dispatch[i];
		const struct policy_dispatch *was =
			search_find(c->last, c->n_last, sizeof(*d), d, compare_dispatch);
		if (!was)
			was = &open;
		if (is_narrower(was->egress, d->egress) || is_narrower(was->ingress, d->ingress) ||
			is_narrower(was->to_host, d->to_host))
			return true;
	}
	return false;
}

static void remember_dispatch(struct policy_compiler *c, const struct policy_ruleset *now)
{
	free(c->last);
	c->last = mem_new(now->n_dispatch, sizeof(*c->last));
	c->n_last = now->n_dispatch;
	if (c->n_last > 0)
		memcpy(c->last, now->dispatch, c->n_last * sizeof(*c->last));
}

/* Some policy that is enforced is there: pods that it selects may come at any time. */
static bool world_has_policies(const struct policy_world *w)
{
	size_t n;
	const struct policy *const *policies = policy_world_policies(w, &n);
	for (size_t i = 0; i < n; i++) {
		const struct policy *p = policies[i];
		if (!p->staged && (p->applies[POLICY_INGRESS] || p->applies[POLICY_EGRESS]))
			return true;
	}
	return false;
}

void policy_compile(struct policy_compiler *c, const struct policy_local *locals, size_t n,
	struct policy_ruleset *out)
{
	const struct policy_change *changes;
	bool everything;
	size_t n_changes = policy_world_changes(c->world, &changes, &everything);
	everything |= c->now++ == 0; /* what was told before there was this compiler */
	closed_look(c, changes, n_changes, everything);
	policy_members_changed(c->members, changes, n_changes, everything);
	bool all = policy_classes_changed(c->classes, changes, n_changes, everything);
	locals_spoil(c, changes, n_changes, all);
	locals_look(c, locals, n);
	locals_give(c);
	policy_objects_begin(c->objects);
	locals_make(c);
	policy_members_settle(c->members);
	*out = (struct policy_ruleset){.is_used = world_has_policies(c->world)};
	emit_dispatch(c, out);
	dispatch_settle(out);
	if (policy_objects_emit(c->objects, out))
		emit_hairpin(c, out);
	c->forbids = dispatch_forbids(c, out) || policy_objects_forbid(c->objects);
	remember_dispatch(c, out);
	policy_objects_sweep(c->objects);
	policy_classes_sweep(c->classes);
}

bool policy_compiler_forbids(const struct policy_compiler *c)
{
	return c->forbids;
}

bool policy_compiler_counted(
	const struct policy_compiler *c, const char *counter, struct policy_counted *out)
{
	const char *logged = strchr(counter, ' '); /* a prefix: the way, then the counter */
	const char *name = logged ? logged + 1 : counter;
	const char *about = policy_objects_explain(c->objects, name);
	if (!about)
		return false;
	*out = (struct policy_counted){.kind = name[0], .titles = about};
	if (out->kind == POLICY_COUNTS_ISOLATED) {
		size_t way = strcspn(about, "\n");
		struct text t = TEXT_ON(out->way);
		text_add_bytes(&t, about, way);
		out->titles = about + way + (about[way] == '\n');
	}
	return true;
}

bool policy_compiler_explain_counter(
	const struct policy_compiler *c, const char *counter, struct text *out)
{
	struct policy_counted about;
	size_t n = 0;
	if (!policy_compiler_counted(c, counter, &about))
		return false;
	for (const char *at = about.titles; *at; n++) {
		size_t len = strcspn(at, "\n");
		if (n < TITLES_TOLD) {
			text_add(out, "%s", n > 0 ? ", " : "");
			text_add_bytes(out, at, len);
		}
		at += len + (at[len] == '\n');
	}
	if (n > TITLES_TOLD)
		text_add(out, " and %zu more", n - TITLES_TOLD);
	return true;
}

size_t policy_compiler_closed(const struct policy_compiler *c, struct policy_closed **out)
{
	size_t n = c->gates.n;
	*out = mem_new(n, sizeof(**out));
	if (n > 0)
		memcpy(*out, c->gates.v, n * sizeof(**out));
	return n;
}

void policy_compiler_free(struct policy_compiler *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->locals.n; i++)
		local_free(c->locals.v[i]);
	policy_table_done(&c->locals);
	free(c->gates.v);
	policy_classes_free(c->classes);
	policy_objects_free(c->objects);
	policy_members_free(c->members);
	policy_elements_unref(c->hairpin);
	free(c->last);
	free(c);
}
