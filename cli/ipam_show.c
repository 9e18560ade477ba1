/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl ipam show: the pools with their blocks in numbers; with --ip one address: who has it,
 * since when, and what its state means. For a pod of roost the kernel is asked which host link
 * leads to it, because that is the next thing an operator looks for.
 */
#include "cli/commands.h"

#include <sys/socket.h>

#include "cli/ipam_json.h"
#include "lib/json.h"
#include "cli/output.h"
#include "cli/state.h"
#include "cli/table.h"
#include "ipam/node_view.h"
#include "ipam/session.h"
#include "lib/boot.h"
#include "lib/text.h"

static void add_number(struct table *t, uint64_t n)
{
	char text[OUTPUT_NUMBER];
	output_number(n, text);
	table_add(t, "%s", text);
}

/* An IPv6 prefix may have more addresses than a number holds; its length says how many. */
static void add_of_prefix(struct table *t, const struct cidr *c, uint64_t n, uint64_t size)
{
	if (size == UINT64_MAX)
		table_add(t, "%s2^%d", n == size ? "" : "~", addr_bits(&c->addr) - c->len);
	else
		add_number(t, n);
}

static void add_percent(struct table *t, uint64_t used, uint64_t size)
{
	char text[OUTPUT_NUMBER];
	output_percent(used, size, text);
	table_add(t, "%s", text);
}

static void add_states(
	struct table *t, uint64_t used, uint64_t cooling, uint64_t reserved, uint64_t quarantined)
{
	add_number(t, used);
	add_number(t, cooling);
	add_number(t, reserved);
	add_number(t, quarantined);
}

static void add_pool(struct table *t, const struct node_pool *p)
{
	char cidr[CIDR_TEXT], blocks[OUTPUT_NUMBER], most[OUTPUT_NUMBER];
	cidr_format(&p->pool.cidr, cidr);
	output_number(p->blocks, blocks);
	output_number(p->max_blocks, most);
	if (p->max_blocks == UINT64_MAX)
		(void)snprintf(most, sizeof(most), "2^%d", p->pool.block_len - p->pool.cidr.len);
	table_add(t, "%s", cidr);
	table_add(t, "%s of %s /%d", blocks, most, p->pool.block_len);
	add_of_prefix(t, &p->pool.cidr, p->size, p->size);
	add_states(t, p->used, p->cooling, p->reserved, p->quarantined);
	add_of_prefix(t, &p->pool.cidr, p->free, p->size);
	add_percent(t, p->used, p->size);
	table_add(t, "%u s", p->pool.cooldown_s);
}

static void add_orphans(struct table *t, const struct node_pool *p)
{
	table_add(t, "pool not known yet");
	add_number(t, p->blocks);
	add_number(t, p->size);
	add_states(t, p->used, p->cooling, p->reserved, p->quarantined);
	add_number(t, p->free);
	add_percent(t, p->used, p->size);
	table_add(t, "%s", "");
}

static void add_block(struct table *t, const struct node_block *b)
{
	char cidr[CIDR_TEXT];
	cidr_format(&b->cidr, cidr);
	table_add(t, "  %s", cidr);
	table_add(t, "%s", "");
	add_of_prefix(t, &b->cidr, b->size, b->size);
	add_states(t, b->used, b->cooling, b->reserved, b->quarantined);
	add_of_prefix(t, &b->cidr, b->free, b->size);
	add_percent(t, b->used, b->size);
	table_add(t, "%s", "");
}

static void print_pools(const struct node_view *v)
{
	static const struct table_column columns[] = {{"POOL, BLOCK", false}, {"BLOCKS", false},
		{"SIZE", true}, {"USED", true}, {"COOLING", true}, {"RESERVED", true},
		{"QUARANTINED", true}, {"FREE", true}, {"USED%", true}, {"COOL-DOWN", true}};
	CLEANUP_TABLE struct table t;
	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t p = 0; p < v->n_pools; p++) {
		add_pool(&t, &v->pools[p]);
		for (size_t b = 0; b < v->n_blocks; b++)
			if (cidr_equal(&v->blocks[b].pool, &v->pools[p].pool.cidr))
				add_block(&t, &v->blocks[b]);
	}
	struct node_pool orphans;
	if (node_view_orphans(v, &orphans))
		add_orphans(&t, &orphans);
	for (size_t b = 0; b < v->n_blocks; b++)
		if (node_view_is_orphan(v, &v->blocks[b]))
			add_block(&t, &v->blocks[b]);
	table_print(&t, stdout);
}

/* One address. */

static int complain_outside(const struct node_view *v, const struct addr *a)
{
	char address[ADDR_TEXT], cidr[CIDR_TEXT];
	const struct node_pool *p = node_view_pool(v, a);
	addr_format(a, address);
	if (!p)
		return output_complain("%s is in no pool of this node", address);
	cidr_format(&p->pool.cidr, cidr);
	return output_complain(
		"%s is in pool %s, but in no block of this node: it is not in use here", address,
		cidr);
}

