/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All load balancers of the cluster, by a watch that begins when the Lease is ours: its list shows
 * everything that an earlier holder has written. Then, whenever something changed, agent/services/
 * allocate.h says what each status shall be, and those that differ are patched, with the resourceVersion
 * that they were read with: a status that somebody else has changed meanwhile is read again (409).
 *
 * From the moment at which a patch is sent its addresses count as the service's, so that nobody else
 * gets them; when its outcome is not known, the object is read until it is. What the watch tells of an
 * object meanwhile may be older than the answer: it is read again after that.
 *
 * A service that cannot have what it asks for gets an Event, once for each reason, as that is where
 * people look (kubectl describe service); and it is a problem of this node.
 */
#include "agent/services/balancer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/services/allocate.h"
#include "cluster/pools.h"
#include "ipam/pool.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"

#define AT_ONCE 32 /* patches under way */
#define EVENTS 16  /* Events under way */
#define RETRY_MS 5000
#define STEP_MS 100   /* between two looks at everything */
#define RESERVED 1024 /* prefixes of reservations that are looked at */
#define PATH 600

struct served {
	char *name; /* "namespace/name" */
	struct demand demand;
	uint64_t seen;
	uint64_t request; /* the patch or the read under way; 0: none */
	int64_t retry_ms; /* it is read again at; 0: no need */
	bool told;	  /* the watch told of it meanwhile */
	struct hash said; /* of the reason that its last Event has */
	char why[256];
};

struct balancer {
	struct served **v; /* by name */
	size_t n, room;
	uint64_t watch, generation, restarted;
	bool complete;
	bool dirty;	   /* something changed since the last look */
	struct hash pools; /* and reservations, of the last look */
	bool any_class;
	int64_t step_ms;
	uint64_t events[EVENTS];
	struct problems problems;
};

struct balancer *balancer_new(void)
{
	return mem_new(1, sizeof(struct balancer));
}

static void free_served(struct served *s)
{
	demand_done(&s->demand);
	free(s->name);
	free(s);
}

void balancer_rest(struct balancer *b, struct kube *k)
{
	for (size_t i = 0; i < b->n; i++) {
		if (k && b->v[i]->request)
			kube_stop(k, b->v[i]->request);
		free_served(b->v[i]);
	}
	if (k && b->watch)
		kube_stop(k, b->watch);
	for (size_t i = 0; k && i < EVENTS; i++)
		if (b->events[i])
			kube_stop(k, b->events[i]);
	free(b->v);
	*b = (struct balancer){0};
}

void balancer_free(struct balancer *b)
{
	if (!b)
		return;
	balancer_rest(b, NULL);
	free(b);
}

const struct problems *balancer_problems(const struct balancer *b)
{
	return &b->problems;
}

/* ---- The services ---- */

static int compare_name(const void *element, const void *key)
{
	return strcmp((*(struct served *const *)element)->name, key);
}

static size_t place_of(const struct balancer *b, const char *name)
{
	return search_lower_bound(b->v, b->n, sizeof(struct served *), name, compare_name);
}

static struct served *find(const struct balancer *b, const char *name)
{
	size_t at = place_of(b, name);
	return at < b->n && strcmp(b->v[at]->name, name) == 0 ? b->v[at] : NULL;
}

static void drop(struct balancer *b, const char *name)
{
	struct served *s = find(b, name);
	if (!s)
		return;
	size_t at = place_of(b, name);
	memmove(&b->v[at], &b->v[at + 1], (--b->n - at) * sizeof(struct served *));
	free_served(s);
}

static struct served *add(struct balancer *b, const char *name)
{
	size_t at = place_of(b, name);
	b->v = mem_grow(b->v, &b->room, b->n, sizeof(struct served *));
	memmove(&b->v[at + 1], &b->v[at], (b->n++ - at) * sizeof(struct served *));
	b->v[at] = mem_new(1, sizeof(struct served));
	b->v[at]->name = mem_strdup(name);
	return b->v[at];
}

static char *name_of(const char *namespace_, const char *name)
{
	struct text t = {0};
	text_add(&t, "%s/%s", namespace_, name);
	return text_take(&t);
}

