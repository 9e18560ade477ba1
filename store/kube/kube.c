/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of an API server. A request or a watch is a job; a job has at most one HTTP call at a
 * time. What a watch asks and what its answers mean is the business of store/kube/watch.c, which knows
 * no network; when something is sent is that of store/kube/jobs.c. Here is the way of an answer: from a
 * call to its job, from the job to the caller.
 *
 * Everything is driven by kube_next(): there is no callback, and nothing happens between the calls.
 *
 * Who gets a 401 looks at the files of the credentials again and asks once more at once; a second
 * one is told. A 403 is told with the server's own sentence, which names the user, the verb and the
 * resource.
 */
#include "store/kube/kube.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "store/kube/job.h"

#define TIMEOUT_MS 5000u  /* of a request without a byte of its answer */
#define REQUEST_MS 10000u /* of a request, unless its caller says something else */
#define ROUNDS_MAX 64	  /* of messages without an event, in one kube_next() */
#define RESUME_MS 500u	  /* streams that were cut go on within that */
#define TRIES_MAX 2u	  /* of who fails fast */
#define PATH_MAX_LEN 4096

static const char *server_of(const struct kube *k)
{
	return kube_credentials_config(k->credentials)->server;
}

/* ---- refusals ---- */

/* Who fails fast, or was refused for good, is over. */
static void job_refused(struct kube_job *j, int error, int64_t retry_after_s)
{
	if (!j->watch || j->once)
		kube_job_fail(j, error);
	else {
		kube_job_break_call(j);
		kube_job_back_off(j, retry_after_s);
	}
}

/* A 401. */
static void job_unknown(struct kube *k, struct kube_job *j)
{
	char who[KUBE_WHO];
	bool changed = kube_credentials_look(k->credentials) > 0;
	if (changed || j->unknown++ == 0) {
		kube_job_break_call(j);
		return;
	}
	(void)kube_credentials_who(k->credentials, who);
	(void)err_set(&j->why, EACCES,
		"the API server at %s does not know us (401): it was shown %s", server_of(k), who);
	store_trouble_set(&j->trouble, "%s", j->why.text);
	job_refused(j, -EACCES, 0);
}

static void job_forbidden(struct kube *k, struct kube_job *j)
{
	err_add(&j->why, "the API server at %s forbids it", server_of(k));
	store_trouble_set(&j->trouble, "%s", j->why.text);
	job_refused(j, -EACCES, 0);
}

static void job_missing(struct kube *k, struct kube_job *j)
{
	(void)err_set(&j->why, ENOENT,
		"the API server at %s has no %s: is its CustomResourceDefinition there, in this "
		"version?",
		server_of(k), kube_watch_path(j->watch));
	store_trouble_set(&j->trouble, "%s", j->why.text);
	job_refused(j, -ENOENT, 0);
}

static void job_again(struct kube *k, struct kube_job *j, int64_t retry_after_s)
{
	err_add(&j->why, "the API server at %s does not answer %s", server_of(k),
		kube_watch_path(j->watch));
	store_trouble_set(&j->trouble, "%s", j->why.text);
	kube_job_break_call(j);
	kube_job_back_off(j, retry_after_s);
	if (j->once && j->failures >= TRIES_MAX)
		kube_job_fail(j, -ECONNREFUSED);
}

/* ---- answers of a watch ---- */

static void watch_apply_verdict(
	struct kube *k, struct kube_job *j, enum kube_verdict v, int64_t retry_after_s)
{
	switch (v) {
	case KUBE_FINE:
		kube_server_ok(k);
		j->failures = 0;
		j->unknown = 0;
		j->trouble.text[0] = '\0';
		j->state = KUBE_READY;
		break;
	case KUBE_ANEW:
		kube_server_ok(k);
		kube_job_end_call(j);
		if (j->anew++ >= TRIES_MAX)
			kube_job_back_off(j, 0);
		break;
	case KUBE_AGAIN:
	case KUBE_BUSY:
		job_again(k, j, v == KUBE_BUSY ? retry_after_s : 0);
		break;
	case KUBE_UNKNOWN:
		job_unknown(k, j);
		break;
	case KUBE_FORBIDDEN:
		kube_server_ok(k);
		job_forbidden(k, j);
		break;
	case KUBE_MISSING:
		kube_server_ok(k);
		job_missing(k, j);
		break;
	case KUBE_LACKING:
		kube_server_ok(k);
		j->trouble.text[0] = '\0';
		kube_job_break_call(j);
		kube_job_back_off(j, 0);
		break;
	}
}

