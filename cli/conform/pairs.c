/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs of pods. The ring goes through the nodes first, so that neighbours on it are on different
 * nodes; with it every pod sends and is reached across nodes at least twice, whatever the dice
 * say. The random numbers are those of splitmix64, the same everywhere.
 */
#include "cli/conform/pairs.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/mem.h"

struct place {
	size_t member, pod;
};

static size_t count_pods(const struct conform_cluster *c)
{
	size_t n = 0;
	for (size_t i = 0; i < conform_cluster_nodes(c); i++)
		n += c->members[i].n_pods;
	return n;
}

bool conform_pairs_are_all(const struct conform_cluster *c)
{
	return count_pods(c) <= CONFORM_ALL_PAIRS;
}

/* All pods, the first ones of all nodes first. */
static struct place *list_places(const struct conform_cluster *c, size_t n)
{
	struct place *places = mem_new(n + 1, sizeof(*places));
	size_t k = 0;
	for (size_t pod = 0; pod < CONFORM_PODS; pod++)
		for (size_t i = 0; i < conform_cluster_nodes(c); i++)
			if (pod < c->members[i].n_pods)
				places[k++] = (struct place){i, pod};
	return places;
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static int pair_compare(const void *a, const void *b)
{
	const struct conform_pair *x = a, *y = b;
	const size_t xs[] = {x->from, x->to, x->from_pod, x->to_pod};
	const size_t ys[] = {y->from, y->to, y->from_pod, y->to_pod};
	for (size_t i = 0; i < 4; i++)
		if (xs[i] != ys[i])
			return xs[i] < ys[i] ? -1 : 1;
	return 0;
}

struct list {
	struct conform_pair *pairs;
	size_t n, room;
};

static void pair_add(struct list *l, struct place from, struct place to)
{
	if (from.member == to.member && from.pod == to.pod)
		return;
	l->pairs = mem_grow(l->pairs, &l->room, l->n, sizeof(*l->pairs));
	l->pairs[l->n++] = (struct conform_pair){from.member, from.pod, to.member, to.pod};
}

struct conform_pair *conform_pairs(const struct conform_cluster *c, size_t *n)
{
	size_t count = count_pods(c);
	CLEANUP_FREE struct place *p = list_places(c, count);
	struct list l = {.pairs = mem_new(1, sizeof(*l.pairs)), .room = 1};
	uint64_t random = c->seed;
	bool all = conform_pairs_are_all(c);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < count; k++)
			if (all || p[i].member == p[k].member)
				pair_add(&l, p[i], p[k]);
		if (all)
			continue;
		pair_add(&l, p[i], p[(i + 1) % count]);
		pair_add(&l, p[(i + 1) % count], p[i]);
		for (size_t k = 0; k < CONFORM_SAMPLE; k++)
			pair_add(&l, p[i], p[next_random(&random) % count]);
	}
	qsort(l.pairs, l.n, sizeof(*l.pairs), pair_compare);
	*n = 0;
	for (size_t i = 0; i < l.n; i++)
		if (i == 0 || pair_compare(&l.pairs[i], &l.pairs[*n - 1]) != 0)
			l.pairs[(*n)++] = l.pairs[i];
	return l.pairs;
}