/* The object as it is now. */
static void put(struct balancer *b, const char *name, const json_t *object)
{
	struct demand d;
	struct served *s = find(b, name);
	if (!demand_read(object, b->any_class, &d)) {
		drop(b, name);
		return;
	}
	if (!s)
		s = add(b, name);
	demand_done(&s->demand);
	s->demand = d;
	s->seen = b->generation;
}

/* ---- Requests ---- */

static void path_of(const struct demand *d, const char *end, char out[PATH])
{
	(void)snprintf(
		out, PATH, "/api/v1/namespaces/%s/services/%s%s", d->namespace_, d->name, end);
}

static void read_again(struct served *s, struct kube *k)
{
	char path[PATH];
	path_of(&s->demand, "", path);
	s->retry_ms = 0;
	s->told = false;
	s->request = kube_start_request(k, KUBE_GET, path, NULL, 0);
}

static json_t *status_of(const struct demand *d, const struct allocation *a)
{
	json_t *ingress = a->n ? json_array() : json_null();
	for (size_t i = 0; i < a->n; i++) {
		json_t *one = json_object();
		json_put(one, "ip", json_of_addr(&a->addrs[i]));
		json_put(one, "ipMode", json_string("VIP"));
		json_append(ingress, one);
	}
	json_t *balancer = json_object();
	json_t *status = json_object();
	json_t *metadata = json_object();
	json_t *patch = json_object();
	json_put(balancer, "ingress", ingress);
	json_put(status, "loadBalancer", balancer);
	json_put(metadata, "resourceVersion", json_of_text(d->version));
	json_put(patch, "metadata", metadata);
	json_put(patch, "status", status);
	return patch;
}

static void write_status(struct served *s, struct kube *k, const struct allocation *a)
{
	char path[PATH];
	CLEANUP_JSON json_t *patch = status_of(&s->demand, a);
	path_of(&s->demand, "/status", path);
	s->told = false;
	s->request = kube_start_request(k, KUBE_PATCH, path, patch, 0);
	s->demand.n_has = a->n;
	memcpy(s->demand.has, a->addrs, sizeof(a->addrs));
	log_info("service %s gets %s%s%s", s->name, a->n ? ADDR_STRING(&a->addrs[0]) : "no address",
		a->n > 1 ? " and " : "", a->n > 1 ? ADDR_STRING(&a->addrs[1]) : "");
}

static json_t *event_of(const struct served *s)
{
	json_t *o = json_object(), *metadata = json_object(), *about = json_object();
	json_t *source = json_object();
	CLEANUP_TEXT struct text name = {0};
	text_add(&name, "%.200s.", s->demand.name);
	json_put(metadata, "generateName", json_of_text(name.buf));
	json_put(metadata, "namespace", json_of_text(s->demand.namespace_));
	json_put(about, "apiVersion", json_string("v1"));
	json_put(about, "kind", json_string("Service"));
	json_put(about, "namespace", json_of_text(s->demand.namespace_));
	json_put(about, "name", json_of_text(s->demand.name));
	json_put(about, "uid", json_of_text(s->demand.uid));
	json_put(source, "component", json_string("roostd"));
	json_put(o, "metadata", metadata);
	json_put(o, "involvedObject", about);
	json_put(o, "source", source);
	json_put(o, "type", json_string("Warning"));
	json_put(o, "reason", json_string("NoLoadBalancerAddress"));
	json_put(o, "message", json_of_text(s->why));
	json_put(o, "firstTimestamp", json_string(TIME_STRING(boot_wall_s())));
	json_put(o, "lastTimestamp", json_string(TIME_STRING(boot_wall_s())));
	json_put(o, "count", json_integer(1));
	return o;
}

/* Once for each reason; when too many are under way, later. */
static void say(struct balancer *b, struct served *s, struct kube *k)
{
	struct hash now = hash_of(s->why, strlen(s->why));
	size_t i = 0;
	if (hash_equal(&now, &s->said))
		return;
	while (i < EVENTS && b->events[i])
		i++;
	if (*s->why && i < EVENTS) {
		char path[PATH];
		CLEANUP_JSON json_t *event = event_of(s);
		(void)snprintf(path, PATH, "/api/v1/namespaces/%s/events", s->demand.namespace_);
		b->events[i] = kube_start_request(k, KUBE_POST, path, event, 0);
	}
	if (!*s->why || i < EVENTS)
		s->said = now;
	else
		b->dirty = true;
}