static void watch_take_answer(struct kube *k, struct kube_job *j)
{
	struct http_call *c = j->call;
	int64_t retry_after_s = c->retry_after_s;
	if (j->streams && c->status == 200) {
		kube_watch_ended(j->watch);
		bool heard = j->heard;
		kube_job_end_call(j);
		if (!heard)
			kube_job_back_off(j, 0);
		return;
	}
	enum kube_verdict v = kube_watch_take(
		j->watch, (int)c->status, c->body.buf ? c->body.buf : "", c->body.len, &j->why);
	watch_apply_verdict(k, j, v, retry_after_s);
}

static void watch_take_line(struct kube *k, struct kube_job *j, const char *line, size_t len)
{
	enum kube_verdict v = kube_watch_take(j->watch, 200, line, len, &j->why);
	j->heard = true;
	http_call_taken(j->call); /* it was parsed, nothing of it is needed */
	watch_apply_verdict(k, j, v, 0);
}

static void watch_lost(struct kube *k, struct kube_job *j)
{
	bool was_cut = j->heard && !j->call->timed_out;
	(void)err_set(&j->why, EIO, "%s", j->call->why);
	kube_job_break_call(j);
	if (was_cut)
		j->not_before_ms = boot_now_ms() + arc4random_uniform(RESUME_MS);
	else
		kube_server_failed(k, j->why.text);
}

/* ---- answers of a request ---- */

static void request_answered(struct kube *k, struct kube_job *j, int status, json_t *object)
{
	char what[sizeof(k->forbidden_what)], message[KUBE_MESSAGE];
	kube_job_end_call(j);
	(void)snprintf(what, sizeof(what), "%s %s", kube_method_text(j->method), j->path);
	if (status == 403) {
		(void)text_copy(k->forbidden_what, sizeof(k->forbidden_what), what);
		store_trouble_set(&k->forbidden, "the API server at %s forbids something: %s",
			server_of(k), kube_message(status, object, message));
	} else if (strcmp(what, k->forbidden_what) == 0) {
		k->forbidden.text[0] = '\0';
	}
	j->object = object;
	j->result = (struct kube_event){.kind = KUBE_ANSWER, .status = status, .object = object};
	j->state = KUBE_READY;
}

/* Asked again before its deadline; false: it has no time left, or no patience. */
static bool request_waits(struct kube_job *j, int64_t retry_after_s)
{
	kube_job_back_off(j, retry_after_s);
	if (j->not_before_ms >= j->deadline_ms || (j->fail_fast && j->failures > TRIES_MAX))
		return false;
	kube_job_end_call(j);
	return true;
}

static void request_take_answer(struct kube *k, struct kube_job *j)
{
	const struct http_call *c = j->call;
	int status = (int)c->status;
	json_t *object = NULL;
	struct err ignored;
	if (status == 401) {
		job_unknown(k, j);
		return;
	}
	kube_server_ok(k);
	bool undone = status == 429 || (status == 503 && c->retry_after_s > 0);
	if ((undone || (status >= 500 && j->method == KUBE_GET)) &&
		request_waits(j, c->retry_after_s))
		return;
	if (c->body.len)
		(void)kube_parse(c->body.buf, c->body.len, &object, &ignored); /* else no JSON */
	request_answered(k, j, status, object);
}

static void request_lost(struct kube *k, struct kube_job *j)
{
	bool lost = j->call->state == HTTP_LOST;
	(void)err_set(&j->why, EIO, "the API server at %s cannot be used: %s", server_of(k),
		j->call->why);
	if (!lost || j->call->timed_out)
		kube_server_failed(k, j->call->why);
	if (!lost || j->method == KUBE_GET) {
		kube_job_end_call(j);
		if (lost && j->fail_fast && ++j->failures > TRIES_MAX)
			kube_job_fail(j, -ECONNREFUSED);
		return;
	}
	err_add(&j->why, "whether this was done is unknown");
	kube_job_fail(j, -ETIMEDOUT);
}

/* ---- the way of an answer ---- */

static void job_too_large(struct kube *k, struct kube_job *j)
{
	(void)err_set(
		&j->why, EFBIG, "an answer of the API server at %s is too large", server_of(k));
	if (!j->watch) {
		kube_job_fail(j, -EFBIG);
		return;
	}
	kube_watch_too_large(j->watch);
	kube_job_end_call(j);
	if (j->anew++ >= TRIES_MAX) {
		store_trouble_set(&j->trouble, "%s", j->why.text);
		kube_job_back_off(j, 0);
	}
}

