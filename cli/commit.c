/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to the cluster store. A person's command may meet agents and other people at any moment,
 * so every document is written only if it is still what was looked at; when it is not, the whole
 * command looks again.
 *
 * A pool that shall go, or get other blocks, must have none in use. Counting them first and
 * changing the pool afterwards would miss a claim in between. So the pool is disabled first [D1],
 * then the blocks are counted, pending ones among them [D2], then the change compares the disabled
 * document [D3]. A claim writes its pending block and then reads the pool afresh
 * (agent/block_steps.c): so either it is counted here, or it finds the pool disabled there. Who is
 * killed in between leaves a disabled pool, which harms nobody and is visible.
 */
#include "cli/commit.h"

#include <stdio.h>
#include <string.h>

#include "cli/config.h"
#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

int commit_write(
	struct store *s, const char *key, int64_t revision, const json_t *doc, struct err *e)
{
	CLEANUP_FREE char *text = doc ? json_text(doc) : NULL;
	const struct store_write w = {.key = key, .value = text, .revision = revision};
	return config_write(s, &w, e);
}

void commit_drop_guard(struct store *s)
{
	CLEANUP_DOC struct store_doc guard = {0};
	struct err ignored = {0}; /* the next one meets it again */
	if (config_get(s, KEYS_OLD_GUARD, &guard, &ignored) > 0)
		(void)commit_write(s, KEYS_OLD_GUARD, guard.revision, NULL, &ignored);
}

void commit_report(json_t *list, enum resource_kind kind, const char *name, const char *result)
{
	if (list)
		json_append(list, json_pack("{s:s, s:s, s:s}", "kind", resource_kind_text(kind),
					  "name", name, "result", result));
	else
		(void)printf("%s %s\n", LABEL_STRING(kind, name), result);
}

/* The revision of what was just written; 0: it is not there any more as it was written. */
static int read_back(
	struct store *s, const char *key, const json_t *doc, int64_t *revision, struct err *e)
{
	CLEANUP_DOC struct store_doc seen = {0};
	CLEANUP_JSON json_t *is = NULL;
	struct err ignored; /* somebody else's */
	int r = config_get(s, key, &seen, e);
	if (r <= 0)
		return r;
	/* A store may give the members in an order of its own. */
	if (!seen.value || json_parse(seen.value, strlen(seen.value), &is, &ignored) < 0 ||
		!json_equal(is, doc))
		return 0;
	*revision = seen.revision;
	return 1;
}

int commit_hold(
	struct store *s, const struct inventory_item *pool, struct commit_hold *out, struct err *e)
{
	CLEANUP_JSON json_t *disabled = json_deep_copy(pool->doc);
	struct commit_hold hold = {.revision = 0};
	(void)text_copy(hold.key, sizeof(hold.key), pool->key);
	json_put(json_object_get(disabled, "spec"), "disabled", json_true());
	int r = commit_write(s, pool->key, pool->revision, disabled, e);
	if (r > 0)
		r = read_back(s, pool->key, disabled, &hold.revision, e);
	if (r <= 0)
		return r;
	hold.before = json_incref(pool->doc);
	*out = hold;
	return 1;
}

int commit_release(struct store *s, const struct commit_hold *h, struct err *e)
{
	return commit_write(s, h->key, h->revision, h->before, e);
}

void commit_hold_done(struct commit_hold *h)
{
	json_decref(h->before);
	*h = (struct commit_hold){0};
}
