/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl node list and node show: what the store knows of nodes. A node may have only a part of
 * what belongs to it: a document that was applied before its agent ever ran, blocks that are left
 * after a removal; such a one is listed with a note, since somebody has to finish something.
 */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/inventory.h"
#include "lib/json.h"
#include "cli/output.h"
#include "cli/table.h"
#include "lib/boot.h"
#include "lib/text.h"

#define TEXT 400 /* bytes of a value in a line or a cell */

static void format_addresses(const struct inventory_node *n, char out[TEXT])
{
	struct text t = {.buf = out, .size = TEXT};
	*out = '\0';
	for (enum family f = IPV4; f < FAMILIES; f++)
		if (n->spec.addr[f].addr.family)
			text_add(&t, "%s%s", t.len ? ", " : "", ADDR_STRING(&n->spec.addr[f].addr));
}

/* "live", "stale since 2026-03-02T09:14:53Z". */
static void format_agent(const struct inventory_node *n, char out[TEXT])
{
	const char *when = TIME_STRING(n->status.heartbeat_s);
	bool since = n->agent == AGENT_STOPPED || n->agent == AGENT_STALE;
	if (n->agent == AGENT_AHEAD)
		(void)snprintf(out, TEXT, "clock ahead: %s", when);
	else
		(void)snprintf(out, TEXT, "%s%s%s", inventory_agent_text(n->agent),
			since ? " since " : "", since ? when : "");
}

/* What a dead agent said of BIRD long ago is no news. */
static void format_bird(const struct inventory_node *n, bool brief, char out[TEXT])
{
	*out = '\0';
	if (n->agent != AGENT_LIVE)
		return;
	if (strcmp(n->status.bird, "up") == 0)
		(void)snprintf(
			out, TEXT, "up, %u of %u peers", n->status.peers_up, n->status.peers);
	else
		(void)snprintf(out, TEXT, "%.*s", brief ? 30 : 159, n->status.bird);
}

/* The first session that is down, in a few words; node show has a line for each. */
static void add_down(const struct inventory_node *n, struct text *t)
{
	const struct status_down *d = n->status.down;
	if (n->agent != AGENT_LIVE || n->status.n_down == 0)
		return;
	text_add(t, "%sno session with %.63s since %s: %s", t->len ? "; " : "",
		*d->node ? d->node : ADDR_STRING(&d->peer), TIME_STRING(d->since_s), d->bird);
	if (n->status.peers - n->status.peers_up > 1)
		text_add(t, ", and %u more", n->status.peers - n->status.peers_up - 1);
}

static void format_note(const struct inventory_node *n, bool brief, char out[TEXT])
{
	struct text t = {.buf = out, .size = TEXT};
	*out = '\0';
	if (*n->trouble)
		text_add(&t, "%s", n->trouble);
	if (!n->revision)
		text_add(&t, "%sno Node document", t.len ? "; " : "");
	if (n->spec.drain)
		text_add(&t, "%sdraining", t.len ? "; " : "");
	if (n->n_quarantined)
		text_add(&t, "%s%zu quarantined", t.len ? "; " : "", n->n_quarantined);
	if (brief)
		add_down(n, &t);
}

/* ---- For programs ---- */

static json_t *addresses_json(const struct inventory_node *n)
{
	json_t *list = json_array();
	for (enum family f = IPV4; f < FAMILIES; f++)
		if (n->spec.addr[f].addr.family)
			json_append(list, json_of_cidr(&n->spec.addr[f]));
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

static json_t *down_json(const struct inventory_node *n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n->status.n_down; i++) {
		const struct status_down *d = &n->status.down[i];
		json_t *o = json_object();
		json_put(o, "peer", json_of_text(ADDR_STRING(&d->peer)));
		json_put(o, "node", *d->node ? json_of_text(d->node) : json_null());
		json_put(o, "since", json_of_text(TIME_STRING(d->since_s)));
		json_put(o, "bird", json_of_text(d->bird));
		json_put(o, "reason", json_of_text(d->reason));
		json_append(list, o);
	}
	return list;
}

