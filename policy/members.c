/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For each address that is a pod's there is a record of the groups that it is in. A change makes addresses
 * dirty: those that the changed pod claimed when it was last seen, those that it claims now, those that this
 * node gave it. A dirty address is judged anew: its pod, the groups whose terms match, the difference to its record.
 * Each group in the difference gets the address on its list of pending ones, and settling makes its sorted
 * elements anew in one pass, however many addresses changed. When nothing came of it, the elements stay the same
 * pointer.
 *
 * A new group has no members before it settles: a few are tested for every address, of many the index finds
 * those that match.
 *
 * Elements begin with their address, so those of one address stand together.
 */
#include "policy/members.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "policy/term.h"

#define FRESH_BY_INDEX 16 /* new groups from which on the index finds their members */
#define PORT_BYTES 8	  /* of an element behind its address */

struct addr_list {
	struct addr *v;
	size_t n, room;
};

struct policy_group {
	uint32_t id;
	char *key; /* what it is of */
	char names[FAMILIES][POLICY_OBJECT_NAME];
	enum policy_set_kind kind;
	struct policy_term *terms;
	size_t n_terms;
	struct policy_elements *elements[FAMILIES];
	struct addr_list pending;
	bool is_fresh, lost, gained;
};

struct member_record { /* of an address that is a pod's */
	struct addr addr;
	uint32_t *groups; /* ids, sorted */
	size_t n, room;
	struct hash ports; /* named ports of its pod */
};

struct member_claims { /* the addresses of a pod when it was last looked at */
	struct addr addrs[POLICY_ADDRESSES];
	size_t n;
};

struct policy_members {
	const struct policy_world *world;
	struct policy_table keys;     /* groups by key */
	struct policy_group **groups; /* by id; NULL: free */
	size_t n_groups, room;
	size_t n_fresh;
	struct policy_index index;
	struct policy_table records, claims;
	struct policy_given *given; /* sorted */
	size_t n_given;
	struct addr_list dirty;
	struct policy_ids found; /* of the address that is looked at */
};

static void list_add(struct addr_list *l, const struct addr *a)
{
	l->v = mem_grow(l->v, &l->room, l->n, sizeof(*l->v));
	l->v[l->n++] = *a;
}

static void list_settle(struct addr_list *l) /* sorted, each once */
{
	size_t n = 0;
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), addr_compare_first);
	for (size_t i = 0; i < l->n; i++) {
		if (n == 0 || !addr_equal(&l->v[i], &l->v[n - 1]))
			l->v[n++] = l->v[i];
	}
	l->n = n;
}

/* Groups */

struct policy_members *policy_members_new(const struct policy_world *w)
{
	struct policy_members *m = mem_new(1, sizeof(*m));
	m->world = w;
	return m;
}

static void group_free(struct policy_group *g)
{
	for (size_t i = 0; i < g->n_terms; i++)
		policy_term_done(&g->terms[i]);
	for (int f = IPV4; f < FAMILIES; f++)
		policy_elements_unref(g->elements[f]);
	free(g->terms);
	free(g->key);
	free(g->pending.v);
	free(g);
}

static void record_free(struct member_record *r)
{
	free(r->groups);
	free(r);
}

void policy_members_free(struct policy_members *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_groups; i++) {
		if (m->groups[i])
			group_free(m->groups[i]);
	}
	for (size_t i = 0; i < m->records.n; i++)
		record_free(m->records.v[i]);
	for (size_t i = 0; i < m->claims.n; i++)
		free(m->claims.v[i]);
	policy_table_done(&m->keys);
	policy_table_done(&m->records);
	policy_table_done(&m->claims);
	policy_index_done(&m->index);
	free(m->groups);
	free(m->given);
	free(m->dirty.v);
	free(m->found.v);
	free(m);
}

static uint32_t group_id(struct policy_members *m)
{
	for (size_t i = 0; i < m->n_groups; i++) {
		if (!m->groups[i])
			return (uint32_t)i;
	}
	m->groups = mem_grow(m->groups, &m->room, m->n_groups, sizeof(struct policy_group *));
	return (uint32_t)m->n_groups++;
}

