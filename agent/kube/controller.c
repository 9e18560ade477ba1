/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every few seconds the names of the store (Node documents, owners of blocks, borrowers) are compared with those of
 * Kubernetes: what is there no more is a candidate, whose status is read from time to time. The uid
 * that each agent wrote into its status is compared once with Kubernetes' one, and again when that
 * changes: a name whose machine was replaced is a candidate, too. At first all statuses are read by one list.
 *
 * A candidate goes in the order that the removal wants: its Node document is read, then its status
 * afresh [N0], which is judged once more, then all loans afresh [R2], and its blocks from the replica [R1]; then
 * the writes follow one by one. When any of this does not end well the candidate is looked at again later.
 */
#include "agent/kube/controller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kube/candidate.h"
#include "agent/kube/handover.h"
#include "cluster/keys.h"
#include "cluster/loan.h"
#include "cluster/node_removal.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define SCAN_MS 5000
#define LOOK_MS 10000
#define WRITE_MS 5000

/* What a read that is under way is for. */
enum question {
	ASK_NOTHING,
	ASK_ALL,      /* of all nodes: whose status it is */
	ASK_UID,      /* of any node: whose status it is */
	ASK_STATUS,   /* of a candidate */
	ASK_HEIR,     /* of one: whether another machine waits for the name */
	ASK_DOCUMENT, /* of one that goes */
	ASK_AGAIN,    /* its status, N0 */
	ASK_LOANS,    /* of all nodes, R2 */
};

struct controller {
	struct candidate *v;
	size_t n, room;
	int64_t scan_ms, list_ms;
	bool listed; /* all statuses were read once */
	enum question question;
	char about[RESOURCE_NAME];
	uint64_t id; /* of the read or the write under way; 0: none */
	bool removes;
	int64_t node_revision;
	struct loan *loans; /* as far as they were told; heap */
	size_t n_loans, room_loans;
	struct node_removal removal;
	struct handover inherited; /* of nodes that were not met yet */
	struct problems problems;
	bool has_news; /* of them */
};

struct controller *controller_new(void)
{
	return mem_new(1, sizeof(struct controller));
}

static void forget_removal(struct controller *c)
{
	if (c->removes)
		node_removal_done(&c->removal);
	c->removes = false;
}

void controller_rest(struct controller *c)
{
	forget_removal(c);
	c->id = 0;
	c->question = ASK_NOTHING;
	c->n = 0;
	c->scan_ms = c->list_ms = 0;
	c->listed = false;
	c->inherited.n = 0;
	c->has_news |= c->problems.total > 0;
	c->problems = (struct problems){0};
}

void controller_free(struct controller *c)
{
	if (!c)
		return;
	controller_rest(c);
	free(c->v);
	free(c->loans);
	free(c);
}

const struct problems *controller_problems(const struct controller *c)
{
	return &c->problems;
}

bool controller_has_news(struct controller *c)
{
	bool news = c->has_news;
	c->has_news = false;
	return news;
}

static struct candidate *find(const struct controller *c, const char *node)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].node, node) == 0)
			return &c->v[i];
	return NULL;
}

static void drop(struct controller *c, const char *node)
{
	struct candidate *found = find(c, node);
	if (found)
		*found = c->v[--c->n];
}

static void add(struct controller *c, const char *node, bool replaced, int64_t now_ms)
{
	struct candidate *is = find(c, node);
	if (is && is->replaced == replaced)
		return;
	drop(c, node);
	c->v = mem_grow(c->v, &c->room, c->n, sizeof(*c->v));
	struct candidate *x = &c->v[c->n++];
	const struct handover_entry *before = handover_find(&c->inherited, node);
	candidate_init(x, node, replaced, now_ms);
	if (before && before->replaced == replaced)
		candidate_inherit(x, before->uid, before->seconds * 1000);
	handover_drop(&c->inherited, node);
}

void controller_inherit(struct controller *c, const json_t *lease)
{
	handover_read(&c->inherited, lease);
}

void controller_bequeath(const struct controller *c, json_t *lease, int64_t now_ms)
{
	CLEANUP_FREE struct handover *all = mem_new(1, sizeof(*all));
	*all = c->inherited;
	for (size_t i = 0; i < c->n; i++) {
		const struct candidate *x = &c->v[i];
		if (!candidate_is_believed(x))
			continue;
		struct handover_entry e = {
			.replaced = x->replaced, .seconds = (now_ms - x->since_ms) / 1000};
		(void)text_copy(e.node, sizeof(e.node), x->node);
		(void)text_copy(e.uid, sizeof(e.uid), x->uid);
		handover_add(all, &e);
	}
	handover_write(all, lease);
}

/* ---- Which names ---- */

