/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which endpoint of etcd serves the driver, and what it means to the jobs when one fails.
 */
#include "store/etcd_job.h"

void etcd_endpoint_ok(struct etcd_driver *d); /* a good answer came */

/* The call of j came to nothing (its why says how); j waits for the next try, is over, or was freed as
 * it was our own. lost: what it asked for may have been done. */
void etcd_endpoint_failed(struct etcd_driver *d, struct etcd_job *j, bool lost, bool timed_out);
