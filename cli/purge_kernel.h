/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A purge of this network namespace.
 */
#include "cli/purge.h"

/* The hosts' ends of pods: how many, and the names of the first of them. */
int purge_count_pods(size_t *count, char *names, size_t size, struct err *e);

/* Links, rules, routes, tables, devices. */
void purge_kernel(struct purge *p);
