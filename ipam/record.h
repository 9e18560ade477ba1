/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The bytes of the node state: keys and values of its one table, as plain structs and back. Pure;
 * reading refuses everything that writing would not have made, so that a damaged file is noticed
 * here. Keys sort: by kind, then address (IPv4 first) or pool; queue entries by pool, time, address.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/mirror.h"
#include "ipam/owner.h"
#include "lib/addr.h"
#include "lib/boot.h"

#define RECORD_FORMAT 1
#define RECORD_KEY_MAX 64     /* bytes of a key */
#define RECORD_NAME 64	      /* bytes of a name with its NUL */
#define RECORD_VALUE_MAX 2048 /* bytes of a value */

enum record_kind {
	RECORD_META = 'M',  /* the file's own record */
	RECORD_POOL = 'P',  /* pool -> record_pool */
	RECORD_BLOCK = 'B', /* block -> record_block */
	RECORD_FRESH = 'N', /* pool, block -> nothing: the block has a never-used address */
	RECORD_ADDR = 'A',  /* addr -> record_addr */
	RECORD_OWNER = 'O', /* owner, family -> addr (record_owner) */
	RECORD_QUEUE = 'Q', /* pool, released_ns, addr -> nothing: released, not given again */
	RECORD_PORTS = 'H', /* owner, position -> record_ports: the host ports of an attachment */
	RECORD_IDENTITY = 'I', /* owner -> record_identity */
	RECORD_LIMITS = 'L',   /* owner -> record_limits: its limits of bandwidth */
	/* What the cluster says (mirror.h). A state without a mirror has none of these. */
	RECORD_MIRROR = 'C',	      /* -> mirror, without its lists */
	RECORD_MIRROR_POOL = 'D',     /* position -> mirror_pool */
	RECORD_MIRROR_RESERVED = 'R', /* position -> prefix */
	RECORD_MIRROR_LENT = 'E',     /* position -> prefix of one address */
	RECORD_NAMESPACE = 'S',	      /* name -> record_namespace */
	RECORD_CLOSED = 'F',	      /* name of a namespace, or "" -> record_closed */
	RECORD_STAGED = 'G',	      /* uid of a pod -> record_staged */
};

/* Which fields count is said above. Keys of RECORD_META have none. */
struct record_key {
	enum record_kind kind;
	uint16_t position;
	uint8_t family; /* AF_INET or AF_INET6 */
	struct cidr pool;
	struct cidr block;
	struct addr addr;
	struct hash owner;
	uint64_t released_ns;
	char name[RECORD_NAME]; /* of a namespace, or a uid */
};
size_t record_key_format(const struct record_key *record, uint8_t out[RECORD_KEY_MAX]);
bool record_key_parse(const void *bytes, size_t len, struct record_key *out);

enum record_adoption { RECORD_UNADOPTED, RECORD_ADOPTED_BLIND, RECORD_ADOPTED };

struct record_meta {
	char boot[BOOT_ID_TEXT];
	uint64_t id; /* of this state: when it was made, boot time in ns */
	enum record_adoption adoption;
};
size_t record_meta_format(const struct record_meta *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_meta_parse(const void *bytes, size_t len, struct record_meta *out);
/* The format of a file's own record that another version of roost wrote, which begins as ours does: with the
 * format and the boot; 0: it is nobody's, or of this format. */
unsigned int record_meta_other_format(const void *bytes, size_t len, char boot[BOOT_ID_TEXT]);

struct record_pool {
	uint8_t block_len;
	uint32_t cooldown_s;
	uint64_t next;	 /* index of the lowest block that is not this node's */
	uint64_t blocks; /* of this node */
};
size_t record_pool_format(const struct record_pool *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_pool_parse(const void *bytes, size_t len, struct record_pool *out);

struct record_block {
	uint8_t pool_len; /* the pool is the prefix of this length around the block */
	bool quarantined; /* every address without a record of its own */
	bool loose;	  /* adopted, and no configured pool contains it yet; pool_len is its own */
	bool cluster;	  /* the store says whose it is; given back by the agent alone */
	bool draining;	  /* is being given back: nothing is given from it */
	bool disowned;	  /* the store says it is another node's: likewise */
	bool loan; /* one address of another node's block, which lends it; pool_len is its own */
	uint64_t next;	 /* offset of the lowest never-used address; the block's size: none */
	int64_t since_s; /* wall clock, when it became this node's */
};
size_t record_block_format(const struct record_block *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_block_parse(const void *bytes, size_t len, struct record_block *out);

enum record_state {
	RECORD_USED,
	RECORD_RELEASED,
	RECORD_RESERVED,
	RECORD_QUARANTINED,
	RECORD_LENT, /* another node may use it */
};

struct record_addr {
	enum record_state state;
	int64_t since_s;      /* wall clock, when it got this state */
	uint64_t released_ns; /* RELEASED: when; USED: its release before that, 0 if never used */
	struct owner owner;   /* USED: the owner; RELEASED: the last one; strings never NULL */
};
size_t record_addr_format(const struct record_addr *record, uint8_t out[RECORD_VALUE_MAX]);
/* Strings of *out point into bytes. */
bool record_addr_parse(const void *bytes, size_t len, struct record_addr *out);

/* A mirror with empty lists, but how many there are in each (n_pools, n_reserved). */
size_t record_mirror_format(const struct mirror *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_mirror_parse(const void *bytes, size_t len, struct mirror *out);
size_t record_mirror_pool_format(const struct mirror_pool *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_mirror_pool_parse(const void *bytes, size_t len, struct mirror_pool *out);
size_t record_prefix_format(const struct cidr *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_prefix_parse(const void *bytes, size_t len, struct cidr *out);
size_t record_owner_format(const struct addr *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_owner_parse(const void *bytes, size_t len, struct addr *out);
