/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The kernel's routing socket (rtnetlink). Calls that change something queue a
 * message; net_commit() sends all of them at once and reads every acknowledgement. Calls that
 * list or find ask at once. A struct net belongs to the network namespace it was opened in and
 * stays there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/net_sizes.h"

#define NET_PROTO_KERNEL 2
#define NET_PROTO_RA 9
#define NET_PROTO_BOOT 3
#define NET_PROTO_STATIC 4
#define NET_PROTO_DHCP 16
#define NET_PROTO_ROOST 82 /* "roost" in rt_protos.d */

struct net;

int net_open(struct net **out, struct err *e);
void net_close(struct net *n);		  /* takes NULL */
uint64_t net_cookie(const struct net *n); /* of its namespace, see ns_cookie_of() */
void net_cleanup(struct net **n);	  /* for CLEANUP_NET */
#define CLEANUP_NET __attribute__((cleanup(net_cleanup)))

/* What a queued message may be refused for without being an error. */
enum net_tolerance { NET_STRICT, NET_MAY_EXIST, NET_MAY_LACK, NET_MAY_FAIL };

/* Sends what is queued. The first refusal that is not tolerated is returned, with what was asked
 * and the kernel's own sentence; messages behind it were still tried. The queue is empty
 * afterwards. *at (may be NULL) gets the tag of the refused message, see net_tag(). */
int net_commit(struct net *n, int *at, struct err *e);

/* Messages queued from now on carry this tag (0 at first). */
void net_tag(struct net *n, int tag);

/* A device is named by index, or by name while its index is not known yet. */
struct net_dev {
	int index;
	const char *name;
};
