/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys say what a document is, as a deletion tells nothing else: resources/PLURAL/NAME, and NAMESPACE.NAME of
 * kinds that have namespaces, whose names hold no dot. A document that cannot be read leaves what was so
 * before, as nothing is known of what it should be, and is a problem until it can be, or is gone.
 */
#include "agent/policy/documents.h"

#include <errno.h>
#include <string.h>

#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "policy/read.h"

#define REFUSED_MAX 64 /* that are named; the others are counted */

struct refused {
	char key[STORE_KEY_MAX];
	char why[200];
};

struct documents {
	struct policy_world *world;
	bool end_due; /* a list came to its end, and is not trusted yet */
	struct refused refused[REFUSED_MAX];
	size_t n_refused;
};

/* What stands under a plural. object: POLICY_OBJECTS of a policy. */
static const struct document_kind {
	const char *plural;
	enum policy_object object;
	enum policy_kind policy;
	bool staged, namespaced;
} kinds[] = {
	{"networkpolicies", POLICY_OBJECTS, POLICY_CALICO, false, true},
	{"globalnetworkpolicies", POLICY_OBJECTS, POLICY_CALICO_GLOBAL, false, false},
	{"stagednetworkpolicies", POLICY_OBJECTS, POLICY_CALICO, true, true},
	{"stagedglobalnetworkpolicies", POLICY_OBJECTS, POLICY_CALICO_GLOBAL, true, false},
	{"stagedkubernetesnetworkpolicies", POLICY_OBJECTS, POLICY_NETWORK, true, true},
	{"networksets", POLICY_NETSET, POLICY_KINDS, false, true},
	{"globalnetworksets", POLICY_NETSET, POLICY_KINDS, false, false},
	{"tiers", POLICY_TIER, POLICY_KINDS, false, false},
};

struct document_name {
	const struct document_kind *kind;
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME];
};

struct documents *documents_new(struct policy_world *w)
{
	struct documents *d = mem_new(1, sizeof(*d));
	d->world = w;
	return d;
}

void documents_free(struct documents *d)
{
	free(d);
}

static bool parse_name(const char *text, struct document_name *out)
{
	const char *dot = strchr(text, '.');
	out->namespace[0] = '\0';
	if (!out->kind->namespaced)
		return *text && text_copy(out->name, sizeof(out->name), text);
	size_t len = dot ? (size_t)(dot - text) : 0;
	if (!len || len >= sizeof(out->namespace) || !dot[1])
		return false;
	memcpy(out->namespace, text, len);
	out->namespace[len] = '\0';
	return text_copy(out->name, sizeof(out->name), dot + 1);
}

/* false: it is nothing of ours. */
static bool parse_key(const char *key, struct document_name *out)
{
	size_t prefix = strlen(KEYS_RESOURCES);
	if (strncmp(key, KEYS_RESOURCES, prefix) != 0)
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].plural);
		out->kind = &kinds[i];
		if (strncmp(key + prefix, kinds[i].plural, len) == 0 && key[prefix + len] == '/')
			return parse_name(key + prefix + len + 1, out);
	}
	return false;
}

/* ---- What cannot be read ---- */

static void forgive(struct documents *d, const char *key)
{
	for (size_t i = 0; i < d->n_refused; i++)
		if (strcmp(d->refused[i].key, key) == 0)
			d->refused[i--] = d->refused[--d->n_refused];
}

static void refuse(struct documents *d, const char *key, const char *why)
{
	forgive(d, key);
	if (d->n_refused == REFUSED_MAX)
		return;
	struct refused *r = &d->refused[d->n_refused++];
	(void)text_copy(r->key, sizeof(r->key), key);
	(void)text_clean(r->why, sizeof(r->why), why);
}

void documents_list_problems(const struct documents *d, struct problems *out)
{
	for (size_t i = 0; i < d->n_refused; i++)
		problems_add_as(out, d->refused[i].key,
			"%.100s in the store is not taken up, what it said before counts: %s",
			d->refused[i].key, d->refused[i].why);
}

/* ---- What comes ---- */

static bool put_document(struct documents *d, const struct store_event *ev)
{
	CLEANUP_JSON json_t *object = NULL;
	bool changed = false;
	struct err e = {0};
	int r = ev->value ? json_parse(ev->value, strlen(ev->value), &object, &e)
			  : err_set(&e, EFBIG, "it is too large, or no text");
	if (r >= 0)
		r = policy_read_into(d->world, POLICY_FROM_STORE, object, false, &changed, &e);
	if (r < 0)
		refuse(d, ev->key, e.text);
	else
		forgive(d, ev->key);
	return changed;
}

static bool drop_document(struct documents *d, const struct document_name *n, const char *key)
{
	forgive(d, key);
	if (n->kind->object == POLICY_OBJECTS)
		return policy_world_drop_policy(
			d->world, n->kind->policy, n->kind->staged, n->namespace, n->name);
	return policy_world_drop(
		d->world, POLICY_FROM_STORE, n->kind->object, n->namespace, n->name);
}

bool documents_take(struct documents *d, const struct store_event *ev, bool *changed)
{
	struct document_name name;
	*changed = false;
	if (ev->kind == STORE_RESTART) {
		policy_world_begin(d->world, POLICY_FROM_STORE);
		d->n_refused = 0;
	}
	if (ev->kind == STORE_RESTART || ev->kind == STORE_CURRENT)
		d->end_due = ev->kind == STORE_CURRENT;
	if ((ev->kind != STORE_PUT && ev->kind != STORE_DELETE) || !parse_key(ev->key, &name))
		return false;
	*changed = ev->kind == STORE_PUT ? put_document(d, ev) : drop_document(d, &name, ev->key);
	return true;
}

bool documents_trust(struct documents *d)
{
	bool due = d->end_due;
	if (due)
		policy_world_end(d->world, POLICY_FROM_STORE);
	d->end_due = false;
	return due;
}

bool documents_are_told(const struct documents *d)
{
	return policy_world_is_told(d->world, POLICY_FROM_STORE);
}
