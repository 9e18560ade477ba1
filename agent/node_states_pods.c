/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists are made of one look at each folder, and sorted. A folder that cannot be read is in trouble from then on,
 * and what was read of it is left out: half of a pod is none.
 */
#include "agent/node_states_pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/node.h"
#include "ipam/node_policy.h"
#include "ipam/session.h"
#include "lib/mem.h"
#include "lib/text.h"

/* Both kinds of entries begin with it. */
static int compare_owner(const void *a, const void *b)
{
	return hash_compare(a, b);
}

/* What one entry becomes in a list whose elements have size bytes. false: it is left out. */
typedef bool node_states_take_fn(const struct node_entry *x, size_t dir, void *out);

static bool take_pod(const struct node_entry *x, size_t dir, void *out)
{
	*(struct node_states_pod *)out = (struct node_states_pod){x->owner.hash, x->addr, dir};
	return true;
}

static bool take_name(const struct node_entry *x, size_t dir, void *out)
{
	struct node_states_name *name = out;
	*name = (struct node_states_name){.owner = x->owner.hash, .addr = x->addr, .dir = dir};
	int len = snprintf(
		name->pod, sizeof(name->pod), "%s/%s", x->owner.pod_namespace, x->owner.pod_name);
	return *x->owner.pod_namespace && *x->owner.pod_name && len < (int)sizeof(name->pod);
}

static bool take_local(const struct node_entry *x, size_t dir, void *out)
{
	struct node_states_local *l = out;
	(void)dir;
	*l = (struct node_states_local){.owner = x->owner.hash, .addr = x->addr};
	const char *namespace = *x->owner.pod_namespace ? x->owner.pod_namespace : "default";
	const char *name = *x->owner.pod_name ? x->owner.pod_name : x->owner.container;
	(void)text_copy(l->name, sizeof(l->name), name);
	return text_copy(l->namespace, sizeof(l->namespace), namespace);
}

struct pod_list {
	node_states_take_fn *take;
	char *v;
	size_t size, n, room;
	struct node_states_wants *wants; /* NULL: nobody asks */
};

static void take_wants(const struct node_view *view, struct node_states_wants *out)
{
	for (size_t i = 0; i < view->ports.n; i++)
		ports_list_add(&out->ports, &view->ports.owners[i], &view->ports.v[i]);
	for (size_t i = 0; i < view->n_limits; i++) {
		out->limits = mem_grow(
			out->limits, &out->room_limits, out->n_limits, sizeof(*out->limits));
		out->limits[out->n_limits++] = view->limits[i];
	}
}

void node_states_wants_done(struct node_states_wants *w)
{
	ports_list_done(&w->ports);
	free(w->limits);
	*w = (struct node_states_wants){0};
}

static int list_pods(struct node_states *s, size_t dir, struct pod_list *l, struct err *e)
{
	CLEANUP_SESSION struct node *n = NULL;
	struct node_view view;
	int r = node_states_enter(s, dir, &n, e);
	if (r >= 0)
		r = node_list(n, &view, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < view.n_entries; i++) {
		const struct node_entry *x = view.entries[i];
		if (x->state != NODE_USED || x->owner.foreign || owner_is_tunnel(&x->owner))
			continue;
		l->v = mem_grow(l->v, &l->room, l->n, l->size);
		l->n += l->take(x, dir, l->v + l->n * l->size);
	}
	if (l->wants)
		take_wants(&view, l->wants);
	node_view_done(&view);
	return 0;
}

static void list_all(struct node_states *s, struct pod_list *l)
{
	for (size_t i = 0; i < s->n_dirs; i++) {
		struct err e;
		size_t before = l->n;
		if (*s->dirs[i].trouble || list_pods(s, i, l, &e) >= 0)
			continue;
		l->n = before; /* half of a pod is none */
		(void)text_copy(s->dirs[i].trouble, sizeof(s->dirs[i].trouble), e.text);
	}
	if (l->n)
		qsort(l->v, l->n, l->size, compare_owner);
}

void node_states_pods(struct node_states *s, struct node_states_pod **out, size_t *count,
	struct node_states_wants *wants)
{
	struct pod_list l = {.take = take_pod, .size = sizeof(**out), .wants = wants};
	list_all(s, &l);
	if (wants && wants->n_limits)
		qsort(wants->limits, wants->n_limits, sizeof(*wants->limits), compare_owner);
	*out = (void *)l.v;
	*count = l.n;
}

void node_states_names(struct node_states *s, struct node_states_name **out, size_t *count)
{
	struct pod_list l = {.take = take_name, .size = sizeof(**out)};
	list_all(s, &l);
	*out = (void *)l.v;
	*count = l.n;
}

void node_states_locals(struct node_states *s, struct node_states_local **out, size_t *count)
{
	struct pod_list l = {.take = take_local, .size = sizeof(**out)};
	list_all(s, &l);
	*out = (void *)l.v;
	*count = l.n;
}

void node_states_identities(struct node_states *s, struct node_identity **out, size_t *count)
{
	struct node_identity *all = NULL;
	size_t n = 0, room = 0;
	for (size_t i = 0; i < s->n_dirs; i++) {
		CLEANUP_SESSION struct node *node = NULL;
		CLEANUP_FREE struct node_identity *some = NULL;
		size_t n_some = 0;
		struct err ignored; /* that a folder cannot be read, its addresses say */
		if (*s->dirs[i].trouble || node_states_enter(s, i, &node, &ignored) < 0 ||
			node_list_identities(node, &some, &n_some, &ignored) < 0)
			continue;
		for (size_t j = 0; j < n_some; j++) {
			all = mem_grow(all, &room, n, sizeof(*all));
			all[n++] = some[j];
		}
	}
	if (n)
		qsort(all, n, sizeof(*all), compare_owner);
	*out = all;
	*count = n;
}

int node_states_lock_pod(struct node_states *s, size_t dir, const struct hash *owner,
	struct node **out, struct node_leases *leases, struct err *e)
{
	struct node *n = NULL;
	int r = node_states_enter(s, dir, &n, e);
	if (r >= 0)
		r = node_try_lock_owner(n, owner, e);
	if (r > 0)
		r = node_find(n, owner, leases, e) < 0 ? -EIO : 1;
	if (r <= 0)
		node_close(n);
	else
		*out = n;
	return r;
}