/* The host link that leads to the owner; false when there is none or we cannot look. */
static bool find_host_link(const struct node_entry *n, char out[NET_NAME])
{
	struct err ignored = {0};
	CLEANUP_NET struct net *net = NULL;
	struct owned kernel = {0};
	bool found = false;
	if (n->state != NODE_USED || session_kernel(&net, &kernel, &ignored) < 0)
		return false;
	for (size_t i = 0; i < kernel.n_links && !found; i++) {
		found = hash_equal(&kernel.links[i].label.owner, &n->owner.hash);
		if (found)
			(void)text_copy(out, NET_NAME, kernel.links[i].link.name);
	}
	owned_done(&kernel);
	return found;
}

static void line(const char *name, const char *value)
{
	char clean[1100];
	output_clean(clean, sizeof(clean), value ? value : "");
	if (*clean)
		(void)printf("%-14s%s\n", name, clean);
}

static void print_state(const struct node_entry *n)
{
	char text[200], address[ADDR_TEXT];
	struct text t = TEXT_ON(text);
	addr_format(&n->addr, address);
	text_add(&t, "%s", node_state_text(n->state));
	if (n->state == NODE_COOLING)
		text_add(&t, ": released, free again in %u s", n->cooling_s);
	else if (n->state == NODE_RESERVED)
		text_add(&t, ": kept for a gateway, given to no pod");
	else if (n->state == NODE_QUARANTINED)
		text_add(&t,
			": cannot be proven free since the state was lost; until reboot, or: "
			"roostctl ipam release %s",
			address);
	line("state", text);
}

static void print_owner(const struct node_entry *n, const char *host_link)
{
	char pod[600] = "";
	struct text t = TEXT_ON(pod);
	const struct owner *o = &n->owner;
	if (o->pod_name && *o->pod_name)
		text_add(&t, "%s%s%s", o->pod_namespace, *o->pod_namespace ? "/" : "", o->pod_name);
	bool past = n->state == NODE_COOLING;
	line(past ? "last network" : "network", o->network);
	line(past ? "last pod" : "pod", pod);
	line("container", o->container);
	line("interface", o->ifname);
	if (n->state != NODE_USED)
		return;
	if (*host_link)
		line("host link", host_link);
	else
		line("host link", o->foreign ? "made by another plugin"
					     : "none: this record is leaked (roostctl ipam check)");
}

static void print_entry(const struct node_view *v, const struct node_entry *n,
	const struct node_block *b, const char *host_link)
{
	char address[ADDR_TEXT], since[32], cidr[CIDR_TEXT];
	addr_format(&n->addr, address);
	boot_format_time(n->since_s, since);
	line("address", address);
	print_state(n);
	line("since", since);
	print_owner(n, host_link);
	if (!b)
		return;
	cidr_format(&b->cidr, cidr);
	line("block", cidr);
	cidr_format(&b->pool, cidr);
	line("pool", node_view_is_orphan(v, b) ? "not known yet" : cidr);
}

static void show_free(const struct addr *a, const struct node_block *b, bool json)
{
	char address[ADDR_TEXT], cidr[CIDR_TEXT];
	addr_format(a, address);
	cidr_format(&b->cidr, cidr);
	if (!json) {
		(void)printf("%s is free (block %s)\n", address, cidr);
		return;
	}
	json_t *o = json_object();
	json_put(o, "address", json_of_text(address));
	json_put(o, "state", json_of_text(node_state_text(NODE_FREE)));
	json_put(o, "block", json_of_text(cidr));
	output_json(o);
}

static int show_address(const struct node_view *v, const struct addr *a, bool json)
{
	const struct node_entry *n = node_view_entry(v, a);
	const struct node_block *b = node_view_block(v, a);
	if (!n && !b)
		return complain_outside(v, a);
	if (!n) {
		show_free(a, b, json);
		return 0;
	}
	char host_link[NET_NAME] = "";
	(void)find_host_link(n, host_link);
	if (!json) {
		print_entry(v, n, b, host_link);
		return 0;
	}
	json_t *o = ipam_json_entry(n);
	char cidr[CIDR_TEXT] = "";
	if (b)
		cidr_format(&b->cidr, cidr);
	json_put(o, "block", json_of_text(cidr));
	json_put(o, "hostInterface", json_of_text(host_link));
	output_json(o);
	return 0;
}

int ipam_show(const struct options *o)
{
	if (o->given & OPTION_CLUSTER)
		return ipam_show_cluster(o);
	struct err e = {0};
	struct addr a = {0};
	struct node_view v;
	if (o->ip && addr_parse(o->ip, &a, &e) < 0) {
		(void)output_error(&e);
		return 2;
	}
	int r = state_look(o->state_dir, &v, &e);
	if (r < 0)
		return output_error(&e);
	int status = 0;
	if (o->ip && r > 0)
		status = show_address(&v, &a, o->json);
	else if (o->ip && o->json)
		output_json(json_object());
	else if (o->json)
		output_json(ipam_json_pools(&v));
	else if (v.n_pools || v.n_blocks)
		print_pools(&v);
	else if (r > 0)
		(void)output_complain("this node knows no pools yet");
	node_view_done(&v);
	return status;
}