static void job_take_end(struct kube *k, struct kube_job *j)
{
	switch (j->call->state) {
	case HTTP_TOO_LARGE:
		job_too_large(k, j);
		return;
	case HTTP_ANSWERED:
		if (j->watch)
			watch_take_answer(k, j);
		else
			request_take_answer(k, j);
		return;
	default:
		if (j->watch)
			watch_lost(k, j);
		else
			request_lost(k, j);
	}
}

static void kube_take_all(struct kube *k)
{
	for (struct kube_job *j = k->jobs; j; j = j->next) {
		if (j->state != KUBE_RUNNING)
			continue;
		size_t len = 0;
		bool lines = j->streams && j->call->status == 200;
		const char *line = lines ? http_call_line(j->call, &len) : NULL;
		if (line)
			watch_take_line(k, j, line, len);
		else if (j->call->state != HTTP_RUNNING)
			job_take_end(k, j);
	}
}

static void kube_work(struct kube *k)
{
	http_pump(k->http);
	kube_take_all(k);
	kube_jobs_expire(k);
	kube_jobs_start(k);
}

static void job_over(struct kube *k, struct kube_job *j)
{
	kube_job_unlink(k, j);
	k->told = j;
}

static bool watch_tell(struct kube *k, struct kube_job *j, struct kube_event *out)
{
	if (kube_watch_next(j->watch, out)) {
		out->id = j->id;
		out->owner = j->owner;
		if (out->kind == KUBE_CURRENT)
			j->anew = 0;
		if (kube_watch_is_done(j->watch))
			job_over(k, j);
		return true;
	}
	if (j->streams && j->call)
		j->state = KUBE_RUNNING;
	else
		kube_job_end_call(j);
	kube_job_to_tail(k, j);
	return false;
}

static bool kube_tell(struct kube *k, uint64_t only, struct kube_event *out)
{
	struct kube_job *next = NULL;
	for (struct kube_job *j = k->jobs; j; j = next) {
		next = j->next;
		if (j->state != KUBE_READY || (only && j->owner != only))
			continue;
		if (j->watch && j->result.kind != KUBE_FAILED) {
			if (watch_tell(k, j, out))
				return true;
			continue;
		}
		*out = j->result;
		out->id = j->id;
		out->owner = j->owner;
		out->what = out->kind == KUBE_FAILED ? j->why.text : NULL;
		job_over(k, j);
		return true;
	}
	return false;
}

static bool kube_is_ready(const struct kube *k, uint64_t only)
{
	for (const struct kube_job *j = k->jobs; j; j = j->next)
		if (j->state == KUBE_READY && (!only || j->owner == only))
			return true;
	return false;
}

static bool kube_next_of(struct kube *k, uint64_t only, struct kube_event *out)
{
	kube_job_free(k->told);
	k->told = NULL;
	k->unfinished = false;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		if (kube_tell(k, only, out))
			return true;
		kube_work(k);
		if (!kube_is_ready(k, only))
			return false;
	}
	k->unfinished = true;
	return false;
}

/* ---- waking up ---- */

/* kube_next() may have something. */
static void kube_wake(struct kube *k)
{
	if (!k->awake)
		wait_at(&k->wait, 0);
	k->awake = true;
}

static void kube_sleep(struct kube *k, int64_t ours_ms)
{
	int64_t http = http_deadline_ms(k->http), jobs = kube_jobs_deadline_ms(k);
	int64_t at = http < jobs ? http : jobs;
	at = k->unfinished ? 0 : at;
	k->awake = false;
	wait_at(&k->wait, ours_ms < at ? ours_ms : at);
}

bool kube_next_owned(struct kube *k, uint64_t owner, struct kube_event *out)
{
	bool has = kube_next_of(k, owner, out);
	if (has)
		kube_wake(k);
	else
		kube_sleep(k, WAIT_NEVER);
	return has;
}

bool kube_next(struct kube *k, struct kube_event *out)
{
	return kube_next_owned(k, 0, out);
}

int kube_fd(const struct kube *k)
{
	return wait_fd(&k->wait);
}

/* ---- life ---- */

const char *kube_server(const char *host, const char *port, char out[KUBE_SERVER])
{
	if (!host || !*host || strlen(host) >= TEXT_DNS_NAME || (port && strlen(port) > 5))
		return NULL;
	bool bare6 = strchr(host, ':') && *host != '[';
	(void)snprintf(out, KUBE_SERVER, "https://%s%s%s:%s", bare6 ? "[" : "", host,
		bare6 ? "]" : "", port && *port ? port : "443");
	return out;
}

