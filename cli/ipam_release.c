/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl ipam release: addresses freed by hand, and blocks given up. Both are done alone (the
 * exclusive lock), so that "its link does not exist" is not a pod that is just being started.
 *
 * Addresses are looked at before anything is done: one that must not be freed refuses the whole
 * command. The order is that of DEL: link, then record, so that nobody gets an address whose old
 * route stands; the address of the node's own tunnel leaves its device likewise. A living pod is cut off by --force together with all its addresses, since its link
 * serves them all.
 *
 * Blocks: the state gives them up first, their blackholes follow; between the two a kill leaves
 * blackholes that `ipam check --repair` deletes. The nf_tables table goes with the last block and
 * link.
 */
#include "cli/commands.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "lib/json.h"
#include "cli/output.h"
#include "cli/state.h"
#include "ipam/node_view.h"
#include "ipam/session.h"
#include "lib/antispoof.h"
#include "lib/hostport.h"
#include "lib/mem.h"
#include "lib/text.h"

struct release {
	struct node *node;
	struct net *net;
	struct node_view view; /* before anything was done */
	struct owned kernel;
	bool force;
	json_t *report; /* for -o json; NULL: lines for people */
	struct text
		out; /* those lines; kept until the state is closed (cli/state.c lends stdout) */
};

/* The living link behind a record of a pod of roost. */
static const struct owned_link *find_link(const struct release *r, const struct node_entry *n)
{
	if (!n || n->state != NODE_USED || n->owner.foreign)
		return NULL;
	return owned_find(&r->kernel, &n->owner.hash);
}

/* The addresses of a very large quarantined block are not listed one by one. */
static bool in_quarantine(const struct release *r, const struct addr *a)
{
	const struct node_block *b = node_view_block(&r->view, a);
	return b && b->quarantined;
}

/* Whether a may be freed; what is free already is fine. */
static int check_address(const struct release *r, const struct addr *a, struct err *e)
{
	char address[ADDR_TEXT];
	addr_format(a, address);
	const struct node_entry *n = node_view_entry(&r->view, a);
	const struct owned_link *l = find_link(r, n);
	if (!n && !node_view_block(&r->view, a))
		return err_set(e, ENOENT, "%s is in no block of this node", address);
	if (l && !r->force) {
		(void)err_set(e, EBUSY, "%s is in use: the host link %s of %s exists", address,
			l->link.name, OWNER_STRING(&n->owner));
		err_details(e, "nothing was released; stop the pod, or cut it off with --force");
		return -EBUSY;
	}
	if (n && n->state == NODE_RESERVED && !r->force) {
		(void)err_set(e, EBUSY, "%s is reserved %s", address,
			n->in_reservation ? "by an IPReservation" : "for a gateway");
		err_details(e, "nothing was released; --force frees it all the same");
		return -EBUSY;
	}
	if (n && n->state == NODE_USED && owner_is_tunnel(&n->owner) && !r->force) {
		(void)err_set(
			e, EBUSY, "%s is the address of %s", address, OWNER_STRING(&n->owner));
		err_details(e, "nothing was released; roostd does that when the tunnel ends, "
			       "--force frees it all the same");
		return -EBUSY;
	}
	return 0;
}

static void release_report(struct release *r, const struct addr *a, const char *was,
	const char *owner, const char *link)
{
	if (!r->report) {
		text_add(&r->out, "%s: ", ADDR_STRING(a));
		if (*link)
			text_add(&r->out, "pod cut off (link %s deleted), ", link);
		text_add(&r->out, "released, was %s%s%s\n", was, *owner ? " by " : "", owner);
		return;
	}
	json_t *one = json_object();
	json_put(one, "address", json_of_addr(a));
	json_put(one, "was", json_of_text(was));
	json_put(one, "linkDeleted", json_of_text(link));
	json_append(json_object_get(r->report, "released"), one);
}

static void report_entry(struct release *r, const struct node_entry *n, const char *link)
{
	release_report(r, &n->addr, node_state_text(n->state),
		n->state == NODE_USED ? OWNER_STRING(&n->owner) : "", link);
}

/* A living pod: its link and all that it has. */
static int cut_off(
	struct release *r, const struct owned_link *l, const struct hash *owner, struct err *e)
{
	int done = owned_remove(r->net, &l->link.index, 1, e);
	if (done >= 0)
		done = node_release(r->node, owner, 1, e);
	for (size_t i = 0; i < r->view.n_entries && done >= 0; i++) {
		const struct node_entry *n = r->view.entries[i];
		if (n->state == NODE_USED && hash_equal(&n->owner.hash, owner))
			report_entry(r, n, l->link.name);
	}
	return done;
}

/* An address that the host has itself is nobody else's: packets to a pod with it would stay here. So
 * the device loses it first; a living agent takes another one for it. */
