/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl node remove. Four steps, whose order is what makes it safe, at whatever moment it is killed
 * and whoever comes back meanwhile (tests/model/blocks.pml):
 *
 * N0 The node's status is read, and judged to be of nobody who lives. Where there is none one is written:
 *    that there is none still, later on, would not say that nobody came back and was removed again meanwhile.
 * R1 Then its blocks are read.
 * R0 The status goes, if it is as it was at N0, and then the Node document. An agent that lives after all has
 *    written a heartbeat since, so nothing happens to it. From here on the other nodes drop the
 *    sessions with it and its routes.
 * R3 Its blocks are quarantined, or with --powered-off deleted, each if it is as it was at R1. An agent that
 *    comes back writes its status and then each of its blocks, and uses what it could write: so a block is
 *    either its own, and left alone here, or gone for it.
 *
 * Reading the blocks after R0 would be wrong: an agent that came back in between has written them
 * already, and would lose what it uses. What a killed removal leaves is blocks of a node that has no
 * document: `node list` shows it with a note, nobody can claim them, and the same command again goes on.
 */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/inventory.h"
#include "lib/json.h"
#include "cli/output.h"
#include "cli/commit.h"
#include "cli/config.h"
#include "cluster/block_txn.h"
#include "cluster/keys.h"
#include "cluster/status.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "lib/text.h"

#define ROUNDS 10

struct removal {
	struct store *store;
	const char *name;
	bool force, powered_off;
	bool was_there; /* it had a Node document or a status */
	bool began;	/* R0 is done */
	char node_key[STORE_KEY_MAX], status_key[STORE_KEY_MAX];
	struct cidr *done; /* blocks that were quarantined or freed; heap */
	size_t n_done, room;
};

/* ---- Whether it may be ---- */

static int refuse_agent(const struct inventory_node *n, struct err *e)
{
	int64_t age = boot_wall_s() - n->status.heartbeat_s;
	if (n->agent == AGENT_LIVE) {
		(void)err_set(e, EBUSY, "node %s is live: its agent was heard of %lld s ago",
			n->name, (long long)(age > 0 ? age : 0));
		err_details(e,
			"drain it (roostctl node drain %s), stop roostd there, then try again",
			n->name);
	} else if (n->agent == AGENT_AHEAD) {
		(void)err_set(e, EBUSY,
			"the clock of node %s is %lld s ahead of ours: nobody can tell whether its "
			"agent lives",
			n->name, (long long)-age);
		err_details(e, "set the clocks right, or, if you know that it is gone: --force");
	} else {
		(void)err_set(e, EBUSY,
			"the status of node %s cannot be read: nobody can tell "
			"whether its agent lives",
			n->name);
		err_details(e, "if you know that it is gone: --force");
	}
	return -EBUSY;
}

static int removal_check(const struct removal *r, const struct inventory_node *n, struct err *e)
{
	bool doubt = n->agent == AGENT_AHEAD || n->agent == AGENT_UNKNOWN;
	if (n->agent == AGENT_LIVE || (doubt && !r->force))
		return refuse_agent(n, e);
	if (n->n_blocks == 0 || r->force)
		return 0;
	(void)err_set(e, EBUSY, "node %s still has %s", n->name,
		COUNT_STRING(n->n_blocks, "block", "blocks"));
	err_details(e,
		"if it can be started: let it drain (roostctl node drain %s); if not: --force "
		"quarantines them until it comes back, --force --powered-off frees them if it "
		"never does",
		n->name);
	return -EBUSY;
}

/* ---- The node ---- */

/* doc NULL: it goes. 1 done, 0 somebody wrote meanwhile. */
static int write_at(const struct removal *r, const char *key, int64_t revision, const json_t *doc,
	struct err *e)
{
	CLEANUP_COMMIT struct commit c = {.n = 0};
	(void)commit_add(&c, key, revision, doc);
	return commit_run(&c, r->store, e);
}

/* [N0] of a node without status: it gets one, so that R0 has something to compare. */
static int write_removal(const struct removal *r, struct err *e)
{
	CLEANUP_JSON json_t *doc = status_format_removal();
	return write_at(r, r->status_key, 0, doc, e);
}

/* [R0] The status first: it is what an agent writes before anything else. 1 done, 0 somebody wrote
 * meanwhile. */
static int delete_node(const struct removal *r, const struct inventory_node *n, struct err *e)
{
	int result = 1;
	if (n->status_revision)
		result = write_at(r, r->status_key, n->status_revision, NULL, e);
	if (result > 0 && n->revision)
		result = write_at(r, r->node_key, n->revision, NULL, e);
	return result;
}

/* ---- Its blocks ---- */

/* [R3] A pending block was never used. 1 done, 0 somebody wrote meanwhile. */
static int change_block(struct removal *r, const struct block *b, struct err *e)
{
	struct block_txn t;
	if (r->powered_off || b->state == BLOCK_PENDING)
		block_txn_return(&t, b);
	else
		block_txn_quarantine(&t, b);
	int result = config_commit(r->store, &t.txn, e);
	if (result > 0 && b->state != BLOCK_PENDING) {
		r->done = mem_grow(r->done, &r->room, r->n_done, sizeof(*r->done));
		r->done[r->n_done++] = b->cidr;
	}
	return result;
}

