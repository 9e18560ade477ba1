/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy of the cluster. Documents are read here, once, by cluster/resource.h and
 * cluster/block.h; only the typed values stay, so that five thousand nodes and twenty thousand
 * blocks are a few megabytes.
 *
 * A list is taken in by mark and sweep: each entry remembers when it was told last, and at the end
 * of a list those that it did not tell go. A list tells keys in their order, which is that of
 * all arrays but the blocks, so that hardly anything is ever moved. New blocks of a list are
 * appended and sorted at its end, as it tells each key once.
 *
 * What cannot be read is left out and becomes a problem under its key, which goes when the
 * document is mended or deleted. An unreadable block still counts as taken: somebody owns it.
 */
#include "agent/replica.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"
#include "store/store.h"

void replica_init(struct replica *r, const char *node)
{
	*r = (struct replica){.name = node};
}

static void free_item(struct replica_item *i)
{
	resource_done(&i->resource);
	free(i);
}

/* A node's name and labels, a problem's key and text. */
static void free_both(char *a, char *b)
{
	free(a);
	free(b);
}

void replica_done(struct replica *r)
{
	for (size_t i = 0; i < r->n_nodes; i++)
		free_both(r->nodes[i].name, r->nodes[i].labels);
	for (size_t i = 0; i < r->n_items; i++)
		free_item(r->items[i]);
	for (size_t i = 0; i < r->n_blocks; i++)
		free(r->blocks[i].node);
	for (size_t i = 0; i < r->n_problems; i++)
		free_both(r->problems[i].key, r->problems[i].text);
	free(r->nodes);
	free(r->items);
	free(r->blocks);
	free(r->loans);
	free(r->problems);
	json_decref(r->self);
	*r = (struct replica){0};
}

bool replica_is_whole(const struct replica *r)
{
	for (int i = 0; i < REPLICA_PARTS; i++)
		if (!r->complete[i] || r->listing[i])
			return false;
	return true;
}

/* A zeroed place in front of index at. Returns the array, which may have moved. */
static void *make_place(void *array, size_t *room, size_t *n, size_t size, size_t at)
{
	char *moved = mem_grow(array, room, *n, size);
	char *place = moved + at * size;
	memmove(place + size, place, ((*n)++ - at) * size);
	memset(place, 0, size);
	return moved;
}

/* place is what search_find() gave. */
static void close_place(void *array, size_t *n, size_t size, void *place)
{
	char *end = (char *)array + (*n)-- * size;
	char *next = (char *)place + size;
	memmove(place, next, (size_t)(end - next));
}

/* Of nodes and problems, which begin with their key. */
static int compare_key(const void *element, const void *key)
{
	return strcmp(*(char *const *)element, key);
}

/* Problems. They may be as many as the documents. */

static void set_problem(struct replica *r, const char *key, const char *text)
{
	size_t at = search_lower_bound(
		r->problems, r->n_problems, sizeof(*r->problems), key, compare_key);
	if (at == r->n_problems || strcmp(r->problems[at].key, key) != 0) {
		r->problems = make_place(
			r->problems, &r->room_problems, &r->n_problems, sizeof(*r->problems), at);
		r->problems[at].key = mem_strdup(key);
	}
	free(r->problems[at].text);
	r->problems[at].text = mem_strdup(text);
	r->problems[at].seen = r->generation;
}

static void clear_problem(struct replica *r, const char *key)
{
	struct replica_problem *p =
		search_find(r->problems, r->n_problems, sizeof(*r->problems), key, compare_key);
	if (!p)
		return;
	free_both(p->key, p->text);
	close_place(r->problems, &r->n_problems, sizeof(*p), p);
}

/* Nodes. */

static void put_node(struct replica *r, const struct resource *node, const json_t *doc)
{
	const json_t *labels = json_object_get(json_object_get(doc, "metadata"), "labels");
	size_t at = search_lower_bound(
		r->nodes, r->n_nodes, sizeof(*r->nodes), node->name, compare_key);
	if (at == r->n_nodes || strcmp(r->nodes[at].name, node->name) != 0) {
		r->nodes = make_place(r->nodes, &r->room_nodes, &r->n_nodes, sizeof(*r->nodes), at);
		r->nodes[at].name = mem_strdup(node->name);
	}
	r->nodes[at].spec = node->node;
	free(r->nodes[at].labels);
	r->nodes[at].labels = json_object_size(labels) ? json_text(labels) : NULL;
	r->nodes[at].seen = r->generation;
}

