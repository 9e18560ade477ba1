/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list that begins anew leaves what was known until it is complete; then what it did not tell is gone.
 */
#include "agent/kube/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/search.h"

#define NAME 512 /* a namespace, a slash and a name of Kubernetes have 317 bytes at most */

static void entry_done(struct roster_entry *e)
{
	free(e->name);
	free(e->uid);
}

void roster_done(struct roster *r)
{
	for (size_t i = 0; i < r->n; i++)
		entry_done(&r->v[i]);
	free(r->v);
	*r = (struct roster){0};
}

static int compare_name(const void *entry, const void *name)
{
	return strcmp(((const struct roster_entry *)entry)->name, name);
}

struct roster_entry *roster_find(const struct roster *r, const char *name)
{
	return search_find(r->v, r->n, sizeof(*r->v), name, compare_name);
}

static bool roster_put(struct roster *r, const char *name, const char *uid)
{
	struct roster_entry *e = roster_find(r, name);
	if (!e) {
		size_t at = search_lower_bound(r->v, r->n, sizeof(*r->v), name, compare_name);
		r->v = mem_grow(r->v, &r->room, r->n, sizeof(*r->v));
		e = &r->v[at];
		memmove(e + 1, e, (r->n++ - at) * sizeof(*e));
		*e = (struct roster_entry){.name = mem_strdup(name)};
	}
	e->seen = r->generation;
	if (e->uid && strcmp(e->uid, uid) == 0)
		return false;
	free(e->uid);
	e->uid = mem_strdup(uid);
	e->checked = false;
	return true;
}

static bool roster_remove(struct roster *r, const char *name)
{
	struct roster_entry *e = roster_find(r, name);
	if (!e)
		return false;
	entry_done(e);
	memmove(e, e + 1, (size_t)(&r->v[--r->n] - e) * sizeof(*e));
	return true;
}

static void roster_sweep(struct roster *r)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].seen == r->generation)
			r->v[kept++] = r->v[i];
		else
			entry_done(&r->v[i]);
	}
	r->n = kept;
}

bool roster_take(struct roster *r, const struct kube_event *ev)
{
	char name[NAME] = "";
	if (ev->name)
		(void)snprintf(name, sizeof(name), "%s%s%s", ev->namespace_ ? ev->namespace_ : "",
			ev->namespace_ && *ev->namespace_ ? "/" : "", ev->name);
	const char *uid =
		json_string_value(json_object_get(json_object_get(ev->object, "metadata"), "uid"));
	switch (ev->kind) {
	case KUBE_RESTART:
		r->generation++;
		r->complete = false;
		return true;
	case KUBE_EXISTS:
		return roster_put(r, name, uid ? uid : "");
	case KUBE_GONE:
		return roster_remove(r, name);
	case KUBE_CURRENT:
		roster_sweep(r);
		r->complete = true;
		return true;
	default:
		return false;
	}
}
