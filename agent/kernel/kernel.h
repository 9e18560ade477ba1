/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The kernel as the agent sees it and changes it: caches of links and addresses (libnl-route-3)
 * that follow by themselves, and the making equal of what is ours to what is wanted. Foreign routes
 * and devices are never touched. Routes are looked at through lib/net.h, filtered by protocol in the
 * kernel, so that a hundred thousand routes of BIRD cost nothing here.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/kernel/exits.h"
#include "agent/kernel/facts.h"
#include "agent/kernel/want.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/poolroute.h"
#include "lib/problems.h"

struct kernel;

int kernel_open(struct kernel **out, struct err *e); /* of the caller's namespace */
void kernel_close(struct kernel *k);		     /* takes NULL */

int kernel_fd(const struct kernel *k); /* readable: call kernel_read() */
/* Reads the notifications. CHANGED: something that kernel_facts() shows, or an object of ours, is
 * another now. MARKED: links are marked for deletion (OWNED_REAP_GROUP); what else changed meanwhile is
 * said by the next call, for which the descriptor is readable. SAME: neither; so it is for pods that
 * come and go. An overrun of the socket is mended by reading everything again. */
enum { KERNEL_SAME, KERNEL_CHANGED, KERNEL_MARKED };
int kernel_read(struct kernel *k, struct err *e);

/* What kernel_read() met since the last call, and no reconciliation mends: something of pods' wiring
 * (lib/wiring.h) or of nf_tables may be another. */
struct kernel_signs {
	bool pods, tables;
};
struct kernel_signs kernel_take_signs(struct kernel *k);

/* As of the last kernel_read(), for facts_done(). */
int kernel_facts(struct kernel *k, struct facts *out, struct err *e);

/* The link that packets to a take, 0: none. */
int kernel_route_dev(struct kernel *k, const struct addr *a);

/* See agent/kernel/ipip.h. */
bool kernel_ipip_is_foreign(struct kernel *k);

/* Makes it so; what is so already is not touched. Returns how many changes it took. Every part is
 * tried, the first error is returned; problems gets a sentence more for each part that failed.
 * A foreign device in the place of ours is a problem, not removed. */
int kernel_sync(struct kernel *k, const struct kernel_want *w, struct problems *problems);

/* The routes in a table of exits. */
int kernel_exits(struct kernel *k, uint32_t table, struct exits_route out[EXITS_ROUTES], size_t *n,
	struct err *e);

/* The routes inside pools that are not as they shall be, see lib/poolroute.h: a walk through all
 * routes. The host's routes, links or addresses, or BIRD's routes that lead nowhere, have changed since
 * the last walk: then it is worth another one. */
int kernel_poolroutes(struct kernel *k, const struct poolroute_query *q, struct poolroute **out,
	size_t *n, struct err *e);
bool kernel_poolroutes_moved(const struct kernel *k);

/* Deletes the links that DEL marked, as one group. Returns how many were known, at least 1 when
 * there was any. Call it now and then without KERNEL_MARKED, too: a link that was down before it was
 * marked is not announced by the kernel. Costs next to nothing when there is none. */
int kernel_delete_marked_links(struct kernel *k, struct err *e);
