/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document of a block, and the walk that finds a free one.
 *
 * The number of blocks of a pool is a power of two, so start + i * step visits every
 * block once when step is odd. Both come from the hash of the node's name: two nodes that meet at
 * one block part at the next. As no block is visited twice, a free one is found after as many
 * steps as blocks are taken, plus one; the size of the pool does not matter.
 *
 * That holds for blocks of the pool's size. Documents of other sizes (of an earlier pool, or of
 * anybody's making) count as taking what they overlap, and one may cover any part of the pool:
 * so when the walk finds nothing, a second one in the order of addresses leaps over what is
 * covered.
 */
#include "cluster/block.h"

#include <errno.h>
#include <string.h>

#include "cluster/keys.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/schema.h"
#include "lib/search.h"

static const char *const states[] = {
	[BLOCK_OWNED] = "owned",
	[BLOCK_QUARANTINED] = "quarantined",
	[BLOCK_PENDING] = "pending",
};

const char *block_state_name(enum block_state s)
{
	return states[s];
}

static int block_read_state(const struct schema_at *at, const char *text, void *out)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(text, states[i]) != 0)
			continue;
		*(enum block_state *)out = (enum block_state)i;
		return 0;
	}
	return schema_refuse(at, EBADMSG, "is none of owned, quarantined, pending");
}

static const struct schema_member members[] = {
	{"node", &schema_name, SCHEMA_AT(struct block, node), .flags = SCHEMA_REQUIRED},
	{"state", SCHEMA_PARSER(block_read_state), SCHEMA_AT(struct block, state),
		.flags = SCHEMA_ALWAYS},
	{"freeAfterLoans", &schema_bool, SCHEMA_AT(struct block, free_after_loans)},
	/* For people and for kubectl: the key decides. */
	{.key = "cidr"},
	{.key = "since"},
	{.key = "nonce"},
};
static const struct schema document = SCHEMA_OF(members);

const struct schema *block_schema(void)
{
	return &document;
}

int block_parse(
	const char *key, const char *value, int64_t revision, struct block *out, struct err *e)
{
	struct block b = {.revision = revision};
	char shown[128];
	(void)json_clean(shown, sizeof(shown), key);
	if (!keys_parse_block(key, &b.cidr))
		return err_set(e, EINVAL, "\"%s\" is not the key of a block", shown);
	int r = schema_parse(&document, value, &b, e);
	if (r < 0) {
		err_add(e, "%s", shown);
		return r;
	}
	*out = b;
	return 0;
}

static size_t taken_stride(const struct block_taken *t)
{
	return t->stride ? t->stride : sizeof(struct block);
}

static const struct cidr *taken_at(const struct block_taken *t, size_t i)
{
	return (const struct cidr *)((const char *)t->sorted + i * taken_stride(t));
}

/* The first of the sorted blocks that is not before c; n when all are. */
static size_t taken_from(const struct block_taken *t, const struct cidr *c)
{
	return search_lower_bound(t->sorted, t->n, taken_stride(t), c, cidr_compare_first);
}

/* A taken block that shares addresses with c; NULL. The one of the same size first, then one
 * inside c, then the larger ones. */
static const struct cidr *block_find_overlap(const struct block_taken *t, const struct cidr *c)
{
	size_t at = taken_from(t, c);
	if (at < t->n && cidr_overlaps(taken_at(t, at), c))
		return taken_at(t, at);
	for (int len = c->len - 1; len >= 0; len--) {
		struct cidr larger = cidr_masked(&c->addr, (uint8_t)len);
		at = taken_from(t, &larger);
		if (at < t->n && cidr_equal(taken_at(t, at), &larger))
			return taken_at(t, at);
	}
	return NULL;
}

/* In the order of addresses, past the end of whatever covers a candidate. Each leap leaves a taken
 * or a tried block behind, so there are at most n + n_tried of them. */
static int block_pick_in_order(
	const struct pool *p, uint64_t last, const struct block_taken *t, struct cidr *out)
{
	for (uint64_t index = 0;;) {
		struct cidr c = pool_block(p, index);
		const struct cidr *over = block_find_overlap(t, &c);
		if (!over && !cidr_is_among(t->tried, t->n_tried, &c)) {
			*out = c;
			return 1;
		}
		/* The blocks that one larger taken block covers, all ones below its length. */
		unsigned int bits = over && over->len < p->block_len
					    ? (unsigned int)(p->block_len - over->len)
					    : 0;
		uint64_t covered = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
		if ((index | covered) >= last)
			return 0;
		index = (index | covered) + 1;
	}
}

static uint64_t block_hash_number(const uint8_t *p)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

int block_pick(
	const struct pool *p, const char *node, const struct block_taken *t, struct cidr *out)
{
	struct hash h = hash_of(node, strlen(node));
	uint64_t start = block_hash_number(h.bytes);
	uint64_t step = block_hash_number(h.bytes + 8) | 1;
	uint64_t count = pool_block_count(p);
	uint64_t last = count == UINT64_MAX ? count : count - 1; /* and the mask of an index */
	for (uint64_t i = 0; i <= last && i <= t->n + t->n_tried; i++) {
		struct cidr c = pool_block(p, (start + i * step) & last);
		if (block_find_overlap(t, &c) || cidr_is_among(t->tried, t->n_tried, &c))
			continue;
		*out = c;
		return 1;
	}
	return block_pick_in_order(p, last, t, out);
}
