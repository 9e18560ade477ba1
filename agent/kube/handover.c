/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The annotation is a list: [{"node": "n3", "uid": "...", "seconds": 300}]. Whoever may write the Lease may
 * say that a node has been gone for long; such a one could hold the Lease and remove nodes as well.
 */
#include "agent/kube/handover.h"

#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define SECONDS_MAX 31536000

static void read_entry(struct handover *h, const json_t *in)
{
	struct handover_entry e = {.replaced = json_is_true(json_object_get(in, "replaced"))};
	const char *node = json_text_at(in, "node");
	json_int_t seconds = json_integer_value(json_object_get(in, "seconds"));
	if (!text_is_dns_name(node) || strlen(node) >= sizeof(e.node) || seconds < 0)
		return;
	(void)text_copy(e.node, sizeof(e.node), node);
	(void)text_clean(e.uid, sizeof(e.uid), json_text_at(in, "uid"));
	e.seconds = seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
	handover_add(h, &e);
}

void handover_read(struct handover *h, const json_t *lease)
{
	const json_t *metadata = json_object_get(lease, "metadata");
	const char *text =
		json_text_at(json_object_get(metadata, "annotations"), HANDOVER_ANNOTATION);
	struct err ignored; /* then nobody has said anything */
	CLEANUP_JSON json_t *list = NULL;
	size_t i;
	json_t *entry;
	h->n = 0;
	if (json_parse(text, strlen(text), &list, &ignored) < 0)
		return;
	json_array_foreach (list, i, entry)
		read_entry(h, entry);
}

void handover_write(const struct handover *h, json_t *lease)
{
	if (!h->n)
		return;
	CLEANUP_JSON json_t *list = json_array();
	for (size_t i = 0; i < h->n; i++) {
		const struct handover_entry *e = &h->v[i];
		json_t *entry = json_object();
		json_put(entry, "node", json_string(e->node));
		json_put(entry, "uid", json_string(e->uid));
		json_put(entry, "seconds", json_integer(e->seconds));
		if (e->replaced)
			json_put(entry, "replaced", json_true());
		json_append(list, entry);
	}
	CLEANUP_FREE char *text = json_text(list);
	json_t *annotations = json_object();
	json_put(annotations, HANDOVER_ANNOTATION, json_string(text));
	json_put(json_object_get(lease, "metadata"), "annotations", annotations);
}

void handover_add(struct handover *h, const struct handover_entry *e)
{
	if (h->n < HANDOVER_MAX)
		h->v[h->n++] = *e;
}

const struct handover_entry *handover_find(const struct handover *h, const char *node)
{
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(h->v[i].node, node) == 0)
			return &h->v[i];
	return NULL;
}

void handover_drop(struct handover *h, const char *node)
{
	struct handover_entry *e = (struct handover_entry *)handover_find(h, node);
	if (e)
		*e = h->v[--h->n];
}