/* What an earlier holder saw, and is not so any more. */
static void forget_those_that_are_back(struct controller *c, const struct controller_input *in)
{
	for (size_t i = 0; i < c->inherited.n;) {
		const struct handover_entry *e = &c->inherited.v[i];
		const struct roster_entry *is = roster_find(in->nodes, e->node);
		if (is ? e->replaced && !is->checked : !e->replaced)
			i++;
		else
			handover_drop(&c->inherited, e->node);
	}
}

/* A removal has something to do with it. What people quarantined stays so. */
static bool is_open(const struct replica *r, const struct replica_block *b)
{
	if (b->state != BLOCK_QUARANTINED)
		return true;
	for (size_t i = 0; b->free_after_loans && i < r->n_loans; i++)
		if (cidr_contains(&b->cidr, &r->loans[i].doc.addr.addr))
			return false;
	return b->free_after_loans;
}

static void scan(struct controller *c, const struct controller_input *in)
{
	const struct replica *r = in->replica;
	forget_those_that_are_back(c, in);
	for (size_t i = 0; i < c->n;) {
		bool is_there = roster_find(in->nodes, c->v[i].node) != NULL;
		if (is_there != c->v[i].replaced)
			c->v[i] = c->v[--c->n]; /* it is back, or deleted now */
		else
			c->v[i++].has_open_blocks = false;
	}
	for (size_t i = 0; i < r->n_nodes; i++)
		if (!roster_find(in->nodes, r->nodes[i].name))
			add(c, r->nodes[i].name, false, in->now_ms);
	for (size_t i = 0; i < r->n_blocks; i++) {
		const struct replica_block *b = &r->blocks[i];
		if (!b->node || roster_find(in->nodes, b->node))
			continue;
		add(c, b->node, false, in->now_ms);
		find(c, b->node)->has_open_blocks |= is_open(r, b);
	}
	for (size_t i = 0; i < r->n_loans; i++) {
		const struct loan *l = &r->loans[i].doc;
		if (l->state == LOAN_QUARANTINED || roster_find(in->nodes, l->borrower))
			continue;
		add(c, l->borrower, false, in->now_ms);
		find(c, l->borrower)->has_open_blocks = true;
	}
}

static void name_candidates(struct controller *c, const struct controller_input *in)
{
	struct problems before = c->problems;
	c->problems = (struct problems){0};
	for (size_t i = 0; i < c->n; i++) {
		const struct candidate *x = &c->v[i];
		char key[RESOURCE_NAME + 16];
		(void)snprintf(key, sizeof(key), "deleted node %s", x->node);
		if (candidate_judge(x, in->grace_ms, in->now_ms) == CANDIDATE_LIVES)
			problems_add_as(&c->problems, key,
				"node %.60s %s in Kubernetes, but its agent (host %.40s) lives: it "
				"keeps its blocks; stop roostd there, or restart kubelet there so "
				"that the Node comes back",
				x->node, x->replaced ? "is another machine" : "was deleted",
				*x->host ? x->host : "of unknown name");
	}
	c->has_news |= memcmp(&before, &c->problems, sizeof(before)) != 0;
}

/* ---- Reading ---- */

static void ask(
	struct controller *c, const struct controller_input *in, enum question q, const char *node)
{
	char key[STORE_KEY_MAX];
	(void)text_copy(c->about, sizeof(c->about), node);
	c->question = q;
	if (q == ASK_HEIR)
		keys_newcomer(node, key);
	else if (q == ASK_DOCUMENT)
		keys_resource(RESOURCE_NODE, node, key);
	else
		keys_status(node, key);
	c->id = store_start_get(in->store, key);
}

/* The uid of the Node that an agent had, or STATUS_NO_NODE; "" it is not in Kubernetes. */
static void read_uid(const char *text, char *out, size_t size)
{
	struct status s;
	struct err ignored; /* of nobody's making: it has none */
	out[0] = '\0';
	if (!text || status_parse(text, &s, &ignored) < 0)
		return;
	(void)text_copy(out, size, s.node_uid);
	status_done(&s);
}

static bool has_uid(const struct controller_input *in, const char *node, const char *text)
{
	char uid[sizeof(((struct status *)0)->node_uid)];
	const struct roster_entry *e = roster_find(in->nodes, node);
	read_uid(text, uid, sizeof(uid));
	return e && *uid && strcmp(uid, e->uid) == 0;
}

static void take_uid(
	struct controller *c, const struct controller_input *in, const char *node, const char *text)
{
	char uid[sizeof(((struct status *)0)->node_uid)];
	struct roster_entry *e = roster_find(in->nodes, node);
	read_uid(text, uid, sizeof(uid));
	if (!e)
		return;
	e->checked = true;
	if (*uid && strcmp(uid, e->uid) != 0)
		add(c, node, true, in->now_ms);
}

