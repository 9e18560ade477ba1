/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row for each collection. Whether ClusterNetworkPolicies are served, and in which version, says their
 * definition, which is watched by its name: so nobody asks in vain for a collection that does not exist, and
 * one that is installed later is found at once.
 *
 * Pods are all pods of the cluster, as a peer may be any of them; those that ended are left out by the server.
 * That costs a large cluster's agents something, so they are followed only while there are policies, and
 * for some minutes longer, as policies come and go.
 *
 * The items of a list do not say their kind, which a reader wants to know: it is put back.
 */
#include "agent/policy/sources.h"

#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "policy/read.h"

#define PATIENCE_MS 15000	  /* a list that takes longer is a problem */
#define LINGER_MS INT64_C(300000) /* pods are followed for so long behind the last policy */
#define GROUP "policy.networking.k8s.io"
#define DEFINITION "clusternetworkpolicies." GROUP
#define DEFINITIONS "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

/* One collection. */
struct source {
	uint64_t watch;	  /* 0: not followed */
	bool told;	  /* since it is followed */
	int64_t since_ms; /* it is followed */
	size_t unread;	  /* objects that were refused */
	char why[256];	  /* the latest of them */
};

struct sources {
	struct policy_world *world;
	struct source v[POLICY_SOURCES];
	uint64_t watch_definition;
	bool knows_definition, had_definition; /* its list is told; it was in it */
	char version[64];		       /* in which it is served; "": not at all */
	char followed[64];		       /* that is followed */
	int64_t needed_ms;		       /* when there was a policy last */
};

static const struct {
	const char *path, *version, *kind, *name;
	const char *fields;
} rows[POLICY_SOURCES] = {
	[POLICY_FROM_NAMESPACES] = {"/api/v1/namespaces", "v1", "Namespace", "namespaces", NULL},
	[POLICY_FROM_PODS] = {"/api/v1/pods", "v1", "Pod", "pods",
		"status.phase!=Succeeded,status.phase!=Failed"},
	[POLICY_FROM_ACCOUNTS] = {"/api/v1/serviceaccounts", "v1", "ServiceAccount",
		"service accounts", NULL},
	[POLICY_FROM_NETWORK_POLICIES] = {"/apis/networking.k8s.io/v1/networkpolicies",
		"networking.k8s.io/v1", "NetworkPolicy", "NetworkPolicies", NULL},
	[POLICY_FROM_CLUSTER_POLICIES] = {"/apis/" GROUP, GROUP, "ClusterNetworkPolicy",
		"ClusterNetworkPolicies", NULL},
};

struct sources *sources_new(struct policy_world *w)
{
	struct sources *s = mem_new(1, sizeof(*s));
	s->world = w;
	return s;
}

void sources_free(struct sources *s)
{
	free(s);
}

/* ---- What is followed ---- */

static void source_start(struct sources *s, struct kube *k, enum policy_source which)
{
	char path[160];
	bool versioned = which == POLICY_FROM_CLUSTER_POLICIES;
	(void)snprintf(path, sizeof(path), "%s%s%s%s", rows[which].path, versioned ? "/" : "",
		versioned ? s->version : "", versioned ? "/clusternetworkpolicies" : "");
	if (s->v[which].watch)
		return;
	s->v[which].since_ms = boot_now_ms();
	s->v[which].watch = kube_start_watch(
		k, &(struct kube_selection){.path = path, .field_selector = rows[which].fields});
}

/* Nothing of it is there any more. */
static void source_forget(struct sources *s, enum policy_source which)
{
	policy_world_begin(s->world, which);
	policy_world_end(s->world, which);
	s->v[which] = (struct source){0};
}

static void source_stop(struct sources *s, struct kube *k, enum policy_source which)
{
	if (!s->v[which].watch)
		return;
	kube_stop(k, s->v[which].watch);
	source_forget(s, which);
}

static bool end_needs_accounts(const struct policy_end *e)
{
	return e->accounts != NULL;
}

static bool rule_needs_accounts(const struct policy_rule *r)
{
	for (size_t i = 0; i < r->n_peers; i++)
		if (end_needs_accounts(&r->peers[i]))
			return true;
	return end_needs_accounts(&r->self);
}

