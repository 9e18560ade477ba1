/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object is read as agents read it (policy/read.h), so what its status says is what they do. A condition that
 * says the same of the same generation is left alone: nothing is written twice.
 */
#include "agent/policy/acceptance.h"

#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "policy/read.h"

struct acceptance {
	const char *status, *reason;
	char message[ACCEPTANCE_MESSAGE];
};

static void say_taken(struct acceptance *a)
{
	a->status = "True";
	a->reason = "AsWritten";
	(void)text_copy(a->message, sizeof(a->message), "it is taken as it is written");
}

/* lines: sentences, each a line. */
static void say_refused(struct acceptance *a, const char *reason, const char *lines)
{
	CLEANUP_TEXT struct text joined = {0};
	a->status = "False";
	a->reason = reason;
	for (const char *s = lines; *s; s++) {
		if (*s == '\n')
			text_add(&joined, "; ");
		else
			text_add(&joined, "%c", *s);
	}
	(void)json_clean(a->message, sizeof(a->message), joined.buf ? joined.buf : "");
}

static void judge_policy(const json_t *object, struct acceptance *a, struct err *e)
{
	struct policy *p = NULL;
	if (policy_read_policy(object, &p, e) < 0)
		return;
	say_taken(a);
	if (p->problems)
		say_refused(a, "NotServed", p->problems);
	policy_free(p);
}

static void judge_set(const json_t *object, struct acceptance *a, struct err *e)
{
	struct policy_netset s;
	if (policy_read_netset(object, &s, e) < 0)
		return;
	say_taken(a);
	free(s.nets);
	free((void *)s.labels.v);
}

static void judge_tier(const json_t *object, struct acceptance *a, struct err *e)
{
	struct policy_tier t;
	if (policy_read_tier(object, &t, e) >= 0)
		say_taken(a);
}

/* false: it is nothing that is judged. */
static bool judge(const json_t *object, struct acceptance *a)
{
	static const struct {
		const char *end; /* of the kind */
		void (*judge)(const json_t *object, struct acceptance *a, struct err *e);
	} kinds[] = {
		{"NetworkPolicy", judge_policy}, {"NetworkSet", judge_set}, {"Tier", judge_tier}};
	const char *kind = json_text_at(object, "kind");
	size_t len = strlen(kind);
	struct err e = {0};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t end = strlen(kinds[i].end);
		if (len < end || strcmp(kind + len - end, kinds[i].end) != 0)
			continue;
		*a = (struct acceptance){.status = NULL};
		kinds[i].judge(object, a, &e);
		if (!a->status) {
			err_add(&e, "what it said before counts");
			say_refused(a, "NotRead", e.text);
		}
		return true;
	}
	return false;
}

static bool is_ours(const json_t *condition)
{
	return strcmp(json_text_at(condition, "type"), ACCEPTANCE_TYPE) == 0;
}

static const json_t *find_ours(const json_t *conditions)
{
	size_t i;
	const json_t *one;
	json_array_foreach (conditions, i, one)
		if (is_ours(one))
			return one;
	return NULL;
}

static json_int_t number_at(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static json_t *make_condition(
	const struct acceptance *a, const json_t *before, json_int_t generation, int64_t wall_s)
{
	bool same = strcmp(json_text_at(before, "status"), a->status) == 0;
	const char *since = json_text_at(before, "lastTransitionTime");
	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "type", ACCEPTANCE_TYPE, "status",
		a->status, "observedGeneration", generation, "lastTransitionTime",
		same && *since ? since : TIME_STRING(wall_s), "reason", a->reason, "message",
		a->message);
}

static bool says_so(const json_t *ours, const struct acceptance *a, json_int_t generation)
{
	return ours && number_at(ours, "observedGeneration") == generation &&
	       strcmp(json_text_at(ours, "status"), a->status) == 0 &&
	       strcmp(json_text_at(ours, "reason"), a->reason) == 0 &&
	       strcmp(json_text_at(ours, "message"), a->message) == 0;
}

json_t *acceptance_patch(const json_t *object, int64_t wall_s)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *before = json_object_get(json_object_get(object, "status"), "conditions");
	const json_t *ours = find_ours(before);
	json_int_t generation = number_at(metadata, "generation");
	struct acceptance a;
	size_t i;
	json_t *one;
	if (!judge(object, &a) || says_so(ours, &a, generation))
		return NULL;
	json_t *conditions = json_array();
	json_array_foreach (before, i, one)
		if (!is_ours(one))
			json_append(conditions, json_incref(one));
	json_append(conditions, make_condition(&a, ours, generation, wall_s));
	return json_pack("{s:{s:s}, s:{s:o}}", "metadata", "resourceVersion",
		json_text_at(metadata, "resourceVersion"), "status", "conditions", conditions);
}
