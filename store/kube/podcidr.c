/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podCIDR mode. kube-controller-manager gives each Node a range of addresses for each family; who has one
 * is decided there, so nothing is claimed and nothing goes back. For the agent it looks like a store in
 * which its blocks are owned already:
 *
 *	pools		those of the file, as people wrote them
 *	blocks		a podCIDR, cut into blocks of the size of the pool around it. Of a long one (an
 *			IPv6 /64) the first PODCIDR_BLOCKS6; a podCIDR that is smaller than a block, or in
 *			no pool, gives none
 *	Nodes		the spec that the node's agent left in an annotation, the labels of the Node
 *	status		kept in memory: nobody else sees it
 *	maxBlocksPerHost  as many as the own node has, so that its agent wants no more; one more while a
 *			family of pools has none, so that it asks, and is told why there is none
 *
 * What the agent writes of its own block (a new nonce) is kept in memory too, until the block is gone.
 * Documents stand sorted by their keys. One that is gone stays as a mark, so that watches can tell it.
 */
#include "store/kube/podcidr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/family.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"
#include "store/kube/answer.h"

#define POOLS_MAX 16
#define LIMIT_KEY "resources/ipamconfigurations/default"
#define NODES "resources/nodes/"
#define BLOCKS "blocks/"
#define STATUS "status/"
#define VERSION "projectcalico.org/v3"

struct pod_pool {
	char name[KUBE_NAME];
	struct cidr cidr;
	uint8_t block_len;
};

struct pod_node {
	char *name;
	char *uid; /* of this Node; another one of the name is another machine's, perhaps */
	struct cidr ranges[FAMILIES]; /* family 0: none */
	bool seen;
};

struct podcidr {
	char *file, *own; /* own NULL: not known yet */
	struct pod_pool pools[POOLS_MAX];
	size_t n_pools;
	struct pod_node *nodes; /* sorted by name */
	size_t n_nodes, nodes_room;
	struct podcidr_doc *docs; /* sorted by key */
	size_t n_docs, docs_room;
	uint64_t change;
	int64_t version;
};

/* ---- documents ---- */

static int compare_doc(const void *doc, const void *key)
{
	return strcmp(((const struct podcidr_doc *)doc)->key, key);
}

static size_t doc_place(const struct podcidr *p, const char *key)
{
	return search_lower_bound(p->docs, p->n_docs, sizeof(*p->docs), key, compare_doc);
}

