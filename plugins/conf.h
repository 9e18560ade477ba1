/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The configuration keys of roost and roost-ipam, read once from the network configuration into
 * a value that cannot be wrong. docs/CNI.md describes every key.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/pool.h"
#include "lib/addr.h"
#include "lib/bandwidth.h"
#include "lib/cni_args.h"
#include "lib/err.h"
#include "lib/family.h"
#include "lib/log.h"
#include "lib/owned.h"
#include "plugins/calico.h"

#define CONF_STATE_DIR "/run/roost/state"
#define CONF_IPAM_TYPE "roost-ipam"
#define CONF_MTU_MIN 68
#define CONF_MTU_MIN6 1280 /* RFC 8200 section 5 */

#define CONF_POOL_NAME 64 /* bytes of a pool's name, NUL included */

/* Whether pods get an address of a family: where there is a pool, or as assign_ipv4 and assign_ipv6
 * say. */
enum conf_assign { CONF_ASSIGN_POOLS, CONF_ASSIGN_NO, CONF_ASSIGN_YES };

struct conf {
	char state_dir[256];  /* absolute */
	uint32_t mtu;	      /* bytes; 0: see the next two */
	uint32_t cluster_mtu; /* what addresses_load() read in the mirror; 0: from the uplink */
	bool uplink_mtu;      /* the smaller of that and the uplink's */
	char prefix[OWNED_PREFIX_MAX + 1];
	bool forwarding;     /* allowIPForwarding, container_settings.allow_ip_forwarding */
	bool has_limits;     /* below, for every pod of the network */
	bool default_routes; /* include_default_routes: beside those of a foreign IPAM */
	enum log_level log_level;
	char log_file[256];	  /* empty: stderr only */
	bool makes_log_folder;	  /* log_file_path: as Calico does */
	uint64_t log_file_bytes;  /* from here on a new file is begun; 0: no limit */
	struct bandwidths limits; /* of bandwidth */
	const json_t *labels; /* of every pod of the network, for policies; borrowed; NULL: none */
	char ignored[CALICO_IGNORED];
	char ipam_type[64];
	bool in_process; /* the ipam_type is our own */
	bool cluster;	 /* it has no pools: addresses_load() takes them from the node state */
	struct pool pools[POOL_MAX];
	char pool_names[POOL_MAX][CONF_POOL_NAME]; /* "" without one */
	size_t n_pools;
	enum conf_assign assign[FAMILIES];
	const json_t *chosen[FAMILIES]; /* ipv4_pools, ipv6_pools, borrowed; NULL: any */
	struct addr gateways[2];	/* ipam.gateway, at most one of a family */
	size_t n_gateways;
	struct addr addresses[2]; /* ipam.addresses, likewise */
	size_t n_addresses;
};

/* CONF_FULL checks everything; CONF_FIND reads what is needed to find an attachment (DEL, GC)
 * and takes defaults where the rest is wrong; *out is then good for a clean-up even after an
 * error. Errors name the key. -EINVAL, -EBADMSG. */
enum conf_depth { CONF_FULL, CONF_FIND };
int conf_parse(const json_t *doc, enum conf_depth depth, struct conf *out, struct err *e);

/* The same for roost-ipam: the "ipam" object is ours whatever its type says, and top-level keys of
 * the main plugin are not looked at, but for stateDir. */
int conf_parse_ipam(const json_t *doc, enum conf_depth depth, struct conf *out, struct err *e);

/* The gateway given for a family, or NULL. */
const struct addr *conf_gateway(const struct conf *c, uint8_t family);

/* Whether one of the pools is of this family, and pods get addresses of it unless they ask otherwise. */
bool conf_has_pool(const struct conf *c, uint8_t family);

/* A pod's limits of bandwidth: the network's, else what is asked for. */
const struct bandwidths *conf_limits(const struct conf *c, const struct cni_wishes *w);
