/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shaping: a token bucket (tc-tbf(8)) in front of a link, and an intermediate device (ifb) that takes what
 * arrives on a link, so that it can be shaped, too. See lib/net.h for how messages are queued and sent.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/net.h"

struct net_rate {
	uint64_t rate;	/* bytes a second */
	uint32_t burst; /* bytes that may go at once after a pause */
};

/* An ifb device of a group, down. */
void net_add_ifb(struct net *n, const char *name, uint32_t mtu, uint32_t group);

/* What leaves by the link is delayed to the rate, whatever queue it had before. */
void net_shape(struct net *n, int link, const struct net_rate *r);

/* What arrives on the link goes through the device to first. Once for each link, until net_del_redirect(),
 * which refuses a queue of another kind than ours. */
void net_redirect(struct net *n, int link, int to);
void net_del_redirect(struct net *n, int link);

struct net_redirect {
	bool has_queue; /* there is something between the link and what arrives on it, of any kind */
	int to;		/* the device that our filter leads to; 0: none, or it is gone */
};

/* Asks within the queue: *out is filled by net_commit() with the token bucket of a link, zeros when it has
 * none; and with what is between a link and what arrives on it. */
void net_ask_shape(struct net *n, int link, struct net_rate *out);
void net_ask_redirect(struct net *n, int link, struct net_redirect *out);
