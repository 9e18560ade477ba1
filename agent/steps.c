/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a block plan, each on its own safe against a crash right after it: changes of the
 * node state are transactions there, changes of ownership are transactions in the store, and what
 * must survive a reboot is on the disk before a new block is used. Transactions end later; until
 * then a note says that they are under way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_impl.h"
#include "cluster/block_txn.h"
#include "lib/boot.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define COMMIT_MS 5000
#define CONFLICT_S 10	/* a block that somebody took is not tried again before */
#define RETRY_MS 2000	/* a store that takes no changes is asked again after so long */
#define TRUST_AFTER_S 3 /* the store may only be slow */
#define CLAIMED_S 5	/* the watch is expected to show a claim by then */

static void note(struct agent *a, const struct pending *n)
{
	a->pending = mem_grow(a->pending, &a->room_pending, a->n_pending, sizeof(*a->pending));
	a->pending[a->n_pending++] = *n;
}

static void drop_note(struct agent *a, size_t i)
{
	a->pending[i] = a->pending[--a->n_pending];
}

static size_t dir_of(const struct agent *a, const char *path)
{
	for (size_t i = 0; i < a->states.n_dirs; i++)
		if (strcmp(a->states.dirs[i].path, path) == 0)
			return i;
	return 0;
}

void agent_note_home(struct agent *a, const struct cidr *block, const char *dir)
{
	note(a, &(struct pending){.block = *block, .dir = dir_of(a, dir), .note = PENDING_HOME});
}

void agent_forget_notes(struct agent *a)
{
	int64_t now = agent_now_s();
	for (size_t i = a->n_pending; i-- > 0;)
		if (a->pending[i].until_s && a->pending[i].until_s <= now)
			drop_note(a, i);
}

static void forget_block(struct agent *a, const struct cidr *block)
{
	for (size_t i = a->n_pending; i-- > 0;)
		if (cidr_equal(&a->pending[i].block, block))
			drop_note(a, i);
}

static void forget_trouble(struct agent *a)
{
	a->commit_trouble[0] = '\0';
	a->trouble_of_block = false;
	agent_want_pass(a, true);
}

static struct pending *find_commit(struct agent *a, uint64_t id)
{
	for (size_t i = 0; i < a->n_pending; i++)
		if (a->pending[i].note == PENDING_UNDER_WAY && a->pending[i].id == id)
			return &a->pending[i];
	return NULL;
}

bool agent_end_commit(struct agent *a, const struct store_event *ev)
{
	struct pending *n = find_commit(a, ev->id);
	char text[CIDR_TEXT];
	if (!n)
		return false;
	cidr_format(&n->block, text);
	n->note = ev->kind != STORE_DONE      ? PENDING_CONFLICT
		  : n->verb == STEP_TAKE_BACK ? PENDING_TAKEN
					      : PENDING_CLAIMED;
	n->until_s = agent_now_s() + (ev->kind == STORE_DONE ? CLAIMED_S : CONFLICT_S);
	log_debug("block %s: %s", text,
		ev->kind == STORE_DONE	   ? "committed"
		: ev->kind == STORE_FAILED ? ev->what
					   : "conflict");
	return true;
}

/* A store that is full can still be read, so nothing else tells of it. Heartbeats are tried again
 * every second and so find out when it is over; but a small document may fit where a block does
 * not, so what a block met stands until one succeeds, or none is wanted any more. */
void agent_note_commit(struct agent *a, const struct store_event *ev)
{
	if (ev->kind != STORE_DONE && ev->kind != STORE_FAILED)
		return;
	bool of_block = find_commit(a, ev->id) != NULL;
	if (ev->kind == STORE_DONE) {
		if (*a->commit_trouble && (of_block || !a->trouble_of_block))
			forget_trouble(a);
		return;
	}
	if (!of_block && (a->trouble_of_block || store_trouble(a->store, NULL)))
		return;
	a->trouble_of_block = of_block;
	a->commit_failed_ms = agent_now_ms();
	a->commit_retry_at = a->commit_failed_ms + RETRY_MS;
	if (strcmp(a->commit_trouble, ev->what) == 0)
		return;
	(void)text_copy(a->commit_trouble, sizeof(a->commit_trouble), ev->what);
	agent_want_pass(a, true);
}

