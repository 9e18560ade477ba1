/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches: the own Node and the pods of this node, by field selectors, so that what an agent hears does
 * not grow with the cluster; all Nodes, as metadata, in the one agent that holds the Lease. Requests: one at
 * a time for the Node (a patch), one for the Lease, one for an Event. A patch compares nothing or the version that was
 * read, is made only for a difference, and the watch shows what became of it; a refusal is not repeated
 * before half a minute is over.
 */
#include "agent/kube/kubernetes.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kube/controller.h"
#include "agent/kube/election.h"
#include "agent/kube/events.h"
#include "agent/kube/leaks.h"
#include "agent/kube/namespaces.h"
#include "agent/kube/release.h"
#include "agent/kube/roster.h"
#include "agent/policy/enforce.h"
#include "agent/policy/statuses.h"
#include "agent/services/balancer.h"
#include "agent/services/services.h"
#include "cluster/status.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "store/kube/kube.h"

#define LEASE "roost-controller"
#define LEASES "/apis/coordination.k8s.io/v1/namespaces/roost-system/leases"
#define RETRY_MS 30000
#define BROKEN_MS INT64_C(120000) /* BIRD restarts, addresses move: not said before */
#define LEAKS_MS 10000		  /* records are compared so often */
#define NAMESPACES_MS 30000	  /* and annotations of namespaces */
#define STEP_MS 1000

struct kubernetes {
	const struct agent_conf *conf;
	struct kube *client;
	uint64_t watch_node, watch_pods, watch_namespaces;
	uint64_t watch_nodes;			       /* 0 while not elected */
	bool known;				       /* whether there is a Node */
	bool listed;				       /* one was told since the list began */
	struct own_node *node;			       /* NULL: none */
	char uid[sizeof(((struct own_node *)0)->uid)]; /* its, or that of the last one */
	struct roster pods, nodes;
	struct namespaces namespaces;
	int64_t namespaces_at; /* when they are compared with the node state again; 0: at once */
	struct leaks leaks;
	struct election election;
	struct controller *controller;
	struct services *services;
	struct balancer *balancer;
	bool balances; /* the balancer may have something to do */
	struct statuses *statuses;
	bool judges; /* and those of policies */
	struct events events;
	uint64_t patch, lease, event;
	const char *patches; /* what the patch under way is for */
	char refused[200];   /* what Kubernetes did not let us do; "" */
	int64_t patch_at, leaks_at, step_at;
	bool is_ready;
	char broken[200];
	int64_t broken_ms; /* since when; 0: it is not */
};

static void start_watches(struct kubernetes *k)
{
	char node[RESOURCE_NAME + 32], pods[RESOURCE_NAME + 32];
	(void)snprintf(node, sizeof(node), "metadata.name=%s", k->conf->node);
	(void)snprintf(pods, sizeof(pods), "spec.nodeName=%s", k->conf->node);
	k->watch_node = kube_start_watch(k->client,
		&(struct kube_selection){.path = "/api/v1/nodes", .field_selector = node});
	k->watch_pods = kube_start_watch(k->client,
		&(struct kube_selection){
			.path = "/api/v1/pods", .field_selector = pods, .metadata_only = true});
	k->watch_namespaces = kube_start_watch(k->client,
		&(struct kube_selection){.path = "/api/v1/namespaces", .metadata_only = true});
}

int kubernetes_open(
	struct kubernetes **out, const struct agent_conf *c, const char *me, struct err *e)
{
	*out = NULL;
	if (!*c->kubernetes)
		return 0;
	bool in_cluster = strcmp(c->kubernetes, "in-cluster") == 0;
	struct kubernetes *k = mem_new(1, sizeof(*k));
	k->conf = c;
	(void)text_copy(k->uid, sizeof(k->uid), STATUS_NO_NODE);
	int r = kube_open(&k->client,
		&(struct kube_options){
			.config = in_cluster ? NULL : c->kubernetes,
			.server = agent_conf_server(c, c->kubernetes),
		},
		e);
	if (r < 0) {
		free(k);
		err_add(e, "kubernetes");
		return r;
	}
	election_init(&k->election, LEASE, me);
	k->controller = controller_new();
	k->services = services_new(c->node);
	k->balancer = balancer_new();
	k->statuses = statuses_new();
	start_watches(k);
	*out = k;
	return 0;
}

