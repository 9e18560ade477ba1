/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything is read afresh, page by page, as who asks at three in the morning wants to know what is so now. An
 * agent's view may be older; `policy explain` asks it as well and says when it differs.
 *
 * Each list has to come to its end: half of the policies would make a wrong answer look like a right one.
 */
#include "cli/policy/gather.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/config.h"
#include "cli/output.h"
#include "cli/patience.h"
#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/text.h"
#include "policy/read.h"
#include "store/kube/kube.h"

#define GATHER_MS 60000 /* for one list, unless --timeout says something else */
#define CLUSTER_GROUP "/apis/policy.networking.k8s.io"

struct gather_list {
	const char *path, *version, *kind;
	enum policy_source source;
};

static int64_t now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void put_object(
	struct policy_world *w, enum policy_source s, const json_t *object, const char *what)
{
	struct err e = {0};
	bool changed;
	int r = policy_read_into(w, s, object, false, &changed, &e);
	if (r < 0 && r != -ENOENT)
		(void)output_complain("%.200s is passed over: %s", what, e.text);
}

/* Kubernetes. Items of a list do not say what they are. */
static void put_item(
	struct policy_world *w, const struct gather_list *l, const struct kube_event *ev)
{
	char what[400];
	CLEANUP_JSON json_t *object = json_copy((json_t *)ev->object);
	if (!object)
		return;
	(void)json_object_set_new(object, "apiVersion", json_string(l->version));
	(void)json_object_set_new(object, "kind", json_string(l->kind));
	(void)snprintf(what, sizeof(what), "%s %s%s%s", l->kind, ev->namespace_,
		*ev->namespace_ ? "/" : "", ev->name);
	put_object(w, l->source, object, what);
}

/* One event of the list: 1: it is over, 0: go on. */
static int take_event(struct policy_world *w, const struct gather_list *l,
	const struct kube_event *ev, struct err *e)
{
	if (ev->kind == KUBE_FAILED) {
		(void)err_set(e, -ev->error, "%s", ev->what);
		err_add(e, "%s", l->path);
		return ev->error;
	}
	if (ev->kind == KUBE_EXISTS)
		put_item(w, l, ev);
	return ev->kind == KUBE_CURRENT;
}

static int list_objects(struct policy_world *w, struct kube *k, const struct gather_list *l,
	unsigned int timeout_ms, struct err *e)
{
	uint64_t id = kube_start_list(k, &(struct kube_selection){.path = l->path});
	int64_t deadline = now_ms() + timeout_ms;
	policy_world_begin(w, l->source);
	for (;;) {
		struct kube_event ev;
		while (kube_next(k, &ev)) {
			int r = ev.id == id ? take_event(w, l, &ev, e) : 0;
			if (r == 0)
				continue;
			policy_world_end(w, l->source);
			return r < 0 ? r : 0;
		}
		int64_t left = deadline - now_ms();
		if (left <= 0)
			return err_set(e, ETIMEDOUT, "%s: no complete answer within %u s", l->path,
				timeout_ms / 1000);
		(void)poll(&(struct pollfd){.fd = kube_fd(k), .events = POLLIN}, 1,
			left > 1000 ? 1000 : (int)left);
	}
}

/* ClusterNetworkPolicy stands in a version of its group that changes; a cluster may not have it. */
static int list_cluster_policies(
	struct policy_world *w, struct kube *k, unsigned int timeout_ms, struct err *e)
{
	CLEANUP_JSON json_t *group = NULL;
	int status = kube_request(k, KUBE_GET, CLUSTER_GROUP, NULL, &group, e);
	if (status < 0 || status == 404)
		return status < 0 ? status : 0;
	if (status == 403)
		return err_set(e, EACCES,
			"the API server forbids to ask whether it has ClusterNetworkPolicies (get "
			"of "
			"%s)",
			CLUSTER_GROUP);
	const char *version =
		json_text_at(json_object_get(group, "preferredVersion"), "groupVersion");
	char path[200];
	(void)snprintf(path, sizeof(path), "/apis/%.100s/clusternetworkpolicies", version);
	if (!*version)
		return 0;
	const struct gather_list l = {
		path, version, "ClusterNetworkPolicy", POLICY_FROM_CLUSTER_POLICIES};
	int r = list_objects(w, k, &l, timeout_ms, e);
	return r == -ENOENT ? 0 : r;
}

