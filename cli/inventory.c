/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the cluster: lists, one after the other, put together by name. They are not of one moment,
 * so a block that changes hands meanwhile may be seen with either owner. Nothing is decided by this
 * alone: what is written compares the revisions seen here, and is looked at again when it is there.
 *
 * Documents are of anybody's making. One that cannot be read stays here with the reason, because it
 * can be shown and deleted, and hides nothing else; a block whose document cannot be read is taken,
 * by nobody; keys that are no keys of ours are passed over. Nodes and blocks are counted in
 * thousands: names are found by halving.
 */
#include "cli/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config.h"
#include "cluster/keys.h"
#include "cluster/pools.h"
#include "lib/boot.h"
#include "lib/family.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/nearest.h"
#include "lib/search.h"
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
	for (size_t i = 0; i < v->n_items; i++) {
		struct inventory_item *item = &v->items[i];
		if (item->value)
			resource_done(item->value);
		free(item->value);
		json_decref(item->doc);
		free(item->key);
		free(item->why);
	}
	for (size_t i = 0; i < v->n_nodes; i++)
		status_done(&v->nodes[i].status);
	free(v->items);
	free(v->pools);
	free(v->loans);
	free(v->blocks);
	free(v->nodes);
	*v = (struct inventory){0};
}

/* Of texts, and of nodes, which begin with their name. */
static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int compare_items(const void *item, const void *other)
{
	return strcmp(((const struct inventory_item *)item)->key,
		((const struct inventory_item *)other)->key);
}

static int compare_pools(const void *a, const void *b)
{
	return cidr_compare(&(*(const struct resource *const *)a)->pool.pool.cidr,
		&(*(const struct resource *const *)b)->pool.pool.cidr);
}

static struct inventory_node *find_node(const struct inventory *v, const char *name)
{
	return search_find(v->nodes, v->n_nodes, sizeof(*v->nodes), name, compare_names);
}

const struct inventory_node *inventory_node(const struct inventory *v, const char *name)
{
	return find_node(v, name);
}

const struct inventory_item *inventory_item(
	const struct inventory *v, enum resource_kind kind, const char *name)
{
	char key[STORE_KEY_MAX];
	const struct inventory_item wanted = {.key = key};
	keys_resource(kind, name, key);
	return search_find(v->items, v->n_items, sizeof(wanted), &wanted, compare_items);
}

const struct status_block *inventory_counts(
	const struct inventory_node *n, const struct cidr *block)
{
	for (size_t i = 0; n && i < n->status.n_blocks; i++)
		if (cidr_equal(&n->status.blocks[i].cidr, block))
			return &n->status.blocks[i];
	return NULL;
}