static void forget_node(struct kubernetes *k)
{
	if (k->node)
		own_node_done(k->node);
	free(k->node);
	k->node = NULL;
}

void kubernetes_close(struct kubernetes *k)
{
	if (!k)
		return;
	kube_close(k->client);
	controller_free(k->controller);
	services_free(k->services);
	balancer_free(k->balancer);
	statuses_free(k->statuses);
	forget_node(k);
	roster_done(&k->pods);
	roster_done(&k->nodes);
	namespaces_done(&k->namespaces);
	leaks_done(&k->leaks);
	free(k);
}

int kubernetes_fd(const struct kubernetes *k)
{
	return k ? kube_fd(k->client) : -1;
}

struct kube *kubernetes_client(const struct kubernetes *k)
{
	return k ? k->client : NULL;
}

const struct own_node *kubernetes_node(const struct kubernetes *k)
{
	return k ? k->node : NULL;
}

const char *kubernetes_uid(const struct kubernetes *k)
{
	return k ? k->uid : "";
}

bool kubernetes_is_awaited(const struct kubernetes *k)
{
	return k && !k->known && !kube_trouble(k->client, NULL);
}

/* ---- The own Node ---- */

/* true: something that others use of it changed. */
static bool take_node(struct kubernetes *k, const struct kube_event *ev)
{
	bool was = k->node && k->known;
	if (ev->kind == KUBE_RESTART) {
		k->listed = false;
		return false;
	}
	if (ev->kind == KUBE_CURRENT) {
		bool changed = !k->known || (was && !k->listed);
		if (!k->listed)
			forget_node(k);
		k->known = true;
		return changed;
	}
	if (!ev->name || strcmp(ev->name, k->conf->node) != 0)
		return false;
	forget_node(k);
	if (ev->kind == KUBE_EXISTS) {
		k->node = mem_new(1, sizeof(*k->node));
		own_node_read(ev->object, k->node);
		k->listed = true;
		(void)text_copy(k->uid, sizeof(k->uid), k->node->uid);
	}
	return true;
}

void kubernetes_tell(struct kubernetes *k, bool is_ready, const char *broken)
{
	if (!k)
		return;
	k->is_ready = is_ready;
	(void)text_copy(k->broken, sizeof(k->broken), broken);
	if (!*broken)
		k->broken_ms = 0;
	else if (!k->broken_ms)
		k->broken_ms = boot_now_ms();
}

static enum own_node_state network_state(const struct kubernetes *k, int64_t now_ms)
{
	if (k->is_ready)
		return OWN_NODE_READY;
	return k->broken_ms && now_ms - k->broken_ms >= BROKEN_MS ? OWN_NODE_BROKEN
								  : OWN_NODE_UNCERTAIN;
}

static void start_patch(struct kubernetes *k, enum kube_method method, const char *what,
	const char *tail, const json_t *body)
{
	char path[RESOURCE_NAME + 32];
	(void)snprintf(path, sizeof(path), "/api/v1/nodes/%s%s", k->conf->node, tail);
	k->patches = what;
	k->patch = kube_start_request(k->client, method, path, body, 0);
}

static void patch_node(struct kubernetes *k, int64_t now_ms)
{
	enum own_node_state state = network_state(k, now_ms);
	if (!k->node || k->patch || now_ms < k->patch_at)
		return;
	CLEANUP_JSON json_t *condition =
		own_node_condition(k->node, state, k->broken, boot_wall_s());
	if (condition) {
		start_patch(k, KUBE_PATCH_STRATEGIC, "nodes/status", "/status", condition);
		return;
	}
	CLEANUP_JSON json_t *untaint = state == OWN_NODE_READY ? own_node_untaint(k->node) : NULL;
	if (untaint)
		start_patch(k, KUBE_PATCH_JSON, "nodes", "", untaint);
}

