/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All nodes compute the same address of a node from its name or its MAC, so that neither has to be
 * agreed upon, and a device that is made again has the address that peers already know.
 */
#include "agent/kernel/vtep.h"

#include <stdio.h>
#include <string.h>

#include "lib/hash.h"

void vtep_mac(const char *node, enum family f, uint8_t out[6])
{
	char text[512];
	int len = snprintf(text, sizeof(text), "vxlan %c %s", family_digit(f), node);
	struct hash h = hash_of(text, len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1);
	memcpy(out, h.bytes, 6);
	out[0] = (uint8_t)((out[0] & 0xfc) | 2); /* unicast, locally administered */
}

struct addr vtep_link_local(const uint8_t mac[6])
{
	return (struct addr){
		.family = AF_INET6,
		.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe,
			mac[3], mac[4], mac[5]},
	};
}
