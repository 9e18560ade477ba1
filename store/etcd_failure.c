/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a failure means to the driver "etcd:". When the current endpoint fails (refused, silent for
 * a timeout, an error of the kind AGAIN) the next one is current; streams of the old one are
 * broken off and go on there. Failures of calls that were made before count for nothing. After a
 * round of failures everything waits: 50 ms, doubled each time up to 3 s, less a random half. Any
 * good answer ends that, and the trouble that is told.
 *
 * A user who is refused, or may not do what is asked, is another matter: whoever waits for a result
 * gets it at once, watches are tried again from time to time, since somebody may mend it. "Invalid
 * token" is no refusal before a fresh token has not helped, either.
 */
#include "store/etcd_jobs.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"

#define DENIED_WAIT 5000 /* ms until a refused user is tried again */
#define DENIED_MAX 3	 /* fresh tokens that did not help */
#define BACKOFF_MIN 50	 /* ms */
#define BACKOFF_MAX 3000 /* ms */

static void break_stream(struct etcd_job *j)
{
	etcd_watch_broken(j->watch);
	etcd_job_end_call(j);
}

void etcd_fail(struct etcd_job *j, int error)
{
	assert(j->kind == JOB_COMMIT || j->kind == JOB_GET || j->kind == JOB_WATCH);
	etcd_job_end_call(j);
	if (j->kind == JOB_COMMIT && etcd_commit_is_unknown(j->commit) && error != -ETIMEDOUT) {
		err_add(&j->why, "whether this change was made is unknown");
		error = -ETIMEDOUT;
	}
	j->result = (struct store_event){.kind = STORE_FAILED, .error = error};
	j->state = JOB_READY;
}

void etcd_heard(struct etcd_driver *d)
{
	d->heard_ms = boot_now_ms();
	d->failures = 0;
	d->not_before_ms = 0;
	d->denied_until_ms = 0;
	d->trouble.text[0] = '\0';
}

static void back_off(struct etcd_driver *d)
{
	unsigned int round = d->failures / d->n_endpoints;
	int64_t wait = BACKOFF_MIN << (round < 7 ? round - 1 : 6);
	wait = wait < BACKOFF_MAX ? wait : BACKOFF_MAX;
	d->not_before_ms = boot_now_ms() + wait - arc4random_uniform((uint32_t)wait / 2 + 1);
}

/* The endpoint of that generation does not serve us. */
static void leave_endpoint(struct etcd_driver *d, unsigned int generation, const char *why)
{
	if (generation != d->generation)
		return;
	if (d->failures++ == 0)
		d->failing_since_s = boot_now_ms() / 1000;
	if (d->failures >= d->n_endpoints) {
		store_trouble_set(&d->trouble, "etcd at %s cannot be used: %s%s",
			d->endpoints[d->current], why,
			d->n_endpoints > 1 ? " (nor can the other endpoints)" : "");
		d->trouble.since_s = d->failing_since_s;
	}
	if (d->failures % d->n_endpoints == 0)
		back_off(d);
	d->generation++;
	d->current = (d->current + 1) % d->n_endpoints;
	for (struct etcd_job *j = d->jobs; j; j = j->next)
		if (j->kind == JOB_WATCH && j->streams)
			break_stream(j);
}

/* A hasty job does not wait longer than it takes to ask everybody twice. */
static void count_failure(struct etcd_driver *d, struct etcd_job *j, bool timed_out)
{
	j->failures++;
	if (!j->hasty || j->failures < 2 * d->n_endpoints)
		return;
	if (j->kind == JOB_COMMIT && etcd_commit_is_unknown(j->commit))
		return; /* until its deadline, the truth is worth it */
	etcd_fail(j, timed_out && j->kind != JOB_COMMIT ? -ETIMEDOUT : -ECONNREFUSED);
}

void etcd_again(struct etcd_driver *d, struct etcd_job *j, bool lost, bool timed_out)
{
	struct err why = j->why;
	err_add(&j->why, "etcd at %s cannot be used", d->endpoints[j->endpoint]);
	unsigned int generation = j->generation;
	if (j->kind == JOB_COMMIT && lost)
		etcd_commit_lost(j->commit);
	if (j->kind == JOB_WATCH)
		etcd_watch_broken(j->watch);
	etcd_job_end_call(j);
	leave_endpoint(d, generation, why.text);
	if (j->kind == JOB_LOGIN) {
		for (struct etcd_job *k = d->jobs; k; k = k->next)
			if (k->hasty && k->state == JOB_WAITING) {
				k->why = j->why;
				count_failure(d, k, timed_out);
			}
		etcd_job_drop(d, j);
	} else if (j->kind == JOB_PROBE) {
		etcd_job_drop(d, j);
	} else {
		count_failure(d, j, timed_out);
	}
}

void etcd_deny(struct etcd_driver *d, struct etcd_job *j)
{
	etcd_heard(d);
	if (d->user)
		err_add(&j->why, "etcd at %s refuses user \"%s\"", d->endpoints[j->endpoint],
			d->user);
	else
		err_add(&j->why, "etcd at %s refuses requests without a user",
			d->endpoints[j->endpoint]);
	if (j->kind == JOB_WATCH && !j->hasty) {
		store_trouble_set(&j->trouble, "%s", j->why.text);
		etcd_watch_broken(j->watch);
		etcd_job_end_call(j);
		j->not_before_ms = boot_now_ms() + DENIED_WAIT;
	} else if (j->kind == JOB_PROBE) {
		etcd_job_drop(d, j);
	} else {
		etcd_fail(j, -EACCES);
	}
}

void etcd_deny_waiting(struct etcd_driver *d)
{
	for (struct etcd_job *j = d->jobs; j; j = j->next) {
		if (j->state != JOB_WAITING || j->id == 0 || (j->kind == JOB_WATCH && !j->hasty))
			continue;
		j->why = d->denied;
		etcd_fail(j, -EACCES);
	}
}

/* The user is refused: whoever waits for a result has it, watches wait for better times. */
void etcd_deny_login(struct etcd_driver *d, struct etcd_job *login)
{
	store_trouble_set(&d->trouble, "%s", login->why.text);
	d->denied = login->why;
	d->denied_until_ms = boot_now_ms() + DENIED_WAIT;
	d->not_before_ms = d->denied_until_ms;
	etcd_job_drop(d, login);
	etcd_deny_waiting(d);
}

void etcd_renew_token(struct etcd_driver *d, struct etcd_job *j)
{
	if (!d->user || ++j->denials > DENIED_MAX) {
		j->denials = 0;
		etcd_deny(d, j);
		return;
	}
	if (j->token_serial == d->token_serial) { /* nobody got a new one in between */
		free(d->token);
		d->token = NULL;
		d->login_is_off = false;
	}
	if (j->kind == JOB_PROBE) {
		etcd_job_drop(d, j);
		return;
	}
	if (j->kind == JOB_WATCH)
		etcd_watch_broken(j->watch);
	etcd_job_end_call(j);
}