/* What was refused is said; what another writer made impossible follows from the next event. */
static void end_patch(struct kubernetes *k, const struct kube_event *ev, int64_t now_ms)
{
	bool done = ev->kind == KUBE_ANSWER && ev->status >= 200 && ev->status < 300;
	k->patch = 0;
	k->refused[0] = '\0';
	k->patch_at =
		now_ms + (done || ev->status == 409 || ev->status == 422 ? STEP_MS : RETRY_MS);
	if (done)
		log_info("Node %s: %s", k->conf->node,
			strcmp(k->patches, "nodes") ? "the condition NetworkUnavailable is set"
						    : "the taint " OWN_NODE_TAINT " is removed");
	else if (ev->kind == KUBE_ANSWER && ev->status == 403)
		(void)snprintf(k->refused, sizeof(k->refused),
			"Kubernetes does not let roost patch %s of Node %.60s: its account lacks "
			"the right (deploy/roost.yaml has it)",
			k->patches, k->conf->node);
}

/* ---- Leaks ---- */

static void look_for_leaks(struct kubernetes *k, const struct kubernetes_agent *a)
{
	const struct leaks_when when = {
		.gone_ms = (int64_t)k->conf->leaked_address_s * 1000, .now_ms = a->now_ms};
	if (a->now_ms < k->leaks_at)
		return;
	k->leaks_at = a->now_ms + LEAKS_MS;
	if (when.gone_ms && k->pods.complete && !kube_trouble(k->client, NULL))
		release_leaks(&k->leaks, &k->pods, a->states, a->net, &when);
	else
		leaks_done(&k->leaks); /* the wait begins anew */
}

/* ---- The whole cluster ---- */

static json_t *lease_object(const struct kubernetes *k, int64_t now_ms)
{
	json_t *lease = election_object(&k->election, boot_wall_s());
	controller_bequeath(k->controller, lease, now_ms);
	return lease;
}

static void ask_lease(struct kubernetes *k, int64_t now_ms)
{
	CLEANUP_JSON json_t *lease = NULL;
	switch (election_next(&k->election, now_ms)) {
	case ELECTION_WAIT:
		break;
	case ELECTION_LOOK:
		k->lease = kube_start_request(k->client, KUBE_GET, LEASES "/" LEASE, NULL, 0);
		break;
	case ELECTION_CREATE:
		lease = lease_object(k, now_ms);
		k->lease = kube_start_request(k->client, KUBE_POST, LEASES, lease, 0);
		break;
	case ELECTION_REPLACE:
		lease = lease_object(k, now_ms);
		k->lease = kube_start_request(k->client, KUBE_PUT, LEASES "/" LEASE, lease, 0);
		break;
	}
}

static void take_lease(struct kubernetes *k, const struct kube_event *ev, int64_t now_ms)
{
	bool answered = ev->kind == KUBE_ANSWER;
	if (answered && ev->status == 200 && k->election.asked == ELECTION_LOOK)
		controller_inherit(k->controller, ev->object);
	k->lease = 0;
	election_answer(
		&k->election, answered ? ev->status : 0, answered ? ev->object : NULL, now_ms);
}

void kubernetes_leave(struct kubernetes *k, unsigned int ms)
{
	int64_t now_ms = boot_now_ms(), until_ms = now_ms + ms;
	CLEANUP_JSON json_t *lease = k && !kube_trouble(k->client, NULL)
					     ? election_leave(&k->election, now_ms, boot_wall_s())
					     : NULL;
	if (!lease)
		return;
	controller_bequeath(k->controller, lease, now_ms);
	kube_stop(k->client, k->lease);
	k->lease = kube_start_request(k->client, KUBE_PUT, LEASES "/" LEASE, lease, ms);
	while (k->lease && boot_now_ms() < until_ms) {
		struct pollfd p = {.fd = kube_fd(k->client), .events = POLLIN};
		struct kube_event ev;
		(void)poll(&p, 1, 50);
		while (kube_next(k->client, &ev))
			if (ev.id == k->lease)
				k->lease = 0;
	}
}

static void begin_control(struct kubernetes *k)
{
	log_info("this agent looks after deleted nodes now (Lease " LEASE ")");
	k->watch_nodes = kube_start_watch(k->client,
		&(struct kube_selection){.path = "/api/v1/nodes", .metadata_only = true});
}

