/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch of each kind, which begins when the Lease is ours: its list shows what an earlier holder has written, so
 * a new one writes nothing twice. Kept are the objects alone whose status does not say yet what it shall, with the
 * patch that makes it so; a few are patched at a time, each with the version that it was read with. When somebody
 * else was faster (409), the watch tells of the object again, and that is judged anew.
 *
 * Agents that watch see each status that is written as a change of the object, and find that nothing of it
 * matters to them.
 */
#include "agent/policy/statuses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/acceptance.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"

#define AT_ONCE 4u /* patches under way */
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
#define CLUSTER_GROUP "policy.networking.k8s.io"
#define OWN_GROUP "roost.io"

static const struct {
	const char *plural, *kind;
	bool is_cluster; /* ClusterNetworkPolicies */
} kinds[] = {
	{"clusternetworkpolicies", "ClusterNetworkPolicy", true},
	{"tiers", "Tier", false},
	{"globalnetworkpolicies", "GlobalNetworkPolicy", false},
	{"networkpolicies", "NetworkPolicy", false},
	{"globalnetworksets", "GlobalNetworkSet", false},
	{"networksets", "NetworkSet", false},
	{"stagedglobalnetworkpolicies", "StagedGlobalNetworkPolicy", false},
	{"stagednetworkpolicies", "StagedNetworkPolicy", false},
	{"stagedkubernetesnetworkpolicies", "StagedKubernetesNetworkPolicy", false},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* An object whose status is to be written. */
struct due {
	char *path; /* of the object */
	json_t *patch;
	uint64_t request; /* under way; 0: none */
	bool told;	  /* the watch told of it meanwhile: the patch is another one */
};

struct statuses {
	uint64_t watches[KINDS]; /* 0: none */
	char version[64];	 /* of ClusterNetworkPolicies that is watched */
	struct due **v;		 /* by path */
	size_t n, room;
	size_t under_way;
	int64_t retry_ms, retry_at;
	char why[256]; /* of the latest refusal; "" */
};

struct statuses *statuses_new(void)
{
	return mem_new(1, sizeof(struct statuses));
}

static void due_free(struct due *d)
{
	json_decref(d->patch);
	free(d->path);
	free(d);
}

void statuses_rest(struct statuses *s, struct kube *k)
{
	for (size_t i = 0; i < s->n; i++) {
		if (k && s->v[i]->request)
			kube_stop(k, s->v[i]->request);
		due_free(s->v[i]);
	}
	for (size_t i = 0; k && i < KINDS; i++)
		if (s->watches[i])
			kube_stop(k, s->watches[i]);
	free(s->v);
	*s = (struct statuses){0};
}

void statuses_free(struct statuses *s)
{
	if (!s)
		return;
	statuses_rest(s, NULL);
	free(s);
}

/* ---- What is due ---- */

static int compare_path(const void *element, const void *key)
{
	return strcmp((*(struct due *const *)element)->path, key);
}

static size_t place_of(const struct statuses *s, const char *path)
{
	return search_lower_bound(s->v, s->n, sizeof(struct due *), path, compare_path);
}

static struct due *find(const struct statuses *s, const char *path)
{
	size_t at = place_of(s, path);
	return at < s->n && strcmp(s->v[at]->path, path) == 0 ? s->v[at] : NULL;
}

static void drop_at(struct statuses *s, size_t at)
{
	s->under_way -= s->v[at]->request != 0;
	due_free(s->v[at]);
	memmove(&s->v[at], &s->v[at + 1], (--s->n - at) * sizeof(struct due *));
}

static void drop(struct statuses *s, const char *path)
{
	if (find(s, path))
		drop_at(s, place_of(s, path));
}

/* patch: taken over. */
static void put(struct statuses *s, const char *path, json_t *patch)
{
	struct due *d = find(s, path);
	if (!d) {
		size_t at = place_of(s, path);
		s->v = mem_grow(s->v, &s->room, s->n, sizeof(struct due *));
		memmove(&s->v[at + 1], &s->v[at], (s->n++ - at) * sizeof(struct due *));
		d = s->v[at] = mem_new(1, sizeof(*d));
		d->path = mem_strdup(path);
	}
	json_decref(d->patch);
	d->patch = patch;
	d->told = d->request != 0;
}

static const char *group_of(size_t kind)
{
	return kinds[kind].is_cluster ? CLUSTER_GROUP : OWN_GROUP;
}

static const char *version_of(const struct statuses *s, size_t kind)
{
	return kinds[kind].is_cluster ? s->version : "v1";
}

static void take_object(struct statuses *s, size_t kind, const struct kube_event *ev)
{
	CLEANUP_TEXT struct text path = {0}, api = {0};
	bool has = *ev->namespace_;
	text_add(&api, "%s/%s", group_of(kind), version_of(s, kind));
	text_add(&path, "/apis/%s%s%s/%s/%s", api.buf, has ? "/namespaces/" : "", ev->namespace_,
		kinds[kind].plural, ev->name);
	if (ev->kind == KUBE_GONE) {
		drop(s, path.buf);
		return;
	}
	/* Items of a list do not say what they are. */
	CLEANUP_JSON json_t *object = json_copy((json_t *)ev->object);
	json_put(object, "apiVersion", json_string(api.buf));
	json_put(object, "kind", json_string(kinds[kind].kind));
	json_t *patch = acceptance_patch(object, boot_wall_s());
	if (patch)
		put(s, path.buf, patch);
	else
		drop(s, path.buf);
}

/* ---- Requests ---- */

static void send_patch(struct statuses *s, struct kube *k, struct due *d)
{
	CLEANUP_TEXT struct text path = {0};
	text_add(&path, "%s/status", d->path);
	d->told = false;
	d->request = kube_start_request(k, KUBE_PATCH, path.buf, d->patch, 0);
	s->under_way++;
}

static void note_refusal(struct statuses *s, const struct due *d, const struct kube_event *ev)
{
	char why[sizeof(s->why)];
	const char *message =
		ev->kind == KUBE_FAILED ? ev->what : json_text_at(ev->object, "message");
	(void)text_clean(why, sizeof(why), *message ? message : "no reason was given");
	s->retry_ms = s->retry_ms ? 2 * s->retry_ms : RETRY_MIN_MS;
	s->retry_ms = s->retry_ms < RETRY_MAX_MS ? s->retry_ms : RETRY_MAX_MS;
	s->retry_at = boot_now_ms() + s->retry_ms;
	if (!*s->why)
		log_warning("the status of %s is not written, trying again: %s", d->path, why);
	(void)text_copy(s->why, sizeof(s->why), why);
}

static void take_answer(struct statuses *s, size_t at, const struct kube_event *ev)
{
	struct due *d = s->v[at];
	int status = ev->kind == KUBE_ANSWER ? ev->status : 0;
	d->request = 0;
	s->under_way--;
	if (status == 200) {
		s->retry_ms = s->retry_at = 0;
		s->why[0] = '\0';
	}
	bool over = status == 200 || status == 404 || status == 409;
	if (over && !d->told)
		drop_at(s, at);
	else if (!over)
		note_refusal(s, d, ev);
}

static void start_watches(struct statuses *s, const struct statuses_input *in)
{
	for (size_t i = 0; i < KINDS; i++) {
		CLEANUP_TEXT struct text path = {0};
		bool wanted = kinds[i].is_cluster ? *s->version : in->has_kinds;
		if (!wanted || s->watches[i])
			continue;
		text_add(&path, "/apis/%s/%s/%s", group_of(i), version_of(s, i), kinds[i].plural);
		s->watches[i] = kube_start_watch(
			in->kube, &(struct kube_selection){.path = path.buf, .may_lack = true});
	}
}

void statuses_step(struct statuses *s, const struct statuses_input *in)
{
	if (strcmp(s->version, in->cluster_version) != 0) {
		statuses_rest(s, in->kube);
		(void)text_copy(s->version, sizeof(s->version), in->cluster_version);
	}
	start_watches(s, in);
	if (in->now_ms < s->retry_at)
		return;
	for (size_t i = 0; i < s->n && s->under_way < AT_ONCE; i++)
		if (!s->v[i]->request)
			send_patch(s, in->kube, s->v[i]);
}

/* ---- Events ---- */

bool statuses_take(struct statuses *s, const struct kube_event *ev)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (!s->watches[i] || ev->id != s->watches[i])
			continue;
		if (ev->kind == KUBE_EXISTS || ev->kind == KUBE_GONE)
			take_object(s, i, ev);
		return true;
	}
	for (size_t i = 0; s->under_way && i < s->n; i++) {
		if (!s->v[i]->request || ev->id != s->v[i]->request)
			continue;
		take_answer(s, i, ev);
		return true;
	}
	return false;
}

void statuses_list_problems(const struct statuses *s, struct problems *out)
{
	if (*s->why)
		problems_add_as(out, "policy statuses",
			"%zu policies, network sets and tiers do not say in their status what "
			"becomes of them: %s",
			s->n, s->why);
}