/* The keys of node list; node show adds some. */
static json_t *node_json(const struct inventory_node *n)
{
	bool silent = n->agent == AGENT_NEVER || n->agent == AGENT_UNKNOWN;
	json_t *o = json_object();
	json_put(o, "name", json_of_text(n->name));
	json_put(o, "registered", json_boolean(n->revision != 0));
	json_put(o, "addresses", addresses_json(n));
	json_put(o, "drain", json_boolean(n->spec.drain));
	json_put(o, "agent", json_of_text(inventory_agent_text(n->agent)));
	json_put(o, "heartbeat", json_of_text(silent ? "" : TIME_STRING(n->status.heartbeat_s)));
	json_put(o, "version", json_of_text(n->status.version));
	json_put(o, "bird", json_of_text(n->status.bird));
	json_put(o, "peers", json_of_number(n->status.peers));
	json_put(o, "peersUp", json_of_number(n->status.peers_up));
	json_put(o, "peersDown", down_json(n));
	json_put(o, "blockCount", json_of_number(n->n_blocks));
	json_put(o, "quarantinedBlocks", json_of_number(n->n_quarantined));
	json_put(o, "lentAddresses", json_of_number(n->n_lent));
	json_put(o, "borrowedAddresses", json_of_number(n->n_borrowed));
	json_put(o, "pods", json_of_number(n->pods));
	json_put(o, "problems", problems_json(n));
	json_put(o, "problemCount", json_of_number(n->status.problem_count));
	return o;
}

static json_t *block_json(const struct inventory_node *n, const struct block *b)
{
	const struct status_block none = {0}, *said = inventory_counts(n, &b->cidr);
	const struct status_block *c = said ? said : &none;
	json_t *o = json_object();
	json_put(o, "cidr", json_of_cidr(&b->cidr));
	json_put(o, "state", json_of_text(block_state_name(b->state)));
	json_put(o, "reported", json_boolean(said));
	json_put(o, "draining", json_boolean(c->draining));
	OUTPUT_PUT_COUNTS(o, c);
	return o;
}

static json_t *loans_json(const struct inventory *v, const struct inventory_node *n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < v->n_loans; i++) {
		const struct loan *l = &v->loans[i];
		if (strcmp(l->lender, n->name) != 0 && strcmp(l->borrower, n->name) != 0)
			continue;
		json_t *o = json_object();
		json_put(o, "address", json_of_addr(&l->addr.addr));
		json_put(o, "state", json_of_text(loan_state_name(l->state)));
		json_put(o, "lender", json_of_text(l->lender));
		json_put(o, "borrower", json_of_text(l->borrower));
		json_append(list, o);
	}
	return list;
}

static json_t *whole_json(const struct inventory *v, const struct inventory_node *n)
{
	json_t *o = node_json(n), *blocks = json_array();
	for (size_t i = 0; i < v->n_blocks; i++)
		if (strcmp(v->blocks[i].node, n->name) == 0)
			json_append(blocks, block_json(n, &v->blocks[i]));
	json_put(o, "blocks", blocks);
	json_put(o, "loans", loans_json(v, n));
	json_put(o, "exits", json_of_text(n->status.exits));
	json_put(o, "store", json_of_text(n->status.store));
	json_put(o, "installation", json_of_text(n->status.installation));
	json_put(o, "instance", json_of_text(n->status.instance));
	json_put(o, "boot", json_of_text(n->status.boot));
	return o;
}

/* ---- For people ---- */

static void print_nodes(const struct inventory *v)
{
	CLEANUP_TABLE struct table t;
	table_init(&t, "NAME|ADDRESS|AGENT|BIRD|>BLOCKS|>PODS|VERSION|>PROBLEMS|NOTE");
	for (size_t i = 0; i < v->n_nodes; i++) {
		const struct inventory_node *n = &v->nodes[i];
		char addresses[TEXT], agent[TEXT], bird[TEXT], note[TEXT];
		format_addresses(n, addresses);
		format_agent(n, agent);
		format_bird(n, true, bird);
		format_note(n, true, note);
		table_row(&t, n->name, addresses, agent, bird, NUMBER_STRING(n->n_blocks),
			NUMBER_STRING(n->pods), n->status.version,
			NUMBER_STRING(n->status.problem_count), note);
	}
	table_print(&t, stdout);
}