char *inventory_label(enum resource_kind kind, const char *name, char out[INVENTORY_LABEL])
{
	(void)snprintf(
		out, INVENTORY_LABEL, "%s/%.*s", resource_kind_text(kind), RESOURCE_NAME - 1, name);
	for (char *p = out; *p != '/'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
	return out;
}

bool inventory_parse_kind(const char *word, enum resource_kind *out, struct err *e)
{
	struct nearest n = NEAREST_TO(word);
	if (resource_kind_parse(word, out))
		return true;
	for (int k = 0; k < RESOURCE_KINDS; k++)
		nearest_offer(&n, resource_kind_plural((enum resource_kind)k));
	(void)err_set(e, EINVAL, "\"%.60s\" is not a kind of resource", word);
	nearest_add(&n, e);
	struct text t = {.buf = e->text, .size = sizeof(e->text), .len = strlen(e->text)};
	for (int k = 0; k < RESOURCE_KINDS && !n.best; k++)
		text_add(&t, "%s %s", k ? "," : ":", resource_kind_plural((enum resource_kind)k));
	return false;
}

void inventory_add_meant(
	const struct inventory *v, enum resource_kind kind, const char *name, struct err *e)
{
	struct nearest n = NEAREST_TO(name);
	for (size_t i = 0; i < v->n_items; i++)
		if (v->items[i].kind == kind)
			nearest_offer(&n, v->items[i].name);
	for (size_t i = 0; kind == RESOURCE_NODE && i < v->n_nodes; i++)
		nearest_offer(&n, v->nodes[i].name);
	nearest_add(&n, e);
}

void inventory_ask_meant(struct store *s, enum resource_kind kind, const char *name, struct err *e)
{
	CLEANUP_INVENTORY struct inventory v = {0};
	char prefix[STORE_KEY_MAX];
	struct err ignored = {0};
	keys_resource(kind, "", prefix);
	if (inventory_resources(s, prefix, &v, &ignored) == 0)
		inventory_add_meant(&v, kind, name, e);
}

/* ---- Resources ---- */

static int read_value(struct inventory_item *item, const char *text, struct err *e)
{
	char where[RESOURCE_WHERE];
	struct resource r = {0};
	int error = json_parse_secret(text, strlen(text), &item->doc, e);
	if (error == 0)
		error = resource_parse(item->doc, &r, where, e);
	if (error < 0)
		return error;
	if (r.kind != item->kind || strcmp(r.name, item->name) != 0) {
		(void)err_set(e, EINVAL, "the document under this key is of %s %.100s",
			resource_kind_text(r.kind), r.name);
		resource_done(&r);
		return -EINVAL;
	}
	item->value = mem_new(1, sizeof(r));
	*item->value = r;
	return 0;
}

static void add_item(struct inventory *v, const struct store_doc *doc)
{
	struct inventory_item item = {.revision = doc->revision};
	struct err e = {0};
	if (!keys_parse_resource(doc->key, &item.kind, item.name))
		return;
	item.key = mem_strdup(doc->key);
	int r = doc->value ? read_value(&item, doc->value, &e)
			   : err_set(&e, EFBIG, "the document is too large");
	if (r < 0)
		item.why = mem_strdup(e.text);
	v->items[v->n_items++] = item;
}

/* Which pools count, and by which one the others are left out. */
static void judge_pools(struct inventory *v)
{
	size_t n = 0;
	CLEANUP_FREE struct inventory_item **items =
		mem_new(v->n_items + 1, sizeof(struct inventory_item *));
	CLEANUP_FREE const struct resource **over =
		mem_new(v->n_items + 1, sizeof(const struct resource *));
	v->pools = mem_new(v->n_items + 1, sizeof(const struct resource *));
	for (size_t i = 0; i < v->n_items; i++)
		if (v->items[i].value && v->items[i].kind == RESOURCE_IPPOOL) {
			items[n] = &v->items[i];
			v->pools[n++] = v->items[i].value;
		}
	pools_judge(v->pools, n, over);
	for (size_t i = 0; i < n; i++) {
		items[i]->over = over[i];
		if (!over[i])
			v->pools[v->n_pools++] = items[i]->value;
	}
	qsort(v->pools, v->n_pools, sizeof(const struct resource *), compare_pools);
}

int inventory_resources(struct store *s, const char *prefix, struct inventory *out, struct err *e)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	int r = config_list(s, prefix, &docs, &n, e);
	if (r < 0)
		return r;
	out->items = mem_new(n + 1, sizeof(*out->items));
	for (size_t i = 0; i < n; i++)
		add_item(out, &docs[i]);
	store_docs_free(docs, n);
	qsort(out->items, out->n_items, sizeof(*out->items), compare_items);
	judge_pools(out);
	return 0;
}

/* ---- Blocks ---- */

int inventory_blocks(struct store *s, struct inventory *out, struct err *e)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	int r = config_list(s, KEYS_BLOCKS, &docs, &n, e);
	if (r < 0)
		return r;
	free(out->blocks);
	out->blocks = mem_new(n + 1, sizeof(*out->blocks));
	out->n_blocks = 0;
	for (size_t i = 0; i < n; i++) {
		struct block *b = &out->blocks[out->n_blocks];
		struct err ignored;
		if (!keys_parse_block(docs[i].key, &b->cidr))
			continue;
		b->revision = docs[i].revision;
		(void)block_parse(docs[i].key, docs[i].value, docs[i].revision, b, &ignored);
		out->n_blocks++;
	}
	store_docs_free(docs, n);
	qsort(out->blocks, out->n_blocks, sizeof(*out->blocks), cidr_compare_first);
	return 0;
}

/* ---- Loans ---- */

static int read_loans(struct store *s, struct inventory *out, struct err *e)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	int r = config_list(s, KEYS_LOANS, &docs, &n, e);
	if (r < 0)
		return r;
	free(out->loans);
	out->loans = mem_new(n + 1, sizeof(*out->loans));
	out->n_loans = 0;
	for (size_t i = 0; i < n; i++) {
		struct loan *l = &out->loans[out->n_loans];
		struct err ignored;
		l->state = LOAN_QUARANTINED;
		l->revision = docs[i].revision;
		if (!keys_parse_loan(docs[i].key, l->borrower, &l->addr))
			continue;
		(void)loan_parse(docs[i].key, docs[i].value, docs[i].revision, l, &ignored);
		out->n_loans++;
	}
	store_docs_free(docs, n);
	if (out->n_loans)
		qsort(out->loans, out->n_loans, sizeof(*out->loans), cidr_compare_first);
	return 0;
}

int inventory_all(struct store *s, struct inventory *out, struct err *e)
{
	int r = inventory_resources(s, KEYS_RESOURCES, out, e);
	return r < 0 ? r : inventory_blocks(s, out, e);
}

/* ---- Nodes ---- */

struct docs {
	struct store_doc *v;
	size_t n;
};

static void node_complain(struct inventory_node *n, const char *what, const char *why)
{
	char text[200];
	(void)json_clean(text, sizeof(text), why);
	if (!*n->trouble)
		(void)snprintf(
			n->trouble, sizeof(n->trouble), "its %s cannot be read: %s", what, text);
}

