/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A term stands at one place of the index, that of a thing that every pod has that it matches: a label of the
 * pod (policy_selector_anchor(); within the namespace where there is one), the namespace, a label of the
 * namespace, the name of a port. A term without such a thing (negative and empty selectors) stands at the place where every
 * pod looks. Places are known by a hash of that thing alone: two things at one place cost a test
 * that fails.
 */
#include "policy/term.h"

#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/mem.h"

void policy_term_of_end(const struct policy_end *e, struct policy_term *out)
{
	*out = (struct policy_term){.n_account_names = e->n_account_names};
	(void)text_copy(out->own, sizeof(out->own), e->own);
	out->namespaces = e->namespaces ? policy_selector_ref(e->namespaces) : NULL;
	out->pods = e->pods ? policy_selector_ref(e->pods) : NULL;
	out->accounts = e->accounts ? policy_selector_ref(e->accounts) : NULL;
	if (e->n_account_names > 0)
		out->account_names = mem_new(e->n_account_names, sizeof(char *));
	for (size_t i = 0; i < e->n_account_names; i++)
		out->account_names[i] = mem_strdup(e->account_names[i]);
}

void policy_term_done(struct policy_term *t)
{
	policy_selector_unref(t->namespaces);
	policy_selector_unref(t->pods);
	policy_selector_unref(t->accounts);
	for (size_t i = 0; i < t->n_account_names; i++)
		free(t->account_names[i]);
	free(t->account_names);
	*t = (struct policy_term){0};
}

static void text_selector(const char *what, const struct policy_selector *s, struct text *out)
{
	if (s)
		text_add(out, "%s%s\n", what, policy_selector_text(s));
}

void policy_term_text(const struct policy_term *t, struct text *out)
{
	text_add(out, "own=%s\n", t->own);
	text_selector("namespaces=", t->namespaces, out);
	text_selector("pods=", t->pods, out);
	text_selector("accounts=", t->accounts, out);
	for (size_t i = 0; i < t->n_account_names; i++)
		text_add(out, "account=%s\n", t->account_names[i]);
	if (t->port.name[0])
		text_add(out, "port=%u %s\n", t->port.proto, t->port.name);
	text_add(out, "\n");
}

struct policy_bearer policy_bearer_of(const struct policy_world *w, const struct policy_pod *pod)
{
	struct policy_bearer b = {.pod = pod};
	const struct policy_namespace *n = policy_world_namespace(w, pod->namespace);
	const struct policy_account *a = policy_world_account(w, pod->namespace, pod->account);
	if (n)
		b.namespace = n->labels;
	if (a)
		b.account = a->labels;
	return b;
}

static bool term_names_account(const struct policy_term *t, const char *account)
{
	for (size_t i = 0; i < t->n_account_names; i++) {
		if (strcmp(t->account_names[i], account) == 0)
			return true;
	}
	return t->n_account_names == 0;
}

static bool pod_has_port(const struct policy_pod *pod, const struct policy_port *port)
{
	for (size_t i = 0; i < pod->n_ports; i++) {
		if (pod->ports[i].proto == port->proto &&
			strcmp(pod->ports[i].name, port->name) == 0)
			return true;
	}
	return !port->name[0];
}

bool policy_term_matches(const struct policy_term *t, const struct policy_bearer *b)
{
	if (t->own[0] && strcmp(t->own, b->pod->namespace) != 0)
		return false;
	if (t->pods && !policy_selector_matches(t->pods, &b->pod->labels))
		return false;
	if (t->namespaces && (policy_selector_is_global(t->namespaces) ||
				     !policy_selector_matches(t->namespaces, &b->namespace)))
		return false;
	if (t->accounts && !policy_selector_matches(t->accounts, &b->account))
		return false;
	return term_names_account(t, b->pod->account) && pod_has_port(b->pod, &t->port);
}

/* The index */

enum place_kind {
	PLACE_PAIR, /* a label of the pod */
	PLACE_KEY,
	PLACE_OWN, /* its namespace */
	PLACE_NAMESPACE_PAIR,
	PLACE_NAMESPACE_KEY,
	PLACE_PORT,
	PLACE_EVERYBODY,
};
struct index_entry {
	const struct policy_term *term;
	uint32_t id;
};
struct index_place {
	struct index_entry *v;
	size_t n, room;
};

#define PLACE_PART 256 /* bytes of a key or value that count */

static size_t part_add(char *buf, size_t at, const char *s)
{
	size_t len = strnlen(s ? s : "", PLACE_PART);
	if (len > 0)
		memcpy(buf + at, s, len);
	buf[at + len] = '\0';
	return at + len + 1;
}

