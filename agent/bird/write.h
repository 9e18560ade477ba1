/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the parts of BIRD's text share: prefixes, and names that are safe in BIRD's grammar. Used by
 * agent/bird/config.c, peers.c, exits.c and file.c.
 */
#include "agent/bird/want.h"
#include "lib/text.h"

/* One family of a text that is being made. */
struct bird_part {
	const struct bird_want *want;
	const struct bird_family *f; /* its node: our address, family 0: it is off */
	enum family family;
	char digit;	 /* '4' or '6': how names of this family end */
	bool has_pools;	 /* there is a set roost_pools4 */
	bool has_blocks; /* there is a set roost_blocks4 of what may be learned by BGP */
	bool has_given;	 /* there is a function roost_is_exit4() */
	bool has_ranges; /* there is a set roost_service_ranges4 */
};

#define BIRD_SCAN_S 10 /* of interfaces and of the kernel's routes: repair, events are immediate */
#define BIRD_RESTART_S 120 /* graceful restart of a session, unless something else is set */

/* The prefix without host bits: BIRD refuses a text that has some. */
char *bird_write_prefix(const struct cidr *c, char out[CIDR_TEXT]); /* returns out */
#define PREFIX_STRING(c) bird_write_prefix((c), (char[CIDR_TEXT]){0})

/* " debug { ... };" for a protocol, as the log level asks; "" none. */
const char *bird_write_debug(enum resource_log log);

/* What both kernel protocols have: behind the host's own routes, and kept when BIRD ends. */
void bird_write_kernel_options(struct text *t);

/* What all BGP templates have. The hold time is three keepalives. */
struct bird_times { /* seconds */
	unsigned int retry, error_max, keepalive, restart;
};
void bird_write_bgp_options(struct text *t, const struct bird_times *s);

/* Whether a text can be a quoted string of BIRD's grammar. */
bool bird_write_is_quotable(const char *s);

/* Whether a tunnel of this name can be a hop's device with a gateway: letters, digits and "_-.:"
 * with a digit or one of "-.:" among them, and no word of BIRD's. "vxlan.roost" and "tunl0" can,
 * "overlay" cannot: its hops are left out, so refuse such a name where it is configured. */
bool bird_write_is_device(const char *name);
