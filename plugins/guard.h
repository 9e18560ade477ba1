/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The guards around the node state in a CNI call: a timer, since a stopped process may hold a lock;
 * and the state's own checks. Both end in a JSON error.
 */
#include <stdbool.h>

#include "ipam/node.h"
#include "lib/cni.h"
#include "lib/err.h"
#include "plugins/conf.h"

/* Starts the timer of this call and prepares what it says; see deadline_doing(). */
void guard_deadline(const struct cni_request *r, const struct conf *c, unsigned int seconds);

/* node_open(); logs a state that was set aside. */
int guard_open(const struct conf *c, enum node_mode mode, struct node **out, struct err *e);

/* After guard_open() returned error: there is no state because its file system is full or read-only, so
 * nothing is recorded and a DEL has nothing to release. */
bool guard_is_unborn(const struct conf *c, int error);

/* Likewise for a DEL: the state is in a format of another version of roost, which the log says. The record
 * cannot be released, and stays; that is no reason to keep the pod from ending. */
bool guard_is_of_another(int error, const struct err *e, const char *container);
