/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules between resources. A document is judged alone by resource_parse(); here is what needs the
 * others: an address must belong to one pool at most, and to pods or to a node, never both, as the
 * route to a pod's block would then be the route to the node that announces it.
 *
 * Exits stand in two kinds, and pools in a third: a change of any of them can break the rule that no exit
 * is inside a pool. A prefix that contains a pool is fine (0.0.0.0/0 contains all), as pods' blocks
 * are longer and win.
 *
 * Only what a change itself breaks is held against it. A set that is wrong already (somebody wrote
 * to the store by other means) can still be changed elsewhere, or it could never be mended.
 */
#include "cli/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

#define NODES_NAMED 4 /* in a sentence */

bool rules_moves_pool(const struct resource *before, const struct resource *now)
{
	const struct pool *a = &before->pool.pool, *b = &now->pool.pool;
	return !cidr_equal(&a->cidr, &b->cidr) || a->block_len != b->block_len ||
	       before->pool.balancer != now->pool.balancer;
}

struct tally {
	const char *node;
	size_t n;
};

size_t rules_count_blocks(
	const struct block *blocks, size_t n, const struct cidr *c, char text[256])
{
	struct tally tallies[NODES_NAMED] = {0};
	struct text t = {.buf = text, .size = 256};
	size_t count = 0, others = 0, nodes = 0;
	*text = '\0';
	for (size_t i = 0; i < n; i++) {
		if (!cidr_overlaps(&blocks[i].cidr, c))
			continue;
		size_t k = 0;
		count++;
		while (k < nodes && strcmp(tallies[k].node, blocks[i].node) != 0)
			k++;
		if (k < NODES_NAMED) {
			tallies[k].node = blocks[i].node;
			tallies[k].n++;
			nodes = k == nodes ? nodes + 1 : nodes;
		} else {
			others++;
		}
	}
	text_add(&t, "%zu block%s in use (", count, count == 1 ? "" : "s");
	for (size_t k = 0; k < nodes; k++)
		text_add(&t, "%s%.40s: %zu", k ? ", " : "",
			*tallies[k].node ? tallies[k].node : "?", tallies[k].n);
	if (others)
		text_add(&t, ", other nodes: %zu", others);
	text_add(&t, ")");
	return count;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names the nodes that own more than max blocks; returns how many there are. */
static size_t list_above(const struct block *blocks, size_t n, uint32_t max, struct text *t)
{
	CLEANUP_FREE const char **nodes = mem_new(n + 1, sizeof(*nodes));
	size_t owned = 0, above = 0;
	for (size_t i = 0; i < n; i++)
		if (*blocks[i].node && blocks[i].state == BLOCK_OWNED)
			nodes[owned++] = blocks[i].node;
	qsort(nodes, owned, sizeof(*nodes), compare_texts);
	for (size_t i = 0, end; i < owned; i = end) {
		for (end = i + 1; end < owned && strcmp(nodes[end], nodes[i]) == 0;)
			end++;
		if (end - i <= max)
			continue;
		if (above++ < NODES_NAMED)
			text_add(t, "%s%.40s: %zu", above > 1 ? ", " : "", nodes[i], end - i);
	}
	if (above > NODES_NAMED)
		text_add(t, ", other nodes: %zu", above - NODES_NAMED);
	return above;
}

bool rules_warn(const struct rules_set *s, size_t i, char text[256])
{
	const struct resource *now = s->items[i].now;
	char names[200] = "";
	struct text t = TEXT_ON(names);
	if (now->kind != RESOURCE_IPAMCONFIGURATION || !now->ipam.max_blocks)
		return false;
	size_t above = list_above(s->blocks, s->n_blocks, now->ipam.max_blocks, &t);
	if (above)
		(void)snprintf(text, 256,
			"maxBlocksPerHost is %u, and %s more blocks (%s): kept, but no further "
			"ones",
			now->ipam.max_blocks, above == 1 ? "a node has" : "nodes have", names);
	return above > 0;
}

static int check_pools(const struct rules_set *s, const struct resource *pool, struct err *e)
{
	const struct cidr *cidr = &pool->pool.pool.cidr;
	for (size_t i = 0; i < s->n_items; i++) {
		const struct resource *other = s->items[i].now;
		if (other == pool || other->kind != RESOURCE_IPPOOL ||
			!cidr_overlaps(cidr, &other->pool.pool.cidr))
			continue;
		return err_set(e, EINVAL, "%s overlaps %s of IPPool %.100s", CIDR_STRING(cidr),
			CIDR_STRING(&other->pool.pool.cidr), other->name);
	}
	return 0;
}

/* The node's address inside the pool, if any. */
static const struct addr *find_inside(const struct cidr *pool, const struct resource_node *n)
{
	const struct addr *a = &n->addr[family_of(pool->addr.family)].addr;
	return a->family && cidr_contains(pool, a) ? a : NULL;
}

static int refuse_inside(const struct resource *pool, const struct resource *node,
	const struct addr *inside, struct err *e)
{
	return err_set(e, EINVAL, "the address %s of Node %.100s is inside %s of IPPool %.100s",
		ADDR_STRING(inside), node->name, CIDR_STRING(&pool->pool.pool.cidr), pool->name);
}

static int check_pool_nodes(const struct rules_set *s, const struct resource *pool, struct err *e)
{
	for (size_t i = 0; i < s->n_items; i++) {
		const struct resource *node = s->items[i].now;
		const struct addr *inside =
			node->kind == RESOURCE_NODE
				? find_inside(&pool->pool.pool.cidr, &node->node)
				: NULL;
		if (inside)
			return refuse_inside(pool, node, inside, e);
	}
	return 0;
}

/* Blocks of an earlier pool may stand there: of the same size they are taken over. */
static int check_blocks(const struct rules_set *s, const struct pool *p, struct err *e)
{
	for (size_t i = 0; i < s->n_blocks; i++) {
		const struct block *b = &s->blocks[i];
		if (!cidr_overlaps(&b->cidr, &p->cidr) ||
			(b->cidr.len == p->block_len && b->cidr.len >= p->cidr.len))
			continue;
		char block[CIDR_TEXT];
		cidr_format(&b->cidr, block);
		return err_set(e, EINVAL,
			"the block %s of node %.100s is in use, and is no /%u of this pool", block,
			*b->node ? b->node : "?", p->block_len);
	}
	return 0;
}

static int check_pool(
	const struct rules_set *s, const struct rules_item *item, const char **where, struct err *e)
{
	const struct pool *p = &item->now->pool.pool;
	bool moves = item->before && rules_moves_pool(item->before, item->now);
	*where = "spec.cidr";
	if (item->before && !moves)
		return 0;
	int r = check_pools(s, item->now, e);
	if (r == 0)
		r = check_pool_nodes(s, item->now, e);
	if (r == 0 && moves) {
		char text[256];
		const struct cidr *before = &item->before->pool.pool.cidr;
		bool uses = item->before->pool.balancer != item->now->pool.balancer;
		if (!cidr_equal(before, &p->cidr))
			*where = "spec.cidr";
		else
			*where = uses ? "spec.allowedUses" : "spec.blockSize";
		if (rules_count_blocks(s->blocks, s->n_blocks, before, text) > 0)
			return err_set(e, EINVAL, "%s cannot change while the pool has %s",
				uses ? "allowedUses" : "cidr and blockSize", text);
	}
	return r < 0 ? r : check_blocks(s, p, e);
}

static bool same_host(const struct cidr *a, const struct cidr *b)
{
	return a->addr.family && addr_equal(&a->addr, &b->addr);
}

static const char *const address_places[FAMILIES] = {
	"spec.bgp.ipv4Address", "spec.bgp.ipv6Address"};

static int refuse_twin(const struct resource_node *n, const struct resource *other,
	const char **where, struct err *e)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		if (!same_host(&n->addr[f], &other->node.addr[f]))
			continue;
		*where = address_places[f];
		return err_set(e, EINVAL, "%s is the address of Node %.100s",
			ADDR_STRING(&n->addr[f].addr), other->name);
	}
	return 0;
}

