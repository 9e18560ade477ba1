/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Host ports in the kernel: nf_tables table "inet roost-ports". Each mapping is one element of a map, so
 * what a packet costs does not depend on how many there are. The element's comment begins with its owner's
 * hash, as a link's alias does, so they are found and removed by the owner alone. The list that shall be
 * there is in the node state; the table can be made from it again.
 *
 * Spoken as raw nfnetlink, each change one atomic batch.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/net.h"
#include "lib/ports.h"

#define HOSTPORT_TABLE "roost-ports"

/* What shall be there for one pod. Everything is borrowed. */
struct hostport_pod {
	struct hash owner;
	const char *name;	  /* for people: "default/web-0", or the container */
	const struct addr *addrs; /* at most one of a family */
	size_t n_addrs;
	const struct port *ports;
	size_t n_ports;
};

/* All elements of now. */
struct hostport_element;
struct hostport_list { /* zeroed: none */
	struct hostport_element *v;
	size_t n, room;
};
int hostport_list_read(struct hostport_list *out, struct err *e);
void hostport_list_done(struct hostport_list *l);

/* The owners that occur, in order: a heap array, the caller's. */
struct hash *hostport_owners(const struct hostport_list *l, size_t *n);
/* The ports of one owner: a heap array, the caller's. They are as they were given, but that one for both
 * families is two. */
struct port *hostport_ports(const struct hostport_list *l, const struct hash *owner, size_t *n);

/* How many of a pod's elements are not there; *first is the port of one of them. Pure. */
size_t hostport_lacking(
	const struct hostport_list *l, const struct hostport_pod *p, struct port *first);

/* Adds them. have (may be NULL): those that are there already are left out. The table and what leads to its
 * maps is made where it is not whole, prefix is that of the host's links. net looks whether an owner that
 * is in the way lives; what a dead one left goes. -EADDRINUSE names port and pod. */
int hostport_add(struct net *net, const struct hostport_pod *p, const struct hostport_list *have,
	const char *prefix, struct err *e);

/* Removes everything of these owners; returns how many elements. *out (may be NULL) becomes them. */
int hostport_remove(const struct hash *owners, size_t n, struct hostport_list *out, struct err *e);

/* The owners of elements that have no link (a marked one counts as none): a heap array, the caller's. */
int hostport_orphans(struct net *net, struct hash **out, size_t *n, struct err *e);

/* The pod's addresses to which UDP ports lead: at most max. */
size_t hostport_udp(const struct hostport_list *l, struct addr *out, size_t max);

/* Whether the rules that lead to the maps are there, for links of that prefix: 1, 0; makes them: 1 when it
 * had to, 0. */
int hostport_has_table(const char *prefix, struct err *e);
int hostport_ensure_table(const char *prefix, struct err *e);

/* Removes the whole table: 1, 0 when there was none. */
int hostport_remove_table(struct err *e);
