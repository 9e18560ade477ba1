/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jobs of the driver "etcd:", and when one may send. All calls go to the current endpoint. A
 * job waits while everything waits (after a round of failures), while it waits itself (it was
 * denied), while there is no token, or while RUNNING_MAX others are under way, as each of them has
 * a connection of its own.
 *
 * Two jobs are our own. LOGIN fetches a token when somebody waits for one; the password is read
 * from its file each time. PROBE: a stream that is silent may be dead. While there is one and
 * nothing was heard from the endpoint for two and a half timeouts, a tiny linearizable read asks;
 * its failure is a failure of the endpoint. A member that is cut off from its cluster cannot answer
 * it either. It reads the key that is the prefix itself, which whoever may watch may read.
 */
#include "store/etcd_jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define RUNNING_MAX 16	  /* commits and reads */
#define PASSWORD_MAX 4096 /* bytes of its file */

static void append(struct etcd_driver *d, struct etcd_job *j)
{
	struct etcd_job **end = &d->jobs;
	while (*end)
		end = &(*end)->next;
	*end = j;
}

struct etcd_job *etcd_job_add(struct etcd_driver *d, uint64_t id, enum etcd_job_kind kind)
{
	struct etcd_job *j = mem_new(1, sizeof(*j));
	j->id = id;
	j->kind = kind;
	j->deadline_ms = ETCD_NEVER;
	append(d, j);
	return j;
}

void etcd_job_free(struct etcd_job *j)
{
	if (!j)
		return;
	etcd_call_free(j->call);
	etcd_commit_free(j->commit);
	etcd_watch_free(j->watch);
	free(j->key);
	free(j);
}

void etcd_job_unlink(struct etcd_driver *d, struct etcd_job *j)
{
	struct etcd_job **p = &d->jobs;
	while (*p != j)
		p = &(*p)->next;
	*p = j->next;
	j->next = NULL;
}

void etcd_job_to_tail(struct etcd_driver *d, struct etcd_job *j)
{
	etcd_job_unlink(d, j);
	append(d, j);
}

static struct etcd_job *find_kind(const struct etcd_driver *d, enum etcd_job_kind kind)
{
	struct etcd_job *j = d->jobs;
	while (j && j->kind != kind)
		j = j->next;
	return j;
}

void etcd_job_end_call(struct etcd_job *j)
{
	etcd_call_free(j->call);
	j->call = NULL;
	j->streams = false;
	j->state = JOB_WAITING;
}

void etcd_job_drop(struct etcd_driver *d, struct etcd_job *j)
{
	etcd_job_unlink(d, j);
	etcd_job_free(j);
}

/* The first line of the password's file. */
static int read_password(const struct etcd_driver *d, char out[PASSWORD_MAX + 1], struct err *e)
{
	out[0] = '\0';
	if (!d->password_file)
		return 0;
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	CLEANUP_FD int fd = open(d->password_file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, EACCES, "cannot open %s: %s", d->password_file, strerror(errno));
	if (file_read_fd(fd, PASSWORD_MAX, &text, &len, e) < 0) {
		err_add(e, "the password in %s", d->password_file);
		return -EACCES;
	}
	text[strcspn(text, "\r\n")] = '\0';
	(void)text_copy(out, PASSWORD_MAX + 1, text);
	explicit_bzero(text, len);
	if (!json_is_utf8(out))
		return err_set(e, EACCES, "the password in %s is not UTF-8", d->password_file);
	return 0;
}

static int compose_login(const struct etcd_driver *d, struct text *body, struct err *e)
{
	char password[PASSWORD_MAX + 1];
	int r = read_password(d, password, e);
	text_add(body, "{\"name\":");
	etcd_add_quoted(body, d->user);
	text_add(body, ",\"password\":");
	etcd_add_quoted(body, password);
	text_add(body, "}");
	explicit_bzero(password, sizeof(password));
	return r;
}

