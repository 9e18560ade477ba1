/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl ipam show: the pools with their blocks in numbers; with --ip one address: who has it,
 * since when, and what its state means. For a pod of roost the kernel is asked which host link
 * leads to it, because that is the next thing an operator looks for.
 */
#include "cli/commands.h"

#include "cli/ipam_json.h"
#include "lib/json.h"
#include "cli/output.h"
#include "cli/state.h"
#include "cli/table.h"
#include "ipam/node_view.h"
#include "ipam/session.h"
#include "lib/boot.h"
#include "lib/text.h"

static void add_pool(struct table *t, const struct node_pool *p)
{
	const struct cidr *c = &p->pool.cidr;
	char cooldown[24];
	(void)snprintf(cooldown, sizeof(cooldown), "%u s", p->pool.cooldown_s);
	table_row(t, CIDR_STRING(c), BLOCKS_STRING(p->blocks, &p->pool),
		ADDRESSES_STRING(c, p->size, p->size), COUNT_CELLS(p),
		ADDRESSES_STRING(c, p->free, p->size), PERCENT_STRING(p->used, p->size), cooldown);
}

static void add_orphans(struct table *t, const struct node_pool *p)
{
	table_row(t, "pool not known yet", NUMBER_STRING(p->blocks), NUMBER_STRING(p->size),
		COUNT_CELLS(p), NUMBER_STRING(p->free), PERCENT_STRING(p->used, p->size), "");
}

static void add_block(struct table *t, const struct node_block *b)
{
	char name[CIDR_TEXT + 2];
	(void)snprintf(name, sizeof(name), "  %s", CIDR_STRING(&b->cidr));
	table_row(t, name, "", ADDRESSES_STRING(&b->cidr, b->size, b->size), COUNT_CELLS(b),
		ADDRESSES_STRING(&b->cidr, b->free, b->size), PERCENT_STRING(b->used, b->size), "");
}

static void print_pools(const struct node_view *v)
{
	CLEANUP_TABLE struct table t;
	table_init(&t,
		"POOL, "
		"BLOCK|BLOCKS|>SIZE|>USED|>COOLING|>RESERVED|>QUARANTINED|>FREE|>USED%|>COOL-DOWN");
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
	const struct node_pool *p = node_view_pool(v, a);
	if (!p)
		return output_complain("%s is in no pool of this node", ADDR_STRING(a));
	return output_complain(
		"%s is in pool %s, but in no block of this node: it is not in use here",
		ADDR_STRING(a), CIDR_STRING(&p->pool.cidr));
}

/* The host link that leads to the owner; out is left alone when there is none or we cannot look. */
static void find_host_link(const struct node_entry *n, char out[NET_NAME])
{
	struct err ignored = {0};
	CLEANUP_NET struct net *net = NULL;
	struct owned kernel = {0};
	if (n->state != NODE_USED || session_kernel(&net, &kernel, &ignored) < 0)
		return;
	const struct owned_link *l = owned_find(&kernel, &n->owner.hash);
	if (l)
		(void)text_copy(out, NET_NAME, l->link.name);
	owned_done(&kernel);
}

static void print_state(const struct node_entry *n)
{
	char text[200];
	struct text t = TEXT_ON(text);
	text_add(&t, "%s", node_state_text(n->state));
	if (n->state == NODE_COOLING)
		text_add(&t, ": released, free again in %u s", n->cooling_s);
	else if (n->state == NODE_RESERVED)
		text_add(&t, ": %s, given to no pod",
			n->in_reservation ? "inside an IPReservation"
					  : "kept for a gateway or its subnet");
	else if (n->state == NODE_QUARANTINED)
		text_add(&t,
			": cannot be proven free since the state was lost; until reboot, or: "
			"roostctl ipam release %s",
			ADDR_STRING(&n->addr));
	output_line("state", text);
}

static void print_owner(const struct node_entry *n, const char *host_link)
{
	char pod[600] = "";
	struct text t = TEXT_ON(pod);
	const struct owner *o = &n->owner;
	output_add_pod(&t, o);
	bool past = n->state == NODE_COOLING;
	if (n->state == NODE_USED && owner_is_tunnel(o)) {
		output_line("used by", OWNER_STRING(o));
		return;
	}
	output_line(past ? "last network" : "network", o->network);
	output_line(past ? "last pod" : "pod", pod);
	output_line("container", o->container);
	output_line("interface", o->ifname);
	if (n->state != NODE_USED)
		return;
	if (*host_link)
		output_line("host link", host_link);
	else
		output_line("host link",
			o->foreign ? "made by another plugin"
				   : "none: this record is leaked (roostctl ipam check)");
}