/* Of a cluster of thousands that were as many requests; nodes that come later are asked for one by one. */
static void ask_all(struct controller *c, const struct controller_input *in)
{
	c->list_ms = in->now_ms + LOOK_MS; /* if this one fails */
	c->about[0] = '\0';
	c->question = ASK_ALL;
	c->id = store_start_list(in->store, KEYS_STATUS);
}

static void take_all(
	struct controller *c, const struct controller_input *in, const struct store_event *ev)
{
	char node[RESOURCE_NAME];
	if (ev->kind == STORE_PUT && keys_parse_status(ev->key, node))
		take_uid(c, in, node, ev->value);
	if (ev->kind != STORE_CURRENT && ev->kind != STORE_FAILED)
		return;
	c->id = 0;
	c->question = ASK_NOTHING;
	c->listed = ev->kind == STORE_CURRENT;
	if (!c->listed)
		log_debug("the statuses of all nodes are not read yet: %s", ev->what);
}

/* Once. */
static void say_that_it_waits(const struct controller_input *in, struct candidate *x)
{
	int64_t left_ms = in->grace_ms - (in->now_ms - x->since_ms);
	if (x->said || !candidate_is_believed(x) ||
		candidate_judge(x, in->grace_ms, in->now_ms) != CANDIDATE_WAITS)
		return;
	log_info("node %s %s in Kubernetes: it is removed in %lld s if the Node does not "
		 "come back and its agent is silent",
		x->node, x->replaced ? "is another machine" : "was deleted",
		(long long)(left_ms > 0 ? left_ms / 1000 : 0));
	x->said = true;
}

static void take_status(struct controller *c, const struct controller_input *in,
	struct candidate *x, const struct store_event *ev)
{
	candidate_note(x, ev->value, ev->kind == STORE_PUT ? ev->revision : 0, in->now_ms);
	x->look_ms = in->now_ms + LOOK_MS;
	say_that_it_waits(in, x);
	if (x->replaced && has_uid(in, x->node, ev->value))
		drop(c, x->node); /* the machine that has the name now runs its agent */
	else if (x->replaced)
		ask(c, in, ASK_HEIR, x->node);
	else if (candidate_judge(x, in->grace_ms, in->now_ms) == CANDIDATE_GOES)
		ask(c, in, ASK_DOCUMENT, x->node);
}

/* ---- Removing ---- */

/* [R1] */
static size_t list_blocks(const struct replica *r, const char *node, struct block *out)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_blocks; i++) {
		const struct replica_block *b = &r->blocks[i];
		if (!b->node || strcmp(b->node, node) != 0)
			continue;
		out[n] = (struct block){
			.cidr = b->cidr,
			.state = b->state,
			.free_after_loans = b->free_after_loans,
			.revision = b->revision,
		};
		(void)text_copy(out[n++].node, sizeof(out->node), node);
	}
	return n;
}

static const char *describe_blocks(const struct node_removal *r, char *out, size_t size)
{
	(void)snprintf(out, size, "its blocks are free (%zu)", r->n_done);
	if (r->n_lending) {
		size_t used = strlen(out);
		(void)snprintf(out + used, size - used,
			", but %zu in which other nodes use addresses", r->n_lending);
	}
	return out;
}

static void end_removal(struct controller *c, const struct candidate *x)
{
	char blocks[128];
	if (c->removal.step == NODE_REMOVAL_DONE)
		log_warning("node %s %s in Kubernetes and its agent is silent: it is removed; %s",
			c->about, x && x->replaced ? "is another machine" : "was deleted",
			describe_blocks(&c->removal, blocks, sizeof(blocks)));
	else
		log_warning("node %s was about to be removed, and has come back: %zu of its blocks "
			    "are free, the rest was left alone",
			c->about, c->removal.n_done);
	forget_removal(c);
	drop(c, c->about);
}

/* Its next write, or what comes instead. */
static void go_on(struct controller *c, const struct controller_input *in)
{
	const struct store_write *write = node_removal_next(&c->removal);
	c->question = ASK_NOTHING;
	if (write)
		c->id = store_start_write(in->store, write, WRITE_MS);
	else if (c->removal.step == NODE_REMOVAL_LOOK)
		ask(c, in, ASK_DOCUMENT, c->about);
	else
		end_removal(c, find(c, c->about));
}

