/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The jobs of the driver "etcd:" and what they share: the endpoints, the user's token. Internal to
 * store/store_etcd.c and the modules below it: store/etcd_jobs.h (what is sent, and when),
 * store/etcd_auth.h (users) and store/etcd_endpoint.h (which endpoint serves us).
 */
#include "store/etcd_write.h"
#include "store/etcd_http.h"
#include "store/etcd_watch.h"
#include "store/store_driver.h"

#define ETCD_ENDPOINTS_MAX 16
#define ETCD_NEVER INT64_MAX

/* The last two are our own: getting a token, and asking whether the endpoint lives. */
enum etcd_job_kind { JOB_WRITE, JOB_GET, JOB_WATCH, JOB_LOGIN, JOB_PROBE };

/* READY: there is something to hand out. */
enum etcd_job_state { JOB_WAITING, JOB_RUNNING, JOB_READY };

struct etcd_job {
	struct etcd_job *next;
	uint64_t id; /* the front's; 0: our own */
	enum etcd_job_kind kind;
	enum etcd_job_state state;
	bool fail_fast;
	struct http_call *call;				 /* NULL while WAITING */
	bool streams;					 /* the call is a stream */
	unsigned int endpoint, generation, token_serial; /* that the call was made with */
	unsigned int failures, denials;
	int64_t not_before_ms, deadline_ms;
	char *key; /* GET, PROBE: with the prefix */
	struct etcd_write *write;
	struct etcd_watch *watch;
	struct store_trouble trouble; /* WATCH */
	struct store_event result;    /* READY; of a watch only FAILED */
	struct err why;		      /* of the result, or of the last failure */
};

struct etcd_driver {
	struct etcd_http http;
	char *endpoints[ETCD_ENDPOINTS_MAX];
	unsigned int n_endpoints, current;
	unsigned int generation; /* grows when current changes */
	char *prefix, *user, *password_file;
	char *token; /* NULL: none */
	unsigned int token_serial;
	bool login_is_off; /* the server knows no users */
	unsigned int timeout_ms;
	struct etcd_job *jobs; /* in the order in which they may speak */
	struct etcd_job *told; /* it is over, but the caller holds its strings */
	bool unfinished;       /* next() gave up although there was more to do */
	unsigned int failures; /* of endpoints, in a row */
	int64_t failing_since_s, not_before_ms, heard_ms;
	struct err denied; /* while now is before denied_until_ms: why the user is refused */
	int64_t denied_until_ms;
	int64_t started_ms; /* when it was last looked for jobs to start */
	struct store_trouble trouble;
	unsigned int trouble_endpoint; /* that it names */
};

struct etcd_job *etcd_job_add(struct etcd_driver *d, uint64_t id, enum etcd_job_kind kind);
void etcd_job_unlink(struct etcd_driver *d, struct etcd_job *j);
void etcd_job_to_tail(struct etcd_driver *d, struct etcd_job *j);
void etcd_job_free(struct etcd_job *j);			       /* takes NULL */
void etcd_job_drop(struct etcd_driver *d, struct etcd_job *j); /* unlinks and frees */
void etcd_job_end_call(struct etcd_job *j);		       /* back to WAITING */
void etcd_job_break_call(struct etcd_job *j); /* the same; what came of a watch's is lost */

/* A job of the front is over: error is -errno, the sentence is its why. A commit whose outcome is not
 * known ends with -ETIMEDOUT. */
void etcd_job_fail(struct etcd_job *j, int error);
