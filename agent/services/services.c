/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two watches that feed a table. Slices are many, and change whenever a pod does: they are watched only
 * where a service's policy is Local, and then as long as services matter, as such services come and go.
 */
#include "agent/services/services.h"

#include "lib/mem.h"

struct services {
	struct service_table table;
	uint64_t watches[SERVICE_TABLE_PARTS]; /* 0: none */
};

static const char *const paths[SERVICE_TABLE_PARTS] = {
	[SERVICE_TABLE_SERVICES] = "/api/v1/services",
	[SERVICE_TABLE_SLICES] = "/apis/discovery.k8s.io/v1/endpointslices",
};

struct services *services_new(const char *node)
{
	struct services *s = mem_new(1, sizeof(*s));
	service_table_init(&s->table, node);
	return s;
}

void services_free(struct services *s)
{
	if (!s)
		return;
	service_table_done(&s->table);
	free(s);
}

const struct service_table *services_table(const struct services *s)
{
	return &s->table;
}

static void forget(struct services *s)
{
	char node[RESOURCE_NAME];
	(void)text_copy(node, sizeof(node), s->table.node);
	service_table_done(&s->table);
	service_table_init(&s->table, node);
}

static void stop(struct services *s, struct kube *k)
{
	for (enum service_part part = 0; part < SERVICE_TABLE_PARTS; part++) {
		if (s->watches[part])
			kube_stop(k, s->watches[part]);
		s->watches[part] = 0;
	}
	forget(s);
}

static void watch(struct services *s, struct kube *k, enum service_part part)
{
	const struct kube_selection all = {.path = paths[part]};
	if (!s->watches[part])
		s->watches[part] = kube_start_watch(k, &all);
}

void services_want(struct services *s, struct kube *k, bool matter)
{
	if (matter) {
		watch(s, k, SERVICE_TABLE_SERVICES);
		if (service_table_needs_slices(&s->table))
			watch(s, k, SERVICE_TABLE_SLICES);
	} else if (s->watches[SERVICE_TABLE_SERVICES]) {
		stop(s, k);
	}
}

static bool take_part(struct services *s, enum service_part part, const struct kube_event *ev)
{
	switch (ev->kind) {
	case KUBE_RESTART:
		service_table_begin(&s->table, part);
		return false;
	case KUBE_CURRENT:
		service_table_end(&s->table, part);
		return true;
	case KUBE_EXISTS:
		return service_table_put(&s->table, part, ev->object);
	case KUBE_GONE:
		return service_table_drop(&s->table, part, ev->object);
	default:
		return false;
	}
}

bool services_take(struct services *s, const struct kube_event *ev, bool *changed)
{
	for (enum service_part part = 0; part < SERVICE_TABLE_PARTS; part++) {
		if (!s->watches[part] || ev->id != s->watches[part])
			continue;
		*changed = take_part(s, part, ev) && !s->table.listing[part];
		return true;
	}
	return false;
}
