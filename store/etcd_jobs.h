/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * When the jobs of the driver "etcd:" send what, and when they have waited long enough.
 */
#include "store/etcd_job.h"

void etcd_jobs_start(struct etcd_driver *d); /* what may be sent now */
void etcd_jobs_expire(struct etcd_driver *d);
int64_t etcd_jobs_deadline_ms(const struct etcd_driver *d);