/* Every name that stands anywhere, once, sorted. */
static void make_nodes(struct inventory *v, const struct docs *statuses)
{
	size_t n = 0, unique = 0;
	CLEANUP_FREE char(*names)[RESOURCE_NAME] = mem_new(
		v->n_items + statuses->n + v->n_blocks + 2 * v->n_loans + 1, sizeof(*names));
	for (size_t i = 0; i < v->n_items; i++)
		if (v->items[i].kind == RESOURCE_NODE)
			(void)text_copy(names[n++], RESOURCE_NAME, v->items[i].name);
	for (size_t i = 0; i < statuses->n; i++)
		n += keys_parse_status(statuses->v[i].key, names[n]);
	for (size_t i = 0; i < v->n_blocks; i++)
		if (*v->blocks[i].node)
			(void)text_copy(names[n++], RESOURCE_NAME, v->blocks[i].node);
	for (size_t i = 0; i < v->n_loans; i++) {
		(void)text_copy(names[n++], RESOURCE_NAME, v->loans[i].borrower);
		if (*v->loans[i].lender)
			(void)text_copy(names[n++], RESOURCE_NAME, v->loans[i].lender);
	}
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(names[i], names[unique - 1]) != 0)
			memmove(names[unique++], names[i], sizeof(*names));
	v->nodes = mem_new(unique + 1, sizeof(*v->nodes));
	for (size_t i = 0; i < unique; i++)
		(void)text_copy(v->nodes[v->n_nodes++].name, RESOURCE_NAME, names[i]);
}

static void take_node(struct inventory *v, const struct inventory_item *item)
{
	struct inventory_node *n = find_node(v, item->name);
	n->revision = item->revision;
	if (item->value)
		n->spec = item->value->node;
	else
		node_complain(n, "Node document", item->why);
}

static void take_status(struct inventory *v, const struct store_doc *d, int64_t now)
{
	char name[RESOURCE_NAME];
	if (!keys_parse_status(d->key, name))
		return;
	struct inventory_node *n = find_node(v, name);
	struct err e;
	n->status_revision = d->revision;
	if (status_is_removal(d->value)) {
		(void)text_copy(n->trouble, sizeof(n->trouble),
			"its removal was begun, and is not finished");
		return;
	}
	n->agent = AGENT_UNKNOWN;
	if (status_parse(d->value, &n->status, &e) < 0)
		node_complain(n, "status", e.text);
	else
		n->agent = inventory_judge(&n->status, now);
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

/* What a node lends counts as used there, and is its borrower's pod. */
static void count_loan(struct inventory *v, const struct loan *l, uint64_t (*used)[2])
{
	struct inventory_node *lender = *l->lender ? find_node(v, l->lender) : NULL;
	struct inventory_node *borrower = find_node(v, l->borrower);
	int f = l->addr.addr.family == AF_INET6;
	if (l->state == LOAN_ASKED || l->state == LOAN_REFUSED)
		return;
	borrower->n_borrowed++;
	used[borrower - v->nodes][f] += l->state == LOAN_USED;
	if (!lender)
		return;
	lender->n_lent++;
	used[lender - v->nodes][f] -= used[lender - v->nodes][f] > 0;
}

static void count_blocks(struct inventory *v)
{
	CLEANUP_FREE uint64_t(*used)[2] = mem_new(v->n_nodes + 1, sizeof(*used));
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct block *b = &v->blocks[i];
		struct inventory_node *n = *b->node ? find_node(v, b->node) : NULL;
		if (n)
			count_block(n, b, used[n - v->nodes]);
	}
	for (size_t i = 0; i < v->n_loans; i++)
		count_loan(v, &v->loans[i], used);
	for (size_t i = 0; v->nodes && i < v->n_nodes; i++) {
		const uint32_t *tunnels = v->nodes[i].status.tunnels;
		for (int f = 0; f < 2; f++)
			used[i][f] -= used[i][f] < tunnels[f] ? used[i][f] : tunnels[f];
		v->nodes[i].pods = used[i][used[i][1] > used[i][0]];
	}
}

int inventory_read(struct store *s, struct inventory *out, struct err *e)
{
	struct docs statuses = {0};
	int r = config_list(s, KEYS_STATUS, &statuses.v, &statuses.n, e); /* before the blocks */
	if (r < 0)
		return r;
	r = inventory_all(s, out, e);
	if (r >= 0)
		r = read_loans(s, out, e);
	if (r < 0) {
		store_docs_free(statuses.v, statuses.n);
		return r;
	}
	make_nodes(out, &statuses);
	for (size_t i = 0; i < out->n_items; i++)
		if (out->items[i].kind == RESOURCE_NODE)
			take_node(out, &out->items[i]);
	for (size_t i = 0; i < statuses.n; i++)
		take_status(out, &statuses.v[i], boot_wall_s());
	store_docs_free(statuses.v, statuses.n);
	count_blocks(out);
	return 0;
}

int inventory_from_options(const struct options *o, struct inventory *out, struct err *e)
{
	CLEANUP_STORE struct store *s = NULL;
	int r = config_open_store(o, &s, e);
	return r < 0 ? r : inventory_read(s, out, e);
}
