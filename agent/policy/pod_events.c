/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Event's name is made of what it is about, so that an agent that starts anew goes on with the Event that is there:
 * its POST is refused as there is one, and it becomes a patch. A patch of an Event that the API server has dropped (it
 * keeps them for an hour) becomes a POST. A namespace that is being deleted takes no Events, and whoever lacks the right
 * to make some is not to ask in vain for ever: a refusal lets the entry rest.
 *
 * The pace is one bucket (a time at which it would be full again). One request is under way at a time.
 */
#include "agent/policy/pod_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define ROOM 128
#define TEXT_MAX 900	 /* of a message; the API takes 1024 */
#define NAME_MAX_POD 200 /* a longer name is not a part of the Event's */
#define HTTP_NOT_FOUND 404
#define HTTP_CONFLICT 409

struct pod_event {
	struct hash key;
	char namespace[POLICY_NAMESPACE], pod[POLICY_NAME], uid[64];
	char name[POLICY_NAME]; /* of the Event */
	char text[TEXT_MAX];
	uint64_t count, told; /* packets */
	int64_t last_ms;      /* a packet came */
	int64_t due_ms;	      /* it may be told */
	bool exists;	      /* in the API, as far as is known */
};

struct pod_events {
	size_t n;
	int64_t full_ms;
	bool asked;
	struct hash asked_of;
	struct pod_event v[ROOM];
};

struct pod_events *pod_events_new(void)
{
	return mem_new(1, sizeof(struct pod_events));
}

void pod_events_free(struct pod_events *e)
{
	free(e);
}

static struct pod_event *pod_events_find(struct pod_events *e, const struct hash *key)
{
	for (size_t i = 0; i < e->n; i++)
		if (hash_equal(&e->v[i].key, key))
			return &e->v[i];
	return NULL;
}

static void pod_events_forget(struct pod_events *e, int64_t now_ms)
{
	for (size_t i = e->n; i-- > 0;)
		if (now_ms - e->v[i].last_ms >= POD_EVENTS_FORGET_MS)
			e->v[i] = e->v[--e->n];
}

static size_t pod_events_of(const struct pod_events *e, const struct policy_pod *pod)
{
	size_t n = 0;
	for (size_t i = 0; i < e->n; i++)
		n += strcmp(e->v[i].uid, pod->uid) == 0;
	return n;
}

/* Of what was denied and to which pod: another pod of that name is another. */
static struct hash pod_event_key(const struct policy_pod *pod, const struct hash *key)
{
	CLEANUP_TEXT struct text t = {0};
	text_add_bytes(&t, (const char *)key, sizeof(*key));
	text_add(&t, "%s/%s/%s", pod->namespace, pod->name, pod->uid);
	return hash_of(t.buf, t.len);
}

static void pod_event_begin(
	struct pod_event *x, const struct policy_pod *pod, const struct hash *key)
{
	char hex[HASH_TEXT];
	*x = (struct pod_event){.key = *key};
	(void)text_copy(x->namespace, sizeof(x->namespace), pod->namespace);
	(void)text_copy(x->pod, sizeof(x->pod), pod->name);
	(void)text_copy(x->uid, sizeof(x->uid), pod->uid);
	struct text name = TEXT_ON(x->name);
	hash_format(key, hex);
	text_add(&name, "%s.%.16s", strlen(pod->name) <= NAME_MAX_POD ? pod->name : "roost", hex);
}

void pod_events_see(struct pod_events *e, const struct policy_pod *pod, const struct hash *key,
	const char *text, uint64_t n, int64_t now_ms)
{
	const struct hash own = pod_event_key(pod, key);
	struct pod_event *x = pod_events_find(e, &own);
	if (!x) {
		pod_events_forget(e, now_ms);
		if (e->n == ROOM || pod_events_of(e, pod) >= POD_EVENTS_OF_POD)
			return;
		x = &e->v[e->n++];
		pod_event_begin(x, pod, &own);
	}
	(void)text_copy(x->text, sizeof(x->text), text);
	x->count += n;
	x->last_ms = now_ms;
}

/* As the API counts. */
static json_t *pod_event_count(const struct pod_event *x)
{
	return json_of_number(x->count < INT32_MAX ? x->count : INT32_MAX);
}

static json_t *pod_event_object(const struct pod_event *x, const char *node, int64_t wall_s)
{
	const char *now = TIME_STRING(wall_s);
	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s}, s:s, s:s, s:o, "
			 "s:{s:s, s:s}, "
			 "s:s, s:s, s:s, s:s, s:o}",
		"apiVersion", "v1", "kind", "Event", "metadata", "name", x->name, "namespace",
		x->namespace, "involvedObject", "apiVersion", "v1", "kind", "Pod", "namespace",
		x->namespace, "name", x->pod, "uid", x->uid, "type", "Warning", "reason",
		POD_EVENTS_REASON, "message", json_of_text(x->text), "source", "component",
		"roostd", "host", node, "reportingComponent", "roost.io/roostd",
		"reportingInstance", node, "firstTimestamp", now, "lastTimestamp", now, "count",
		pod_event_count(x));
}

static const struct pod_event *pod_events_first(const struct pod_events *e)
{
	const struct pod_event *first = NULL;
	for (size_t i = 0; i < e->n; i++) {
		const struct pod_event *x = &e->v[i];
		if (x->count > x->told && (!first || x->due_ms < first->due_ms))
			first = x;
	}
	return first;
}

/* When the bucket has something. */
static int64_t pod_events_bucket(const struct pod_events *e)
{
	return e->full_ms - (int64_t)(POD_EVENTS_AT_ONCE - 1) * POD_EVENTS_PERIOD_MS;
}

int64_t pod_events_due(const struct pod_events *e)
{
	const struct pod_event *x = e->asked ? NULL : pod_events_first(e);
	int64_t bucket = pod_events_bucket(e);
	return !x ? INT64_MAX : x->due_ms > bucket ? x->due_ms : bucket;
}

struct pod_events_request pod_events_next(
	struct pod_events *e, const char *node, int64_t now_ms, int64_t wall_s)
{
	struct pod_events_request out = {0};
	if (pod_events_due(e) > now_ms)
		return out;
	struct pod_event *x = pod_events_find(e, &pod_events_first(e)->key);
	out.is_patch = x->exists;
	(void)snprintf(out.path, sizeof(out.path), "/api/v1/namespaces/%s/events%s%s", x->namespace,
		x->exists ? "/" : "", x->exists ? x->name : "");
	if (x->exists)
		out.body = json_pack("{s:o, s:s, s:o}", "count", pod_event_count(x),
			"lastTimestamp", TIME_STRING(wall_s), "message", json_of_text(x->text));
	else
		out.body = pod_event_object(x, node, wall_s);
	x->told = x->count;
	x->due_ms = now_ms + POD_EVENTS_AGAIN_MS;
	e->full_ms = (e->full_ms > now_ms ? e->full_ms : now_ms) + POD_EVENTS_PERIOD_MS;
	e->asked = true;
	e->asked_of = x->key;
	return out;
}

void pod_events_answer(struct pod_events *e, int status, int64_t now_ms)
{
	struct pod_event *x = e->asked ? pod_events_find(e, &e->asked_of) : NULL;
	e->asked = false;
	if (!x)
		return;
	bool other_way = status == (x->exists ? HTTP_NOT_FOUND : HTTP_CONFLICT);
	if (status >= 200 && status < 300) {
		x->exists = true;
	} else if (other_way) {
		x->exists = !x->exists;
		x->told = 0;
		x->due_ms = now_ms;
	} else {
		x->told = 0; /* with the next look behind the pause */
	}
}
