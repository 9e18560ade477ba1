/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description is written by our own tests: whatever is wrong in it ends the process with a
 * sentence. A missing key is a zero, so that a case says only what it is about.
 */
#include "tests/bird/birdwant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

static _Noreturn void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "birdwant: %s: %s\n", what, why);
	exit(2);
}

static void check_keys(const json_t *object, const char *where, const char *const known[])
{
	struct err e;
	if (json_check_keys(object, where, known, &e) < 0)
		die(where, e.text);
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = "";
	struct err e;
	if (json_get_string(object, "", key, &s, &e) < 0)
		die(key, e.text);
	return s;
}

static uint32_t number_of(const json_t *object, const char *key)
{
	int64_t n = 0;
	struct err e;
	if (json_get_number(object, "", key, 0, UINT32_MAX, &n, &e) < 0)
		die(key, e.text);
	return (uint32_t)n;
}

static bool bool_of(const json_t *object, const char *key)
{
	bool b = false;
	struct err e;
	if (json_get_bool(object, "", key, &b, &e) < 0)
		die(key, e.text);
	return b;
}

static struct addr parse_addr(const char *s)
{
	struct addr a = {0};
	struct err e;
	if (*s && addr_parse(s, &a, &e) < 0)
		die(s, e.text);
	return a;
}

static struct cidr parse_cidr(const char *s)
{
	struct cidr c = {0};
	struct err e;
	if (*s && cidr_parse(s, &c, &e) < 0)
		die(s, e.text);
	return c;
}

static struct addr addr_of(const json_t *object, const char *key)
{
	return parse_addr(string_of(object, key));
}

static struct cidr cidr_of(const json_t *object, const char *key)
{
	return parse_cidr(string_of(object, key));
}

static void *keep(struct birdwant *b, size_t n, size_t size)
{
	b->memory = mem_grow(b->memory, &b->memory_room, b->n_memory, sizeof(*b->memory));
	void *p = mem_new(n + 1, size);
	b->memory[b->n_memory++] = p;
	return p;
}

static const struct cidr *read_cidrs(struct birdwant *b, const json_t *list, size_t *n)
{
	struct cidr *cidrs = keep(b, json_array_size(list), sizeof(*cidrs));
	*n = json_array_size(list);
	for (size_t i = 0; i < *n; i++)
		cidrs[i] = parse_cidr(json_string_value(json_array_get(list, i)));
	return cidrs;
}

static const struct bird_hop *read_hops(struct birdwant *b, const json_t *list)
{
	struct bird_hop *hops = keep(b, json_array_size(list), sizeof(*hops));
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item) {
		check_keys(item, "hop", (const char *const[]){"dst", "via", "dev", "onlink", NULL});
		hops[i].dst = cidr_of(item, "dst");
		hops[i].via = addr_of(item, "via");
		(void)text_copy(hops[i].dev, sizeof(hops[i].dev), string_of(item, "dev"));
		hops[i].onlink = bool_of(item, "onlink");
	}
	return hops;
}

static const struct bird_pool *read_pools(struct birdwant *b, const json_t *list)
{
	struct bird_pool *pools = keep(b, json_array_size(list), sizeof(*pools));
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item) {
		check_keys(item, "pool",
			(const char *const[]){"cidr", "blockLen", "exported", "byBgp", NULL});
		pools[i].cidr = cidr_of(item, "cidr");
		pools[i].block_len = (uint8_t)number_of(item, "blockLen");
		pools[i].exported = bool_of(item, "exported");
		pools[i].by_bgp = bool_of(item, "byBgp");
	}
	return pools;
}

static const struct bird_remote *read_remote(struct birdwant *b, const json_t *list)
{
	struct bird_remote *remote = keep(b, json_array_size(list), sizeof(*remote));
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item) {
		check_keys(item, "remote", (const char *const[]){"block", "node", "table", NULL});
		remote[i].block = cidr_of(item, "block");
		remote[i].node = addr_of(item, "node");
		remote[i].table = (uint8_t)number_of(item, "table");
	}
	return remote;
}

static void read_family(struct birdwant *b, const json_t *doc, struct bird_family *f)
{
	if (!doc)
		return;
	check_keys(doc, "family",
		(const char *const[]){"node", "own", "pools", "hops", "remote", "kept", "ranges",
			"services", NULL});
	f->node = addr_of(doc, "node");
	f->own = read_cidrs(b, json_object_get(doc, "own"), &f->n_own);
	f->ranges = read_cidrs(b, json_object_get(doc, "ranges"), &f->n_ranges);
	f->services = read_cidrs(b, json_object_get(doc, "services"), &f->n_services);
	const json_t *list = json_object_get(doc, "pools");
	f->pools = read_pools(b, list);
	f->n_pools = json_array_size(list);
	list = json_object_get(doc, "remote");
	f->remote = read_remote(b, list);
	f->n_remote = json_array_size(list);
	list = json_object_get(doc, "kept");
	f->kept = read_remote(b, list);
	f->n_kept = json_array_size(list);
	list = json_object_get(doc, "hops");
	for (size_t i = 0; i < json_array_size(list) && i < BIRD_TABLES; i++) {
		f->hops[i] = read_hops(b, json_array_get(list, i));
		f->n_hops[i] = json_array_size(json_array_get(list, i));
	}
}

