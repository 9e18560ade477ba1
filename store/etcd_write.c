/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One write for etcd. The first attempt is the plain one: compare, then put or delete. When its answer is
 * lost the next attempts ask one question, which etcd answers atomically:
 *
 *	if the document is as we wanted it (and is not the one we compared with): it was done
 *	else if the comparison holds: do it now
 *	else: what is the document?
 *
 * In the last case somebody changed the document, before us (a conflict) or after we were done and
 * nobody told us. Its history tells: from its present version backwards we meet either the version that
 * we compared with, or ours. When the history was compacted in between nobody knows, and that is what
 * is said.
 *
 * A deletion leaves no version of its own: a document that is gone is what was wanted, whoever did it,
 * and one that is there at another revision is a conflict.
 */
#include "store/etcd_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "store/store_driver.h"
#include "lib/text.h"

#define STEPS_MAX 32 /* back in the history of a document */

struct etcd_write {
	struct text key; /* with the prefix */
	struct store_write *write;
	bool unknown;	 /* an earlier attempt may have been carried out */
	int64_t read_at; /* revision to read the document at; 0: no need so far */
	unsigned int steps;
};

struct etcd_write *etcd_write_new(const char *prefix, const struct store_write *w)
{
	struct etcd_write *c = mem_new(1, sizeof(*c));
	text_add(&c->key, "%s%s", prefix, w->key);
	c->write = store_write_copy(w);
	return c;
}

void etcd_write_free(struct etcd_write *c)
{
	if (!c)
		return;
	text_free(&c->key);
	store_write_free(c->write);
	free(c);
}

static void add_key(const struct etcd_write *c, struct text *body)
{
	text_add(body, "\"key\":");
	etcd_add_base64(body, c->key.buf, c->key.len);
}

static void add_value(const struct etcd_write *c, struct text *body)
{
	text_add(body, ",\"value\":");
	etcd_add_base64(body, c->write->value, strlen(c->write->value));
}

static void add_revision_compare(
	const struct etcd_write *c, struct text *body, const char *result, int64_t revision)
{
	text_add(body, "{\"target\":\"MOD\",\"result\":\"%s\",\"mod_revision\":\"%" PRId64 "\",",
		result, revision);
	add_key(c, body);
	text_add(body, "}");
}

/* The comparison and the change, without the brace that ends them. */
static void add_attempt(const struct etcd_write *c, struct text *body)
{
	const struct store_write *w = c->write;
	text_add(body, "{\"compare\":[");
	add_revision_compare(c, body, "EQUAL", w->revision);
	text_add(body, "],\"success\":[{\"%s\":{",
		w->value ? "request_put" : "request_delete_range");
	add_key(c, body);
	if (w->value)
		add_value(c, body);
	text_add(body, "}}]");
}

/* Whether the document is as we wanted it. */
static void add_wanted(const struct etcd_write *c, struct text *body)
{
	text_add(body, "\"compare\":[");
	if (c->write->value) {
		text_add(body, "{\"target\":\"VALUE\",\"result\":\"EQUAL\",");
		add_key(c, body);
		add_value(c, body);
		text_add(body, "},");
		add_revision_compare(c, body, "NOT_EQUAL", c->write->revision);
	} else {
		add_revision_compare(c, body, "EQUAL", 0);
	}
	text_add(body, "]");
}

/* The revision of the document; its value is known or does not matter. */
static void add_read(const struct etcd_write *c, struct text *body)
{
	if (!c->write->value)
		return;
	text_add(body, "{\"request_range\":{\"keys_only\":true,");
	add_key(c, body);
	text_add(body, "}}");
}

static void add_question(const struct etcd_write *c, struct text *body)
{
	text_add(body, "{");
	add_wanted(c, body);
	text_add(body, ",\"success\":[");
	add_read(c, body);
	text_add(body, "],\"failure\":[{\"request_txn\":");
	add_attempt(c, body);
	text_add(body, ",\"failure\":[");
	add_read(c, body);
	text_add(body, "]}}]}");
}

