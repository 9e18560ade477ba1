/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services and slices, as far as they decide what this node announces. Most of a cluster's services
 * say nothing here: an address of the cluster that every node serves is inside a prefix that is announced as a
 * whole. Such services are not kept, and neither are slices without an endpoint on this node, so the
 * table grows with the services that speak to the outside and with the pods of one node.
 *
 * A list is taken in by mark and sweep, as agent/replica.c does: what a list does not tell goes at its
 * end.
 *
 * Objects come from an API server that has checked them, and still nothing is believed: a member of
 * another type counts as absent, an address that is none is left out.
 */
#include "agent/services/table.h"

#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"

void service_table_init(struct service_table *t, const char *node)
{
	*t = (struct service_table){0};
	(void)text_copy(t->node, sizeof(t->node), node);
}

void service_table_done(struct service_table *t)
{
	for (size_t i = 0; i < t->n_services; i++)
		free(t->services[i].addrs);
	free(t->services);
	free(t->slices);
	*t = (struct service_table){0};
}

const struct service_table *service_table_none(void)
{
	static const struct service_table none = {.complete = {true, true}};
	return &none;
}

/* ---- Reading objects ---- */

static struct hash id_of(const char *namespace_, const char *name)
{
	CLEANUP_TEXT struct text t = {0};
	text_add(&t, "%s/%s", namespace_, name);
	return hash_of(t.buf, t.len);
}

static struct hash object_id(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	return id_of(json_text_at(metadata, "namespace"), json_text_at(metadata, "name"));
}

static void add_address(struct service *s, const json_t *text, enum service_use use)
{
	struct addr a;
	struct err ignored;
	if (!json_is_string(text) || s->n_addrs == SERVICE_ADDRESSES ||
		addr_parse(json_string_value(text), &a, &ignored) < 0)
		return;
	s->addrs[s->n_addrs++] = (struct service_address){.addr = a, .use = (uint8_t)use};
}

static void add_addresses(struct service *s, const json_t *list, enum service_use use)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		add_address(s, json_array_get(list, i), use);
}

/* With ipMode Proxy nodes do not take the address as theirs: something in front of them has it. */
static void add_ingress(struct service *s, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		if (strcmp(json_text_at(one, "ipMode"), "Proxy") != 0)
			add_address(s, json_object_get(one, "ip"), SERVICE_BALANCER);
	}
}

static bool has_cluster_address(const json_t *spec)
{
	const char *a = json_text_at(spec, "clusterIP");
	return *a && strcmp(a, "None") != 0 &&
	       strcmp(json_text_at(spec, "type"), "ExternalName") != 0;
}

/* s->addrs has room for all. None: it says nothing here. */
static void read_service(const json_t *object, struct service *s)
{
	const json_t *spec = json_object_get(object, "spec");
	const json_t *status = json_object_get(object, "status");
	if (!has_cluster_address(spec))
		return;
	s->external_local = strcmp(json_text_at(spec, "externalTrafficPolicy"), "Local") == 0;
	s->internal_local = strcmp(json_text_at(spec, "internalTrafficPolicy"), "Local") == 0;
	if (s->external_local || s->internal_local)
		add_addresses(s, json_object_get(spec, "clusterIPs"), SERVICE_CLUSTER);
	add_addresses(s, json_object_get(spec, "externalIPs"), SERVICE_EXTERNAL);
	if (strcmp(json_text_at(spec, "type"), "LoadBalancer") == 0)
		add_ingress(s, json_object_get(json_object_get(status, "loadBalancer"), "ingress"));
}

/* Ready, or on its way out and still serving: what the node's proxy sends connections to. */
static bool takes_connections(const json_t *endpoint)
{
	const json_t *c = json_object_get(endpoint, "conditions");
	if (!json_is_false(json_object_get(c, "ready")))
		return true;
	return json_is_true(json_object_get(c, "serving")) &&
	       json_is_true(json_object_get(c, "terminating"));
}

/* false: it has no endpoint here. */
static bool read_slice(const struct service_table *t, const json_t *object, struct service_slice *s)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *service =
		json_text_at(json_object_get(metadata, "labels"), "kubernetes.io/service-name");
	const json_t *endpoints = json_object_get(object, "endpoints");
	const char *type = json_text_at(object, "addressType");
	if (!*service || (strcmp(type, "IPv4") != 0 && strcmp(type, "IPv6") != 0))
		return false;
	s->service = id_of(json_text_at(metadata, "namespace"), service);
	s->family = strcmp(type, "IPv6") == 0 ? IPV6 : IPV4;
	for (size_t i = 0; i < json_array_size(endpoints); i++) {
		const json_t *one = json_array_get(endpoints, i);
		if (strcmp(json_text_at(one, "nodeName"), t->node) == 0 && takes_connections(one))
			return true;
	}
	return false;
}

/* ---- The two arrays ---- */

static int compare_id(const void *element, const void *key)
{
	return hash_compare(element, key); /* both begin with their id */
}

static struct service *find_service(const struct service_table *t, const struct hash *id)
{
	return search_find(t->services, t->n_services, sizeof(*t->services), id, compare_id);
}