/* ---- A step ---- */

static size_t read_pools(const struct balancer_input *in, struct allocate_pool *out)
{
	size_t n = 0;
	for (size_t i = 0; i < in->n_resources; i++) {
		const struct resource *r = in->resources[i];
		if (r->kind != RESOURCE_IPPOOL || !r->pool.balancer ||
			pools_over(r, in->resources, in->n_resources))
			continue;
		out[n] = (struct allocate_pool){.cidr = r->pool.pool.cidr,
			.disabled = r->pool.disabled,
			.manual = r->pool.manual};
		(void)text_copy(out[n++].name, RESOURCE_NAME, r->name);
	}
	return n;
}

static void say_overlaps(struct balancer *b, const struct balancer_input *in)
{
	for (size_t i = 0; i < in->n_resources; i++) {
		const struct resource *r = in->resources[i];
		const struct resource *over =
			r->kind == RESOURCE_IPPOOL && r->pool.balancer
				? pools_over(r, in->resources, in->n_resources)
				: NULL;
		if (over)
			problems_add(&b->problems,
				"pool %s overlaps pool %s, which is older: no load balancer gets "
				"an address of it",
				r->name, over->name);
	}
}

static size_t read_reserved(const struct balancer_input *in, struct cidr out[RESERVED])
{
	size_t n = 0;
	for (size_t i = 0; i < in->n_resources; i++) {
		const struct resource *r = in->resources[i];
		for (size_t k = 0; r->kind == RESOURCE_IPRESERVATION && k < r->reservation.n; k++)
			if (n < RESERVED)
				out[n++] = r->reservation.cidrs[k];
	}
	return n;
}

static int compare_age(const void *a, const void *b)
{
	return demand_compare_age(
		&(*(struct served *const *)a)->demand, &(*(struct served *const *)b)->demand);
}

static bool has_all(const struct demand *d, const struct allocation *a)
{
	bool same = d->n_has == a->n;
	for (size_t i = 0; same && i < a->n; i++)
		same = addr_equal(&d->has[i], &a->addrs[i]);
	return same;
}

/* Each status that is not as it shall be, as far as there is room for requests. */
static void apply(struct balancer *b, const struct balancer_input *in, struct served *const *by_age,
	const struct allocation *all)
{
	size_t under_way = 0;
	for (size_t i = 0; i < b->n; i++)
		under_way += by_age[i]->request != 0;
	for (size_t i = 0; i < b->n; i++) {
		struct served *s = by_age[i];
		if (!s->demand.is_ours)
			continue;
		(void)text_copy(s->why, sizeof(s->why), all[i].why);
		if (*s->why) {
			CLEANUP_TEXT struct text key = {0};
			text_add(&key, "service %s", s->name);
			problems_add_as(
				&b->problems, key.buf, "Service %.127s: %s", s->name, s->why);
		}
		say(b, s, in->kube);
		if (has_all(&s->demand, &all[i]) || s->request || s->retry_ms)
			continue;
		if (under_way < AT_ONCE) {
			write_status(s, in->kube, &all[i]);
			under_way++;
		} else {
			b->dirty = true;
		}
	}
}

/* Everything anew; a has the pools. */
static void look(struct balancer *b, const struct balancer_input *in, struct allocate_input *a)
{
	CLEANUP_FREE struct served **by_age = mem_new(b->n + 1, sizeof(struct served *));
	CLEANUP_FREE const struct demand **demands =
		mem_new(b->n + 1, sizeof(const struct demand *));
	b->problems = (struct problems){0};
	say_overlaps(b, in);
	if (b->n)
		memcpy(by_age, b->v, b->n * sizeof(struct served *));
	qsort(by_age, b->n, sizeof(struct served *), compare_age);
	for (size_t i = 0; i < b->n; i++)
		demands[i] = &by_age[i]->demand;
	a->all = demands;
	a->n = b->n;
	CLEANUP_FREE struct allocation *all = allocate(a);
	b->dirty = false;
	apply(b, in, by_age, all);
}

