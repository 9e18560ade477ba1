/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of an attachment. The hash covers network, container id and interface, each with its
 * terminating NUL, so that no two different triples give the same bytes. It is stored in link
 * aliases and in the node state; changing it would orphan both.
 */
#include "ipam/owner.h"

#include <string.h>

#include "lib/text.h"

struct hash owner_hash(const char *network, const char *container, const char *ifname)
{
	char bytes[256 + 1024 + 16];
	size_t len = 0;
	const char *const parts[] = {network, container, ifname};
	const size_t room[] = {256, 1024, 16};
	for (size_t i = 0; i < 3; i++) {
		(void)text_copy(bytes + len, room[i], parts[i]);
		len += strlen(bytes + len) + 1;
	}
	return hash_of(bytes, len);
}

struct owner owner_of(const char *network, const char *container, const char *ifname)
{
	return (struct owner){
		.hash = owner_hash(network, container, ifname),
		.network = network,
		.container = container,
		.ifname = ifname,
		.pod_namespace = "",
		.pod_name = "",
	};
}

bool owner_is_tunnel(const struct owner *o)
{
	return strcmp(o->network, OWNER_TUNNEL) == 0;
}
