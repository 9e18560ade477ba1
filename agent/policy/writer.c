/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was written is remembered: the rule set, of which elements and chains are shared, and the three maps. The next
 * rule set is compared with it by names, and the difference is one batch (lib/nft_edit.h).
 *
 * The table is *known* while that is what the kernel holds. It is not when the writer begins, when a batch was
 * refused or its outcome is unknown, and when somebody else changed the table (lib/nft_watch.h). Then it is read,
 * and made right by the difference; where that is impossible or refused too, it is replaced as a whole, which
 * needs to know nothing. Counters live on in all cases but the last.
 *
 * ADD puts elements into the maps for pods that it finds staged. They are no foreign change: the maps are
 * read before the next batch. An element for a link that the rule set does not name yet stays, while the link is
 * there and its chain is.
 */
#include "agent/policy/writer.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/policy_nft.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "lib/nft_edit.h"
#include "lib/nft_watch.h"
#include "lib/search.h"
#include "lib/text.h"

#define SINCE "since " /* in the remark of a counter */

struct policy_writer {
	struct nft *nft;
	struct nft_watch watch;
	struct policy_writer_settings settings;
	struct policy_writer_numbers numbers;
	bool known, stands; /* the rest is what the kernel holds; there is a table */
	bool maps_grew;	    /* somebody put elements into the maps */
	struct policy_ruleset rules;
	struct nft_table *maps; /* its sets are the maps; NULL while nothing was written */
};

int policy_writer_open(struct policy_writer **out, struct err *e)
{
	struct policy_writer *w = mem_new(1, sizeof(*w));
	int r = nft_open(&w->nft, e);
	w->watch = (struct nft_watch)NFT_WATCH_CLOSED;
	if (r >= 0)
		r = nft_watch_open(&w->watch, POLICY_TABLE, e);
	if (r < 0) {
		policy_writer_close(w);
		return r;
	}
	*out = w;
	return 0;
}

static void policy_writer_forget(struct policy_writer *w)
{
	policy_ruleset_done(&w->rules);
	nft_table_free(w->maps);
	w->maps = NULL;
	w->stands = w->maps_grew = false;
}

void policy_writer_close(struct policy_writer *w)
{
	if (!w)
		return;
	policy_writer_forget(w);
	nft_watch_close(&w->watch);
	nft_close(w->nft);
	free(w);
}

void policy_writer_set(struct policy_writer *w, const struct policy_writer_settings *s)
{
	w->settings = *s;
	w->known = false;
}

int policy_writer_fd(const struct policy_writer *w)
{
	return w->watch.fd;
}

static int policy_writer_hear(struct policy_writer *w, struct err *e)
{
	unsigned int what = 0;
	int r = nft_watch_read(&w->watch, &what, e);
	w->maps_grew = w->maps_grew || what & NFT_WATCH_ELEMENTS;
	w->numbers.foreign += w->known && what & NFT_WATCH_CHANGED;
	w->known = w->known && !(what & NFT_WATCH_CHANGED);
	return r;
}

int policy_writer_read(struct policy_writer *w, struct err *e)
{
	int r = policy_writer_hear(w, e);
	return r < 0 ? r : !w->known;
}

struct policy_writer_numbers policy_writer_numbers(const struct policy_writer *w)
{
	return w->numbers;
}

/*
 * Remembering.
 */

static void *policy_copy(const void *from, size_t n, size_t size)
{
	void *out = mem_new(n + 1, size);
	if (n)
		memcpy(out, from, n * size);
	return out;
}

static struct policy_ruleset policy_ruleset_share(const struct policy_ruleset *r)
{
	struct policy_ruleset out = *r;
	out.sets = policy_copy(r->sets, r->n_sets, sizeof(*r->sets));
	out.chains = policy_copy(r->chains, r->n_chains, sizeof(*r->chains));
	out.dispatch = policy_copy(r->dispatch, r->n_dispatch, sizeof(*r->dispatch));
	out.staged = policy_copy(r->staged, r->n_staged, sizeof(*r->staged));
	out.counters = policy_copy(r->counters, r->n_counters, sizeof(*r->counters));
	for (size_t i = 0; i < r->n_sets; i++)
		if (r->sets[i].elements)
			(void)policy_elements_ref(r->sets[i].elements);
	for (size_t i = 0; i < r->n_chains; i++)
		(void)policy_body_ref(r->chains[i].body);
	return out;
}