static void read_rule(const json_t *doc, struct resource_rule *r)
{
	check_keys(
		doc, "rule", (const char *const[]){"accept", "match", "cidr", "min", "max", NULL});
	const char *match = string_of(doc, "match");
	r->accept = bool_of(doc, "accept");
	r->in = strcmp(match, "In") == 0 || strcmp(match, "NotIn") == 0;
	r->negate = strncmp(match, "Not", 3) == 0;
	r->cidr = cidr_of(doc, "cidr");
	r->min_len = (uint8_t)number_of(doc, "min");
	r->max_len = (uint8_t)number_of(doc, "max");
}

static const struct resource_filter *read_filter(struct birdwant *b, const json_t *doc)
{
	static const char *const known[] = {"import4", "import6", "export4", "export6", NULL};
	check_keys(doc, "filter", known);
	struct resource_filter *f = keep(b, 1, sizeof(*f));
	for (size_t i = 0; i < 4; i++) {
		const json_t *list = json_object_get(doc, known[i]);
		f->n_rules[i] = json_array_size(list);
		f->rules[i] = keep(b, f->n_rules[i], sizeof(*f->rules[i]));
		for (size_t k = 0; k < f->n_rules[i]; k++)
			read_rule(json_array_get(list, k), &f->rules[i][k]);
	}
	return f;
}

static void read_peer(struct birdwant *b, const json_t *doc, struct bird_peer *p)
{
	check_keys(doc, "peer",
		(const char *const[]){"addr", "local", "port", "as", "localAs", "mesh", "both",
			"passive", "rrClient", "rrCluster", "keepNextHop", "ttl", "keepalive",
			"restart", "password", "filters", "exits", "bfd", "direct", NULL});
	p->addr = addr_of(doc, "addr");
	p->local = addr_of(doc, "local");
	p->port = (uint16_t)number_of(doc, "port");
	p->as_number = number_of(doc, "as");
	p->local_as = number_of(doc, "localAs");
	p->mesh = bool_of(doc, "mesh");
	p->both = bool_of(doc, "both");
	p->passive = bool_of(doc, "passive");
	p->rr_client = bool_of(doc, "rrClient");
	p->rr_cluster = addr_of(doc, "rrCluster");
	p->keep_next_hop = bool_of(doc, "keepNextHop");
	p->ttl = (uint8_t)number_of(doc, "ttl");
	p->keepalive_s = number_of(doc, "keepalive");
	p->restart_s = number_of(doc, "restart");
	(void)text_copy(p->password, sizeof(p->password), string_of(doc, "password"));
	p->bfd = bool_of(doc, "bfd");
	p->direct = bool_of(doc, "direct");
	p->exits = read_cidrs(b, json_object_get(doc, "exits"), &p->n_exits);
	const json_t *list = json_object_get(doc, "filters");
	p->n_filters = json_array_size(list);
	const struct resource_filter **filters = keep(b, p->n_filters, sizeof(*filters));
	for (size_t i = 0; i < p->n_filters; i++)
		filters[i] = read_filter(b, json_array_get(list, i));
	p->filters = filters;
}

/* Of the BGPPeers; exit nodes are agent/desired/exits.c's part. */
static void read_exits(const json_t *doc, struct bird_exits *x)
{
	if (!doc)
		return;
	check_keys(doc, "exits", (const char *const[]){"used", "interval", "multiplier", NULL});
	x->used[0] = bool_of(doc, "used");
	x->interval_ms = (uint16_t)number_of(doc, "interval");
	x->multiplier = (uint8_t)number_of(doc, "multiplier");
	x->table = 8266;
}

struct birdwant *birdwant_new(const json_t *doc)
{
	static const char *const logs[] = {"none", "debug", "info", "warning", "error", "fatal"};
	check_keys(doc, "description",
		(const char *const[]){"routerId", "listenPort", "log", "ipv4", "ipv6", "peers",
			"exits", "about", NULL});
	struct birdwant *b = mem_new(1, sizeof(*b));
	struct bird_want *w = &b->want;
	w->router_id = addr_of(doc, "routerId");
	w->listen_port = (uint16_t)number_of(doc, "listenPort");
	w->log = LOGS_NONE;
	for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
		if (strcmp(logs[i], string_of(doc, "log")) == 0)
			w->log = (enum resource_log)i;
	read_family(b, json_object_get(doc, "ipv4"), &w->family[IPV4]);
	read_family(b, json_object_get(doc, "ipv6"), &w->family[IPV6]);
	read_exits(json_object_get(doc, "exits"), &w->exits);
	const json_t *list = json_object_get(doc, "peers");
	w->n_peers = json_array_size(list);
	struct bird_peer *peers = keep(b, w->n_peers, sizeof(*peers));
	for (size_t i = 0; i < w->n_peers; i++)
		read_peer(b, json_array_get(list, i), &peers[i]);
	w->peers = peers;
	return b;
}

void birdwant_free(struct birdwant *b)
{
	if (!b)
		return;
	while (b->n_memory > 0)
		free(b->memory[--b->n_memory]);
	free(b->memory);
	free(b);
}
