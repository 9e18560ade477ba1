/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A pod's limits of bandwidth in the kernel: a token bucket on the host's end of its link for what it
 * receives, and for what it sends one on an ifb device between that end and the host. Nothing of it is in
 * the pod's namespace, where the pod could change it. The device goes with the link: lib/owned.h.
 */
#include "lib/bandwidth.h"
#include "lib/err.h"
#include "lib/net.h"
#include "lib/net_link.h"
#include "plugins/pod.h"

/* Of a pod that is wired; without limits nothing happens. Undone by unwire(). */
int shape_apply(const struct pod *p, struct net *host, struct err *e);

/* Whether a link has these limits. -ENODATA says what is missing. */
int shape_check(const struct bandwidths *must, const struct hash *owner,
	const struct net_link *link, struct net *host, struct err *e);
