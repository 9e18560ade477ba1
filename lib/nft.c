/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes. A table that differs in more than elements of named sets is replaced: made (in case that there is
 * none), deleted, made again, in one batch, of which no packet sees the middle.
 *
 * Whether somebody changed a table of ours is known by the generation of the rule set, a number that
 * every commit of anybody moves. As long as it is the one at which the table was seen to be right
 * nothing is read. Only a commit that moved it by one was alone; after another the table is read once.
 */
#include "lib/nft.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/nft_impl.h"

int nft_open(struct nft **out, struct err *e)
{
	struct nft *n = mem_new(1, sizeof(*n));
	int r = nft_batch_open(&n->batch, e);
	if (r < 0) {
		free(n);
		return r;
	}
	*out = n;
	return 0;
}

void nft_close(struct nft *n)
{
	if (!n)
		return;
	nft_batch_close(&n->batch);
	free(n);
}

int nft_replace(struct nft *n, const struct nft_table *t, struct err *e)
{
	nft_put_head(&n->batch, t);
	nft_put_delete(&n->batch, t->family, t->name);
	nft_put_head(&n->batch, t);
	nft_put_contents(&n->batch, t);
	return nft_batch_commit(&n->batch, e);
}

int nft_delete(struct nft *n, uint8_t family, const char *name, struct err *e)
{
	nft_put_delete(&n->batch, family, name);
	return nft_batch_commit(&n->batch, e);
}

size_t nft_set_minus(const struct nft_set *a, const struct nft_set *b, const uint8_t **out)
{
	size_t stride = nft_set_stride(a), n = 0;
	for (size_t i = 0, j = 0; i < a->n;) {
		int r = j < b->n ? memcmp(a->bytes + i * stride, b->bytes + j * stride, stride)
				 : -1;
		if (r < 0)
			out[n++] = a->bytes + i * stride;
		i += r <= 0;
		j += r >= 0;
	}
	return n;
}

/* Deletions first: a key may stay with other data. */
static void nft_put_difference(
	struct nft_batch *b, const struct nft_table *t, struct nft_set *from, struct nft_set *to)
{
	nft_set_sort(from);
	nft_set_sort(to);
	const uint8_t **list = mem_new(from->n + to->n + 1, sizeof(*list));
	nft_put_elements(b, NFT_DEL_ELEMENTS, t, to, list, nft_set_minus(from, to, list));
	nft_put_elements(b, NFT_ADD_ELEMENTS, t, to, list, nft_set_minus(to, from, list));
	free((void *)list);
}

int nft_change(struct nft *n, struct nft_table *from, struct nft_table *to, struct err *e)
{
	if (!nft_table_alike(from, to))
		return nft_replace(n, to, e);
	for (size_t i = 0; i < to->n_sets; i++)
		if (!(to->sets[i].flags & NFT_SET_ANONYMOUS))
			nft_put_difference(&n->batch, to,
				nft_table_find_set(from, to->sets[i].name), &to->sets[i]);
	return nft_batch_commit(&n->batch, e);
}

int nft_generation(struct nft *n, uint32_t *out, struct err *e)
{
	return nft_batch_generation(&n->batch, out, e);
}

/*
 * A table that is kept.
 */

static void nft_kept_set(struct nft_kept *k, struct nft_table *made, uint32_t generation)
{
	if (made != k->made)
		nft_table_free(k->made);
	k->made = made;
	k->generation = generation;
	k->known = true;
}

void nft_kept_done(struct nft_kept *k)
{
	nft_kept_set(k, NULL, 0);
	k->known = false;
}

/* Reads the table, unless nobody changed anything since it was seen to be right. */
static int nft_kept_look(struct nft *n, struct nft_kept *k, struct err *e)
{
	uint32_t generation;
	struct nft_table *now = NULL;
	int r = nft_batch_generation(&n->batch, &generation, e);
	if (r < 0 || (k->known && k->generation && generation == k->generation))
		return r;
	r = nft_read(n, k->family, k->name, &now, e);
	if (r < 0 && r != -ENOENT)
		return r;
	nft_kept_set(k, now, generation);
	return 0;
}

int nft_kept_is_changed(struct nft *n, struct nft_kept *k, struct err *e)
{
	uint32_t generation;
	struct nft_table *now = NULL;
	if (!k->known)
		return 1;
	int r = nft_batch_generation(&n->batch, &generation, e);
	if (r < 0 || (k->generation && generation == k->generation))
		return r;
	r = nft_read(n, k->family, k->name, &now, e);
	if (r < 0 && r != -ENOENT)
		return r;
	bool same = now && k->made ? nft_table_equal(now, k->made) : now == k->made;
	nft_kept_set(k, now, generation);
	return !same;
}

/* want NULL: it goes, and may have gone. Where it is not as it was left, it is replaced. */
static int nft_kept_change(
	struct nft *n, const struct nft_kept *k, struct nft_table *want, struct err *e)
{
	int r = -ENOENT;
	if (!want) {
		r = nft_delete(n, k->family, k->name, e);
		return r == -ENOENT ? 0 : r;
	}
	if (k->made)
		r = nft_change(n, k->made, want, e);
	return r == -ENOENT || r == -EEXIST ? nft_replace(n, want, e) : r;
}

/* Makes the change, and finds out whether nobody else made one at the same time. */
static int nft_kept_commit(struct nft *n, struct nft_kept *k, struct nft_table *want, struct err *e)
{
	uint32_t before = 0, after = 0;
	int r = nft_batch_generation(&n->batch, &before, e);
	if (r >= 0)
		r = nft_kept_change(n, k, want, e);
	if (r >= 0)
		r = nft_batch_generation(&n->batch, &after, e);
	if (r < 0) {
		nft_kept_done(k);
		return r;
	}
	nft_kept_set(k, want, after == before + 1 ? after : 0);
	return 1;
}

int nft_sync(struct nft *n, struct nft_kept *k, struct nft_table *want, bool look, struct err *e)
{
	int r = look || !k->known ? nft_kept_look(n, k, e) : 0;
	bool same = want && k->made ? nft_table_equal(want, k->made) : want == k->made;
	if (r >= 0 && !same)
		r = nft_kept_commit(n, k, want, e);
	if (want != k->made)
		nft_table_free(want);
	return r;
}