static size_t element_size(enum policy_set_kind kind, enum family f)
{
	return family_bits(f) / 8 + (kind == POLICY_SET_ADDR_PORTS ? PORT_BYTES : 0);
}

static void group_name(struct policy_group *g)
{
	char hex[HASH_TEXT];
	struct hash h = hash_of(g->key, strlen(g->key));
	hash_format(&h, hex);
	for (int f = IPV4; f < FAMILIES; f++) {
		struct text name = TEXT_ON(g->names[f]);
		text_add(&name, "%c%c_%.24s", g->kind == POLICY_SET_ADDRS ? 's' : 'n',
			family_digit((enum family)f), hex);
		g->elements[f] = policy_elements_new(0, element_size(g->kind, (enum family)f));
	}
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The one text of terms, in whatever order they came, each once. */
static char *terms_key(const struct policy_term *terms, size_t n)
{
	CLEANUP_FREE char **texts = mem_new(n, sizeof(char *));
	struct text key = {0};
	for (size_t i = 0; i < n; i++) {
		struct text t = {0};
		policy_term_text(&terms[i], &t);
		texts[i] = text_take(&t);
	}
	qsort(texts, n, sizeof(char *), compare_texts);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(texts[i], texts[i - 1]) != 0)
			text_add(&key, "%s", texts[i]);
	}
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	return text_take(&key);
}

/* Takes the terms. */
static struct policy_group *group_of_terms(
	struct policy_members *m, enum policy_set_kind kind, struct policy_term *terms, size_t n)
{
	char *key = terms_key(terms, n);
	size_t at = policy_table_find(&m->keys, key, strlen(key));
	if (at != POLICY_TABLE_NONE) {
		for (size_t i = 0; i < n; i++)
			policy_term_done(&terms[i]);
		free(terms);
		free(key);
		return m->keys.v[at];
	}
	struct policy_group *g = mem_new(1, sizeof(*g));
	g->id = group_id(m);
	g->key = key;
	g->kind = kind;
	g->terms = terms;
	g->n_terms = n;
	g->is_fresh = true;
	group_name(g);
	m->groups[g->id] = g;
	m->n_fresh++;
	(void)policy_table_add(&m->keys, key, strlen(key), g);
	for (size_t i = 0; i < n; i++)
		policy_index_add(&m->index, &g->terms[i], g->id);
	return g;
}

struct policy_group *policy_members_of_ends(
	struct policy_members *m, const struct policy_end *const *ends, size_t n)
{
	struct policy_term *terms = mem_new(n, sizeof(*terms));
	for (size_t i = 0; i < n; i++)
		policy_term_of_end(ends[i], &terms[i]);
	return group_of_terms(m, POLICY_SET_ADDRS, terms, n);
}

struct policy_group *policy_members_of_selector(
	struct policy_members *m, const struct policy_selector *s)
{
	struct policy_term *term = mem_new(1, sizeof(*term));
	term->pods = policy_selector_ref((struct policy_selector *)s);
	return group_of_terms(m, POLICY_SET_ADDRS, term, 1);
}

struct policy_group *policy_members_of_ports(
	struct policy_members *m, const struct policy_port *const *ports, size_t n)
{
	struct policy_term *terms = mem_new(n, sizeof(*terms));
	for (size_t i = 0; i < n; i++)
		terms[i].port = *ports[i];
	return group_of_terms(m, POLICY_SET_ADDR_PORTS, terms, n);
}

const char *policy_group_name(const struct policy_group *g, enum family f)
{
	return g->names[f];
}

enum policy_set_kind policy_group_kind(const struct policy_group *g)
{
	return g->kind;
}

struct policy_elements *policy_group_elements(const struct policy_group *g, enum family f)
{
	return g->elements[f];
}

bool policy_group_lost(const struct policy_group *g)
{
	return g->lost;
}

bool policy_group_gained(const struct policy_group *g)
{
	return g->gained;
}

/* Records */

static size_t addr_key(const struct addr *a, uint8_t out[17])
{
	out[0] = a->family;
	memcpy(out + 1, a->bytes, 16);
	return 17;
}

static struct member_record *record_find(const struct policy_members *m, const struct addr *a)
{
	uint8_t key[17];
	size_t at = policy_table_find(&m->records, key, addr_key(a, key));
	return at == POLICY_TABLE_NONE ? NULL : m->records.v[at];
}

