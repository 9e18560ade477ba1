/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl node list and node show: what the store knows of nodes. A node may have only a part of
 * what belongs to it: a document that was applied before its agent ever ran, blocks that are left
 * after a removal; such a one is listed with a note, since somebody has to finish something.
 */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "cli/inventory.h"
#include "lib/json.h"
#include "cli/output.h"
#include "cli/config.h"
#include "cli/table.h"
#include "lib/boot.h"
#include "lib/text.h"

#define ADDRESSES (2 * ADDR_TEXT + 2)

static void format_addresses(const struct inventory_node *n, char out[ADDRESSES])
{
	struct text t = {.buf = out, .size = ADDRESSES};
	*out = '\0';
	for (enum family f = IPV4; f < FAMILIES; f++) {
		char text[ADDR_TEXT];
		if (!n->spec.addr[f].addr.family)
			continue;
		addr_format(&n->spec.addr[f].addr, text);
		text_add(&t, "%s%s", t.len ? ", " : "", text);
	}
}

/* "live", "stale since 2026-03-02T09:14:53Z". */
static void format_agent(const struct inventory_node *n, char out[64])
{
	char when[32];
	boot_format_time(n->status.heartbeat_s, when);
	bool since = n->agent == AGENT_STOPPED || n->agent == AGENT_STALE;
	if (n->agent == AGENT_AHEAD)
		(void)snprintf(out, 64, "clock ahead: %s", when);
	else
		(void)snprintf(out, 64, "%s%s%s", inventory_agent_text(n->agent),
			since ? " since " : "", since ? when : "");
}

/* What a dead agent said of BIRD long ago is no news. */
static void format_bird(const struct inventory_node *n, bool brief, char out[200])
{
	*out = '\0';
	if (n->agent != AGENT_LIVE)
		return;
	if (strcmp(n->status.bird, "up") == 0)
		(void)snprintf(out, 200, "up, %u of %u peers", n->status.peers_up, n->status.peers);
	else
		(void)snprintf(out, 200, "%.*s", brief ? 30 : 159, n->status.bird);
}

static void format_note(const struct inventory_node *n, char *out, size_t size)
{
	struct text t = {.buf = out, .size = size};
	*out = '\0';
	if (*n->trouble)
		text_add(&t, "%s", n->trouble);
	if (!n->revision)
		text_add(&t, "%sno Node document", t.len ? "; " : "");
	if (n->spec.drain)
		text_add(&t, "%sdraining", t.len ? "; " : "");
	if (n->n_quarantined)
		text_add(&t, "%s%zu quarantined", t.len ? "; " : "", n->n_quarantined);
}

/* ---- For programs ---- */

static void put_text(json_t *o, const char *key, const char *text)
{
	json_put(o, key, json_of_text(text));
}

static void put_number(json_t *o, const char *key, uint64_t n)
{
	json_put(o, key, json_of_number(n));
}

static json_t *addresses_json(const struct inventory_node *n)
{
	json_t *list = json_array();
	for (enum family f = IPV4; f < FAMILIES; f++) {
		char text[CIDR_TEXT];
		if (!n->spec.addr[f].addr.family)
			continue;
		cidr_format(&n->spec.addr[f], text);
		json_append(list, json_of_text(text));
	}
	return list;
}

static json_t *problems_json(const struct inventory_node *n)
{
	json_t *list = json_array();
	if (*n->trouble)
		json_append(list, json_of_text(n->trouble));
	for (size_t i = 0; i < n->status.n_problems; i++)
		json_append(list, json_of_text(n->status.problems[i]));
	return list;
}

/* The keys of node list; node show adds some. */
static json_t *node_json(const struct inventory_node *n)
{
	char heartbeat[32] = "";
	if (n->agent != AGENT_NEVER && n->agent != AGENT_UNKNOWN)
		boot_format_time(n->status.heartbeat_s, heartbeat);
	json_t *o = json_object();
	put_text(o, "name", n->name);
	json_put(o, "registered", json_boolean(n->revision != 0));
	json_put(o, "addresses", addresses_json(n));
	json_put(o, "drain", json_boolean(n->spec.drain));
	put_text(o, "agent", inventory_agent_text(n->agent));
	put_text(o, "heartbeat", heartbeat);
	put_text(o, "version", n->status.version);
	put_text(o, "bird", n->status.bird);
	put_number(o, "peers", n->status.peers);
	put_number(o, "peersUp", n->status.peers_up);
	put_number(o, "blockCount", n->n_blocks);
	put_number(o, "quarantinedBlocks", n->n_quarantined);
	put_number(o, "pods", n->pods);
	json_put(o, "problems", problems_json(n));
	return o;
}

static json_t *block_json(const struct inventory_node *n, const struct block *b)
{
	const struct status_block none = {0}, *said = inventory_counts(n, &b->cidr);
	const struct status_block *c = said ? said : &none;
	char cidr[CIDR_TEXT];
	cidr_format(&b->cidr, cidr);
	json_t *o = json_object();
	put_text(o, "cidr", cidr);
	put_text(o, "state", b->state == BLOCK_QUARANTINED ? "quarantined" : "owned");
	json_put(o, "reported", json_boolean(said));
	json_put(o, "draining", json_boolean(c->draining));
	put_number(o, "used", c->used);
	put_number(o, "cooling", c->cooling);
	put_number(o, "reserved", c->reserved);
	put_number(o, "quarantined", c->quarantined);
	put_number(o, "free", c->free);
	return o;
}

