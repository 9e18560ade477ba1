/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the cluster: four lists, one after the other, put together by name. They are not of
 * one moment, so a block that changes hands meanwhile may be seen with either owner; who changes
 * something compares revisions and does not rely on this picture.
 *
 * Documents are of anybody's making. One that cannot be read is named where its node is shown and
 * hides nothing else; keys that are no keys of ours are passed over. Nodes and blocks are counted
 * in thousands: names are found by halving.
 */
#include "cli/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/keys.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

const char *inventory_agent_text(enum inventory_agent a)
{
	static const char *const names[] = {
		[AGENT_NEVER] = "never",
		[AGENT_LIVE] = "live",
		[AGENT_STOPPED] = "stopped",
		[AGENT_STALE] = "stale",
		[AGENT_AHEAD] = "ahead",
		[AGENT_UNKNOWN] = "unknown",
	};
	return names[a];
}

enum inventory_agent inventory_judge(const struct status *s, int64_t now_wall_s)
{
	if (s->stopped)
		return AGENT_STOPPED;
	if (status_is_live(s, now_wall_s))
		return AGENT_LIVE;
	return s->heartbeat_s > now_wall_s ? AGENT_AHEAD : AGENT_STALE;
}

void inventory_done(struct inventory *v)
{
	for (size_t i = 0; i < v->n_nodes; i++)
		status_done(&v->nodes[i].status);
	free(v->nodes);
	free(v->blocks);
	free(v->pools);
	*v = (struct inventory){0};
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_blocks(const void *a, const void *b)
{
	return block_compare(&((const struct block *)a)->cidr, &((const struct block *)b)->cidr);
}

static int compare_pools(const void *a, const void *b)
{
	return block_compare(&((const struct inventory_pool *)a)->pool.pool.cidr,
		&((const struct inventory_pool *)b)->pool.pool.cidr);
}

static struct inventory_node *find(const struct inventory *v, const char *name)
{
	size_t low = 0;
	size_t high = v->nodes ? v->n_nodes : 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = strcmp(v->nodes[middle].name, name);
		if (r == 0)
			return &v->nodes[middle];
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct inventory_node *inventory_find(const struct inventory *v, const char *name)
{
	return find(v, name);
}

const struct status_block *inventory_counts(
	const struct inventory_node *n, const struct cidr *block)
{
	for (size_t i = 0; n && i < n->status.n_blocks; i++)
		if (cidr_equal(&n->status.blocks[i].cidr, block))
			return &n->status.blocks[i];
	return NULL;
}

/* ---- Documents into values ---- */

struct docs {
	struct store_doc *v;
	size_t n;
};

static void complain(struct inventory_node *n, const char *what, const struct err *e)
{
	char text[200];
	(void)json_clean(text, sizeof(text), e->text);
	if (!*n->trouble)
		(void)snprintf(
			n->trouble, sizeof(n->trouble), "its %s cannot be read: %s", what, text);
}

static int parse_resource(
	const char *value, enum resource_kind kind, struct resource *out, struct err *e)
{
	char where[RESOURCE_WHERE] = "";
	CLEANUP_JSON json_t *doc = NULL;
	int r = value ? json_parse(value, strlen(value), &doc, e)
		      : err_set(e, EBADMSG, "it is too large");
	if (r == 0)
		r = resource_parse(doc, out, where, e);
	if (r < 0)
		return r;
	if (out->kind == kind)
		return 0;
	resource_done(out);
	return err_set(e, EBADMSG, "it is of another kind");
}

static void take_blocks(struct inventory *v, const struct docs *docs)
{
	v->blocks = mem_new(docs->n + 1, sizeof(*v->blocks));
	for (size_t i = 0; i < docs->n; i++) {
		const struct store_doc *d = &docs->v[i];
		struct block *b = &v->blocks[v->n_blocks];
		struct err ignored;
		if (block_parse(d->key, d->value, d->revision, b, &ignored) == 0)
			v->n_blocks++;
		else if (keys_parse_block(d->key, &b->cidr))
			v->blocks[v->n_blocks++].revision = d->revision; /* taken, by nobody */
	}
	qsort(v->blocks, v->n_blocks, sizeof(*v->blocks), compare_blocks);
}

static void take_pools(struct inventory *v, const struct docs *docs)
{
	v->pools = mem_new(docs->n + 1, sizeof(*v->pools));
	for (size_t i = 0; i < docs->n; i++) {
		struct inventory_pool *p = &v->pools[v->n_pools];
		struct resource r = {0};
		enum resource_kind kind;
		struct err ignored;
		if (!keys_parse_resource(docs->v[i].key, &kind, p->name) ||
			parse_resource(docs->v[i].value, RESOURCE_IPPOOL, &r, &ignored) < 0)
			continue; /* its blocks show as blocks of no pool */
		p->pool = r.pool;
		resource_done(&r);
		v->n_pools++;
	}
	qsort(v->pools, v->n_pools, sizeof(*v->pools), compare_pools);
}

static void take_node(struct inventory *v, const struct store_doc *d)
{
	enum resource_kind kind;
	char name[RESOURCE_NAME];
	if (!keys_parse_resource(d->key, &kind, name))
		return;
	struct inventory_node *n = find(v, name);
	struct resource r = {0};
	struct err e;
	n->revision = d->revision;
	if (parse_resource(d->value, RESOURCE_NODE, &r, &e) < 0) {
		complain(n, "Node document", &e);
		return;
	}
	n->spec = r.node;
	resource_done(&r);
}

static void take_status(struct inventory *v, const struct store_doc *d, int64_t now)
{
	char name[RESOURCE_NAME];
	if (!keys_parse_status(d->key, name))
		return;
	struct inventory_node *n = find(v, name);
	struct err e;
	n->status_revision = d->revision;
	n->agent = AGENT_UNKNOWN;
	if (status_parse(d->value, &n->status, &e) < 0)
		complain(n, "status", &e);
	else
		n->agent = inventory_judge(&n->status, now);
}

/* ---- All of it ---- */

struct lists {
	struct docs nodes, statuses, blocks, pools;
};

static void add_name(char **names, size_t *n, const char *name)
{
	names[(*n)++] = mem_strdup(name);
}

/* Every name that stands anywhere, once, sorted. */
static void make_nodes(struct inventory *v, const struct lists *l)
{
	size_t most = l->nodes.n + l->statuses.n + v->n_blocks;
	size_t n = 0;
	enum resource_kind kind;
	char name[RESOURCE_NAME];
	CLEANUP_FREE char **names = mem_new(most + 1, sizeof(*names));
	for (size_t i = 0; i < l->nodes.n; i++)
		if (keys_parse_resource(l->nodes.v[i].key, &kind, name))
			add_name(names, &n, name);
	for (size_t i = 0; i < l->statuses.n; i++)
		if (keys_parse_status(l->statuses.v[i].key, name))
			add_name(names, &n, name);
	for (size_t i = 0; v->blocks && i < v->n_blocks; i++)
		if (*v->blocks[i].node)
			add_name(names, &n, v->blocks[i].node);
	qsort(names, n, sizeof(*names), compare_names);
	size_t unique = 0;
	for (size_t i = 0; i < n; i++)
		unique += i == 0 || strcmp(names[i], names[i - 1]) != 0;
	v->nodes = mem_new(unique + 1, sizeof(*v->nodes));
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			(void)text_copy(v->nodes[v->n_nodes++].name, RESOURCE_NAME, names[i]);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
}

/* used: of both families, for each node. */
static void count_block(struct inventory_node *n, const struct block *b, uint64_t used[2])
{
	const struct status_block *said = inventory_counts(n, &b->cidr);
	uint64_t *sum = &used[b->cidr.addr.family == AF_INET6];
	n->n_blocks++;
	n->n_quarantined += b->state == BLOCK_QUARANTINED;
	if (said)
		*sum = said->used > UINT64_MAX - *sum ? UINT64_MAX : *sum + said->used;
}

static void count_blocks(struct inventory *v)
{
	CLEANUP_FREE uint64_t(*used)[2] = mem_new(v->n_nodes + 1, sizeof(*used));
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct block *b = &v->blocks[i];
		struct inventory_node *n = *b->node ? find(v, b->node) : NULL;
		if (n)
			count_block(n, b, used[n - v->nodes]);
	}
	for (size_t i = 0; v->nodes && i < v->n_nodes; i++) {
		const uint32_t *tunnels = v->nodes[i].status.tunnels;
		for (int f = 0; f < 2; f++)
			used[i][f] -= used[i][f] < tunnels[f] ? used[i][f] : tunnels[f];
		v->nodes[i].pods = used[i][used[i][1] > used[i][0]];
	}
}

static void put_together(struct inventory *v, const struct lists *l)
{
	int64_t now = boot_wall_s();
	take_blocks(v, &l->blocks);
	take_pools(v, &l->pools);
	make_nodes(v, l);
	for (size_t i = 0; i < l->nodes.n; i++)
		take_node(v, &l->nodes.v[i]);
	for (size_t i = 0; i < l->statuses.n; i++)
		take_status(v, &l->statuses.v[i], now);
	count_blocks(v);
}

int inventory_read(struct store *s, struct inventory *out, struct err *e)
{
	struct lists l = {0};
	struct {
		const char *prefix;
		struct docs *docs;
	} parts[] = {
		{KEYS_RESOURCES "nodes/", &l.nodes},
		{KEYS_RESOURCES "ippools/", &l.pools},
		{KEYS_STATUS, &l.statuses},
		{KEYS_BLOCKS, &l.blocks},
	};
	int r = 0;
	for (size_t i = 0; r >= 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		r = store_list(s, parts[i].prefix, &parts[i].docs->v, &parts[i].docs->n, e);
	if (r >= 0) {
		*out = (struct inventory){0};
		put_together(out, &l);
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		store_docs_free(parts[i].docs->v, parts[i].docs->n);
	return r < 0 ? r : 0;
}