static bool policy_needs_accounts(const struct policy *p)
{
	for (int d = 0; d < POLICY_DIRECTIONS; d++)
		for (size_t i = 0; i < p->n_rules[d]; i++)
			if (rule_needs_accounts(&p->rules[d][i]))
				return true;
	return p->accounts != NULL;
}

static bool needs_accounts(const struct sources *s)
{
	size_t n;
	const struct policy *const *v = policy_world_policies(s->world, &n);
	for (size_t i = 0; i < n; i++)
		if (policy_needs_accounts(v[i]))
			return true;
	return false;
}

static bool has_policies(const struct sources *s)
{
	size_t n;
	(void)policy_world_policies(s->world, &n);
	return n > 0;
}

static void follow_pods(struct sources *s, struct kube *k, int64_t now_ms)
{
	if (has_policies(s))
		s->needed_ms = now_ms;
	bool linger = s->needed_ms && now_ms - s->needed_ms < LINGER_MS;
	if (!linger) {
		source_stop(s, k, POLICY_FROM_PODS);
		source_stop(s, k, POLICY_FROM_ACCOUNTS);
		return;
	}
	source_start(s, k, POLICY_FROM_PODS);
	if (!s->v[POLICY_FROM_ACCOUNTS].watch && needs_accounts(s))
		source_start(s, k, POLICY_FROM_ACCOUNTS);
}

static void follow_cluster_policies(struct sources *s, struct kube *k)
{
	struct source *own = &s->v[POLICY_FROM_CLUSTER_POLICIES];
	if (!s->knows_definition || (own->told && !own->watch && !*s->version))
		return;
	if (own->watch && strcmp(s->version, s->followed) == 0)
		return;
	if (own->watch) {
		kube_stop(k, own->watch); /* the new list says what is gone */
		own->watch = 0;
	}
	(void)text_copy(s->followed, sizeof(s->followed), s->version);
	if (*s->version) {
		source_start(s, k, POLICY_FROM_CLUSTER_POLICIES);
		return;
	}
	source_forget(s, POLICY_FROM_CLUSTER_POLICIES);
	own->told = true;
}

void sources_follow(struct sources *s, struct kube *k, int64_t now_ms)
{
	source_start(s, k, POLICY_FROM_NAMESPACES);
	source_start(s, k, POLICY_FROM_NETWORK_POLICIES);
	if (!s->watch_definition)
		s->watch_definition =
			kube_start_watch(k, &(struct kube_selection){.path = DEFINITIONS,
						    .field_selector = "metadata.name=" DEFINITION});
	follow_cluster_policies(s, k);
	follow_pods(s, k, now_ms);
}

void sources_rest(struct sources *s, struct kube *k)
{
	for (enum policy_source i = 0; i < POLICY_SOURCES; i++)
		source_stop(s, k, i);
	if (s->watch_definition)
		kube_stop(k, s->watch_definition);
	*s = (struct sources){.world = s->world};
}

const char *sources_cluster_version(const struct sources *s)
{
	return s->version;
}

bool sources_are_told(const struct sources *s)
{
	for (enum policy_source i = 0; i < POLICY_SOURCES; i++)
		if (s->v[i].watch && !s->v[i].told)
			return false;
	bool follows_pods = s->v[POLICY_FROM_PODS].watch || !has_policies(s);
	return s->v[POLICY_FROM_NAMESPACES].told && s->v[POLICY_FROM_NETWORK_POLICIES].told &&
	       s->v[POLICY_FROM_CLUSTER_POLICIES].told && follows_pods &&
	       (s->v[POLICY_FROM_ACCOUNTS].watch || !needs_accounts(s));
}

/* ---- What comes ---- */

/* "v1" before "v1beta1" before "v1alpha2". */
static int version_rank(const char *v)
{
	static const char *const known[] = {"v1alpha1", "v1alpha2", "v1beta1", "v1beta2", "v1"};
	return TEXT_INDEX(v, known);
}

static void read_definition(struct sources *s, const json_t *object)
{
	const json_t *versions = json_object_get(json_object_get(object, "spec"), "versions");
	const json_t *item;
	size_t i;
	s->version[0] = '\0';
	json_array_foreach (versions, i, item) {
		const char *name = json_text_at(item, "name");
		if (json_is_true(json_object_get(item, "served")) &&
			version_rank(name) > version_rank(s->version))
			(void)text_copy(s->version, sizeof(s->version), name);
	}
}