static int check_node(
	const struct rules_set *s, const struct resource *node, const char **where, struct err *e)
{
	const struct resource_node *n = &node->node;
	for (size_t i = 0; i < s->n_items; i++) {
		const struct resource *other = s->items[i].now;
		if (other->kind == RESOURCE_IPPOOL) {
			const struct addr *inside = find_inside(&other->pool.pool.cidr, n);
			if (!inside)
				continue;
			*where = address_places[family_of(inside->family)];
			return refuse_inside(other, node, inside, e);
		}
		if (other == node || other->kind != RESOURCE_NODE)
			continue;
		int r = refuse_twin(n, other, where, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool has_new_address(const struct resource *before, const struct resource *now)
{
	const struct resource_node *n = &now->node;
	static const struct cidr none[FAMILIES];
	const struct cidr *old = before ? before->node.addr : none;
	return !cidr_equal(&n->addr[IPV4], &old[IPV4]) || !cidr_equal(&n->addr[IPV6], &old[IPV6]);
}

/* ---- Exits ---- */

/* All prefixes of a resource, one after the other; NULL: no more. */
static const struct cidr *exit_at(const struct resource *r, size_t i)
{
	if (r->kind == RESOURCE_BGPPEER)
		return i < r->peer.n_exits ? &r->peer.exits[i] : NULL;
	if (r->kind != RESOURCE_BGPCONFIGURATION)
		return NULL;
	for (size_t k = 0; k < r->bgp.exits.n; k++) {
		if (i < r->bgp.exits.list[k].n_cidrs)
			return &r->bgp.exits.list[k].cidrs[i];
		i -= r->bgp.exits.list[k].n_cidrs;
	}
	return NULL;
}

static bool has_exit(const struct resource *r, const struct cidr *c)
{
	const struct cidr *one = NULL;
	for (size_t i = 0; r && (one = exit_at(r, i)); i++)
		if (cidr_equal(one, c))
			return true;
	return false;
}

static bool is_exit_inside(const struct cidr *exit, const struct resource *pool)
{
	const struct cidr *p = &pool->pool.pool.cidr;
	return pool->kind == RESOURCE_IPPOOL && exit->len >= p->len &&
	       cidr_contains(p, &exit->addr);
}

static int refuse_exit(const struct cidr *exit, const struct resource *of,
	const struct resource *pool, struct err *e)
{
	return err_set(e, EINVAL, "the exit %s of %s %.100s is inside %s of IPPool %.100s",
		CIDR_STRING(exit), resource_kind_text(of->kind), of->name,
		CIDR_STRING(&pool->pool.pool.cidr), pool->name);
}

static int check_pool_exits(const struct rules_set *s, const struct rules_item *pool, struct err *e)
{
	const struct cidr *exit = NULL;
	if (pool->before && !rules_moves_pool(pool->before, pool->now))
		return 0;
	for (size_t i = 0; i < s->n_items; i++)
		for (size_t k = 0; (exit = exit_at(s->items[i].now, k)); k++)
			if (is_exit_inside(exit, pool->now))
				return refuse_exit(exit, s->items[i].now, pool->now, e);
	return 0;
}

/* Of item i, a BGPConfiguration, BGPPeer or IPPool; others are fine. What was wrong before is not held
 * against it. */
static int check_exits(const struct rules_set *s, size_t i, const char **where, struct err *e)
{
	const struct rules_item *item = &s->items[i];
	const struct cidr *exit = NULL;
	if (item->now->kind == RESOURCE_IPPOOL) {
		*where = "spec.cidr";
		return check_pool_exits(s, item, e);
	}
	*where = "spec.exits";
	for (size_t k = 0; (exit = exit_at(item->now, k)); k++)
		for (size_t n = 0; n < s->n_items && !has_exit(item->before, exit); n++)
			if (is_exit_inside(exit, s->items[n].now))
				return refuse_exit(exit, item->now, s->items[n].now, e);
	return 0;
}

/* ---- Services ---- */

/* All prefixes of a resource, one after the other, and the field of each; NULL: no more. */
static const struct cidr *service_at(const struct resource *r, size_t i, const char **where)
{
	static const char *const places[SERVICE_USES] = {
		[SERVICE_CLUSTER] = "spec.serviceClusterIPs",
		[SERVICE_EXTERNAL] = "spec.serviceExternalIPs",
		[SERVICE_BALANCER] = "spec.serviceLoadBalancerIPs"};
	for (size_t u = 0; r->kind == RESOURCE_BGPCONFIGURATION && u < SERVICE_USES; u++) {
		*where = places[u];
		if (i < r->bgp.services.n[u])
			return &r->bgp.services.cidrs[u][i];
		i -= r->bgp.services.n[u];
	}
	return NULL;
}

static bool has_service(const struct resource *r, const struct cidr *c)
{
	const char *where = NULL;
	const struct cidr *one = NULL;
	for (size_t i = 0; r && (one = service_at(r, i, &where)); i++)
		if (cidr_equal(one, c))
			return true;
	return false;
}

/* Of item i, a BGPConfiguration or a pool for pods: every node announces services' prefixes, and one
 * node alone a pod's block. */
static int check_services(const struct rules_set *s, size_t i, const char **where, struct err *e)
{
	const struct rules_item *item = &s->items[i];
	bool is_pool = item->now->kind == RESOURCE_IPPOOL;
	if (is_pool && item->before && !rules_moves_pool(item->before, item->now))
		return 0;
	for (size_t n = 0; n < s->n_items; n++) {
		const struct resource *pool = is_pool ? item->now : s->items[n].now;
		const struct resource *bgp = is_pool ? s->items[n].now : item->now;
		const struct cidr *c = NULL;
		for (size_t k = 0; (c = service_at(bgp, k, where)); k++) {
			if (pool->kind != RESOURCE_IPPOOL || pool->pool.balancer ||
				!cidr_overlaps(c, &pool->pool.pool.cidr) ||
				(!is_pool && has_service(item->before, c)))
				continue;
			*where = is_pool ? "spec.cidr" : *where;
			return err_set(e, EINVAL,
				"the services' prefix %s of BGPConfiguration %.100s overlaps %s of "
				"IPPool %.100s, which is for pods",
				CIDR_STRING(c), bgp->name, CIDR_STRING(&pool->pool.pool.cidr),
				pool->name);
		}
	}
	return 0;
}

/* ---- All of them ---- */

bool rules_needs_recheck(const struct resource *before, const struct resource *now)
{
	if (now->kind == RESOURCE_IPPOOL)
		return !before || rules_moves_pool(before, now);
	return now->kind == RESOURCE_NODE && has_new_address(before, now);
}

int rules_check(const struct rules_set *s, size_t i, const char **where, struct err *e)
{
	const struct rules_item *item = &s->items[i];
	int r = check_exits(s, i, where, e);
	if (r == 0)
		r = check_services(s, i, where, e);
	if (r < 0)
		return r;
	*where = "";
	if (item->now->kind == RESOURCE_IPPOOL)
		return check_pool(s, item, where, e);
	if (item->now->kind == RESOURCE_NODE && has_new_address(item->before, item->now))
		return check_node(s, item->now, where, e);
	return 0;
}
