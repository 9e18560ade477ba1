/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What in the kernel is ours: how the objects we make are named and marked, and how they are found
 * and removed by that mark alone. Host links carry their owner in the alias: 32 hexadecimal
 * digits of the owner's hash, then network, interface, container and pod as readable text, cut to
 * what fits. Routes carry protocol 82. docs/ROUTES.md lists every object.
 */
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/net.h"
#include "lib/net_link.h"
#include "lib/net_route.h"

#define OWNED_PROTOCOL NET_PROTO_ROOST
#define OWNED_PREFIX_MAX 7 /* bytes of a host interface prefix */
#define OWNED_ADDRS 8	   /* addresses of one link we look at */

/* Link groups. A link is created in a newborn group, as the kernel takes no label in the
 * creating message: this value with 24 bits of its owner's hash. It leaves the group with its
 * label; one that is still there was left by a killed ADD. Links of the reap group are marked: down,
 * without routes, as good as gone, and to be deleted by anybody; they keep their label. */
#define OWNED_NEWBORN_GROUP 0x72000000u
#define OWNED_REAP_GROUP 8202
/* Links of pods that policies may select, for good: lib/policy_gate.h; plus a bit for each way that waits. */
#define OWNED_PENDING_GROUP 8208u
#define OWNED_PENDING_WAYS 7u
enum { OWNED_PENDING_EGRESS = 1, OWNED_PENDING_INGRESS, OWNED_PENDING_TO_HOST = 4 };

/* What a label says. Text fields are empty when they were cut away. */
struct owned_label {
	struct hash owner;
	char network[256];
	char ifname[16];
	char container[256]; /* possibly cut */
	char pod[256];	     /* "namespace/name", or empty; possibly cut */
};
void owned_label_format(const struct owned_label *l, char out[NET_ALIAS]);
bool owned_label_parse(const char *alias, struct owned_label *out);

/* The host interface of an address: prefix and eight hexadecimal digits of the IPv4 address, or of
 * the last 32 bits of the IPv6 address; the second choice uses a hash of the whole address. */
void owned_name(const char *prefix, const struct addr *a, char out[NET_NAME]);
void owned_name_second(const char *prefix, const struct addr *a, char out[NET_NAME]);

/* The prefix of a name of either kind; false when somebody renamed the link. */
bool owned_prefix_of(const char *name, char out[OWNED_PREFIX_MAX + 1]);

/* The device that an owner's limit of sending needs, beside its link: named after the hash, and labelled
 * or newborn as a link is. */
void owned_ifb_name(const struct hash *owner, char out[NET_NAME]);
bool owned_is_ifb_of(const struct net_link *l, const struct hash *owner);

bool owned_is_link_of(const struct net_link *l, const struct hash *owner);
bool owned_is_marked(const struct net_link *l);
bool owned_is_newborn_of(const struct net_link *l, const struct hash *owner);
uint32_t owned_newborn_group(const struct hash *owner);

/* The node's tunnel devices say so by the beginning of their alias. kind: "vxlan", "ipip". */
#define OWNED_ALIAS_VXLAN "roost: VXLAN"
#define OWNED_ALIAS_IPIP "roost: IPIP"
bool owned_is_tunnel(const struct net_link *l, const char *kind);

struct owned_link {
	struct net_link link;
	struct owned_label label;
	struct addr addrs[OWNED_ADDRS]; /* that routes of ours lead to through this link */
	size_t n_addrs;
};

/* Everything of ours in this namespace, as of one look, but for marked links. */
struct owned {
	struct owned_link *links;
	size_t n_links;
	struct cidr *blocks; /* blackhole routes */
	size_t n_blocks;
	struct net_route *strays; /* routes of protocol 82 through a device that is not ours */
	size_t n_strays;
	struct net_link *newborns; /* links without label, of ADDs that run or were killed */
	size_t n_newborns;
	struct net_link *ifbs; /* of any owner, owned_is_ifb_of() */
	size_t n_ifbs;
};
int owned_list(struct net *n, struct owned *out, struct err *e);
void owned_done(struct owned *o); /* takes a zeroed one */

/* A link of that owner (the first, should there be several); NULL. */
const struct owned_link *owned_find(const struct owned *o, const struct hash *owner);

/* Deletes links, and whatever is marked; several at once cost no more than one (the kernel waits
 * once per batch). Missing ones are fine. */
int owned_remove(struct net *n, const int *indexes, size_t count, struct err *e);

/* Deletes what is marked. Nothing there is fine, and takes microseconds. */
int owned_sweep(struct net *n, struct err *e);

/* What is probably true of an owner's host link: the two names it can have, and the addresses that
 * routes lead to through it. */
struct owned_hints {
	char names[2][NET_NAME];
	struct addr addrs[OWNED_ADDRS];
	size_t n_addrs;
};
struct owned_hints owned_hints_of(const char *prefix, const struct addr *a);

/* Removes every link of one owner with its ifb, wherever its record went; returns how many devices. OWNED_DELETE takes
 * about 20 ms, the kernel's; OWNED_MARK is for when somebody else sweeps. hints (may be NULL): when
 * one of the names is the owner's, labelled or newborn, nothing else is searched. */
enum owned_how { OWNED_DELETE, OWNED_MARK };
int owned_remove_owner(struct net *n, const struct hash *owner, const struct owned_hints *hints,
	enum owned_how how, struct err *e);

/* The route that keeps a block's unused addresses from leaving this node. It has the metric of a
 * pod's route, in a block of one address the next one: the kernel prefers the pod's as long as there
 * is one. The metric is always said, as the kernel deletes an IPv6 route by it, whatever its type.
 * add: queues; fine when it stands already. */
struct net_route owned_blackhole(const struct cidr *block);
void owned_queue_blackhole(struct net *n, const struct cidr *block);
int owned_del_blackholes(struct net *n, const struct cidr *blocks, size_t count, struct err *e);
