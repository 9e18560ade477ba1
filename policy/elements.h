/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sets of a rule set (policy/ruleset.h): a name, and the elements as the bytes that the kernel compares.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/family.h"

#define POLICY_OBJECT_NAME 32 /* bytes: a kind, "_", hexadecimal digits of a hash, NUL */

/* Elements, sorted, without repetitions, shared by counted references and never changed: the same
 * pointer means the same elements. */
struct policy_elements {
	unsigned int refs;
	size_t n, stride; /* elements, bytes of one */
	uint8_t bytes[];
};
struct policy_elements *policy_elements_new(size_t n, size_t stride); /* zeroed; one reference */
struct policy_elements *policy_elements_ref(struct policy_elements *e);
void policy_elements_unref(struct policy_elements *e); /* takes NULL */

enum policy_set_kind {	       /* an element is: */
	POLICY_SET_ADDRS,      /* an address of 4 or 16 bytes; members change */
	POLICY_SET_NETS,       /* first and last address of an interval; disjoint, not neighbours */
	POLICY_SET_PORTS,      /* protocol, 3 zero bytes, port in network order, 2 zero bytes */
	POLICY_SET_ADDR_PORTS, /* an address, then as POLICY_SET_PORTS; members change */
	POLICY_SET_LINK_PAIRS, /* interface index twice, host order: links of dispatch; members change */
};
struct policy_set {
	char name[POLICY_OBJECT_NAME];
	enum policy_set_kind kind;
	enum family family; /* of its addresses */
	struct policy_elements *elements;
};
