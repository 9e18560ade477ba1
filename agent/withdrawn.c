/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A draining block is left out of every text that is made from then on. So the first of them that
 * BIRD confirms shows that it is withdrawn, whatever BIRD did with the texts between.
 */
#include "agent/withdrawn.h"

#include <stdlib.h>

#include "lib/mem.h"

void withdrawn_done(struct withdrawn_list *l)
{
	free(l->v);
	*l = (struct withdrawn_list){0};
}

static bool withdrawn_has(const struct withdrawn_list *l, const struct cidr *block)
{
	for (size_t i = 0; i < l->n; i++)
		if (cidr_equal(&l->v[i].block, block))
			return true;
	return false;
}

void withdrawn_follow(
	struct withdrawn_list *l, const struct node_states *states, uint64_t generation)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct node_states_block *s = node_states_find(states, &l->v[i].block);
		if (s && s->in.draining)
			l->v[kept++] = l->v[i];
	}
	l->n = kept;
	for (size_t i = 0; i < states->n_blocks; i++) {
		const struct node_block *b = &states->blocks[i].in;
		if (!b->draining || withdrawn_has(l, &b->cidr))
			continue;
		l->v = mem_grow(l->v, &l->room, l->n, sizeof(*l->v));
		l->v[l->n++] = (struct withdrawn){.block = b->cidr, .generation = generation};
	}
}

size_t withdrawn_confirmed(
	const struct withdrawn_list *l, const struct bird_status *bird, struct cidr *out)
{
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++)
		if (bird->up && !bird->recovering && bird->loaded >= l->v[i].generation)
			out[n++] = l->v[i].block;
	return n;
}
