/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Arithmetic of prefixes and ports: unions and differences as disjoint intervals, which is what sets and
 * rules of the kernel are made of.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/family.h"
#include "policy/elements.h"
#include "policy/rule.h"

/* Addresses of one family. */
struct policy_range {
	uint8_t first[16], last[16]; /* an IPv4 address uses the first four bytes */
};
struct policy_ranges { /* zeroed with its family: none */
	enum family family;
	struct policy_range *v;
	size_t n, room;
};
/* The prefix, less those excepted from it; nothing when it is of the other family. Host bits do not count. */
void policy_ranges_add(struct policy_ranges *r, const struct cidr *net, const struct cidr *excepts,
	size_t n_excepts);
/* All of them as elements of POLICY_SET_NETS; NULL: none. */
struct policy_elements *policy_ranges_elements(struct policy_ranges *r);
void policy_ranges_done(struct policy_ranges *r);

/* Which pairs of protocol and port: those of listed protocols by a bit for each port, and of every other
 * protocol all or none. */
struct policy_ports_of {
	uint8_t proto;
	uint64_t bits[65536 / 64];
};
struct policy_ports { /* zeroed: none */
	bool others;  /* all ports of protocols that are not listed */
	struct policy_ports_of **v;
	size_t n, room;
};
void policy_ports_add(struct policy_ports *p, uint8_t proto, uint16_t first, uint16_t last);
void policy_ports_remove(struct policy_ports *p, uint8_t proto, uint16_t first, uint16_t last);
void policy_ports_all(struct policy_ports *p); /* every port of every protocol */
void policy_ports_none(struct policy_ports *p);
void policy_ports_only(struct policy_ports *p, uint8_t proto); /* what is of another one goes */
void policy_ports_done(struct policy_ports *p);

/* The next run of ports of one protocol from *from on: false: there is none. *from goes behind it; 0 at first. */
bool policy_ports_run(
	const struct policy_ports_of *p, uint32_t *from, uint16_t *first, uint16_t *last);
