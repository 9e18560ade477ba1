/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that lost documents. Deletions are an operator's right, one by one; what nobody does on
 * purpose is that a list begins again and the store is another one (its id), that it went back (its
 * revision), or that our own Node document is gone: a node remove refuses living nodes, so this one
 * was cut off and removed, or somebody deleted much. After a start, when nothing was seen before,
 * the blocks of the node states and the file of the data folder are what there was.
 *
 * Being suspicious alone holds nothing up: a store that was restored completely is used at once, but
 * for a moment in which the other agents enter their nodes again. What is missing holds: a pool
 * around a block in use, the blocks of pods, a node that there was. The agent enters its own again
 * meanwhile (agent/reconcile.c), so a store that was restored to an earlier state mends itself, and
 * an empty one as soon as its pools are applied. A node that is missing may be one that is only cut
 * off, whose pods are reached by the routes that stand: whether it is gone is for people to say.
 */
#include "agent/store_loss.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "store/store.h"

#define SETTLE_MS 3000 /* other agents enter their nodes again, and the second list comes */
#define NAMES_SHOWN 2

void store_loss_done(struct store_loss *l)
{
	free(l->nodes);
	free(l->self);
	*l = (struct store_loss){0};
}

static void suspect(struct store_loss *l, int64_t now_ms)
{
	if (!l->since_ms)
		l->since_ms = now_ms;
}

void store_loss_hear(struct store_loss *l, const struct store_event *ev, int64_t now_ms)
{
	if (ev->kind == STORE_RESTART) {
		bool other = l->id && ev->store_id && ev->store_id != l->id;
		bool back = ev->revision < l->revision;
		if (other && ev->store_id != l->now_id)
			l->accepted = false; /* that was about another one */
		if (other || back)
			suspect(l, now_ms);
		if (back && !l->before)
			l->before = l->revision;
		l->now_id = ev->store_id;
		l->revision = ev->revision;
	} else if (ev->revision > l->revision) {
		l->revision = ev->revision;
	}
}

static size_t count_pools(const struct replica *r)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_items; i++)
		n += r->items[i]->resource.kind == RESOURCE_IPPOOL &&
		     !r->items[i]->resource.pool.balancer;
	return n;
}

static bool has_pool_around(const struct replica *r, const struct cidr *block)
{
	for (size_t i = 0; i < r->n_items; i++) {
		const struct resource *res = &r->items[i]->resource;
		if (res->kind == RESOURCE_IPPOOL &&
			cidr_contains(&res->pool.pool.cidr, &block->addr))
			return true;
	}
	return false;
}

static bool lost_much(const struct store_loss *l, const struct store_loss_input *in)
{
	if (in->is_start)
		return count_pools(in->replica) == 0 && in->had_pools && in->states->n_blocks > 0;
	return l->self && !in->replica->self;
}

/* What the store says of others may be older than what this node knows. */
static bool is_older(const struct store_loss *l)
{
	return l->before || (l->id && l->now_id && l->id != l->now_id);
}

static bool is_used(const struct node_block *b)
{
	return b->used > 0 || b->quarantined > 0;
}

/* What is missing of this node's own; "" nothing. */
static void find_missing_block(
	const struct store_loss *l, const struct store_loss_input *in, char out[128])
{
	for (size_t i = 0; i < in->states->n_blocks; i++) {
		const struct node_block *b = &in->states->blocks[i].in;
		const struct replica_block *doc = replica_block(in->replica, &b->cidr);
		const char *text = CIDR_STRING(&b->cidr);
		if (!is_used(b) || b->disowned)
			continue;
		if (!has_pool_around(in->replica, &b->cidr))
			(void)snprintf(out, 128, "lacks the IPPool of block %s", text);
		else if (b->loan && !replica_loan(in->replica, &b->cidr, in->node))
			(void)snprintf(out, 128, "lacks the loan of address %s",
				ADDR_STRING(&b->cidr.addr));
		else if (!doc && !b->loan)
			(void)snprintf(out, 128, "lacks block %s", text);
		else if (is_older(l) && doc && doc->node && strcmp(doc->node, in->node) != 0)
			(void)snprintf(
				out, 128, "has block %s as that of node %.40s", text, doc->node);
		else
			continue;
		return;
	}
}

static void find_missing_nodes(
	const struct store_loss *l, const struct store_loss_input *in, char out[128])
{
	size_t missing = 0;
	struct text t = {.buf = out, .size = 128};
	for (size_t at = 0; at < l->nodes_len; at += strlen(l->nodes + at) + 1) {
		const char *name = l->nodes + at;
		if (strcmp(name, in->node) == 0 || replica_node(in->replica, name))
			continue;
		if (missing++ < NAMES_SHOWN)
			text_add(&t, "%s%.30s", missing > 1 ? ", " : "lacks nodes ", name);
	}
	if (missing > NAMES_SHOWN)
		text_add(&t, " and %zu more", missing - NAMES_SHOWN);
}

static void say_why(struct store_loss *l, const struct store_loss_input *in, const char *missing)
{
	char what[96];
	if (l->id && l->now_id && l->id != l->now_id)
		(void)snprintf(what, sizeof(what),
			"is another store (id %" PRIx64 ", was %" PRIx64 ")", l->now_id, l->id);
	else if (l->before)
		(void)snprintf(what, sizeof(what),
			"went back from revision %" PRId64 " to %" PRId64, l->before, l->revision);
	else
		(void)snprintf(what, sizeof(what), "lost documents");
	(void)snprintf(l->why, sizeof(l->why),
		"%.40s %s and %s: all stays as it is; restore a backup, apply the manifests, or, "
		"to use it as it is: roostctl store accept",
		in->url, what, missing);
}

bool store_loss_judge(struct store_loss *l, const struct store_loss_input *in)
{
	char missing[128] = "";
	if (!l->holds && !l->since_ms && !lost_much(l, in))
		return false;
	suspect(l, in->now_ms);
	if (count_pools(in->replica) == 0 && in->had_pools)
		(void)snprintf(missing, sizeof(missing), "has no IPPool");
	if (!*missing)
		find_missing_block(l, in, missing);
	if (!*missing)
		find_missing_nodes(l, in, missing);
	bool settles = in->now_ms - l->since_ms < SETTLE_MS;
	l->holds = (*missing || settles) && !l->accepted;
	if (*missing)
		say_why(l, in, missing);
	else
		l->why[0] = '\0';
	return l->holds;
}

static void keep_self(struct store_loss *l, const struct replica *r)
{
	if (l->self && l->self_revision == r->self_revision)
		return;
	free(l->self);
	l->self = r->self ? json_text(r->self) : NULL;
	l->self_revision = r->self_revision;
}

void store_loss_note(struct store_loss *l, const struct replica *r)
{
	size_t len = 0;
	for (size_t i = 0; i < r->n_nodes; i++)
		len += strlen(r->nodes[i].name) + 1;
	free(l->nodes);
	l->nodes = mem_new(len + 1, 1);
	l->nodes_len = len;
	char *at = l->nodes;
	for (size_t i = 0; i < r->n_nodes; i++)
		at = stpcpy(at, r->nodes[i].name) + 1;
	keep_self(l, r);
	l->id = l->now_id;
	l->since_ms = 0;
	l->before = 0;
	l->holds = false;
	l->accepted = false;
	l->why[0] = '\0';
}
