/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three lists: what this node has (wanted), what the store has (documents, by key), what is under way (writes).
 * A document is written when its text is another than the wanted one, and deleted when nothing is wanted under
 * its key. A conflict needs no answer: the watch tells what stands there.
 *
 * A pod is one by its namespace and name, whatever attachments it has: its addresses come together. Two nodes
 * that have pods of one name are a problem, as nobody could tell them apart; the later document counts.
 *
 * The pods of this node are put into the world at once and again at the end of each list, which would take
 * them away when the store has not got them yet. So this node's own documents are only compared.
 */
#include "agent/policy/endpoints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/keys.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"
#include "policy/read.h"

#define WRITES 16		  /* under way at once */
#define RETRY_MS 1000		  /* after one that failed */
#define LINGER_MS INT64_C(300000) /* behind the last policy documents stay for so long */

/* A pod of this node. */
struct wanted {
	char *key, *text;
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME];
};

/* A document of the store. */
struct told {
	char *key;
	char *text; /* of this node's; NULL: another's */
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME];
	int64_t revision;
	uint64_t seen;
};

struct endpoints {
	struct policy_world *world;
	const char *node;
	uint64_t watch, generation; /* 0: not followed */
	struct wanted *wanted;	    /* sorted by key */
	size_t n_wanted;
	struct told *told; /* sorted by key */
	size_t n_told, room_told;
	uint64_t writes[WRITES]; /* 0: free */
	bool due;		 /* something is not compared yet */
	int64_t retry_at, needed_ms;
	char twice[2 * POLICY_NAME]; /* a name that two nodes have; "" */
	char trouble[200];
};

struct endpoints *endpoints_new(struct policy_world *w, const char *node)
{
	struct endpoints *p = mem_new(1, sizeof(*p));
	p->world = w;
	p->node = node;
	return p;
}

static void free_wanted(struct wanted *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].key);
		free(v[i].text);
	}
	free(v);
}

void endpoints_free(struct endpoints *p)
{
	if (!p)
		return;
	free_wanted(p->wanted, p->n_wanted);
	for (size_t i = 0; i < p->n_told; i++) {
		free(p->told[i].key);
		free(p->told[i].text);
	}
	free(p->told);
	free(p);
}

/* Of elements that begin with their key. */
static int compare_key(const void *element, const void *key)
{
	return strcmp(*(char *const *)element, key);
}

static int compare_wanted(const void *a, const void *b)
{
	return compare_key(a, ((const struct wanted *)b)->key);
}

/* ---- The pods of this node ---- */

static json_t *pod_object(
	const struct endpoints *p, const struct policy_local *l, const char *labels)
{
	json_t *object = NULL;
	struct err ignored; /* what ADD did not check is no label */
	if (labels && json_parse(labels, strlen(labels), &object, &ignored) < 0)
		object = NULL;
	json_t *metadata = json_pack("{s:o, s:o, s:o}", "namespace", json_of_text(l->namespace),
		"name", json_of_text(l->name), "labels", object ? object : json_object());
	if (*l->uid)
		json_put(metadata, "uid", json_of_text(l->uid));
	return json_pack("{s:s, s:s, s:o, s:{s:s}, s:{s:[]}}", "apiVersion", "v1", "kind", "Pod",
		"metadata", metadata, "spec", "nodeName", p->node, "status", "podIPs");
}

static void add_addrs(json_t *pod, const struct policy_local *l)
{
	json_t *ips = json_object_get(json_object_get(pod, "status"), "podIPs");
	for (size_t i = 0; i < l->n_addrs; i++)
		json_append(ips, json_pack("{s:o}", "ip", json_of_addr(&l->addrs[i])));
}

static bool is_same_pod(const struct policy_local *a, const struct policy_local *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->namespace, b->namespace) == 0;
}

/* The first attachment of a pod speaks for all of them. */
static bool is_first(const struct enforce_node *n, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (is_same_pod(&n->locals[i], &n->locals[at]))
			return false;
	return true;
}

static struct wanted make_wanted(const struct endpoints *p, const struct enforce_node *n, size_t at)
{
	const struct policy_local *l = &n->locals[at];
	char key[STORE_KEY_MAX], whole[POLICY_NAMESPACE + POLICY_NAME];
	struct wanted w = {0};
	CLEANUP_JSON json_t *pod = pod_object(p, l, n->owners[at].labels);
	for (size_t i = at; i < n->n_locals; i++)
		if (is_same_pod(&n->locals[i], l))
			add_addrs(pod, &n->locals[i]);
	int len = snprintf(whole, sizeof(whole), "%s/%s", l->namespace, l->name);
	struct hash hash = hash_of(whole, (size_t)len);
	keys_endpoint(p->node, &hash, key);
	w.key = mem_strdup(key);
	w.text = json_text(pod);
	(void)text_copy(w.namespace, sizeof(w.namespace), l->namespace);
	(void)text_copy(w.name, sizeof(w.name), l->name);
	return w;
}