static void start(struct agent *a, const struct block_plan_step *s, const struct block_txn *t)
{
	note(a, &(struct pending){
			.block = s->block,
			.dir = s->dir,
			.note = PENDING_UNDER_WAY,
			.verb = s->verb,
			.id = store_start_commit(a->store, &t->txn, COMMIT_MS),
		});
}

static void start_transaction(struct agent *a, const struct block_plan_step *s)
{
	struct block_txn *t = mem_new(1, sizeof(*t));
	char text[CIDR_TEXT];
	cidr_format(&s->block, text);
	switch (s->verb) {
	case STEP_CLAIM:
		if (!a->trouble_of_block) /* else it is the same every few seconds */
			log_info("claiming block %s of pool %s", text, s->pool);
		block_txn_claim(t, &s->block, a->conf.node, s->pool, s->pool_revision);
		break;
	case STEP_TAKE_BACK:
		log_warning("taking block %s back, which was quarantined", text);
		block_txn_take_back(t, &s->doc);
		break;
	default:
		log_info("giving block %s back", text);
		block_txn_return(t, &s->doc);
		break;
	}
	start(a, s, t);
	free(t);
}

/* The change of a node state that a step asks for. */
static int change_state(struct agent *a, const struct block_plan_step *s, struct err *e)
{
	switch (s->verb) {
	case STEP_ADD:
		return node_states_add_block(&a->states, s->dir, &s->block, e);
	case STEP_DRAIN:
		return node_states_drain_block(&a->states, s->dir, &s->block, e);
	case STEP_DISOWN:
		return node_states_disown_block(&a->states, s->dir, &s->block, e);
	default:
		return node_states_drop_block(&a->states, s->dir, &s->block, e);
	}
}

static const char *verb_text(enum block_plan_verb v)
{
	static const char *const texts[] = {
		[STEP_ADD] = "is used from now on",
		[STEP_DRAIN] = "is idle and will be given back",
		[STEP_DISOWN] = "belongs to another node: nothing more is given from it",
		[STEP_DROP] = "is no longer this node's",
	};
	return texts[v];
}

/* 1: done, 0: not. A block that was taken into use meanwhile is no error. */
static int take_step(struct agent *a, const struct block_plan_step *s)
{
	struct err e;
	char text[CIDR_TEXT];
	cidr_format(&s->block, text);
	int r = change_state(a, s, &e);
	if (r == -EBUSY)
		return 0;
	if (r < 0) {
		problems_add(&a->problems, "block %s: %s", text, e.text);
		return 0;
	}
	log_info("block %s %s", text, verb_text(s->verb));
	forget_block(a, &s->block);
	return 1;
}

static void add_known(struct agent *a, struct lastknown *l, const struct cidr *block, size_t dir)
{
	struct lastknown_block *b = &l->blocks[l->n_blocks++];
	b->cidr = *block;
	(void)text_copy(b->state_dir, sizeof(b->state_dir), a->states.dirs[dir].path);
}

static bool is_known(const struct lastknown *l, const struct cidr *block)
{
	for (size_t i = 0; i < l->n_blocks; i++)
		if (cidr_equal(&l->blocks[i].cidr, block))
			return true;
	return false;
}

/* The blocks that the node states give from, and those that a plan is about to add. */
static void list_known(struct agent *a, const struct mirror *m, const struct block_plan *adding,
	struct lastknown *out)
{
	size_t n = a->states.n_blocks + (adding ? adding->n_steps : 0);
	*out = (struct lastknown){.mirror = *m};
	(void)text_copy(out->installation, sizeof(out->installation), a->known.installation);
	out->blocks = mem_new(n + 1, sizeof(*out->blocks));
	for (size_t i = 0; i < a->states.n_blocks; i++) {
		const struct node_states_block *b = &a->states.blocks[i];
		if (!b->in.disowned && !b->in.draining)
			add_known(a, out, &b->in.cidr, b->dir);
	}
	for (size_t i = 0; adding && i < adding->n_steps; i++)
		if (adding->steps[i].verb == STEP_ADD && !is_known(out, &adding->steps[i].block))
			add_known(a, out, &adding->steps[i].block, adding->steps[i].dir);
}