static int list_kubernetes(
	struct policy_world *w, struct kube *k, unsigned int timeout_ms, struct err *e)
{
	static const struct gather_list lists[] = {
		{"/api/v1/namespaces", "v1", "Namespace", POLICY_FROM_NAMESPACES},
		{"/api/v1/pods", "v1", "Pod", POLICY_FROM_PODS},
		{"/api/v1/serviceaccounts", "v1", "ServiceAccount", POLICY_FROM_ACCOUNTS},
		{"/apis/networking.k8s.io/v1/networkpolicies", "networking.k8s.io/v1",
			"NetworkPolicy", POLICY_FROM_NETWORK_POLICIES},
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
		r = list_objects(w, k, &lists[i], timeout_ms, e);
	return r == 0 ? list_cluster_policies(w, k, timeout_ms, e) : r;
}

static int gather_kubernetes(
	const struct options *o, const struct agent_conf *c, struct policy_world *w, struct err *e)
{
	struct kube *k = NULL;
	bool in_cluster = strcmp(c->kubernetes, "in-cluster") == 0;
	int r = kube_open(&k,
		&(struct kube_options){
			.config = in_cluster ? NULL : c->kubernetes,
			.server = agent_conf_server(c, c->kubernetes),
		},
		e);
	if (r == 0) {
		patience_begin();
		r = list_kubernetes(w, k, o->timeout_ms ? o->timeout_ms : GATHER_MS, e);
		patience_end();
	}
	kube_close(k);
	return r;
}

/* The store. */

static int gather_documents(struct store *store, struct policy_world *w, const char *prefix,
	enum policy_source s, struct err *e)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	int r = config_list(store, prefix, &docs, &n, e);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		CLEANUP_JSON json_t *object = NULL;
		struct err why = {0};
		if (json_parse(docs[i].value, strlen(docs[i].value), &object, &why) < 0)
			(void)output_complain("%.200s is passed over: %s", docs[i].key, why.text);
		else
			put_object(w, s, object, docs[i].key);
	}
	store_docs_free(docs, n);
	return r < 0 ? r : 0;
}

/* Those of policies alone, as who may look at policies may not look at everything. A server that lacks a kind has
 * none of it. */
static int gather_resources(struct store *store, struct policy_world *w, struct err *e)
{
	int r = 0;
	for (int k = 0; r == 0 && k < RESOURCE_KINDS; k++) {
		char prefix[STORE_KEY_MAX];
		enum resource_kind kind = (enum resource_kind)k;
		if (!resource_kind_is_policy(kind))
			continue;
		(void)snprintf(
			prefix, sizeof(prefix), KEYS_RESOURCES "%s/", resource_kind_plural(kind));
		r = gather_documents(store, w, prefix, POLICY_FROM_STORE, e);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

/* Who lacks a right hears what gives it. */
static int gather_refused(int r, struct err *e)
{
	if (r == -EACCES)
		err_add(e, "policies are judged by what the ClusterRole view shows of the whole "
			   "cluster, with roost-view of deploy/rbac.yaml in it");
	return r;
}

static int gather_cluster(const struct options *o, struct policy_world *w, struct err *e)
{
	CLEANUP_STORE struct store *store = NULL;
	struct config c;
	int r = config_read(o, &c, e);
	if (r == 0)
		r = config_open_store(o, &store, e);
	if (r == 0)
		r = gather_resources(store, w, e);
	if (r == 0 && *c.conf.kubernetes)
		r = gather_kubernetes(o, &c.conf, w, e);
	if (*c.conf.kubernetes)
		return gather_refused(r, e);
	if (r == 0)
		r = gather_documents(store, w, KEYS_ENDPOINTS, POLICY_FROM_ENDPOINTS, e);
	if (r == 0)
		scene_add_namespaces(w);
	return r;
}

int gather(const struct options *o, struct scene *out, struct err *e)
{
	if (o->n_files)
		return scene_read(o, out) > 0 ? -EBADMSG : 0;
	scene_init(out);
	return gather_cluster(o, out->world, e);
}
