/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster as values. Each kind of object is a table by "namespace NUL name" (policy/table.h) that owns its
 * values; beside each key stand the source that told it and the number of that source's list in which it was
 * told last. The end of a list drops what has an older number, and nothing else does: a list that never ends
 * takes nothing away.
 *
 * Addresses have a table of their own: which pods claim one. A pod that is over or on the host claims none. Of
 * several claimants the youngest owns the address, by its time of creation; of the same second, the one that
 * was seen last. A claim that comes or goes is a change of the other claimants too, as their ownership may
 * have changed.
 *
 * The order of judgement (tiers, and policies sorted by them) is made anew when it is asked for behind a
 * change of policies or tiers; pods come and go without it. Who judges many connections asks for the policies of one
 * namespace, so that those of the thousand others cost nothing. A tier that policies name and nobody has described
 * stands last and denies: what cannot be placed shall not open anything.
 */
#include "policy/world.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "policy/table.h"

struct world_claim {
	const struct policy_pod *pod;
	uint64_t seen; /* when this pod was first seen, in the world's own count */
};
struct world_claims { /* of one address: the owner first */
	struct world_claim *v;
	size_t n, room;
};

struct world_pod {
	struct policy_pod pod; /* first: tables hold pointers to it */
	uint64_t seen;
};

struct world_policies {
	const struct policy **v;
	size_t n;
};

struct world_order {
	bool is_stale;
	const struct policy **policies;
	size_t n_policies;
	struct policy_table
		of_namespaces; /* struct world_policies, owned; made when it is asked for */
	struct policy_tier *tiers;
	size_t n_tiers, room;
};

struct policy_world {
	struct {
		bool is_under_way, is_told;
		uint32_t mark;
	} lists[POLICY_SOURCES];
	struct policy_table tables[POLICY_OBJECTS + 1]; /* the last: policies */
	struct policy_table addresses;			/* struct world_claims, owned */
	struct world_order *order;
	uint64_t seen;
	struct policy_change *changes; /* names owned */
	size_t n_changes;
	bool everything, was_asked;
};

static const struct policy_tier world_tiers[] = {
	{POLICY_TIER_ADMIN, 1000, POLICY_PASS},
	{POLICY_TIER_DEFAULT, 1e6, POLICY_DENY},
	{POLICY_TIER_BASELINE, 1e7, POLICY_PASS},
};

/* Keys of tables. */

struct world_key {
	char bytes[POLICY_NAMESPACE + POLICY_NAME + 2];
	size_t len;
};

static void key_add(struct world_key *k, const char *s)
{
	size_t len = strlen(s);
	size_t room = sizeof(k->bytes) - k->len - 1;
	if (len > room)
		len = room; /* a name that no object can have: it is not found */
	memcpy(k->bytes + k->len, s, len);
	k->len += len;
	k->bytes[k->len++] = '\0';
}

static struct world_key object_key(const char *namespace, const char *name)
{
	struct world_key k = {0};
	key_add(&k, namespace);
	key_add(&k, name);
	return k;
}

static struct world_key policy_key(
	enum policy_kind kind, bool staged, const char *namespace, const char *name)
{
	struct world_key k = {.bytes = {(char)('0' + kind), staged ? 's' : '-'}, .len = 2};
	key_add(&k, namespace);
	key_add(&k, name);
	return k;
}

static size_t world_find(const struct policy_table *t, const struct world_key *k)
{
	return policy_table_find(t, k->bytes, k->len);
}

static void *world_get(const struct policy_world *w, enum policy_object what, const char *namespace,
	const char *name)
{
	struct world_key k = object_key(namespace, name);
	const struct policy_table *t = &w->tables[what];
	size_t at = world_find(t, &k);
	return at == POLICY_TABLE_NONE ? NULL : t->v[at];
}

/* Changes. */

static void changes_clear(struct policy_world *w)
{
	for (size_t i = 0; i < w->n_changes; i++) {
		free((char *)w->changes[i].namespace);
		free((char *)w->changes[i].name);
	}
	w->n_changes = 0;
	w->everything = false;
	w->was_asked = false;
}