const struct replica_node *replica_node(const struct replica *r, const char *name)
{
	return search_find(r->nodes, r->n_nodes, sizeof(*r->nodes), name, compare_key);
}

static void drop_node(struct replica *r, const char *name)
{
	struct replica_node *n = (struct replica_node *)replica_node(r, name);
	if (!n)
		return;
	free_both(n->name, n->labels);
	close_place(r->nodes, &r->n_nodes, sizeof(*n), n);
}

/* The few others. */

struct item_key {
	enum resource_kind kind;
	const char *name;
};

static int compare_item(const void *item, const void *key)
{
	const struct resource *r = &(*(struct replica_item *const *)item)->resource;
	const struct item_key *k = key;
	return r->kind != k->kind ? (r->kind < k->kind ? -1 : 1) : strcmp(r->name, k->name);
}

static struct replica_item **find_item(
	const struct replica *r, enum resource_kind kind, const char *name)
{
	const struct item_key key = {kind, name};
	return search_find(r->items, r->n_items, sizeof(struct replica_item *), &key, compare_item);
}

const struct replica_item *replica_item(
	const struct replica *r, enum resource_kind kind, const char *name)
{
	struct replica_item **item = find_item(r, kind, name);
	return item ? *item : NULL;
}

static void drop_item(struct replica *r, enum resource_kind kind, const char *name)
{
	struct replica_item **item = find_item(r, kind, name);
	if (!item)
		return;
	free_item(*item);
	close_place(r->items, &r->n_items, sizeof(struct replica_item *), item);
}

/* Takes the resource over. */
static void put_item(struct replica *r, const struct resource *resource, int64_t revision)
{
	const struct item_key key = {resource->kind, resource->name};
	drop_item(r, key.kind, key.name);
	size_t at = search_lower_bound(
		r->items, r->n_items, sizeof(struct replica_item *), &key, compare_item);
	r->items = make_place(
		r->items, &r->room_items, &r->n_items, sizeof(struct replica_item *), at);
	r->items[at] = mem_new(1, sizeof(*r->items[at]));
	*r->items[at] = (struct replica_item){
		.resource = *resource, .revision = revision, .seen = r->generation};
}

static void set_self(struct replica *r, json_t *doc, int64_t revision)
{
	json_decref(r->self);
	r->self = json_incref(doc);
	r->self_revision = revision;
}

static int parse_document(const struct store_event *ev, json_t **doc, struct err *e)
{
	if (!ev->value)
		return err_set(e, EFBIG, "the document is larger than %d bytes", STORE_VALUE_MAX);
	return json_parse_secret(ev->value, strlen(ev->value), doc, e);
}

static int read_resource(struct replica *r, const struct store_event *ev, enum resource_kind kind,
	const char *name, struct err *e)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct resource resource;
	char where[RESOURCE_WHERE];
	bool is_self = kind == RESOURCE_NODE && strcmp(name, r->name) == 0;
	int result = parse_document(ev, &doc, e);
	if (is_self)
		set_self(r, doc, ev->revision);
	if (result >= 0)
		result = resource_parse(doc, &resource, where, e);
	if (result < 0)
		return result;
	if (resource.kind != kind || strcmp(resource.name, name) != 0) {
		resource_done(&resource);
		return err_set(e, EINVAL, "the document is of another kind or name than its key");
	}
	if (kind == RESOURCE_NODE)
		put_node(r, &resource, doc);
	else
		put_item(r, &resource, ev->revision);
	return 0;
}

static void forget_resource(struct replica *r, enum resource_kind kind, const char *name)
{
	if (kind == RESOURCE_NODE)
		drop_node(r, name);
	else
		drop_item(r, kind, name);
}