static void print_down(const struct inventory_node *n)
{
	for (size_t i = 0; n->agent == AGENT_LIVE && i < n->status.n_down; i++) {
		const struct status_down *d = &n->status.down[i];
		char text[700];
		(void)snprintf(text, sizeof(text), "%s%s%s%s since %s: %s", d->node,
			*d->node ? " (" : "", ADDR_STRING(&d->peer), *d->node ? ")" : "",
			TIME_STRING(d->since_s), d->bird);
		output_line("peer down", text);
	}
}

static void print_head(const struct inventory_node *n)
{
	char text[TEXT];
	output_line("node", n->name);
	format_addresses(n, text);
	output_line("address", text);
	format_agent(n, text);
	output_line("agent", text);
	output_line("version", n->status.version);
	format_bird(n, false, text);
	output_line("bird", text);
	if (n->agent == AGENT_LIVE)
		output_line("exits", n->status.exits);
	output_line("store", n->status.store);
	output_line("installation", n->status.installation);
	output_line("pods", NUMBER_STRING(n->pods));
	format_note(n, false, text);
	output_line("note", text);
	print_down(n);
	for (size_t i = 0; i < n->status.n_problems; i++)
		output_line("problem", n->status.problems[i]);
}

static void add_block(struct table *t, const struct block *b, const struct status_block *c)
{
	bool drains = b->state == BLOCK_OWNED && c && c->draining;
	const char *state = drains ? "draining" : block_state_name(b->state);
	if (c)
		table_row(t, CIDR_STRING(&b->cidr), state, COUNT_CELLS(c), NUMBER_STRING(c->free));
	else
		table_row(t, CIDR_STRING(&b->cidr), state, "?", "?", "?", "?", "?");
}

static void print_loans(const struct inventory *v, const struct inventory_node *n)
{
	CLEANUP_TABLE struct table t;
	table_init(&t, "ADDRESS|LOAN|LENDER|BORROWER");
	bool any = false;
	for (size_t i = 0; i < v->n_loans; i++) {
		const struct loan *l = &v->loans[i];
		if (strcmp(l->lender, n->name) != 0 && strcmp(l->borrower, n->name) != 0)
			continue;
		table_row(&t, ADDR_STRING(&l->addr.addr), loan_state_name(l->state), l->lender,
			l->borrower);
		any = true;
	}
	if (!any)
		return;
	(void)printf("\n");
	table_print(&t, stdout);
}

static void print_node(const struct inventory *v, const struct inventory_node *n)
{
	CLEANUP_TABLE struct table t;
	table_init(&t, "BLOCK|STATE|>USED|>COOLING|>RESERVED|>QUARANTINED|>FREE");
	print_head(n);
	print_loans(v, n);
	if (n->n_blocks == 0)
		return;
	for (size_t i = 0; i < v->n_blocks; i++)
		if (strcmp(v->blocks[i].node, n->name) == 0)
			add_block(&t, &v->blocks[i], inventory_counts(n, &v->blocks[i].cidr));
	(void)printf("\n");
	table_print(&t, stdout);
}

/* ---- The commands ---- */

int nodes_list(const struct options *o)
{
	CLEANUP_INVENTORY struct inventory v = {0};
	struct err e = {0};
	if (inventory_from_options(o, &v, &e) < 0)
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
	if (inventory_from_options(o, &v, &e) < 0)
		return output_error(&e);
	const struct inventory_node *n = inventory_node(&v, o->operands[0]);
	if (!n) {
		(void)err_set(&e, ENOENT, "there is no node %.253s", o->operands[0]);
		inventory_add_meant(&v, RESOURCE_NODE, o->operands[0], &e);
		return output_error(&e);
	}
	if (o->json)
		output_json(whole_json(&v, n));
	else
		print_node(&v, n);
	return 0;
}
