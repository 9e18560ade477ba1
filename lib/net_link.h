/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Links, and what hangs on a link: addresses and neighbours. See lib/net.h for how messages are
 * queued and sent.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/family.h"
#include "lib/net.h"

/* Settings of a link, those that anybody asks for. */
struct net_link_conf {
	bool has[FAMILIES]; /* the kernel said those of the family */
	uint32_t forwarding, proxy_arp, rp_filter, accept_redirects, send_redirects, route_localnet;
	uint32_t forwarding6, accept_ra, accept_redirects6;
};

struct net_link {
	int index;
	int peer; /* index of a veth's other end, in its own namespace; 0: none */
	char name[NET_NAME];
	char alias[NET_ALIAS];
	uint8_t mac[6];
	uint32_t mtu, group;
	bool up; /* IFF_UP */
	bool is_veth;
	bool is_ifb;
	bool is_loopback;
	bool ipv6_disabled; /* net.ipv6.conf.NAME.disable_ipv6 */
	bool is_apart; /* a veth whose other end is in the namespace apart (the kernel's number) */
	int apart;
	struct net_link_conf conf;
};

struct net_veth {
	const char *name; /* this end, here */
	const char *peer; /* the other end, in the namespace peer_ns (a descriptor) */
	int peer_ns;
	uint8_t mac[6], peer_mac[6];
	uint32_t mtu;	/* bytes, both ends */
	uint32_t group; /* of this end */
};
void net_add_veth(struct net *n, const struct net_veth *v);

/* An IPIP device (RFC 2003) without a fixed other end. The kernel may load its module for it, which
 * makes tunl0 in every namespace: being there already is no error. */
void net_add_ipip(struct net *n, const char *name);

/* Link settings. conf4: value of one net.ipv4.conf entry (IPV4_DEVCONF_*, linux/ip.h). */
struct net_conf4 {
	int id;
	uint32_t value;
};
void net_set_conf4(struct net *n, struct net_dev d, const struct net_conf4 *conf, size_t count);
void net_set_no_auto_link_local(struct net *n, struct net_dev d); /* IN6_ADDR_GEN_MODE_NONE */
void net_set_no_proxy_delay(struct net *n, int index);		  /* answer proxied ARP at once */
/* and the group, as a link leaves the one that it was born in */
void net_set_alias(struct net *n, struct net_dev d, const char *alias, uint32_t group);
void net_set_mac(struct net *n, struct net_dev d, const uint8_t mac[6]);
void net_set_up(struct net *n, struct net_dev d);
void net_set_down(struct net *n, struct net_dev d);
void net_set_mtu(struct net *n, struct net_dev d, uint32_t mtu);
void net_park(struct net *n, struct net_dev d, uint32_t group); /* down, and into a group */
void net_del_link(struct net *n, struct net_dev d, enum net_tolerance tolerance);
void net_del_group(struct net *n, uint32_t group, enum net_tolerance tolerance);

/* Asks within the queue: *out is filled by net_commit() if there is such a device. */
void net_ask_link(struct net *n, const char *name, struct net_link *out);

/* The address is usable at once: no duplicate address detection. */
void net_add_addr(struct net *n, int index, const struct cidr *address);
void net_del_addr(
	struct net *n, int index, const struct cidr *address, enum net_tolerance tolerance);
void net_add_neigh(struct net *n, int index, const struct addr *a, const uint8_t mac[6]);

/* -ENODEV. */
int net_find_link(struct net *n, struct net_dev d, struct net_link *out, struct err *e);

/* The other end of a veth, wherever it is. -ENODEV, and other errors while its namespace dies. */
int net_find_peer(struct net *n, const struct net_link *l, struct net_link *out, struct err *e);

/* Lists: heap arrays, the caller frees *out. */
int net_list_links(struct net *n, struct net_link **out, size_t *count, struct err *e);
struct net_addr {
	struct cidr address;
	int dev;
};
int net_list_addrs(struct net *n, struct net_addr **out, size_t *count, struct err *e);
int net_list_addrs_of(struct net *n, int dev, struct net_addr **out, size_t *count, struct err *e);