/* Takes maps. */
static void policy_writer_remember(
	struct policy_writer *w, const struct policy_ruleset *r, struct nft_table *maps)
{
	struct policy_ruleset rules = policy_ruleset_share(r);
	policy_writer_forget(w);
	w->rules = rules;
	w->maps = maps;
	w->stands = true;
}

/*
 * The difference of two rule sets. All arrays are sorted by name.
 */

static int policy_next(const char *a, const char *b)
{
	return !a ? 1 : !b ? -1 : strcmp(a, b);
}

static void policy_edit_set(
	struct nft_edit *x, const struct policy_set *a, const struct policy_set *b)
{
	if (a->elements == b->elements)
		return;
	struct nft_table *t = nft_table_new(NFPROTO_INET, POLICY_TABLE);
	policy_nft_put_set(t, a);
	policy_nft_put_set(t, b);
	nft_edit_elements(x, &t->sets[0], &t->sets[1]);
	nft_table_free(t);
}

/* An empty set of the same form and name. */
static void policy_edit_gone(struct nft_edit *x, const struct policy_set *set)
{
	struct policy_set s = *set;
	s.elements = NULL;
	policy_nft_put_set(x->go, &s);
}

static void policy_edit_sets(
	const struct policy_ruleset *old, const struct policy_ruleset *r, struct nft_edit *x)
{
	for (size_t i = 0, j = 0; i < old->n_sets || j < r->n_sets;) {
		const struct policy_set *a = i < old->n_sets ? &old->sets[i] : NULL;
		const struct policy_set *b = j < r->n_sets ? &r->sets[j] : NULL;
		int order = policy_next(a ? a->name : NULL, b ? b->name : NULL);
		if (a && b && order == 0)
			policy_edit_set(x, a, b);
		else if (a && order < 0)
			policy_edit_gone(x, a);
		else if (b)
			policy_nft_put_set(x->come, b);
		i += order <= 0;
		j += order >= 0;
	}
}

static void policy_edit_chains(
	const struct policy_writer *w, const struct policy_ruleset *r, struct nft_edit *x)
{
	const struct policy_ruleset *old = &w->rules;
	for (size_t i = 0, j = 0; i < old->n_chains || j < r->n_chains;) {
		const char *a = i < old->n_chains ? old->chains[i].name : NULL;
		const char *b = j < r->n_chains ? r->chains[j].name : NULL;
		int order = policy_next(a, b);
		if (order < 0)
			(void)nft_table_chain(x->go, a, NULL);
		if (order > 0)
			policy_nft_put_chain(x->come, &w->settings, r, &r->chains[j]);
		i += order <= 0;
		j += order >= 0;
	}
}

static void policy_edit_counters(
	const struct policy_ruleset *old, const struct policy_ruleset *r, struct nft_edit *x)
{
	for (size_t i = 0, j = 0; i < old->n_counters || j < r->n_counters;) {
		const char *a = i < old->n_counters ? old->counters[i] : NULL;
		const char *b = j < r->n_counters ? r->counters[j] : NULL;
		int order = policy_next(a, b);
		if (order < 0 && !policy_nft_counts(a))
			nft_table_counter(x->go, a);
		if (order > 0 && !policy_nft_counts(b))
			nft_table_counter(x->come, b);
		i += order <= 0;
		j += order >= 0;
	}
}

/* Counters that this table makes say since when they count. The kernel keeps that with them. */
static void policy_remark(struct nft_table *t)
{
	char now[BOOT_TIME_TEXT];
	struct text out = TEXT_ON(t->remark);
	boot_format_time(boot_wall_s(), now);
	text_add(&out, SINCE "%s", now);
}

static void policy_writer_difference(const struct policy_writer *w, const struct policy_ruleset *r,
	struct nft_table *maps, struct nft_edit *x)
{
	nft_edit_init(x, NFPROTO_INET, POLICY_TABLE);
	policy_edit_sets(&w->rules, r, x);
	policy_edit_chains(w, r, x);
	policy_edit_counters(&w->rules, r, x);
	policy_remark(x->come);
	for (enum policy_map m = 0; m < POLICY_MAPS; m++)
		nft_edit_elements(x, &w->maps->sets[m], &maps->sets[m]);
}

/*
 * Elements of others in the maps.
 */

static int policy_compare_link(const void *element, const void *key)
{
	int a = ((const struct policy_dispatch *)element)->link, b = *(const int *)key;
	return (a > b) - (a < b);
}

