/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the parts of BIRD's text share: a growing text, prefixes, names that are safe in BIRD's
 * grammar, and the part about BGP. Nobody but config.c, peers.c and exits.c needs it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/bird/config.h"
#include "lib/addr.h"

struct birdtext {
	char *buf; /* NUL-terminated once something was put */
	size_t room, len;
};

/* At most 511 bytes a call. */
void birdtext_put(struct birdtext *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The prefix without host bits: BIRD refuses a text that has some. */
void bird_write_prefix(const struct cidr *c, char out[CIDR_TEXT]);

/* An address in a name: "10_0_0_2". */
void bird_write_name(const struct addr *a, char out[ADDR_TEXT]);

/* The name of a peer's protocol. */
#define BIRD_PEER_NAME 64
void bird_write_peer_name(const struct bird_peer *p, char out[BIRD_PEER_NAME]);

/* The BGP half for both families: templates, then a protocol for each peer. There must be next-hop
 * tables roost_hops4 and roost_hops6, and what bird_peers_family says. */
struct bird_peers_family {
	const struct bird_family *f; /* its node: our address, family 0: it is off */
	uint8_t family;
	char digit;	 /* '4' or '6': how names of this family end */
	bool has_blocks; /* there is a set roost_blocks4 of what may be learned */
	bool has_pools;	 /* there is a set roost_pools4 */
};
struct bird_peers_scope {
	const struct bird_want *want;
	struct bird_peers_family families[2];
};
void bird_peers_put(struct birdtext *t, const struct bird_peers_scope *s);

/* " debug { ... };" for a protocol, as the log level asks; "" none. */
const char *bird_write_debug(enum resource_log log);