static struct member_record *record_make(struct policy_members *m, const struct addr *a)
{
	struct member_record *r = record_find(m, a);
	if (r)
		return r;
	uint8_t key[17];
	size_t len = addr_key(a, key);
	r = mem_new(1, sizeof(*r));
	r->addr = *a;
	(void)policy_table_add(&m->records, key, len, r);
	return r;
}

static void record_remove(struct policy_members *m, struct member_record *r)
{
	uint8_t key[17];
	size_t at = policy_table_find(&m->records, key, addr_key(&r->addr, key));
	policy_table_remove(&m->records, at);
	record_free(r);
}

static int compare_ids(const void *element, const void *key)
{
	uint32_t a = *(const uint32_t *)element;
	uint32_t b = *(const uint32_t *)key;
	return (a > b) - (a < b);
}

static size_t record_place(const struct member_record *r, uint32_t id)
{
	return search_lower_bound(r->groups, r->n, sizeof(id), &id, compare_ids);
}

static bool record_has(const struct member_record *r, uint32_t id)
{
	size_t at = record_place(r, id);
	return at < r->n && r->groups[at] == id;
}

static void record_add(struct member_record *r, uint32_t id)
{
	size_t at = record_place(r, id);
	if (at < r->n && r->groups[at] == id)
		return;
	r->groups = mem_grow(r->groups, &r->room, r->n, sizeof(id));
	memmove(&r->groups[at + 1], &r->groups[at], (r->n - at) * sizeof(id));
	r->groups[at] = id;
	r->n++;
}

static void record_take(struct member_record *r, uint32_t id)
{
	size_t at = record_place(r, id);
	if (at == r->n || r->groups[at] != id)
		return;
	memmove(&r->groups[at], &r->groups[at + 1], (r->n - at - 1) * sizeof(id));
	r->n--;
}

static void group_forget(struct policy_members *m, const struct policy_group *g, enum family f)
{
	const struct policy_elements *e = g->elements[f];
	for (size_t i = 0; i < e->n; i++) {
		struct addr a = {.family = family_af(f)};
		memcpy(a.bytes, e->bytes + i * e->stride, addr_size(&a));
		struct member_record *r = record_find(m, &a);
		if (r)
			record_take(r, g->id);
	}
}

/* Of a group that is settled: its elements are its members. */
void policy_members_drop(struct policy_members *m, struct policy_group *g)
{
	group_forget(m, g, IPV4);
	group_forget(m, g, IPV6);
	for (size_t i = 0; i < g->n_terms; i++)
		policy_index_remove(&m->index, &g->terms[i]);
	policy_table_remove(&m->keys, policy_table_find(&m->keys, g->key, strlen(g->key)));
	m->groups[g->id] = NULL;
	m->n_fresh -= g->is_fresh;
	group_free(g);
}

/* Whose an address is */

static int compare_given(const void *a, const void *b)
{
	return addr_compare(
		&((const struct policy_given *)a)->addr, &((const struct policy_given *)b)->addr);
}

static const struct policy_given *given_find(const struct policy_members *m, const struct addr *a)
{
	struct policy_given key = {.addr = *a};
	return search_find(m->given, m->n_given, sizeof(key), &key, compare_given);
}

static const struct policy_pod *owner_of(const struct policy_members *m, const struct addr *a)
{
	const struct policy_given *given = given_find(m, a);
	if (!given)
		return policy_world_owner(m->world, a);
	const struct policy_pod *pod = policy_world_pod(m->world, given->namespace, given->name);
	bool is_it = pod && !pod->is_over && !pod->on_host &&
		     (!given->uid[0] || !pod->uid[0] || strcmp(given->uid, pod->uid) == 0);
	return is_it ? pod : NULL;
}

static struct hash ports_hash(const struct policy_pod *pod)
{
	struct text t = {0};
	for (size_t i = 0; i < pod->n_ports; i++)
		text_add(&t, "%u %u %s\n", pod->ports[i].proto, pod->ports[i].first,
			pod->ports[i].name);
	struct hash h = hash_of(t.buf, t.len);
	text_free(&t);
	return h;
}