static uint64_t place_of(enum place_kind kind, const char *own, const char *key, const char *value)
{
	char buf[1 + 3 * (PLACE_PART + 1)];
	buf[0] = (char)kind;
	size_t len = part_add(buf, part_add(buf, part_add(buf, 1, own), key), value);
	struct hash h = hash_of(buf, len);
	return hash_slot(&h);
}

static uint64_t place_of_term(const struct policy_term *t)
{
	const char *key, *value;
	if (t->port.name[0])
		return place_of(PLACE_PORT, "", t->port.name, "");
	if (t->pods && policy_selector_anchor(t->pods, &key, &value))
		return place_of(value ? PLACE_PAIR : PLACE_KEY, t->own, key, value);
	if (t->own[0])
		return place_of(PLACE_OWN, t->own, "", "");
	if (t->namespaces && policy_selector_anchor(t->namespaces, &key, &value))
		return place_of(value ? PLACE_NAMESPACE_PAIR : PLACE_NAMESPACE_KEY, "", key, value);
	return place_of(PLACE_EVERYBODY, "", "", "");
}

static struct index_place *index_place(const struct policy_index *x, uint64_t place)
{
	size_t at = policy_table_find(&x->places, &place, sizeof(place));
	return at == POLICY_TABLE_NONE ? NULL : x->places.v[at];
}

void policy_index_add(struct policy_index *x, const struct policy_term *t, uint32_t id)
{
	uint64_t place = place_of_term(t);
	struct index_place *p = index_place(x, place);
	if (!p) {
		p = mem_new(1, sizeof(*p));
		(void)policy_table_add(&x->places, &place, sizeof(place), p);
	}
	p->v = mem_grow(p->v, &p->room, p->n, sizeof(*p->v));
	p->v[p->n++] = (struct index_entry){.term = t, .id = id};
}

static void place_free(struct index_place *p)
{
	free(p->v);
	free(p);
}

void policy_index_remove(struct policy_index *x, const struct policy_term *t)
{
	uint64_t place = place_of_term(t);
	size_t at = policy_table_find(&x->places, &place, sizeof(place));
	if (at == POLICY_TABLE_NONE)
		return;
	struct index_place *p = x->places.v[at];
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].term == t)
			p->v[i] = p->v[--p->n];
	}
	if (p->n > 0)
		return;
	place_free(p);
	policy_table_remove(&x->places, at);
}

void policy_index_done(struct policy_index *x)
{
	for (size_t i = 0; i < x->places.n; i++)
		place_free(x->places.v[i]);
	policy_table_done(&x->places);
}

static void index_collect(const struct policy_index *x, uint64_t place,
	const struct policy_bearer *b, struct policy_ids *out)
{
	const struct index_place *p = index_place(x, place);
	for (size_t i = 0; p && i < p->n; i++) {
		if (!policy_term_matches(p->v[i].term, b))
			continue;
		out->v = mem_grow(out->v, &out->room, out->n, sizeof(*out->v));
		out->v[out->n++] = p->v[i].id;
	}
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void ids_settle(struct policy_ids *ids)
{
	size_t n = 0;
	if (ids->n > 1)
		qsort(ids->v, ids->n, sizeof(*ids->v), compare_ids);
	for (size_t i = 0; i < ids->n; i++) {
		if (n == 0 || ids->v[i] != ids->v[n - 1])
			ids->v[n++] = ids->v[i];
	}
	ids->n = n;
}

void policy_index_find(
	const struct policy_index *x, const struct policy_bearer *b, struct policy_ids *out)
{
	const struct policy_labels *pod = &b->pod->labels;
	const char *const owns[] = {"", b->pod->namespace};
	out->n = 0;
	for (size_t i = 0; i < pod->n; i++) {
		const struct policy_label *l = &pod->v[i];
		for (size_t o = 0; o < sizeof(owns) / sizeof(owns[0]); o++) {
			index_collect(x, place_of(PLACE_PAIR, owns[o], l->key, l->value), b, out);
			index_collect(x, place_of(PLACE_KEY, owns[o], l->key, ""), b, out);
		}
	}
	index_collect(x, place_of(PLACE_OWN, b->pod->namespace, "", ""), b, out);
	for (size_t i = 0; i < b->namespace.n; i++) {
		const struct policy_label *l = &b->namespace.v[i];
		index_collect(x, place_of(PLACE_NAMESPACE_PAIR, "", l->key, l->value), b, out);
		index_collect(x, place_of(PLACE_NAMESPACE_KEY, "", l->key, ""), b, out);
	}
	for (size_t i = 0; i < b->pod->n_ports; i++)
		index_collect(x, place_of(PLACE_PORT, "", b->pod->ports[i].name, ""), b, out);
	index_collect(x, place_of(PLACE_EVERYBODY, "", "", ""), b, out);
	ids_settle(out);
}