static json_t *whole_json(const struct inventory *v, const struct inventory_node *n)
{
	json_t *o = node_json(n), *blocks = json_array();
	for (size_t i = 0; i < v->n_blocks; i++)
		if (strcmp(v->blocks[i].node, n->name) == 0)
			json_append(blocks, block_json(n, &v->blocks[i]));
	json_put(o, "blocks", blocks);
	put_text(o, "exits", n->status.exits);
	put_text(o, "store", n->status.store);
	put_text(o, "installation", n->status.installation);
	put_text(o, "instance", n->status.instance);
	put_text(o, "boot", n->status.boot);
	return o;
}

/* ---- For people ---- */

static void add_row(struct table *t, const struct inventory_node *n)
{
	char text[400];
	table_add(t, "%s", n->name);
	format_addresses(n, text);
	table_add(t, "%s", text);
	format_agent(n, text);
	table_add(t, "%s", text);
	format_bird(n, true, text);
	table_add(t, "%s", text);
	table_add(t, "%zu", n->n_blocks);
	output_number(n->pods, text);
	table_add(t, "%s", text);
	table_add(t, "%s", n->status.version);
	table_add(t, "%zu", n->status.n_problems);
	format_note(n, text, sizeof(text));
	table_add(t, "%s", text);
}

static void print_nodes(const struct inventory *v)
{
	static const struct table_column columns[] = {{"NAME", false}, {"ADDRESS", false},
		{"AGENT", false}, {"BIRD", false}, {"BLOCKS", true}, {"PODS", true},
		{"VERSION", false}, {"PROBLEMS", true}, {"NOTE", false}};
	CLEANUP_TABLE struct table t;
	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < v->n_nodes; i++)
		add_row(&t, &v->nodes[i]);
	table_print(&t, stdout);
}

static void line(const char *name, const char *value)
{
	char clean[600];
	output_clean(clean, sizeof(clean), value);
	if (*clean)
		(void)printf("%-14s%s\n", name, clean);
}

static void print_head(const struct inventory_node *n)
{
	char text[400], pods[OUTPUT_NUMBER];
	line("node", n->name);
	format_addresses(n, text);
	line("address", text);
	format_agent(n, text);
	line("agent", text);
	line("version", n->status.version);
	format_bird(n, false, text);
	line("bird", text);
	if (n->agent == AGENT_LIVE)
		line("exits", n->status.exits);
	line("store", n->status.store);
	line("installation", n->status.installation);
	output_number(n->pods, pods);
	line("pods", pods);
	format_note(n, text, sizeof(text));
	line("note", text);
	for (size_t i = 0; i < n->status.n_problems; i++)
		line("problem", n->status.problems[i]);
}

static void add_count(struct table *t, bool known, uint64_t n)
{
	char text[OUTPUT_NUMBER] = "?";
	if (known)
		output_number(n, text);
	table_add(t, "%s", text);
}

static void add_block(struct table *t, const struct inventory_node *n, const struct block *b)
{
	const struct status_block none = {0}, *said = inventory_counts(n, &b->cidr);
	const struct status_block *c = said ? said : &none;
	char cidr[CIDR_TEXT];
	cidr_format(&b->cidr, cidr);
	table_add(t, "%s", cidr);
	table_add(t, "%s",
		b->state == BLOCK_QUARANTINED ? "quarantined"
		: c->draining		      ? "draining"
					      : "owned");
	add_count(t, said, c->used);
	add_count(t, said, c->cooling);
	add_count(t, said, c->reserved);
	add_count(t, said, c->quarantined);
	add_count(t, said, c->free);
}

static void print_node(const struct inventory *v, const struct inventory_node *n)
{
	static const struct table_column columns[] = {{"BLOCK", false}, {"STATE", false},
		{"USED", true}, {"COOLING", true}, {"RESERVED", true}, {"QUARANTINED", true},
		{"FREE", true}};
	CLEANUP_TABLE struct table t;
	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	print_head(n);
	if (n->n_blocks == 0)
		return;
	for (size_t i = 0; i < v->n_blocks; i++)
		if (strcmp(v->blocks[i].node, n->name) == 0)
			add_block(&t, n, &v->blocks[i]);
	(void)printf("\n");
	table_print(&t, stdout);
}

/* ---- The commands ---- */

static int look(const struct options *o, struct inventory *v, struct err *e)
{
	CLEANUP_STORE struct store *s = NULL;
	int r = config_open_store(o, &s, e);
	return r < 0 ? r : inventory_read(s, v, e);
}

int nodes_list(const struct options *o)
{
	CLEANUP_INVENTORY struct inventory v = {0};
	struct err e = {0};
	if (look(o, &v, &e) < 0)
		return output_error(&e);
	if (!o->json) {
		print_nodes(&v);
		return 0;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < v.n_nodes; i++)
		json_append(list, node_json(&v.nodes[i]));
	output_json(list);
	return 0;
}

int nodes_show(const struct options *o)
{
	CLEANUP_INVENTORY struct inventory v = {0};
	struct err e = {0};
	if (look(o, &v, &e) < 0)
		return output_error(&e);
	const struct inventory_node *n = inventory_find(&v, o->operands[0]);
	if (!n)
		return output_complain("there is no node %.253s", o->operands[0]);
	if (o->json)
		output_json(whole_json(&v, n));
	else
		print_node(&v, n);
	return 0;
}