static bool policy_has_link(const struct policy_ruleset *r, int link)
{
	return search_find(
		r->dispatch, r->n_dispatch, sizeof(*r->dispatch), &link, policy_compare_link);
}

/* Whether a link was, or shall be, in the maps by the rule set. */
static bool policy_is_own(const struct policy_writer *w, const struct policy_ruleset *r, int link)
{
	return policy_has_link(r, link) || policy_has_link(&w->rules, link);
}

static int policy_compare_chain(const void *element, const void *key)
{
	return strcmp(((const struct policy_chain *)element)->name, key);
}

static bool policy_has_chain(const struct policy_ruleset *r, const char *name)
{
	return search_find(r->chains, r->n_chains, sizeof(*r->chains), name, policy_compare_chain);
}

/* Keeps in a map that is wanted what ADD put into it, as it is there, for links that the rule set does not name. */
static void policy_keep_strangers(const struct policy_writer *w, const struct policy_ruleset *r,
	const struct nft_set *there, struct nft_set *wanted)
{
	size_t stride = nft_set_stride(there);
	for (size_t i = 0; i < there->n; i++) {
		char name[IF_NAMESIZE];
		int link;
		struct nft_verdict v;
		const uint8_t *element = there->bytes + i * stride;
		memcpy(&link, element, sizeof(link));
		memcpy(&v, element + sizeof(link), sizeof(v));
		bool leads = v.code == NF_ACCEPT || policy_has_chain(r, v.chain);
		if (leads && !policy_is_own(w, r, link) && if_indextoname((unsigned int)link, name))
			nft_set_add(wanted, element, NULL, &v);
	}
}

static int policy_writer_read_maps(struct policy_writer *w, struct err *e)
{
	for (enum policy_map m = 0; m < POLICY_MAPS; m++) {
		int r = nft_read_set(w->nft, NFPROTO_INET, POLICY_TABLE, &w->maps->sets[m], e);
		if (r < 0)
			return r;
	}
	w->maps_grew = false;
	return 0;
}

static struct nft_table *policy_writer_maps(const struct policy_writer *w,
	const struct policy_ruleset *r, const struct nft_table *there)
{
	struct nft_table *maps = nft_table_new(NFPROTO_INET, POLICY_TABLE);
	policy_nft_put_maps(maps, r);
	for (enum policy_map m = 0; there && m < POLICY_MAPS; m++)
		policy_keep_strangers(w, r, &there->sets[m], &maps->sets[m]);
	return maps;
}

/*
 * Commits. They are made while nothing is told to us; whether somebody else committed at the same time is known by
 * the generation.
 */

/* What is to be committed: an edit, or the whole table, or (both NULL) its end. */
struct policy_commit {
	const struct nft_edit *edit;
	const struct nft_table *whole;
};

static int policy_commit_send(struct nft *n, const struct policy_commit *c, struct err *e)
{
	if (c->edit)
		return nft_edit_commit(n, c->edit, e);
	if (c->whole)
		return nft_replace(n, c->whole, e);
	int r = nft_delete(n, NFPROTO_INET, POLICY_TABLE, e);
	return r == -ENOENT ? 0 : r;
}

/* Refused: somebody else changed something that was not told yet. */
static int policy_writer_is_clean(struct policy_writer *w, uint32_t before, struct err *e)
{
	unsigned int what = 0;
	int r = nft_watch_read(&w->watch, &what, e);
	w->maps_grew = w->maps_grew || what & NFT_WATCH_ELEMENTS;
	if (r < 0 || (before == w->watch.clean && !(what & NFT_WATCH_CHANGED)))
		return r;
	return err_set(e, EAGAIN, "nf_tables is being changed by somebody else");
}

static int policy_writer_send(
	struct policy_writer *w, const struct policy_commit *c, uint32_t *before, struct err *e)
{
	struct err late;
	nft_watch_pause(&w->watch);
	int r = nft_generation(w->nft, before, e);
	if (r >= 0 && c->edit)
		r = policy_writer_is_clean(w, *before, e);
	if (r >= 0)
		r = policy_commit_send(w->nft, c, e);
	int resumed = nft_watch_resume(&w->watch, r < 0 ? &late : e);
	return r < 0 ? r : resumed;
}

