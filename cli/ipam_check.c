/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl ipam check: is the node state what the kernel shows? The comparison is cli/audit.c, the
 * mending cli/repair.c; here is when to look and what to say.
 *
 * The first look takes the state as it is. An ADD that is half way through has a record and no link
 * yet, so when something seems wrong, the second look is taken alone (the exclusive lock waits for
 * every ADD and DEL), and only that one is reported. A repair is made under the same lock and looks
 * again after each round, because one problem may hide another; what is not seen again was
 * repaired.
 *
 * Without a state of this boot nothing is mended: links that are there belong to another folder, or
 * the first ADD will adopt them.
 */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "cli/ipam_json.h"
#include "cli/output.h"
#include "cli/repair.h"
#include "cli/state.h"
#include "ipam/registry.h"
#include "ipam/session.h"
#include "lib/mem.h"

#define ROUNDS 3 /* releasing, entering, and adding what the entered one lacks */

/* What is there at one moment. */
struct facts {
	struct node_view view;
	struct net *net;
	struct owned kernel;
	struct net_addr *addrs;
	struct net_link *links;
	struct cidr *others;
	struct wiring_pod *pods;
	struct wiring_host host;
	struct poolroute *routes;
	struct audit_input in;
};

static void facts_done(struct facts *l)
{
	node_view_done(&l->view);
	net_close(l->net);
	owned_done(&l->kernel);
	free(l->addrs);
	free(l->links);
	free(l->others);
	free(l->pods);
	free(l->routes);
	*l = (struct facts){0};
}
#define CLEANUP_FACTS __attribute__((cleanup(facts_done)))

static int facts_of_routes(struct facts *l, struct err *e)
{
	const struct node_view *v = &l->view;
	CLEANUP_FREE struct poolroute_pool *pools = mem_new(v->n_pools + 1, sizeof(*pools));
	CLEANUP_FREE struct cidr *own = mem_new(v->n_blocks + l->in.n_others + 1, sizeof(*own));
	struct poolroute_query q = {.pools = pools, .n_pools = v->n_pools, .own = own};
	for (size_t i = 0; i < v->n_pools; i++)
		pools[i] =
			(struct poolroute_pool){v->pools[i].pool.cidr, v->pools[i].pool.block_len};
	for (size_t i = 0; i < v->n_blocks; i++)
		own[q.n_own++] = v->blocks[i].cidr;
	for (size_t i = 0; i < l->in.n_others; i++)
		own[q.n_own++] = l->others[i];
	int r = poolroute_list(l->net, &q, &l->routes, &l->in.n_routes, e);
	l->in.routes = l->routes;
	return r;
}

/* The kernel's side; the view is there. */
static int facts_of_kernel(const char *dir, struct facts *l, struct err *e)
{
	l->in = (struct audit_input){.view = &l->view, .kernel = &l->kernel};
	int r = session_kernel(&l->net, &l->kernel, e);
	if (r >= 0)
		r = net_list_addrs(l->net, &l->addrs, &l->in.n_addrs, e);
	if (r >= 0)
		r = net_list_links(l->net, &l->links, &l->in.n_links, e);
	if (r >= 0)
		r = registry_list_others(dir, &l->others, &l->in.n_others, e);
	if (r >= 0)
		l->pods = audit_pods(&l->view, &l->kernel, &l->in.n_pods);
	if (r >= 0 && l->in.n_pods) {
		r = wiring_look(l->net, l->pods, l->in.n_pods, &l->host, e);
		l->in.host = &l->host;
	}
	l->in.pods = l->pods;
	if (r >= 0)
		r = facts_of_routes(l, e);
	l->in.addrs = l->addrs;
	l->in.links = l->links;
	l->in.others = l->others;
	return r < 0 ? r : 0;
}

static int facts_alone(struct node *n, const char *dir, struct facts *l, struct err *e)
{
	int r = node_list(n, &l->view, e);
	return r < 0 ? r : facts_of_kernel(dir, l, e);
}

static bool is_same(const struct audit_problem *a, const struct audit_problem *b)
{
	return a->kind == b->kind && a->fix == b->fix && a->dev == b->dev &&
	       strcmp(a->object, b->object) == 0;
}

static bool audit_contains(const struct audit *a, const struct audit_problem *p)
{
	for (size_t i = 0; i < a->n; i++)
		if (is_same(&a->v[i], p))
			return true;
	return false;
}

static void audit_append(struct audit *to, const struct audit_problem *p)
{
	to->v = mem_grow(to->v, &to->room, to->n, sizeof(*to->v));
	to->v[to->n++] = *p;
}

/* A living link is entered with all its addresses at once, and its wiring mended, though each is a problem
 * of its own. */
static bool is_done(const struct audit *found, size_t i)
{
	enum audit_fix fix = found->v[i].fix;
	if (fix != AUDIT_FIX_RECORD && fix != AUDIT_FIX_WIRING && fix != AUDIT_FIX_HOST)
		return false;
	for (size_t j = 0; j < i; j++)
		if (found->v[j].fix == fix && found->v[j].dev == found->v[i].dev)
			return true;
	return false;
}

/* Tries every fix once; remembers what was tried. Returns whether something was done. */
static bool check_mend(
	struct node *n, const struct facts *l, const struct audit *found, struct audit *tried)
{
	const struct repair r = {.node = n, .net = l->net, .in = &l->in};
	bool any = false;
	for (size_t i = 0; i < found->n; i++) {
		struct err e = {0};
		const struct audit_problem *p = &found->v[i];
		if (p->fix == AUDIT_FIX_NONE || audit_contains(tried, p))
			continue;
		audit_append(tried, p);
		if (is_done(found, i))
			continue;
		if (repair_one(&r, p, &e) < 0) {
			err_add(&e, "cannot repair %s", p->object);
			(void)output_error(&e);
		} else {
			any = true;
		}
	}
	return any;
}