static void look_if_due(struct balancer *b, const struct balancer_input *in)
{
	CLEANUP_FREE struct allocate_pool *pools = mem_new(in->n_resources + 1, sizeof(*pools));
	CLEANUP_FREE struct cidr *reserved = mem_new(RESERVED, sizeof(*reserved));
	struct allocate_input a = {.pools = pools,
		.n_pools = read_pools(in, pools),
		.reserved = reserved,
		.n_reserved = read_reserved(in, reserved)};
	struct hash both[2] = {hash_of(pools, a.n_pools * sizeof(*pools)),
		hash_of(reserved, a.n_reserved * sizeof(*reserved))};
	struct hash now = hash_of(both, sizeof(both));
	if (!b->dirty && hash_equal(&now, &b->pools))
		return;
	b->pools = now;
	look(b, in, &a);
}

void balancer_step(struct balancer *b, const struct balancer_input *in)
{
	const struct kube_selection services = {.path = "/api/v1/services"};
	if (b->watch && b->any_class != in->any_class)
		balancer_rest(b, in->kube);
	b->any_class = in->any_class;
	if (!b->watch)
		b->watch = kube_start_watch(in->kube, &services);
	if (!b->complete || in->now_ms < b->step_ms)
		return;
	b->step_ms = in->now_ms + STEP_MS;
	for (size_t i = 0; i < b->n; i++) {
		struct served *s = b->v[i];
		if (s->retry_ms && s->retry_ms <= in->now_ms && !s->request)
			read_again(s, in->kube);
	}
	look_if_due(b, in);
}

/* ---- Events ---- */

static void sweep(struct balancer *b)
{
	size_t kept = 0;
	for (size_t i = 0; i < b->n; i++) {
		if (b->v[i]->seen >= b->restarted || b->v[i]->request)
			b->v[kept++] = b->v[i];
		else
			free_served(b->v[i]);
	}
	b->n = kept;
}

static void take_object(struct balancer *b, const struct kube_event *ev)
{
	CLEANUP_FREE char *name = name_of(ev->namespace_, ev->name);
	struct served *s = find(b, name);
	if (s && s->request) {
		s->told = true;
		s->seen = b->generation;
	} else if (ev->kind == KUBE_GONE) {
		drop(b, name);
	} else {
		put(b, name, ev->object);
	}
}

static void take_watch(struct balancer *b, const struct kube_event *ev)
{
	switch (ev->kind) {
	case KUBE_RESTART:
		b->restarted = ++b->generation;
		b->complete = false;
		break;
	case KUBE_CURRENT:
		sweep(b);
		b->complete = b->dirty = true;
		break;
	default:
		take_object(b, ev);
		b->dirty = true;
		break;
	}
}

/* The answer to a patch, or to a read. */
static void take_answer(struct balancer *b, struct served *s, const struct kube_event *ev)
{
	CLEANUP_FREE char *name = mem_strdup(s->name);
	bool found = ev->kind == KUBE_ANSWER && ev->status == 200 && ev->object;
	s->request = 0;
	b->dirty = true;
	if (ev->kind == KUBE_ANSWER && ev->status == 404) {
		drop(b, name);
		return;
	}
	if (!found && !(ev->kind == KUBE_ANSWER && ev->status == 409))
		log_warning("service %s: its status is not written, trying again: %s %d", name,
			ev->kind == KUBE_FAILED ? ev->what : "HTTP", ev->status);
	/* 409, or told of another state meanwhile: at once; else after a while. */
	if (!found || s->told)
		s->retry_ms = boot_now_ms() + (found || ev->status == 409 ? 0 : RETRY_MS);
	if (found)
		put(b, name, ev->object);
}

static bool take_event_answer(struct balancer *b, uint64_t id)
{
	for (size_t i = 0; i < EVENTS; i++) {
		if (b->events[i] != id)
			continue;
		b->events[i] = 0;
		return true;
	}
	return false;
}

bool balancer_take(struct balancer *b, const struct kube_event *ev)
{
	if (!ev->id)
		return false;
	if (ev->id == b->watch) {
		take_watch(b, ev);
		return true;
	}
	for (size_t i = 0; i < b->n; i++) {
		if (b->v[i]->request != ev->id)
			continue;
		take_answer(b, b->v[i], ev);
		return true;
	}
	return take_event_answer(b, ev->id);
}
