/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of `roostctl get`. A cell that is empty means nothing set; what has a default shows
 * the default, as that is what holds.
 */
#include "cli/get_table.h"

#include <string.h>

#include "cli/table.h"
#include "lib/text.h"

#define COLUMNS 8
#define LISTED 400 /* bytes of a list in a cell */

static const char *yes(bool v)
{
	return v ? "yes" : "no";
}

/* An AS number is never 0, a port neither. */
static void add_number(struct table *t, uint32_t n)
{
	if (n)
		table_add(t, "%u", n);
	else
		table_add(t, "%s", "");
}

static void add_pool(struct table *t, const struct resource *r)
{
	static const char *const modes[] = {"", "", "CrossSubnet"};
	const struct resource_pool *p = &r->pool;
	char cidr[CIDR_TEXT];
	cidr_format(&p->pool.cidr, cidr);
	enum resource_encap encap = p->ipip != ENCAP_NEVER ? p->ipip : p->vxlan;
	table_add(t, "%s", r->name);
	table_add(t, "%s", cidr);
	table_add(t, "/%u", p->pool.block_len);
	table_add(t, "%s%s%s",
		encap == ENCAP_NEVER	 ? "none"
		: p->ipip != ENCAP_NEVER ? "IPIP"
					 : "VXLAN",
		encap == ENCAP_CROSS_SUBNET ? " " : "", modes[encap]);
	table_add(t, "%s", yes(p->nat_outgoing));
	table_add(t, "%s", yes(p->disabled));
	table_add(t, "%s", yes(!p->no_bgp_export));
	table_add(t, "%s", *p->selector ? p->selector : "all()");
}

static void add_node(struct table *t, const struct resource *r)
{
	table_add(t, "%s", r->name);
	for (enum family f = IPV4; f < FAMILIES; f++) {
		char text[CIDR_TEXT] = "";
		if (r->node.addr[f].addr.family)
			cidr_format(&r->node.addr[f], text);
		table_add(t, "%s", text);
	}
	add_number(t, r->node.as_number);
	table_add(t, "%s", yes(r->node.drain));
}

static void add_bgp(struct table *t, const struct resource *r)
{
	static const char *const levels[] = {"None", "Debug", "Info", "Warning", "Error", "Fatal"};
	const struct resource_bgp *b = &r->bgp;
	table_add(t, "%s", r->name);
	add_number(t, b->as_number);
	table_add(t, "%s", b->has_mesh ? yes(b->mesh) : "");
	add_number(t, b->port);
	table_add(t, "%s", b->has_log ? levels[b->log] : "");
	table_add(t, "%s", yes(b->has_password));
}

static void add_peer(struct table *t, const struct resource *r)
{
	const struct resource_peer *p = &r->peer;
	char addr[ADDR_TEXT], filters[LISTED];
	struct text list = TEXT_ON(filters);
	addr_format(&p->addr, addr);
	text_add(&list, "%s", "");
	for (size_t i = 0; i < p->n_filters; i++)
		text_add(&list, "%s%s", i ? "," : "", p->filters[i]);
	table_add(t, "%s", r->name);
	table_add(t, "%s", addr);
	add_number(t, p->port ? p->port : 179);
	add_number(t, p->as_number);
	if (*p->node)
		table_add(t, "%s", p->node);
	else
		table_add(t, "%s", *p->selector ? p->selector : "all()");
	table_add(t, "%s", yes(*p->password));
	table_add(t, "%s", filters);
}

static void add_filter(struct table *t, const struct resource *r)
{
	table_add(t, "%s", r->name);
	for (size_t i = 0; i < 4; i++)
		table_add(t, "%zu", r->filter.n_rules[i]);
}

static void add_reservation(struct table *t, const struct resource *r)
{
	char cidrs[RESOURCE_LIST * (CIDR_TEXT + 1)] = "";
	struct text list = TEXT_ON(cidrs);
	for (size_t i = 0; i < r->reservation.n; i++) {
		char cidr[CIDR_TEXT];
		cidr_format(&r->reservation.cidrs[i], cidr);
		text_add(&list, "%s%s", i ? "," : "", cidr);
	}
	table_add(t, "%s", r->name);
	table_add(t, "%s", cidrs);
}

static void add_ipam(struct table *t, const struct resource *r)
{
	table_add(t, "%s", r->name);
	if (r->ipam.max_blocks)
		table_add(t, "%u", r->ipam.max_blocks);
	else
		table_add(t, "%s", "no limit");
	table_add(t, "%lld s",
		(long long)(r->ipam.cooldown_s < 0 ? POOL_COOLDOWN_S : r->ipam.cooldown_s));
}

static const struct shape {
	struct table_column columns[COLUMNS];
	void (*add)(struct table *t, const struct resource *r);
} shapes[RESOURCE_KINDS] = {
	[RESOURCE_IPPOOL] = {{{"NAME", false}, {"CIDR", false}, {"BLOCKS", false},
				     {"ENCAPSULATION", false}, {"NAT", false}, {"DISABLED", false},
				     {"EXPORTED", false}, {"NODES", false}},
		add_pool},
	[RESOURCE_NODE] = {{{"NAME", false}, {"IPV4", false}, {"IPV6", false}, {"ASN", true},
				   {"DRAIN", false}},
		add_node},
	[RESOURCE_BGPCONFIGURATION] = {{{"NAME", false}, {"ASN", true}, {"MESH", false},
					       {"PORT", true}, {"LOG", false}, {"PASSWORD", false}},
		add_bgp},
	[RESOURCE_BGPPEER] = {{{"NAME", false}, {"PEER", false}, {"PORT", true}, {"ASN", true},
				      {"NODES", false}, {"PASSWORD", false}, {"FILTERS", false}},
		add_peer},
	[RESOURCE_BGPFILTER] = {{{"NAME", false}, {"IMPORT-V4", true}, {"IMPORT-V6", true},
					{"EXPORT-V4", true}, {"EXPORT-V6", true}},
		add_filter},
	[RESOURCE_IPRESERVATION] = {{{"NAME", false}, {"RESERVED", false}}, add_reservation},
	[RESOURCE_IPAMCONFIGURATION] = {{{"NAME", false}, {"BLOCKS-PER-NODE", false},
						{"COOL-DOWN", false}},
		add_ipam},
};

void get_table_print(
	FILE *f, enum resource_kind kind, const struct snapshot_item *const *items, size_t n)
{
	const struct shape *shape = &shapes[kind];
	CLEANUP_TABLE struct table t;
	size_t columns = 0;
	while (columns < COLUMNS && shape->columns[columns].title)
		columns++;
	table_init(&t, shape->columns, columns);
	for (size_t i = 0; i < n; i++)
		if (items[i]->value)
			shape->add(&t, items[i]->value);
	table_print(&t, f);
}
