/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver "etcd:". Every request of the front is a job; a job has at most one HTTP call at a
 * time, and what it sends and what an answer means is the business of store/etcd_write.c and
 * store/etcd_watch.c, which know no network. What jobs share is in store/etcd_endpoint.c (the
 * endpoint that is asked), store/etcd_auth.c (the token of a user) and store/etcd_jobs.c (when
 * something is sent). Here is the way of an answer: from a call to its job, from the job to the front.
 *
 * Strings of an event stand in the text that came from the network, decoded in place. So while
 * a watch is being told, its call stays and is not read further; and a job that is over is
 * freed at the next call only.
 *
 * Everything is driven by next(): there is no callback into the driver, and nothing happens
 * between the calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "store/etcd_auth.h"
#include "store/etcd_endpoint.h"
#include "store/etcd_jobs.h"

#define ROUNDS_MAX 64 /* of messages without an event, in one next() */

static enum etcd_verdict job_take_get(
	struct etcd_driver *d, struct etcd_job *j, struct text *body, long status)
{
	struct etcd_answer a;
	struct etcd_kv kv;
	int error;
	enum etcd_verdict v = etcd_judge(body->buf, body->len, status, &a, &error, &j->why);
	if (v == ETCD_FINAL || v == ETCD_COMPACTED)
		j->result = (struct store_event){.kind = STORE_FAILED, .error = error};
	if (v != ETCD_FINE || j->kind == JOB_PROBE)
		return v;
	int r = a.kvs.at ? etcd_next_kv(&a.kvs, &kv, &j->why) : 0;
	if (r < 0)
		return ETCD_AGAIN;
	j->result = (struct store_event){
		.kind = r ? STORE_PUT : STORE_DELETE,
		.revision = r ? kv.mod_revision : 0,
		.key = j->key + strlen(d->prefix),
		.value = r ? kv.value : NULL,
	};
	return ETCD_FINE;
}

static void job_apply_verdict(struct etcd_driver *d, struct etcd_job *j, enum etcd_verdict v)
{
	switch (v) {
	case ETCD_TOKEN:
		etcd_auth_renew(d, j);
		break;
	case ETCD_DENIED:
		etcd_auth_failed(d, j);
		break;
	case ETCD_FINE:
		etcd_endpoint_ok(d);
		j->denials = 0;
		break;
	case ETCD_COMPACTED: /* a watch, which begins again by itself */
		etcd_endpoint_ok(d);
		etcd_job_end_call(j);
		break;
	case ETCD_FINAL:
		etcd_endpoint_ok(d);
		etcd_job_fail(j, j->result.error);
		break;
	case ETCD_AGAIN:
		etcd_endpoint_failed(d, j, true, false);
		break;
	}
}

/* The streams of the others are broken off, so that they check again. */
static void job_tell_other_watches(struct etcd_driver *d, const struct etcd_job *j)
{
	for (struct etcd_job *k = d->jobs; k; k = k->next) {
		if (k == j || k->kind != JOB_WATCH)
			continue;
		etcd_watch_distrust(k->watch);
		if (k->streams)
			etcd_job_break_call(k);
	}
}

static void job_take_answer(struct etcd_driver *d, struct etcd_job *j)
{
	struct text *body = &j->call->body;
	long status = j->call->status;
	bool over = true;
	enum etcd_verdict v;
	if (j->kind == JOB_LOGIN) {
		etcd_auth_take(d, j, body, status);
		return;
	}
	if (body->len == 0)
		text_add_bytes(body, "", 0); /* there is a text at least */
	if (j->kind == JOB_WATCH)
		v = etcd_watch_take(j->watch, status, body->buf, body->len, &j->why);
	else if (j->kind == JOB_WRITE)
		v = etcd_write_take(j->write, status, body, &j->result, &over, &j->why);
	else
		v = job_take_get(d, j, body, status);
	if ((v == ETCD_FINAL && (j->kind == JOB_WATCH || j->kind == JOB_PROBE)) ||
		(v == ETCD_COMPACTED && j->kind != JOB_WATCH))
		v = ETCD_AGAIN;
	job_apply_verdict(d, j, v); /* unless FINE, j may be gone */
	if (v != ETCD_FINE)
		return;
	if (j->kind == JOB_WATCH && etcd_watch_found_other(j->watch))
		job_tell_other_watches(d, j);
	if (j->kind == JOB_PROBE) {
		etcd_job_drop(d, j);
		return;
	}
	j->trouble.text[0] = '\0';
	if (over)
		j->state = JOB_READY;
	else
		etcd_job_end_call(j);
}

