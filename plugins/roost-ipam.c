/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roost-ipam, the same allocator for other main plugins (ptp, bridge, macvlan, and roost under
 * another name). It gives addresses and knows no kernel: whether such a pod still lives cannot be
 * seen, so its records go with DEL, GC or a reboot alone.
 *
 * The answer has the block's prefix length, as main plugins expect a subnet. With ipam.gateway that
 * address is the gateway and a default route leads there (written without gateway, which main
 * plugins fill in); without, the gateway is the one of roost's own pods and routes are the main
 * plugin's affair.
 */
#include <errno.h>

#include "ipam/session.h"
#include "lib/cni.h"
#include "lib/cni_result.h"
#include "lib/gateway.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/ns.h"
#include "plugins/addresses.h"
#include "plugins/cni_main.h"
#include "plugins/conf.h"
#include "plugins/guard.h"

static int open_state(const struct conf *c, enum node_mode mode, struct node **out, struct err *e)
{
	int result = guard_open(c, mode, out, e);
	if (result >= 0 && node_needs_adoption(*out, false))
		result = node_adopt(*out, NULL, e);
	return result;
}

/* The pod's namespace is the main plugin's to judge; "lives" and "cookie" stay 0 when it cannot be
 * opened. */
static int look_into_pod(const struct cni_request *r, uint64_t *cookie, bool *lives, struct err *e)
{
	CLEANUP_NS struct ns ns = NS_NONE;
	struct err ignored;
	*cookie = 0;
	*lives = false;
	if (ns_open(r->netns, &ns, &ignored) < 0)
		return 0;
	int has = ns_has_interface(&ns, r->ifname, cookie, e);
	*lives = has > 0;
	return has < 0 ? has : 0;
}

/* A repeated ADD is one whose record and interface exist, in the same namespace. An interface
 * alone is no sign: bridge and macvlan make theirs before they ask for an address. A record
 * alone is of a killed ADD or a dead namespace: its address is given again. */
static int refuse_repeated(
	struct node *n, const struct cni_request *r, const struct owner *owner, struct err *e)
{
	struct node_leases had;
	int found = node_find(n, &owner->hash, &had, e);
	if (found <= 0 || had.netns != owner->netns)
		return found < 0 ? found : 0;
	(void)err_set(
		e, EEXIST, "interface %s already exists in the pod and has an address", r->ifname);
	err_details(e, "network namespace %s, container %.64s; DEL the attachment first", r->netns,
		r->container);
	return -EEXIST;
}

static void report_leases(
	const struct conf *c, const struct node_leases *leases, struct cni_result *result)
{
	for (size_t i = 0; i < leases->n; i++) {
		const struct node_lease *l = &leases->v[i];
		const struct addr *given = conf_gateway(c, l->addr.family);
		struct addr gateway = given ? *given : gateway_of(l->addr.family);
		struct cidr address = {.addr = l->addr, .len = l->block.len};
		struct cidr everywhere = {.addr.family = l->addr.family};
		cni_result_add_ip(result, &address, &gateway, -1);
		if (given)
			cni_result_add_route(result, &everywhere, NULL);
	}
}

static int ipam_add(const struct cni_request *r, struct conf *c, struct err *e)
{
	uint64_t cookie = 0;
	bool lives = false;
	CLEANUP_SESSION struct node *node = NULL;
	struct node_leases leases;
	int done = look_into_pod(r, &cookie, &lives, e);
	if (done >= 0)
		done = open_state(c, NODE_SHARED, &node, e);
	if (done >= 0 && c->cluster)
		done = addresses_load(node, c, e);
	if (done < 0)
		return done;
	struct owner owner = addresses_owner(r, true, cookie);
	done = lives ? refuse_repeated(node, r, &owner, e) : 0;
	if (done >= 0)
		done = addresses_assign(node, r, c, &owner, &leases, e);
	if (done < 0)
		return done;
	struct cni_result result;
	cni_result_init(&result);
	report_leases(c, &leases, &result);
	cni_result_set_dns(&result, r->wishes.dns);
	done = cni_result_print(&result, r->version, e);
	cni_result_done(&result);
	struct err undo;
	if (done < 0)
		(void)node_unassign(node, &owner.hash, &leases, &undo); /* the first error counts */
	return done;
}

static int ipam_del(const struct cni_request *r, const struct conf *c, struct err *e)
{
	CLEANUP_SESSION struct node *node = NULL;
	struct hash owner = owner_hash(r->network, r->container, r->ifname);
	int done = open_state(c, NODE_SHARED, &node, e);
	if (guard_is_unborn(c, done) || guard_is_of_another(done, e, r->container))
		return 0;
	return done < 0 ? done : node_release(node, &owner, 1, e);
}

static int ipam_check(const struct cni_request *r, const struct conf *c, struct err *e)
{
	CLEANUP_SESSION struct node *node = NULL;
	int done = guard_open(c, NODE_READ, &node, e);
	return done < 0 ? done : addresses_check(node, r, e);
}

static int ipam_gc(const struct cni_request *r, const struct conf *c, struct err *e)
{
	CLEANUP_SESSION struct node *node = NULL;
	CLEANUP_FREE struct hash *stale = NULL;
	struct addresses_valid valid = {0};
	size_t n = 0;
	int done = addresses_valid(r, &valid, e);
	if (done < 0 || !valid.is_named) { /* who lives cannot be seen from here */
		addresses_valid_done(&valid);
		return done;
	}
	done = open_state(c, NODE_EXCLUSIVE, &node, e);
	if (done >= 0)
		done = addresses_stale(node, r, &valid, &stale, &n, e);
	addresses_valid_done(&valid);
	return done < 0 ? done : node_release(node, stale, n, e);
}

static int ipam_run(const struct cni_request *r, struct err *late, struct err *e)
{
	(void)late;
	struct conf c;
	bool find = r->command == CNI_DEL || r->command == CNI_GC;
	int done = conf_parse_ipam(r->conf, find ? CONF_FIND : CONF_FULL, &c, e);
	if (done < 0)
		return done;
	log_set_level(c.log_level);
	guard_deadline(r, &c, CNI_MAIN_DEADLINE_S);
	switch (r->command) {
	case CNI_ADD:
		return ipam_add(r, &c, e);
	case CNI_DEL:
		return ipam_del(r, &c, e);
	case CNI_CHECK:
		return ipam_check(r, &c, e);
	case CNI_GC:
		return ipam_gc(r, &c, e);
	case CNI_STATUS:
		return addresses_status(&c, e);
	case CNI_VERSION:
		break; /* answered by cni_read() */
	}
	return 0;
}

int main(void)
{
	return cni_main("roost-ipam", ipam_run);
}