static struct podcidr_doc *doc_find(const struct podcidr *p, const char *key)
{
	return search_find(p->docs, p->n_docs, sizeof(*p->docs), key, compare_doc);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static char *copy_or_null(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

/* value NULL: it goes. */
static void doc_set(struct podcidr *p, const char *key, const char *value, const char *node)
{
	struct podcidr_doc *d = doc_find(p, key);
	if (!d && !value)
		return;
	if (!d) {
		size_t i = doc_place(p, key);
		p->docs = mem_grow(p->docs, &p->docs_room, p->n_docs, sizeof(*p->docs));
		memmove(&p->docs[i + 1], &p->docs[i], (p->n_docs - i) * sizeof(*p->docs));
		p->n_docs++;
		d = &p->docs[i];
		*d = (struct podcidr_doc){.key = mem_strdup(key)};
	} else if (same_text(d->value, value) && same_text(d->node, node)) {
		return;
	}
	char *new_value = copy_or_null(value), *new_node = copy_or_null(node);
	free(d->value);
	free(d->node);
	d->value = new_value;
	d->node = new_node;
	d->revision = p->version;
	d->change = ++p->change;
}

/* A document of a node's goes, unless it is another's by now. */
static void doc_drop(struct podcidr *p, const char *key, const char *node)
{
	const struct podcidr_doc *d = doc_find(p, key);
	if (d && same_text(d->node, node))
		doc_set(p, key, NULL, NULL);
}

/* ---- pools ---- */

static int pool_take(struct podcidr *p, size_t i, json_t *doc, struct err *e)
{
	struct pod_pool *pool = &p->pools[p->n_pools];
	const json_t *spec = json_object_get(doc, "spec");
	const char *name =
		json_string_value(json_object_get(json_object_get(doc, "metadata"), "name"));
	const char *cidr = json_string_value(json_object_get(spec, "cidr"));
	const json_t *size = json_object_get(spec, "blockSize");
	char key[STORE_KEY_MAX];
	if (!name || !text_is_dns_name(name) || !cidr || cidr_parse(cidr, &pool->cidr, e) < 0)
		return err_set(
			e, EBADMSG, "[%zu] is no IPPool: it needs metadata.name and spec.cidr", i);
	bool is4 = pool->cidr.addr.family == AF_INET;
	int64_t len = json_is_integer(size) ? json_integer_value(size) : is4 ? 26 : 122;
	if (len < pool->cidr.len || len > (is4 ? 32 : 128))
		return err_set(e, EBADMSG,
			"[%zu].spec.blockSize is %lld, which is no block of %.64s", i,
			(long long)len, cidr);
	pool->block_len = (uint8_t)len;
	(void)text_copy(pool->name, sizeof(pool->name), name);
	json_put(doc, "apiVersion", json_string(VERSION));
	CLEANUP_FREE char *value = json_text(doc);
	(void)snprintf(key, sizeof(key), "resources/ippools/%s", name);
	doc_set(p, key, value, NULL);
	p->n_pools++;
	return 0;
}

int podcidr_new(struct podcidr **out, const char *file, struct err *e)
{
	CLEANUP_JSON json_t *doc = NULL;
	int r = json_read_file(file, &doc, e);
	if (r < 0)
		return r;
	if (!json_is_array(doc) || json_array_size(doc) == 0 || json_array_size(doc) > POOLS_MAX)
		return err_set(
			e, EBADMSG, "%.200s is no array of 1 to %d IPPools", file, POOLS_MAX);
	struct podcidr *p = mem_new(1, sizeof(*p));
	p->file = mem_strdup(file);
	p->version = 1;
	for (size_t i = 0; r == 0 && i < json_array_size(doc); i++)
		r = pool_take(p, i, json_array_get(doc, i), e);
	if (r < 0) {
		err_add(e, "%.200s", file);
		podcidr_free(p);
		return r;
	}
	*out = p;
	return 0;
}

void podcidr_free(struct podcidr *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_docs; i++) {
		free(p->docs[i].key);
		free(p->docs[i].value);
		free(p->docs[i].node);
	}
	for (size_t i = 0; i < p->n_nodes; i++) {
		free(p->nodes[i].name);
		free(p->nodes[i].uid);
	}
	free(p->docs);
	free(p->nodes);
	free(p->file);
	free(p->own);
	free(p);
}

static const struct pod_pool *pool_around(const struct podcidr *p, const struct cidr *range)
{
	for (size_t i = 0; i < p->n_pools; i++)
		if (p->pools[i].cidr.len <= range->len &&
			cidr_contains(&p->pools[i].cidr, &range->addr))
			return &p->pools[i];
	return NULL;
}

/* ---- blocks ---- */

/* The i-th block of a range; false: there are no more. */
static bool block_of(const struct podcidr *p, const struct cidr *range, size_t i, struct cidr *out)
{
	const struct pod_pool *pool = range->addr.family ? pool_around(p, range) : NULL;
	size_t most = range->addr.family == AF_INET ? PODCIDR_BLOCKS4 : PODCIDR_BLOCKS6;
	if (!pool || pool->block_len < range->len || i >= most)
		return false;
	unsigned int bits = pool->block_len - range->len;
	if (bits < 8 && i >= (size_t)1 << bits)
		return false;
	*out = cidr_masked(&range->addr, pool->block_len);
	/* The block's number stands in the bits before its length. */
	for (unsigned int bit = 0; i >> bit; bit++) {
		unsigned int at = (unsigned int)pool->block_len - 1 - bit;
		if (i >> bit & 1)
			out->addr.bytes[at / 8] |= (uint8_t)(0x80u >> at % 8);
	}
	return true;
}

static void block_key(const struct cidr *block, char key[STORE_KEY_MAX])
{
	(void)snprintf(key, STORE_KEY_MAX, BLOCKS "%s", CIDR_STRING(block));
	*strrchr(key, '/') = '-';
}

static void blocks_set(struct podcidr *p, const char *node, const struct cidr *range)
{
	struct cidr block;
	char key[STORE_KEY_MAX];
	for (size_t i = 0; block_of(p, range, i, &block); i++) {
		block_key(&block, key);
		const struct podcidr_doc *is = doc_find(p, key);
		if (is && is->value && same_text(is->node, node))
			continue; /* perhaps with the nonce that its agent wrote */
		CLEANUP_JSON json_t *doc = json_pack("{s:s, s:s, s:s}", "node", node, "cidr",
			CIDR_STRING(&block), "state", "owned");
		CLEANUP_FREE char *value = json_text(doc);
		doc_set(p, key, value, node);
	}
}

static void blocks_drop(struct podcidr *p, const char *node, const struct cidr *range)
{
	struct cidr block;
	char key[STORE_KEY_MAX];
	for (size_t i = 0; block_of(p, range, i, &block); i++) {
		block_key(&block, key);
		doc_drop(p, key, node);
	}
}

static size_t blocks_count(const struct podcidr *p, const struct cidr *range)
{
	struct cidr block;
	size_t n = 0;
	while (block_of(p, range, n, &block))
		n++;
	return n;
}

/* ---- Nodes ---- */

static int compare_node(const void *node, const void *name)
{
	return strcmp(((const struct pod_node *)node)->name, name);
}

static size_t node_place(const struct podcidr *p, const char *name)
{
	return search_lower_bound(p->nodes, p->n_nodes, sizeof(*p->nodes), name, compare_node);
}

static struct pod_node *node_find(const struct podcidr *p, const char *name)
{
	return search_find(p->nodes, p->n_nodes, sizeof(*p->nodes), name, compare_node);
}

static struct pod_node *node_add(struct podcidr *p, const char *name)
{
	size_t i = node_place(p, name);
	p->nodes = mem_grow(p->nodes, &p->nodes_room, p->n_nodes, sizeof(*p->nodes));
	memmove(&p->nodes[i + 1], &p->nodes[i], (p->n_nodes - i) * sizeof(*p->nodes));
	p->n_nodes++;
	p->nodes[i] = (struct pod_node){.name = mem_strdup(name)};
	return &p->nodes[i];
}

/* The first range of each family: podCIDRs, or what stood there before there were two families. */
static void read_ranges(const json_t *node, struct cidr out[FAMILIES])
{
	const json_t *spec = json_object_get(node, "spec"), *value = NULL;
	const json_t *list = json_object_get(spec, "podCIDRs");
	size_t i;
	struct err ignored;
	CLEANUP_JSON json_t *one = json_array();
	if (!json_is_array(list) && json_object_get(spec, "podCIDR"))
		json_append(one, json_incref(json_object_get(spec, "podCIDR")));
	json_array_foreach (json_is_array(list) ? list : one, i, value) {
		struct cidr c;
		if (!json_is_string(value) ||
			cidr_parse(json_string_value(value), &c, &ignored) < 0 ||
			cidr_has_host_bits(&c))
			continue;
		enum family f = family_of(c.addr.family);
		if (!out[f].addr.family)
			out[f] = c;
	}
}

/* The document that its agent left, or none. */
static char *node_document(const char *name, const json_t *node)
{
	json_t *metadata = json_object_get(node, "metadata");
	const char *text = json_string_value(
		json_object_get(json_object_get(metadata, "annotations"), PODCIDR_ANNOTATION));
	json_t *spec = NULL, *labels = json_object_get(metadata, "labels");
	struct err ignored;
	if (!text || json_parse(text, strlen(text), &spec, &ignored) < 0)
		return NULL;
	if (!json_is_object(spec)) {
		json_decref(spec);
		return NULL;
	}
	CLEANUP_JSON json_t *doc = json_pack("{s:s, s:s, s:{s:s}, s:o}", "apiVersion", VERSION,
		"kind", "Node", "metadata", "name", name, "spec", spec);
	if (json_object_size(labels) > 0)
		json_put(json_object_get(doc, "metadata"), "labels", json_incref(labels));
	return json_text(doc);
}

/* How many blocks the agent of this node may want. */
static void limit_set(struct podcidr *p)
{
	const struct pod_node *own = p->own ? node_find(p, p->own) : NULL;
	size_t n = 0, missing = 0;
	for (enum family f = IPV4; f < FAMILIES; f++) {
		bool has_pool = false;
		for (size_t i = 0; i < p->n_pools; i++)
			has_pool |= family_of(p->pools[i].cidr.addr.family) == f;
		size_t blocks = own ? blocks_count(p, &own->ranges[f]) : 0;
		n += blocks;
		missing |= has_pool && blocks == 0;
	}
	n += missing;
	CLEANUP_JSON json_t *doc = json_pack("{s:s, s:s, s:{s:s}, s:{s:I}}", "apiVersion", VERSION,
		"kind", "IPAMConfiguration", "metadata", "name", "default", "spec",
		"maxBlocksPerHost", (json_int_t)n);
	CLEANUP_FREE char *value = json_text(doc);
	doc_set(p, LIMIT_KEY, value, NULL);
}

void podcidr_set_own(struct podcidr *p, const char *node)
{
	free(p->own);
	p->own = mem_strdup(node);
	limit_set(p);
}

void podcidr_begin(struct podcidr *p)
{
	for (size_t i = 0; i < p->n_nodes; i++)
		p->nodes[i].seen = false;
}

void podcidr_take(struct podcidr *p, const json_t *node)
{
	struct kube_identity id;
	struct cidr ranges[FAMILIES] = {0};
	char key[STORE_KEY_MAX];
	if (!kube_identify(node, &id) || !text_is_dns_name(id.name))
		return;
	struct pod_node *n = node_find(p, id.name);
	if (!n)
		n = node_add(p, id.name);
	n->seen = true;
	if (!same_text(n->uid, id.uid)) {
		free(n->uid);
		n->uid = mem_strdup(id.uid);
	}
	if (id.version > p->version)
		p->version = id.version;
	read_ranges(node, ranges);
	for (enum family f = IPV4; f < FAMILIES; f++) {
		bool same = n->ranges[f].addr.family == ranges[f].addr.family &&
			    cidr_equal(&n->ranges[f], &ranges[f]);
		if (!same)
			blocks_drop(p, id.name, &n->ranges[f]);
		n->ranges[f] = ranges[f];
		blocks_set(p, id.name, &ranges[f]);
	}
	CLEANUP_FREE char *doc = node_document(id.name, node);
	(void)snprintf(key, sizeof(key), NODES "%s", id.name);
	doc_set(p, key, doc, doc ? id.name : NULL);
	limit_set(p);
}

void podcidr_drop(struct podcidr *p, const char *name)
{
	struct pod_node *n = node_find(p, name);
	char key[STORE_KEY_MAX];
	if (!n)
		return;
	for (enum family f = IPV4; f < FAMILIES; f++)
		blocks_drop(p, name, &n->ranges[f]);
	(void)snprintf(key, sizeof(key), NODES "%s", name);
	doc_drop(p, key, name);
	free(n->name);
	free(n->uid);
	p->n_nodes--;
	size_t i = (size_t)(n - p->nodes);
	memmove(n, n + 1, (p->n_nodes - i) * sizeof(*n));
	limit_set(p);
}

void podcidr_end(struct podcidr *p, int64_t version)
{
	for (size_t i = p->n_nodes; i-- > 0;)
		if (!p->nodes[i].seen) {
			CLEANUP_FREE char *name = mem_strdup(p->nodes[i].name);
			podcidr_drop(p, name);
		}
	if (version > p->version)
		p->version = version;
	limit_set(p);
}

/* ---- reading ---- */

const struct podcidr_doc *podcidr_get(const struct podcidr *p, const char *key)
{
	const struct podcidr_doc *d = doc_find(p, key);
	return d && d->value ? d : NULL;
}

const struct podcidr_doc *podcidr_next(const struct podcidr *p, const char *key, uint64_t after)
{
	size_t i = doc_place(p, key);
	if (*key && i < p->n_docs && strcmp(p->docs[i].key, key) == 0)
		i++;
	while (i < p->n_docs && p->docs[i].change <= after)
		i++;
	return i < p->n_docs ? &p->docs[i] : NULL;
}

uint64_t podcidr_change(const struct podcidr *p)
{
	return p->change;
}

/* ---- writing ---- */

static bool is_below(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

/* Why there is no block (any more) of that family for the own node. */
static int refuse_claim(const struct podcidr *p, const char *key, struct err *e)
{
	const char *own = p->own ? p->own : "of this agent";
	const struct pod_node *n = p->own ? node_find(p, p->own) : NULL;
	const bool is4 = strchr(key, '.') != NULL;
	const char *family = is4 ? "IPv4" : "IPv6";
	if (!n)
		return err_set(e, ENOTSUP, "there is no Node %s in Kubernetes", own);
	const struct cidr *range = &n->ranges[is4 ? IPV4 : IPV6];
	if (!range->addr.family)
		return err_set(e, ENOTSUP,
			"Node %s has no podCIDR of %s: kube-controller-manager gives it with "
			"--allocate-node-cidrs and --cluster-cidr",
			own, family);
	const struct pod_pool *pool = pool_around(p, range);
	if (!pool)
		return err_set(e, ENOTSUP, "the podCIDR %s of Node %s is in no pool of %.200s",
			CIDR_STRING(range), own, p->file);
	if (pool->block_len < range->len)
		return err_set(e, ENOTSUP,
			"the podCIDR %s of Node %s is smaller than a block of pool %.60s (/%u): "
			"set its "
			"blockSize to %u in %.200s",
			CIDR_STRING(range), own, pool->name, pool->block_len, range->len, p->file);
	return err_set(e, ENOTSUP,
		"Node %s has the addresses of its podCIDR %s, and no further ones can be claimed",
		own, CIDR_STRING(range));
}

static int write_block(struct podcidr *p, const struct store_write *w, struct err *e)
{
	const struct podcidr_doc *is = podcidr_get(p, w->key);
	CLEANUP_JSON json_t *doc = NULL;
	struct err ignored;
	if (!is)
		return w->revision ? 0 : refuse_claim(p, w->key, e);
	if (is->revision != w->revision)
		return 0;
	if (!w->value)
		return err_set(e, ENOTSUP,
			"%s is of the podCIDR of Node %s, and cannot be given back", w->key,
			is->node);
	const char *node = json_parse(w->value, strlen(w->value), &doc, &ignored) < 0
				   ? NULL
				   : json_string_value(json_object_get(doc, "node"));
	if (!same_text(node, is->node))
		return err_set(e, ENOTSUP, "%s is of the podCIDR of Node %s, and nobody else's",
			w->key, is->node);
	doc_set(p, w->key, w->value, node);
	return 1;
}

static int write_status(struct podcidr *p, const struct store_write *w)
{
	const struct podcidr_doc *is = podcidr_get(p, w->key);
	if ((is ? is->revision : 0) != w->revision)
		return 0;
	doc_set(p, w->key, w->value, NULL);
	return 1;
}

static int write_node(
	const struct podcidr *p, const struct store_write *w, json_t **patch, struct err *e)
{
	const char *name = w->key + strlen(NODES);
	const struct pod_node *n = node_find(p, name);
	CLEANUP_JSON json_t *doc = NULL;
	struct err ignored;
	if (!n)
		return err_set(e, ENOTSUP, "there is no Node %.60s in Kubernetes", name);
	if (w->value && json_parse(w->value, strlen(w->value), &doc, &ignored) < 0)
		return err_set(e, EINVAL, "the document of Node %.60s is no JSON", name);
	const json_t *spec = json_object_get(doc, "spec");
	CLEANUP_FREE char *text = spec ? json_text(spec) : NULL;
	/* The API server refuses it for a Node that was made anew meanwhile. */
	*patch = json_pack("{s:{s:s*, s:{s:s?}}}", "metadata", "uid", *n->uid ? n->uid : NULL,
		"annotations", PODCIDR_ANNOTATION, text);
	return 2;
}

int podcidr_write(struct podcidr *p, const struct store_write *w, int64_t *revision, json_t **patch,
	struct err *e)
{
	int r;
	if (is_below(w->key, BLOCKS))
		r = write_block(p, w, e);
	else if (is_below(w->key, STATUS))
		r = write_status(p, w);
	else if (is_below(w->key, NODES))
		r = write_node(p, w, patch, e);
	else
		r = err_set(e, ENOTSUP,
			"%s cannot be written: with podCIDRs pools are those of %.200s, and nodes "
			"are "
			"Kubernetes' Nodes",
			w->key, p->file);
	*revision = p->version;
	return r;
}