static void job_take_line(struct etcd_driver *d, struct etcd_job *j, char *line, size_t len)
{
	enum etcd_verdict v = etcd_watch_take(j->watch, 200, line, len, &j->why);
	if (v == ETCD_FINAL)
		v = ETCD_AGAIN;
	job_apply_verdict(d, j, v);
	if (v == ETCD_FINE) {
		j->state = JOB_READY;
		j->trouble.text[0] = '\0';
	}
}

static void job_take_end(struct etcd_driver *d, struct etcd_job *j)
{
	const struct http_call *c = j->call;
	switch (c->state) {
	case HTTP_TOO_LARGE:
		if (j->kind == JOB_WATCH) {
			etcd_watch_too_large(j->watch);
			etcd_job_end_call(j);
			return;
		}
		(void)err_set(&j->why, EIO, "its answer is too large");
		etcd_endpoint_failed(d, j, true, false);
		return;
	case HTTP_ANSWERED:
		if (!j->streams || c->status != 200) {
			job_take_answer(d, j);
			return;
		}
		(void)err_set(&j->why, EIO, "it ended a watch");
		etcd_endpoint_failed(d, j, true, false);
		return;
	default:
		(void)err_set(&j->why, EIO, "%s", c->why);
		etcd_endpoint_failed(d, j, c->state == HTTP_LOST, c->timed_out);
	}
}

static void etcd_take_all(struct etcd_driver *d)
{
	struct etcd_job *next = NULL;
	for (struct etcd_job *j = d->jobs; j; j = next) {
		next = j->next;
		if (j->state != JOB_RUNNING)
			continue;
		size_t len = 0;
		char *line = j->streams ? http_call_line(j->call, &len) : NULL;
		if (line)
			job_take_line(d, j, line, len);
		else if (j->call->state != HTTP_RUNNING)
			job_take_end(d, j);
	}
}

static void etcd_work(struct etcd_driver *d)
{
	http_pump(d->http.http);
	etcd_take_all(d);
	etcd_jobs_expire(d);
	etcd_jobs_start(d);
}

static bool job_tell_watch(struct etcd_driver *d, struct etcd_job *j, struct store_event *out)
{
	int r = etcd_watch_next(j->watch, out, &j->why);
	if (r > 0) {
		out->id = j->id;
		if (out->kind == STORE_CURRENT && etcd_watch_is_done(j->watch)) {
			etcd_job_unlink(d, j);
			d->told = j;
		}
		return true;
	}
	if (r < 0) {
		etcd_endpoint_failed(d, j, true, false);
		return false;
	}
	if (j->streams) {
		http_call_taken(j->call);
		j->state = JOB_RUNNING;
	} else {
		etcd_job_end_call(j);
	}
	etcd_job_to_tail(d, j);
	return false;
}

static bool etcd_tell(struct etcd_driver *d, uint64_t only, struct store_event *out)
{
	struct etcd_job *next = NULL;
	for (struct etcd_job *j = d->jobs; j; j = next) {
		next = j->next;
		if (j->state != JOB_READY || (only && j->id != only))
			continue;
		if (j->kind == JOB_WATCH && j->result.kind != STORE_FAILED) {
			if (job_tell_watch(d, j, out))
				return true;
			continue;
		}
		*out = j->result;
		out->id = j->id;
		out->what = out->kind == STORE_FAILED ? j->why.text : NULL;
		etcd_job_unlink(d, j);
		d->told = j;
		return true;
	}
	return false;
}

static bool etcd_is_ready(const struct etcd_driver *d, uint64_t only)
{
	for (const struct etcd_job *j = d->jobs; j; j = j->next)
		if (j->state == JOB_READY && (!only || j->id == only))
			return true;
	return false;
}

/* A message need not hold an event (a watch's first line, a page of foreign keys). */
static bool etcd_next(void *driver, uint64_t only, struct store_event *out)
{
	struct etcd_driver *d = driver;
	etcd_job_free(d->told);
	d->told = NULL;
	d->unfinished = false;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		if (etcd_tell(d, only, out))
			return true;
		etcd_work(d);
		if (!etcd_is_ready(d, only))
			return false;
	}
	d->unfinished = true;
	return false;
}

