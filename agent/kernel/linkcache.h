/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * libnl's caches of links and addresses as facts. Used by agent/kernel/kernel.c.
 */
#include <stdbool.h>

#include "agent/kernel/facts.h"

struct nl_cache;
struct rtnl_link;

bool linkcache_is_marked(struct rtnl_link *l); /* DEL is done with it */

/* Fill f->links and f->addrs, in this order; for facts_done(). */
void linkcache_links(struct nl_cache *cache, struct facts *f);
void linkcache_addrs(struct nl_cache *cache, struct facts *f);
