/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list is merged with each answer of BIRD, by one walk over two sorted arrays. Time passes only
 * while BIRD answers: whoever restarts BIRD, for however long, finds the list as it was.
 *
 * An agent that starts reads the list from the file that BIRD reads, as both may have been killed at
 * once; there is no other memory of it.
 */
#include "agent/bird/learned.h"

#include <stdlib.h>
#include <string.h>

#include "agent/bird/reply.h"
#include "agent/bird/written.h"
#include "lib/mem.h"
#include "lib/text.h"

void bird_learned_done(struct bird_learned *l)
{
	free(l->blocks);
	free(l->seen_ms);
	*l = (struct bird_learned){0};
}

/* Sorted, each once. */
static size_t sort_blocks(struct cidr *blocks, size_t n)
{
	size_t kept = 0;
	if (n > 0)
		qsort(blocks, n, sizeof(*blocks), cidr_compare_first);
	for (size_t i = 0; i < n; i++)
		if (!kept || !cidr_equal(&blocks[kept - 1], &blocks[i]))
			blocks[kept++] = blocks[i];
	return kept;
}

static void add_learned(struct bird_learned *l, const struct cidr *block, int64_t seen_ms)
{
	l->blocks[l->n] = *block;
	l->seen_ms[l->n++] = seen_ms;
}

/* Whether a block that BIRD did not name stays. */
static bool is_kept(const struct bird_learned *l, size_t i, enum family f, int64_t now_ms)
{
	return l->blocks[i].addr.family != family_af(f) ||
	       now_ms - l->seen_ms[i] < INT64_C(1000) * BIRD_KEPT_S;
}

/* seen: sorted, of one family. */
static bool merge_blocks(
	struct bird_learned *l, enum family f, const struct cidr *seen, size_t n, int64_t now_ms)
{
	struct bird_learned all = {.blocks = mem_new(l->n + n + 1, sizeof(*all.blocks)),
		.seen_ms = mem_new(l->n + n + 1, sizeof(*all.seen_ms))};
	bool changed = false;
	size_t i = 0;
	size_t k = 0;
	while (i < l->n || k < n) {
		int r = i == l->n ? 1 : k == n ? -1 : cidr_compare(&l->blocks[i], &seen[k]);
		if (r >= 0)
			add_learned(&all, &seen[k], now_ms);
		else if (is_kept(l, i, f, now_ms))
			add_learned(&all, &l->blocks[i], l->seen_ms[i]);
		else
			changed = true;
		changed |= r > 0;
		i += r <= 0;
		k += r >= 0;
	}
	bird_learned_done(l);
	*l = all;
	return changed;
}

bool bird_learned_take(struct bird_learned *l, enum family f, const char *reply, int64_t now_ms)
{
	CLEANUP_FREE struct cidr *seen = NULL;
	size_t room = 0;
	size_t n = 0;
	struct cidr c;
	while (bird_reply_route(&reply, &c)) {
		if (c.addr.family != family_af(f))
			continue;
		seen = mem_grow(seen, &room, n, sizeof(*seen));
		seen[n++] = c;
	}
	return merge_blocks(l, f, seen, sort_blocks(seen, n), now_ms);
}

void bird_learned_from_text(struct bird_learned *l, const char *text, int64_t now_ms)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		CLEANUP_FREE struct cidr *seen = NULL;
		size_t n = bird_written_routes(text, "kept", f, &seen);
		(void)merge_blocks(l, f, seen, sort_blocks(seen, n), now_ms);
	}
}

void bird_learned_renew(struct bird_learned *l, int64_t now_ms)
{
	for (size_t i = 0; i < l->n; i++)
		l->seen_ms[i] = now_ms;
}