static char *copy_or_null(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

static int add_endpoints(struct etcd_driver *d, const char *where, struct err *e)
{
	CLEANUP_FREE char *list = mem_strdup(where);
	char *rest = list;
	for (char *url = strsep(&rest, ","); url; url = strsep(&rest, ",")) {
		if (d->n_endpoints == ETCD_ENDPOINTS_MAX)
			return err_set(
				e, EINVAL, "more than %d endpoints of etcd", ETCD_ENDPOINTS_MAX);
		int r = etcd_http_check_url(url, e);
		if (r < 0)
			return r;
		d->endpoints[d->n_endpoints++] = mem_strdup(url);
	}
	return 0;
}

static void etcd_close(void *driver)
{
	struct etcd_driver *d = driver;
	if (!d)
		return;
	etcd_job_free(d->told);
	while (d->jobs)
		etcd_job_drop(d, d->jobs);
	etcd_http_done(&d->http);
	for (unsigned int i = 0; i < d->n_endpoints; i++)
		free(d->endpoints[i]);
	free(d->prefix);
	free(d->user);
	free(d->password_file);
	free(d->token);
	free(d);
}

static int etcd_open(void **out, const struct store_options *o, const char *where, struct err *e)
{
	struct etcd_driver *d = mem_new(1, sizeof(*d));
	*d = (struct etcd_driver){
		.prefix = mem_strdup(o->prefix),
		.user = copy_or_null(o->user),
		.password_file = copy_or_null(o->password_file),
		.timeout_ms = o->timeout_ms,
	};
	int r = add_endpoints(d, where, e);
	/* Not everybody begins with the first. */
	if (r == 0)
		d->current = arc4random_uniform(d->n_endpoints);
	if (r == 0)
		r = etcd_http_init(&d->http, o, e);
	if (r < 0) {
		etcd_close(d);
		return r;
	}
	*out = d;
	return 0;
}

static void etcd_start_write(
	void *driver, uint64_t id, const struct store_write *w, int64_t deadline_ms, bool fail_fast)
{
	struct etcd_driver *d = driver;
	struct etcd_job *j = etcd_job_add(d, id, JOB_WRITE);
	j->write = etcd_write_new(d->prefix, w);
	j->deadline_ms = deadline_ms;
	j->fail_fast = fail_fast;
	etcd_jobs_start(d);
}

static void etcd_start_get(void *driver, uint64_t id, const char *key)
{
	struct etcd_driver *d = driver;
	struct etcd_job *j = etcd_job_add(d, id, JOB_GET);
	struct text whole = {0};
	text_add(&whole, "%s%s", d->prefix, key);
	j->key = whole.buf;
	j->fail_fast = true;
	etcd_jobs_start(d);
}

static void etcd_start_watch(void *driver, uint64_t id, const char *prefix, bool once)
{
	struct etcd_driver *d = driver;
	struct etcd_job *j = etcd_job_add(d, id, JOB_WATCH);
	j->watch = etcd_watch_new(d->prefix, prefix, once);
	j->fail_fast = once;
	etcd_jobs_start(d);
}

static void etcd_cancel(void *driver, uint64_t id)
{
	struct etcd_driver *d = driver;
	struct etcd_job *j = d->jobs;
	while (j && j->id != id)
		j = j->next;
	if (j)
		etcd_job_drop(d, j);
}

static int etcd_fd(const void *driver)
{
	const struct etcd_driver *d = driver;
	return http_fd(d->http.http);
}

static int64_t etcd_deadline_ms(const void *driver)
{
	const struct etcd_driver *d = driver;
	if (d->unfinished)
		return 0;
	int64_t at = http_deadline_ms(d->http.http);
	int64_t jobs = etcd_jobs_deadline_ms(d);
	return jobs < at ? jobs : at;
}

static const char *etcd_trouble(const void *driver, int64_t *since_s)
{
	const struct etcd_driver *d = driver;
	const struct store_trouble *t = &d->trouble;
	for (const struct etcd_job *j = d->jobs; j && !*t->text; j = j->next)
		t = &j->trouble;
	*since_s = t->since_s;
	return *t->text ? t->text : NULL;
}

const struct store_driver store_etcd_driver = {
	.timeout_ms = 2000,
	.open = etcd_open,
	.close = etcd_close,
	.write = etcd_start_write,
	.get = etcd_start_get,
	.watch = etcd_start_watch,
	.cancel = etcd_cancel,
	.next = etcd_next,
	.fd = etcd_fd,
	.deadline_ms = etcd_deadline_ms,
	.trouble = etcd_trouble,
};