int agent_remember(
	struct agent *a, const struct mirror *m, const struct block_plan *adding, struct err *e)
{
	struct lastknown next;
	list_known(a, m, adding, &next);
	char *text = lastknown_format(&next);
	bool same = a->known_text && strcmp(text, a->known_text) == 0;
	int r = same ? 0 : lastknown_store(a->conf.data_dir, &next, e);
	if (same || r < 0) {
		free(text);
		lastknown_done(&next);
		return r;
	}
	free(a->known_text);
	a->known_text = text;
	lastknown_done(&a->known);
	a->known = next;
	return 0;
}

static bool is_transaction(enum block_plan_verb v)
{
	return v == STEP_CLAIM || v == STEP_RETURN || v == STEP_TAKE_BACK;
}

int agent_take_steps(struct agent *a, const struct block_plan *p, const struct mirror *m)
{
	struct err e;
	int changed = 0;
	bool rests = *a->commit_trouble && agent_now_ms() < a->commit_retry_at;
	bool wanted = false;
	int r = agent_remember(a, m, p, &e);
	a->disk_trouble[0] = '\0';
	if (r < 0) {
		(void)text_copy(a->disk_trouble, sizeof(a->disk_trouble), e.text);
		problems_add(&a->problems, "new blocks are not used, old ones not given back: %s",
			e.text);
	}
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct block_plan_step *s = &p->steps[i];
		if (r < 0 && (s->verb == STEP_ADD || s->verb == STEP_RETURN))
			continue; /* a reboot would believe the old file */
		wanted |= is_transaction(s->verb);
		if (!is_transaction(s->verb))
			changed |= take_step(a, s);
		else if (!rests)
			start_transaction(a, s);
	}
	if (a->trouble_of_block && !wanted && !rests)
		forget_trouble(a);
	return changed;
}

/* The routes of other nodes cannot be known; pods of this node start and reach each other, and
 * whatever the node's own routes lead to. */
void agent_trust(struct agent *a)
{
	int64_t since;
	struct err e;
	if (!a->conf.trust_last_blocks || a->has_trusted || replica_is_whole(&a->replica) ||
		!a->known.n_blocks || strcmp(a->known.mirror.node, a->conf.node) != 0 ||
		!store_trouble(a->store, &since) || agent_now_s() - since < TRUST_AFTER_S ||
		node_states_has_mirror(&a->states))
		return;
	a->has_trusted = true;
	(void)text_copy(a->known.mirror.socket, sizeof(a->known.mirror.socket), a->conf.socket);
	int r = node_states_put_mirror(&a->states, &a->known.mirror, &e);
	CLEANUP_FREE struct cidr *blocks = mem_new(a->known.n_blocks, sizeof(*blocks));
	for (size_t i = 0; i < a->known.n_blocks && r >= 0; i++) {
		const struct lastknown_block *b = &a->known.blocks[i];
		blocks[i] = b->cidr;
		r = node_states_add_block(&a->states, dir_of(a, b->state_dir), &b->cidr, &e);
	}
	if (r < 0) {
		log_error("the blocks of before the reboot cannot be used: %s", e.text);
		return;
	}
	log_warning("the cluster store cannot be reached since the start: using the %zu blocks "
		    "that this node had before",
		a->known.n_blocks);
	struct kernel_want want = {
		.blackholes = blocks,
		.n_blackholes = a->known.n_blocks,
		.vxlan = {{.keep = true}, {.keep = true}},
		.ipip = {.keep = true},
	};
	want.forward4 = a->known.mirror.mtu4 != 0;
	want.forward6 = a->known.mirror.mtu6 != 0;
	(void)kernel_sync(a->kernel, &want, NULL);
}