static void change_add(
	struct policy_world *w, enum policy_object what, const char *namespace, const char *name)
{
	if (w->was_asked)
		changes_clear(w);
	if (w->everything)
		return;
	if (w->n_changes == POLICY_CHANGES) {
		changes_clear(w);
		w->everything = true;
		return;
	}
	w->changes[w->n_changes++] = (struct policy_change){
		.what = what, .namespace = mem_strdup(namespace), .name = mem_strdup(name)};
}

size_t policy_world_changes(
	struct policy_world *w, const struct policy_change **out, bool *everything)
{
	if (w->was_asked)
		changes_clear(w);
	w->was_asked = true;
	*everything = w->everything;
	*out = w->changes;
	return w->n_changes;
}

/* Values: their end, and whether they are as they were. */

static void pod_value_done(struct policy_pod *p)
{
	free((void *)p->labels.v);
	free(p->ports);
}

static bool world_labels_equal(const struct policy_labels *a, const struct policy_labels *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++) {
		if (strcmp(a->v[i].key, b->v[i].key) != 0 ||
			strcmp(a->v[i].value, b->v[i].value) != 0)
			return false;
	}
	return a->n == b->n;
}

static bool pod_ports_equal(const struct policy_pod *a, const struct policy_pod *b)
{
	for (size_t i = 0; a->n_ports == b->n_ports && i < a->n_ports; i++) {
		const struct policy_port *x = &a->ports[i];
		const struct policy_port *y = &b->ports[i];
		if (x->proto != y->proto || x->first != y->first || strcmp(x->name, y->name) != 0)
			return false;
	}
	return a->n_ports == b->n_ports;
}

static bool pods_equal(const struct policy_pod *a, const struct policy_pod *b)
{
	for (size_t i = 0; a->n_addrs == b->n_addrs && i < a->n_addrs; i++) {
		if (!addr_equal(&a->addrs[i], &b->addrs[i]))
			return false;
	}
	return a->n_addrs == b->n_addrs && strcmp(a->uid, b->uid) == 0 &&
	       strcmp(a->node, b->node) == 0 && strcmp(a->account, b->account) == 0 &&
	       a->created_s == b->created_s && a->on_host == b->on_host &&
	       a->is_over == b->is_over && world_labels_equal(&a->labels, &b->labels) &&
	       pod_ports_equal(a, b);
}

static bool netsets_equal(const struct policy_netset *a, const struct policy_netset *b)
{
	for (size_t i = 0; a->n_nets == b->n_nets && i < a->n_nets; i++) {
		if (!cidr_equal(&a->nets[i], &b->nets[i]))
			return false;
	}
	return a->n_nets == b->n_nets && world_labels_equal(&a->labels, &b->labels);
}

/* Claims of addresses. */

static bool claim_is_before(const struct world_claim *a, const struct world_claim *b)
{
	if (a->pod->created_s != b->pod->created_s)
		return a->pod->created_s > b->pod->created_s;
	return a->seen > b->seen;
}

static void claimants_changed(struct policy_world *w, const struct world_claims *c)
{
	for (size_t i = 0; i < c->n; i++)
		change_add(w, POLICY_POD, c->v[i].pod->namespace, c->v[i].pod->name);
}

/* An address as a key: its family and its bytes. */
static size_t addr_key(const struct addr *a, uint8_t out[17])
{
	out[0] = a->family;
	memcpy(out + 1, a->bytes, 16);
	return 17;
}

static void address_claim(
	struct policy_world *w, const struct addr *a, const struct world_claim *claim)
{
	uint8_t key[17];
	size_t len = addr_key(a, key);
	size_t at = policy_table_find(&w->addresses, key, len);
	if (at == POLICY_TABLE_NONE)
		at = policy_table_add(
			&w->addresses, key, len, mem_new(1, sizeof(struct world_claims)));
	struct world_claims *c = w->addresses.v[at];
	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i].pod == claim->pod)
			return; /* a pod that names an address twice */
	}
	claimants_changed(w, c);
	c->v = mem_grow(c->v, &c->room, c->n, sizeof(*c->v));
	size_t place = 0;
	while (place < c->n && claim_is_before(&c->v[place], claim))
		place++;
	memmove(&c->v[place + 1], &c->v[place], (c->n - place) * sizeof(*c->v));
	c->v[place] = *claim;
	c->n++;
}

