/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a job of the driver "etcd:" may send. All calls go to the current endpoint. A job waits while
 * everything waits (after a round of failures), while it waits itself (it was denied), while there is
 * no token, or while RUNNING_MAX others are under way, as each of them has a connection of its own.
 *
 * Two jobs are our own. LOGIN fetches a token when somebody waits for one. PROBE: a stream that is
 * silent may be dead. While there is one and nothing was heard from the endpoint for two and a half
 * timeouts, a tiny linearizable read asks; its failure is a failure of the endpoint. A member that is
 * cut off from its cluster cannot answer it either. It reads the key that is the prefix itself, which
 * whoever may watch may read.
 */
#include "store/etcd_jobs.h"

#include <errno.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/mem.h"
#include "store/etcd_auth.h"

#define RUNNING_MAX 16 /* commits and reads */

static const char *job_compose(
	const struct etcd_driver *d, struct etcd_job *j, struct text *body, bool *is_stream)
{
	*is_stream = false;
	switch (j->kind) {
	case JOB_LOGIN:
		return etcd_auth_compose(d, body, &j->why) < 0 ? NULL : "/v3/auth/authenticate";
	case JOB_WRITE:
		return etcd_write_compose(j->write, body);
	case JOB_WATCH:
		return etcd_watch_compose(j->watch, body, is_stream);
	default:
		text_add(body, j->kind == JOB_PROBE ? "{\"keys_only\":true,\"key\":" : "{\"key\":");
		etcd_add_base64(body, j->key, strlen(j->key));
		text_add(body, "}");
		return "/v3/kv/range";
	}
}

static void job_start(struct etcd_driver *d, struct etcd_job *j)
{
	struct text body = {0};
	bool is_stream = false;
	const char *path = job_compose(d, j, &body, &is_stream);
	if (path) {
		j->call = etcd_http_post(&d->http, d->endpoints[d->current], path,
			j->kind == JOB_LOGIN ? NULL : d->token, &body, is_stream);
		j->streams = is_stream;
		j->endpoint = d->current;
		j->token_serial = d->token_serial;
		j->generation = d->generation;
		j->state = JOB_RUNNING;
	}
	if (j->kind == JOB_LOGIN && body.buf)
		explicit_bzero(body.buf, body.len);
	text_free(&body);
	if (!path)
		etcd_auth_login_failed(d, j);
}

/* When a probe is due; ETCD_NEVER without a stream. */
static int64_t jobs_probe_due(const struct etcd_driver *d)
{
	bool streams = false;
	for (const struct etcd_job *j = d->jobs; j; j = j->next) {
		if (j->kind == JOB_PROBE)
			return ETCD_NEVER;
		streams = streams || j->streams;
	}
	return streams ? d->heard_ms + (int64_t)d->timeout_ms * 5 / 2 : ETCD_NEVER;
}

static void jobs_add_own(struct etcd_driver *d, int64_t now)
{
	if (jobs_probe_due(d) <= now)
		etcd_job_add(d, 0, JOB_PROBE)->key = mem_strdup(d->prefix);
	bool waits = false, logs_in = false;
	for (const struct etcd_job *j = d->jobs; j; j = j->next) {
		waits |= j->state == JOB_WAITING;
		logs_in |= j->kind == JOB_LOGIN;
	}
	if (waits && !logs_in && etcd_auth_needs_login(d))
		(void)etcd_job_add(d, 0, JOB_LOGIN);
}

void etcd_jobs_start(struct etcd_driver *d)
{
	int64_t now = boot_now_ms();
	d->started_ms = now;
	if (d->denied_until_ms > now)
		etcd_auth_fail_waiting(d);
	jobs_add_own(d, now);
	if (d->not_before_ms > now)
		return;
	unsigned int running = 0;
	for (const struct etcd_job *j = d->jobs; j; j = j->next)
		running += j->kind < JOB_WATCH && j->state == JOB_RUNNING;
	struct etcd_job *next = NULL;
	for (struct etcd_job *j = d->jobs; j; j = next) {
		next = j->next;
		bool may = j->kind == JOB_LOGIN || !etcd_auth_needs_login(d);
		if (j->state != JOB_WAITING || !may || j->not_before_ms > now)
			continue;
		if (j->kind < JOB_WATCH && running >= RUNNING_MAX)
			continue;
		running += j->kind < JOB_WATCH;
		job_start(d, j);
	}
}

void etcd_jobs_expire(struct etcd_driver *d)
{
	int64_t now = boot_now_ms();
	for (struct etcd_job *j = d->jobs; j; j = j->next) {
		if (j->state == JOB_READY || j->deadline_ms > now)
			continue;
		if (j->state == JOB_RUNNING && j->call->sent)
			etcd_write_lost(j->write);
		if (!*j->why.text)
			(void)err_set(&j->why, ETIMEDOUT, "no answer of etcd at %s in time",
				d->endpoints[d->current]);
		etcd_job_fail(j, -ECONNREFUSED);
	}
}

int64_t etcd_jobs_deadline_ms(const struct etcd_driver *d)
{
	int64_t at = jobs_probe_due(d);
	for (const struct etcd_job *j = d->jobs; j; j = j->next) {
		if (j->state != JOB_READY && j->deadline_ms < at)
			at = j->deadline_ms;
		if (j->state != JOB_WAITING || (j->kind != JOB_LOGIN && etcd_auth_needs_login(d)))
			continue;
		int64_t start_at =
			j->not_before_ms > d->not_before_ms ? j->not_before_ms : d->not_before_ms;
		/* Otherwise it waits for something else than time. */
		if (start_at > d->started_ms && start_at < at)
			at = start_at;
	}
	return at;
}
