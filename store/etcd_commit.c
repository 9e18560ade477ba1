/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transaction for etcd. The first attempt is the plain one: compare, then put and delete. When
 * its answer is lost the next attempts ask one question, which etcd answers atomically:
 *
 *	if every document is as we wanted it (and is not the one we compared with): it was done
 *	else if every comparison holds: do it now
 *	else: what is the document?
 *
 * In the last case somebody changed the documents, before us (a conflict) or after we were done and
 * nobody told us. The history of one document that we both compared and put tells: from its present
 * version backwards (the present one may be ours: another document of ours was changed since) we
 * meet either the version that we compared with, or ours. When the history was compacted in
 * between nobody knows, and that is what is said.
 *
 * A transaction that puts no document which it compares (a blind write, a mere delete) has no such
 * document; there "else" is a conflict, and an attempt that is still under way inside etcd could
 * be carried out late. Who cannot bear that compares what he changes.
 */
#include "store/etcd_commit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "store/store_driver.h"
#include "lib/text.h"

#define STEPS_MAX 32 /* back in the history of a document */

struct etcd_commit {
	char *prefix;
	struct store_txn *txn;
	bool unknown; /* an earlier attempt may have been carried out */
	/* The document whose history decides; NULL: none. */
	const struct store_change *witness;
	int64_t compared; /* its revision in the comparison */
	int64_t read_at;  /* revision to read it at; 0: no need so far */
	unsigned int steps;
};

static const struct store_compare *find_compare(const struct store_txn *t, const char *key)
{
	for (size_t i = 0; i < t->n_compares; i++)
		if (strcmp(t->compares[i].key, key) == 0)
			return &t->compares[i];
	return NULL;
}

struct etcd_commit *etcd_commit_new(const char *prefix, const struct store_txn *t)
{
	struct etcd_commit *c = mem_new(1, sizeof(*c));
	c->prefix = mem_strdup(prefix);
	c->txn = store_txn_copy(t);
	for (size_t i = 0; i < t->n_changes && !c->witness; i++) {
		const struct store_change *change = &c->txn->changes[i];
		const struct store_compare *compare = find_compare(c->txn, change->key);
		if (!change->value || !compare)
			continue;
		c->witness = change;
		c->compared = compare->revision;
	}
	return c;
}

void etcd_commit_free(struct etcd_commit *c)
{
	if (!c)
		return;
	free(c->prefix);
	store_txn_free(c->txn);
	free(c);
}

static void add_key(const struct etcd_commit *c, struct text *body, const char *key)
{
	char whole[2 * STORE_KEY_MAX];
	struct text t = TEXT_ON(whole);
	text_add(&t, "%s%s", c->prefix, key);
	text_add(body, "\"key\":");
	etcd_add_base64(body, whole, t.len);
}

static void add_comma(struct text *body)
{
	char last = body->buf[body->len - 1];
	if (last == '}' || last == ']')
		text_add_char(body, ',');
}

static void add_revision_compare(const struct etcd_commit *c, struct text *body,
	const struct store_compare *compare, const char *result)
{
	add_comma(body);
	text_add(body, "{\"target\":\"MOD\",\"result\":\"%s\",\"mod_revision\":\"%" PRId64 "\",",
		result, compare->revision);
	add_key(c, body, compare->key);
	text_add(body, "}");
}

static void add_compares(const struct etcd_commit *c, struct text *body)
{
	text_add(body, "\"compare\":[");
	for (size_t i = 0; i < c->txn->n_compares; i++)
		add_revision_compare(c, body, &c->txn->compares[i], "EQUAL");
	text_add(body, "]");
}

static void add_changes(const struct etcd_commit *c, struct text *body)
{
	text_add(body, ",\"success\":[");
	for (size_t i = 0; i < c->txn->n_changes; i++) {
		const struct store_change *change = &c->txn->changes[i];
		add_comma(body);
		text_add(
			body, change->value ? "{\"request_put\":{" : "{\"request_delete_range\":{");
		add_key(c, body, change->key);
		if (change->value) {
			text_add(body, ",\"value\":");
			etcd_add_base64(body, change->value, strlen(change->value));
		}
		text_add(body, "}}");
	}
	text_add(body, "]");
}

static void add_plain(const struct etcd_commit *c, struct text *body)
{
	text_add(body, "{");
	add_compares(c, body);
	add_changes(c, body);
	text_add(body, "}");
}

/* The revision of a document; its value is known or does not matter. */
static void add_read(const struct etcd_commit *c, struct text *body, const char *key)
{
	text_add(body, "{\"request_range\":{\"keys_only\":true,");
	add_key(c, body, key);
	text_add(body, "}}");
}

/* Whether the documents are as we wanted them. */
static void add_wanted(const struct etcd_commit *c, struct text *body)
{
	text_add(body, "\"compare\":[");
	for (size_t i = 0; i < c->txn->n_changes; i++) {
		const struct store_change *change = &c->txn->changes[i];
		const struct store_compare absent = {.key = change->key};
		const struct store_compare *compare = find_compare(c->txn, change->key);
		if (!change->value) {
			add_revision_compare(c, body, &absent, "EQUAL");
			continue;
		}
		add_comma(body);
		text_add(body, "{\"target\":\"VALUE\",\"result\":\"EQUAL\",");
		add_key(c, body, change->key);
		text_add(body, ",\"value\":");
		etcd_add_base64(body, change->value, strlen(change->value));
		text_add(body, "}");
		if (compare)
			add_revision_compare(c, body, compare, "NOT_EQUAL");
	}
	text_add(body, "]");
}