static bool take_resource(struct replica *r, const struct store_event *ev)
{
	enum resource_kind kind;
	char name[RESOURCE_NAME];
	struct err e;
	bool known = keys_parse_resource(ev->key, &kind, name);
	if (known && resource_kind_is_policy(kind))
		return false; /* agent/policy has them */
	clear_problem(r, ev->key);
	if (ev->kind == STORE_DELETE) {
		if (known)
			forget_resource(r, kind, name);
		if (known && kind == RESOURCE_NODE && strcmp(name, r->name) == 0)
			set_self(r, NULL, 0);
		return true;
	}
	if (!known) {
		set_problem(r, ev->key, "the key names no kind of resource");
		return true;
	}
	if (read_resource(r, ev, kind, name, &e) < 0) {
		/* While a list runs the old value goes by the sweep, as it is not told again. */
		if (!r->listing[REPLICA_RESOURCES])
			forget_resource(r, kind, name);
		set_problem(r, ev->key, e.text);
	}
	return true;
}

/* Blocks. */

/* While a list runs: among those that are sorted. */
const struct replica_block *replica_block(const struct replica *r, const struct cidr *c)
{
	return search_find(r->blocks, r->sorted_blocks, sizeof(*r->blocks), c, cidr_compare_first);
}

/* node NULL: unreadable. */
static void put_block(struct replica *r, const struct block *b, const char *node)
{
	struct replica_block *place = (struct replica_block *)replica_block(r, &b->cidr);
	if (!place) {
		bool appends = r->listing[REPLICA_BLOCKS];
		size_t at = appends ? r->n_blocks
				    : search_lower_bound(r->blocks, r->n_blocks, sizeof(*r->blocks),
					      &b->cidr, cidr_compare_first);
		r->blocks = make_place(
			r->blocks, &r->room_blocks, &r->n_blocks, sizeof(*r->blocks), at);
		r->sorted_blocks += !appends;
		place = &r->blocks[at];
	}
	free(place->node);
	*place = (struct replica_block){
		.cidr = b->cidr,
		.state = b->state,
		.free_after_loans = b->free_after_loans,
		.node = node ? mem_strdup(node) : NULL,
		.revision = b->revision,
		.seen = r->generation,
	};
}

static void drop_block(struct replica *r, const struct cidr *c)
{
	struct replica_block *b = (struct replica_block *)replica_block(r, c);
	if (!b)
		return;
	free(b->node);
	close_place(r->blocks, &r->n_blocks, sizeof(*b), b);
	r->sorted_blocks--;
}

static bool take_block(struct replica *r, const struct store_event *ev)
{
	struct block b = {.revision = ev->revision};
	struct err e;
	clear_problem(r, ev->key);
	if (!keys_parse_block(ev->key, &b.cidr)) {
		if (ev->kind == STORE_PUT)
			set_problem(r, ev->key, "the key names no block");
		return true;
	}
	if (ev->kind == STORE_DELETE) {
		drop_block(r, &b.cidr);
		return true;
	}
	int result = ev->value ? block_parse(ev->key, ev->value, ev->revision, &b, &e)
			       : err_set(&e, EFBIG, "the document is too large");
	if (result < 0)
		set_problem(r, ev->key, e.text);
	put_block(r, &b, result < 0 ? NULL : b.node);
	return true;
}

/* Loans. */

struct loan_key {
	const struct cidr *addr;
	const char *borrower;
};

static int compare_loan(const void *element, const void *key)
{
	const struct loan *l = &((const struct replica_loan *)element)->doc;
	const struct loan_key *k = key;
	int r = cidr_compare(&l->addr, k->addr);
	return r ? r : strcmp(l->borrower, k->borrower);
}

static struct replica_loan *find_loan(
	const struct replica *r, const struct cidr *addr, const char *borrower)
{
	const struct loan_key key = {addr, borrower};
	return search_find(r->loans, r->n_loans, sizeof(*r->loans), &key, compare_loan);
}

const struct loan *replica_loan(
	const struct replica *r, const struct cidr *addr, const char *borrower)
{
	const struct replica_loan *l = find_loan(r, addr, borrower);
	return l ? &l->doc : NULL;
}

static void put_loan(struct replica *r, const struct loan *doc)
{
	const struct loan_key key = {&doc->addr, doc->borrower};
	struct replica_loan *l = find_loan(r, key.addr, key.borrower);
	if (!l) {
		size_t at = search_lower_bound(
			r->loans, r->n_loans, sizeof(*r->loans), &key, compare_loan);
		r->loans = make_place(r->loans, &r->room_loans, &r->n_loans, sizeof(*r->loans), at);
		l = &r->loans[at];
	}
	*l = (struct replica_loan){.doc = *doc, .seen = r->generation};
}

