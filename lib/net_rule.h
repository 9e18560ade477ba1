/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Policy rules: which routing table packets of a source look into. See lib/net.h for how messages
 * are queued and sent. All carry protocol 82; net_detail_rules() lists.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/net.h"

struct net_rule {
	struct cidr from;  /* its family is the rule's; length 0: everything */
	uint32_t table;	   /* NET_TABLE_MAIN or another */
	uint32_t priority; /* lower ones are asked first */
	bool not_default;  /* a default route found in the table does not count */
};
#define NET_TABLE_MAIN 254

void net_add_rule(struct net *n, const struct net_rule *r);
void net_del_rule(struct net *n, const struct net_rule *r, enum net_tolerance tolerance);
/* One rule of protocol 82 for a table. */
void net_del_rule_of(struct net *n, int family, uint32_t table, enum net_tolerance tolerance);
