/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who an address belongs to: an attachment, that is (network, container id, interface), known
 * by a hash everywhere, plus what is known of the pod for people to read.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/hash.h"

/* Strings are borrowed and never NULL. Make one with owner_of(). */
struct owner {
	struct hash hash;
	const char *network;	   /* up to 255 bytes */
	const char *container;	   /* up to 1023 bytes */
	const char *ifname;	   /* up to 15 bytes */
	const char *pod_namespace; /* up to 255 bytes, "" unknown */
	const char *pod_name;
	uint64_t netns; /* cookie of the pod's namespace (lib/ns.h), 0 unknown */
	bool foreign; /* wired by another main plugin: the kernel does not show whether it lives */
};

/* Nobody, for records of addresses that are nobody's. */
#define OWNER_NONE                                                                                 \
	{                                                                                          \
		.network = "", .container = "", .ifname = "", .pod_namespace = "", .pod_name = ""  \
	}

/* The network of the node's own tunnel ends, whose addresses are records like those of pods; the
 * container is the tunnel's kind ("vxlan", "ipip"). The blank: no CNI network has such a name. */
#define OWNER_TUNNEL "roost tunnel"
bool owner_is_tunnel(const struct owner *o);

struct hash owner_hash(const char *network, const char *container, const char *ifname);
struct owner owner_of(const char *network, const char *container, const char *ifname);