static void drop_loan(struct replica *r, const struct cidr *addr, const char *borrower)
{
	struct replica_loan *l = find_loan(r, addr, borrower);
	if (l)
		close_place(r->loans, &r->n_loans, sizeof(*l), l);
}

/* One that cannot be read counts as quarantined, of a lender that is nobody: its address is not lent anew, as there
 * is a document of it. */
static bool take_loan(struct replica *r, const struct store_event *ev)
{
	struct loan l = {.state = LOAN_QUARANTINED, .revision = ev->revision};
	struct err e;
	clear_problem(r, ev->key);
	if (!keys_parse_loan(ev->key, l.borrower, &l.addr)) {
		if (ev->kind == STORE_PUT)
			set_problem(r, ev->key, "the key names no loan");
		return true;
	}
	if (ev->kind == STORE_DELETE) {
		drop_loan(r, &l.addr, l.borrower);
		return true;
	}
	int result = ev->value ? loan_parse(ev->key, ev->value, ev->revision, &l, &e)
			       : err_set(&e, EFBIG, "the document is too large");
	if (result < 0)
		set_problem(r, ev->key, e.text);
	put_loan(r, &l);
	return true;
}

/* Lists. */

static void begin_list(struct replica *r, int part)
{
	r->restarted[part] = ++r->generation;
	r->listing[part] = true;
}

static void sweep_resources(struct replica *r, uint64_t since)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (r->nodes[i].seen >= since)
			r->nodes[kept++] = r->nodes[i];
		else
			free_both(r->nodes[i].name, r->nodes[i].labels);
	}
	r->n_nodes = kept;
	kept = 0;
	for (size_t i = 0; i < r->n_items; i++) {
		if (r->items[i]->seen >= since)
			r->items[kept++] = r->items[i];
		else
			free_item(r->items[i]);
	}
	r->n_items = kept;
	bool self = replica_node(r, r->name) != NULL;
	for (size_t i = 0; !self && i < r->n_problems; i++) {
		enum resource_kind kind;
		char name[RESOURCE_NAME];
		self = r->problems[i].seen >= since &&
		       keys_parse_resource(r->problems[i].key, &kind, name) &&
		       kind == RESOURCE_NODE && strcmp(name, r->name) == 0;
	}
	if (!self)
		set_self(r, NULL, 0);
}

static void sweep_blocks(struct replica *r, uint64_t since)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->n_blocks; i++) {
		if (r->blocks[i].seen >= since)
			r->blocks[kept++] = r->blocks[i];
		else
			free(r->blocks[i].node);
	}
	r->n_blocks = kept;
	if (kept)
		qsort(r->blocks, kept, sizeof(*r->blocks), cidr_compare_first);
	r->sorted_blocks = kept;
}

static void sweep_loans(struct replica *r, uint64_t since)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->n_loans; i++)
		if (r->loans[i].seen >= since)
			r->loans[kept++] = r->loans[i];
	r->n_loans = kept;
}

static void sweep_problems(struct replica *r, const char *prefix, uint64_t since)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->n_problems; i++) {
		const struct replica_problem *p = &r->problems[i];
		if (p->seen < since && strncmp(p->key, prefix, strlen(prefix)) == 0)
			free_both(p->key, p->text);
		else
			r->problems[kept++] = *p;
	}
	r->n_problems = kept;
}

static void end_list(struct replica *r, int part)
{
	static const char *const prefixes[REPLICA_PARTS] = {
		KEYS_RESOURCES, KEYS_BLOCKS, KEYS_LOANS};
	uint64_t since = r->restarted[part];
	if (part == REPLICA_RESOURCES)
		sweep_resources(r, since);
	else if (part == REPLICA_BLOCKS)
		sweep_blocks(r, since);
	else
		sweep_loans(r, since);
	sweep_problems(r, prefixes[part], since);
	r->listing[part] = false;
	r->complete[part] = true;
}

bool replica_take(struct replica *r, int part, const struct store_event *ev)
{
	switch (ev->kind) {
	case STORE_RESTART:
		begin_list(r, part);
		return false;
	case STORE_CURRENT:
		end_list(r, part);
		return true;
	case STORE_PUT:
	case STORE_DELETE:
		return part == REPLICA_RESOURCES ? take_resource(r, ev)
		       : part == REPLICA_BLOCKS	 ? take_block(r, ev)
						 : take_loan(r, ev);
	default:
		return false;
	}
}
