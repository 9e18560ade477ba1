/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new list may tell of fewer: what it has not named when it is complete is gone. A text that is longer than
 * a record has room for is cut, so that ADD finds it malformed and says which annotation it is, instead of
 * doing without it.
 */
#include "agent/kube/namespaces.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

void namespaces_done(struct namespaces *n)
{
	free(n->v);
	free(n->seen);
	*n = (struct namespaces){0};
}

/* Where the name is, or belongs. */
static size_t namespaces_place(const struct namespaces *n, const char *name, bool *found)
{
	size_t low = 0, high = n->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = strcmp(n->v[middle].name, name);
		if (c == 0) {
			*found = true;
			return middle;
		}
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = false;
	return low;
}

static void namespaces_remove(struct namespaces *n, size_t at)
{
	n->n--;
	memmove(&n->v[at], &n->v[at + 1], (n->n - at) * sizeof(*n->v));
	memmove(&n->seen[at], &n->seen[at + 1], (n->n - at) * sizeof(*n->seen));
}

static void namespaces_insert(struct namespaces *n, size_t at)
{
	n->v = mem_grow(n->v, &n->room, n->n, sizeof(*n->v));
	n->seen = mem_grow(n->seen, &n->room_seen, n->n, sizeof(*n->seen));
	memmove(&n->v[at + 1], &n->v[at], (n->n - at) * sizeof(*n->v));
	memmove(&n->seen[at + 1], &n->seen[at], (n->n - at) * sizeof(*n->seen));
	n->n++;
}

static void read_namespace(const struct kube_event *ev, struct node_namespace *out)
{
	const json_t *metadata = json_object_get(ev->object, "metadata");
	const json_t *annotations = json_object_get(metadata, "annotations");
	*out = (struct node_namespace){0};
	if (text_copy(out->name, sizeof(out->name), ev->name))
		cni_args_of_namespace(annotations, out->annotations);
}

static bool namespaces_put(struct namespaces *n, const struct node_namespace *now)
{
	bool found;
	size_t at = namespaces_place(n, now->name, &found);
	bool silent = node_namespace_is_silent(now);
	if (!found && silent)
		return false;
	if (silent) {
		namespaces_remove(n, at);
		return true;
	}
	if (!found)
		namespaces_insert(n, at);
	bool same = found && memcmp(&n->v[at], now, sizeof(*now)) == 0;
	n->v[at] = *now;
	n->seen[at] = n->generation;
	return !same;
}

bool namespaces_take(struct namespaces *n, const struct kube_event *ev)
{
	struct node_namespace now;
	size_t before = n->n;
	bool found;
	switch (ev->kind) {
	case KUBE_RESTART:
		n->generation++;
		n->complete = false;
		return false;
	case KUBE_EXISTS:
		read_namespace(ev, &now);
		return *now.name && namespaces_put(n, &now);
	case KUBE_GONE:
		before = namespaces_place(n, ev->name, &found);
		if (found)
			namespaces_remove(n, before);
		return found;
	case KUBE_CURRENT:
		for (size_t i = n->n; i-- > 0;)
			if (n->seen[i] != n->generation)
				namespaces_remove(n, i);
		found = n->complete;
		n->complete = true;
		return !found || n->n != before;
	case KUBE_ANSWER:
	case KUBE_FAILED:
		break;
	}
	return false;
}