int kube_open(struct kube **out, const struct kube_options *o, struct err *e)
{
	struct kube *k = mem_new(1, sizeof(*k));
	const char *config = o->config && *o->config ? o->config : NULL;
	k->wait = (struct wait)WAIT_CLOSED;
	k->timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
	int r = kube_credentials_open(
		&k->credentials, config, o->folder ? o->folder : KUBE_ACCOUNT, o->server, e);
	if (r == 0)
		r = http_new(&k->http, e);
	if (r == 0)
		r = wait_open(&k->wait, e);
	if (r == 0)
		r = wait_add(&k->wait, http_fd(k->http), EPOLLIN, 0, e);
	if (r < 0) {
		kube_close(k);
		return r;
	}
	*out = k;
	return 0;
}

void kube_close(struct kube *k)
{
	if (!k)
		return;
	kube_job_free(k->told);
	while (k->jobs)
		kube_stop(k, k->jobs->id);
	http_free(k->http);
	kube_credentials_close(k->credentials);
	wait_close(&k->wait);
	free(k);
}

const char *kube_namespace(const struct kube *k)
{
	return kube_credentials_config(k->credentials)->namespace_;
}

/* ---- requests ---- */

static bool is_request_path(const char *path)
{
	if (*path != '/' || strlen(path) > PATH_MAX_LEN)
		return false;
	for (; *path; path++)
		if (*path <= ' ' || *path > '~')
			return false;
	return true;
}

static struct kube_job *start_request(struct kube *k, enum kube_method method, const char *path,
	const json_t *body, unsigned int timeout_ms)
{
	struct kube_job *j = kube_job_add(k);
	j->method = method;
	j->path = mem_strdup(path);
	j->deadline_ms = boot_now_ms() + (int64_t)(timeout_ms ? timeout_ms : REQUEST_MS);
	if (body) {
		CLEANUP_FREE char *text = json_text(body);
		text_add(&j->body, "%s", text);
	}
	if (!is_request_path(path)) {
		(void)err_set(&j->why, EINVAL, "a request to a path that is none");
		kube_job_fail(j, -EINVAL);
	}
	kube_wake(k);
	return j;
}

uint64_t kube_start_request(struct kube *k, enum kube_method method, const char *path,
	const json_t *body, unsigned int timeout_ms)
{
	return start_request(k, method, path, body, timeout_ms)->id;
}

static uint64_t start_watch(struct kube *k, const struct kube_selection *s, bool once)
{
	struct kube_job *j = kube_job_add(k);
	assert(is_request_path(s->path));
	j->watch = kube_watch_new(s, once);
	j->once = j->fail_fast = once;
	kube_wake(k);
	return j->id;
}

uint64_t kube_start_watch(struct kube *k, const struct kube_selection *s)
{
	return start_watch(k, s, false);
}

uint64_t kube_start_list(struct kube *k, const struct kube_selection *s)
{
	return start_watch(k, s, true);
}

void kube_stop(struct kube *k, uint64_t id)
{
	struct kube_job *j = k->jobs;
	while (j && j->id != id)
		j = j->next;
	if (!j)
		return;
	kube_job_unlink(k, j);
	kube_job_free(j);
}

void kube_own(struct kube *k, uint64_t id, uint64_t owner, bool fail_fast)
{
	struct kube_job *j = k->jobs;
	while (j->id != id)
		j = j->next;
	j->owner = owner;
	j->fail_fast = fail_fast;
}

void kube_forgive(struct kube *k)
{
	k->forbidden.text[0] = '\0';
}

void kube_stop_owned(struct kube *k, uint64_t owner)
{
	struct kube_job *next = NULL;
	for (struct kube_job *j = k->jobs; j; j = next) {
		next = j->next;
		if (j->owner != owner)
			continue;
		kube_job_unlink(k, j);
		kube_job_free(j);
	}
}

const char *kube_trouble(const struct kube *k, int64_t *since_s)
{
	const struct store_trouble *t = &k->trouble;
	for (const struct kube_job *j = k->jobs; j && !*t->text; j = j->next)
		t = &j->trouble;
	if (!*t->text)
		t = &k->forbidden;
	if (since_s)
		*since_s = t->since_s;
	return *t->text ? t->text : NULL;
}

int kube_request(struct kube *k, enum kube_method method, const char *path, const json_t *body,
	json_t **object, struct err *e)
{
	struct kube_event ev;
	struct kube_job *j = start_request(k, method, path, body, 0);
	uint64_t id = j->id;
	j->fail_fast = true; /* it has a deadline: this ends */
	while (!kube_next_of(k, id, &ev)) {
		kube_sleep(k, WAIT_NEVER);
		wait_block(&k->wait);
	}
	kube_wake(k);
	if (ev.kind == KUBE_FAILED)
		return err_set(e, -ev.error, "%s", ev.what);
	*object = json_incref((json_t *)ev.object);
	return ev.status;
}