const char *etcd_write_compose(const struct etcd_write *c, struct text *body)
{
	if (c->read_at) {
		text_add(body, "{\"revision\":\"%" PRId64 "\",", c->read_at);
		add_key(c, body);
		text_add(body, "}");
		return "/v3/kv/range";
	}
	if (c->unknown) {
		add_question(c, body);
	} else {
		add_attempt(c, body);
		text_add(body, "}");
	}
	return "/v3/kv/txn";
}

static enum etcd_verdict write_done(struct store_event *out, bool *over, int64_t revision)
{
	*out = (struct store_event){.kind = STORE_DONE, .revision = revision};
	*over = true;
	return ETCD_FINE;
}

static enum etcd_verdict write_conflict(struct store_event *out, bool *over)
{
	*out = (struct store_event){.kind = STORE_CONFLICT};
	*over = true;
	return ETCD_FINE;
}

static enum etcd_verdict write_unknown(struct store_event *out, bool *over, struct err *e)
{
	int r = err_set(e, ETIMEDOUT,
		"etcd's answer was lost and the document was changed by others since: "
		"whether this change was made is unknown");
	*out = (struct store_event){.kind = STORE_FAILED, .error = r};
	*over = true;
	return ETCD_FINE;
}

/* The next question: what was the document at this revision? */
static enum etcd_verdict write_read_at(
	struct etcd_write *c, int64_t revision, struct store_event *out, bool *over, struct err *e)
{
	if (revision <= c->write->revision)
		return write_conflict(out, over);
	if (++c->steps > STEPS_MAX)
		return write_unknown(out, over, e);
	c->read_at = revision;
	*over = false;
	return ETCD_FINE;
}

static int first_kv(struct etcd_list *kvs, struct etcd_kv *out, struct err *e)
{
	*out = (struct etcd_kv){0};
	return kvs->at ? etcd_next_kv(kvs, out, e) : 0;
}

static enum etcd_verdict take_version(struct etcd_write *c, struct etcd_answer *a,
	struct store_event *out, bool *over, struct err *e)
{
	struct etcd_kv kv;
	int r = first_kv(&a->kvs, &kv, e);
	if (r < 0)
		return ETCD_AGAIN;
	if (r == 0 || kv.mod_revision <= c->write->revision)
		return write_conflict(out, over);
	if (kv.value && strcmp(kv.value, c->write->value) == 0)
		return write_done(out, over, kv.mod_revision);
	if (kv.mod_revision > c->read_at)
		return etcd_judge_foreign("a version of the future", e);
	return write_read_at(c, kv.mod_revision - 1, out, over, e);
}

static enum etcd_verdict take_question(struct etcd_write *c, struct etcd_answer *a,
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
			     : write_done(out, over, r ? kv.mod_revision : a->revision);
	}
	if (r == 0)
		return etcd_judge_foreign("no response", e);
	if (inner.succeeded)
		return write_done(out, over, a->revision);
	struct etcd_answer read = {0};
	r = inner.responses.at ? etcd_next_response(&inner.responses, &read, e) : 0;
	if (r < 0 || (r > 0 && (r = first_kv(&read.kvs, &kv, e)) < 0))
		return ETCD_AGAIN;
	return r ? write_read_at(c, kv.mod_revision, out, over, e) : write_conflict(out, over);
}

enum etcd_verdict etcd_write_take(struct etcd_write *c, long status, struct text *text,
	struct store_event *out, bool *over, struct err *e)
{
	struct etcd_answer a;
	int error;
	*over = false;
	enum etcd_verdict v = etcd_judge(text->buf, text->len, status, &a, &error, e);
	if (v == ETCD_COMPACTED && c->read_at)
		return write_unknown(out, over, e);
	if (v == ETCD_FINAL || v == ETCD_COMPACTED) {
		*out = (struct store_event){.kind = STORE_FAILED, .error = error};
		return ETCD_FINAL;
	}
	if (v != ETCD_FINE)
		return v;
	if (c->read_at)
		return take_version(c, &a, out, over, e);
	if (c->unknown)
		return take_question(c, &a, out, over, e);
	return a.succeeded ? write_done(out, over, a.revision) : write_conflict(out, over);
}

void etcd_write_lost(struct etcd_write *c)
{
	if (!c->read_at)
		c->unknown = true;
}

bool etcd_write_is_unknown(const struct etcd_write *c)
{
	return c->unknown;
}
