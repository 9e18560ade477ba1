/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The guards around the node state in a CNI call: a timer, since a stopped process may hold a lock;
 * and the state's own checks. Both end in a JSON error.
 */
#include "ipam/node.h"
#include "lib/cni.h"
#include "lib/err.h"
#include "plugins/conf.h"

/* Starts the timer of this call and prepares what it says; see deadline_doing(). */
void guard_deadline(const struct cni_request *r, const struct conf *c, unsigned int seconds);

/* node_open(); logs a state that was set aside. */
int guard_open(const struct conf *c, enum node_mode mode, struct node **out, struct err *e);
