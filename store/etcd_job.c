/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of jobs of the driver "etcd:". Jobs speak in the order of the list; one that had its say
 * goes to its end. A job owns its call and what it is about.
 */
#include "store/etcd_job.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/mem.h"

static void etcd_job_append(struct etcd_driver *d, struct etcd_job *j)
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
	etcd_job_append(d, j);
	return j;
}

void etcd_job_free(struct etcd_job *j)
{
	if (!j)
		return;
	http_call_free(j->call);
	etcd_write_free(j->write);
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
	etcd_job_append(d, j);
}

void etcd_job_end_call(struct etcd_job *j)
{
	http_call_free(j->call);
	j->call = NULL;
	j->streams = false;
	j->state = JOB_WAITING;
}

void etcd_job_break_call(struct etcd_job *j)
{
	if (j->kind == JOB_WATCH)
		etcd_watch_broken(j->watch);
	etcd_job_end_call(j);
}

void etcd_job_drop(struct etcd_driver *d, struct etcd_job *j)
{
	etcd_job_unlink(d, j);
	etcd_job_free(j);
}

void etcd_job_fail(struct etcd_job *j, int error)
{
	assert(j->kind == JOB_WRITE || j->kind == JOB_GET || j->kind == JOB_WATCH);
	etcd_job_end_call(j);
	if (j->kind == JOB_WRITE && etcd_write_is_unknown(j->write) && error != -ETIMEDOUT) {
		err_add(&j->why, "whether this change was made is unknown");
		error = -ETIMEDOUT;
	}
	j->result = (struct store_event){.kind = STORE_FAILED, .error = error};
	j->state = JOB_READY;
}