static void group_pend(struct policy_members *m, uint32_t id, const struct addr *a)
{
	list_add(&m->groups[id]->pending, a);
}

/* The record becomes what was found: both are sorted. */
static void record_become(struct policy_members *m, struct member_record *r, bool ports_changed)
{
	const struct policy_ids *found = &m->found;
	size_t i = 0, j = 0;
	while (i < r->n || j < found->n) {
		if (j == found->n || (i < r->n && r->groups[i] < found->v[j])) {
			group_pend(m, r->groups[i++], &r->addr);
		} else if (i == r->n || found->v[j] < r->groups[i]) {
			group_pend(m, found->v[j++], &r->addr);
		} else {
			if (ports_changed && m->groups[r->groups[i]]->kind == POLICY_SET_ADDR_PORTS)
				group_pend(m, r->groups[i], &r->addr);
			i++;
			j++;
		}
	}
	if (found->n > 0) {
		r->groups = mem_grow(r->groups, &r->room, found->n - 1, sizeof(*r->groups));
		memcpy(r->groups, found->v, found->n * sizeof(*r->groups));
	}
	r->n = found->n;
}

static void address_judge(struct policy_members *m, const struct addr *a)
{
	const struct policy_pod *pod = owner_of(m, a);
	struct member_record *r = pod ? record_make(m, a) : record_find(m, a);
	bool ports_changed = false;
	m->found.n = 0;
	if (!r)
		return;
	if (pod) {
		struct policy_bearer b = policy_bearer_of(m->world, pod);
		struct hash ports = ports_hash(pod);
		policy_index_find(&m->index, &b, &m->found);
		ports_changed = !hash_equal(&ports, &r->ports);
		r->ports = ports;
	}
	record_become(m, r, ports_changed);
	if (!pod)
		record_remove(m, r);
}

/* Changes */

static void pod_touch(struct policy_members *m, const char *namespace, const char *name)
{
	const struct policy_pod *pod = policy_world_pod(m->world, namespace, name);
	struct text key = {0};
	text_add(&key, "%s/%s", namespace, name);
	size_t at = policy_table_find(&m->claims, key.buf, key.len);
	struct member_claims *c = at == POLICY_TABLE_NONE ? NULL : m->claims.v[at];
	for (size_t i = 0; c && i < c->n; i++)
		list_add(&m->dirty, &c->addrs[i]);
	if (pod && !c) {
		c = mem_new(1, sizeof(*c));
		(void)policy_table_add(&m->claims, key.buf, key.len, c);
	}
	if (pod) {
		memcpy(c->addrs, pod->addrs, sizeof(c->addrs));
		c->n = pod->n_addrs;
		for (size_t i = 0; i < c->n; i++)
			list_add(&m->dirty, &c->addrs[i]);
	} else if (c) {
		policy_table_remove(&m->claims, at);
		free(c);
	}
	text_free(&key);
	for (size_t i = 0; i < m->n_given; i++) {
		if (strcmp(m->given[i].name, name) == 0 &&
			strcmp(m->given[i].namespace, namespace) == 0)
			list_add(&m->dirty, &m->given[i].addr);
	}
}

/* Pods of the namespace; account NULL: of any. */
static void pods_touch(struct policy_members *m, const char *namespace, const char *account)
{
	size_t n;
	const struct policy_pod *const *pods = policy_world_pods(m->world, &n);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(pods[i]->namespace, namespace) == 0 &&
			(!account || strcmp(pods[i]->account, account) == 0))
			pod_touch(m, pods[i]->namespace, pods[i]->name);
	}
}

static void everything_touch(struct policy_members *m)
{
	size_t n;
	const struct policy_pod *const *pods = policy_world_pods(m->world, &n);
	for (size_t i = 0; i < m->records.n; i++)
		list_add(&m->dirty, &((struct member_record *)m->records.v[i])->addr);
	for (size_t i = 0; i < m->claims.n; i++)
		free(m->claims.v[i]);
	policy_table_done(&m->claims);
	for (size_t i = 0; i < n; i++)
		pod_touch(m, pods[i]->namespace, pods[i]->name);
}

