/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of an object (policy/selector.h): an array sorted by key with its texts behind it, in one block of
 * memory, so that whoever owns the array frees all of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "policy/selector.h"

static int compare_labels(const void *a, const void *b)
{
	const struct policy_label *x = a, *y = b;
	return strcmp(x->key, y->key);
}

static int labels_measure(const json_t *object, size_t *bytes, struct err *e)
{
	const char *key;
	json_t *value;
	*bytes = 0;
	if (json_object_size(object) > POLICY_LABELS)
		return err_set(e, EINVAL, "%zu labels: %d at most", json_object_size(object),
			POLICY_LABELS);
	json_object_foreach ((json_t *)object, key, value) {
		if (!json_is_string(value))
			return err_set(e, EINVAL, "the label %.128s is %s, not a string", key,
				json_type_text(value));
		*bytes += sizeof(struct policy_label) + strlen(key) + 1 +
			  strlen(json_string_value(value)) + 1;
	}
	return 0;
}

int policy_labels_read(const json_t *object, struct policy_labels *out, struct err *e)
{
	size_t bytes = 0, n = 0;
	const char *key;
	json_t *value;
	if (object && !json_is_null(object) && !json_is_object(object))
		return err_set(e, EINVAL, "labels are %s, not an object", json_type_text(object));
	int r = labels_measure(object, &bytes, e);
	if (r < 0)
		return r;
	*out = (struct policy_labels){0};
	if (json_object_size(object) == 0)
		return 0;
	struct policy_label *v = mem_new(1, bytes);
	char *text = (char *)(v + json_object_size(object));
	json_object_foreach ((json_t *)object, key, value) {
		size_t key_size = strlen(key) + 1;
		size_t value_size = strlen(json_string_value(value)) + 1;
		memcpy(text, key, key_size);
		memcpy(text + key_size, json_string_value(value), value_size);
		v[n++] = (struct policy_label){.key = text, .value = text + key_size};
		text += key_size + value_size;
	}
	qsort(v, n, sizeof(*v), compare_labels);
	*out = (struct policy_labels){.v = v, .n = n};
	return 0;
}

static int compare_key(const void *element, const void *key)
{
	const struct policy_label *l = element;
	return strcmp(l->key, key);
}

const char *policy_labels_get(const struct policy_labels *l, const char *key)
{
	const struct policy_label *found = search_find(l->v, l->n, sizeof(*l->v), key, compare_key);
	return found ? found->value : NULL;
}
