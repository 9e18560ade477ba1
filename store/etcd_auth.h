/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Users and tokens of the driver "etcd:". Functions that are given a job may free it when it is our
 * own.
 */
#include "store/etcd_job.h"

/* Whether jobs have to wait for a LOGIN. */
bool etcd_auth_needs_login(const struct etcd_driver *d);

/* The body of a LOGIN; it holds the password. -EACCES. */
int etcd_auth_compose(const struct etcd_driver *d, struct text *body, struct err *e);

/* The answer of a LOGIN. */
void etcd_auth_take(struct etcd_driver *d, struct etcd_job *j, struct text *body, long status);

/* The user is refused: whoever waits for a result has it, watches wait for better times. */
void etcd_auth_login_failed(struct etcd_driver *d, struct etcd_job *login);
void etcd_auth_fail_waiting(struct etcd_driver *d); /* those that came since */

/* The user may not do what j asks. */
void etcd_auth_failed(struct etcd_driver *d, struct etcd_job *j);

/* The token of j is no good: j waits for a new one, a few times. */
void etcd_auth_renew(struct etcd_driver *d, struct etcd_job *j);
