/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an address cannot be had. Names of containers and pods come from the runtime and may be long;
 * they are cut, so that the end of the sentence, which says what is wrong, always fits.
 */
#include "ipam/refuse.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>

#include "ipam/node_impl.h"
#include "lib/text.h"

const char *refuse_family(uint8_t family)
{
	return family == AF_INET ? "IPv4" : "IPv6";
}

bool refuse_is_usable(const struct node_want *w, size_t i, uint8_t family)
{
	return w->pools[i].cidr.addr.family == family && (!w->usable || w->usable[i]);
}

/* "100.66.0.0/16, 100.67.0.0/16": the usable pools of a family. */
static void list_pools(const struct node_want *w, uint8_t family, struct text *t)
{
	for (size_t i = 0; i < w->n_pools; i++) {
		char cidr[CIDR_TEXT];
		if (!refuse_is_usable(w, i, family))
			continue;
		cidr_format(&w->pools[i].cidr, cidr);
		text_add(t, "%s%s", t->len ? ", " : "", cidr);
	}
	if (!t->len)
		text_add(t, "none");
}

int refuse_outside(const struct node_want *w, const struct addr *a, struct err *e)
{
	char text[ADDR_TEXT];
	char pools[300];
	struct text t = TEXT_ON(pools);
	addr_format(a, text);
	list_pools(w, a->family, &t);
	return err_set(e, EADDRNOTAVAIL,
		"requested address %s is in no pool that may be used here (%s pools: %s)", text,
		refuse_family(a->family), pools);
}

int refuse_taken(const struct addr *a, const struct record_addr *rec, struct err *e)
{
	char text[ADDR_TEXT];
	char name[256] = "";
	addr_format(a, text);
	struct text t = TEXT_ON(name);
	switch (rec->state) {
	case RECORD_USED:
		if (*rec->owner.pod_name)
			text_add(&t, " (pod %.100s%s%.120s)", rec->owner.pod_namespace,
				*rec->owner.pod_namespace ? "/" : "", rec->owner.pod_name);
		return err_set(e, EADDRINUSE,
			"address %s is used by container %.64s, interface %s, network %.64s%s",
			text, rec->owner.container, rec->owner.ifname, rec->owner.network, name);
	case RECORD_RESERVED:
		return err_set(e, EADDRINUSE, "address %s is reserved for a gateway", text);
	default:
		(void)err_set(e, EADDRINUSE,
			"address %s is quarantined: an earlier state of this node was lost, and "
			"something may still use it",
			text);
		err_details(e, "when nothing uses it any more: roostctl ipam release %s", text);
		return -EADDRINUSE;
	}
}

int refuse_exhausted(struct node *n, const struct node_want *w, uint8_t family, struct err *e)
{
	char text[480];
	struct text t = TEXT_ON(text);
	for (size_t i = 0; i < w->n_pools; i++) {
		struct node_pool p;
		char cidr[CIDR_TEXT];
		if (!refuse_is_usable(w, i, family))
			continue;
		int r = node_count_pool(n, &w->pools[i].cidr, &p, e);
		if (r < 0)
			return r;
		cidr_format(&w->pools[i].cidr, cidr);
		text_add(&t,
			"%spool %s is exhausted: %" PRIu64 " addresses, %" PRIu64 " used, %" PRIu64
			" cooling, %" PRIu64 " reserved, %" PRIu64 " quarantined",
			t.len ? "; " : "", cidr, p.size, p.used, p.cooling, p.reserved,
			p.quarantined);
	}
	int r = err_set(e, EAGAIN, "%s", text);
	err_details(e,
		"stop pods, configure a larger or a further %s pool, or release addresses "
		"that nothing uses any more (roostctl ipam show, roostctl ipam release)",
		refuse_family(family));
	return r;
}
