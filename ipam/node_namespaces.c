/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record for each namespace that says something.
 */
#include "ipam/node_namespaces.h"

#include <string.h>

#include "ipam/node_impl.h"
#include "ipam/node_records.h"
#include "ipam/record_pod.h"
#include "lib/text.h"

bool node_namespace_is_silent(const struct node_namespace *n)
{
	for (size_t i = 0; i < CNI_NAMESPACE_ANNOTATIONS; i++)
		if (*n->annotations[i].text)
			return false;
	return true;
}

static void make_record(const void *list, size_t i, struct db_entry *out)
{
	const struct node_namespace *n = (const struct node_namespace *)list + i;
	struct record_namespace rec;
	(void)text_copy(out->key.name, sizeof(out->key.name), n->name);
	memcpy(rec.annotations, n->annotations, sizeof(rec.annotations));
	out->value.len = record_namespace_format(&rec, out->value.bytes);
}

int node_put_namespaces(
	struct node *n, const struct node_namespace *list, size_t count, struct err *e)
{
	return node_records_put(n, RECORD_NAMESPACE, make_record, list, count, e);
}

int node_get_namespace(struct node *n, const char *name, struct node_namespace *out, struct err *e)
{
	struct db_value value;
	struct record_namespace rec;
	if (!*name)
		return 0; /* none that Kubernetes could have */
	int r = node_records_get(n, RECORD_NAMESPACE, name, &value, e);
	if (r != 1)
		return r;
	if (!record_namespace_parse(value.bytes, value.len, &rec))
		return db_damage(n->db, e, "the record of a namespace is malformed");
	*out = (struct node_namespace){0};
	(void)text_copy(out->name, sizeof(out->name), name);
	memcpy(out->annotations, rec.annotations, sizeof(out->annotations));
	return 1;
}
