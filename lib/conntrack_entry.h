/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Entries of connection tracking as ctnetlink tells of them, and the messages about one. For lib/conntrack.h and
 * whoever looks through all of them.
 */
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"

#define CONNTRACK_TUPLE 128
#define CONNTRACK_MESSAGE 512 /* bytes of a message about one entry */

struct conntrack_entry {
	struct addr source, destination; /* of the first packet, as its sender said */
	struct addr answers; /* where the answers come from: another address with a translation */
	uint16_t sport, dport, answers_port; /* host order; 0 where the protocol has none */
	int16_t icmp_type, icmp_code;	     /* -1: not ICMP */
	uint8_t proto, family;
	bool expected; /* belongs to another connection, as an FTP transfer */
	uint32_t mark, id;
	uint16_t zone;			/* in network order; 0: none */
	uint8_t tuple[CONNTRACK_TUPLE]; /* of the first packet, for messages about the entry */
	size_t tuple_size;
};

/* A message of a list; false: it is none of an entry. */
bool conntrack_entry_read(const struct nlmsghdr *m, struct conntrack_entry *out);

/* A message of ctnetlink (IPCTNL_MSG_CT_GET, ...), at a place with room for CONNTRACK_MESSAGE bytes; and one about an
 * entry, with its tuple and zone. Attributes may follow. */
struct nlmsghdr *conntrack_message(
	char *at, unsigned int type, uint16_t flags, uint8_t family, unsigned int seq);
struct nlmsghdr *conntrack_message_about(char *at, unsigned int type, uint16_t flags,
	const struct conntrack_entry *x, unsigned int seq);
