/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A connection as people name it, "shop/web" to "shop/db" at "5432/TCP", as flows that can be judged: one for
 * each family in which both ends have an address.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/family.h"
#include "lib/text.h"
#include "policy/judge.h"

struct connection_end {
	const struct policy_pod *pod; /* NULL: an address, or the node */
	bool is_node;		      /* that the other end is on */
	struct addr addrs[POLICY_ADDRESSES];
	size_t n_addrs;
};
struct connection {
	struct connection_end from, to;
	struct policy_flow flows[FAMILIES];
	size_t n_flows;
};

/* Ends: "NAMESPACE/POD", "POD" (of default), an address, which is that of its pod if there is one, "node": the
 * other end's own. port: "5432", "5432/UDP", "http", "http/TCP" (as the destination's pod calls it), "ICMP",
 * "ICMP/8". -EINVAL, -ENOENT: there is no such pod. */
int connection_parse(const struct policy_world *w, const char *const ends[2], const char *port,
	struct connection *out, struct err *e);

void connection_say_end(const struct connection_end *e, const struct addr *a, struct text *t);

/* The verdicts for one of its flows, by direction. A trail for each, or NULL. */
struct connection_verdict {
	bool is_allowed[POLICY_DIRECTIONS];
	bool all; /* both */
};
struct connection_verdict connection_judge(const struct policy_world *w, const struct connection *c,
	size_t flow, bool with_staged, struct policy_trail trails[POLICY_DIRECTIONS]);