/* 1; known says whether the kernel's table is what was sent. */
static int policy_writer_commit(
	struct policy_writer *w, const struct policy_commit *c, struct err *e)
{
	uint32_t before = 0, after = 0;
	uint64_t begun = boot_now_ns();
	int r = policy_writer_send(w, c, &before, e);
	w->numbers.last_us = (int64_t)(boot_now_ns() - begun) / 1000;
	w->known = false;
	if (r >= 0)
		r = nft_generation(w->nft, &after, e);
	if (r < 0) {
		w->numbers.refused++;
		return r;
	}
	w->numbers.batches++;
	nft_watch_clean(&w->watch, after);
	w->known = after == before + 1 || (after == before && !c->edit && !c->whole);
	return 1;
}

/*
 * Ways to make the table right, each more thorough than the one before.
 */

static int policy_writer_edit(
	struct policy_writer *w, const struct policy_ruleset *r, struct err *e)
{
	struct nft_edit x;
	int done = w->maps_grew ? policy_writer_read_maps(w, e) : 0;
	if (done < 0)
		return done;
	struct nft_table *maps = policy_writer_maps(w, r, w->maps);
	policy_writer_difference(w, r, maps, &x);
	if (!nft_edit_is_empty(&x))
		done = policy_writer_commit(w, &(struct policy_commit){.edit = &x}, e);
	nft_edit_done(&x);
	if (done >= 0)
		policy_writer_remember(w, r, maps);
	else
		nft_table_free(maps);
	return done;
}

static int policy_writer_replace(
	struct policy_writer *w, const struct policy_ruleset *r, struct err *e)
{
	struct nft_table *whole = policy_nft_new(&w->settings, r);
	policy_remark(whole);
	int done = policy_writer_commit(w, &(struct policy_commit){.whole = whole}, e);
	nft_table_free(whole);
	w->numbers.replaced += done > 0;
	if (done > 0)
		policy_writer_remember(w, r, policy_writer_maps(w, r, NULL));
	return done;
}

/* The maps of a table that was read, in their order; one that is missing is empty. */
static struct nft_table *policy_maps_of(const struct nft_table *now)
{
	static const struct policy_ruleset none;
	struct nft_table *maps = nft_table_new(NFPROTO_INET, POLICY_TABLE);
	policy_nft_put_maps(maps, &none);
	for (enum policy_map m = 0; m < POLICY_MAPS; m++)
		for (size_t i = 0; i < now->n_sets; i++) {
			const struct nft_set *s = &now->sets[i];
			size_t stride = nft_set_stride(s);
			if (strcmp(s->name, policy_map_name(m)) != 0 || s->strange ||
				stride != nft_set_stride(&maps->sets[m]))
				continue;
			for (size_t j = 0; j < s->n; j++)
				nft_set_add(&maps->sets[m], s->bytes + j * stride, NULL,
					s->bytes + j * stride + s->key_len);
		}
	return maps;
}

/* The whole table, with what ADD put into the maps. */
static struct nft_table *policy_writer_whole(const struct policy_writer *w,
	const struct policy_ruleset *r, const struct nft_table *there)
{
	struct nft_table *want = policy_nft_new(&w->settings, r);
	for (enum policy_map m = 0; m < POLICY_MAPS; m++)
		policy_keep_strangers(w, r, &there->sets[m], &want->sets[m]);
	return want;
}

static int policy_writer_read_table(struct policy_writer *w, struct nft_table **out, struct err *e)
{
	uint32_t generation;
	int r = nft_generation(w->nft, &generation, e);
	if (r >= 0)
		r = nft_read(w->nft, NFPROTO_INET, POLICY_TABLE, out, e);
	if (r >= 0)
		nft_watch_clean(&w->watch, generation);
	return r;
}

/* Compares with what is there. */
static int policy_writer_mend(
	struct policy_writer *w, const struct policy_ruleset *r, struct err *e)
{
	struct nft_edit x;
	struct nft_table *now = NULL;
	int done = policy_writer_read_table(w, &now, e);
	if (done == -ENOENT)
		return policy_writer_replace(w, r, e);
	if (done < 0)
		return done;
	struct nft_table *there = policy_maps_of(now), *maps = policy_writer_maps(w, r, there);
	struct nft_table *want = policy_writer_whole(w, r, there);
	nft_edit_init(&x, NFPROTO_INET, POLICY_TABLE);
	bool possible = nft_edit_between(now, want, &x);
	policy_remark(x.come);
	if (possible && !nft_edit_is_empty(&x))
		done = policy_writer_commit(w, &(struct policy_commit){.edit = &x}, e);
	nft_edit_done(&x);
	nft_table_free(want);
	nft_table_free(there);
	nft_table_free(now);
	w->known = w->known || (possible && done == 0);
	if (possible && done >= 0) {
		policy_writer_remember(w, r, maps);
		return done;
	}
	nft_table_free(maps);
	return possible ? done : policy_writer_replace(w, r, e);
}

