/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A problem is told of when it has lasted, and that it is over when it was told of. One that comes back
 * before that goes on. What is over and was told of stays in the list until that is told, too; in the
 * worst case, no right to make Events, half of the list is full of it, and the other half is the problems
 * that are. The pace is one bucket for both (a time at which it would be full again).
 */
#include "agent/kube/events.h"

#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/text.h"

static struct events_one *events_find(struct events *e, const struct hash *key)
{
	for (size_t i = 0; i < e->n; i++)
		if (hash_equal(&e->v[i].key, key))
			return &e->v[i];
	return NULL;
}

static void events_drop(struct events *e, size_t i)
{
	e->v[i] = e->v[--e->n];
	if (e->asked && e->asked_of == e->n)
		e->asked_of = i;
}

/* Room is made by one that is over, but not by the one that is under way. */
static struct events_one *events_add(struct events *e)
{
	size_t room = sizeof(e->v) / sizeof(e->v[0]);
	for (size_t i = 0; e->n == room && i < e->n; i++)
		if (e->v[i].over && !(e->asked && e->asked_of == i))
			events_drop(e, i);
	return e->n < room ? &e->v[e->n++] : NULL;
}

void events_see(struct events *e, const struct problems *now, int64_t now_ms)
{
	for (size_t i = 0; i < e->n; i++)
		e->v[i].over = true;
	for (size_t i = 0; i < now->kept; i++) {
		struct events_one *one = events_find(e, &now->key[i]);
		if (!one) {
			one = events_add(e);
			if (!one)
				continue;
			*one = (struct events_one){.key = now->key[i], .since_ms = now_ms};
		}
		one->over = false;
		(void)text_copy(one->text, sizeof(one->text), now->text[i]);
	}
	for (size_t i = e->n; i-- > 0;)
		if (e->v[i].over && !e->v[i].told && !(e->asked && e->asked_of == i))
			events_drop(e, i);
}

/* What is over goes first: it makes room. */
static const struct events_one *events_due(const struct events *e, int64_t now_ms)
{
	const struct events_one *due = NULL;
	for (size_t i = 0; i < e->n; i++) {
		const struct events_one *one = &e->v[i];
		if (one->told && one->over)
			return one;
		if (!one->told && !one->over && now_ms - one->since_ms >= EVENTS_LAST_MS && !due)
			due = one;
	}
	return due;
}

static json_t *events_object(
	const struct events_one *one, const char *node, const char *uid, int64_t wall_s)
{
	char now[32];
	boot_format_time(wall_s, now);
	return json_pack(
		"{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s}, s:s, s:s, s:o, s:{s:s, s:s}, "
		"s:s, s:s, s:s, s:s, s:i}",
		"apiVersion", "v1", "kind", "Event", "metadata", "generateName", "roost-",
		"namespace", "default", "involvedObject", "apiVersion", "v1", "kind", "Node",
		"name", node, "uid", uid, "type", one->told ? "Normal" : "Warning", "reason",
		one->told ? "RoostProblemOver" : "RoostProblem", "message", json_of_text(one->text),
		"source", "component", "roostd", "host", node, "reportingComponent",
		"roost.io/roostd", "reportingInstance", node, "firstTimestamp", now,
		"lastTimestamp", now, "count", 1);
}

json_t *events_next(
	struct events *e, const char *node, const char *uid, int64_t now_ms, int64_t wall_s)
{
	const struct events_one *one =
		e->asked || now_ms < e->retry_ms ? NULL : events_due(e, now_ms);
	int64_t from = e->full_ms > now_ms ? e->full_ms : now_ms;
	if (!one || from - now_ms > (int64_t)(EVENTS_AT_ONCE - 1) * EVENTS_PERIOD_MS)
		return NULL;
	e->full_ms = from + EVENTS_PERIOD_MS;
	e->asked = true;
	e->asked_of = (size_t)(one - e->v);
	return events_object(one, node, uid, wall_s);
}

void events_answer(struct events *e, bool made, int64_t now_ms)
{
	if (!e->asked)
		return;
	struct events_one *one = &e->v[e->asked_of];
	e->asked = false;
	if (!made)
		e->retry_ms = now_ms + EVENTS_PERIOD_MS;
	else if (one->told)
		events_drop(e, e->asked_of);
	else
		one->told = true;
}