static void address_unclaim(
	struct policy_world *w, const struct addr *a, const struct policy_pod *pod)
{
	uint8_t key[17];
	size_t at = policy_table_find(&w->addresses, key, addr_key(a, key));
	if (at == POLICY_TABLE_NONE)
		return;
	struct world_claims *c = w->addresses.v[at];
	size_t place = 0;
	while (place < c->n && c->v[place].pod != pod)
		place++;
	if (place == c->n)
		return;
	memmove(&c->v[place], &c->v[place + 1], (c->n - place - 1) * sizeof(*c->v));
	c->n--;
	claimants_changed(w, c);
	if (c->n)
		return;
	free(c->v);
	free(c);
	policy_table_remove(&w->addresses, at);
}

static void pod_claim(struct policy_world *w, const struct world_pod *p)
{
	if (p->pod.is_over || p->pod.on_host)
		return;
	for (size_t i = 0; i < p->pod.n_addrs; i++)
		address_claim(w, &p->pod.addrs[i],
			&(struct world_claim){.pod = &p->pod, .seen = p->seen});
}

static void pod_unclaim(struct policy_world *w, const struct policy_pod *p)
{
	for (size_t i = 0; i < p->n_addrs; i++)
		address_unclaim(w, &p->addrs[i], p);
}

/* The end of objects. */

static void value_free(size_t what, void *value)
{
	if (what == POLICY_POD) {
		pod_value_done(value);
	} else if (what == POLICY_NAMESPACE_OBJECT) {
		free((void *)((struct policy_namespace *)value)->labels.v);
	} else if (what == POLICY_ACCOUNT) {
		free((void *)((struct policy_account *)value)->labels.v);
	} else if (what == POLICY_NETSET) {
		free((void *)((struct policy_netset *)value)->labels.v);
		free(((struct policy_netset *)value)->nets);
	} else if (what == POLICY_OBJECTS) {
		policy_free(value);
		return;
	}
	free(value);
}

/* The names in an object's key; a policy's begin behind its kind. */
static void world_remove(struct policy_world *w, size_t what, size_t at)
{
	struct policy_table *t = &w->tables[what];
	void *value = t->v[at];
	const char *namespace = (const char *)t->keys[at].bytes + (what == POLICY_OBJECTS ? 2 : 0);
	if (what == POLICY_POD)
		pod_unclaim(w, value);
	if (what == POLICY_OBJECTS || what == POLICY_TIER)
		w->order->is_stale = true;
	change_add(w, (enum policy_object)what, namespace, namespace + strlen(namespace) + 1);
	policy_table_remove(t, at);
	value_free(what, value);
}

/* Life. */

static void order_forget_namespaces(struct world_order *o)
{
	for (size_t i = 0; i < o->of_namespaces.n; i++) {
		free(((struct world_policies *)o->of_namespaces.v[i])->v);
		free(o->of_namespaces.v[i]);
	}
	policy_table_done(&o->of_namespaces);
}

struct policy_world *policy_world_new(void)
{
	struct policy_world *w = mem_new(1, sizeof(*w));
	w->order = mem_new(1, sizeof(*w->order));
	w->order->is_stale = true;
	w->changes = mem_new(POLICY_CHANGES, sizeof(*w->changes));
	return w;
}

void policy_world_free(struct policy_world *w)
{
	if (!w)
		return;
	for (size_t what = 0; what <= POLICY_OBJECTS; what++) {
		for (size_t i = 0; i < w->tables[what].n; i++)
			value_free(what, w->tables[what].v[i]);
		policy_table_done(&w->tables[what]);
	}
	for (size_t i = 0; i < w->addresses.n; i++) {
		free(((struct world_claims *)w->addresses.v[i])->v);
		free(w->addresses.v[i]);
	}
	policy_table_done(&w->addresses);
	order_forget_namespaces(w->order);
	free(w->order->policies);
	free(w->order->tiers);
	free(w->order);
	changes_clear(w);
	free(w->changes);
	free(w);
}

void policy_world_begin(struct policy_world *w, enum policy_source s)
{
	w->lists[s].is_under_way = true;
	w->lists[s].mark++;
}

void policy_world_end(struct policy_world *w, enum policy_source s)
{
	if (!w->lists[s].is_under_way)
		return;
	w->lists[s].is_under_way = false;
	w->lists[s].is_told = true;
	for (size_t what = 0; what <= POLICY_OBJECTS; what++) {
		const struct policy_table *t = &w->tables[what];
		for (size_t i = t->n; i-- > 0;) { /* removal moves the last one: it was seen */
			if (t->keys[i].source == s && t->keys[i].mark != w->lists[s].mark)
				world_remove(w, what, i);
		}
	}
}

