/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What survives a reboot. Before a block is used it stands in the file of the data folder
 * (agent/lastknown.h). After a reboot, when the store cannot be read and trustLastBlocks is set,
 * the file becomes the node state. That is done anew in each reconciliation, as all else is, until
 * the store has been read: what could not be done is said, and tried again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_impl.h"
#include "ipam/node_cluster.h"
#include "lib/boot.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define TRUST_AFTER_S 3 /* the store may only be slow */

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

/* The blocks and loans that the node states give from, and those that a plan is about to add. */
static void list_known(struct agent *a, const struct mirror *m, const struct agent_adding *adding,
	struct lastknown *out)
{
	size_t n = a->states.n_blocks + adding->n;
	*out = (struct lastknown){.mirror = *m};
	(void)text_copy(out->installation, sizeof(out->installation), a->known.installation);
	out->store_id = a->loss.now_id;
	(void)text_copy(out->machine, sizeof(out->machine), a->member.here.machine);
	out->blocks = mem_new(n + 1, sizeof(*out->blocks));
	for (size_t i = 0; i < a->states.n_blocks; i++) {
		const struct node_states_block *b = &a->states.blocks[i];
		if (!b->in.disowned && !b->in.draining)
			add_known(a, out, &b->in.cidr, b->dir);
	}
	for (size_t i = 0; i < adding->n; i++)
		if (!is_known(out, &adding->v[i].block))
			add_known(a, out, &adding->v[i].block, adding->v[i].dir);
}

int save_last_known(
	struct agent *a, const struct mirror *m, const struct agent_adding *adding, struct err *e)
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

/* Whether the file was written elsewhere: a clone must not use the blocks of its original. */
static bool is_of_another_machine(const struct agent *a)
{
	const char *then = a->known.machine;
	const char *now = a->member.here.machine;
	return *then && *now && strcmp(then, now) != 0;
}

/* 1: what was saved counts, 0: not, or not yet. Whoever told the node states of pools in this boot
 * knows more than the file. */
static int may_use_known(const struct agent *a, struct err *e)
{
	int64_t since;
	if (a->uses_known)
		return 1;
	if (!a->conf.trust_last_blocks || !a->known.n_blocks ||
		strcmp(a->known.mirror.node, a->conf.node) != 0 ||
		!store_trouble(a->store, &since) || boot_now_ms() / 1000 - since < TRUST_AFTER_S)
		return 0;
	if (is_of_another_machine(a))
		return err_set(e, EXDEV, "they are those of another machine");
	int r = node_states_has_mirror(&a->states, e);
	return r < 0 ? r : r == 0;
}

/* One address of a pool that is cut into larger blocks. */
static bool is_loan(const struct mirror *m, const struct cidr *c)
{
	for (size_t i = 0; i < m->n_pools; i++)
		if (cidr_contains(&m->pools[i].pool.cidr, &c->addr))
			return c->len == addr_bits(&c->addr) && m->pools[i].pool.block_len < c->len;
	return false;
}

static int put_known_into_states(struct agent *a, struct err *e)
{
	(void)text_copy(a->known.mirror.socket, sizeof(a->known.mirror.socket), a->conf.socket);
	int r = node_states_put_mirror(&a->states, &a->known.mirror, e);
	for (size_t i = 0; i < a->known.n_blocks && r >= 0; i++) {
		const struct lastknown_block *b = &a->known.blocks[i];
		r = node_states_change(&a->states, node_states_dir(&a->states, b->state_dir),
			is_loan(&a->known.mirror, &b->cidr) ? node_add_loan : node_add_block,
			&b->cidr, e);
	}
	return r;
}

/* Tunnels stay as they are. */
static void put_known_into_kernel(struct agent *a)
{
	CLEANUP_FREE struct cidr *blocks = mem_new(a->known.n_blocks, sizeof(*blocks));
	for (size_t i = 0; i < a->known.n_blocks; i++)
		blocks[i] = a->known.blocks[i].cidr;
	const struct kernel_want want = {
		.blackholes = blocks,
		.n_blackholes = a->known.n_blocks,
		.forward[IPV4] = a->known.mirror.mtu[IPV4] != 0,
		.forward[IPV6] = a->known.mirror.mtu[IPV6] != 0,
		.vxlan = {{.keep = true}, {.keep = true}},
		.ipip = {.keep = true},
	};
	(void)kernel_sync(a->kernel, &want, &a->problems);
}

/* The routes of other nodes cannot be known; pods of this node start and reach each other, and
 * whatever the node's own routes lead to. */
void use_last_known(struct agent *a)
{
	struct err e;
	if (a->has_reconciled || replica_is_whole(&a->replica))
		return;
	int r = may_use_known(a, &e);
	if (r == 0)
		return;
	if (r > 0 && !a->uses_known)
		log_warning("the cluster store cannot be reached since the start: using the %zu "
			    "blocks that this node had before",
			a->known.n_blocks);
	a->uses_known = r > 0;
	if (r > 0)
		r = put_known_into_states(a, &e);
	if (r < 0)
		problems_add_as(&a->problems, "blocks of before",
			"the blocks of before the reboot cannot be used: %s", e.text);
	else
		put_known_into_kernel(a);
}
