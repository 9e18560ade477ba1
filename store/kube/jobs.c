/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When something is sent to an API server, and how. While the server cannot be reached everything
 * waits: 100 ms, doubled up to 10 s, less a random half, so that a thousand agents do not come back at
 * once. A job that the server refuses waits by itself: half a second, doubled up to 30 s, or as
 * long as the server says (an hour at most). Requests are sixteen at a time, as each of them has a connection of its
 * own.
 *
 * A request is given up for lost when its answer has not begun after a timeout, and altogether at its
 * deadline. A page of a list has LIST_MS; a stream may be silent between lines for SILENCE_MS,
 * as the first bookmark comes after a minute, and the lines that tell what exists follow each other
 * closely anyway.
 */
#include "store/kube/job.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/mem.h"

#define RUNNING_MAX 16
#define LIST_MS 30000u
#define SILENCE_MS 150000u
#define SERVER_WAIT_MIN 100
#define SERVER_WAIT_MAX 10000
#define JOB_WAIT_MIN 500
#define JOB_WAIT_MAX 30000
#define RETRY_AFTER_MAX 3600
#define TRIES_MAX 2u /* of who fails fast, while the server is away */

/* ---- the list ---- */

static void job_append(struct kube *k, struct kube_job *j)
{
	struct kube_job **end = &k->jobs;
	while (*end)
		end = &(*end)->next;
	*end = j;
}

struct kube_job *kube_job_add(struct kube *k)
{
	struct kube_job *j = mem_new(1, sizeof(*j));
	j->id = j->owner = ++k->last_id;
	j->deadline_ms = KUBE_NEVER;
	j->call_deadline_ms = KUBE_NEVER;
	job_append(k, j);
	return j;
}

void kube_job_unlink(struct kube *k, struct kube_job *j)
{
	struct kube_job **p = &k->jobs;
	while (*p != j)
		p = &(*p)->next;
	*p = j->next;
	j->next = NULL;
}

void kube_job_to_tail(struct kube *k, struct kube_job *j)
{
	kube_job_unlink(k, j);
	job_append(k, j);
}

void kube_job_free(struct kube_job *j)
{
	if (!j)
		return;
	http_call_free(j->call);
	kube_watch_free(j->watch);
	json_decref(j->object);
	text_free(&j->body);
	free(j->path);
	free(j);
}

void kube_job_end_call(struct kube_job *j)
{
	http_call_free(j->call);
	j->call = NULL;
	j->streams = false;
	j->call_deadline_ms = KUBE_NEVER;
	j->state = KUBE_WAITING;
}

void kube_job_break_call(struct kube_job *j)
{
	if (j->watch)
		kube_watch_broken(j->watch);
	kube_job_end_call(j);
}

void kube_job_fail(struct kube_job *j, int error)
{
	kube_job_end_call(j);
	j->result = (struct kube_event){.kind = KUBE_FAILED, .error = error};
	j->state = KUBE_READY;
}

/* ---- waiting ---- */

static int64_t wait_ms(unsigned int failures, int64_t min, int64_t max)
{
	int64_t wait = min << (failures < 10 ? failures : 10);
	wait = wait < max ? wait : max;
	return wait - arc4random_uniform((uint32_t)wait / 2 + 1);
}

void kube_job_back_off(struct kube_job *j, int64_t retry_after_s)
{
	int64_t wait = wait_ms(j->failures++, JOB_WAIT_MIN, JOB_WAIT_MAX);
	int64_t said = retry_after_s < RETRY_AFTER_MAX ? retry_after_s : RETRY_AFTER_MAX;
	if (said > 0)
		wait = said * 1000 + arc4random_uniform(500);
	j->not_before_ms = boot_now_ms() + wait;
}

void kube_server_ok(struct kube *k)
{
	k->failures = 0;
	k->not_before_ms = 0;
	k->trouble.text[0] = '\0';
}

void kube_server_failed(struct kube *k, const char *why)
{
	const char *server = kube_credentials_config(k->credentials)->server;
	const char *bad = kube_credentials_trouble(k->credentials);
	int64_t wait = wait_ms(k->failures++, SERVER_WAIT_MIN, SERVER_WAIT_MAX);
	for (struct kube_job *j = k->jobs; j; j = j->next)
		j->strikes++;
	k->not_before_ms = boot_now_ms() + wait;
	store_trouble_set(&k->trouble, "the API server at %s cannot be used: %s%s%s", server, why,
		bad ? "; " : "", bad ? bad : "");
}

/* ---- sending ---- */

const char *kube_method_text(enum kube_method m)
{
	static const char *const texts[] = {
		[KUBE_GET] = "GET",
		[KUBE_POST] = "POST",
		[KUBE_PUT] = "PUT",
		[KUBE_DELETE] = "DELETE",
		[KUBE_PATCH] = "PATCH",
		[KUBE_PATCH_JSON] = "PATCH",
		[KUBE_PATCH_STRATEGIC] = "PATCH",
	};
	return texts[m];
}

static const char *content_type(enum kube_method m)
{
	switch (m) {
	case KUBE_PATCH:
		return "Content-Type: application/merge-patch+json";
	case KUBE_PATCH_JSON:
		return "Content-Type: application/json-patch+json";
	case KUBE_PATCH_STRATEGIC:
		return "Content-Type: application/strategic-merge-patch+json";
	default:
		return "Content-Type: application/json";
	}
}