bool policy_world_is_told(const struct policy_world *w, enum policy_source s)
{
	return w->lists[s].is_told;
}

/* Putting. The place of an object in its table, told by s now; *value: what stands there, NULL when it is new and
 * the caller has to set it. */
static void **world_place(struct policy_world *w, enum policy_source s, size_t what,
	const struct world_key *k, bool *is_new)
{
	struct policy_table *t = &w->tables[what];
	size_t at = world_find(t, k);
	*is_new = at == POLICY_TABLE_NONE;
	if (*is_new)
		at = policy_table_add(t, k->bytes, k->len, NULL);
	t->keys[at].source = s;
	t->keys[at].mark = w->lists[s].mark;
	return &t->v[at];
}

bool policy_world_put_pod(struct policy_world *w, enum policy_source s, struct policy_pod *pod)
{
	struct world_key k = object_key(pod->namespace, pod->name);
	bool is_new = false;
	void **place = world_place(w, s, POLICY_POD, &k, &is_new);
	if (is_new)
		*place = mem_new(1, sizeof(struct world_pod));
	struct world_pod *p = *place;
	bool changed = is_new || !pods_equal(&p->pod, pod);
	if (changed) {
		pod_unclaim(w, &p->pod);
		if (is_new || strcmp(p->pod.uid, pod->uid) != 0)
			p->seen = ++w->seen;
		pod_value_done(&p->pod);
		p->pod = *pod;
		pod_claim(w, p);
		change_add(w, POLICY_POD, p->pod.namespace, p->pod.name);
	} else {
		pod_value_done(pod);
	}
	*pod = (struct policy_pod){0};
	return changed;
}

bool policy_world_put_namespace(struct policy_world *w, struct policy_namespace *n)
{
	struct world_key k = object_key("", n->name);
	bool is_new = false;
	void **place = world_place(w, POLICY_FROM_NAMESPACES, POLICY_NAMESPACE_OBJECT, &k, &is_new);
	if (is_new)
		*place = mem_new(1, sizeof(*n));
	struct policy_namespace *old = *place;
	bool changed = is_new || !world_labels_equal(&old->labels, &n->labels);
	free((void *)old->labels.v);
	*old = *n;
	*n = (struct policy_namespace){0};
	if (changed)
		change_add(w, POLICY_NAMESPACE_OBJECT, "", old->name);
	return changed;
}

bool policy_world_put_account(struct policy_world *w, struct policy_account *a)
{
	struct world_key k = object_key(a->namespace, a->name);
	bool is_new = false;
	void **place = world_place(w, POLICY_FROM_ACCOUNTS, POLICY_ACCOUNT, &k, &is_new);
	if (is_new)
		*place = mem_new(1, sizeof(*a));
	struct policy_account *old = *place;
	bool changed = is_new || !world_labels_equal(&old->labels, &a->labels);
	free((void *)old->labels.v);
	*old = *a;
	*a = (struct policy_account){0};
	if (changed)
		change_add(w, POLICY_ACCOUNT, old->namespace, old->name);
	return changed;
}

bool policy_world_put_netset(struct policy_world *w, struct policy_netset *n)
{
	struct world_key k = object_key(n->namespace, n->name);
	bool is_new = false;
	void **place = world_place(w, POLICY_FROM_STORE, POLICY_NETSET, &k, &is_new);
	if (is_new)
		*place = mem_new(1, sizeof(*n));
	struct policy_netset *old = *place;
	bool changed = is_new || !netsets_equal(old, n);
	free((void *)old->labels.v);
	free(old->nets);
	*old = *n;
	*n = (struct policy_netset){0};
	if (changed)
		change_add(w, POLICY_NETSET, old->namespace, old->name);
	return changed;
}

bool policy_world_put_policy(struct policy_world *w, enum policy_source s, struct policy *p)
{
	struct world_key k = policy_key(p->kind, p->staged, p->namespace, p->name);
	bool is_new = false;
	void **place = world_place(w, s, POLICY_OBJECTS, &k, &is_new);
	if (!is_new && policy_equal(*place, p)) {
		policy_free(p);
		return false;
	}
	policy_free(*place);
	*place = p;
	w->order->is_stale = true;
	change_add(w, POLICY_OBJECTS, p->namespace, p->name);
	return true;
}

