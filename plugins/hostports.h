/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A pod's host ports in a CNI call: led to the pod when it is wired, and taken away before its link goes.
 * UDP flows that would go on by what was true before are forgotten.
 */
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/net.h"
#include "plugins/pod.h"

/* The pod is wired. -EADDRINUSE names the pod that has a port. Undone by hostports_remove(). */
int hostports_add(const struct pod *p, const char *prefix, struct net *host, struct err *e);

/* Whatever there is of this owner; nothing there is fine. */
int hostports_remove(const struct hash *owner, struct err *e);