/* out: what was repaired, then what is still wrong. */
static void check_conclude(const struct audit *tried, const struct audit *left, struct audit *out)
{
	for (size_t i = 0; i < tried->n; i++) {
		if (audit_contains(left, &tried->v[i]))
			continue;
		audit_append(out, &tried->v[i]);
		out->v[out->n - 1].repaired = true;
	}
	for (size_t i = 0; i < left->n; i++)
		audit_append(out, &left->v[i]);
}

static int repair_rounds(
	struct node *n, const char *dir, struct facts *last, struct audit *out, struct err *e)
{
	struct audit tried = {0}, left = {0};
	int r = facts_alone(n, dir, last, e);
	for (int round = 0; r >= 0; round++) {
		audit_done(&left);
		audit_run(&last->in, &left);
		if (round == ROUNDS || !check_mend(n, last, &left, &tried))
			break;
		facts_done(last);
		r = facts_alone(n, dir, last, e);
	}
	if (r >= 0)
		check_conclude(&tried, &left, out);
	audit_done(&tried);
	audit_done(&left);
	return r;
}

/* The look that counts, alone; mends when asked to. */
static int check_alone(const struct options *o, struct facts *l, struct audit *out, struct err *e)
{
	struct node *n = NULL;
	bool repair = o->given & OPTION_REPAIR;
	facts_done(l);
	int r = state_open(o->state_dir, repair, &n, e);
	if (r <= 0)
		return r;
	if (repair) {
		r = repair_rounds(n, o->state_dir, l, out, e);
	} else {
		r = facts_alone(n, o->state_dir, l, e);
		if (r >= 0)
			audit_run(&l->in, out);
	}
	state_close(n);
	return r < 0 ? r : 1;
}

/* 1: looked, 0: no state of this boot, negative: neither. */
static int check_state(const struct options *o, struct facts *l, struct audit *out, struct err *e)
{
	if (o->given & OPTION_REPAIR)
		return check_alone(o, l, out, e);
	int r = state_read(o->state_dir, &l->view, e);
	if (r <= 0)
		return r;
	int looked = facts_of_kernel(o->state_dir, l, e);
	if (looked < 0)
		return looked;
	audit_run(&l->in, out);
	if (out->n == 0)
		return r;
	audit_done(out);
	return check_alone(o, l, out, e);
}

static void print_problem(const struct audit_problem *p)
{
	(void)printf("%-8s %s: expected: %s; seen: %s; %s%s\n", audit_kind_text(p->kind), p->object,
		p->expected, p->seen, p->repaired ? "repaired: " : "to do: ",
		p->repaired ? repair_text(p->fix) : p->advice);
}

static size_t unrepaired(const struct audit *a)
{
	size_t n = 0;
	for (size_t i = 0; i < a->n; i++)
		n += !a->v[i].repaired;
	return n;
}

static uint64_t count_state(const struct node_view *v, enum node_addr_state s)
{
	uint64_t n = 0;
	for (size_t i = 0; i < v->n_entries; i++)
		n += v->entries[i]->state == s;
	return n;
}

static void print_summary(const struct facts *l, const struct audit *a)
{
	char problems[64], quarantined[64];
	size_t left = unrepaired(a);
	uint64_t n = count_state(&l->view, NODE_QUARANTINED);
	output_count(left, "problem", "problems", problems);
	output_count(n, "address is", "addresses are", quarantined);
	if (n)
		(void)printf("note: %s quarantined since the state was lost (roostctl ipam list)\n",
			quarantined);
	(void)printf("%s%s%s (%s, %s, %s)\n",
		a->n > left ? COUNT_STRING(a->n - left, "problem repaired", "problems repaired")
			    : "",
		a->n > left ? ", " : "", left ? problems : "all is right",
		COUNT_STRING(
			count_state(&l->view, NODE_USED), "address in use", "addresses in use"),
		COUNT_STRING(l->view.n_blocks, "block", "blocks"),
		COUNT_STRING(l->kernel.n_links, "host link", "host links"));
}

/* Links without a state: nothing is wrong yet, but the operator may have the wrong folder. Those of
 * other folders are explained. */
static int remark_links(const char *dir)
{
	struct err e = {0};
	CLEANUP_FACTS struct facts l = {0};
	size_t n = 0;
	if (facts_of_kernel(dir, &l, &e) < 0)
		return output_error(&e);
	for (size_t i = 0; i < l.kernel.n_links; i++) {
		const struct owned_link *link = &l.kernel.links[i];
		n += !link->n_addrs || !cidr_any_contains(l.others, l.in.n_others, &link->addrs[0]);
	}
	if (n == 0)
		return 0;
	return output_complain("yet the kernel has %s of roost: is this the right folder? (the "
			       "first ADD adopts them)",
		COUNT_STRING(n, "host link", "host links"));
}

static int check_folder(const struct options *o, json_t **doc)
{
	struct err e = {0};
	struct audit found = {0};
	CLEANUP_FACTS struct facts l = {0};
	int r = check_state(o, &l, &found, &e);
	int status = 1;
	if (r < 0) {
		(void)output_error(&e);
	} else {
		status = r == 0 ? remark_links(o->state_dir) : unrepaired(&found) != 0;
		if (o->json)
			*doc = ipam_json_audit(&found, status == 0);
		for (size_t i = 0; i < found.n && !o->json; i++)
			print_problem(&found.v[i]);
		if (r > 0 && !o->json)
			print_summary(&l, &found);
	}
	audit_done(&found);
	return status;
}

int ipam_check(const struct options *o)
{
	return state_each(o, check_folder);
}