bool policy_world_put_tier(struct policy_world *w, const struct policy_tier *t)
{
	struct world_key k = object_key("", t->name);
	bool is_new = false;
	void **place = world_place(w, POLICY_FROM_STORE, POLICY_TIER, &k, &is_new);
	if (is_new)
		*place = mem_new(1, sizeof(*t));
	struct policy_tier *old = *place;
	bool changed = is_new || old->order != t->order || old->end != t->end;
	*old = *t;
	if (changed) {
		w->order->is_stale = true;
		change_add(w, POLICY_TIER, "", old->name);
	}
	return changed;
}

static bool world_drop(
	struct policy_world *w, enum policy_source s, size_t what, const struct world_key *k)
{
	size_t at = world_find(&w->tables[what], k);
	if (at == POLICY_TABLE_NONE ||
		(s != POLICY_SOURCES && w->tables[what].keys[at].source != s))
		return false;
	world_remove(w, what, at);
	return true;
}

bool policy_world_drop(struct policy_world *w, enum policy_source s, enum policy_object what,
	const char *namespace, const char *name)
{
	struct world_key k = object_key(namespace, name);
	return world_drop(w, s, what, &k);
}

bool policy_world_drop_policy(struct policy_world *w, enum policy_kind kind, bool staged,
	const char *namespace, const char *name)
{
	struct world_key k = policy_key(kind, staged, namespace, name);
	return world_drop(w, POLICY_SOURCES, POLICY_OBJECTS, &k);
}

/* Look-ups. */

const struct policy_pod *policy_world_pod(
	const struct policy_world *w, const char *namespace, const char *name)
{
	return world_get(w, POLICY_POD, namespace, name);
}

const struct policy_pod *policy_world_owner(const struct policy_world *w, const struct addr *a)
{
	uint8_t key[17];
	size_t at = policy_table_find(&w->addresses, key, addr_key(a, key));
	if (at == POLICY_TABLE_NONE)
		return NULL;
	return ((const struct world_claims *)w->addresses.v[at])->v[0].pod;
}

const struct policy_namespace *policy_world_namespace(
	const struct policy_world *w, const char *name)
{
	return world_get(w, POLICY_NAMESPACE_OBJECT, "", name);
}

const struct policy_account *policy_world_account(
	const struct policy_world *w, const char *namespace, const char *name)
{
	return world_get(w, POLICY_ACCOUNT, namespace, name);
}

const struct policy_pod *const *policy_world_pods(const struct policy_world *w, size_t *n)
{
	*n = w->tables[POLICY_POD].n;
	return (const struct policy_pod *const *)w->tables[POLICY_POD].v;
}

const struct policy_namespace *const *policy_world_namespaces(
	const struct policy_world *w, size_t *n)
{
	*n = w->tables[POLICY_NAMESPACE_OBJECT].n;
	return (const struct policy_namespace *const *)w->tables[POLICY_NAMESPACE_OBJECT].v;
}

const struct policy_netset *const *policy_world_netsets(const struct policy_world *w, size_t *n)
{
	*n = w->tables[POLICY_NETSET].n;
	return (const struct policy_netset *const *)w->tables[POLICY_NETSET].v;
}

/* The order of judgement. */

static void order_add_tier(
	struct world_order *o, struct policy_table *known, const struct policy_tier *t)
{
	size_t len = strlen(t->name);
	if (policy_table_find(known, t->name, len) != POLICY_TABLE_NONE)
		return;
	o->tiers = mem_grow(o->tiers, &o->room, o->n_tiers, sizeof(*o->tiers));
	o->tiers[o->n_tiers++] = *t;
	(void)policy_table_add(known, t->name, len, NULL);
}

static int compare_numbers(double a, double b)
{
	return (a > b) - (a < b);
}

static int compare_tiers(const void *a, const void *b)
{
	const struct policy_tier *x = a;
	const struct policy_tier *y = b;
	int order = compare_numbers(x->order, y->order);
	return order ? order : strcmp(x->name, y->name);
}