/* A namespace is known by its pods; its labels are its name. */
static bool put_namespace(struct endpoints *p, const char *name)
{
	CLEANUP_JSON json_t *object = json_pack("{s:s, s:s, s:{s:o, s:{s:o, s:o}}}", "apiVersion",
		"v1", "kind", "Namespace", "metadata", "name", json_of_text(name), "labels",
		"kubernetes.io/metadata.name", json_of_text(name), "projectcalico.org/name",
		json_of_text(name));
	bool changed = false;
	struct err ignored; /* no name of a namespace */
	(void)policy_read_into(p->world, POLICY_FROM_NAMESPACES, object, false, &changed, &ignored);
	return changed;
}

static bool put_pod(struct endpoints *p, const char *text, const char *namespace, struct err *e)
{
	CLEANUP_JSON json_t *object = NULL;
	bool changed = false;
	int r = json_parse(text, strlen(text), &object, e);
	if (r >= 0)
		r = policy_read_into(p->world, POLICY_FROM_ENDPOINTS, object, false, &changed, e);
	if (r < 0)
		return false;
	return put_namespace(p, namespace) || changed;
}

static bool put_own(struct endpoints *p)
{
	bool changed = false;
	struct err e;
	for (size_t i = 0; i < p->n_wanted; i++)
		changed |= put_pod(p, p->wanted[i].text, p->wanted[i].namespace, &e);
	return changed;
}

static bool drop_pod(struct endpoints *p, const char *namespace, const char *name)
{
	return policy_world_drop(p->world, POLICY_FROM_ENDPOINTS, POLICY_POD, namespace, name);
}

bool endpoints_set_node(struct endpoints *p, const struct enforce_node *n)
{
	struct wanted *now = mem_new(n->n_locals + 1, sizeof(*now));
	size_t count = 0;
	bool changed = false;
	for (size_t i = 0; i < n->n_locals; i++)
		if (*n->locals[i].name && is_first(n, i))
			now[count++] = make_wanted(p, n, i);
	if (count)
		qsort(now, count, sizeof(*now), compare_wanted);
	for (size_t i = 0; i < p->n_wanted; i++)
		if (!search_find(now, count, sizeof(*now), p->wanted[i].key, compare_key))
			changed |= drop_pod(p, p->wanted[i].namespace, p->wanted[i].name);
	free_wanted(p->wanted, p->n_wanted);
	p->wanted = now;
	p->n_wanted = count;
	p->due = true;
	return put_own(p) || changed;
}

/* ---- The documents of the store ---- */

static struct told *told_find(const struct endpoints *p, const char *key)
{
	return search_find(p->told, p->n_told, sizeof(*p->told), key, compare_key);
}

static struct told *told_make(struct endpoints *p, const char *key)
{
	size_t at = search_lower_bound(p->told, p->n_told, sizeof(*p->told), key, compare_key);
	if (at < p->n_told && strcmp(p->told[at].key, key) == 0)
		return &p->told[at];
	p->told = mem_grow(p->told, &p->room_told, p->n_told, sizeof(*p->told));
	memmove(&p->told[at + 1], &p->told[at], (p->n_told++ - at) * sizeof(*p->told));
	p->told[at] = (struct told){.key = mem_strdup(key)};
	return &p->told[at];
}

static bool told_drop(struct endpoints *p, struct told *t)
{
	bool changed = !t->text && drop_pod(p, t->namespace, t->name);
	size_t at = (size_t)(t - p->told);
	free(t->key);
	free(t->text);
	memmove(t, t + 1, (--p->n_told - at) * sizeof(*t));
	return changed;
}

static void read_names(const char *text, struct told *t)
{
	CLEANUP_JSON json_t *object = NULL;
	struct err ignored; /* put_pod() says it */
	if (json_parse(text, strlen(text), &object, &ignored) < 0)
		return;
	const json_t *metadata = json_object_get(object, "metadata");
	(void)text_copy(t->namespace, sizeof(t->namespace), json_text_at(metadata, "namespace"));
	(void)text_copy(t->name, sizeof(t->name), json_text_at(metadata, "name"));
}

static void note_twice(struct endpoints *p, const struct told *t)
{
	for (size_t i = 0; i < p->n_wanted; i++)
		if (strcmp(p->wanted[i].name, t->name) == 0 &&
			strcmp(p->wanted[i].namespace, t->namespace) == 0)
			(void)snprintf(p->twice, sizeof(p->twice), "%s/%s", t->namespace, t->name);
}

static bool take_document(struct endpoints *p, const struct store_event *ev)
{
	struct told *t = told_make(p, ev->key);
	struct err e = {0};
	bool own = keys_is_endpoint_of(ev->key, p->node);
	t->revision = ev->revision;
	t->seen = p->generation;
	if (own) {
		free(t->text);
		t->text = mem_strdup(ev->value ? ev->value : "");
		p->due = true;
		return false;
	}
	if (!ev->value)
		return false;
	read_names(ev->value, t);
	note_twice(p, t);
	bool changed = put_pod(p, ev->value, t->namespace, &e);
	(void)text_clean(p->trouble, sizeof(p->trouble), e.text);
	return changed;
}