void policy_members_changed(
	struct policy_members *m, const struct policy_change *changes, size_t n, bool everything)
{
	if (everything) {
		everything_touch(m);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct policy_change *c = &changes[i];
		if (c->what == POLICY_POD)
			pod_touch(m, c->namespace, c->name);
		else if (c->what == POLICY_NAMESPACE_OBJECT)
			pods_touch(m, c->name, NULL);
		else if (c->what == POLICY_ACCOUNT)
			pods_touch(m, c->namespace, c->name);
	}
}

void policy_members_give(struct policy_members *m, const struct policy_given *given, size_t n)
{
	struct policy_given *sorted = mem_new(n, sizeof(*sorted));
	if (n > 0)
		memcpy(sorted, given, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_given);
	for (size_t i = 0; i < m->n_given; i++) {
		const struct policy_given *now =
			search_find(sorted, n, sizeof(*sorted), &m->given[i], compare_given);
		if (!now || strcmp(now->name, m->given[i].name) != 0 ||
			strcmp(now->namespace, m->given[i].namespace) != 0 ||
			strcmp(now->uid, m->given[i].uid) != 0)
			list_add(&m->dirty, &m->given[i].addr);
	}
	for (size_t i = 0; i < n; i++) {
		if (!given_find(m, &sorted[i].addr))
			list_add(&m->dirty, &sorted[i].addr);
	}
	free(m->given);
	m->given = sorted;
	m->n_given = n;
}

/* New groups */

static bool group_matches(const struct policy_group *g, const struct policy_bearer *b)
{
	for (size_t i = 0; i < g->n_terms; i++) {
		if (policy_term_matches(&g->terms[i], b))
			return true;
	}
	return false;
}

static void fresh_judge(
	struct policy_members *m, struct member_record *r, const struct policy_ids *fresh)
{
	const struct policy_pod *pod = owner_of(m, &r->addr);
	if (!pod)
		return;
	struct policy_bearer b = policy_bearer_of(m->world, pod);
	for (size_t i = 0; i < fresh->n; i++) {
		const struct policy_group *g = m->groups[fresh->v[i]];
		if (!record_has(r, g->id) && group_matches(g, &b)) {
			record_add(r, g->id);
			group_pend(m, g->id, &r->addr);
		}
	}
}

static void fresh_settle(struct policy_members *m)
{
	uint32_t ids[FRESH_BY_INDEX];
	struct policy_ids fresh = {.v = ids};
	for (size_t i = 0; i < m->n_groups && m->n_fresh > 0; i++) {
		if (m->groups[i] && m->groups[i]->is_fresh && fresh.n < FRESH_BY_INDEX)
			ids[fresh.n++] = (uint32_t)i;
	}
	for (size_t i = 0; i < m->records.n && fresh.n > 0; i++) {
		if (m->n_fresh <= FRESH_BY_INDEX)
			fresh_judge(m, m->records.v[i], &fresh);
		else
			address_judge(m, &((struct member_record *)m->records.v[i])->addr);
	}
}

/* Elements */

struct element_list {
	uint8_t *bytes;
	size_t n, room, size;
};

static void elements_push(struct element_list *l, const uint8_t *element)
{
	l->bytes = mem_grow(l->bytes, &l->room, l->n, l->size);
	memcpy(l->bytes + l->n++ * l->size, element, l->size);
}

static int compare_port_elements(const void *a, const void *b)
{
	return memcmp(a, b, PORT_BYTES);
}

/* The ports of a pod that the group names, sorted, each once. */
static size_t group_ports(
	const struct policy_group *g, const struct policy_pod *pod, uint8_t (*out)[PORT_BYTES])
{
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < pod->n_ports; i++) {
		const struct policy_port *p = &pod->ports[i];
		bool is_named = false;
		for (size_t t = 0; t < g->n_terms && !is_named; t++)
			is_named = g->terms[t].port.proto == p->proto &&
				   strcmp(g->terms[t].port.name, p->name) == 0;
		if (is_named)
			memcpy(out[n++],
				(uint8_t[PORT_BYTES]){p->proto, [4] = (uint8_t)(p->first >> 8),
					(uint8_t)p->first},
				PORT_BYTES);
	}
	qsort(out, n, PORT_BYTES, compare_port_elements);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || memcmp(out[i], out[kept - 1], PORT_BYTES) != 0)
			memmove(out[kept++], out[i], PORT_BYTES);
	}
	return kept;
}