static void take_definition(struct sources *s, const struct kube_event *ev)
{
	switch (ev->kind) {
	case KUBE_RESTART:
		s->had_definition = false;
		break;
	case KUBE_EXISTS:
		s->had_definition = true;
		read_definition(s, ev->object);
		break;
	case KUBE_GONE:
		s->version[0] = '\0';
		break;
	case KUBE_CURRENT:
		s->knows_definition = true;
		if (!s->had_definition)
			s->version[0] = '\0';
		break;
	case KUBE_ANSWER:
	case KUBE_FAILED:
		break;
	}
}

/* The object, and its kind where a list left that away. The caller's. */
static json_t *object_with_kind(
	const struct sources *s, enum policy_source which, const json_t *object)
{
	json_t *copy = json_copy((json_t *)object); /* shallow: members are shared */
	char version[128];
	if (!copy || json_object_get(copy, "kind"))
		return copy;
	bool versioned = which == POLICY_FROM_CLUSTER_POLICIES;
	(void)snprintf(version, sizeof(version), "%s%s%s", rows[which].version,
		versioned ? "/" : "", versioned ? s->followed : "");
	json_put(copy, "kind", json_string(rows[which].kind));
	json_put(copy, "apiVersion", json_string(version));
	return copy;
}

static bool take_object(struct sources *s, enum policy_source which, const struct kube_event *ev)
{
	struct source *own = &s->v[which];
	CLEANUP_JSON json_t *object = object_with_kind(s, which, ev->object);
	bool changed = false;
	struct err e;
	if (policy_read_into(s->world, which, object, ev->kind == KUBE_GONE, &changed, &e) >= 0)
		return changed;
	own->unread++;
	(void)snprintf(own->why, sizeof(own->why), "%s %.60s%s%.60s: %.120s", rows[which].kind,
		ev->namespace_, *ev->namespace_ ? "/" : "", ev->name, e.text);
	return false;
}

static bool take_event(struct sources *s, enum policy_source which, const struct kube_event *ev)
{
	struct source *own = &s->v[which];
	switch (ev->kind) {
	case KUBE_RESTART:
		policy_world_begin(s->world, which);
		own->unread = 0;
		return false;
	case KUBE_CURRENT:
		policy_world_end(s->world, which);
		own->told = true;
		return true;
	case KUBE_EXISTS:
	case KUBE_GONE:
		return take_object(s, which, ev);
	case KUBE_ANSWER:
	case KUBE_FAILED:
		break;
	}
	return false;
}

bool sources_take(struct sources *s, const struct kube_event *ev, bool *changed)
{
	*changed = false;
	if (s->watch_definition && ev->id == s->watch_definition) {
		take_definition(s, ev);
		*changed = true;
		return true;
	}
	for (enum policy_source i = 0; i < POLICY_SOURCES; i++) {
		if (!s->v[i].watch || ev->id != s->v[i].watch)
			continue;
		*changed = take_event(s, i, ev);
		return true;
	}
	return false;
}

/* ---- For people ---- */

void sources_list_problems(const struct sources *s, struct problems *out)
{
	int64_t now_ms = boot_now_ms();
	for (enum policy_source i = 0; i < POLICY_SOURCES; i++) {
		const struct source *own = &s->v[i];
		if (own->watch && !own->told && now_ms - own->since_ms > PATIENCE_MS)
			problems_add_as(out, rows[i].path,
				"network policies are enforced as they were: Kubernetes has not "
				"listed its %s yet (roostd's account needs the right to list and "
				"watch them)",
				rows[i].name);
		if (own->unread)
			problems_add_as(out, rows[i].kind,
				"%zu %s cannot be read, the last one: %s", own->unread,
				rows[i].name, own->why);
	}
	bool is_late = now_ms - s->v[POLICY_FROM_NAMESPACES].since_ms > PATIENCE_MS;
	if (s->watch_definition && !s->knows_definition && is_late)
		problems_add_as(out, DEFINITION,
			"network policies are enforced as they were: Kubernetes has not said "
			"whether it has ClusterNetworkPolicies (roostd's account needs the right "
			"to watch customresourcedefinitions)");
}
