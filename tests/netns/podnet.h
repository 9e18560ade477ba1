/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pods of a node as bare network namespaces, for tests that send packets between them: each has a veth pair to
 * the host namespace, which the process is in, an address of each family, and no neighbour to ask for (all are
 * permanent). The names of host ends are pod0, pod1, ...
 */
#include "lib/addr.h"
#include "lib/family.h"

#define PODNET_PODS 12

struct podnet {
	size_t n;
	int host, pods[PODNET_PODS]; /* namespaces */
	int links[PODNET_PODS];	     /* indexes of the host ends */
	int inner[PODNET_PODS];	     /* of the pods' ends */
	struct addr addrs[PODNET_PODS][FAMILIES];
	struct addr gateways[FAMILIES]; /* addresses of the host */
};

/* Enters a new namespace, and makes the pods, with addresses of its own choice or (at) the caller's. Fails the test. */
void podnet_make(struct podnet *out, size_t n);
void podnet_make_at(struct podnet *out, const struct addr (*addrs)[FAMILIES], size_t n);
void podnet_done(struct podnet *p);

/* A socket in the namespace of a pod (or with pod == n of the host). */
int podnet_socket(const struct podnet *p, size_t pod, int domain, int type, int protocol);

/* Packets: what is sent is one IP packet that bears a number; where it came out is learned by listening at each
 * pod's end. */
struct podnet_packet {
	size_t from, to; /* pods; n: the host */
	enum family family;
	uint8_t proto;
	uint16_t sport, dport;	      /* TCP (a SYN), UDP, SCTP (an INIT) */
	uint8_t icmp_type, icmp_code; /* of ICMP and ICMPv6 */
	uint32_t number;
};
#define PODNET_PROTOS 6 /* that the host hears: TCP, UDP, SCTP, ICMP, ICMPv6, GRE */
struct podnet_ears {
	int fds[PODNET_PODS];		   /* before the rules of a pod, of which there are none */
	int host[FAMILIES][PODNET_PROTOS]; /* behind the host's rules */
	int all;			   /* epoll(7) of them */
};
void podnet_listen(const struct podnet *p, struct podnet_ears *out);
void podnet_deafen(const struct podnet *p, struct podnet_ears *ears);
struct podnet_mouths {
	int fds[PODNET_PODS + 1][FAMILIES];
};
void podnet_open_mouths(const struct podnet *p, struct podnet_mouths *out);
void podnet_close_mouths(const struct podnet *p, struct podnet_mouths *m);
void podnet_send(
	const struct podnet *p, const struct podnet_mouths *m, const struct podnet_packet *x);

/* The next number that was heard at a pod, or the host: true; false: none now. */
bool podnet_hear(
	const struct podnet *p, const struct podnet_ears *ears, size_t pod, uint32_t *number);

/* Until something can be heard, or the time has passed. */
void podnet_wait(const struct podnet_ears *ears, int timeout_ms);

/* All entries of the host's connection tracking are forgotten. */
void podnet_forget_connections(void);
