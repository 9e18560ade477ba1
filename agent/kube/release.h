/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Releases the addresses that agent/kube/leaks.h finds: shows it the records of this node's states and the
 * links of the kernel, and looks once more, alone with the pod, before anything goes.
 */
#include <stdint.h>

#include "agent/kube/leaks.h"
#include "agent/node_states.h"
#include "lib/net.h"

void release_leaks(struct leaks *l, const struct roster *pods, struct node_states *s,
	struct net *net, const struct leaks_when *when);