static bool end_list(struct endpoints *p)
{
	for (size_t i = p->n_told; i-- > 0;)
		if (p->told[i].seen != p->generation)
			(void)told_drop(p, &p->told[i]);
	(void)put_own(p);
	policy_world_end(p->world, POLICY_FROM_ENDPOINTS);
	p->due = true;
	return true;
}

static bool take_watch(struct endpoints *p, const struct store_event *ev)
{
	struct told *t;
	switch (ev->kind) {
	case STORE_RESTART:
		policy_world_begin(p->world, POLICY_FROM_ENDPOINTS);
		p->generation++;
		p->twice[0] = '\0';
		return false;
	case STORE_CURRENT:
		return end_list(p);
	case STORE_PUT:
		return take_document(p, ev);
	case STORE_DELETE:
		t = told_find(p, ev->key);
		p->due = true;
		return t && told_drop(p, t);
	default:
		return false;
	}
}

bool endpoints_take(struct endpoints *p, const struct store_event *ev, bool *changed)
{
	*changed = false;
	if (p->watch && ev->id == p->watch) {
		*changed = take_watch(p, ev);
		return true;
	}
	for (size_t i = 0; i < WRITES; i++) {
		if (!p->writes[i] || p->writes[i] != ev->id)
			continue;
		p->writes[i] = 0;
		if (ev->kind == STORE_DONE)
			return true; /* the watch tells of it */
		p->due = true;
		p->retry_at = boot_now_ms() + RETRY_MS;
		return true;
	}
	return false;
}

/* ---- Making it so ---- */

static bool has_policies(const struct endpoints *p)
{
	size_t n;
	(void)policy_world_policies(p->world, &n);
	return n > 0;
}

bool endpoints_are_told(const struct endpoints *p)
{
	return !has_policies(p) || policy_world_is_told(p->world, POLICY_FROM_ENDPOINTS);
}

/* false: as many as may be are under way. */
static bool start_write(struct endpoints *p, struct store *s, const struct store_write *w)
{
	for (size_t i = 0; i < WRITES; i++)
		if (!p->writes[i]) {
			p->writes[i] = store_start_write(s, w, 0);
			return true;
		}
	return false;
}

static bool is_writing(const struct endpoints *p)
{
	for (size_t i = 0; i < WRITES; i++)
		if (p->writes[i])
			return true;
	return false;
}

static bool write_wanted(struct endpoints *p, struct store *s, const struct wanted *w)
{
	const struct told *t = told_find(p, w->key);
	if (t && strcmp(t->text, w->text) == 0)
		return true;
	const struct store_write write = {
		.key = w->key, .value = w->text, .revision = t ? t->revision : 0};
	return start_write(p, s, &write);
}

static bool delete_told(struct endpoints *p, struct store *s, const struct told *t, bool keep)
{
	bool wanted = keep &&
		      search_find(p->wanted, p->n_wanted, sizeof(*p->wanted), t->key, compare_key);
	const struct store_write write = {.key = t->key, .revision = t->revision};
	return wanted || !t->text || start_write(p, s, &write);
}

/* Writes come one round after the other, so that none is made twice; the watch tells of each. */
static void make_documents(struct endpoints *p, struct store *s, bool keep)
{
	bool room = true;
	p->due = false;
	for (size_t i = 0; keep && i < p->n_wanted && room; i++)
		room = write_wanted(p, s, &p->wanted[i]);
	for (size_t i = 0; i < p->n_told && room; i++)
		room = delete_told(p, s, &p->told[i], keep);
	p->due = !room;
}

void endpoints_step(struct endpoints *p, struct store *s, int64_t now_ms)
{
	if (has_policies(p))
		p->needed_ms = now_ms;
	if (!p->needed_ms)
		return;
	if (!p->watch)
		p->watch = store_start_watch(s, KEYS_ENDPOINTS);
	bool keep = now_ms - p->needed_ms < LINGER_MS;
	bool told = policy_world_is_told(p->world, POLICY_FROM_ENDPOINTS);
	bool stale = !keep && p->n_told;
	if (told && (p->due || stale) && !is_writing(p) && p->retry_at <= now_ms)
		make_documents(p, s, keep);
}

int64_t endpoints_next(const struct endpoints *p)
{
	return p->due && !is_writing(p) && p->retry_at ? p->retry_at : INT64_MAX;
}

void endpoints_list_problems(const struct endpoints *p, struct problems *out)
{
	if (*p->twice)
		problems_add_as(out, "endpoints twice",
			"two nodes have a pod %.200s: policies take one for the other; give pods "
			"of a cluster different names",
			p->twice);
	if (*p->trouble)
		problems_add_as(
			out, "endpoints", "a pod in the store cannot be read: %s", p->trouble);
}
