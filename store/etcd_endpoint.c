/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoint that serves the driver "etcd:". When the current one fails (refused, silent for
 * a timeout, an error of the kind AGAIN) the next one is current; streams of the old one are
 * broken off and go on there. Failures of calls that were made before count for nothing. After a
 * round of failures everything waits: 50 ms, doubled each time up to 3 s, less a random half. Any
 * good answer ends that, and the trouble that is told.
 */
#include "store/etcd_endpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/boot.h"

#define BACKOFF_MIN 50	 /* ms */
#define BACKOFF_MAX 3000 /* ms */

void etcd_endpoint_ok(struct etcd_driver *d)
{
	d->heard_ms = boot_now_ms();
	d->failures = 0;
	d->not_before_ms = 0;
	d->denied_until_ms = 0;
	d->trouble.text[0] = '\0';
}

static void endpoint_back_off(struct etcd_driver *d)
{
	unsigned int round = d->failures / d->n_endpoints;
	int64_t wait = BACKOFF_MIN << (round < 7 ? round - 1 : 6);
	wait = wait < BACKOFF_MAX ? wait : BACKOFF_MAX;
	d->not_before_ms = boot_now_ms() + wait - arc4random_uniform((uint32_t)wait / 2 + 1);
}

/* The endpoint of that generation does not serve us. */
static void endpoint_leave(struct etcd_driver *d, unsigned int generation, const char *why)
{
	if (generation != d->generation)
		return;
	if (d->failures++ == 0)
		d->failing_since_s = boot_now_ms() / 1000;
	/* One outage has one sentence: that of the endpoint that was named first. */
	bool is_told = *d->trouble.text && d->trouble_endpoint != d->current;
	if (d->failures >= d->n_endpoints && !is_told) {
		d->trouble_endpoint = d->current;
		store_trouble_set(&d->trouble, "etcd at %s cannot be used: %s%s",
			d->endpoints[d->current], why,
			d->n_endpoints > 1 ? " (nor can the other endpoints)" : "");
		d->trouble.since_s = d->failing_since_s;
	}
	if (d->failures % d->n_endpoints == 0)
		endpoint_back_off(d);
	d->generation++;
	d->current = (d->current + 1) % d->n_endpoints;
	for (struct etcd_job *j = d->jobs; j; j = j->next)
		if (j->streams)
			etcd_job_break_call(j);
}

/* A fail-fast job does not wait longer than it takes to ask everybody twice. */
static void job_count_failure(struct etcd_driver *d, struct etcd_job *j, bool timed_out)
{
	j->failures++;
	if (!j->fail_fast || j->failures < 2 * d->n_endpoints)
		return;
	if (j->kind == JOB_WRITE && etcd_write_is_unknown(j->write))
		return; /* until its deadline, the truth is worth it */
	etcd_job_fail(j, timed_out && j->kind != JOB_WRITE ? -ETIMEDOUT : -ECONNREFUSED);
}

void etcd_endpoint_failed(struct etcd_driver *d, struct etcd_job *j, bool lost, bool timed_out)
{
	struct err why = j->why;
	err_add(&j->why, "etcd at %s cannot be used", d->endpoints[j->endpoint]);
	unsigned int generation = j->generation;
	if (j->kind == JOB_WRITE && lost)
		etcd_write_lost(j->write);
	etcd_job_break_call(j);
	endpoint_leave(d, generation, why.text);
	if (j->kind == JOB_LOGIN) {
		for (struct etcd_job *k = d->jobs; k; k = k->next)
			if (k->fail_fast && k->state == JOB_WAITING) {
				k->why = j->why;
				job_count_failure(d, k, timed_out);
			}
		etcd_job_drop(d, j);
	} else if (j->kind == JOB_PROBE) {
		etcd_job_drop(d, j);
	} else {
		job_count_failure(d, j, timed_out);
	}
}
