/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The FORWARD chain of legacy iptables (xtables), which nft does not list. Read as the kernel hands it
 * out, judged as agent/filter/firewall.h does. Nothing is loaded for the question: only where the filter table
 * exists already it is read.
 */
#include "lib/addr.h"
#include "lib/err.h"

/* 1: out says in a sentence which pools' packets are dropped (of one family), and what mends it; 0: none. */
int xtables_check(const struct cidr *pools, size_t n_pools, char out[256], struct err *e);
