/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node states, opened shared for a moment each time: that is what ADD does too, so an agent is no
 * heavier a neighbour than a pod's start. What was read is kept as plain values, sorted, for the
 * rest of the agent to look at; every change goes to the file first and is read back from it.
 *
 * A folder that cannot be read any more (a bad disk, somebody's hand) stops nobody else: what was read of
 * it last counts on, as in use, so that its routes stay and nobody else gets its addresses. One
 * that never could is another matter, as nobody knows what is in it.
 *
 * Since when a block is empty is the agent's own memory: after a restart the time begins anew,
 * which only makes a return later.
 */
#include "agent/node_states.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/block.h"
#include "ipam/agent_lock.h"
#include "ipam/node_cluster.h"
#include "ipam/node_namespaces.h"
#include "ipam/node_policy.h"
#include "ipam/session.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/ns.h"
#include "lib/search.h"
#include "lib/text.h"

int node_states_open(struct node_states *s, const struct agent_conf *c, struct err *e)
{
	*s = (struct node_states){0};
	for (size_t i = 0; i < c->n_state_dirs; i++) {
		struct node_states_dir *d = &s->dirs[i];
		*d = (struct node_states_dir){.path = c->state_dirs[i], .lock = -1};
		int r = file_make_dir(d->path, 0700, e);
		if (r == 0)
			r = agent_lock_take(d->path, e);
		if (r < 0) {
			node_states_close(s);
			return r;
		}
		d->lock = r;
		s->n_dirs++;
	}
	return 0;
}

void node_states_close(struct node_states *s)
{
	for (size_t i = 0; i < s->n_dirs; i++)
		(void)close(s->dirs[i].lock);
	free(s->blocks);
	free(s->embedded);
	*s = (struct node_states){0};
}

int node_states_enter(const struct node_states *s, size_t dir, struct node **out, struct err *e)
{
	CLEANUP_NET struct net *net = NULL;
	int r = node_open(out, s->dirs[dir].path, NODE_AGENT, e);
	return r < 0 ? r : session_adopt(*out, &net, e);
}

static int count_free(struct node *n, struct node_states_dir *d, struct err *e)
{
	uint64_t cooling;
	int r = 0;
	for (enum family f = IPV4; f < FAMILIES && r >= 0; f++)
		r = node_count_free(n, family_af(f), &d->free[f], &cooling, e);
	return r;
}

const struct node_states_block *node_states_find(
	const struct node_states *s, const struct cidr *block)
{
	return search_find(s->blocks, s->n_blocks, sizeof(*s->blocks), block, cidr_compare_first);
}

static bool is_empty(const struct node_block *b)
{
	return b->used == 0 && (b->cooling == 0 || b->loan) && b->quarantined == 0;
}

struct reading {
	struct node_states *next;
	size_t room_blocks, room_embedded;
};

static void take_block(
	struct reading *r, const struct node_states *old, size_t dir, const struct node_block *b)
{
	struct node_states *s = r->next;
	if (!b->cluster) {
		s->embedded = mem_grow(
			s->embedded, &r->room_embedded, s->n_embedded, sizeof(*s->embedded));
		s->embedded[s->n_embedded++] = b->cidr;
		return;
	}
	const struct node_states_block *before = node_states_find(old, &b->cidr);
	s->blocks = mem_grow(s->blocks, &r->room_blocks, s->n_blocks, sizeof(*s->blocks));
	s->blocks[s->n_blocks++] = (struct node_states_block){
		.in = *b,
		.dir = dir,
		.empty_since_s = is_empty(b) && before ? before->empty_since_s : -1,
		.left_out = b->draining && before ? before->left_out : 0,
	};
}

static int read_dir(struct reading *r, const struct node_states *old, size_t dir, struct err *e)
{
	CLEANUP_SESSION struct node *n = NULL;
	struct node_view view;
	struct node_states_dir *d = &r->next->dirs[dir];
	int result = node_states_enter(old, dir, &n, e);
	if (result >= 0)
		result = count_free(n, d, e);
	if (result >= 0)
		result = node_list(n, &view, e);
	if (result < 0)
		return result;
	d->used = 0;
	for (size_t i = 0; i < view.n_blocks; i++) {
		take_block(r, old, dir, &view.blocks[i]);
		d->used += view.blocks[i].used;
	}
	node_view_done(&view);
	return 0;
}

static bool node_states_differ(const struct node_states *a, const struct node_states *b)
{
	if (a->n_blocks != b->n_blocks || a->n_embedded != b->n_embedded)
		return true;
	for (size_t i = 0; i < a->n_dirs; i++)
		if (memcmp(a->dirs[i].free, b->dirs[i].free, sizeof(a->dirs[i].free)) != 0 ||
			a->dirs[i].used != b->dirs[i].used)
			return true;
	for (size_t i = 0; i < a->n_blocks; i++) {
		const struct node_block *x = &a->blocks[i].in;
		const struct node_block *y = &b->blocks[i].in;
		if (!cidr_equal(&x->cidr, &y->cidr) || x->used != y->used ||
			x->cooling != y->cooling || x->free != y->free ||
			x->quarantined != y->quarantined || x->draining != y->draining ||
			x->disowned != y->disowned || x->lent != y->lent)
			return true;
	}
	for (size_t i = 0; i < a->n_embedded; i++)
		if (!cidr_equal(&a->embedded[i], &b->embedded[i]))
			return true;
	return false;
}

/* A folder that cannot be read any more: its blocks are as they were, in use. */
static void keep_dir(struct reading *r, const struct node_states *old, size_t dir)
{
	struct node_states *s = r->next;
	for (size_t i = 0; i < old->n_blocks; i++) {
		if (old->blocks[i].dir != dir)
			continue;
		s->blocks = mem_grow(s->blocks, &r->room_blocks, s->n_blocks, sizeof(*s->blocks));
		struct node_states_block *b = &s->blocks[s->n_blocks++];
		*b = old->blocks[i];
		b->empty_since_s = -1;
		b->in.used += is_empty(&b->in);
		b->in.free = 0;
	}
	for (size_t i = 0; i < old->n_embedded; i++) {
		if (cidr_is_among(s->embedded, s->n_embedded, &old->embedded[i]))
			continue;
		s->embedded = mem_grow(
			s->embedded, &r->room_embedded, s->n_embedded, sizeof(*s->embedded));
		s->embedded[s->n_embedded++] = old->embedded[i];
	}
	memset(s->dirs[dir].free, 0, sizeof(s->dirs[dir].free));
}

static int read_or_keep(struct reading *r, const struct node_states *old, size_t dir, struct err *e)
{
	struct node_states_dir *d = &r->next->dirs[dir];
	int result = read_dir(r, old, dir, e);
	d->known |= result >= 0;
	(void)text_copy(d->trouble, sizeof(d->trouble), result < 0 ? e->text : "");
	if (result < 0 && d->known)
		keep_dir(r, old, dir);
	return d->known ? 0 : result;
}

int node_states_read(struct node_states *s, int64_t now_s, struct err *e)
{
	struct node_states next = {.n_dirs = s->n_dirs};
	struct reading r = {.next = &next};
	memcpy(next.dirs, s->dirs, sizeof(next.dirs));
	memcpy(next.gives, s->gives, sizeof(next.gives));
	int result = 0;
	for (size_t i = 0; i < s->n_dirs && result >= 0; i++)
		result = read_or_keep(&r, s, i, e);
	if (result < 0) {
		free(next.blocks);
		free(next.embedded);
		return result;
	}
	if (next.n_blocks)
		qsort(next.blocks, next.n_blocks, sizeof(*next.blocks), cidr_compare_first);
	for (size_t i = 0; i < next.n_blocks; i++)
		if (is_empty(&next.blocks[i].in) && next.blocks[i].empty_since_s < 0)
			next.blocks[i].empty_since_s = now_s;
	result = node_states_differ(s, &next);
	free(s->blocks);
	free(s->embedded);
	*s = next;
	return result;
}

/* Of a block without pods: when it cools no more it is empty, of which no count of free addresses tells where none
 * is given. */
static bool cools_down(const struct node_states *s)
{
	for (size_t i = 0; i < s->n_blocks; i++) {
		const struct node_block *b = &s->blocks[i].in;
		if (b->used == 0 && b->cooling > 0 && b->quarantined == 0)
			return true;
	}
	return false;
}

bool node_states_poll(struct node_states *s)
{
	bool changed = cools_down(s);
	for (size_t i = 0; i < s->n_dirs; i++) {
		CLEANUP_SESSION struct node *n = NULL;
		struct node_states_dir *d = &s->dirs[i];
		struct node_states_dir before = *d;
		struct err e = {0};
		int r = node_states_enter(s, i, &n, &e);
		if (r >= 0)
			r = count_free(n, d, &e);
		if (r < 0)
			memset(d->free, 0, sizeof(d->free));
		(void)text_copy(d->trouble, sizeof(d->trouble), r < 0 ? e.text : "");
		changed |= memcmp(before.free, d->free, sizeof(d->free)) != 0 ||
			   (*before.trouble != '\0') != (*d->trouble != '\0');
	}
	return changed;
}

int node_states_has_mirror(const struct node_states *s, struct err *e)
{
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	int r = 0;
	for (size_t i = 0; i < s->n_dirs && r == 0; i++) {
		CLEANUP_SESSION struct node *n = NULL;
		r = node_states_enter(s, i, &n, e);
		if (r >= 0)
			r = node_get_mirror(n, m, e);
	}
	return r;
}

static void note_families(struct node_states *s, const struct mirror *m)
{
	memset(s->gives, 0, sizeof(s->gives));
	for (size_t i = 0; i < m->n_pools; i++)
		s->gives[family_of(m->pools[i].pool.cidr.addr.family)] |= m->pools[i].assigns;
}

int node_states_put_mirror(struct node_states *s, const struct mirror *m, struct err *e)
{
	int changed = 0;
	int result = 0;
	CLEANUP_FREE struct mirror *told = mem_new(1, sizeof(*told));
	*told = *m;
	told->netns = ns_own_cookie();
	note_families(s, told);
	for (size_t i = 0; i < s->n_dirs; i++) {
		CLEANUP_SESSION struct node *n = NULL;
		struct err why;
		if (*s->dirs[i].trouble)
			continue; /* it is told when it can be read again */
		int r = node_states_enter(s, i, &n, &why);
		if (r >= 0)
			r = node_put_mirror(n, told, &why);
		changed |= r > 0;
		if (r < 0 && result == 0) {
			result = r;
			*e = why;
		}
	}
	return result < 0 ? result : changed;
}

/* What is put into every folder. */
struct put {
	const struct node_namespace *namespaces;
	size_t n;
	const struct node_policy *policy; /* NULL: namespaces */
};

static int put_into_all(struct node_states *s, const struct put *p, struct err *e)
{
	int changed = 0;
	int result = 0;
	for (size_t i = 0; i < s->n_dirs; i++) {
		CLEANUP_SESSION struct node *node = NULL;
		struct err why;
		if (*s->dirs[i].trouble)
			continue;
		int r = node_states_enter(s, i, &node, &why);
		if (r >= 0)
			r = p->policy ? node_put_policy(node, p->policy, &why)
				      : node_put_namespaces(node, p->namespaces, p->n, &why);
		changed |= r > 0;
		if (r < 0 && result == 0) {
			result = r;
			*e = why;
		}
	}
	return result < 0 ? result : changed;
}

int node_states_put_namespaces(
	struct node_states *s, const struct node_namespace *list, size_t n, struct err *e)
{
	return put_into_all(s, &(struct put){.namespaces = list, .n = n}, e);
}

int node_states_put_policy(struct node_states *s, const struct node_policy *p, struct err *e)
{
	return put_into_all(s, &(struct put){.policy = p}, e);
}

static int stop_giving(struct node *n, struct mirror *m, struct err *e)
{
	int r = node_get_mirror(n, m, e);
	bool gives = false;
	for (size_t i = 0; r == 1 && i < m->n_pools; i++) {
		gives |= m->pools[i].assigns;
		m->pools[i].assigns = false;
	}
	return gives ? node_put_mirror(n, m, e) : r;
}

int node_states_stop_giving(struct node_states *s, struct err *e)
{
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	int r = 0;
	for (size_t i = 0; i < s->n_dirs && r >= 0; i++) {
		CLEANUP_SESSION struct node *n = NULL;
		r = node_states_enter(s, i, &n, e);
		if (r >= 0)
			r = stop_giving(n, m, e);
	}
	return r < 0 ? r : 0;
}

int node_states_change(struct node_states *s, size_t dir, node_states_change_fn *fn,
	const struct cidr *block, struct err *e)
{
	CLEANUP_SESSION struct node *n = NULL;
	int r = node_states_enter(s, dir, &n, e);
	return r < 0 ? r : fn(n, block, e);
}

int node_states_lend(struct node_states *s, size_t dir, const struct addr *wish, bool cold,
	struct addr *instead, struct err *e)
{
	CLEANUP_SESSION struct node *n = NULL;
	int r = node_states_enter(s, dir, &n, e);
	return r < 0 ? r : node_lend(n, wish, cold, instead, e);
}

int node_states_tunnel(
	struct node_states *s, const char *what, uint8_t family, struct addr *out, struct err *e)
{
	int r = err_set(e, EAGAIN, "no state folder");
	for (size_t i = 0; i < s->n_dirs; i++)
		if (*s->dirs[i].trouble)
			return err_set(e, EIO,
				"state folder %.200s may have one and cannot be read",
				s->dirs[i].path);
	for (size_t i = 0; i < s->n_dirs; i++) {
		CLEANUP_SESSION struct node *n = NULL;
		r = node_states_enter(s, i, &n, e);
		if (r >= 0)
			r = node_assign_tunnel(n, what, family, out, e);
		if (r >= 0)
			return r;
	}
	return r;
}

int node_states_release_tunnel(
	struct node_states *s, const char *what, uint8_t family, struct err *e)
{
	int result = 0;
	for (size_t i = 0; i < s->n_dirs; i++) {
		CLEANUP_SESSION struct node *n = NULL;
		struct err why;
		int r = node_states_enter(s, i, &n, &why);
		if (r >= 0)
			r = node_release_tunnel(n, what, family, &why);
		if (r < 0 && result == 0) {
			result = r;
			*e = why;
		}
	}
	return result;
}

size_t node_states_dir(const struct node_states *s, const char *path)
{
	for (size_t i = 0; i < s->n_dirs; i++)
		if (strcmp(s->dirs[i].path, path) == 0)
			return i;
	return 0;
}