/* The elements of an address as they shall be. */
static void elements_of(const struct policy_members *m, const struct policy_group *g,
	const struct addr *a, struct element_list *out)
{
	const struct member_record *r = record_find(m, a);
	uint8_t element[16 + PORT_BYTES];
	if (!r || !record_has(r, g->id))
		return;
	memcpy(element, a->bytes, addr_size(a));
	if (g->kind == POLICY_SET_ADDRS) {
		elements_push(out, element);
		return;
	}
	const struct policy_pod *pod = owner_of(m, a);
	CLEANUP_FREE uint8_t(*ports)[PORT_BYTES] = mem_new(pod ? pod->n_ports : 0, PORT_BYTES);
	size_t n = pod ? group_ports(g, pod, ports) : 0;
	for (size_t i = 0; i < n; i++) {
		memcpy(element + addr_size(a), ports[i], PORT_BYTES);
		elements_push(out, element);
	}
}

/* Whether some element of one sorted run is not in the other. */
static bool run_lacks(const uint8_t *of, size_t n_of, const uint8_t *in, size_t n_in, size_t size)
{
	for (size_t i = 0; i < n_of; i++) {
		bool found = false;
		for (size_t j = 0; j < n_in && !found; j++)
			found = memcmp(of + i * size, in + j * size, size) == 0;
		if (!found)
			return true;
	}
	return false;
}

/* What stands of one address in the old elements from *at on is left out, and what shall stand put in. */
static void group_replace(const struct policy_members *m, struct policy_group *g,
	const struct addr *a, size_t *at, struct element_list *out)
{
	const struct policy_elements *old = g->elements[family_of(a->family)];
	size_t begin = *at, kept = out->n;
	while (*at < old->n && memcmp(old->bytes + *at * old->stride, a->bytes, addr_size(a)) == 0)
		(*at)++;
	elements_of(m, g, a, out);
	const uint8_t *before = old->bytes + begin * old->stride;
	const uint8_t *now = out->n > kept ? out->bytes + kept * out->size : NULL;
	g->lost |= run_lacks(before, *at - begin, now, out->n - kept, out->size);
	g->gained |= run_lacks(now, out->n - kept, before, *at - begin, out->size);
}

static void group_merge(const struct policy_members *m, struct policy_group *g, enum family f)
{
	struct policy_elements *old = g->elements[f];
	struct element_list out = {.size = old->stride};
	size_t at = 0;
	bool lost = g->lost, gained = g->gained;
	g->lost = g->gained = false;
	for (size_t i = 0; i < g->pending.n; i++) {
		const struct addr *a = &g->pending.v[i];
		if (a->family != family_af(f))
			continue;
		while (at < old->n &&
			memcmp(old->bytes + at * old->stride, a->bytes, addr_size(a)) < 0)
			elements_push(&out, old->bytes + at++ * old->stride);
		group_replace(m, g, a, &at, &out);
	}
	while (at < old->n)
		elements_push(&out, old->bytes + at++ * old->stride);
	if (g->lost || g->gained) {
		g->elements[f] = policy_elements_new(out.n, out.size);
		if (out.n > 0)
			memcpy(g->elements[f]->bytes, out.bytes, out.n * out.size);
		policy_elements_unref(old);
	}
	g->lost |= lost;
	g->gained |= gained;
	free(out.bytes);
}

static void group_settle(const struct policy_members *m, struct policy_group *g)
{
	g->lost = g->gained = false;
	if (g->pending.n > 0) {
		list_settle(&g->pending);
		group_merge(m, g, IPV4);
		group_merge(m, g, IPV6);
		g->pending.n = 0;
	}
	if (g->is_fresh)
		g->lost = g->gained = false;
	g->is_fresh = false;
}

void policy_members_settle(struct policy_members *m)
{
	list_settle(&m->dirty);
	for (size_t i = 0; i < m->dirty.n; i++)
		address_judge(m, &m->dirty.v[i]);
	m->dirty.n = 0;
	fresh_settle(m);
	for (size_t i = 0; i < m->n_groups; i++) {
		if (m->groups[i])
			group_settle(m, m->groups[i]);
	}
	m->n_fresh = 0;
}