/* [N0] */
static void take_again(struct controller *c, const struct controller_input *in, struct candidate *x,
	const struct store_event *ev)
{
	candidate_note(x, ev->value, ev->kind == STORE_PUT ? ev->revision : 0, in->now_ms);
	bool began = c->removes && c->removal.began;
	if (!began && candidate_judge(x, in->grace_ms, in->now_ms) != CANDIDATE_GOES) {
		forget_removal(c);
		return;
	}
	c->n_loans = 0;
	c->question = ASK_LOANS;
	c->id = store_start_list(in->store, KEYS_LOANS);
}

/* [R2] One that cannot be read is of nobody, and counts. */
static void take_loan(struct controller *c, const struct store_event *ev)
{
	struct loan l = {.state = LOAN_QUARANTINED, .revision = ev->revision};
	struct err ignored;
	if (!keys_parse_loan(ev->key, l.borrower, &l.addr))
		return;
	if (ev->value)
		(void)loan_parse(ev->key, ev->value, ev->revision, &l, &ignored);
	c->loans = mem_grow(c->loans, &c->room_loans, c->n_loans, sizeof(*c->loans));
	c->loans[c->n_loans++] = l;
}

static void begin_writes(
	struct controller *c, const struct controller_input *in, const struct candidate *x)
{
	CLEANUP_FREE struct block *blocks = mem_new(in->replica->n_blocks + 1, sizeof(*blocks));
	const struct node_removal_look seen = {
		.status_revision = x->revision,
		.node_revision = c->node_revision,
		.is_agent = x->is_agent,
		.blocks = blocks,
		.n_blocks = list_blocks(in->replica, x->node, blocks),
		.loans = c->loans,
		.n_loans = c->n_loans,
	};
	if (!c->removes)
		node_removal_init(&c->removal, x->node, true);
	c->removes = true;
	node_removal_take(&c->removal, &seen);
	go_on(c, in);
}

/* ---- Events ---- */

static void take_answer(
	struct controller *c, const struct controller_input *in, const struct store_event *ev)
{
	struct candidate *x = find(c, c->about);
	enum question q = c->question;
	c->question = ASK_NOTHING;
	if (q == ASK_UID) {
		take_uid(c, in, c->about, ev->value);
	} else if (!x) {
		forget_removal(c); /* it is back in Kubernetes */
	} else if (q == ASK_STATUS) {
		take_status(c, in, x, ev);
	} else if (q == ASK_HEIR) {
		x->has_heir = has_uid(in, x->node, ev->value);
		if (candidate_judge(x, in->grace_ms, in->now_ms) == CANDIDATE_GOES)
			ask(c, in, ASK_DOCUMENT, x->node);
	} else if (q == ASK_DOCUMENT) {
		c->node_revision = ev->kind == STORE_PUT ? ev->revision : 0;
		ask(c, in, ASK_AGAIN, x->node);
	} else if (q == ASK_AGAIN) {
		take_again(c, in, x, ev);
	} else if (q == ASK_LOANS) {
		begin_writes(c, in, x);
	}
}

bool controller_take(
	struct controller *c, const struct store_event *ev, const struct controller_input *in)
{
	if (!c->id || ev->id != c->id)
		return false;
	if (c->question == ASK_ALL) {
		take_all(c, in, ev);
		return true;
	}
	if (c->question == ASK_LOANS && (ev->kind == STORE_RESTART || ev->kind == STORE_PUT)) {
		if (ev->kind == STORE_PUT)
			take_loan(c, ev);
		else
			c->n_loans = 0;
		return true;
	}
	c->id = 0;
	if (ev->kind == STORE_FAILED) {
		log_debug("node %s is not removed yet: %s", c->about, ev->what);
		forget_removal(c);
		c->question = ASK_NOTHING;
	} else if (c->question != ASK_NOTHING) {
		take_answer(c, in, ev);
	} else if (c->removes) {
		node_removal_wrote(&c->removal, ev->kind == STORE_DONE);
		go_on(c, in);
	}
	return true;
}

static void ask_next(struct controller *c, const struct controller_input *in)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].look_ms <= in->now_ms) {
			c->v[i].look_ms = in->now_ms + LOOK_MS;
			ask(c, in, ASK_STATUS, c->v[i].node);
			return;
		}
	if (!c->listed) {
		if (in->now_ms >= c->list_ms)
			ask_all(c, in);
		return;
	}
	for (size_t i = 0; i < in->nodes->n; i++)
		if (!in->nodes->v[i].checked && replica_node(in->replica, in->nodes->v[i].name)) {
			ask(c, in, ASK_UID, in->nodes->v[i].name);
			return;
		}
}

void controller_step(struct controller *c, const struct controller_input *in)
{
	if (in->now_ms >= c->scan_ms && !c->removes) {
		c->scan_ms = in->now_ms + SCAN_MS;
		scan(c, in);
		name_candidates(c, in);
	}
	if (!c->id)
		ask_next(c, in);
}