static int policy_writer_remove(struct policy_writer *w, struct err *e)
{
	if (w->known && !w->stands)
		return 0;
	int r = policy_writer_commit(w, &(struct policy_commit){0}, e);
	if (r < 0)
		return r;
	policy_writer_forget(w);
	return r;
}

typedef int policy_attempt_fn(
	struct policy_writer *w, const struct policy_ruleset *r, struct err *e);

/* The last resort: a kernel that cannot log (CONFIG_NETFILTER_NETLINK_LOG) enforces all the same. */
static int policy_writer_silence(
	struct policy_writer *w, const struct policy_ruleset *r, struct err *e)
{
	w->settings.log = false;
	int done = policy_writer_replace(w, r, e);
	w->settings.log = done < 0;
	w->numbers.silent = w->numbers.silent || done >= 0;
	return done;
}

static int policy_writer_try(struct policy_writer *w, const struct policy_ruleset *r,
	policy_attempt_fn *attempt, bool *changed, struct err *e)
{
	int done = attempt(w, r, e);
	if (done < 0)
		w->known = false;
	*changed = *changed || done > 0;
	return done;
}

int policy_writer_sync(struct policy_writer *w, const struct policy_ruleset *r, struct err *e)
{
	static policy_attempt_fn *const attempts[] = {policy_writer_edit, policy_writer_mend,
		policy_writer_mend, policy_writer_replace, policy_writer_mend};
	bool changed = false;
	int done = 0;
	(void)policy_writer_hear(w, e); /* what cannot be heard is not known */
	if (!r->is_used)
		return policy_writer_remove(w, e);
	for (size_t i = w->known && w->stands ? 0 : 1; i < sizeof(attempts) / sizeof(*attempts);
		i++) {
		done = policy_writer_try(w, r, attempts[i], &changed, e);
		if (done >= 0 && w->known)
			return changed;
	}
	if (done == -ENOENT && w->settings.log)
		done = policy_writer_try(w, r, policy_writer_silence, &changed, e);
	if (done < 0 || w->known)
		return done < 0 ? done : 1;
	return err_set(e, EAGAIN,
		"table inet " POLICY_TABLE " is right, but nf_tables is changed by somebody else "
		"faster than that can be seen");
}

int policy_writer_agrees(struct policy_writer *w, struct err *e)
{
	const struct policy_ruleset *r = &w->rules;
	struct nft_edit x;
	struct nft_table *now = NULL;
	int done = nft_read(w->nft, NFPROTO_INET, POLICY_TABLE, &now, e);
	if (done < 0 && done != -ENOENT)
		return done;
	if (!now || !r->is_used)
		return !now == !r->is_used;
	struct nft_table *there = policy_maps_of(now);
	struct nft_table *want = policy_writer_whole(w, r, there);
	nft_edit_init(&x, NFPROTO_INET, POLICY_TABLE);
	bool same = nft_edit_between(now, want, &x) && nft_edit_is_empty(&x);
	nft_edit_done(&x);
	nft_table_free(want);
	nft_table_free(there);
	nft_table_free(now);
	return same;
}

static int policy_compare_counts(const void *a, const void *b)
{
	return strcmp(
		((const struct policy_count *)a)->name, ((const struct policy_count *)b)->name);
}

int policy_writer_counts(
	struct policy_writer *w, struct policy_count **out, size_t *n, struct err *e)
{
	struct nft_count *v = NULL;
	size_t count = 0;
	int r = nft_read_counters(w->nft, NFPROTO_INET, POLICY_TABLE, &v, &count, e);
	if (r < 0 && r != -ENOENT)
		return r;
	struct policy_count *counts = mem_new(count + 1, sizeof(*counts));
	for (size_t i = 0; i < count; i++) {
		(void)text_copy(counts[i].name, sizeof(counts[i].name), v[i].name);
		if (strncmp(v[i].remark, SINCE, sizeof(SINCE) - 1) == 0)
			(void)text_copy(counts[i].since, sizeof(counts[i].since),
				v[i].remark + sizeof(SINCE) - 1);
		counts[i].packets = v[i].packets;
		counts[i].bytes = v[i].bytes;
	}
	if (count)
		qsort(counts, count, sizeof(*counts), policy_compare_counts);
	free(v);
	*out = counts;
	*n = count;
	return 0;
}