static const char *compose(
	const struct etcd_driver *d, struct etcd_job *j, struct text *body, bool *is_stream)
{
	*is_stream = false;
	switch (j->kind) {
	case JOB_LOGIN:
		return compose_login(d, body, &j->why) < 0 ? NULL : "/v3/auth/authenticate";
	case JOB_COMMIT:
		return etcd_commit_compose(j->commit, body);
	case JOB_WATCH:
		return etcd_watch_compose(j->watch, body, is_stream);
	default:
		text_add(body, j->kind == JOB_PROBE ? "{\"keys_only\":true,\"key\":" : "{\"key\":");
		etcd_add_base64(body, j->key, strlen(j->key));
		text_add(body, "}");
		return "/v3/kv/range";
	}
}

static void start(struct etcd_driver *d, struct etcd_job *j)
{
	struct text body = {0};
	bool is_stream = false;
	const char *path = compose(d, j, &body, &is_stream);
	if (path) {
		j->call = etcd_http_post(d->http, d->endpoints[d->current], path,
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
		etcd_deny_login(d, j);
}

static bool needs_login(const struct etcd_driver *d)
{
	return d->user && !d->token && !d->login_is_off;
}

/* When a probe is due; ETCD_NEVER without a stream. */
static int64_t probe_due(const struct etcd_driver *d)
{
	bool streams = false;
	for (const struct etcd_job *j = d->jobs; j; j = j->next) {
		if (j->kind == JOB_PROBE)
			return ETCD_NEVER;
		streams = streams || j->streams;
	}
	return streams ? d->heard_ms + (int64_t)d->timeout_ms * 5 / 2 : ETCD_NEVER;
}

static void add_own(struct etcd_driver *d, int64_t now)
{
	if (probe_due(d) <= now)
		etcd_job_add(d, 0, JOB_PROBE)->key = mem_strdup(d->prefix);
	bool waits = false;
	for (const struct etcd_job *j = d->jobs; j; j = j->next)
		waits = waits || j->state == JOB_WAITING;
	if (waits && needs_login(d) && !find_kind(d, JOB_LOGIN))
		(void)etcd_job_add(d, 0, JOB_LOGIN);
}

void etcd_jobs_start(struct etcd_driver *d)
{
	int64_t now = boot_now_ms();
	d->started_ms = now;
	if (d->denied_until_ms > now)
		etcd_deny_waiting(d);
	add_own(d, now);
	if (d->not_before_ms > now)
		return;
	unsigned int running = 0;
	for (const struct etcd_job *j = d->jobs; j; j = j->next)
		running += j->kind < JOB_WATCH && j->state == JOB_RUNNING;
	struct etcd_job *next = NULL;
	for (struct etcd_job *j = d->jobs; j; j = next) {
		next = j->next;
		bool may = j->kind == JOB_LOGIN || !needs_login(d);
		if (j->state != JOB_WAITING || !may || j->not_before_ms > now)
			continue;
		if (j->kind < JOB_WATCH && running >= RUNNING_MAX)
			continue;
		running += j->kind < JOB_WATCH;
		start(d, j);
	}
}

void etcd_jobs_expire(struct etcd_driver *d)
{
	int64_t now = boot_now_ms();
	for (struct etcd_job *j = d->jobs; j; j = j->next) {
		if (j->state == JOB_READY || j->deadline_ms > now)
			continue;
		if (j->state == JOB_RUNNING && j->call->sent)
			etcd_commit_lost(j->commit);
		if (!*j->why.text)
			(void)err_set(&j->why, ETIMEDOUT, "no answer of etcd at %s in time",
				d->endpoints[d->current]);
		etcd_fail(j, -ECONNREFUSED);
	}
}

int64_t etcd_jobs_deadline_ms(const struct etcd_driver *d)
{
	int64_t at = probe_due(d);
	for (const struct etcd_job *j = d->jobs; j; j = j->next) {
		if (j->state != JOB_READY && j->deadline_ms < at)
			at = j->deadline_ms;
		if (j->state != JOB_WAITING || (j->kind != JOB_LOGIN && needs_login(d)))
			continue;
		int64_t start_at =
			j->not_before_ms > d->not_before_ms ? j->not_before_ms : d->not_before_ms;
		/* Otherwise it waits for something else than time. */
		if (start_at > d->started_ms && start_at < at)
			at = start_at;
	}
	return at;
}