/* The URL by the name in the certificate, and where to go instead. */
static void compose_url(
	const struct kube_config *c, const char *path, struct text *url, struct text *connect_to)
{
	const char *host = strstr(c->server, "://") + 3;
	const char *bracket = strchr(host, ']');
	const char *colon = strchr(bracket ? bracket : host, ':');
	if (!c->tls_server_name) {
		text_add(url, "%s%s%s", c->server, c->path, path);
		return;
	}
	text_add(url, "%.*s%s%s%s%s", (int)(host - c->server), c->server, c->tls_server_name,
		colon ? colon : "", c->path, path);
	text_add(connect_to, "%s%s", host, colon ? "" : ":443");
}

static void job_send(struct kube *k, struct kube_job *j, const struct kube_ask *ask)
{
	const char *token = kube_credentials_token(k->credentials);
	CLEANUP_TEXT struct text url = {0}, connect_to = {0}, accept = {0}, bearer = {0};
	compose_url(kube_credentials_config(k->credentials), ask->path.buf, &url, &connect_to);
	text_add(&accept, "Accept: %s", ask->accept);
	if (token)
		text_add(&bearer, "Authorization: Bearer %s", token);
	const char *const headers[] = {accept.buf, "User-Agent: roost", content_type(j->method),
		token ? bearer.buf : NULL, NULL};
	const struct http_request r = {
		.method = j->watch ? NULL : kube_method_text(j->method),
		.url = url.buf,
		.connect_to = connect_to.len ? connect_to.buf : NULL,
		.headers = headers,
		.body = j->body.len ? &j->body : NULL,
		.tls = kube_credentials_tls(k->credentials),
		.timeout_ms = j->watch ? LIST_MS : k->timeout_ms,
		.stream = ask->is_stream,
		.silence_ms = ask->is_stream ? SILENCE_MS : 0,
	};
	j->call = http_start(k->http, &r);
	j->streams = ask->is_stream;
	j->heard = false;
	j->state = KUBE_RUNNING;
	if (j->watch && !ask->is_stream)
		j->call_deadline_ms = boot_now_ms() + LIST_MS;
	if (bearer.buf)
		explicit_bzero(bearer.buf, bearer.len);
}

static void job_start(struct kube *k, struct kube_job *j)
{
	struct kube_ask ask = {.accept = "application/json"};
	(void)kube_credentials_look(k->credentials);
	if (j->watch)
		kube_watch_compose(j->watch, &ask);
	else
		text_add(&ask.path, "%s", j->path);
	job_send(k, j, &ask);
	text_free(&ask.path);
}

/* While the server is away, who fails fast does not wait for it for ever. */
static void jobs_fail_fast(struct kube *k)
{
	for (struct kube_job *j = k->jobs; j; j = j->next) {
		if (!j->fail_fast || j->state != KUBE_WAITING || j->strikes < TRIES_MAX)
			continue;
		(void)err_set(&j->why, EIO, "%s", k->trouble.text);
		kube_job_fail(j, -ECONNREFUSED);
	}
}

void kube_jobs_start(struct kube *k)
{
	int64_t now = boot_now_ms();
	k->started_ms = now;
	jobs_fail_fast(k);
	if (k->not_before_ms > now)
		return;
	unsigned int running = 0;
	for (const struct kube_job *j = k->jobs; j; j = j->next)
		running += !j->watch && j->state == KUBE_RUNNING;
	for (struct kube_job *j = k->jobs; j; j = j->next) {
		if (j->state != KUBE_WAITING || j->not_before_ms > now)
			continue;
		if (!j->watch && running >= RUNNING_MAX)
			continue;
		running += !j->watch;
		job_start(k, j);
	}
}

/* ---- time ---- */

static void job_expire(struct kube *k, struct kube_job *j)
{
	bool lost = j->state == KUBE_RUNNING && j->call->sent && j->method != KUBE_GET;
	const char *server = kube_credentials_config(k->credentials)->server;
	if (!*j->why.text)
		(void)err_set(&j->why, ETIMEDOUT, "%s",
			*k->trouble.text ? k->trouble.text : "no answer in time");
	if (!*k->trouble.text)
		err_add(&j->why, "the API server at %s", server);
	if (lost)
		err_add(&j->why, "whether this was done is unknown");
	kube_job_fail(j, lost ? -ETIMEDOUT : -ECONNREFUSED);
}

void kube_jobs_expire(struct kube *k)
{
	int64_t now = boot_now_ms();
	for (struct kube_job *j = k->jobs; j; j = j->next) {
		if (j->state != KUBE_READY && j->deadline_ms <= now) {
			job_expire(k, j);
		} else if (j->state == KUBE_RUNNING && j->call_deadline_ms <= now) {
			(void)err_set(&j->why, ETIMEDOUT, "its list did not end within %u s",
				LIST_MS / 1000);
			store_trouble_set(&j->trouble, "the API server at %s: %s of %s",
				kube_credentials_config(k->credentials)->server, j->why.text,
				kube_watch_path(j->watch));
			kube_job_break_call(j);
			kube_job_back_off(j, 0);
		}
	}
}

int64_t kube_jobs_deadline_ms(const struct kube *k)
{
	int64_t at = KUBE_NEVER;
	for (const struct kube_job *j = k->jobs; j; j = j->next) {
		if (j->state != KUBE_READY && j->deadline_ms < at)
			at = j->deadline_ms;
		if (j->state == KUBE_RUNNING && j->call_deadline_ms < at)
			at = j->call_deadline_ms;
		if (j->state != KUBE_WAITING)
			continue;
		int64_t start_at =
			j->not_before_ms > k->not_before_ms ? j->not_before_ms : k->not_before_ms;
		/* One that was due then and still waits needs something else than time. */
		if (start_at > k->started_ms && start_at < at)
			at = start_at;
	}
	return at;
}