static int take_from_device(struct release *r, const struct addr *a, struct err *e)
{
	CLEANUP_FREE struct net_addr *all = NULL;
	size_t n = 0;
	int done = net_list_addrs(r->net, &all, &n, e);
	bool found = false;
	for (size_t i = 0; i < n && done >= 0; i++)
		if (addr_equal(&all[i].address.addr, a)) {
			net_del_addr(r->net, all[i].dev, &all[i].address, NET_MAY_LACK);
			found = true;
		}
	return done < 0 || !found ? done : net_commit(r->net, NULL, e);
}

static int release_one(struct release *r, const struct addr *a, struct err *e)
{
	const struct node_entry *n = node_view_entry(&r->view, a);
	const struct owned_link *l = find_link(r, n);
	if (l)
		return cut_off(r, l, &n->owner.hash, e);
	if (n && n->state == NODE_USED && owner_is_tunnel(&n->owner)) {
		int taken = take_from_device(r, a, e);
		if (taken < 0)
			return taken;
	}
	if (n ? n->state == NODE_COOLING : !in_quarantine(r, a)) {
		(void)output_complain("%s is %s, there is nothing to release", ADDR_STRING(a),
			n ? "cooling down" : "free");
		return 0;
	}
	int done = node_release_addr(r->node, a, e);
	if (done >= 0 && n)
		report_entry(r, n, "");
	else if (done >= 0)
		release_report(r, a, node_state_text(NODE_QUARANTINED), "", "");
	return done == -ENOENT ? 0 : done; /* went with another address of its pod */
}

static int check_addresses(
	const struct release *r, const struct addr *addrs, size_t n, struct err *e)
{
	int done = 0;
	for (size_t i = 0; i < n && done >= 0; i++)
		done = check_address(r, &addrs[i], e);
	return done;
}

static int release_addresses(struct release *r, const struct addr *addrs, size_t n, struct err *e)
{
	int checked = check_addresses(r, addrs, n, e);
	if (checked < 0)
		return checked;
	for (size_t i = 0; i < n; i++) {
		int done = release_one(r, &addrs[i], e);
		if (done < 0)
			return done;
	}
	return 0;
}

/* Blocks. */

static void report_block(struct release *r, const struct cidr *c)
{
	if (r->report)
		json_append(json_object_get(r->report, "blocks"), json_of_cidr(c));
	else
		text_add(&r->out, "%s: given up%s\n", CIDR_STRING(c),
			cidr_is_among(r->kernel.blocks, r->kernel.n_blocks, c)
				? ", its blackhole route removed"
				: "");
}

static void report_kept(struct release *r, const struct node_view *now)
{
	for (size_t i = 0; i < now->n_blocks && !r->report; i++) {
		const struct node_block *b = &now->blocks[i];
		char why[200] = "";
		struct text t = TEXT_ON(why);
		output_add_part(&t, b->used, "used");
		output_add_part(&t, b->reserved, "reserved");
		output_add_part(&t, b->quarantined, "quarantined");
		text_add(&r->out, "%s: kept, %s\n", CIDR_STRING(&b->cidr), *why ? why : "in use");
	}
}

/* The table protects pods; without links and blocks of any state folder there is none. */
static int remove_table(struct release *r, struct err *e)
{
	struct owned now = {0};
	int done = session_kernel(&r->net, &now, e);
	if (done < 0)
		return done;
	bool last = now.n_links == 0 && now.n_blocks == 0;
	owned_done(&now);
	if (!last)
		return 0;
	int had = antispoof_remove(e);
	int ports = had < 0 ? had : hostport_remove_table(e);
	if (ports < 0)
		return ports;
	if (r->report)
		json_put(r->report, "tableRemoved", json_boolean(had > 0));
	else if (had > 0)
		text_add(&r->out,
			"nf_tables table inet roost: removed, no pod is left to protect\n");
	return 0;
}

static int release_idle(struct release *r, struct err *e)
{
	CLEANUP_FREE struct cidr *blocks = NULL;
	struct node_view now = {0};
	size_t n = 0;
	int done = node_return_blocks(r->node, true, &blocks, &n, e);
	if (done >= 0)
		done = owned_del_blackholes(r->net, blocks, n, e);
	for (size_t i = 0; i < n && done >= 0; i++)
		report_block(r, &blocks[i]);
	if (done >= 0)
		done = node_list(r->node, &now, e);
	if (done >= 0)
		report_kept(r, &now);
	if (done >= 0 && now.n_blocks == 0)
		done = remove_table(r, e);
	if (done >= 0 && n == 0 && now.n_blocks == 0 && !r->report)
		(void)output_complain("this node has no blocks");
	node_view_done(&now);
	return done;
}

/* The command line. */

