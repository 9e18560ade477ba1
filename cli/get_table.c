/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of `roostctl get`. A cell that is empty means nothing set; what has a default shows
 * the default, as that is what holds.
 */
#include "cli/get_table.h"

#include "cli/output.h"
#include "cli/table.h"
#include "lib/text.h"

static const char *yes(bool v)
{
	return v ? "yes" : "no";
}

/* An AS number is never 0, a port neither. */
#define SET_STRING(n) ((n) ? NUMBER_STRING(n) : "")

static void row_pool(struct table *t, const struct resource *r)
{
	static const char *const names[] = {
		[ENCAP_NEVER] = "", [ENCAP_ALWAYS] = "", [ENCAP_CROSS_SUBNET] = " CrossSubnet"};
	const struct resource_pool *p = &r->pool;
	bool ipip = p->ipip != ENCAP_NEVER, vxlan = p->vxlan != ENCAP_NEVER;
	char encap[32], blocks[8];
	(void)snprintf(encap, sizeof(encap), "%s%s",
		ipip	? "IPIP"
		: vxlan ? "VXLAN"
			: "none",
		names[ipip ? p->ipip : p->vxlan]);
	(void)snprintf(blocks, sizeof(blocks), "/%u", p->pool.block_len);
	table_row(t, r->name, CIDR_STRING(&p->pool.cidr), blocks, encap, yes(p->nat_outgoing),
		yes(p->disabled), yes(!p->no_bgp_export), *p->selector ? p->selector : "all()",
		!p->balancer ? "pods"
		: p->manual  ? "services that ask"
			     : "services");
}

static void row_node(struct table *t, const struct resource *r)
{
	const struct cidr *a = r->node.addr;
	table_row(t, r->name, a[IPV4].addr.family ? CIDR_STRING(&a[IPV4]) : "",
		a[IPV6].addr.family ? CIDR_STRING(&a[IPV6]) : "", SET_STRING(r->node.as_number),
		yes(r->node.drain));
}

static void row_bgp(struct table *t, const struct resource *r)
{
	static const char *const levels[] = {"None", "Debug", "Info", "Warning", "Error", "Fatal"};
	const struct resource_bgp *b = &r->bgp;
	table_row(t, r->name, SET_STRING(b->as_number), b->has_mesh ? yes(b->mesh) : "",
		SET_STRING(b->port), b->has_log ? levels[b->log] : "", yes(b->has_password));
}

static void row_peer(struct table *t, const struct resource *r)
{
	const struct resource_peer *p = &r->peer;
	CLEANUP_TEXT struct text filters = {0};
	for (size_t i = 0; i < p->n_filters; i++)
		text_add(&filters, "%s%s", i ? "," : "", p->filters[i]);
	const char *nodes = *p->node ? p->node : *p->selector ? p->selector : "all()";
	table_row(t, r->name, ADDR_STRING(&p->addr), NUMBER_STRING(p->port ? p->port : 179),
		SET_STRING(p->as_number), nodes, yes(*p->password), filters.buf);
}

static void row_filter(struct table *t, const struct resource *r)
{
	const size_t *n = r->filter.n_rules;
	table_row(t, r->name, NUMBER_STRING(n[0]), NUMBER_STRING(n[1]), NUMBER_STRING(n[2]),
		NUMBER_STRING(n[3]));
}

static void row_reservation(struct table *t, const struct resource *r)
{
	CLEANUP_TEXT struct text cidrs = {0};
	for (size_t i = 0; i < r->reservation.n; i++)
		text_add(&cidrs, "%s%s", i ? "," : "", CIDR_STRING(&r->reservation.cidrs[i]));
	table_row(t, r->name, cidrs.buf);
}

static void row_ipam(struct table *t, const struct resource *r)
{
	char cooldown[32];
	(void)snprintf(cooldown, sizeof(cooldown), "%lld s",
		(long long)(r->ipam.cooldown_s < 0 ? POOL_COOLDOWN_S : r->ipam.cooldown_s));
	table_row(t, r->name, r->ipam.max_blocks ? NUMBER_STRING(r->ipam.max_blocks) : "no limit",
		cooldown);
}

static void row_name(struct table *t, const struct resource *r)
{
	table_row(t, r->name);
}

static const struct shape {
	const char *titles;
	void (*row)(struct table *t, const struct resource *r);
} shapes[RESOURCE_KINDS] = {
	[RESOURCE_IPPOOL] = {"NAME|CIDR|BLOCKS|ENCAPSULATION|NAT|DISABLED|EXPORTED|NODES|FOR",
		row_pool},
	[RESOURCE_NODE] = {"NAME|IPV4|IPV6|>ASN|DRAIN", row_node},
	[RESOURCE_BGPCONFIGURATION] = {"NAME|>ASN|MESH|>PORT|LOG|PASSWORD", row_bgp},
	[RESOURCE_BGPPEER] = {"NAME|PEER|>PORT|>ASN|NODES|PASSWORD|FILTERS", row_peer},
	[RESOURCE_BGPFILTER] = {"NAME|>IMPORT-V4|>IMPORT-V6|>EXPORT-V4|>EXPORT-V6", row_filter},
	[RESOURCE_IPRESERVATION] = {"NAME|RESERVED", row_reservation},
	[RESOURCE_IPAMCONFIGURATION] = {"NAME|BLOCKS-PER-NODE|COOL-DOWN", row_ipam},
};

void get_table_print(
	FILE *f, enum resource_kind kind, const struct inventory_item *const *items, size_t n)
{
	CLEANUP_TABLE struct table t;
	const struct shape name = {"NAME", row_name};
	const struct shape *s = resource_kind_is_policy(kind) ? &name : &shapes[kind];
	table_init(&t, s->titles);
	for (size_t i = 0; i < n; i++)
		if (items[i]->value)
			s->row(&t, items[i]->value);
	table_print(&t, f);
}
