/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl node remove: the judgement that the node does not live, and that it may go with what it has;
 * then the steps of cluster/node_removal.h, whose order is what makes it safe.
 */
#include "cli/commands.h"
#include "cli/commit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/inventory.h"
#include "lib/json.h"
#include "cli/output.h"
#include "cli/config.h"
#include "cluster/keys.h"
#include "cluster/node_removal.h"
#include "lib/boot.h"
#include "lib/text.h"

#define ROUNDS 10

struct removal {
	struct store *store;
	const char *name;
	bool force, powered_off;
	bool was_there; /* it had a Node document or a status */
	struct node_removal steps;
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
	if ((n->n_blocks == 0 && n->n_borrowed == 0) || r->force)
		return 0;
	if (n->n_blocks)
		(void)err_set(e, EBUSY, "node %s still has %s", n->name,
			COUNT_STRING(n->n_blocks, "block", "blocks"));
	else
		(void)err_set(e, EBUSY, "node %s still uses %s of other nodes' blocks", n->name,
			COUNT_STRING(n->n_borrowed, "address", "addresses"));
	err_details(e,
		"if it can be started: let it drain (roostctl node drain %s); if not: --force "
		"quarantines them until it comes back, --force --powered-off frees them if it "
		"never does",
		n->name);
	return -EBUSY;
}

/* ---- The steps ---- */

/* What earlier versions kept beside the blocks. */
static int delete_index(const struct removal *r, struct err *e)
{
	char prefix[STORE_KEY_MAX];
	struct store_doc *docs = NULL;
	size_t n = 0;
	keys_old_index(r->name, prefix);
	int result = config_list(r->store, prefix, &docs, &n, e);
	for (size_t i = 0; i < n && result >= 0; i++)
		result = commit_write(r->store, docs[i].key, docs[i].revision, NULL, e);
	store_docs_free(docs, n);
	return result < 0 ? result : 0;
}

/* Its pods, as far as network policies know of them. */
static int delete_endpoints(const struct removal *r, struct err *e)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	int result = config_list(r->store, KEYS_ENDPOINTS, &docs, &n, e);
	for (size_t i = 0; i < n && result >= 0; i++)
		if (keys_is_endpoint_of(docs[i].key, r->name))
			result = commit_write(r->store, docs[i].key, docs[i].revision, NULL, e);
	store_docs_free(docs, n);
	return result < 0 ? result : 0;
}

static int delete_rest(const struct removal *r, struct err *e)
{
	int result = delete_index(r, e);
	return result < 0 ? result : delete_endpoints(r, e);
}

static int came_back(const struct removal *r, struct err *e)
{
	(void)err_set(e, EBUSY, "node %s has come back: it registered itself again", r->name);
	err_details(e, "%s %s before; the rest was left alone",
		COUNT_STRING(r->steps.n_done, "block was", "blocks were"),
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
	struct node_removal *s = &r->steps;
	const struct store_write *write;
	int result = inventory_read(r->store, &v, e);
	if (result < 0)
		return result;
	const struct inventory_node *n = inventory_node(&v, r->name);
	if (!n)
		return s->began ? 1 : no_node(r, &v, e);
	if (!s->began) {
		result = removal_check(r, n, e);
		r->was_there = r->was_there || n->revision ||
			       (n->status_revision && n->agent != AGENT_NEVER);
	}
	if (result < 0)
		return result;
	node_removal_take(s, &(struct node_removal_look){
				     .status_revision = n->status_revision,
				     .node_revision = n->revision,
				     .is_agent = n->agent != AGENT_NEVER,
				     .blocks = v.blocks,
				     .n_blocks = v.n_blocks,
				     .loans = v.loans,
				     .n_loans = v.n_loans,
			     });
	while (result >= 0 && (write = node_removal_next(s))) {
		result = config_write(r->store, write, e);
		if (result >= 0)
			node_removal_wrote(s, result > 0);
	}
	if (result >= 0 && s->step == NODE_REMOVAL_BACK)
		return came_back(r, e);
	return result < 0 ? result : s->step == NODE_REMOVAL_DONE;
}

static int remove_node(struct removal *r, struct err *e)
{
	for (int round = 0; round < ROUNDS; round++) {
		int result = remove_round(r, e);
		if (result != 0)
			return result < 0 ? result : delete_rest(r, e);
	}
	return err_set(
		e, EAGAIN, "the documents of node %s change all the time; try again", r->name);
}

/* ---- The command ---- */

static void print_json(const struct removal *r)
{
	json_t *o = json_object(), *blocks = json_array();
	for (size_t i = 0; i < r->steps.n_done; i++)
		json_append(blocks, json_of_cidr(&r->steps.done[i]));
	json_put(o, "removed", json_of_text(r->name));
	json_put(o, r->powered_off ? "freed" : "quarantined", blocks);
	output_json(o);
}

static void print_loans(const struct removal *r)
{
	const struct node_removal *s = &r->steps;
	if (s->n_loans)
		(void)printf("  %s of other nodes' blocks %s %s\n",
			COUNT_STRING(s->n_loans, "address", "addresses"),
			s->n_loans == 1 ? "is" : "are", r->powered_off ? "free" : "quarantined");
	if (s->n_lending)
		(void)printf("  %s quarantined, as other nodes use single addresses of %s; when "
			     "they do no more (roostctl node list): the same command again\n",
			COUNT_STRING(s->n_lending, "block is", "blocks are"),
			s->n_lending == 1 ? "it" : "them");
}

static void print_text(const struct removal *r)
{
	bool finished = !r->was_there && r->steps.n_done == 0 && r->steps.n_loans == 0;
	(void)printf("node %s %s\n", r->name, finished ? "was removed already" : "removed");
	for (size_t i = 0; i < r->steps.n_done; i++) {
		(void)printf("  %s %s\n", CIDR_STRING(&r->steps.done[i]),
			r->powered_off ? "is free" : "is quarantined");
	}
	print_loans(r);
	if (r->steps.n_done == 0 || r->powered_off)
		return;
	(void)printf(
		"%s for the agent of %s; if that machine is off for good: roostctl node remove "
		"%s --force --powered-off\n",
		COUNT_STRING(r->steps.n_done, "block waits", "blocks wait"), r->name, r->name);
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
	node_removal_init(&r.steps, r.name, r.powered_off);
	int result = remove_node(&r, &e);
	int status = result < 0 ? output_error(&e) : 0;
	if (result == 0 && o->json)
		print_json(&r);
	else if (result == 0)
		print_text(&r);
	node_removal_done(&r.steps);
	return status;
}