static void end_control(struct kubernetes *k)
{
	if (k->watch_nodes) {
		log_info("another agent looks after deleted nodes now");
		kube_stop(k->client, k->watch_nodes);
	}
	k->watch_nodes = 0;
	roster_done(&k->nodes);
	controller_rest(k->controller);
}

static struct controller_input input_of(struct kubernetes *k, const struct kubernetes_agent *a)
{
	return (struct controller_input){
		.store = a->store,
		.replica = a->replica,
		.nodes = &k->nodes,
		.grace_ms = (int64_t)k->conf->deleted_node_s * 1000,
		.now_ms = a->now_ms,
	};
}

/* A list of Nodes in which this one is missing is not the whole truth. */
static bool may_control(const struct kubernetes *k, const struct kubernetes_agent *a)
{
	return a->acts && k->watch_nodes && k->nodes.complete && replica_is_whole(a->replica) &&
	       roster_find(&k->nodes, k->conf->node) && !kube_trouble(k->client, NULL);
}

static void control(struct kubernetes *k, const struct kubernetes_agent *a)
{
	bool stands = a->acts && k->known && k->node;
	if (stands)
		ask_lease(k, a->now_ms);
	bool won = stands && election_is_won(&k->election, a->now_ms);
	if (won && !k->watch_nodes)
		begin_control(k);
	else if (!won && k->watch_nodes)
		end_control(k);
	struct controller_input in = input_of(k, a);
	if (may_control(k, a))
		controller_step(k->controller, &in);
}

/* Pools for services are few; without any the services are nobody's business. */
static bool has_balancer_pool(const struct replica *r)
{
	for (size_t i = 0; i < r->n_items; i++)
		if (r->items[i]->resource.kind == RESOURCE_IPPOOL &&
			r->items[i]->resource.pool.balancer)
			return true;
	return false;
}

static void balance(struct kubernetes *k, const struct kubernetes_agent *a)
{
	const struct replica *r = a->replica;
	bool wanted = may_control(k, a) && has_balancer_pool(r);
	if (!wanted && k->balances)
		balancer_rest(k->balancer, k->client);
	k->balances = wanted;
	if (!wanted)
		return;
	CLEANUP_FREE const struct resource **resources =
		mem_new(r->n_items + 1, sizeof(const struct resource *));
	for (size_t i = 0; i < r->n_items; i++)
		resources[i] = &r->items[i]->resource;
	balancer_step(k->balancer, &(struct balancer_input){
					   .kube = k->client,
					   .resources = resources,
					   .n_resources = r->n_items,
					   .any_class = k->conf->default_balancer,
					   .now_ms = a->now_ms,
				   });
}

static void judge_policies(struct kubernetes *k, const struct kubernetes_agent *a)
{
	bool wanted = may_control(k, a) && !k->conf->policy.off;
	if (!wanted && k->judges)
		statuses_rest(k->statuses, k->client);
	k->judges = wanted;
	if (wanted)
		statuses_step(k->statuses,
			&(struct statuses_input){
				.kube = k->client,
				.cluster_version = enforce_cluster_version(a->enforce),
				.has_kinds = strncmp(k->conf->store.url, "kube:", 5) == 0,
				.now_ms = a->now_ms,
			});
}

bool kubernetes_take(
	struct kubernetes *k, const struct store_event *ev, const struct kubernetes_agent *a)
{
	if (!k)
		return false;
	struct controller_input in = input_of(k, a);
	return controller_take(k->controller, ev, &in);
}

/* ---- Namespaces ---- */

/* Again and again, as a node state may be lost; what is there already costs a look. */
static void mirror_namespaces(struct kubernetes *k, const struct kubernetes_agent *a)
{
	struct err e;
	if (!k->namespaces.complete || a->now_ms < k->namespaces_at)
		return;
	int r = node_states_put_namespaces(a->states, k->namespaces.v, k->namespaces.n, &e);
	k->namespaces_at = a->now_ms + NAMESPACES_MS;
	if (r < 0)
		log_warning("annotations of namespaces do not reach the node state: %s", e.text);
	else if (r > 0)
		log_info("annotations of namespaces are in the node state namespaces=%zu",
			k->namespaces.n);
}

