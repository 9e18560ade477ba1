/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: objects of Kubernetes, a Service or a slice of endpoints, whatever they are. Nothing
 * that is kept of them has another text than names, an address that is announced is inside of the
 * prefixes, and one that is given is of the pool or was there.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "agent/services/allocate.h"
#include "agent/services/announce.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

static struct cidr prefix_of(const char *text)
{
	struct cidr c = {0};
	struct err e;
	CHECK(cidr_parse(text, &c, &e) == 0);
	return c;
}

static void announce(const json_t *object)
{
	struct service_table t;
	struct resource_services ranges = {.n = {1, 1, 1}};
	CLEANUP_FREE struct cidr *all = NULL;
	service_table_init(&t, "n");
	for (enum service_use use = SERVICE_CLUSTER; use < SERVICE_USES; use++)
		ranges.cidrs[use][0] = prefix_of("10.0.0.0/8");
	for (enum service_part part = SERVICE_TABLE_SERVICES; part < SERVICE_TABLE_PARTS; part++) {
		service_table_begin(&t, part);
		(void)service_table_put(&t, part, object);
		CHECK(!service_table_put(&t, part, object));
		service_table_end(&t, part);
	}
	const struct announce_input in = {.table = &t, .ranges = &ranges};
	size_t n = announce_make(&in, &all);
	CHECK(n >= 1);
	for (size_t i = 0; i < n; i++)
		CHECK(cidr_contains(&ranges.cidrs[0][0], &all[i].addr));
	for (enum service_part part = SERVICE_TABLE_SERVICES; part < SERVICE_TABLE_PARTS; part++)
		(void)service_table_drop(&t, part, object);
	CHECK(t.n_services == 0 && t.n_slices == 0);
	service_table_done(&t);
}

static bool had(const struct demand *d, const struct addr *a)
{
	for (size_t i = 0; i < d->n_has; i++)
		if (addr_equal(&d->has[i], a))
			return true;
	return false;
}

static void give(const json_t *object)
{
	struct demand d;
	const struct demand *all = &d;
	const struct allocate_pool pools[] = {{.name = "four", .cidr = prefix_of("192.0.2.0/30")},
		{.name = "six", .cidr = prefix_of("2001:db8::/126"), .manual = true}};
	const struct allocate_input in = {.all = &all, .n = 1, .pools = pools, .n_pools = 2};
	if (!demand_read(object, true, &d))
		return;
	CHECK(text_is_dns_name(d.name) && text_is_dns_name(d.namespace_));
	CLEANUP_FREE struct allocation *out = allocate(&in);
	for (size_t i = 0; i < out->n; i++)
		CHECK(cidr_contains(&pools[0].cidr, &out->addrs[i]) ||
			cidr_contains(&pools[1].cidr, &out->addrs[i]) || had(&d, &out->addrs[i]));
	for (const char *s = out->why; *s; s++)
		CHECK((unsigned char)*s >= ' ');
	demand_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *object = NULL;
	struct err e;
	if (json_parse((const char *)data, size, &object, &e) < 0)
		return 0;
	announce(object);
	give(object);
	return 0;
}
