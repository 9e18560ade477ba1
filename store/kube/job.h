/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Requests and watches under way, and what they share: the server, our credentials. Internal to
 * store/kube/kube.c and store/kube/jobs.c.
 */
#include "lib/wait.h"
#include "store/http.h"
#include "store/kube/answer.h"
#include "store/kube/credentials.h"
#include "store/kube/kube.h"
#include "store/kube/watch.h"
#include "store/store_driver.h"

#define KUBE_NEVER INT64_MAX

/* READY: there is something to hand out. */
enum kube_job_state { KUBE_WAITING, KUBE_RUNNING, KUBE_READY };

struct kube_job {
	struct kube_job *next;
	uint64_t id,
		owner; /* owner: whose events they are; the id itself unless kube_own() said so */
	enum kube_job_state state;
	bool fail_fast, once;
	struct http_call *call; /* NULL while WAITING */
	bool streams, heard;	/* the call is a stream; a line of it came */
	/* A request; watch NULL. */
	enum kube_method method;
	char *path;
	struct text body; /* len 0: none */
	/* A watch. */
	struct kube_watch *watch;
	unsigned int failures, unknown, anew; /* in a row */
	unsigned int strikes;		      /* failures of the server since it began */
	int64_t not_before_ms, deadline_ms, call_deadline_ms;
	struct store_trouble trouble;
	struct kube_event result; /* READY; of a watch only FAILED */
	json_t *object;		  /* of the result */
	struct err why;
};

struct kube {
	struct http *http;
	struct wait wait;
	struct kube_credentials *credentials;
	unsigned int timeout_ms;
	struct kube_job *jobs; /* in the order in which they may speak */
	struct kube_job *told; /* it is over, but the caller holds its strings */
	uint64_t last_id;
	bool unfinished;       /* the last kube_next() gave up although there was more to do */
	bool awake;	       /* until kube_next() has nothing */
	unsigned int failures; /* of reaching the server, in a row */
	int64_t started_ms;    /* when it was last looked for jobs to start */
	int64_t not_before_ms;
	struct store_trouble trouble, forbidden;
	char forbidden_what[256]; /* the request that the last one is about */
};

/* For the driver of the store: whose events those of id are, and whether it has patience; events of one owner
 * only (0: of any); and the end of all that is his. */
void kube_own(struct kube *k, uint64_t id, uint64_t owner, bool fail_fast);
bool kube_next_owned(struct kube *k, uint64_t owner, struct kube_event *out);
void kube_forgive(struct kube *k); /* the request that was forbidden last is no trouble */
void kube_stop_owned(struct kube *k, uint64_t owner);

struct kube_job *kube_job_add(struct kube *k);
void kube_job_unlink(struct kube *k, struct kube_job *j);
void kube_job_to_tail(struct kube *k, struct kube_job *j);
void kube_job_free(struct kube_job *j);		   /* takes NULL */
void kube_job_end_call(struct kube_job *j);	   /* back to WAITING */
void kube_job_break_call(struct kube_job *j);	   /* the same; what came of a watch's is lost */
void kube_job_fail(struct kube_job *j, int error); /* with its why */

/* The job waits: longer the more often it failed, or for what the server said (0: nothing). */
void kube_job_back_off(struct kube_job *j, int64_t retry_after_s);

/* A good answer came; the server could not be reached, as why says. */
void kube_server_ok(struct kube *k);
void kube_server_failed(struct kube *k, const char *why);

void kube_jobs_start(struct kube *k);
void kube_jobs_expire(struct kube *k);
int64_t kube_jobs_deadline_ms(const struct kube *k);

const char *kube_method_text(enum kube_method m); /* "GET" */
