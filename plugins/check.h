/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CHECK: is an attachment still wired as the final result of its ADD says? More may be there
 * (chained plugins add routes, addresses and interfaces); the neighbour for the gateway is not
 * asked for, as a later change of the pod's MAC flushes it.
 */
#include "lib/bandwidth.h"
#include "lib/cni.h"
#include "lib/cni_result.h"
#include "lib/err.h"
#include "lib/net.h"
#include "lib/net_link.h"
#include "lib/net_route.h"

/* Compares prevResult and the pod's limits of bandwidth with the kernel, in the pod and on the host. -ENODATA
 * names what is missing. */
int check_wiring(const struct cni_request *r, const struct cni_result *prev, struct net *host,
	struct net *inside, const struct bandwidths *limits, struct err *e);
