/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A table of nf_tables as a value: built by its owner (lib/nft_rule.h has the rules), or read from the
 * kernel (lib/nft.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/family.h"

#define NFT_NAME 128 /* longer ones of other people are cut */
#define NFT_COMMENT 64
#define NFT_FIELDS 4

/* What a field of a key or the data of a map is. An address's is its enum family. */
enum nft_type {
	NFT_IPV4 = IPV4,
	NFT_IPV6 = IPV6,
	NFT_PROTO,
	NFT_PORT,
	NFT_IFNAME,
	NFT_MARK,
	NFT_IFINDEX
};

/* The data of a verdict map. chain: of NFT_GOTO and NFT_JUMP, else "". */
struct nft_verdict {
	int32_t code; /* NF_ACCEPT, NF_DROP, NFT_GOTO, ... */
	char chain[NFT_NAME];
};

struct nft_set {
	char name[NFT_NAME];
	uint32_t id;	/* of an anonymous one, within its table; else 0 */
	uint32_t flags; /* NFT_SET_INTERVAL, NFT_SET_MAP, ... of linux/netfilter/nf_tables.h */
	uint32_t key_type, data_type; /* as nft(8) numbers them */
	uint32_t key_len, data_len;   /* bytes; each field of a concatenation is padded to 4 */
	uint8_t fields[NFT_FIELDS];   /* lengths of the fields of a concatenation */
	bool merges;		      /* nft(8) shall join neighbours in it ("auto-merge") */
	bool strange;	/* read from the kernel, with elements that have no place here */
	uint8_t *bytes; /* the elements: key, end of the interval, data */
	size_t n, room;
};

struct nft_rule {
	struct nftnl_rule *rule;
	unsigned int loaded; /* bytes that wait for their comparison */
};

struct nft_chain {
	char name[NFT_NAME];
	char type[16]; /* of a base chain: "filter", "nat"; "" of others, and then: */
	uint32_t hook; /* NF_INET_FORWARD, ... */
	int32_t priority;
	uint32_t policy; /* NF_ACCEPT, NF_DROP */
	struct nft_rule *rules;
	size_t n_rules, room;
};

struct nft_table {
	uint8_t family; /* NFPROTO_INET, ... */
	char name[NFT_NAME];
	uint32_t flags;
	struct nft_chain *chains;
	struct nft_set *sets;
	char (*counters)[NFT_NAME]; /* named ones */
	char remark[NFT_COMMENT];   /* which counters get when they are made, for nft(8) too; "" */
	size_t n_chains, n_sets, n_counters;
	size_t room_chains, room_sets, room_counters;
};

/* The caller frees it. Pointers to what is added are good until the next of its kind is added. */
struct nft_table *nft_table_new(uint8_t family, const char *name);
void nft_table_free(struct nft_table *t); /* takes NULL */

/* A chain; base (may be NULL) has type, hook, priority and policy. */
struct nft_chain *nft_table_chain(
	struct nft_table *t, const char *name, const struct nft_chain *base);
struct nft_rule *nft_chain_rule(struct nft_chain *c);
void nft_table_counter(struct nft_table *t, const char *name);

/* A set of keys of one type, or of a concatenation of n in the list. name NULL: an anonymous one, for
 * one rule alone. */
struct nft_set *nft_table_set(
	struct nft_table *t, const char *name, uint32_t flags, const enum nft_type *list, size_t n);
void nft_set_map(
	struct nft_set *s, enum nft_type data); /* makes it a map, before elements are added */
void nft_set_verdicts(struct nft_set *s);	/* the same, a map to verdicts */

/* Adds an element: key_len bytes, each field padded; to (NULL: the same) is the last key of an interval;
 * data is NULL, data_len bytes, or a struct nft_verdict. Order and repetitions do not matter. */
void nft_set_add(struct nft_set *s, const void *from, const void *to, const void *data);
void nft_set_add_cidr(struct nft_set *s, const struct cidr *c); /* to a set of intervals */
size_t nft_set_stride(const struct nft_set *s);			/* bytes of an element */

/* Whether both are the same in the kernel, handles and the state of counters aside. */
bool nft_table_equal(struct nft_table *a, struct nft_table *b);
