/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl node remove. The order is what makes it safe, at whatever step it is killed:
 *
 * 1. One transaction deletes the Node document and the status, if both are as they were when the
 *    node was judged to be gone. An agent that lives after all has written a heartbeat since, so it
 *    does not happen. From here on the other nodes drop the sessions with it and its routes.
 * 2. Its blocks are quarantined, or with --powered-off deleted, in batches that each compare that
 *    there is still neither Node document nor status. An agent that comes back in between registers
 *    first: the next batch fails, and nothing more is taken from it.
 *
 * So a block can be claimed by another node only after the Node document was gone: in the other
 * order two nodes would announce one block for a moment. What a killed removal leaves is blocks
 * of a node that has no document: `node list` shows it with a note, nobody can claim them, and
 * the same command again goes on at step 2.
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
#include "lib/boot.h"
#include "lib/mem.h"
#include "lib/text.h"

#define BATCH 30 /* blocks: two changes each, and two comparisons for all */
#define ROUNDS 10

_Static_assert(2 * BATCH <= STORE_TXN_MAX && BATCH + 2 <= STORE_TXN_MAX, "a batch must fit");

struct removal {
	struct store *store;
	const char *name;
	bool force, powered_off;
	bool was_there; /* it had a Node document or a status */
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

/* ---- Step 1: the node ---- */

/* 1 done, 0 somebody wrote meanwhile. */
static int delete_node(const struct removal *r, const struct inventory_node *n, struct err *e)
{
	CLEANUP_COMMIT struct commit c = {.n = 0};
	if (n->revision == 0 && n->status_revision == 0)
		return 1; /* an earlier removal came that far */
	(void)commit_add(&c, r->node_key, n->revision, NULL);
	(void)commit_add(&c, r->status_key, n->status_revision, NULL);
	return commit_run(&c, r->store, e);
}

/* ---- Step 2: its blocks ---- */

struct batch {
	struct store_compare compares[BATCH + 2];
	struct store_change changes[2 * BATCH];
	struct block_txn blocks[BATCH];
	const struct block *of[BATCH];
	size_t n;
};

/* Blocks that are quarantined already have nothing to be done but to be freed. */
static void batch_fill(struct batch *b, const struct removal *r, const struct inventory *v)
{
	for (size_t i = 0; i < v->n_blocks && b->n < BATCH; i++) {
		const struct block *k = &v->blocks[i];
		bool is_done = !r->powered_off && k->state == BLOCK_QUARANTINED;
		if (strcmp(k->node, r->name) != 0 || is_done)
			continue;
		struct block_txn *t = &b->blocks[b->n];
		if (r->powered_off)
			block_txn_return(t, k);
		else
			block_txn_quarantine(t, k);
		b->compares[b->n] = t->compares[0];
		b->changes[2 * b->n] = t->changes[0];
		b->changes[2 * b->n + 1] = t->changes[1];
		b->of[b->n++] = k;
	}
}

/* 1: a batch was changed, 0: somebody wrote meanwhile, 2: nothing is left to do. */
static int change_blocks(struct removal *r, const struct inventory *v, struct err *e)
{
	CLEANUP_FREE struct batch *b = mem_new(1, sizeof(*b));
	batch_fill(b, r, v);
	if (b->n == 0)
		return 2;
	b->compares[b->n] = (struct store_compare){.key = r->node_key};
	b->compares[b->n + 1] = (struct store_compare){.key = r->status_key};
	const struct store_txn t = {
		.compares = b->compares,
		.n_compares = b->n + 2,
		.changes = b->changes,
		.n_changes = 2 * b->n,
	};
	int result = config_commit(r->store, &t, e);
	for (size_t i = 0; result > 0 && i < b->n; i++) {
		r->done = mem_grow(r->done, &r->room, r->n_done, sizeof(*r->done));
		r->done[r->n_done++] = b->of[i]->cidr;
	}
	return result;
}

static int came_back(const struct removal *r, struct err *e)
{
	(void)err_set(e, EBUSY, "node %s has come back: it registered itself again", r->name);
	err_details(e, "%s %s before; the rest was left alone",
		COUNT_STRING(r->n_done, "block was", "blocks were"),
		r->powered_off ? "freed" : "quarantined");
	return -EBUSY;
}

/* Looks afresh before each batch, so whatever somebody else does in between is seen. */
static int remove_blocks(struct removal *r, struct err *e)
{
	for (int rounds = 0; rounds < ROUNDS;) {
		CLEANUP_INVENTORY struct inventory v = {0};
		int result = inventory_read(r->store, &v, e);
		if (result < 0)
			return result;
		const struct inventory_node *n = inventory_node(&v, r->name);
		if (n && (n->revision || n->status_revision))
			return came_back(r, e);
		result = change_blocks(r, &v, e);
		if (result < 0 || result == 2)
			return result < 0 ? result : 0;
		rounds = result == 1 ? 0 : rounds + 1;
	}
	return err_set(e, EAGAIN, "the blocks of node %s change all the time; try again", r->name);
}

static int remove_node(struct removal *r, struct err *e)
{
	for (int round = 0; round < ROUNDS; round++) {
		CLEANUP_INVENTORY struct inventory v = {0};
		int result = inventory_read(r->store, &v, e);
		if (result < 0)
			return result;
		const struct inventory_node *n = inventory_node(&v, r->name);
		if (!n) {
			(void)err_set(e, ENOENT, "there is no node %s", r->name);
			inventory_add_meant(&v, RESOURCE_NODE, r->name, e);
			return -ENOENT;
		}
		result = removal_check(r, n, e);
		r->was_there = n->revision || n->status_revision;
		if (result == 0)
			result = delete_node(r, n, e);
		if (result != 0)
			return result < 0 ? result : remove_blocks(r, e);
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