/* A policy and what it is sorted by; its tier's rank costs a search, so it is made once. */
struct order_policy {
	size_t tier;
	const struct policy *policy;
};

static int compare_policies(const void *a, const void *b)
{
	const struct order_policy *x = a;
	const struct order_policy *y = b;
	if (x->tier != y->tier)
		return x->tier < y->tier ? -1 : 1;
	int order = compare_numbers(x->policy->order, y->policy->order);
	if (!order)
		order = (int)x->policy->kind - (int)y->policy->kind;
	if (!order)
		order = strcmp(x->policy->namespace, y->policy->namespace);
	if (!order)
		order = strcmp(x->policy->name, y->policy->name);
	return order ? order : (int)x->policy->staged - (int)y->policy->staged;
}

static void order_sort_policies(struct world_order *o, const struct policy_table *t)
{
	struct policy_table ranks = {0};
	for (size_t i = 0; i < o->n_tiers; i++)
		(void)policy_table_add(&ranks, o->tiers[i].name, strlen(o->tiers[i].name), NULL);
	CLEANUP_FREE struct order_policy *sorted = mem_new(t->n, sizeof(*sorted));
	for (size_t i = 0; i < t->n; i++) {
		const struct policy *p = t->v[i];
		sorted[i] = (struct order_policy){
			.tier = policy_table_find(&ranks, p->tier, strlen(p->tier)), .policy = p};
	}
	policy_table_done(&ranks);
	qsort(sorted, t->n, sizeof(*sorted), compare_policies);
	free(o->policies);
	o->policies = mem_new(t->n, sizeof(struct policy *));
	o->n_policies = t->n;
	for (size_t i = 0; i < t->n; i++)
		o->policies[i] = sorted[i].policy;
}

static struct world_order *world_order(const struct policy_world *w)
{
	struct world_order *o = w->order;
	if (!o->is_stale)
		return o;
	o->is_stale = false;
	order_forget_namespaces(o);
	o->n_tiers = 0;
	struct policy_table known = {0};
	const struct policy_table *stored = &w->tables[POLICY_TIER];
	for (size_t i = 0; i < stored->n; i++)
		order_add_tier(o, &known, stored->v[i]);
	for (size_t i = 0; i < sizeof(world_tiers) / sizeof(world_tiers[0]); i++)
		order_add_tier(o, &known, &world_tiers[i]);
	const struct policy_table *policies = &w->tables[POLICY_OBJECTS];
	for (size_t i = 0; i < policies->n; i++) {
		struct policy_tier implied = {.order = POLICY_ORDER_LAST, .end = POLICY_DENY};
		text_copy(implied.name, sizeof(implied.name),
			((const struct policy *)policies->v[i])->tier);
		order_add_tier(o, &known, &implied);
	}
	policy_table_done(&known);
	qsort(o->tiers, o->n_tiers, sizeof(*o->tiers), compare_tiers);
	order_sort_policies(o, policies);
	return o;
}

const struct policy *const *policy_world_policies(const struct policy_world *w, size_t *n)
{
	const struct world_order *o = world_order(w);
	*n = o->n_policies;
	return o->policies;
}

static struct world_policies *order_of_namespace(const struct world_order *o, const char *namespace)
{
	struct world_policies *p = mem_new(1, sizeof(*p));
	p->v = mem_new(o->n_policies, sizeof(struct policy *));
	for (size_t i = 0; i < o->n_policies; i++) {
		const char *own = o->policies[i]->namespace;
		if (!own[0] || strcmp(own, namespace) == 0)
			p->v[p->n++] = o->policies[i];
	}
	return p;
}

const struct policy *const *policy_world_policies_of(
	const struct policy_world *w, const char *namespace, size_t *n)
{
	struct world_order *o = world_order(w);
	size_t len = strlen(namespace);
	size_t at = policy_table_find(&o->of_namespaces, namespace, len);
	if (at == POLICY_TABLE_NONE)
		at = policy_table_add(
			&o->of_namespaces, namespace, len, order_of_namespace(o, namespace));
	const struct world_policies *p = o->of_namespaces.v[at];
	*n = p->n;
	return p->v;
}

const struct policy_tier *policy_world_tiers(const struct policy_world *w, size_t *n)
{
	const struct world_order *o = world_order(w);
	*n = o->n_tiers;
	return o->tiers;
}