static int parse_addresses(const struct options *o, struct addr *addrs, struct err *e)
{
	for (size_t i = 0; i < o->n_operands; i++) {
		int r = addr_parse(o->operands[i], &addrs[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What a release is about in one folder. */
struct part {
	const char *dir;
	struct addr *addrs;
	size_t n;
	bool idle, force;
	bool only_look; /* whether all may be freed */
};

static int release_act(struct release *r, const struct part *p, struct err *e)
{
	int done = node_list(r->node, &r->view, e);
	if (done >= 0)
		done = session_kernel(&r->net, &r->kernel, e);
	if (done < 0)
		return done;
	if (p->idle)
		return release_idle(r, e);
	return p->only_look ? check_addresses(r, p->addrs, p->n, e)
			    : release_addresses(r, p->addrs, p->n, e);
}

static int release_part(const struct part *p, bool json, json_t **doc)
{
	struct err e = {0};
	struct release r = {.force = p->force};
	if (json)
		r.report =
			json_pack("{s:[], s:[], s:b}", "released", "blocks", "tableRemoved", false);
	int opened = state_open(p->dir, false, &r.node, &e);
	int done = opened > 0 ? release_act(&r, p, &e) : opened;
	if (opened == 0 && p->idle)
		done = remove_table(&r, &e);
	state_close(r.node);
	node_view_done(&r.view);
	owned_done(&r.kernel);
	net_close(r.net);
	CLEANUP_FREE char *lines = text_take(&r.out);
	(void)fputs(lines, stdout);
	if (done < 0)
		(void)output_error(&e);
	if (r.report && done >= 0)
		state_join(doc, r.report, p->dir);
	else
		json_decref(r.report);
	return done < 0;
}

/* Gives each address to the folder that has it. What none has is left to the first one, to say so. */
static int share_out(struct part *parts, const struct config_dirs *dirs, const struct addr *addrs,
	size_t n, struct err *e)
{
	CLEANUP_FREE bool *taken = mem_new(n + 1, sizeof(*taken));
	assert(dirs->n > 0);
	for (size_t i = 0; i < dirs->n; i++) {
		struct node_view v;
		parts[i].addrs = mem_new(n + 1, sizeof(*addrs));
		if (dirs->n == 1)
			break;
		int r = state_read(dirs->list[i], &v, e);
		if (r < 0)
			return r;
		for (size_t k = 0; k < n; k++) {
			bool has = !taken[k] && (node_view_entry(&v, &addrs[k]) ||
							node_view_block(&v, &addrs[k]));
			if (has)
				parts[i].addrs[parts[i].n++] = addrs[k];
			taken[k] = taken[k] || has;
		}
		node_view_done(&v);
	}
	for (size_t k = 0; k < n; k++)
		if (!taken[k])
			parts[0].addrs[parts[0].n++] = addrs[k];
	return 0;
}

/* All folders are looked at before anything is done in one of them. */
static int release_parts(struct part *parts, size_t n, const struct options *o, json_t **doc)
{
	int status = 0;
	for (size_t i = 0; i < 2 * n && status == 0; i++) {
		struct part *p = &parts[i % n];
		json_t *ignored = NULL;
		p->only_look = i < n;
		if ((p->idle || n == 1) && p->only_look)
			continue; /* it looks itself before it does anything */
		if (p->idle || p->n)
			status = release_part(p, o->json, p->only_look ? &ignored : doc);
		json_decref(ignored);
	}
	return status;
}

int ipam_release(const struct options *o)
{
	struct err e = {0};
	struct config_dirs dirs;
	struct part parts[AGENT_CONF_STATE_DIRS] = {0};
	json_t *doc = NULL;
	bool idle = o->given & OPTION_IDLE_BLOCKS;
	CLEANUP_FREE struct addr *addrs = mem_new(o->n_operands + 1, sizeof(*addrs));
	if (idle == (o->n_operands > 0))
		return output_usage(
			o->command, "ipam release needs either addresses or --idle-blocks");
	if (parse_addresses(o, addrs, &e) < 0)
		return output_usage(o->command, "%s", e.text);
	int r = config_state_dirs(o, &dirs, &e);
	if (r < 0)
		return output_error(&e);
	for (size_t i = 0; i < dirs.n; i++)
		parts[i] = (struct part){
			.dir = dirs.list[i], .idle = idle, .force = o->given & OPTION_FORCE};
	r = share_out(parts, &dirs, addrs, o->n_operands, &e);
	int status = r < 0 ? output_error(&e) : release_parts(parts, dirs.n, o, &doc);
	for (size_t i = 0; i < dirs.n; i++)
		free(parts[i].addrs);
	if (doc && status == 0)
		output_json(json_incref(doc));
	json_decref(doc);
	return status;
}