static const struct store_change *first_put(const struct store_txn *t)
{
	for (size_t i = 0; i < t->n_changes; i++)
		if (t->changes[i].value)
			return &t->changes[i];
	return NULL;
}

static void add_question(const struct etcd_commit *c, struct text *body)
{
	const struct store_change *put = first_put(c->txn);
	text_add(body, "{");
	add_wanted(c, body);
	text_add(body, ",\"success\":[");
	if (put)
		add_read(c, body, put->key);
	text_add(body, "],\"failure\":[{\"request_txn\":{");
	add_compares(c, body);
	add_changes(c, body);
	text_add(body, ",\"failure\":[");
	if (c->witness)
		add_read(c, body, c->witness->key);
	text_add(body, "]}}]}");
}

/* A transaction without changes can simply be asked again. */
static bool is_question(const struct etcd_commit *c)
{
	return c->unknown && c->txn->n_changes > 0;
}

const char *etcd_commit_compose(const struct etcd_commit *c, struct text *body)
{
	if (c->read_at) {
		text_add(body, "{\"revision\":\"%" PRId64 "\",", c->read_at);
		add_key(c, body, c->witness->key);
		text_add(body, "}");
		return "/v3/kv/range";
	}
	if (is_question(c))
		add_question(c, body);
	else
		add_plain(c, body);
	return "/v3/kv/txn";
}

static enum etcd_verdict commit_done(struct store_event *out, bool *over, int64_t revision)
{
	*out = (struct store_event){.kind = STORE_DONE, .revision = revision};
	*over = true;
	return ETCD_FINE;
}

static enum etcd_verdict commit_conflict(struct store_event *out, bool *over)
{
	*out = (struct store_event){.kind = STORE_CONFLICT};
	*over = true;
	return ETCD_FINE;
}

static enum etcd_verdict commit_unknown(struct store_event *out, bool *over, struct err *e)
{
	int r = err_set(e, ETIMEDOUT,
		"etcd's answer was lost and the documents were changed by others since: "
		"whether this change was made is unknown");
	*out = (struct store_event){.kind = STORE_FAILED, .error = r};
	*over = true;
	return ETCD_FINE;
}

/* The next question: what was the witness at this revision? */
static enum etcd_verdict commit_read_at(
	struct etcd_commit *c, int64_t revision, struct store_event *out, bool *over, struct err *e)
{
	if (revision <= c->compared)
		return commit_conflict(out, over);
	if (++c->steps > STEPS_MAX)
		return commit_unknown(out, over, e);
	c->read_at = revision;
	*over = false;
	return ETCD_FINE;
}

static int first_kv(struct etcd_list *kvs, struct etcd_kv *out, struct err *e)
{
	*out = (struct etcd_kv){0};
	return kvs->at ? etcd_next_kv(kvs, out, e) : 0;
}

static enum etcd_verdict take_version(struct etcd_commit *c, struct etcd_answer *a,
	struct store_event *out, bool *over, struct err *e)
{
	struct etcd_kv kv;
	int r = first_kv(&a->kvs, &kv, e);
	if (r < 0)
		return ETCD_AGAIN;
	if (r == 0 || kv.mod_revision <= c->compared)
		return commit_conflict(out, over);
	if (kv.value && strcmp(kv.value, c->witness->value) == 0)
		return commit_done(out, over, kv.mod_revision);
	if (kv.mod_revision > c->read_at)
		return etcd_judge_foreign("a version of the future", e);
	return commit_read_at(c, kv.mod_revision - 1, out, over, e);
}

static enum etcd_verdict take_question(struct etcd_commit *c, struct etcd_answer *a,
	struct store_event *out, bool *over, struct err *e)
{
	struct etcd_answer inner = {0};
	struct etcd_kv kv;
	int r = a->responses.at ? etcd_next_response(&a->responses, &inner, e) : 0;
	if (r < 0)
		return ETCD_AGAIN;
	if (a->succeeded) {
		r = first_kv(&inner.kvs, &kv, e);
		return r < 0 ? ETCD_AGAIN
			     : commit_done(out, over, r ? kv.mod_revision : a->revision);
	}
	if (r == 0)
		return etcd_judge_foreign("no response", e);
	if (inner.succeeded)
		return commit_done(out, over, a->revision);
	struct etcd_answer read = {0};
	r = inner.responses.at ? etcd_next_response(&inner.responses, &read, e) : 0;
	if (r < 0 || (r > 0 && (r = first_kv(&read.kvs, &kv, e)) < 0))
		return ETCD_AGAIN;
	return r ? commit_read_at(c, kv.mod_revision, out, over, e) : commit_conflict(out, over);
}

enum etcd_verdict etcd_commit_take(struct etcd_commit *c, long status, struct text *text,
	struct store_event *out, bool *over, struct err *e)
{
	struct etcd_answer a;
	int error;
	*over = false;
	enum etcd_verdict v = etcd_judge(text->buf, text->len, status, &a, &error, e);
	if (v == ETCD_COMPACTED && c->read_at)
		return commit_unknown(out, over, e);
	if (v == ETCD_FINAL || v == ETCD_COMPACTED) {
		*out = (struct store_event){.kind = STORE_FAILED, .error = error};
		return ETCD_FINAL;
	}
	if (v != ETCD_FINE)
		return v;
	if (c->read_at)
		return take_version(c, &a, out, over, e);
	if (is_question(c))
		return take_question(c, &a, out, over, e);
	return a.succeeded ? commit_done(out, over, a.revision) : commit_conflict(out, over);
}

void etcd_commit_lost(struct etcd_commit *c)
{
	if (!c->read_at)
		c->unknown = true;
}

bool etcd_commit_is_unknown(const struct etcd_commit *c)
{
	return c->unknown;
}
