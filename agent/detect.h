/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which of the host's addresses is the node's. Pure.
 */
#include "agent/kernel/facts.h"
#include "cluster/detect_how.h"
#include "lib/addr.h"
#include "lib/err.h"

/* "none" finds nothing and is no error: out has family 0.
 * Never taken are link-local and tentative addresses, loopback's unless FIXED or KUBERNETES names it, those of
 * roost's own links, those in a VRF, and those inside the pools (avoid); FIRST_FOUND and SKIP take
 * none of tunnels and container interfaces either. preferred (family 0: none) is kept while it still fits.
 * -EADDRNOTAVAIL, with what was looked for. */
struct detect_want {
	const struct detect *how;
	uint8_t family;
	struct cidr preferred;
	const struct cidr *avoid;
	size_t n_avoid;
	int route_dev; /* CAN_REACH: the link that the kernel would take; 0: unreachable */
	bool any_vrf;  /* addresses in a VRF count as well: to say why they do not */
};
int detect_find(const struct detect_want *w, const struct facts *f, struct cidr *out, int *link,
	struct err *e);
