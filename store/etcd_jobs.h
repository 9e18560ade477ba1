/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The jobs of the driver "etcd:" and the endpoints they share. Internal to store/store_etcd.c,
 * store/etcd_jobs.c (what is sent, and when) and store/etcd_failure.c (what a failure means).
 */
#include "store/etcd_commit.h"
#include "store/etcd_http.h"
#include "store/etcd_watch.h"
#include "store/store_driver.h"

#define ETCD_ENDPOINTS_MAX 16
#define ETCD_NEVER INT64_MAX

/* The last two are our own: getting a token, and asking whether the endpoint lives. */
enum etcd_job_kind { JOB_COMMIT, JOB_GET, JOB_WATCH, JOB_LOGIN, JOB_PROBE };

/* READY: there is something to hand out. */
enum etcd_job_state { JOB_WAITING, JOB_RUNNING, JOB_READY };

struct etcd_job {
	struct etcd_job *next;
	uint64_t id; /* the front's; 0: our own */
	enum etcd_job_kind kind;
	enum etcd_job_state state;
	bool hasty;
	struct etcd_call *call;				 /* NULL while WAITING */
	bool streams;					 /* the call is a stream */
	unsigned int endpoint, generation, token_serial; /* that the call was made with */
	unsigned int failures, denials;
	int64_t not_before_ms, deadline_ms;
	char *key; /* GET, PROBE: with the prefix */
	struct etcd_commit *commit;
	struct etcd_watch *watch;
	struct store_trouble trouble; /* WATCH */
	struct store_event result;    /* READY; of a watch only FAILED */
	struct err why;		      /* of the result, or of the last failure */
};

struct etcd_driver {
	struct etcd_http *http;
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
};

/* store/etcd_jobs.c */
struct etcd_job *etcd_job_add(struct etcd_driver *d, uint64_t id, enum etcd_job_kind kind);
void etcd_job_unlink(struct etcd_driver *d, struct etcd_job *j);
void etcd_job_to_tail(struct etcd_driver *d, struct etcd_job *j);
void etcd_job_free(struct etcd_job *j);			       /* takes NULL */
void etcd_job_drop(struct etcd_driver *d, struct etcd_job *j); /* unlinks and frees */
void etcd_job_end_call(struct etcd_job *j);		       /* back to WAITING */
void etcd_jobs_start(struct etcd_driver *d);		       /* what may be sent now */
void etcd_jobs_expire(struct etcd_driver *d);
int64_t etcd_jobs_deadline_ms(const struct etcd_driver *d);

/* store/etcd_failure.c. Those that are given a job may free it when it is our own. */
void etcd_heard(struct etcd_driver *d); /* a good answer */
void etcd_fail(struct etcd_job *j, int error);
/* The call of j came to nothing (its why says how). lost: what it asked for may have been done. */
void etcd_again(struct etcd_driver *d, struct etcd_job *j, bool lost, bool timed_out);
void etcd_deny(struct etcd_driver *d, struct etcd_job *j);
void etcd_deny_login(struct etcd_driver *d, struct etcd_job *login);
void etcd_deny_waiting(struct etcd_driver *d); /* who came since */
void etcd_renew_token(struct etcd_driver *d, struct etcd_job *j);