/* Blocks that are quarantined already have nothing to be done but to be freed. 1 all are done, 0 somebody
 * wrote meanwhile. */
static int change_blocks(struct removal *r, const struct inventory *v, struct err *e)
{
	bool all = true;
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct block *b = &v->blocks[i];
		bool is_done = !r->powered_off && b->state == BLOCK_QUARANTINED;
		if (strcmp(b->node, r->name) != 0 || is_done)
			continue;
		int result = change_block(r, b, e);
		if (result < 0)
			return result;
		all = all && result;
	}
	return all;
}

/* What earlier versions kept beside the blocks. */
static int delete_index(const struct removal *r, struct err *e)
{
	char prefix[STORE_KEY_MAX];
	struct store_doc *docs = NULL;
	size_t n = 0;
	(void)snprintf(prefix, sizeof(prefix), KEYS_OLD_INDEX "%s/", r->name);
	int result = config_list(r->store, prefix, &docs, &n, e);
	for (size_t i = 0; i < n && result >= 0; i++)
		result = write_at(r, docs[i].key, docs[i].revision, NULL, e);
	store_docs_free(docs, n);
	return result < 0 ? result : 0;
}

static int came_back(const struct removal *r, struct err *e)
{
	(void)err_set(e, EBUSY, "node %s has come back: it registered itself again", r->name);
	err_details(e, "%s %s before; the rest was left alone",
		COUNT_STRING(r->n_done, "block was", "blocks were"),
		r->powered_off ? "freed" : "quarantined");
	return -EBUSY;
}

static int no_node(const struct removal *r, const struct inventory *v, struct err *e)
{
	(void)err_set(e, ENOENT, "there is no node %s", r->name);
	inventory_add_meant(v, RESOURCE_NODE, r->name, e);
	return -ENOENT;
}

/* One look [N0, R1] and what follows of it. 1 done, 0 somebody wrote meanwhile: look again. */
static int remove_round(struct removal *r, struct err *e)
{
	CLEANUP_INVENTORY struct inventory v = {0};
	int result = inventory_read(r->store, &v, e);
	if (result < 0)
		return result;
	const struct inventory_node *n = inventory_node(&v, r->name);
	if (!n)
		return r->began ? 1 : no_node(r, &v, e);
	if (r->began && n->status_revision && n->agent != AGENT_NEVER)
		return came_back(r, e);
	if (!r->began) {
		result = removal_check(r, n, e);
		r->was_there = r->was_there || n->revision ||
			       (n->status_revision && n->agent != AGENT_NEVER);
	}
	if (result == 0 && n->n_blocks && !n->status_revision) {
		result = write_removal(r, e);
		return result < 0 ? result : 0; /* and the blocks are read behind it */
	}
	if (result == 0)
		result = delete_node(r, n, e);
	if (result <= 0)
		return result;
	r->began = true;
	return change_blocks(r, &v, e);
}

static int remove_node(struct removal *r, struct err *e)
{
	for (int round = 0; round < ROUNDS; round++) {
		int result = remove_round(r, e);
		if (result != 0)
			return result < 0 ? result : delete_index(r, e);
	}
	return err_set(
		e, EAGAIN, "the documents of node %s change all the time; try again", r->name);
}

/* ---- The command ---- */

static void print_json(const struct removal *r)
{
	json_t *o = json_object(), *blocks = json_array();
	for (size_t i = 0; i < r->n_done; i++)
		json_append(blocks, json_of_cidr(&r->done[i]));
	json_put(o, "removed", json_of_text(r->name));
	json_put(o, r->powered_off ? "freed" : "quarantined", blocks);
	output_json(o);
}

static void print_text(const struct removal *r)
{
	bool finished = !r->was_there && r->n_done == 0;
	(void)printf("node %s %s\n", r->name, finished ? "was removed already" : "removed");
	for (size_t i = 0; i < r->n_done; i++) {
		(void)printf("  %s %s\n", CIDR_STRING(&r->done[i]),
			r->powered_off ? "is free" : "is quarantined");
	}
	if (r->n_done == 0 || r->powered_off)
		return;
	(void)printf(
		"%s for the agent of %s; if that machine is off for good: roostctl node remove "
		"%s --force --powered-off\n",
		COUNT_STRING(r->n_done, "block waits", "blocks wait"), r->name, r->name);
}

int nodes_remove(const struct options *o)
{
	struct err e = {0};
	CLEANUP_STORE struct store *s = NULL;
	struct removal r = {
		.name = o->operands[0],
		.force = o->given & OPTION_FORCE,
		.powered_off = o->given & OPTION_POWERED_OFF,
	};
	if (r.powered_off && !r.force)
		return output_usage(o->command, "--powered-off needs --force");
	if (!text_is_dns_name(r.name))
		return output_complain(
			"\"%.60s\" is no name of a node: lower case letters, digits, - and .",
			r.name);
	if (config_open_store(o, &s, &e) < 0)
		return output_error(&e);
	r.store = s;
	keys_resource(RESOURCE_NODE, r.name, r.node_key);
	keys_status(r.name, r.status_key);
	int result = remove_node(&r, &e);
	int status = result < 0 ? output_error(&e) : 0;
	if (result == 0 && o->json)
		print_json(&r);
	else if (result == 0)
		print_text(&r);
	free(r.done);
	return status;
}