/* ---- Problems as Events ---- */

void kubernetes_show(struct kubernetes *k, const struct problems *p)
{
	if (k)
		events_see(&k->events, p, boot_now_ms());
}

static void make_event(struct kubernetes *k, int64_t now_ms)
{
	if (k->event || !k->node)
		return;
	CLEANUP_JSON json_t *event =
		events_next(&k->events, k->conf->node, k->node->uid, now_ms, boot_wall_s());
	if (event)
		k->event = kube_start_request(k->client, KUBE_POST, EVENTS_PATH, event, 0);
}

static void end_event(struct kubernetes *k, bool made, int64_t now_ms)
{
	k->event = 0;
	events_answer(&k->events, made, now_ms);
}

/* ---- What came, and what is due ---- */

static bool take_event(struct kubernetes *k, const struct kube_event *ev, int64_t now_ms)
{
	bool answered = ev->kind == KUBE_ANSWER;
	bool announces = false;
	if (services_take(k->services, ev, &announces))
		return announces;
	if (balancer_take(k->balancer, ev) || statuses_take(k->statuses, ev))
		return false;
	if (ev->id == k->watch_node)
		return take_node(k, ev);
	if (ev->id == k->watch_pods)
		(void)roster_take(&k->pods, ev);
	else if (ev->id == k->watch_namespaces && namespaces_take(&k->namespaces, ev))
		k->namespaces_at = 0;
	else if (k->watch_nodes && ev->id == k->watch_nodes)
		(void)roster_take(&k->nodes, ev);
	else if (k->patch && ev->id == k->patch)
		end_patch(k, ev, now_ms);
	else if (k->event && ev->id == k->event)
		end_event(k, answered && ev->status == 201, now_ms);
	else if (k->lease && ev->id == k->lease)
		take_lease(k, ev, now_ms);
	return false;
}

bool kubernetes_step(struct kubernetes *k, const struct kubernetes_agent *a)
{
	struct kube_event ev;
	bool changed = false;
	if (!k)
		return false;
	while (kube_next(k->client, &ev))
		if (!enforce_take_kube(a->enforce, &ev))
			changed |= take_event(k, &ev, a->now_ms);
	if (a->acts)
		patch_node(k, a->now_ms);
	if (a->acts)
		look_for_leaks(k, a);
	if (a->acts)
		mirror_namespaces(k, a);
	if (a->acts)
		make_event(k, a->now_ms);
	control(k, a);
	balance(k, a);
	judge_policies(k, a);
	return controller_has_news(k->controller) || changed;
}

/* ---- Services ---- */

void kubernetes_want_services(struct kubernetes *k, bool matter)
{
	if (k)
		services_want(k->services, k->client, matter);
}

const struct service_table *kubernetes_services(const struct kubernetes *k)
{
	return k ? services_table(k->services) : service_table_none();
}

/* ---- For people ---- */

void kubernetes_list_problems(const struct kubernetes *k, struct problems *out)
{
	if (!k)
		return;
	const char *trouble = kube_trouble(k->client, NULL);
	if (trouble)
		problems_add_as(out, "kubernetes", "Kubernetes: %s", trouble);
	else if (k->known && !k->node)
		problems_add_as(out, "own Node",
			"there is no Node %.60s in Kubernetes: kubelet registers it, under its own "
			"name (node, or NODE_NAME, must be that); blocks of a deleted Node are "
			"free "
			"%u s after its agent stopped",
			k->conf->node, k->conf->deleted_node_s);
	if (*k->refused)
		problems_add_as(out, "own Node's patch", "%s", k->refused);
	if (k->node && k->node->left_out)
		problems_add_as(out, "labels",
			"%zu labels of Node %.60s are left out: at most 192 are taken",
			k->node->left_out, k->conf->node);
	problems_add_all(out, controller_problems(k->controller));
	problems_add_all(out, balancer_problems(k->balancer));
	statuses_list_problems(k->statuses, out);
}
