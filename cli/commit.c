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

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cli/config.h"
#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

static void commit_put(struct commit *c, const char *key, int64_t revision, char *text)
{
	assert(c->n < STORE_TXN_MAX);
	(void)text_copy(c->keys[c->n], STORE_KEY_MAX, key);
	c->texts[c->n] = text;
	c->compares[c->n] = (struct store_compare){.key = c->keys[c->n], .revision = revision};
	c->changes[c->n] = (struct store_change){.key = c->keys[c->n], .value = text};
	c->n++;
}

bool commit_add(struct commit *c, const char *key, int64_t revision, const json_t *doc)
{
	char *text = doc ? json_text(doc) : NULL;
	size_t len = strlen(key) + (text ? strlen(text) : 0);
	bool fits = c->n == 0 || (c->n + 1 < STORE_TXN_MAX && c->bytes + len <= COMMIT_BYTES);
	if (!fits) {
		free(text);
		return false;
	}
	commit_put(c, key, revision, text);
	c->bytes += len;
	return true;
}

void commit_add_guard(struct commit *c, int64_t revision)
{
	uint64_t nonce[2];
	char text[64];
	if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
		err_abort("the kernel gives no random numbers");
	(void)snprintf(text, sizeof(text), "{\"nonce\":\"%016llx%016llx\"}",
		(unsigned long long)nonce[0], (unsigned long long)nonce[1]);
	commit_put(c, KEYS_GUARD_POOLS, revision, mem_strdup(text));
}

int commit_run(struct commit *c, struct store *s, struct err *e)
{
	const struct store_txn txn = {.compares = c->compares,
		.n_compares = c->n,
		.changes = c->changes,
		.n_changes = c->n};
	int r = config_commit(s, &txn, e);
	commit_done(c);
	return r;
}

void commit_done(struct commit *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->texts[i]);
	c->n = 0;
	c->bytes = 0;
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
	int r = config_get(s, key, &seen, e);
	if (r <= 0)
		return r;
	CLEANUP_FREE char *text = json_text(doc);
	if (!seen.value || strcmp(seen.value, text) != 0)
		return 0;
	*revision = seen.revision;
	return 1;
}

int commit_hold(
	struct store *s, const struct inventory_item *pool, struct commit_hold *out, struct err *e)
{
	CLEANUP_COMMIT struct commit c = {.n = 0};
	CLEANUP_JSON json_t *disabled = json_deep_copy(pool->doc);
	struct commit_hold hold = {.revision = 0};
	(void)text_copy(hold.key, sizeof(hold.key), pool->key);
	json_put(json_object_get(disabled, "spec"), "disabled", json_true());
	(void)commit_add(&c, pool->key, pool->revision, disabled);
	int r = commit_run(&c, s, e);
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
	CLEANUP_COMMIT struct commit c = {.n = 0};
	(void)commit_add(&c, h->key, h->revision, h->before);
	return commit_run(&c, s, e);
}

void commit_hold_done(struct commit_hold *h)
{
	json_decref(h->before);
	*h = (struct commit_hold){0};
}