struct seen { /* where an address was looked for */
	struct node_view view;
	const char *dir;
	bool one_of_several; /* folders */
};

static void print_entry(const struct seen *s, const struct node_entry *n,
	const struct node_block *b, const char *host_link)
{
	const struct node_view *v = &s->view;
	output_line("address", ADDR_STRING(&n->addr));
	print_state(n);
	output_line("since", TIME_STRING(n->since_s));
	print_owner(n, host_link);
	if (s->one_of_several)
		output_line("state folder", s->dir);
	if (!b)
		return;
	output_line("block", CIDR_STRING(&b->cidr));
	output_line("pool", node_view_is_orphan(v, b) ? "not known yet" : CIDR_STRING(&b->pool));
}

static void show_free(
	const struct seen *s, const struct addr *a, const struct node_block *b, bool json)
{
	if (!json) {
		(void)printf("%s is free (block %s)\n", ADDR_STRING(a), CIDR_STRING(&b->cidr));
		return;
	}
	json_t *o = json_object();
	json_put(o, "address", json_of_addr(a));
	json_put(o, "state", json_of_text(node_state_text(NODE_FREE)));
	json_put(o, "block", json_of_cidr(&b->cidr));
	json_put(o, "stateDir", json_of_text(s->dir));
	output_json(o);
}

/* The folder has the address, or a block with it. */
static void show_address(const struct seen *s, const struct addr *a, bool json)
{
	const struct node_entry *n = node_view_entry(&s->view, a);
	const struct node_block *b = node_view_block(&s->view, a);
	if (!n) {
		show_free(s, a, b, json);
		return;
	}
	char host_link[NET_NAME] = "";
	find_host_link(n, host_link);
	if (!json) {
		print_entry(s, n, b, host_link);
		return;
	}
	json_t *o = ipam_json_entry(n);
	json_put(o, "block", b ? json_of_cidr(&b->cidr) : json_of_text(""));
	json_put(o, "hostInterface", json_of_text(host_link));
	json_put(o, "stateDir", json_of_text(s->dir));
	output_json(o);
}

/* Looks into one folder after the other until one has it; the last ones stay in *s. 1: found, 0: not,
 * *looked says in how many. */
static int find_address(const struct config_dirs *dirs, const struct addr *a, struct seen *s,
	size_t *looked, struct err *e)
{
	*looked = 0;
	for (size_t i = 0; i < dirs->n; i++) {
		struct node_view v;
		int r = state_read(dirs->list[i], &v, e);
		if (r < 0)
			return r;
		*looked += r > 0;
		bool found = node_view_entry(&v, a) || node_view_block(&v, a);
		if (found || (r > 0 && (i == 0 || node_view_pool(&v, a)))) {
			node_view_done(&s->view);
			*s = (struct seen){v, dirs->list[i], dirs->n > 1};
		} else {
			node_view_done(&v);
		}
		if (found)
			return 1;
	}
	return 0;
}

static int show_ip(const struct options *o)
{
	struct config_dirs dirs;
	struct addr a = {0};
	struct seen s = {0};
	struct err e = {0};
	size_t looked = 0;
	if (addr_parse(o->ip, &a, &e) < 0)
		return output_usage(o->command, "%s", e.text);
	int r = config_state_dirs(o, &dirs, &e);
	if (r == 0)
		r = find_address(&dirs, &a, &s, &looked, &e);
	int status = 0;
	if (r < 0)
		status = output_error(&e);
	else if (r > 0)
		show_address(&s, &a, o->json);
	else if (looked)
		status = complain_outside(&s.view, &a);
	else if (o->json)
		output_json(json_object());
	node_view_done(&s.view);
	return status;
}

static int show_folder(const struct options *o, json_t **doc)
{
	struct err e = {0};
	struct node_view v;
	int r = state_read(o->state_dir, &v, &e);
	if (r < 0)
		return output_error(&e);
	if (o->json)
		*doc = ipam_json_pools(&v);
	else if (v.n_pools || v.n_blocks)
		print_pools(&v);
	else if (r > 0)
		(void)output_complain("this node knows no pools yet");
	node_view_done(&v);
	return 0;
}

int ipam_show(const struct options *o)
{
	if (o->given & OPTION_CLUSTER)
		return ipam_show_cluster(o);
	return o->ip ? show_ip(o) : state_each(o, show_folder);
}