static struct service_slice *find_slice(const struct service_table *t, const struct hash *id)
{
	return search_find(t->slices, t->n_slices, sizeof(*t->slices), id, compare_id);
}

/* A zeroed place where the id belongs, in an array that has room for it. */
static void *open_place(void *array, size_t *n, size_t size, const struct hash *id)
{
	size_t at = search_lower_bound(array, *n, size, id, compare_id);
	char *place = (char *)array + at * size;
	memmove(place + size, place, ((*n)++ - at) * size);
	memset(place, 0, size);
	return place;
}

static struct service *add_service(struct service_table *t, const struct hash *id)
{
	t->services = mem_grow(t->services, &t->room_services, t->n_services, sizeof(*t->services));
	return open_place(t->services, &t->n_services, sizeof(*t->services), id);
}

static struct service_slice *add_slice(struct service_table *t, const struct hash *id)
{
	t->slices = mem_grow(t->slices, &t->room_slices, t->n_slices, sizeof(*t->slices));
	return open_place(t->slices, &t->n_slices, sizeof(*t->slices), id);
}

static bool is_same_service(const struct service *a, const struct service *b)
{
	return a->n_addrs == b->n_addrs && a->external_local == b->external_local &&
	       a->internal_local == b->internal_local &&
	       (a->n_addrs == 0 || memcmp(a->addrs, b->addrs, a->n_addrs * sizeof(*a->addrs)) == 0);
}

static bool drop_service(struct service_table *t, const struct hash *id)
{
	struct service *s = find_service(t, id);
	if (!s)
		return false;
	free(s->addrs);
	memmove(s, s + 1, (size_t)(t->services + --t->n_services - s) * sizeof(*s));
	return true;
}

static bool drop_slice(struct service_table *t, const struct hash *id)
{
	struct service_slice *s = find_slice(t, id);
	if (!s)
		return false;
	memmove(s, s + 1, (size_t)(t->slices + --t->n_slices - s) * sizeof(*s));
	return true;
}

static bool put_service(struct service_table *t, const json_t *object)
{
	struct service_address addrs[SERVICE_ADDRESSES];
	struct service now = {.id = object_id(object), .addrs = addrs, .seen = t->generation};
	memset(addrs, 0, sizeof(addrs));
	read_service(object, &now);
	if (now.n_addrs == 0)
		return drop_service(t, &now.id);
	struct service *s = find_service(t, &now.id);
	if (s && is_same_service(s, &now)) {
		s->seen = t->generation;
		return false;
	}
	if (!s)
		s = add_service(t, &now.id);
	free(s->addrs);
	now.addrs = mem_new(now.n_addrs, sizeof(*addrs));
	memcpy(now.addrs, addrs, now.n_addrs * sizeof(*addrs));
	*s = now;
	return true;
}

static bool put_slice(struct service_table *t, const json_t *object)
{
	struct service_slice now = {.id = object_id(object), .seen = t->generation};
	if (!read_slice(t, object, &now))
		return drop_slice(t, &now.id);
	struct service_slice *s = find_slice(t, &now.id);
	bool same = s && hash_equal(&s->service, &now.service) && s->family == now.family;
	if (!s)
		s = add_slice(t, &now.id);
	*s = now;
	return !same;
}

bool service_table_put(struct service_table *t, enum service_part part, const json_t *object)
{
	return part == SERVICE_TABLE_SERVICES ? put_service(t, object) : put_slice(t, object);
}

bool service_table_drop(struct service_table *t, enum service_part part, const json_t *object)
{
	struct hash id = object_id(object);
	return part == SERVICE_TABLE_SERVICES ? drop_service(t, &id) : drop_slice(t, &id);
}

/* ---- Lists ---- */

void service_table_begin(struct service_table *t, enum service_part part)
{
	t->restarted[part] = ++t->generation;
	t->listing[part] = true;
}

static void sweep_services(struct service_table *t, uint64_t since)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->n_services; i++) {
		if (t->services[i].seen >= since)
			t->services[kept++] = t->services[i];
		else
			free(t->services[i].addrs);
	}
	t->n_services = kept;
}

static void sweep_slices(struct service_table *t, uint64_t since)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->n_slices; i++)
		if (t->slices[i].seen >= since)
			t->slices[kept++] = t->slices[i];
	t->n_slices = kept;
}

void service_table_end(struct service_table *t, enum service_part part)
{
	if (part == SERVICE_TABLE_SERVICES)
		sweep_services(t, t->restarted[part]);
	else
		sweep_slices(t, t->restarted[part]);
	t->listing[part] = false;
	t->complete[part] = true;
}

/* ---- Questions ---- */

bool service_table_needs_slices(const struct service_table *t)
{
	for (size_t i = 0; i < t->n_services; i++)
		if (t->services[i].external_local || t->services[i].internal_local)
			return true;
	return false;
}

bool service_table_is_whole(const struct service_table *t)
{
	return t->complete[SERVICE_TABLE_SERVICES] &&
	       (t->complete[SERVICE_TABLE_SLICES] || !service_table_needs_slices(t));
}
