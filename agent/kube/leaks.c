/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record outlives its pod when the runtime never called DEL: its own state was lost, or it was killed at
 * the wrong moment and nobody calls GC. Two witnesses are asked, and both have to say that the pod is
 * gone: the API for as long as the setting says, and the kernel. One alone errs: the API forgets pods by force while
 * they run, and a link may be missing because an ADD is under way.
 */
#include "agent/kube/leaks.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/search.h"

void leaks_done(struct leaks *l)
{
	free(l->v);
	*l = (struct leaks){0};
}

static int compare_missed(const void *a, const void *b)
{
	return hash_compare(
		&((const struct leaks_missed *)a)->owner, &((const struct leaks_missed *)b)->owner);
}

static int64_t missed_since(const struct leaks *l, const struct hash *owner, int64_t now_ms)
{
	const struct leaks_missed key = {.owner = *owner};
	const struct leaks_missed *m = search_find(l->v, l->n, sizeof(key), &key, compare_missed);
	return m ? m->since_ms : now_ms;
}

size_t leaks_judge(struct leaks *l, const struct roster *pods, const struct leaks_record *records,
	size_t n, const struct leaks_when *when, bool *is_due)
{
	bool counts = pods->complete && pods->n > 0;
	struct leaks next = {.v = mem_new(n + 1, sizeof(*next.v))};
	size_t due = 0;
	for (size_t i = 0; i < n; i++) {
		const struct leaks_record *r = &records[i];
		is_due[i] = false;
		if (!counts || !*r->pod || r->has_link || roster_find(pods, r->pod))
			continue;
		int64_t since = missed_since(l, &r->owner, when->now_ms);
		next.v[next.n++] = (struct leaks_missed){.owner = r->owner, .since_ms = since};
		is_due[i] = when->now_ms - since >= when->gone_ms;
		due += is_due[i];
	}
	leaks_done(l);
	*l = next;
	return due;
}
